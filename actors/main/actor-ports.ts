import type { Arena } from '../../runtime/memory/arena.ts';
import { doorbellOf, Mailbox } from '../../runtime/messaging/mailbox.ts';
import { STOP } from '../../runtime/scheduling/actor.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import type { MountChart } from '../../runtime/supervision/chart.ts';
import { leaveRow, sealRow, vacateWatch } from '../connection.ts';
import type { Context, ThreadData } from '../context.ts';
import { setPresent } from '../presence.ts';
import { ACTOR_STATES, STORE_STATUS } from '../regions.ts';
import { isAsleep } from '../status.ts';
import { mailboxRegion } from '../topology.ts';
import { decideFlight } from './flight-verdict.ts';
import type { IndexerLink } from './indexer-link.ts';
import { expirePending } from './late-requests.ts';
import type { MainRequests } from './requests.ts';
import type { SupervisorPorts } from './supervisor.ts';
import { WorkerThread } from './threads.ts';
import { inspectLocks, tablesAreBroken } from './wreck.ts';

/** Messages of a lane that are dropped at a time. */
const LEFT_BATCH = 32;

export interface ActorPortsParts {
  readonly arena: Arena;
  readonly data: ThreadData;
  readonly context: Context;
  readonly requests: MainRequests;
  readonly indexer: IndexerLink;
  readonly chart: MountChart;
  /** CPUs of each actor, none = wherever the scheduler likes. */
  readonly placement: ReadonlyMap<string, readonly number[]>;
}

/** What the supervisor does to the actors of a mount, and asks of them. */
export function actorPorts(parts: ActorPortsParts): SupervisorPorts {
  const { arena, data, context, requests, indexer, chart, placement } = parts;
  const { supervision } = context.settings.config;
  const status = new StoreStatus(arena.region(STORE_STATUS));
  const doorbell = (name: string) => doorbellOf(arena.region(mailboxRegion(name)));
  return {
    startThread({ name, kind, index }, incarnation) {
      const started = { ...data, name, cpus: placement.get(name) ?? [], incarnation };
      const wake = (): void => doorbell(name).ring();
      const thread = new WorkerThread(started, wake, async () => {
        if (kind === 'fuse') await leaveRow(context, index);
      });
      if (kind === 'indexer') indexer.connect(thread.worker);
      return thread;
    },
    stateOf: ({ slot }) => new ActorState(arena.region(ACTOR_STATES), slot),
    clear({ name, kind, index }, thread) {
      if (kind === 'fuse') {
        sealRow(context, index);
        decideFlight(context, index);
        vacateWatch(context, index);
      }
      const wreck = inspectLocks(context, thread);
      if (name === 'io-0') requests.repeat();
      return wreck;
    },
    vacated(actor) {
      const { name, slot } = actor;
      setPresent(arena, actor, false);
      new ActorState(arena.region(ACTOR_STATES), slot).thread = 0;
      // Nobody else takes what is left, and the actor's next life must not begin with being asked to stop.
      const left = new Mailbox(arena.region(mailboxRegion(name)));
      while (left.drain({ onMessage() {} }, LEFT_BATCH) > 0);
    },
    async resume({ kind, index }) {
      if (kind === 'shard') await requests.replayShard(index);
    },
    looked() {
      if (status.errno !== 0) chart.send({ type: 'damaged' });
      expirePending(context, context.clock.monotonic(), supervision.request_deadline_s * 1000);
    },
    tablesBroken: () => tablesAreBroken(context),
    async rebuild() {
      chart.send({ type: 'rebuild' });
      const errno = await requests.rebuild();
      chart.send({ type: 'recovered', damaged: status.errno !== 0 });
      return errno;
    },
    sendStop({ name }) {
      const outbox = context.outbox(name);
      outbox.claimOrWait(STOP, 0);
      outbox.send();
    },
    isAsleep: (actor) => isAsleep(context, actor),
    wake: ({ name }) => doorbell(name).ring(),
  };
}

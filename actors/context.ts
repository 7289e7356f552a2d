import type { ShownOwner } from '../fuse/namespace/shown-owner.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Declared } from '../runtime/config/fields.ts';
import { type LiveKey, liveView } from '../runtime/config/live.ts';
import type { Config } from '../runtime/config/schema.ts';
import { openLog } from '../runtime/log.ts';
import { Arena } from '../runtime/memory/arena.ts';
import { Mailbox, Outbox } from '../runtime/messaging/mailbox.ts';
import type { ActorContext } from '../runtime/scheduling/actor.ts';
import { ActorState } from '../runtime/scheduling/actor-state.ts';
import type { Distances } from '../runtime/scheduling/steal-policy.ts';
import { Tap } from '../runtime/scheduling/tap.ts';
import type { StoreIdentity } from '../runtime/storage/store.ts';
import { OwnRemote } from './actor-remote.ts';
import { ACTOR_STATES, LIVE, TAPS, TRACES } from './regions.ts';
import { mailboxRegion, Topology } from './topology.ts';
import { Trace } from './trace.ts';

/** What a thread is started with; all of it can be cloned or shared between threads. */
export interface ThreadData {
  readonly name: string;
  readonly arena: SharedArrayBuffer;
  /** As of the mount; a context's `settings` has the view in which live keys are those of now. */
  readonly config: Config;
  readonly liveKeys: readonly LiveKey[];
  readonly declared: Declared;
  /** Absolute path of the store. */
  readonly store: string;
  /** Who the store is, as its `format` file says. */
  readonly identity: StoreIdentity;
  /** Log file, or 2 for the terminal. */
  readonly log: string | number;
  /** eventfd of each fuse actor, by index. */
  readonly eventfds: readonly number[];
  /** The static word vectors, shared by the threads that embed. */
  readonly words: SharedArrayBuffer;
  /** With -o allow_root: requests of others than this user and root are refused. */
  readonly onlyUid: number | undefined;
  /** Reading changes access times: neither the configuration nor the mount's options (ro, noatime) say otherwise. */
  readonly accessTimes: boolean;
  /** Mounted with -o ro: the kernel lets no change through, and nobody else may make one. */
  readonly isReadOnly: boolean;
  /** With -o uid=, gid= or umask=: whose all files appear to be. */
  readonly shown?: ShownOwner;
  /** 1 for the actor's first thread; more when an earlier one died and this one takes over what it left. */
  readonly incarnation: number;
  /** CPUs to run on; empty = wherever the scheduler likes. */
  readonly cpus: readonly number[];
  /** Distance between the memory of two shards, by their numbers: an idle one helps the nearest first. */
  readonly shardDistances?: Distances;
}

/** What a thread of its own is started with. */
export interface StartedThread extends ThreadData {
  /** Whoever waits for it to have loaded its code (loading.ts). */
  readonly loading?: Int32Array;
}

export type Context = ActorContext<ThreadData> & {
  readonly topology: Topology;
  /** What main may call of this actor; it adds its own facts. */
  readonly remote: OwnRemote;
  readonly trace: Trace;
};

/** Attaches a thread to the shared memory: its mailbox, its lanes to others, its row in the table of states. */
export function attachContext(data: ThreadData): Context {
  const arena = Arena.attach(data.arena);
  const topology = new Topology(data.config);
  const self = topology.actor(data.name);
  const config = liveView(data.config, arena.region(LIVE), data.liveKeys);
  const outboxes = new Map<string, Outbox>();
  const state = new ActorState(arena.region(ACTOR_STATES), self.slot);
  const logger = openLog(data.name, config.log, data.log);
  const remote = new OwnRemote(state, logger, config.log);
  const trace = new Trace(arena.region(TRACES), self.slot);
  const context: Context = {
    name: data.name,
    arena,
    topology,
    settings: { ...data, config },
    mailbox: new Mailbox(arena.region(mailboxRegion(data.name))),
    state,
    logger,
    clock: systemClock,
    tap: new Tap(arena.region(TAPS), self.slot),
    remote,
    control: { remote, answers: () => context.outbox('main') },
    trace,
    taken: trace.taken,
    outbox(target) {
      let outbox = outboxes.get(target);
      if (!outbox) {
        const lane = topology.actor(target).senders.indexOf(data.name);
        if (lane < 0) throw new Error(`${data.name} has no lane to ${target}`);
        outbox = new Outbox(arena.region(mailboxRegion(target)), lane);
        outboxes.set(target, outbox);
      }
      return outbox;
    },
  };
  return context;
}

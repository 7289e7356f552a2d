/** The state of the whole, read from shared memory: any thread can tell, nobody has to be asked. */
import { namespaceUse } from '../fuse/namespace/namespace.ts';
import { doorbellOf, peekMailbox } from '../runtime/messaging/mailbox.ts';
import { readCounters } from '../runtime/metrics/metrics.ts';
import { ActorState } from '../runtime/scheduling/actor-state.ts';
import { JournalReader } from '../runtime/storage/journal-ring.ts';
import { type StoreNumbers, StoreStatus } from '../runtime/storage/store-status.ts';
import { type CollectionStatus, collectionsStatus } from './collection-status.ts';
import type { Context } from './context.ts';
import { type MovingStatus, movingStatus } from './moving-status.ts';
import { type PoolStatus, poolStatus } from './pool-status.ts';
import { presentActors } from './presence.ts';
import { ACTOR_STATES, JOURNAL, METRICS, STORE_STATUS } from './regions.ts';
import { type ActorPlan, mailboxRegion } from './topology.ts';
import { opcodeTotals, shardTotal } from './totals.ts';

export interface OpcodeStatus {
  readonly count: number;
  readonly errors: number;
  readonly p50us: number;
  readonly p99us: number;
  readonly maxus: number;
}

export interface ActorStatus {
  readonly name: string;
  readonly state: string;
  /** The operating system's thread id. */
  readonly thread: number;
  readonly parked: boolean;
  /** Threads that were started after the first, because an earlier one failed or a restart was asked for. */
  readonly restarts: number;
  /** Turns of its run loop. */
  readonly turns: number;
  /** Messages that wait in its mailbox. */
  readonly waiting: number;
  readonly [counter: string]: string | number | boolean;
}

export interface Snapshot {
  readonly actors: readonly ActorStatus[];
  readonly namespace: { readonly files: number; readonly inodesUsed: number; readonly inodesMax: number };
  readonly memory: PoolStatus;
  /** `space`: SPACE_ENOUGH, SPACE_LOW or SPACE_NONE. */
  readonly storage: StoreNumbers & { readonly errno: number; readonly space: number };
  readonly index: {
    readonly pending: number;
    readonly indexed: number;
    readonly passedOver: number;
    readonly failed: number;
    readonly chunks: number;
    readonly searches: number;
  };
  readonly fuse: { readonly requests: number; readonly opcodes: Readonly<Record<string, OpcodeStatus>> };
  readonly collections: readonly CollectionStatus[];
  /** Only while files move to another number of shards. */
  readonly moving?: MovingStatus;
}

/** Counters of these actors are shown by their own names; a fuse actor's would be a row per opcode. */
const SHOWN_COUNTERS = new Set(['io', 'shard', 'pool', 'stats', 'indexer']);

export function actorStatus(context: Context, actor: ActorPlan): ActorStatus {
  const { arena } = context;
  const state = new ActorState(arena.region(ACTOR_STATES), actor.slot);
  const waiting = peekMailbox(arena.region(mailboxRegion(actor.name))).reduce(
    (sum, { depth }) => sum + depth,
    0,
  );
  const { label, thread, heartbeat } = state;
  const parked = isAsleep(context, actor);
  const busy = label === 'ready' && !parked;
  const counters = SHOWN_COUNTERS.has(actor.kind)
    ? (readCounters(arena.region(METRICS))[actor.name] ?? {})
    : {};
  return {
    ...counters,
    name: actor.name,
    state: busy ? 'busy' : label,
    thread,
    parked,
    restarts: state.restarts,
    turns: heartbeat,
    waiting,
  };
}

/** Whether the actor sleeps until its doorbell rings. */
export function isAsleep({ arena }: Context, { name }: ActorPlan): boolean {
  return doorbellOf(arena.region(mailboxRegion(name))).isAsleep;
}

function opcodesOf(context: Context): Snapshot['fuse'] {
  const opcodes: Record<string, OpcodeStatus> = {};
  let requests = 0;
  for (const [name, { latencies, errors }] of opcodeTotals(context)) {
    const { count } = latencies;
    requests += count;
    const us = (ns: number): number => Math.round(ns / 100) / 10;
    const [p50us, p99us] = [us(latencies.quantile(0.5)), us(latencies.quantile(0.99))];
    opcodes[name] = { count, errors, p50us, p99us, maxus: us(latencies.largest) };
  }
  return { requests, opcodes };
}

export function takeSnapshot(context: Context): Snapshot {
  const { arena } = context;
  const counters = readCounters(arena.region(METRICS));
  const indexer = counters.indexer ?? {};
  const status = new StoreStatus(arena.region(STORE_STATUS));
  // Main takes this snapshot as well, and must not wait for a thread that died in the middle of a change.
  const use = namespaceUse(arena);
  const used = use.files - use.freeFiles;
  const moving = movingStatus(context);
  return {
    actors: presentActors(context).map((actor) => actorStatus(context, actor)),
    namespace: { files: used, inodesUsed: used, inodesMax: use.files },
    memory: poolStatus(context),
    storage: { ...status.read(), errno: status.errno, space: new JournalReader(arena.region(JOURNAL)).space },
    index: {
      pending: indexer.pending ?? 0,
      indexed: indexer.indexed ?? 0,
      passedOver: indexer.passedOver ?? 0,
      failed: indexer.failed ?? 0,
      chunks: shardTotal(context, 'chunks'),
      searches: indexer.searches ?? 0,
    },
    fuse: opcodesOf(context),
    collections: collectionsStatus(context),
    ...(moving === undefined ? {} : { moving }),
  };
}

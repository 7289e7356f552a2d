/** What the console shows of shared memory, as plain objects. Nothing here takes a lock or asks anybody. */
import { H_BROKEN, H_MUTEX, H_SEQUENCE } from '../../fuse/namespace/layout.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { peekMailbox, peekMessages } from '../../runtime/messaging/mailbox.ts';
import { readCounters } from '../../runtime/metrics/metrics.ts';
import { ActorState, GATE_CLOSED, GATE_OPEN } from '../../runtime/scheduling/actor-state.ts';
import { peekBoard, type WorkerView } from '../../runtime/scheduling/board-layout.ts';
import { JournalReader } from '../../runtime/storage/journal-ring.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import type { Context } from '../context.ts';
import { type DescribedMessage, describeMessage } from '../describe-message.ts';
import { presentActors } from '../presence.ts';
import { ACTOR_STATES, JOURNAL, METRICS, TASKS } from '../regions.ts';
import { isAsleep } from '../status.ts';
import { type ActorPlan, mailboxRegion } from '../topology.ts';
import { actorRates, type Sample } from './console-sampler.ts';
import type { SupervisedActor } from './supervisor-port.ts';

/** Bytes of a waiting message that are looked at. */
const PEEKED_BYTES = 256;

export interface ActorRow {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  /** "open", "closed", or how many more messages it may take. */
  readonly gate: string;
  readonly restarts: number;
  readonly lastError?: string;
  /** Percent of one CPU, and the core it ran on last. */
  readonly cpu: number;
  readonly core: number;
  readonly messagesPerSecond: number;
  readonly requestsPerSecond: number;
  /** Messages that wait in its mailbox. */
  readonly waiting: number;
  /** The operating system's thread id. */
  readonly thread: number;
  readonly incarnation: number;
  /** Milliseconds since its heartbeat was last seen to have moved. */
  readonly heartbeatAgeMs: number;
  readonly parked: boolean;
}

export function gateName(gate: number): string {
  if (gate === GATE_OPEN) return 'open';
  return gate === GATE_CLOSED ? 'closed' : `${gate} more`;
}

export function actorRow(
  context: Context,
  actor: ActorPlan,
  [before, now]: readonly [Sample, Sample],
  heartbeatAgeMs: number,
  supervised?: SupervisedActor,
): ActorRow {
  const { arena } = context;
  const state = new ActorState(arena.region(ACTOR_STATES), actor.slot);
  const rates = actorRates(actor.name, before, now);
  const lanes = peekMailbox(arena.region(mailboxRegion(actor.name)));
  const { label, gate, thread, incarnation } = state;
  return {
    name: actor.name,
    kind: actor.kind,
    state: supervised?.state ?? label,
    gate: gateName(gate),
    restarts: supervised?.restarts ?? state.restarts,
    ...(supervised?.lastError === undefined ? {} : { lastError: supervised.lastError }),
    ...rates,
    waiting: lanes.reduce((sum, { depth }) => sum + depth, 0),
    thread,
    incarnation,
    heartbeatAgeMs,
    parked: isAsleep(context, actor),
  };
}

export interface MailboxView {
  readonly actor: string;
  readonly depth: number;
  /** The oldest message waits no longer than this. */
  readonly oldestAtMostMs: number;
  readonly lanes: readonly {
    readonly from: string;
    readonly waiting: number;
    readonly sent: number;
    readonly received: number;
    readonly usedBytes: number;
    readonly capacity: number;
  }[];
  /** Next first, lane by lane. */
  readonly next: readonly (DescribedMessage & { readonly from: string })[];
}

export function mailboxView({ arena }: Context, actor: ActorPlan, most: number): MailboxView {
  const region = arena.region(mailboxRegion(actor.name));
  const lanes = peekMailbox(region);
  const from = (lane: number): string => actor.senders[lane] ?? '?';
  return {
    actor: actor.name,
    depth: lanes.reduce((sum, { depth }) => sum + depth, 0),
    oldestAtMostMs: Math.max(0, ...lanes.map(({ waitedAtMost }) => waitedAtMost)),
    lanes: lanes.map(({ depth, sent, received, usedBytes, capacity }, lane) => ({
      from: from(lane),
      waiting: depth,
      sent,
      received,
      usedBytes,
      capacity,
    })),
    next: peekMessages(region, most, PEEKED_BYTES).map(({ lane, kind, bytes, length }) => ({
      from: from(lane),
      ...describeMessage(kind, bytes, length),
    })),
  };
}

export interface RingView {
  readonly ring: string;
  readonly capacity: number;
  readonly usedBytes: number;
  readonly waiting: number;
  readonly sent: number;
}

/** Every lane between two actors, and the journal, whose messages are its records. */
export function rings(context: Context): RingView[] {
  const { arena } = context;
  const actors = presentActors(context);
  const present = new Set(actors.map(({ name }) => name));
  const lanes = actors.flatMap(({ name, senders }) =>
    peekMailbox(arena.region(mailboxRegion(name)))
      .map(({ capacity, usedBytes, depth, sent }, lane) => ({
        from: senders[lane] ?? '?',
        ring: { ring: `${senders[lane] ?? '?'} → ${name}`, capacity, usedBytes, waiting: depth, sent },
      }))
      .filter(({ from, ring }) => present.has(from) || ring.sent > 0)
      .map(({ ring }) => ring),
  );
  const journal = new JournalReader(arena.region(JOURNAL));
  return [
    ...lanes,
    {
      ring: 'journal → io-0',
      capacity: journal.capacity,
      usedBytes: journal.used(),
      waiting: 0,
      sent: Math.max(0, journal.lastLsn),
    },
  ];
}

export interface LockView {
  readonly lock: string;
  /** The actor that holds it; '' = free. */
  readonly holder: string;
  /** Whether somebody may be parked for it. */
  readonly contended: boolean;
  /** How often somebody had to park. */
  readonly parks: number;
  readonly note?: string;
}

export function locks(context: Context): LockView[] {
  const { arena } = context;
  const { i32, u32 } = arena.region('namespace');
  const isOdd = (Atomics.load(i32, H_SEQUENCE) & 1) !== 0;
  const broken = u32[H_BROKEN] !== 0 ? 'a change was broken off: read-only' : undefined;
  const note = broken ?? (isOdd ? 'a change is under way' : undefined);
  const namespace = lockView(context, 'namespace', new Mutex(i32, H_MUTEX));
  const stripes = new DataLocks(arena).stripes.map((mutex, i) => lockView(context, `data-${i}`, mutex));
  return [
    note === undefined ? namespace : { ...namespace, note },
    ...stripes.filter(({ holder, parks, contended }) => holder !== '' || parks > 0 || contended),
  ];
}

function lockView(context: Context, lock: string, mutex: Mutex): LockView {
  const { holder, contended, parks } = mutex;
  return { lock, holder: holder < 0 ? '' : holderName(context, holder), contended, parks };
}

function holderName({ arena, topology }: Context, thread: number): string {
  const holder = topology.actors.find(
    ({ slot }) => new ActorState(arena.region(ACTOR_STATES), slot).nodeThread === thread,
  );
  return holder?.name ?? `thread ${thread}, which is gone`;
}

export interface ShardRow {
  readonly name: string;
  readonly engine: string;
  readonly vectors: number;
  readonly chunks: number;
  /** Vectors that are still searched one by one. */
  readonly tail: number;
  readonly searches: number;
  readonly searchesPerSecond: number;
  readonly messagesPerSecond: number;
  readonly [counter: string]: unknown;
}

export function shards(context: Context, [before, now]: readonly [Sample, Sample]): ShardRow[] {
  const { arena, settings } = context;
  const counters = readCounters(arena.region(METRICS));
  return presentActors(context, 'shard').map(({ name }) => {
    const { requestsPerSecond, messagesPerSecond } = actorRates(name, before, now);
    const { vectors = 0, chunks = 0, tail = 0, searches = 0, ...others } = counters[name] ?? {};
    const { engine } = settings.config.vectors;
    const rates = { searchesPerSecond: requestsPerSecond, messagesPerSecond };
    return { name, engine, vectors, chunks, tail, searches, ...rates, ...others };
  });
}

/** A shard on the task board. */
export type StealRow = { readonly actor: string } & WorkerView;

export function steal(context: Context): StealRow[] {
  const views = peekBoard(context.arena.region(TASKS));
  return presentActors(context, 'shard').map(({ name, index }) => ({ actor: name, ...views[index]! }));
}

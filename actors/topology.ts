/**
 * Which actors there is room for, who may write to whom, and the shared memory they need. Everything here follows from the
 * configuration of the mount alone, so each thread computes the same answer and no registry has to be shared. Which of them
 * are there at a moment, presence.ts says: fuse actors and shards come and go while mounted.
 */
import { KIB, MIB } from '../runtime/config/bounds.ts';
import type { Config } from '../runtime/config/schema.ts';

export type ActorKind = 'main' | 'io' | 'shard' | 'pool' | 'stats' | 'indexer' | 'fuse';

export interface ActorPlan {
  readonly name: string;
  readonly kind: ActorKind;
  /** Position among the actors of its kind. */
  readonly index: number;
  /** Row in the shared table of actor states. */
  readonly slot: number;
  /** Names of the actors that may write to this one; the position is the lane. */
  readonly senders: readonly string[];
  readonly laneBytes: number;
}

/** Receivers of each kind of actor; a lane exists exactly for these pairs. */
const ROUTES: Record<ActorKind, readonly ActorKind[]> = {
  main: ['io', 'shard', 'pool', 'stats', 'indexer', 'fuse'],
  io: ['main', 'io', 'shard'],
  shard: ['main', 'indexer', 'shard'],
  pool: ['main'],
  stats: ['main'],
  indexer: ['main', 'io', 'shard'],
  fuse: ['main', 'io', 'shard', 'indexer'],
};

/**
 * A lane must hold several of the largest messages its receiver gets: chunk batches and vectors for the shards, pieces of
 * requests (QUERY_WRITE) for the indexer.
 */
const LANE_BYTES: Record<ActorKind, number> = {
  main: 64 * KIB,
  io: 64 * KIB,
  shard: 4 * MIB,
  pool: 16 * KIB,
  stats: 16 * KIB,
  indexer: 4 * MIB,
  fuse: 16 * KIB,
};

/** Of more shards than this, each has smaller lanes: every shard has one from every other, for files that move. */
const SHARDS_WITH_WIDE_LANES = 16;
const NARROW_LANE_BYTES = 1 * MIB;

export class Topology {
  readonly actors: readonly ActorPlan[];
  readonly #byName: ReadonlyMap<string, ActorPlan>;

  constructor(config: Config) {
    const { fuse, fuse_max, shards, shards_max, io } = config.workers;
    const named: { name: string; kind: ActorKind; index: number }[] = [];
    const add = (kind: ActorKind, count: number): void => {
      for (let index = 0; index < count; index++) named.push({ name: `${kind}-${index}`, kind, index });
    };
    named.push({ name: 'main', kind: 'main', index: 0 });
    add('io', io);
    add('shard', Math.max(shards, shards_max));
    for (const kind of ['pool', 'stats', 'indexer'] as const) named.push({ name: kind, kind, index: 0 });
    add('fuse', Math.max(fuse, fuse_max));
    this.actors = named.map((actor, slot) => ({
      ...actor,
      slot,
      senders: named
        .filter((s) => s.name !== actor.name && ROUTES[s.kind].includes(actor.kind))
        .map((s) => s.name),
      laneBytes: laneBytes(actor.kind, Math.max(shards, shards_max)),
    }));
    this.#byName = new Map(this.actors.map((actor) => [actor.name, actor]));
  }

  /** Throws when there is no such actor: names come from this table only. */
  actor(name: string): ActorPlan {
    const actor = this.#byName.get(name);
    if (!actor) throw new Error(`no actor is named '${name}'`);
    return actor;
  }

  find(name: string): ActorPlan | undefined {
    return this.#byName.get(name);
  }

  /** All that there is room for. */
  ofKind(kind: ActorKind): ActorPlan[] {
    return this.actors.filter((actor) => actor.kind === kind);
  }
}

function laneBytes(receiver: ActorKind, shards: number): number {
  const isNarrow = receiver === 'shard' && shards > SHARDS_WITH_WIDE_LANES;
  return isNarrow ? NARROW_LANE_BYTES : LANE_BYTES[receiver];
}

/** Whether the actor is there from the start; one that is not has its room reserved. */
export function isConfigured({ fuse, shards }: Config['workers'], { kind, index }: ActorPlan): boolean {
  if (kind === 'fuse') return index < fuse;
  return kind !== 'shard' || index < shards;
}

/** The shard that owns every vector of an inode: a Fibonacci hash, so that consecutive inodes spread evenly. */
export function shardOf(ino: number, shards: number): number {
  return (((Math.imul(ino, 0x9e3779b1) >>> 0) * shards) / 0x1_0000_0000) >>> 0;
}

export function mailboxRegion(actor: string): string {
  return `mailbox:${actor}`;
}

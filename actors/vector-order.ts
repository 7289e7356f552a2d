/**
 * The order of changes to files' vectors. They reach a shard through as many lanes as there are fuse actors, and lanes
 * overtake each other; so each carries a stamp by which the shard knows the later one.
 *
 * Roles: fuse actors and the indexer take stamps; io-0 and the shards look. Region 'vector-order', one word: the last stamp given.
 *
 * Invariants:
 * 1. Stamps rise by one, modulo 2^32. Two that are compared are less than 2^31 apart: a shard forgets those it has seen
 *    whenever its mailbox is empty.
 * 2. A stamp is taken after the change is in the tables and before the namespace's lock is given back, so stamps are in
 *    the order of the changes, and what is read from the tables after looking at `last` has every change with a stamp up
 *    to it. Who passes a removal on that a dead thread had made takes its stamp later: before it looks whether there is
 *    another vector by now.
 */
import type { Arena } from '../runtime/memory/arena.ts';
import { VECTOR_ORDER } from './regions.ts';

/** Older than any change: of what was there before the first one. */
export const FIRST_STAMP = 0;

export class VectorOrder {
  readonly #u32: Uint32Array;

  constructor(arena: Arena) {
    this.#u32 = arena.region(VECTOR_ORDER).u32;
  }

  next(): number {
    return (Atomics.add(this.#u32, 0, 1) + 1) >>> 0;
  }

  /** The last stamp that was given. */
  get last(): number {
    return Atomics.load(this.#u32, 0);
  }
}

export function isOlder(stamp: number, than: number): boolean {
  return ((stamp - than) | 0) < 0;
}

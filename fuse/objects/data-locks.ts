/**
 * One lock per inode for changes to its data, in the region 'data-locks'.
 *
 * Roles: any thread that writes, truncates or punches. Readers take nothing.
 * 1. Between lock(ino) and unlock(ino) no other thread changes that inode's data, so that the move from inline to
 *    object, and "cut the tail, then grow", each happen as one step.
 * 2. Inodes share STRIPES locks. A thread holds one at a time, or takes all it needs at once in rising order of the
 *    stripes ({@link DataLocks.lockAll}), so they cannot deadlock; the namespace's own lock is taken inside, never around.
 * 3. Every stripe has a cache line of its own.
 * 4. What a lock guards is whole at any moment, for whoever looks from outside: an object counts from the record that
 *    attaches it on, and its bytes up to the size that a record says. So the lock of a thread that has ended is simply
 *    freed; it leaves at most an object that nothing refers to, until the next mount sweeps it.
 */
import { CACHE_LINE } from '../../runtime/config/bounds.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';

const NAME = 'data-locks';
const STRIPES = 256;

export function planDataLocks(): RegionPlan {
  return { name: NAME, bytes: STRIPES * CACHE_LINE };
}

export class DataLocks {
  readonly #stripes: readonly Mutex[];

  constructor(arena: Arena) {
    const { i32 } = arena.region(NAME);
    this.#stripes = Array.from({ length: STRIPES }, (_, stripe) => new Mutex(i32, stripe * (CACHE_LINE / 4)));
  }

  /** Every stripe's lock, to be looked at. */
  get stripes(): readonly Mutex[] {
    return this.#stripes;
  }

  lock(ino: number): void {
    this.#stripes[ino % STRIPES]!.lock();
  }

  unlock(ino: number): void {
    this.#stripes[ino % STRIPES]!.unlock();
  }

  /** The locks of several inodes: what is to be handed to {@link unlockAll}. */
  lockAll(inodes: Iterable<number>): readonly number[] {
    const stripes = [...new Set([...inodes].map((ino) => ino % STRIPES))].sort((a, b) => a - b);
    for (const stripe of stripes) this.#stripes[stripe]!.lock();
    return stripes;
  }

  unlockAll(stripes: readonly number[]): void {
    for (const stripe of stripes) this.#stripes[stripe]!.unlock();
  }

  /** For whoever knows that thread `dead` (Node's thread id) has ended: frees what it held; how many that were. */
  breakFor(dead: number): number {
    let held = 0;
    for (const stripe of this.#stripes) if (stripe.breakFor(dead)) held++;
    return held;
  }

  /** For whoever knows that every thread that used them has ended: frees all. */
  breakAll(): void {
    for (const stripe of this.#stripes) stripe.breakFor(stripe.holder);
  }
}

/**
 * A lock for a handful of instructions, where parking would cost more than the wait.
 *
 * Roles: any thread locks; only the thread that locked unlocks. Not recursive. Hold it for nanoseconds, do not call out.
 * Thread safety: every method, from any thread.
 *
 * Word: 0 the holder's thread id + 1, 0 = free.
 *
 * Invariants:
 * 1. The word leaves 0 only by a compare-and-exchange of the new holder, and returns to 0 only by its store.
 * 2. What the holder wrote before unlock() is visible to whoever locks next.
 * 3. Nobody is parked on the word: a holder that lost its CPU is given time by sleeping a bounded slice.
 */
import { threadId } from 'node:worker_threads';
import { assert } from '../assert.ts';
import { DEFAULT_SPINS } from './spin.ts';

const SELF = threadId + 1;
/** Long enough for the holder to be scheduled, milliseconds. */
const HOLDER_PREEMPTED_MS = 1;

export class SpinLock {
  static readonly WORDS = 1;
  readonly #i32: Int32Array;
  readonly #at: number;
  readonly #spins: number;

  /** `index` is a zeroed word in `i32`. */
  constructor(i32: Int32Array, index: number, spins: number = DEFAULT_SPINS) {
    this.#i32 = i32;
    this.#at = index;
    this.#spins = spins;
  }

  tryLock(): boolean {
    return Atomics.compareExchange(this.#i32, this.#at, 0, SELF) === 0;
  }

  lock(): void {
    for (let i = 0; !this.tryLock(); i++) {
      const holder = Atomics.load(this.#i32, this.#at);
      assert(holder !== SELF, 'a spin lock is not recursive');
      if (holder !== 0 && i >= this.#spins) Atomics.wait(this.#i32, this.#at, holder, HOLDER_PREEMPTED_MS);
    }
  }

  unlock(): void {
    assert(Atomics.load(this.#i32, this.#at) === SELF, 'a spin lock is unlocked by its owner');
    Atomics.store(this.#i32, this.#at, 0);
  }
}

/**
 * A counting semaphore: acquire() takes one permit, release() gives some.
 *
 * Roles: any thread takes and gives; a permit has no owner.
 * Thread safety: every method, from any thread. acquire() blocks its thread.
 *
 * Words: 0 permits (≥ 0), 1 threads that are parked or about to be.
 *
 * Invariants:
 * 1. permits goes down only by a compare-and-exchange from a value > 0.
 * 2. A taker counts itself as parked, then looks at permits (in Atomics.wait); a giver adds permits, then looks at the
 *    parked count. One of them sees the other, so no permit is given without a wake-up.
 * 3. What a thread wrote before release() is visible to the thread whose acquire() takes that permit.
 */
import { assert } from '../assert.ts';
import { WAIT_SLICE_MS } from '../config/bounds.ts';
import { DEFAULT_SPINS } from './spin.ts';

const PARKED = 1;

export class Semaphore {
  static readonly WORDS = 2;
  readonly #i32: Int32Array;
  readonly #at: number;
  readonly #spins: number;

  /** `index` is the first of WORDS words; word 0 holds the initial permits, word 1 zero. */
  constructor(i32: Int32Array, index: number, spins: number = DEFAULT_SPINS) {
    this.#i32 = i32;
    this.#at = index;
    this.#spins = spins;
  }

  tryAcquire(): boolean {
    let permits = Atomics.load(this.#i32, this.#at);
    while (permits > 0) {
      const found = Atomics.compareExchange(this.#i32, this.#at, permits, permits - 1);
      if (found === permits) return true;
      permits = found;
    }
    return false;
  }

  acquire(): void {
    for (let i = 0; i < this.#spins; i++) if (this.tryAcquire()) return;
    Atomics.add(this.#i32, this.#at + PARKED, 1);
    while (!this.tryAcquire()) Atomics.wait(this.#i32, this.#at, 0, WAIT_SLICE_MS);
    Atomics.sub(this.#i32, this.#at + PARKED, 1);
  }

  release(permits = 1): void {
    assert(permits > 0, 'a release gives at least one permit');
    const before = Atomics.add(this.#i32, this.#at, permits);
    assert(before >= 0 && before + permits < 2 ** 31, 'permits fit a signed word');
    if (Atomics.load(this.#i32, this.#at + PARKED) > 0) Atomics.notify(this.#i32, this.#at, permits);
  }

  /** Permits left, a snapshot. */
  get permits(): number {
    return Atomics.load(this.#i32, this.#at);
  }
}

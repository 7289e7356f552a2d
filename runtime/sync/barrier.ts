/**
 * A barrier: `parties` threads wait for each other, again and again.
 *
 * Roles: exactly `parties` threads call wait(), each once a round.
 * Thread safety: wait() from any of them; it blocks its thread.
 *
 * Words: 0 how many have arrived in this round, 1 the round.
 *
 * Invariants:
 * 1. A thread reads the round before it counts itself as arrived, so the round cannot end before it has been read.
 * 2. The last to arrive sets the count to 0, then bumps the round; nobody can arrive for the next round before that.
 * 3. What any party wrote before wait() is visible to all after it.
 */
import { assert } from '../assert.ts';
import { WAIT_SLICE_MS } from '../config/bounds.ts';
import { DEFAULT_SPINS } from './spin.ts';

const ROUND = 1;

export class Barrier {
  static readonly WORDS = 2;
  readonly #i32: Int32Array;
  readonly #at: number;
  readonly #parties: number;
  readonly #spins: number;

  /** `index` is the first of WORDS zeroed words in `i32`; all threads give the same `parties`. */
  constructor(i32: Int32Array, index: number, parties: number, spins: number = DEFAULT_SPINS) {
    assert(parties > 0, 'a barrier is for somebody');
    this.#i32 = i32;
    this.#at = index;
    this.#parties = parties;
    this.#spins = spins;
  }

  /** Returns when all parties have called it in this round; true for the last of them. */
  wait(): boolean {
    const i32 = this.#i32;
    const round = Atomics.load(i32, this.#at + ROUND);
    const arrived = Atomics.add(i32, this.#at, 1) + 1;
    assert(arrived <= this.#parties, 'no more threads than parties');
    if (arrived === this.#parties) {
      Atomics.store(i32, this.#at, 0);
      Atomics.add(i32, this.#at + ROUND, 1);
      Atomics.notify(i32, this.#at + ROUND);
      return true;
    }
    for (let i = 0; i < this.#spins; i++) if (Atomics.load(i32, this.#at + ROUND) !== round) return false;
    while (Atomics.load(i32, this.#at + ROUND) === round) {
      Atomics.wait(i32, this.#at + ROUND, round, WAIT_SLICE_MS);
    }
    return false;
  }
}

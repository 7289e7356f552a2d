/**
 * A value in shared memory that threads replace without a lock, such that the successor of a thread that died can tell
 * whether the replacement it was at has happened. After H. Attiya, O. Ben-Baruch, D. Hendler, "Nesting-Safe Recoverable
 * Linearizability" (PODC 2018).
 *
 * One aligned u64: low word the value, high word the stamp: a tag above (24 bits), the row of the thread that stored it
 * below (8 bits: slot + 1, 0 = a thread without a row).
 *
 * Roles: any thread, each through its own instance with its own row (slab-caches.ts).
 *
 * Invariants:
 * 1. The word changes only by a 64-bit compare-and-exchange that adds 1 to the tag, so no stamp recurs before 2^24
 *    changes. A thread would have to stand between its load and its exchange for exactly a multiple of that.
 * 2. The two halves are loaded one by one, the value first. If a pair that was never there is put together, the exchange
 *    fails; if it succeeds, the value was there ever since the stamp was loaded.
 * 3. Before its exchange a thread writes the new stamp to its row (PENDING of this word); whoever replaces a value first
 *    clears that word if it still holds the stamp that goes. So an exchange has happened exactly if its stamp is in
 *    place, or is not pending any more. A successor looks in this order.
 */
import type { SlabRow } from './slab-caches.ts';

const OWNER_BITS = 8;
export const OWNER_MASK = 2 ** OWNER_BITS - 1;

export class StampedWord {
  /** Number among the stamped words. */
  readonly number: number;
  readonly #row: SlabRow;
  readonly #u32: Uint32Array;
  readonly #u64: BigUint64Array;
  readonly #at: number;
  // Two u32 seen as one u64: how a value for the exchange is put together in either byte order.
  readonly #halves = new Uint32Array(4);
  readonly #wholes = new BigUint64Array(this.#halves.buffer);

  /** `u32` and `u64` start at the same byte; `at` is the even index of the value in `u32`. */
  constructor(u32: Uint32Array, u64: BigUint64Array, at: number, number: number, row: SlabRow) {
    this.#u32 = u32;
    this.#u64 = u64;
    this.#at = at;
    this.number = number;
    this.#row = row;
  }

  value(): number {
    return Atomics.load(this.#u32, this.#at);
  }

  stamp(): number {
    return Atomics.load(this.#u32, this.#at + 1);
  }

  /** The stamp this thread puts in the place of `stamp`. */
  after(stamp: number): number {
    return ((((stamp >>> OWNER_BITS) + 1) << OWNER_BITS) | this.#row.owner) >>> 0;
  }

  /** One attempt, after the row has announced it. */
  replace(value: number, stamp: number, newValue: number): boolean {
    this.#row.confirm(this.number, stamp);
    this.#halves[0] = value;
    this.#halves[1] = stamp;
    this.#halves[2] = newValue;
    this.#halves[3] = this.after(stamp);
    const expected = this.#wholes[0]!;
    return Atomics.compareExchange(this.#u64, this.#at / 2, expected, this.#wholes[1]!) === expected;
  }
}

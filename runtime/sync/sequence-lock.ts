/**
 * A sequence lock: readers never block a writer and never write; they retry when a writer was there meanwhile.
 * After H.-J. Boehm, "Can Seqlocks Get Along with Programming Language Memory Models?" (MSPC 2012).
 *
 * Roles: one writer at a time (whoever holds the mutex that guards the data), any number of readers:
 *
 *     let seen;
 *     do { seen = lock.readBegin(); …copy what is needed, follow nothing unchecked… } while (lock.readRetry(seen));
 *
 * Between readBegin and readRetry a reader may see any mixture of old and new words. It must therefore bound its loops
 * and check its indexes, and must use nothing of what it read before readRetry has returned false.
 *
 * Word: 0 the sequence. Odd = a write is under way.
 *
 * Invariants and memory order:
 * 1. The sequence changes only by the writer: +1 at writeBegin (to odd), +1 at writeEnd (to even).
 * 2. writeEnd publishes: a reader whose readBegin sees the new even value sees all of the write.
 * 3. The writer's plain stores stay after writeBegin, and the reader's plain loads stay before readRetry.
 *    On x64 hardware gives both (stores are not reordered with stores, nor loads with loads), so readRetry is a load.
 *    Elsewhere readRetry is a read-modify-write. All read-modify-writes of one word are totally ordered: if the reader's
 *    comes first, the writer's writeBegin reads from it, so the reader's loads happen before the writer's stores and
 *    cannot have seen them; if it comes second it returns the odd or a later value and the reader retries.
 * 4. A thread that ends between writeBegin and writeEnd leaves the sequence odd, and every reader waits until whoever
 *    repairs what it guards ends the write. Until then readers can only be ended from outside, which works at any
 *    moment of their wait; therefore the thread that would do so must never read under this lock.
 */
import { assert } from '../assert.ts';
import { DEFAULT_SPINS } from './spin.ts';
import { stillWaiting } from './waiting.ts';

const LOADS_STAY_ORDERED = process.arch === 'x64' || process.arch === 'ia32';
/** A writer that was preempted is given its CPU: readers sleep this long between looks, milliseconds. */
const WRITER_PREEMPTED_MS = 1;

export class SequenceLock {
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

  writeBegin(): void {
    const before = Atomics.add(this.#i32, this.#at, 1);
    assert((before & 1) === 0, 'one writer at a time');
  }

  writeEnd(): void {
    const before = Atomics.add(this.#i32, this.#at, 1);
    assert((before & 1) === 1, 'writeEnd follows writeBegin');
  }

  /** Whether a write is under way; a snapshot. */
  get writing(): boolean {
    return (Atomics.load(this.#i32, this.#at) & 1) !== 0;
  }

  /** The even sequence to give to readRetry. Waits while a write is under way. */
  readBegin(): number {
    let seen = Atomics.load(this.#i32, this.#at);
    for (let i = 0; (seen & 1) !== 0; i++) {
      if (i >= this.#spins) {
        Atomics.wait(this.#i32, this.#at, seen, WRITER_PREEMPTED_MS);
        stillWaiting();
      }
      seen = Atomics.load(this.#i32, this.#at);
    }
    return seen;
  }

  /** As readBegin for who may not wait: −1 while a write is under way, however long, and be its writer dead. */
  tryReadBegin(): number {
    const seen = Atomics.load(this.#i32, this.#at);
    return (seen & 1) === 0 ? seen : -1;
  }

  /** True when a write began since readBegin returned `seen`: what was read may be torn, read again. */
  readRetry(seen: number): boolean {
    return (
      (LOADS_STAY_ORDERED ? Atomics.load(this.#i32, this.#at) : Atomics.add(this.#i32, this.#at, 0)) !== seen
    );
  }
}

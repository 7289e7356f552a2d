/**
 * A mutual-exclusion lock that spins briefly and then parks, and that outlives the death of a thread.
 * After U. Drepper, "Futexes Are Tricky" (mutex 2), with the holder in the state word as Linux's robust futexes have it.
 *
 * Roles: any thread locks; only the thread that locked unlocks. Not recursive. Who knows that a thread has ended may
 * break what it held.
 * Thread safety: every method, from any thread. lock() blocks its thread, so an event loop should use tryLock(), or
 * lock() only where the lock is held for microseconds. The main thread, which is the one that breaks locks, must not
 * block on one at all.
 *
 * Words: 0 state: 0 = free, else the holder's thread id + 1, plus WAITERS when somebody may be parked; 1 how often
 * lock() had to park.
 *
 * Invariants:
 * 1. state leaves 0 only by an atomic read-modify-write that names the new holder, and returns to 0 by one of the
 *    holder. So there is no moment at which the lock is held and nobody can say by whom.
 * 2. A thread parks only on a state with WAITERS, and one that may have parked takes the lock with WAITERS set, since
 *    others may still be parked. So the unlock of whoever holds it wakes one.
 * 3. What the holder wrote before unlock() is visible to whoever locks next (the state word orders it).
 * 4. A thread may end between any two of these steps. If it held the lock, the state says so for good. If it did not,
 *    it can still have been the one that was woken, or have freed the lock and woken nobody yet. breakFor() undoes
 *    both: it frees what the dead thread holds, and wakes whoever is parked to look again.
 */
import { threadId } from 'node:worker_threads';
import { assert } from '../assert.ts';
import { WAIT_SLICE_MS } from '../config/bounds.ts';
import { DEFAULT_SPINS } from './spin.ts';
import { stillWaiting } from './waiting.ts';

const FREE = 0;
const WAITERS = 1 << 30;

const PARKS = 1;

const SELF = threadId + 1;
assert(SELF > FREE && SELF < WAITERS, 'a thread id leaves room for the flag');

export class Mutex {
  static readonly WORDS = 2;
  readonly #i32: Int32Array;
  readonly #at: number;
  readonly #spins: number;

  /** `index` is the first of WORDS zeroed words in `i32`. */
  constructor(i32: Int32Array, index: number, spins: number = DEFAULT_SPINS) {
    this.#i32 = i32;
    this.#at = index;
    this.#spins = spins;
  }

  tryLock(): boolean {
    return Atomics.compareExchange(this.#i32, this.#at, FREE, SELF) === FREE;
  }

  /** Returns once the lock is held. Locking again what this thread holds is a bug (it would never return). */
  lock(): void {
    if (this.tryLock()) return;
    assert(!this.heldHere, 'a mutex is not recursive');
    for (let i = 0; i < this.#spins; i++) {
      if (Atomics.load(this.#i32, this.#at) === FREE && this.tryLock()) return;
    }
    while (!this.#lockOrPark()) stillWaiting();
  }

  /** One attempt of a thread that may have parked: true once the lock is held. */
  #lockOrPark(): boolean {
    const i32 = this.#i32;
    const seen = Atomics.load(i32, this.#at);
    if (seen === FREE) return Atomics.compareExchange(i32, this.#at, FREE, SELF | WAITERS) === FREE;
    const awaited = seen | WAITERS;
    if (seen !== awaited && Atomics.compareExchange(i32, this.#at, seen, awaited) !== seen) return false;
    Atomics.add(i32, this.#at + PARKS, 1);
    Atomics.wait(i32, this.#at, awaited, WAIT_SLICE_MS);
    return false;
  }

  unlock(): void {
    assert(this.heldHere, 'a mutex is unlocked by its owner');
    if ((Atomics.exchange(this.#i32, this.#at, FREE) & WAITERS) !== 0) {
      Atomics.notify(this.#i32, this.#at, 1);
    }
  }

  /**
   * For whoever knows that thread `dead` (Node's thread id) has ended: frees the lock if that thread held it, and wakes
   * those it may have left parked. Returns whether it held it. What the lock guards is as that thread left it, so
   * the caller repairs that before, or knows that there is nothing to repair.
   */
  breakFor(dead: number): boolean {
    const held = dead >= 0 && this.holder === dead;
    // Beside a dead holder the word changes only by WAITERS being added, which is lost without harm: all are woken.
    if (held) Atomics.store(this.#i32, this.#at, FREE);
    Atomics.notify(this.#i32, this.#at);
    return held;
  }

  /** Whether the calling thread holds it. */
  get heldHere(): boolean {
    return (Atomics.load(this.#i32, this.#at) & ~WAITERS) === SELF;
  }

  /** Node's thread id of the holder, −1 when free; a snapshot. Of a holder that has ended it stays true. */
  get holder(): number {
    return (Atomics.load(this.#i32, this.#at) & ~WAITERS) - 1;
  }

  /** Whether a thread may be parked for it; a snapshot, for diagnosis. */
  get contended(): boolean {
    return (Atomics.load(this.#i32, this.#at) & WAITERS) !== 0;
  }

  /** How often a lock() had to park, modulo 2^32: a measure of contention. */
  get parks(): number {
    return Atomics.load(this.#i32, this.#at + PARKS) >>> 0;
  }
}

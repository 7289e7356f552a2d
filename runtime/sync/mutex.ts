/**
 * A mutual-exclusion lock that spins briefly and then parks.
 * After U. Drepper, "Futexes Are Tricky" (mutex 2), with an owner word.
 *
 * Roles: any thread locks; only the thread that locked unlocks. Not recursive.
 * Thread safety: every method, from any thread. lock() blocks its thread, so an event loop should use tryLock(), or
 * lock() only where the lock is held for microseconds.
 *
 * Words: 0 state (FREE, HELD, CONTENDED = held and somebody may be parked), 1 owner (thread id + 1, 0 = nobody),
 * 2 how often lock() had to park.
 *
 * Invariants:
 * 1. state leaves FREE only by an atomic read-modify-write of the thread that becomes the holder.
 * 2. A thread parks only after it has set state to CONTENDED, so the holder's unlock sees CONTENDED and wakes one.
 * 3. owner is written by the holder only: after taking the lock, and to 0 before giving it up.
 * 4. What the holder wrote before unlock() is visible to whoever locks next (the state word orders it).
 */
import { threadId } from 'node:worker_threads';
import { assert } from '../assert.ts';
import { WAIT_SLICE_MS } from '../config/bounds.ts';
import { DEFAULT_SPINS } from './spin.ts';

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

const OWNER = 1;
const PARKS = 2;

const SELF = threadId + 1;

export class Mutex {
  static readonly WORDS = 3;
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
    if (Atomics.compareExchange(this.#i32, this.#at, FREE, HELD) !== FREE) return false;
    Atomics.store(this.#i32, this.#at + OWNER, SELF);
    return true;
  }

  /** Returns once the lock is held. Locking again what this thread holds is a bug (it would never return). */
  lock(): void {
    if (this.tryLock()) return;
    assert(Atomics.load(this.#i32, this.#at + OWNER) !== SELF, 'a mutex is not recursive');
    for (let i = 0; i < this.#spins; i++) {
      if (Atomics.load(this.#i32, this.#at) === FREE && this.tryLock()) return;
    }
    while (Atomics.exchange(this.#i32, this.#at, CONTENDED) !== FREE) {
      Atomics.add(this.#i32, this.#at + PARKS, 1);
      Atomics.wait(this.#i32, this.#at, CONTENDED, WAIT_SLICE_MS);
    }
    Atomics.store(this.#i32, this.#at + OWNER, SELF);
  }

  unlock(): void {
    assert(Atomics.load(this.#i32, this.#at + OWNER) === SELF, 'a mutex is unlocked by its owner');
    Atomics.store(this.#i32, this.#at + OWNER, 0);
    if (Atomics.exchange(this.#i32, this.#at, FREE) === CONTENDED) Atomics.notify(this.#i32, this.#at, 1);
  }

  /** Whether the calling thread holds it. */
  get heldHere(): boolean {
    return Atomics.load(this.#i32, this.#at + OWNER) === SELF;
  }

  /** Node's thread id of the holder, −1 when free; a snapshot, for diagnosis. */
  get holder(): number {
    return Atomics.load(this.#i32, this.#at + OWNER) - 1;
  }

  /** Whether somebody may be parked for it; a snapshot, for diagnosis. */
  get contended(): boolean {
    return Atomics.load(this.#i32, this.#at) === CONTENDED;
  }

  /** How often a lock() had to park, modulo 2^32: a measure of contention. */
  get parks(): number {
    return Atomics.load(this.#i32, this.#at + PARKS) >>> 0;
  }
}

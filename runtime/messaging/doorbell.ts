/**
 * A doorbell: how any thread gets the attention of one. It carries no data; the rings it stands for do.
 *
 * Roles: one owner, who waits in one of three ways: wait() on the word (a plain thread), waitAsync() (an event loop),
 * park() and unpark() around poll(2) (a thread that sleeps in the kernel). Any thread, the owner too, may ring.
 *
 * The owner's loop, which no ring escapes:
 *
 *     const seen = doorbell.seen();       // before looking for work
 *     if (no work found) doorbell.wait(seen, timeout);
 *
 * Words: 0 sequence, bumped by each ring; 1 state: AWAKE, WAITING (on this word), PARKED (in poll); 2 the eventfd.
 *
 * Invariants:
 * 1. A ringer bumps the sequence, then looks at the state. The owner sets the state, then looks at the sequence.
 *    Both are sequentially consistent, so at least one of them sees the other: a ring is never lost.
 * 2. Rings coalesce: of the ringers that find the owner asleep, the one that moves state to AWAKE wakes it. A ringer from
 *    before `seen` may do so just before the owner sleeps; therefore the owner sleeps on the state word, while it is
 *    WAITING, and not on the sequence, which says nothing of that ringer.
 * 3. Every wait is bounded by WAIT_SLICE_MS; waking without a ring is allowed, the owner just looks again.
 * 4. Each write of 1 to the eventfd belongs to one PARKED → AWAKE by a ringer, and comes after it, perhaps late. unpark()
 *    empties the eventfd when its own park was ended so, and when poll(2) found it readable. A write that is still
 *    to come then ends a later poll without a ring, once.
 * 5. An owner that died leaves its state and writes behind. armDescriptor() takes both back; what a ringer of that time
 *    writes even later is as in 4.
 */
import { readSync, writeSync } from 'node:fs';
import { assert } from '../assert.ts';
import { WAIT_SLICE_MS } from '../config/bounds.ts';
import { DEFAULT_SPINS } from '../sync/spin.ts';

const AWAKE = 0;
const WAITING = 1;
const PARKED = 2;

const STATE = 1;
const DESCRIPTOR = 2;

/** What a write to an eventfd adds: 1, as a little-endian u64 (eventfd(2)). */
const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

export class Doorbell {
  static readonly WORDS = 3;
  readonly #i32: Int32Array;
  readonly #at: number;
  readonly #spins: number;
  /** Whether the engine holds an asynchronous waiter for this owner. */
  #registered = false;
  /** Ends the waitAsync() under way. */
  #wake: (() => void) | undefined;
  /** Between park() and unpark(). */
  #parked = false;
  readonly #counter = new Uint8Array(8);

  /** `index` is the first of WORDS zeroed words in `i32`, best on a cache line of their own. */
  constructor(i32: Int32Array, index: number, spins: number = DEFAULT_SPINS) {
    this.#i32 = i32;
    this.#at = index;
    this.#spins = spins;
  }

  /** Any thread. While the owner is awake this is two atomic operations and no system call. */
  ring(): void {
    const i32 = this.#i32;
    const stateAt = this.#at + STATE;
    Atomics.add(i32, this.#at, 1);
    const state = Atomics.load(i32, stateAt);
    if (state === AWAKE || Atomics.compareExchange(i32, stateAt, state, AWAKE) !== state) return;
    if (state === WAITING) Atomics.notify(i32, stateAt);
    else writeSync(Atomics.load(i32, this.#at + DESCRIPTOR), ONE);
  }

  /** Any thread: whether the owner waits; a snapshot. */
  get isAsleep(): boolean {
    return Atomics.load(this.#i32, this.#at + STATE) !== AWAKE;
  }

  /** Owner: the sequence to wait from. Take it before looking for work. */
  seen(): number {
    return Atomics.load(this.#i32, this.#at);
  }

  /** Owner: returns after a ring since `seen`, after `timeoutMs`, or after WAIT_SLICE_MS. Spins briefly first. */
  wait(seen: number, timeoutMs: number): void {
    const i32 = this.#i32;
    for (let i = 0; i < this.#spins; i++) if (Atomics.load(i32, this.#at) !== seen) return;
    const stateAt = this.#at + STATE;
    Atomics.store(i32, stateAt, WAITING);
    if (Atomics.load(i32, this.#at) === seen) Atomics.wait(i32, stateAt, WAITING, bounded(timeoutMs));
    Atomics.store(i32, stateAt, AWAKE);
  }

  /**
   * Owner on an event loop: resolves as wait() returns, in a microtask when something was rung since `seen`. Its timer
   * keeps the loop alive until then and no longer. One call at a time.
   */
  async waitAsync(seen: number, timeoutMs: number): Promise<void> {
    const i32 = this.#i32;
    assert(this.#wake === undefined, 'a doorbell has one owner, who waits once at a time');
    Atomics.store(i32, this.#at + STATE, WAITING);
    if (Atomics.load(i32, this.#at) === seen && this.#registerWaiter()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, bounded(timeoutMs));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    Atomics.store(i32, this.#at + STATE, AWAKE);
  }

  /** A waiter that a timeout outlived cannot be withdrawn from the engine; the next wait uses it again. */
  #registerWaiter(): boolean {
    if (this.#registered) return true;
    const result = Atomics.waitAsync(this.#i32, this.#at + STATE, WAITING);
    if (!result.async) return false;
    this.#registered = true;
    result.value.then(() => {
      this.#registered = false;
      this.#wake?.();
    });
    return true;
  }

  /** Owner, once, before the first park(): `fd` is an eventfd (EFD_NONBLOCK) that it polls beside its own descriptors. */
  armDescriptor(fd: number): void {
    Atomics.store(this.#i32, this.#at + DESCRIPTOR, fd);
    Atomics.store(this.#i32, this.#at + STATE, AWAKE);
    this.#empty();
  }

  /** Owner, before poll(2). False: something was rung since `seen`, do not sleep; unpark() is then already done. */
  park(seen: number): boolean {
    this.#parked = true;
    Atomics.store(this.#i32, this.#at + STATE, PARKED);
    if (Atomics.load(this.#i32, this.#at) === seen) return true;
    this.unpark(false);
    return false;
  }

  /** Owner, after poll(2), whatever it returned. `isReadable`: it found the eventfd readable. */
  unpark(isReadable: boolean): void {
    if (!this.#parked) return;
    this.#parked = false;
    const isRung = Atomics.exchange(this.#i32, this.#at + STATE, AWAKE) !== PARKED;
    if (isRung || isReadable) this.#empty();
  }

  #empty(): void {
    try {
      readSync(Atomics.load(this.#i32, this.#at + DESCRIPTOR), this.#counter);
    } catch (error) {
      // Nothing there, or the write is still to come.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

function bounded(timeoutMs: number): number {
  return Math.max(0, Math.min(timeoutMs, WAIT_SLICE_MS));
}

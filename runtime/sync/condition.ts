/**
 * A condition variable: to wait, without holding the mutex, until another thread says that something changed.
 *
 * Roles: any thread waits, holding the mutex that guards the condition; any thread notifies, best holding it too.
 * The caller tests in a loop, since a wait may end without a notify (every wait is bounded):
 *
 *     mutex.lock(); while (!ready) condition.wait(mutex); …; mutex.unlock();
 *
 * Word: 0 sequence, bumped by each notify.
 *
 * Invariants:
 * 1. wait() reads the sequence before it gives up the mutex. A notify after that changes the sequence, so the park
 *    returns at once or is woken: a notify made under the mutex is never lost.
 */
import { WAIT_SLICE_MS } from '../config/bounds.ts';
import type { Mutex } from './mutex.ts';

export class Condition {
  static readonly WORDS = 1;
  readonly #i32: Int32Array;
  readonly #at: number;

  /** `index` is a zeroed word in `i32`. */
  constructor(i32: Int32Array, index: number) {
    this.#i32 = i32;
    this.#at = index;
  }

  /** Gives up `mutex`, waits for a notify or `timeoutMs` (at most WAIT_SLICE_MS), takes it again. */
  wait(mutex: Mutex, timeoutMs: number = WAIT_SLICE_MS): void {
    const seen = Atomics.load(this.#i32, this.#at);
    mutex.unlock();
    Atomics.wait(this.#i32, this.#at, seen, Math.min(timeoutMs, WAIT_SLICE_MS));
    mutex.lock();
  }

  notifyOne(): void {
    Atomics.add(this.#i32, this.#at, 1);
    Atomics.notify(this.#i32, this.#at, 1);
  }

  notifyAll(): void {
    Atomics.add(this.#i32, this.#at, 1);
    Atomics.notify(this.#i32, this.#at);
  }
}

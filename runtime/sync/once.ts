/**
 * Something that is done once, by whichever thread comes first, while the others wait for it.
 *
 * Roles: any thread calls run(). Not recursive.
 * Thread safety: run() from any thread; it blocks while another thread is at it.
 *
 * Word: 0 NEW, RUNNING or DONE.
 *
 * Invariants:
 * 1. NEW → RUNNING is one compare-and-exchange, so one thread acts. RUNNING → DONE publishes what it wrote.
 * 2. If the action throws, RUNNING → NEW: the next to come, or one that waits, tries again.
 */
import { WAIT_SLICE_MS } from '../config/bounds.ts';

const NEW = 0;
const RUNNING = 1;
const DONE = 2;

export class Once {
  static readonly WORDS = 1;
  readonly #i32: Int32Array;
  readonly #at: number;

  /** `index` is a zeroed word in `i32`. */
  constructor(i32: Int32Array, index: number) {
    this.#i32 = i32;
    this.#at = index;
  }

  /** Returns when `action` has been done, by this thread (true) or another (false). What it throws is thrown here only. */
  run(action: () => void): boolean {
    for (;;) {
      const state = Atomics.compareExchange(this.#i32, this.#at, NEW, RUNNING);
      if (state === DONE) return false;
      if (state === NEW) break;
      Atomics.wait(this.#i32, this.#at, RUNNING, WAIT_SLICE_MS);
    }
    let outcome = NEW;
    try {
      action();
      outcome = DONE;
    } finally {
      Atomics.store(this.#i32, this.#at, outcome);
      Atomics.notify(this.#i32, this.#at);
    }
    return true;
  }
}

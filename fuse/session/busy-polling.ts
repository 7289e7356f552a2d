/**
 * How long a thread looks for the next request before it sleeps: waking a parked thread on a halted CPU costs many times the
 * request itself, so it is worth a while, as long as requests keep coming.
 *
 * It is worth nothing where the client needs the CPU that this thread looks on. What shows that: this thread has looked in vain, went to
 * sleep, and there the request was. Then requests are left to wake it, twice as many each time that a look is in vain again.
 */
import { availableParallelism } from 'node:os';

/** Requests this soon after parking keep coming. It includes what waking two halted CPUs takes: the client's, and this thread's. */
const SOON_MS = 1;
/** So soon after a look in vain, the request was there all along. */
const AT_ONCE_MS = 0.3;
/** Requests that wake the thread at most before it looks again. */
const REST_MAX = 4096;

/** On one CPU the client cannot run while this thread polls for its request. */
const HAS_SEVERAL_CPUS = availableParallelism() > 1;

export class BusyPolling {
  /** What the next busy-poll may take, ms: everything while polling pays, halved for each one that ends without a request. */
  ms: number;
  readonly #microseconds: () => number;
  /** The last look was in vain, and no request has come since. */
  #isInVain = false;
  /** How many requests the last rest lasted, and how many are left of it. */
  #rest = 0;
  #left = 0;

  constructor(microseconds: () => number) {
    this.#microseconds = microseconds;
    this.ms = this.#maxMs;
  }

  get #maxMs(): number {
    return HAS_SEVERAL_CPUS ? this.#microseconds() / 1000 : 0;
  }

  caught(): void {
    this.ms = this.#maxMs;
    this.#rest >>>= 1;
  }

  missed(): void {
    this.ms = this.ms > this.#maxMs / 8 ? this.ms / 2 : 0;
    this.#isInVain = true;
  }

  /** A request ended a sleep of so many ms. Whether requests keep coming. */
  woken(ms: number): boolean {
    const isInVain = this.#isInVain;
    this.#isInVain = false;
    if (ms >= SOON_MS) return false;
    if (isInVain && ms < AT_ONCE_MS) {
      this.#rest = Math.min(REST_MAX, Math.max(1, this.#rest * 2));
      this.#left = this.#rest;
      this.ms = 0;
    } else if (this.ms === 0 && --this.#left <= 0) {
      this.ms = this.#maxMs;
    }
    return true;
  }
}

/**
 * How long a thread looks for the next request before it sleeps: waking a parked thread on a halted CPU costs many times the
 * request itself, so it is worth a while, as long as requests keep coming.
 */
import { availableParallelism } from 'node:os';

/** A request this soon after parking, wake-up included, would have been caught by busy-polling. */
const SOON_MS = 0.3;

/** On one CPU the client cannot run while this thread polls for its request. */
const HAS_SEVERAL_CPUS = availableParallelism() > 1;

export class BusyPolling {
  /** What the next busy-poll may take, ms: everything while polling pays, halved for each one that ends without a request. */
  ms: number;
  readonly #microseconds: () => number;

  constructor(microseconds: () => number) {
    this.#microseconds = microseconds;
    this.ms = this.#maxMs;
  }

  get #maxMs(): number {
    return HAS_SEVERAL_CPUS ? this.#microseconds() / 1000 : 0;
  }

  caught(): void {
    this.ms = this.#maxMs;
  }

  missed(): void {
    this.ms = this.ms > this.#maxMs / 8 ? this.ms / 2 : 0;
  }

  /** A request ended a sleep of so many ms. Whether it would have been caught. */
  woken(ms: number): boolean {
    if (ms >= SOON_MS) return false;
    if (this.ms === 0) this.ms = this.#maxMs;
    return true;
  }
}

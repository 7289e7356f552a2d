/** Time as a dependency, so that tests can own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch with a sub-millisecond fraction; follows adjustments of the system clock. */
  now(): number;
  /** Milliseconds of a clock that never goes back, comparable between the threads of one process. */
  monotonic(): number;
}

const RESYNC_MS = 250;
let epochOffset = Date.now() - performance.now();
let resyncAt = 0;

/** `performance.now()` counts from the start of the process in every worker thread, which makes it comparable. */
export const systemClock: Clock = {
  now() {
    const elapsed = performance.now();
    if (elapsed >= resyncAt) {
      const drift = Date.now() - (elapsed + epochOffset);
      // Date.now() is truncated to a millisecond: anything within that is not drift.
      if (drift < -0.01 || drift > 1.01) epochOffset += drift;
      resyncAt = elapsed + RESYNC_MS;
    }
    return elapsed + epochOffset;
  },
  monotonic: () => performance.now(),
};

import { realtime } from './system/libc.ts';

/** Time as a dependency, so that tests can own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch with a sub-millisecond fraction; follows adjustments of the system clock. */
  now(): number;
  /** Milliseconds of a clock that never goes back, comparable between the threads of one process. */
  monotonic(): number;
}

const RESYNC_MS = 250;
/** Threads read their clocks at slightly different moments: less than this is no adjustment of the system's, ms. */
const TOLERANCE_MS = 0.05;
/** `performance.now()` counts from the start of the process in every worker thread, which makes it comparable. */
let epochOffset = realtime() - performance.now();
let resyncAt = 0;

export const systemClock: Clock = {
  now() {
    const elapsed = performance.now();
    if (elapsed >= resyncAt) {
      // Not Date.now(), which is up to a millisecond late: files would be older than the moment before they were made.
      const drift = realtime() - performance.now() - epochOffset;
      if (Math.abs(drift) > TOLERANCE_MS) epochOffset += drift;
      resyncAt = elapsed + RESYNC_MS;
    }
    return elapsed + epochOffset;
  },
  monotonic: () => performance.now(),
};

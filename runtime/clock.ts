/** Time as a dependency, so that tests can own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch, with a fraction (the resolution is that of `performance`, ~1 µs). */
  now(): number;
  /** Milliseconds of a clock that never goes back; comparable between the threads of one process. */
  monotonic(): number;
}

/** performance.timeOrigin differs between threads, so the sum is what they share. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  monotonic: () => performance.timeOrigin + performance.now(),
};

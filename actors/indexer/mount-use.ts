/**
 * Whether programs keep asking the mount for something, by the heartbeats of the fuse actors, of which each request is one. Then
 * whatever the indexer takes of a CPU is taken from them: a low priority counts among the threads of this process alone, where
 * Linux divides CPUs between sessions or control groups first.
 */
import type { ActorState } from '../../runtime/scheduling/actor-state.ts';

/** So many a millisecond, and the mount is in use. */
const REQUESTS_PER_MS = 0.5;
/** Between two looks, ms. */
const LOOK_MS = 5;

export class MountUse {
  readonly #states: readonly ActorState[];
  /** Milliseconds of a monotonic clock. */
  readonly #now: () => number;
  #beats: number;
  #lookedAt: number;
  #isInUse = false;

  constructor(states: readonly ActorState[], now: () => number) {
    this.#states = states;
    this.#now = now;
    this.#beats = this.#count();
    this.#lookedAt = now();
  }

  /** As of the time since the last look. */
  isInUse(): boolean {
    const now = this.#now();
    const elapsed = now - this.#lookedAt;
    if (elapsed >= LOOK_MS) {
      const beats = this.#count();
      this.#isInUse = ((beats - this.#beats) >>> 0) / elapsed >= REQUESTS_PER_MS;
      this.#beats = beats;
      this.#lookedAt = now;
    }
    return this.#isInUse;
  }

  /** Modulo 2^32, as the heartbeats are. */
  #count(): number {
    let beats = 0;
    for (const state of this.#states) beats = (beats + state.heartbeat) >>> 0;
    return beats;
  }
}

/**
 * The shared table of actor states: one row of a cache line per actor.
 *
 * Roles: the actor's own thread writes its row (single writer), except that the supervisor writes FAILED for a thread
 * that can no longer do so. Any thread reads.
 *
 * Invariants
 * 1. A state only moves forward: ABSENT → STARTING → READY → DRAINING → STOPPED, or to FAILED from any of them.
 * 2. Storing READY publishes everything the actor set up in shared memory before it.
 * 3. Every store of a state is followed by a notify, so a waiter needs no polling.
 * 4. The heartbeat only grows; it counts turns of the run loop, so a parked actor's stands still.
 */
import type { Region } from '../memory/arena.ts';

export const ABSENT = 0;
export const STARTING = 1;
export const READY = 2;
export const DRAINING = 3;
export const STOPPED = 4;
export const FAILED = 5;

const NAMES = ['absent', 'starting', 'ready', 'draining', 'stopped', 'failed'] as const;
export type StateName = (typeof NAMES)[number];

const ROW_WORDS = 16;
const STATE = 0;
const HEARTBEAT = 1;
const PARKED = 2;
const THREAD = 3;

/** Bytes of the table for `actors` rows. */
export function actorStateBytes(actors: number): number {
  return actors * ROW_WORDS * 4;
}

export class ActorState {
  readonly #words: Int32Array;
  readonly #row: number;

  constructor(region: Region, slot: number) {
    this.#words = region.i32;
    this.#row = slot * ROW_WORDS;
  }

  get(): number {
    return Atomics.load(this.#words, this.#row + STATE);
  }

  get label(): StateName {
    return NAMES[this.get()] ?? 'failed';
  }

  set(state: number): void {
    Atomics.store(this.#words, this.#row + STATE, state);
    Atomics.notify(this.#words, this.#row + STATE);
  }

  /** Resolves with the state once it is at least `state`, or with the present one after `timeoutMs`. */
  async reached(state: number, timeoutMs: number): Promise<number> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const seen = this.get();
      const left = deadline - performance.now();
      if (seen >= state || left <= 0) return seen;
      const waiting = Atomics.waitAsync(this.#words, this.#row + STATE, seen, left);
      if (waiting.async) await waiting.value;
    }
  }

  beat(): void {
    Atomics.add(this.#words, this.#row + HEARTBEAT, 1);
  }

  get heartbeat(): number {
    return Atomics.load(this.#words, this.#row + HEARTBEAT) >>> 0;
  }

  set parked(value: boolean) {
    Atomics.store(this.#words, this.#row + PARKED, value ? 1 : 0);
  }

  get parked(): boolean {
    return Atomics.load(this.#words, this.#row + PARKED) === 1;
  }

  /** The operating system's thread id, for looking at it from outside (top -H, perf). */
  set thread(id: number) {
    Atomics.store(this.#words, this.#row + THREAD, id);
  }

  get thread(): number {
    return Atomics.load(this.#words, this.#row + THREAD);
  }
}

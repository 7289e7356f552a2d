/** What graph-race.test.ts and its threads share: their messages, and the vectors that are there many times. */

export interface RaceThread {
  readonly memory: WebAssembly.Memory;
  readonly slot: number;
  readonly dimension: number;
  /** Word 0: 1 = stop. Word 1: threads that are ready. */
  readonly control: Int32Array;
  readonly labels: number;
}

export interface RaceReport {
  readonly inserted: number;
  readonly searched: number;
  /** Searches with an impossible answer. */
  readonly wrong: number;
}

/** Vectors whose components are all the same: farther out than what the searches for others come near to. */
export const TWIN_KINDS = 20;

export function twinComponent(kind: number): number {
  return 3 + kind / 20;
}

/** Who helps whom, and when it is worth it. Pure, so that a simulation decides with the same code as the threads. */

/** What waking a parked thread costs until it works, milliseconds: more on a halted virtual CPU, less on a busy one. */
export const WAKE_MS = 0.1;

/** A worker's weight for its latest task in the mean that it keeps of what a task takes. */
const NEWEST = 1 / 8;

/** Milliseconds a task is thought to take before the first one was run. */
export const FIRST_TASK_MS = 1;

export function meanWith(meanMs: number, latestMs: number): number {
  return meanMs + (latestMs - meanMs) * NEWEST;
}

/**
 * How many others a worker with `waiting` tasks in its deque wants awake, besides itself. It runs the first one at once;
 * the last would wait for all the others. As long as that is less than waking somebody costs, nobody is woken.
 */
export function helpersWanted(waiting: number, taskMs: number): number {
  const others = waiting - 1;
  return others > 0 && others * taskMs > WAKE_MS ? others : 0;
}

/** Distance between two workers: 0 on one memory node, larger from node to node. */
export type Distances = readonly (readonly number[])[];

/**
 * The others in the order in which `self` looks for work and wakes helpers: nearest first, and among equals the next
 * ones in a circle, so that not everybody robs the same one.
 */
export function victimsOf(self: number, workers: number, distances?: Distances): number[] {
  const others = Array.from({ length: workers - 1 }, (_, i) => (self + 1 + i) % workers);
  const distance = (worker: number): number => distances?.[self]?.[worker] ?? 0;
  return others.sort((a, b) => distance(a) - distance(b));
}

/**
 * How the explorer and its logical threads take turns: per thread a line of words in shared memory.
 * A thread runs only between a turn it was given and the state it reports next.
 */
export const LINE = 32;
export const TURN = 0;
export const STATE = 1;
/** Byte address (and value) that a blocked thread waits on. */
export const ADDRESS = 2;
export const VALUE = 3;
/** Byte address + 1 of the notify made in the last step, and how many it wakes. */
export const NOTIFIED = 4;
export const NOTIFY_COUNT = 5;
export const ERROR_LENGTH = 6;
/** 1 = the turn is the thread's last: it stops where it is, for ever. */
export const DIES = 7;
/** Steps that the thread may do in this turn beyond the first; it gives back what is left when it cannot go on, or has notified. */
export const MORE_STEPS = 8;

export const RUNNING = 0;
export const IDLE = 1;
/** About to do an atomic operation. */
export const PAUSED = 2;
/** In Atomics.wait, until notified: the model has no long timeouts, so a lost wake-up is a deadlock. */
export const BLOCKED = 3;
/** In a short timed wait, a yield: until the word has another value. */
export const YIELDED = 4;
export const FAILED = 5;
/** A mortal thread, about to do a plain store: it may die here, but nobody else can tell whether it is done. */
export const STORING = 6;

export const ERROR_BYTES = 2048;

export const { load, store, add, wait, notify } = Atomics;

/**
 * Waits for the word at `index` to change from `value`. It parks at once: spinning would take the CPU from the thread whose
 * turn it is.
 */
export function awaitChange(words: Int32Array, index: number, value: number): number {
  for (;;) {
    const found = load(words, index);
    if (found !== value) return found;
    wait(words, index, value, 100);
  }
}

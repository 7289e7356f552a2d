/**
 * What a thread does whenever it has waited for a slice of time for something that another thread is to do: a lock, room
 * in a ring. A thread that waits does not hang; this is where it says so. Each thread has its own.
 */
let action: () => void = () => {};

export function whileWaiting(each: () => void): void {
  action = each;
}

/** By loops that wait, after each slice. */
export function stillWaiting(): void {
  action();
}

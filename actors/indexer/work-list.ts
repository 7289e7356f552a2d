/**
 * Which files wait to be indexed. A file is due once nobody has written to it for `settleMs`; writing again puts it
 * back. The list itself is not durable: what was not indexed shows in the inode's version columns at the next mount.
 */
export class WorkList {
  readonly #due = new Map<number, number>();
  readonly #settleMs: number;
  #hurried = false;

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  get size(): number {
    return this.#due.size;
  }

  changed(ino: number, now: number): void {
    // Re-inserting keeps the map ordered by due time, as the settle time is the same for all.
    this.#due.delete(ino);
    this.#due.set(ino, now + this.#settleMs);
  }

  /** Until the list is empty, nothing waits for its settle time: somebody is waiting for the whole. */
  hurry(): void {
    this.#hurried = this.#due.size > 0;
  }

  /** Takes the next due file, or −1. */
  take(now: number): number {
    for (const [ino, due] of this.#due) {
      if (due > now && !this.#hurried) return -1;
      this.#due.delete(ino);
      if (this.#due.size === 0) this.#hurried = false;
      return ino;
    }
    return -1;
  }

  /** Milliseconds until the next file is due; Infinity when none waits. */
  nextDueIn(now: number): number {
    for (const due of this.#due.values()) return this.#hurried ? 0 : Math.max(0, due - now);
    return Number.POSITIVE_INFINITY;
  }
}

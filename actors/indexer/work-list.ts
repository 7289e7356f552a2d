/**
 * Which files wait to be indexed. A file is due once nobody has written to it for a while; writing again puts it back.
 * A while that became shorter applies to files that change from then on. The list itself is not durable: what was not indexed shows in the inode's version columns at the next mount.
 */
export class WorkList {
  readonly #due = new Map<number, number>();
  readonly #settleMs: () => number;

  /** @param settleMs how long a while is at present, milliseconds */
  constructor(settleMs: () => number) {
    this.#settleMs = settleMs;
  }

  get size(): number {
    return this.#due.size;
  }

  files(): Iterable<number> {
    return this.#due.keys();
  }

  changed(ino: number, now: number): void {
    // Re-inserting keeps the map ordered by due time, unless the settle time has just become shorter.
    this.#due.delete(ino);
    this.#due.set(ino, now + this.#settleMs());
  }

  /** Takes the file that is due first, or −1. `inHurry`: one that is not due yet will do. */
  take(now: number, inHurry: boolean): number {
    for (const [ino, due] of this.#due) {
      if (due > now && !inHurry) return -1;
      this.#due.delete(ino);
      return ino;
    }
    return -1;
  }

  /** Milliseconds until the next file is due; Infinity when none waits. */
  nextDueIn(now: number): number {
    for (const due of this.#due.values()) return Math.max(0, due - now);
    return Number.POSITIVE_INFINITY;
  }
}

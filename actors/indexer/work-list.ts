/** Neither a file nor "not listed": there is no next, or none before. */
const NONE = -1;
const ROOM = 1024;

/**
 * Which files wait to be indexed. A file is due once nobody has written to it for a while; writing again puts it back.
 * A while that became shorter applies to files that change from then on. The list itself is not durable: what was not indexed
 * shows in the inode's version columns at the next mount.
 *
 * A doubly linked list through arrays that are indexed by inode number: a change of a file, which may be one of 50,000 a second,
 * costs a few stores and makes no object.
 */
export class WorkList {
  /** The file after and before each; 0 = it is not in the list (inode numbers begin with 1). */
  #next = new Int32Array(ROOM);
  #previous = new Int32Array(ROOM);
  /** When each is due, ms. */
  #due = new Float64Array(ROOM);
  #first = NONE;
  #last = NONE;
  #size = 0;
  readonly #settleMs: () => number;

  /** @param settleMs how long a while is at present, milliseconds */
  constructor(settleMs: () => number) {
    this.#settleMs = settleMs;
  }

  get size(): number {
    return this.#size;
  }

  *files(): Iterable<number> {
    for (let ino = this.#first; ino !== NONE; ino = this.#next[ino]!) yield ino;
  }

  changed(ino: number, now: number): void {
    if (ino >= this.#next.length) this.#grow(ino);
    // At the end the list stays ordered by due time, unless the settle time has just become shorter.
    if (this.#next[ino] !== 0) this.#remove(ino);
    const last = this.#last;
    this.#due[ino] = now + this.#settleMs();
    this.#next[ino] = NONE;
    this.#previous[ino] = last;
    if (last === NONE) this.#first = ino;
    else this.#next[last] = ino;
    this.#last = ino;
    this.#size++;
  }

  /** Takes the file that is due first, or −1. `inHurry`: one that is not due yet will do. */
  take(now: number, inHurry: boolean): number {
    const ino = this.#first;
    if (ino === NONE || (this.#due[ino]! > now && !inHurry)) return -1;
    this.#remove(ino);
    return ino;
  }

  /** Milliseconds until the next file is due; Infinity when none waits. */
  nextDueIn(now: number): number {
    return this.#first === NONE ? Number.POSITIVE_INFINITY : Math.max(0, this.#due[this.#first]! - now);
  }

  #remove(ino: number): void {
    const next = this.#next[ino]!;
    const previous = this.#previous[ino]!;
    if (previous === NONE) this.#first = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#last = previous;
    else this.#previous[next] = previous;
    this.#next[ino] = 0;
    this.#size--;
  }

  #grow(ino: number): void {
    const room = Math.max(ino + 1, this.#next.length * 2);
    const [next, previous, due] = [this.#next, this.#previous, this.#due];
    this.#next = new Int32Array(room);
    this.#previous = new Int32Array(room);
    this.#due = new Float64Array(room);
    this.#next.set(next);
    this.#previous.set(previous);
    this.#due.set(due);
  }
}

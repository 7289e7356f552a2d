/**
 * Which files the kernel has open, and which of them it reads and writes by itself (passthrough): regions 'open-files' and
 * 'passed-rows'. The kernel opens a file one way at a time: through its page cache, or passed through to one backing
 * file. What it is told at the first open holds until the last one is released, and this is where that is kept.
 *
 * Roles: fuse actors, each with the lock of the file's data (data-locks.ts) for whatever concerns one file. Others, and whoever has
 * no lock, only load: whether a file is passed through, and how many are.
 *
 * Words of an inode: 0 opens that were answered and not released; 1 its row + 1, 0 = it is not passed through.
 * Words of a row: 0 inode, 0 = free; 1 backing id; 2 object; 3 state, 1 = the log says that its length counts (passed.ts);
 * 4–5 f64 and 6: modification time of the object when it was last looked at, seconds and nanoseconds; 7: 1 = that time was
 * of the present then, so another change could have the same.
 *
 * Invariants:
 * 1. A row is taken by a compare-exchange of its word 0, filled, and then published by the store of the inode's word 1; it is
 *    given back in the opposite order. A thread that ends in between leaves a row that nobody has, until the unmount.
 * 2. Opens are never fewer than the kernel has: an open is counted before its answer is sent, a release before it is
 *    answered, at most once. One too many keeps the file open in the way it is, which is always right.
 * 3. Where word 3 of a row is 1, the log says so. It may say so where it is 0.
 * 4. An inode that is freed has no opens: the kernel forgets none that it has open.
 */
import { assert } from '../../runtime/assert.ts';
import { PASSED_FILES_MAX } from '../../runtime/config/bounds.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';

const OPENS = 'open-files';
const ROWS = 'passed-rows';
const INODE_WORDS = 2;
const ROW_WORDS = 8;
const BACKING = 1;
const OBJECT = 2;
const COUNTS = 3;
const SECONDS = 4;
const NANOSECONDS = 6;
const FRESH = 7;

export const NO_ROW = -1;

export function planOpenFiles(maxInodes: number): RegionPlan[] {
  return [
    { name: OPENS, bytes: (maxInodes + 1) * INODE_WORDS * 4 },
    { name: ROWS, bytes: PASSED_FILES_MAX * ROW_WORDS * 4 },
  ];
}

export class OpenFiles {
  readonly #inodes: Uint32Array;
  readonly #rows: Uint32Array;
  readonly #times: Float64Array;

  constructor(arena: Arena) {
    this.#inodes = arena.region(OPENS).u32;
    this.#rows = arena.region(ROWS).u32;
    this.#times = arena.region(ROWS).f64;
  }

  opens(ino: number): number {
    return this.#inodes[ino * INODE_WORDS]!;
  }

  opened(ino: number): void {
    this.#inodes[ino * INODE_WORDS]!++;
  }

  /** How many are left. */
  released(ino: number): number {
    const left = Math.max(0, this.opens(ino) - 1);
    this.#inodes[ino * INODE_WORDS] = left;
    return left;
  }

  /** The row of a file that is passed through, else NO_ROW. */
  rowOf(ino: number): number {
    return Atomics.load(this.#inodes, ino * INODE_WORDS + 1) - 1;
  }

  /** A row for the file, which has none; NO_ROW when as many files are passed through as can be. */
  take(ino: number, object: number, backing: number): number {
    assert(this.rowOf(ino) === NO_ROW, 'a file has one row');
    for (let row = 0; row < PASSED_FILES_MAX; row++) {
      const at = row * ROW_WORDS;
      if (Atomics.compareExchange(this.#rows, at, 0, ino) !== 0) continue;
      this.#rows.fill(0, at + 1, at + ROW_WORDS);
      this.#rows[at + BACKING] = backing;
      this.#rows[at + OBJECT] = object;
      Atomics.store(this.#inodes, ino * INODE_WORDS + 1, row + 1);
      return row;
    }
    return NO_ROW;
  }

  /** The file is not passed through any more, and not open. */
  give(ino: number): void {
    const row = this.rowOf(ino);
    this.#inodes[ino * INODE_WORDS] = 0;
    Atomics.store(this.#inodes, ino * INODE_WORDS + 1, 0);
    if (row !== NO_ROW) Atomics.store(this.#rows, row * ROW_WORDS, 0);
  }

  backingOf(row: number): number {
    return this.#rows[row * ROW_WORDS + BACKING]!;
  }

  objectOf(row: number): number {
    return this.#rows[row * ROW_WORDS + OBJECT]!;
  }

  /** Whether the log says that the length of the file's object counts. */
  lengthCounts(row: number): boolean {
    return Atomics.load(this.#rows, row * ROW_WORDS + COUNTS) !== 0;
  }

  setLengthCounts(row: number, counts: boolean): void {
    Atomics.store(this.#rows, row * ROW_WORDS + COUNTS, counts ? 1 : 0);
  }

  /** Whether the object has another modification time than when it was {@link looked} at. */
  hasOtherTime(row: number, seconds: number, nanoseconds: number): boolean {
    const at = row * ROW_WORDS;
    return this.#times[(at + SECONDS) / 2] !== seconds || this.#rows[at + NANOSECONDS] !== nanoseconds;
  }

  /** Whether it may have changed since without having another time. */
  wasFresh(row: number): boolean {
    return this.#rows[row * ROW_WORDS + FRESH] !== 0;
  }

  looked(row: number, seconds: number, nanoseconds: number, isFresh: boolean): void {
    const at = row * ROW_WORDS;
    this.#times[(at + SECONDS) / 2] = seconds;
    this.#rows[at + NANOSECONDS] = nanoseconds;
    this.#rows[at + FRESH] = isFresh ? 1 : 0;
  }

  /** Every file that has a row. */
  each(visit: (ino: number) => void): void {
    for (let row = 0; row < PASSED_FILES_MAX; row++) {
      const ino = Atomics.load(this.#rows, row * ROW_WORDS);
      if (ino !== 0) visit(ino);
    }
  }

  get any(): boolean {
    for (let row = 0; row < PASSED_FILES_MAX; row++) {
      if (Atomics.load(this.#rows, row * ROW_WORDS) !== 0) return true;
    }
    return false;
  }
}

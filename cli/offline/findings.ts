/** What a look at a store has found, in plain words. */

/** A place in the store's files, or a path of its tree, and what is wrong there. */
export interface Finding {
  /** Relative to the store. */
  readonly file?: string;
  readonly offset?: number;
  /** Of the tree, or "inode N" where the root does not lead. */
  readonly path?: string;
  readonly what: string;
}

/** More than this many are counted and not kept: a store can have millions of files with the same trouble. */
const KEPT = 1000;

export class Findings {
  /** What a repair is for, and what a mount cannot make good by itself. */
  readonly problems: Finding[] = [];
  /** What the next mount tidies up, and what is worth knowing. */
  readonly notes: Finding[] = [];
  /** Of problems, those that were not kept included. */
  count = 0;
  readonly #seen = new Set<string>();

  problem(finding: Finding): void {
    if (!this.#isNew(finding)) return;
    this.count++;
    if (this.problems.length < KEPT) this.problems.push(finding);
  }

  note(finding: Finding): void {
    if (this.#isNew(finding) && this.notes.length < KEPT) this.notes.push(finding);
  }

  get isClean(): boolean {
    return this.count === 0;
  }

  /** The same place may be met on two ways. */
  #isNew(finding: Finding): boolean {
    if (this.#seen.size > KEPT) return true;
    const key = JSON.stringify(finding);
    const isNew = !this.#seen.has(key);
    this.#seen.add(key);
    return isNew;
  }
}

/** "checkpoint/00000003/slab, byte 1048576: bad checksum in the MiB from here". */
export function describeFinding({ file, offset, path, what }: Finding): string {
  const place = file === undefined ? path : offset === undefined ? file : `${file}, byte ${offset}`;
  return place === undefined ? what : `${place}: ${what}`;
}

/** How far a step has come: what it looks at, how much of it, and of how much. */
export type Progress = (what: string, done: number, total: number) => void;

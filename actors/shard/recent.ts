import { isOlder } from '../vector-order.ts';

/** Inode numbers stay below this (FILES_MAX), so that a collection and an inode make one number. */
const INODES = 2 ** 24;

/**
 * What was said of files lately. Lanes overtake each other: a vector may arrive after the removal that came later. By the
 * time the mailbox was empty everything older has arrived, and all of this can be forgotten; but while files move to
 * other shards (route.ts) what is sent on may come after what was said later.
 */
export class Recent {
  /** Generation of a file that is gone, by inode. */
  readonly #gone = new Map<number, number>();
  /** Stamp of the last change of a file's vector in a users' collection. */
  readonly #changed = new Map<number, number>();
  /** Files whose text was told or removed. */
  readonly #text = new Set<number>();
  /** Changes with stamps up to this are known from the tables; undefined = none are. */
  #covered: number | undefined;

  gone(ino: number, generation: number): void {
    // Of two files that had the number, the earlier one's removal may come last.
    if (!this.isGone(ino, generation)) this.#gone.set(ino, generation);
  }

  /** Whether the file is gone, so that nothing of it may be kept. */
  isGone(ino: number, generation: number): boolean {
    const last = this.#gone.get(ino);
    return last !== undefined && !isOlder(last, generation);
  }

  /** Whether this change is the latest yet of this file's vector; if so it is noted. */
  isLatest(ino: number, collection: number, stamp: number): boolean {
    if (this.#covered !== undefined && !isOlder(this.#covered, stamp)) return false;
    return this.isNoOlder(ino, collection, stamp);
  }

  /** The same for what the tables say as of `stamp`: a change of that very stamp is in it. */
  isNoOlder(ino: number, collection: number, stamp: number): boolean {
    const key = collection * INODES + ino;
    const last = this.#changed.get(key);
    if (last !== undefined && isOlder(stamp, last)) return false;
    this.#changed.set(key, stamp);
    return true;
  }

  /** Something of the file's text was told or removed. */
  toldOfText(ino: number): void {
    this.#text.add(ino);
  }

  hasHeardOfText(ino: number): boolean {
    return this.#text.has(ino);
  }

  /** Whether anything was said of the file's vector in a users' collection. */
  hasHeardOf(ino: number, collection: number): boolean {
    return this.#changed.has(collection * INODES + ino);
  }

  /** The tables are about to tell everything that was stamped until `stamp`. */
  cover(stamp: number): void {
    this.#covered = stamp;
  }

  forget(): void {
    this.#gone.clear();
    this.#changed.clear();
    this.#text.clear();
    this.#covered = undefined;
  }
}

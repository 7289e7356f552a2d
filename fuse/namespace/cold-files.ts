/**
 * Looking for files whose objects nobody has used, or changed, for a while, from a thread that is no actor: it takes no lock, waits for
 * no writer and changes nothing but the number of the next object (atomic, as all who take one). Contract: tables.ts. What
 * it finds is a proposal; whoever acts upon it looks again.
 */
import type { Arena } from '../../runtime/memory/arena.ts';
import { SequenceLock } from '../../runtime/sync/sequence-lock.ts';
import type { LastReads } from '../objects/last-reads.ts';
import { OWN_LENGTH } from './inode-flags.ts';
import {
  H_INODES_END,
  H_NEXT_OBJECT,
  H_SEQUENCE,
  I_CTIME,
  I_FLAGS,
  I_GENERATION,
  I_MODE,
  I_NLINK,
  I_OBJECT,
  I_SIZE,
  I_STORED,
  I_SUMS,
  I_VERSION,
  INODE_WORDS,
  isCompressed,
  KEPT_PLAIN,
  PLAIN,
  S_IFMT,
  S_IFREG,
  STORED_BLOCK,
} from './layout.ts';
import { SUMMED_SIZE_MAX, sumCount } from './sums.ts';

/** What is to be done about a file: compress it, take its checksums, or compare it with those that it has. */
export type ColdWork = 'compress' | 'sum' | 'scrub';

export interface ColdFile {
  readonly work: ColdWork;
  readonly ino: number;
  readonly generation: number;
  readonly version: number;
  readonly object: number;
  readonly size: number;
  readonly stored: number;
  readonly hasSums: boolean;
}

/** What a look at all files has found. Bytes. */
export interface StoredTotals {
  compressedFiles: number;
  /** What these have, and what their objects take. */
  compressedBytes: number;
  storedBytes: number;
  /** Files that were tried and are as they are. */
  keptPlainFiles: number;
  /** Plain ones, with checksums and without. */
  summedFiles: number;
  unsummedFiles: number;
}

/** Times are seconds since the epoch, −Infinity = there is no such work. */
export interface ColdOptions {
  /** Files that were neither changed nor read since then are to be compressed, if they have so many bytes. */
  readonly unusedSince: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  /** Of files that were not changed since then checksums are to be taken. */
  readonly unchangedSince: number;
  /** Whether all that have checksums are to be compared with them. */
  readonly scrubs: boolean;
}

export class ColdFiles {
  readonly totals: StoredTotals = {
    compressedFiles: 0,
    compressedBytes: 0,
    storedBytes: 0,
    keptPlainFiles: 0,
    summedFiles: 0,
    unsummedFiles: 0,
  };
  readonly #header: Uint32Array;
  readonly #inode: Uint32Array;
  readonly #inodeF64: Float64Array;
  readonly #slab: Uint32Array;
  readonly #sequence: SequenceLock;
  readonly #reads: LastReads;
  #next = 1;

  constructor(arena: Arena, reads: LastReads) {
    const header = arena.region('namespace');
    const inodes = arena.region('inodes');
    this.#header = header.u32;
    this.#inode = inodes.u32;
    this.#inodeF64 = inodes.f64;
    this.#slab = arena.region('slab').u32;
    this.#sequence = new SequenceLock(header.i32, H_SEQUENCE);
    this.#reads = reads;
  }

  /** The next one in the order of their numbers; undefined = there are no more. */
  next(options: ColdOptions): ColdFile | undefined {
    const end = Math.min(this.#header[H_INODES_END]!, Math.floor(this.#inode.length / INODE_WORDS));
    while (this.#next < end) {
      const found = this.#look(this.#next++, options);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** An object id nobody had before. */
  takeObjectId(): number {
    return Atomics.add(this.#header, H_NEXT_OBJECT, 1);
  }

  /** When it was read last, seconds since the epoch; 0 = not since the mount. */
  lastRead(ino: number): number {
    return this.#reads.of(ino);
  }

  /** The checksums of a file; undefined when it has none, or is another, or changes at this moment. */
  sumsOf({ ino, generation, version, object, size }: ColdFile): Uint32Array | undefined {
    const seen = this.#sequence.tryReadBegin();
    if (seen < 0) return undefined;
    const at = ino * INODE_WORDS;
    const isSame =
      this.#inode[at + I_GENERATION] === generation &&
      this.#inode[at + I_VERSION] === version &&
      this.#inode[at + I_OBJECT] === object;
    const word = this.#inode[at + I_SUMS]! * 16;
    const sums = this.#slab.slice(word, word + sumCount(size));
    return isSame && word !== 0 && !this.#sequence.readRetry(seen) ? sums : undefined;
  }

  /** A file that changes at this very moment is passed over. */
  #look(ino: number, options: ColdOptions): ColdFile | undefined {
    const seen = this.#sequence.tryReadBegin();
    if (seen < 0) return undefined;
    const inode = this.#inode;
    const at = ino * INODE_WORDS;
    const isFile = (inode[at + I_MODE]! & S_IFMT) === S_IFREG && inode[at + I_NLINK]! > 0;
    const ownLength = (inode[at + I_FLAGS]! & OWN_LENGTH) !== 0;
    const file = {
      ino,
      generation: inode[at + I_GENERATION]!,
      version: inode[at + I_VERSION]!,
      object: inode[at + I_OBJECT]!,
      size: this.#inodeF64[(at + I_SIZE) / 2]!,
      stored: inode[at + I_STORED]!,
      hasSums: inode[at + I_SUMS] !== 0,
    };
    const changed = this.#inodeF64[(at + I_CTIME) / 2]!;
    if (!isFile || file.object === 0 || this.#sequence.readRetry(seen)) return undefined;
    this.#count(file);
    const work = this.#workOn(file, changed, ownLength, options);
    return work === undefined ? undefined : { work, ...file };
  }

  #workOn(
    { ino, size, stored, hasSums }: Omit<ColdFile, 'work'>,
    changed: number,
    ownLength: boolean,
    { unusedSince, minBytes, maxBytes, unchangedSince, scrubs }: ColdOptions,
  ): ColdWork | undefined {
    const isCold = changed < unusedSince && this.#reads.of(ino) < unusedSince;
    if (stored === PLAIN && isCold && size >= minBytes && size <= maxBytes) return 'compress';
    if (scrubs && (hasSums || isCompressed(stored))) return 'scrub';
    const isDue = !isCompressed(stored) && !hasSums && !ownLength && changed < unchangedSince;
    return isDue && size > 0 && size <= SUMMED_SIZE_MAX ? 'sum' : undefined;
  }

  #count({ stored, size, hasSums }: Omit<ColdFile, 'work'>): void {
    const { totals } = this;
    if (stored === KEPT_PLAIN) totals.keptPlainFiles++;
    if (!isCompressed(stored) && hasSums) totals.summedFiles++;
    if (!isCompressed(stored) && !hasSums) totals.unsummedFiles++;
    if (!isCompressed(stored)) return;
    totals.compressedFiles++;
    totals.compressedBytes += size;
    totals.storedBytes += stored * STORED_BLOCK;
  }
}

/**
 * Looking for files whose objects nobody has used for a while, from a thread that is no actor: it takes no lock, waits for
 * no writer and changes nothing but the number of the next object (atomic, as all who take one). Contract: tables.ts. What
 * it finds is a proposal; whoever acts upon it looks again.
 */
import type { Arena } from '../../runtime/memory/arena.ts';
import { SequenceLock } from '../../runtime/sync/sequence-lock.ts';
import type { LastReads } from '../objects/last-reads.ts';
import {
  H_INODES_END,
  H_NEXT_OBJECT,
  H_SEQUENCE,
  I_CTIME,
  I_GENERATION,
  I_MODE,
  I_NLINK,
  I_OBJECT,
  I_SIZE,
  I_STORED,
  I_VERSION,
  INODE_WORDS,
  isCompressed,
  KEPT_PLAIN,
  PLAIN,
  S_IFMT,
  S_IFREG,
  STORED_BLOCK,
} from './layout.ts';

export interface ColdFile {
  readonly ino: number;
  readonly generation: number;
  readonly version: number;
  readonly object: number;
  readonly size: number;
}

/** What a look at all files has found. Bytes. */
export interface StoredTotals {
  compressedFiles: number;
  /** What these have, and what their objects take. */
  compressedBytes: number;
  storedBytes: number;
  /** Files that were tried and are as they are. */
  keptPlainFiles: number;
}

export interface ColdOptions {
  /** Seconds since the epoch: files that were neither changed nor read since then are cold. */
  readonly unusedSince: number;
  /** Sizes of files that are looked for. */
  readonly minBytes: number;
  readonly maxBytes: number;
}

export class ColdFiles {
  readonly totals: StoredTotals = {
    compressedFiles: 0,
    compressedBytes: 0,
    storedBytes: 0,
    keptPlainFiles: 0,
  };
  readonly #header: Uint32Array;
  readonly #inode: Uint32Array;
  readonly #inodeF64: Float64Array;
  readonly #sequence: SequenceLock;
  readonly #reads: LastReads;
  #next = 1;

  constructor(arena: Arena, reads: LastReads) {
    const header = arena.region('namespace');
    const inodes = arena.region('inodes');
    this.#header = header.u32;
    this.#inode = inodes.u32;
    this.#inodeF64 = inodes.f64;
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

  /** A file that changes at this very moment is passed over. */
  #look(ino: number, { unusedSince, minBytes, maxBytes }: ColdOptions): ColdFile | undefined {
    const seen = this.#sequence.tryReadBegin();
    if (seen < 0) return undefined;
    const inode = this.#inode;
    const at = ino * INODE_WORDS;
    const isFile = (inode[at + I_MODE]! & S_IFMT) === S_IFREG && inode[at + I_NLINK]! > 0;
    const object = inode[at + I_OBJECT]!;
    const stored = inode[at + I_STORED]!;
    const size = this.#inodeF64[(at + I_SIZE) / 2]!;
    const changed = this.#inodeF64[(at + I_CTIME) / 2]!;
    const generation = inode[at + I_GENERATION]!;
    const version = inode[at + I_VERSION]!;
    if (!isFile || object === 0 || this.#sequence.readRetry(seen)) return undefined;
    if (stored !== PLAIN) {
      this.#count(stored, size);
      return undefined;
    }
    const isCold = changed < unusedSince && this.#reads.of(ino) < unusedSince;
    if (!isCold || size < minBytes || size > maxBytes) return undefined;
    return { ino, generation, version, object, size };
  }

  #count(stored: number, size: number): void {
    const { totals } = this;
    if (stored === KEPT_PLAIN) totals.keptPlainFiles++;
    if (!isCompressed(stored)) return;
    totals.compressedFiles++;
    totals.compressedBytes += size;
    totals.storedBytes += stored * STORED_BLOCK;
  }
}

/**
 * Which chunk of which file a label stands for: one row of u32 columns per label, rows reused through a
 * free list, and a chain through the rows of each file. The rows lie in a shard's shared memory where other threads are to look
 * labels up (vector-memory.ts), else in the thread's own.
 */
import { assert } from '../../runtime/assert.ts';
import {
  chunkOfRow,
  entryOf,
  firstRowOf,
  LABEL_CHUNKS,
  LABEL_WORDS,
  labelChunkWords,
  type VectorMemory,
} from './vector-memory.ts';

/** A vector's key (ino, generation, chunk) and what a result needs to know of the chunk. All u32. */
export interface ChunkRecord {
  ino: number;
  generation: number;
  /** 0 for a vector that stands for the whole file. */
  chunk: number;
  byteOffset: number;
  byteLength: number;
  /** 1-based line the chunk starts on; 0 = none. */
  line: number;
  /** Version of the file's data the vector was made from. */
  version: number;
}

const INO = 0;
const GENERATION = 1;
const CHUNK = 2;
const BYTE_OFFSET = 3;
const BYTE_LENGTH = 4;
const LINE = 5;
const VERSION = 6;
/** Next label of the same file, or of the free list; NONE ends both. */
const NEXT = 7;

export const NO_LABEL = 0xffffffff;

interface Rows {
  readonly u32: Uint32Array;
  /** Index of the first word of the chunk's first row. */
  readonly at: number;
  readonly isShared: boolean;
}

export class ChunkTable {
  readonly #memory: VectorMemory | undefined;
  readonly #collection: number;
  readonly #chunks: Rows[] = [];
  #rows = 0;
  #size = 0;
  #free = NO_LABEL;
  readonly #firstOf = new Map<number, number>();

  /** Of the collection of that number in `memory`, if there is one. */
  constructor(memory?: VectorMemory, collection = 0) {
    this.#memory = memory;
    this.#collection = collection;
  }

  /** Labels in use. */
  get size(): number {
    return this.#size;
  }

  /** Labels ever given out are below this. */
  get labelsEnd(): number {
    return this.#rows;
  }

  /** Of the rows. */
  get bytes(): number {
    return firstRowOf(this.#chunks.length) * LABEL_WORDS * 4;
  }

  /** Whether other threads can look every label up. */
  get isShared(): boolean {
    return this.#memory !== undefined && this.#chunks.every(({ isShared }) => isShared);
  }

  /** A label for the record; the caller has checked with {@link find} that its key is new. */
  insert(record: ChunkRecord): number {
    let label = this.#free;
    if (label === NO_LABEL) label = this.#newRow();
    else this.#free = this.nextLabel(label);
    const { u32 } = this.#chunkOf(label);
    const at = this.#at(label);
    u32[at + INO] = record.ino;
    u32[at + GENERATION] = record.generation;
    u32[at + CHUNK] = record.chunk;
    u32[at + NEXT] = this.#firstOf.get(record.ino) ?? NO_LABEL;
    this.#firstOf.set(record.ino, label);
    this.#size++;
    this.updatePayload(label, record);
    return label;
  }

  updatePayload(label: number, record: ChunkRecord): void {
    const { u32 } = this.#chunkOf(label);
    const at = this.#at(label);
    u32[at + BYTE_OFFSET] = record.byteOffset;
    u32[at + BYTE_LENGTH] = record.byteLength;
    u32[at + LINE] = record.line;
    u32[at + VERSION] = record.version;
  }

  /** Label of a key, or {@link NO_LABEL}. Costs a walk over the file's chunks. */
  find(ino: number, generation: number, chunk: number): number {
    let label = this.firstLabel(ino);
    for (; label !== NO_LABEL; label = this.nextLabel(label)) {
      const { u32 } = this.#chunkOf(label);
      const at = this.#at(label);
      if (u32[at + CHUNK] === chunk && u32[at + GENERATION] === generation) break;
    }
    return label;
  }

  firstLabel(ino: number): number {
    return this.#firstOf.get(ino) ?? NO_LABEL;
  }

  nextLabel(label: number): number {
    return this.#chunkOf(label).u32[this.#at(label) + NEXT]!;
  }

  generationOf(label: number): number {
    return this.#chunkOf(label).u32[this.#at(label) + GENERATION]!;
  }

  read(label: number, out: ChunkRecord): void {
    assert(label < this.#rows, 'a label must have been given out');
    readLabel(this.#chunkOf(label).u32, this.#at(label), out);
  }

  /** Takes a label out of its file's chain and frees its row. */
  remove(label: number): void {
    const { u32 } = this.#chunkOf(label);
    const at = this.#at(label);
    const ino = u32[at + INO]!;
    const next = u32[at + NEXT]!;
    const first = this.firstLabel(ino);
    assert(first !== NO_LABEL, 'a label must be on the chain of its file');
    if (first !== label) {
      let before = first;
      while (this.nextLabel(before) !== label) before = this.nextLabel(before);
      this.#chunkOf(before).u32[this.#at(before) + NEXT] = next;
    } else if (next === NO_LABEL) this.#firstOf.delete(ino);
    else this.#firstOf.set(ino, next);
    u32[at + NEXT] = this.#free;
    this.#free = label;
    this.#size--;
  }

  /** Files of which there is something. */
  get files(): number {
    return this.#firstOf.size;
  }

  /** All inodes. The table may change meanwhile: those that were there and still are come first. */
  inodes(): IterableIterator<number> {
    return this.#firstOf.keys();
  }

  /** Labels of all files. The table must not change meanwhile. */
  *labels(): Generator<number> {
    for (const first of this.#firstOf.values()) {
      for (let label = first; label !== NO_LABEL; label = this.nextLabel(label)) yield label;
    }
  }

  /** Gives the memory back. The table is not used afterwards. */
  release(): void {
    for (const [chunk, { at, isShared }] of this.#chunks.entries()) {
      if (isShared) this.#memory!.free(at, labelChunkWords(chunk));
    }
    this.#chunks.length = 0;
  }

  #newRow(): number {
    const label = this.#rows++;
    if (label === firstRowOf(this.#chunks.length)) this.#grow();
    return label;
  }

  #grow(): void {
    const chunk = this.#chunks.length;
    const words = labelChunkWords(chunk);
    const at = this.#memory?.allocate(words) ?? 0;
    if (at === 0) {
      this.#chunks.push({ u32: new Uint32Array(words), at: 0, isShared: false });
      return;
    }
    const { i32, u32 } = this.#memory!.views;
    i32[entryOf(this.#collection) + LABEL_CHUNKS + chunk] = at;
    this.#chunks.push({ u32, at, isShared: true });
  }

  #chunkOf(label: number): Rows {
    return this.#chunks[chunkOfRow(label)]!;
  }

  /** Index of the first word of a label's row, in its chunk's words. */
  #at(label: number): number {
    const chunk = chunkOfRow(label);
    return this.#chunks[chunk]!.at + (label - firstRowOf(chunk)) * LABEL_WORDS;
  }
}

/** The record in the row at `at`. */
function readLabel(u32: Uint32Array, at: number, out: ChunkRecord): void {
  out.ino = u32[at + INO]!;
  out.generation = u32[at + GENERATION]!;
  out.chunk = u32[at + CHUNK]!;
  out.byteOffset = u32[at + BYTE_OFFSET]!;
  out.byteLength = u32[at + BYTE_LENGTH]!;
  out.line = u32[at + LINE]!;
  out.version = u32[at + VERSION]!;
}

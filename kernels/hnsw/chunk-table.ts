/**
 * Which chunk of which file a label stands for: one row of u32 columns per label, rows reused through a
 * free list, and a chain through the rows of each file.
 */
import { assert } from '../../runtime/assert.ts';

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

const COLUMNS = 8;
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

export class ChunkTable {
  private cells = new Uint32Array(64 * COLUMNS);
  private rows = 0;
  private free = NO_LABEL;
  private readonly firstOf = new Map<number, number>();

  /** A label for the record; the caller has checked with {@link find} that its key is new. */
  insert(record: ChunkRecord): number {
    let label = this.free;
    if (label === NO_LABEL) label = this.newRow();
    else this.free = this.cells[label * COLUMNS + NEXT]!;
    const at = label * COLUMNS;
    this.cells[at + INO] = record.ino;
    this.cells[at + GENERATION] = record.generation;
    this.cells[at + CHUNK] = record.chunk;
    this.cells[at + NEXT] = this.firstOf.get(record.ino) ?? NO_LABEL;
    this.firstOf.set(record.ino, label);
    this.updatePayload(label, record);
    return label;
  }

  updatePayload(label: number, record: ChunkRecord): void {
    const at = label * COLUMNS;
    this.cells[at + BYTE_OFFSET] = record.byteOffset;
    this.cells[at + BYTE_LENGTH] = record.byteLength;
    this.cells[at + LINE] = record.line;
    this.cells[at + VERSION] = record.version;
  }

  /** Label of a key, or {@link NO_LABEL}. Costs a walk over the file's chunks. */
  find(ino: number, generation: number, chunk: number): number {
    const { cells } = this;
    let label = this.firstLabel(ino);
    for (; label !== NO_LABEL; label = this.nextLabel(label)) {
      const at = label * COLUMNS;
      if (cells[at + CHUNK] === chunk && cells[at + GENERATION] === generation) break;
    }
    return label;
  }

  firstLabel(ino: number): number {
    return this.firstOf.get(ino) ?? NO_LABEL;
  }

  nextLabel(label: number): number {
    return this.cells[label * COLUMNS + NEXT]!;
  }

  generationOf(label: number): number {
    return this.cells[label * COLUMNS + GENERATION]!;
  }

  read(label: number, out: ChunkRecord): void {
    assert(label < this.rows, 'a label must have been given out');
    const { cells } = this;
    const at = label * COLUMNS;
    out.ino = cells[at + INO]!;
    out.generation = cells[at + GENERATION]!;
    out.chunk = cells[at + CHUNK]!;
    out.byteOffset = cells[at + BYTE_OFFSET]!;
    out.byteLength = cells[at + BYTE_LENGTH]!;
    out.line = cells[at + LINE]!;
    out.version = cells[at + VERSION]!;
  }

  /** Takes a label out of its file's chain and frees its row. */
  remove(label: number): void {
    const { cells } = this;
    const ino = cells[label * COLUMNS + INO]!;
    const next = this.nextLabel(label);
    const first = this.firstLabel(ino);
    assert(first !== NO_LABEL, 'a label must be on the chain of its file');
    if (first !== label) {
      let before = first;
      while (this.nextLabel(before) !== label) before = this.nextLabel(before);
      cells[before * COLUMNS + NEXT] = next;
    } else if (next === NO_LABEL) this.firstOf.delete(ino);
    else this.firstOf.set(ino, next);
    cells[label * COLUMNS + NEXT] = this.free;
    this.free = label;
  }

  /** Files of which there is something. */
  get files(): number {
    return this.firstOf.size;
  }

  /** All inodes. The table may change meanwhile: those that were there and still are come first. */
  inodes(): IterableIterator<number> {
    return this.firstOf.keys();
  }

  /** Labels of all files. The table must not change meanwhile. */
  *labels(): Generator<number> {
    for (const first of this.firstOf.values()) {
      for (let label = first; label !== NO_LABEL; label = this.nextLabel(label)) yield label;
    }
  }

  private newRow(): number {
    const label = this.rows++;
    if (this.cells.length < this.rows * COLUMNS) {
      const cells = new Uint32Array(this.cells.length * 2);
      cells.set(this.cells);
      this.cells = cells;
    }
    return label;
  }
}

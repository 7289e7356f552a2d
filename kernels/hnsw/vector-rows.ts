/**
 * The vectors of one collection that are searched exactly, each with its record: the owner's side of a shard's shared
 * memory (contract in vector-memory.ts). What does not fit there, or everything when there is none, is in the thread's own memory.
 */
import { assert } from '../../runtime/assert.ts';
import { GRAPHS_MAX } from '../../runtime/config/bounds.ts';
import { SequenceLock } from '../../runtime/sync/sequence-lock.ts';
import type { ChunkRecord } from './chunk-table.ts';
import { METRICS, scanRows } from './scan.ts';
import type { GraphPart } from './tail-graph.ts';
import { assertDimension, copyNormalised, type Metric, type SearchHits } from './vector-index.ts';
import {
  BYTES_KIB,
  CHANGES,
  CHUNKS,
  CHUNKS_MAX,
  COUNT,
  chunkOfRow,
  chunkWords,
  DIMENSION,
  ELSEWHERE,
  ENTRY_WORDS,
  entryOf,
  FORM,
  firstRowOf,
  GRAPH_COUNT,
  GRAPHS,
  METRIC,
  RECORD_WORDS,
  rowsOf,
  TOTAL,
  type VectorMemory,
} from './vector-memory.ts';

interface Chunk {
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
  /** Word index of the first record and of the first vector. */
  readonly records: number;
  readonly vectors: number;
  readonly isShared: boolean;
}

/** A collection without shared memory keeps its entry here, so that there is one way of doing things. */
function entryOfItsOwn(): Int32Array {
  return new Int32Array(ENTRY_WORDS);
}

export class VectorRows {
  readonly dimension: number;
  readonly metric: Metric;
  readonly #memory: VectorMemory | undefined;
  readonly #i32: Int32Array;
  readonly #entry: number;
  readonly #changes: SequenceLock;
  readonly #chunks: Chunk[] = [];
  readonly #rowOf = new Map<number, number>();
  readonly #query: Float32Array;
  #count = 0;
  /** Graphs that readers were told of. */
  #parts = 0;
  /** Nested changes under way. */
  #changing = 0;

  /** Empties what the collection of this number had in `memory` before. */
  constructor(
    options: { readonly dimension: number; readonly metric: Metric },
    memory?: VectorMemory,
    collection = 0,
  ) {
    this.dimension = options.dimension;
    this.metric = options.metric;
    this.#memory = memory;
    this.#i32 = memory?.views.i32 ?? entryOfItsOwn();
    this.#entry = memory ? entryOf(collection) : 0;
    this.#changes = new SequenceLock(this.#i32, this.#entry + CHANGES);
    this.#query = new Float32Array(options.dimension);
    this.#describe(options.dimension);
  }

  get size(): number {
    return this.#count;
  }

  /** Whether every row is where other threads can read it. */
  get isShared(): boolean {
    return this.#memory !== undefined && this.#chunks.every(({ isShared }) => isShared);
  }

  /** Tells readers whether they would miss vectors. Set before the first one leaves. */
  set elsewhere(value: boolean) {
    const word = value ? 1 : 0;
    if (Atomics.load(this.#i32, this.#entry + ELSEWHERE) === word) return;
    Atomics.store(this.#i32, this.#entry + ELSEWHERE, word);
  }

  /** Tells readers which graphs they have to search, too, and how many of the vectors are only there. Part of a change. */
  setGraphs(parts: readonly GraphPart[]): void {
    let count = 0;
    let at = this.#entry + GRAPHS;
    for (let i = 0; i < Math.max(parts.length, this.#parts); i++, at += 2) {
      const size = i < parts.length ? parts[i]!.size : 0;
      Atomics.store(this.#i32, at, i < parts.length ? parts[i]!.number : 0);
      Atomics.store(this.#i32, at + 1, size);
      count += size;
    }
    this.#parts = parts.length;
    Atomics.store(this.#i32, this.#entry + GRAPH_COUNT, count);
  }

  /** For whoever wants figures (vector-memory.ts). */
  setFigures(vectors: number, bytesElsewhere: number, form: number): void {
    const bytes = this.#chunks.length === 0 ? 0 : chunkWords(this.#chunks.length, this.dimension) * 4;
    this.#i32[this.#entry + TOTAL] = vectors;
    this.#i32[this.#entry + BYTES_KIB] = Math.ceil((bytes + bytesElsewhere) / 1024);
    this.#i32[this.#entry + FORM] = form;
  }

  /** Between the two, readers see nothing: for several changes that belong together. They nest. */
  beginChange(): void {
    if (this.#changing++ === 0) this.#changes.writeBegin();
  }

  endChange(): void {
    if (--this.#changing === 0) this.#changes.writeEnd();
  }

  /** Adds a vector, or replaces the one with this label. Both arguments are copied. */
  put(label: number, record: ChunkRecord, vector: Float32Array): void {
    assertDimension(this, vector);
    const row = this.#rowOf.get(label);
    if (row !== undefined) {
      this.beginChange();
      this.#write(row, label, record, vector);
      this.endChange();
      return;
    }
    if (this.#count === firstRowOf(this.#chunks.length)) this.#grow();
    this.#write(this.#count, label, record, vector);
    this.#rowOf.set(label, this.#count);
    Atomics.store(this.#i32, this.#entry + COUNT, ++this.#count);
  }

  /** Forgets a label; unknown ones are ignored. The last row takes its place. */
  remove(label: number): void {
    const row = this.#rowOf.get(label);
    if (row === undefined) return;
    this.beginChange();
    const last = --this.#count;
    this.#rowOf.delete(label);
    if (row !== last) this.#rowOf.set(this.#move(last, row), row);
    Atomics.store(this.#i32, this.#entry + COUNT, this.#count);
    this.endChange();
    this.#shrink();
  }

  /** Copies a vector (under cosine: normalised) to `out`; false when the label is unknown. */
  read(label: number, out: Float32Array): boolean {
    const row = this.#rowOf.get(label);
    if (row === undefined) return false;
    const at = this.#vectorAt(row);
    out.set(this.#chunkOf(row).f32.subarray(at, at + this.dimension));
    return true;
  }

  has(label: number): boolean {
    return this.#rowOf.has(label);
  }

  /** Labels of the last `count` rows, the cheapest to remove; the last one first. */
  lastLabels(count: number): number[] {
    const labels: number[] = [];
    for (let row = this.#count - 1; row >= 0 && labels.length < count; row--) {
      labels.push(this.#chunkOf(row).u32[this.#recordAt(row)]!);
    }
    return labels;
  }

  /** Fills `out` with the labels of the min(k, size) nearest, ascending; returns how many. */
  search(query: Float32Array, k: number, out: SearchHits): number {
    assertDimension(this, query);
    out.begin(k);
    if (k === 0) return 0;
    if (this.metric === 'cosine') copyNormalised(query, this.#query, 0);
    else this.#query.set(query);
    for (let i = 0; i < this.#chunks.length; i++) {
      const { u32, f32, records, vectors } = this.#chunks[i]!;
      const rows = Math.min(rowsOf(i), this.#count - firstRowOf(i));
      scanRows(f32, vectors, rows, this.#query, this.metric, out, u32, records, RECORD_WORDS);
    }
    return out.count;
  }

  /** Gives all memory back; readers find an empty collection. */
  release(): void {
    this.#describe(0);
    while (this.#chunks.length > 0) this.#dropLast();
    this.#rowOf.clear();
  }

  #describe(dimension: number): void {
    this.beginChange();
    this.#count = 0;
    Atomics.store(this.#i32, this.#entry + COUNT, 0);
    Atomics.store(this.#i32, this.#entry + DIMENSION, dimension);
    Atomics.store(this.#i32, this.#entry + METRIC, METRICS.indexOf(this.metric));
    Atomics.store(this.#i32, this.#entry + ELSEWHERE, 1);
    this.#parts = GRAPHS_MAX;
    this.setGraphs([]);
    this.endChange();
  }

  #write(row: number, label: number, record: ChunkRecord, vector: Float32Array): void {
    const { u32, f32 } = this.#chunkOf(row);
    const at = this.#recordAt(row);
    u32[at] = label;
    u32[at + 1] = record.ino;
    u32[at + 2] = record.generation;
    u32[at + 3] = record.chunk;
    u32[at + 4] = record.byteOffset;
    u32[at + 5] = record.byteLength;
    u32[at + 6] = record.line;
    u32[at + 7] = record.version;
    if (this.metric === 'cosine') copyNormalised(vector, f32, this.#vectorAt(row));
    else f32.set(vector, this.#vectorAt(row));
  }

  /** Returns the label that moved. */
  #move(from: number, to: number): number {
    const source = this.#chunkOf(from);
    const target = this.#chunkOf(to);
    const record = this.#recordAt(from);
    const vector = this.#vectorAt(from);
    target.u32.set(source.u32.subarray(record, record + RECORD_WORDS), this.#recordAt(to));
    target.f32.set(source.f32.subarray(vector, vector + this.dimension), this.#vectorAt(to));
    return source.u32[record]!;
  }

  #chunkOf(row: number): Chunk {
    return this.#chunks[chunkOfRow(row)]!;
  }

  #recordAt(row: number): number {
    const chunk = chunkOfRow(row);
    return this.#chunks[chunk]!.records + (row - firstRowOf(chunk)) * RECORD_WORDS;
  }

  #vectorAt(row: number): number {
    const chunk = chunkOfRow(row);
    return this.#chunks[chunk]!.vectors + (row - firstRowOf(chunk)) * this.dimension;
  }

  #grow(): void {
    const index = this.#chunks.length;
    assert(index < CHUNKS_MAX, 'a collection has room for another chunk');
    const words = chunkWords(index, this.dimension);
    const offset = rowsOf(index) * RECORD_WORDS;
    const at = this.#memory?.allocate(words) ?? 0;
    if (at !== 0) {
      this.#i32[this.#entry + CHUNKS + index] = at;
      const { u32, f32 } = this.#memory!.views;
      this.#chunks.push({ u32, f32, records: at, vectors: at + offset, isShared: true });
      return;
    }
    this.elsewhere = true;
    const buffer = new ArrayBuffer(words * 4);
    const u32 = new Uint32Array(buffer);
    this.#chunks.push({ u32, f32: new Float32Array(buffer), records: 0, vectors: offset, isShared: false });
  }

  /** Gives the last chunk back once the one before it is half empty, so that a row to and fro costs nothing. */
  #shrink(): void {
    const last = this.#chunks.length - 1;
    if (last > 0 && this.#count <= firstRowOf(last) - rowsOf(last - 1) / 2) this.#dropLast();
  }

  #dropLast(): void {
    const chunk = this.#chunks.pop()!;
    if (chunk.isShared) this.#memory!.free(chunk.records, chunkWords(this.#chunks.length, this.dimension));
  }
}

/**
 * One collection in one shard: a graph and an exact tail. A new vector waits in the tail, where the very
 * next search finds it, until it has been moved into the graph in the background. A small collection stays exact for good. Other
 * threads may search it too (shared-vectors.ts), unless the graph is one that only this thread can search.
 */
import { EF_MAX } from '../assembly/layout.ts';
import { type ChunkRecord, ChunkTable, NO_LABEL } from './chunk-table.ts';
import { efOf } from './effort.ts';
import { scanRows } from './scan.ts';
import { OwnGraph, type TailGraph } from './tail-graph.ts';
import { copyNormalised, type IndexOptions, type SearchHits, type VectorIndex } from './vector-index.ts';
import type { VectorMemory } from './vector-memory.ts';
import { VectorRows } from './vector-rows.ts';

/** Up to this many vectors there is no graph: an exact scan (about 1 ms per 1,000 at 384-d) never misses. */
const EXACT_ONLY_MAX = 10_000;

/** So many vectors are compared as fast as a walk finds its way, and none is missed. */
const COMPARED_MAX = 2048;

/** Whether a walk that goes on until it has found `ef` of those that pass, of `all`, follows less than there is to compare. */
function isWorthAWalk(ef: number, passing: number, all: number): boolean {
  const followed = (ef * all) / Math.max(1, passing);
  return passing > COMPARED_MAX && followed <= Math.min(passing, EF_MAX);
}

export class CollectionIndex {
  readonly dimension: number;
  isReleased = false;
  private readonly table: ChunkTable;
  private readonly tail: VectorRows;
  readonly graph: TailGraph | undefined;
  private readonly scratch: Float32Array;
  private readonly exactOnlyMax: number;

  /** Without a graph every search is exact. The tail is in `memory`, as the collection of that number. */
  constructor(
    options: IndexOptions,
    graph: VectorIndex | TailGraph | undefined,
    exactOnlyMax = EXACT_ONLY_MAX,
    memory?: VectorMemory,
    collection = 0,
  ) {
    this.dimension = options.dimension;
    this.tail = new VectorRows(options, memory, collection);
    this.graph = graph === undefined || 'begin' in graph ? graph : new OwnGraph(graph);
    // Labels are looked up by others only if they find any in a graph.
    this.table = new ChunkTable(graph !== undefined && 'begin' in graph ? memory : undefined, collection);
    this.exactOnlyMax = exactOnlyMax;
    this.scratch = new Float32Array(options.dimension);
  }

  get size(): number {
    return this.table.size;
  }

  /** Vectors not yet in the graph. */
  get tailSize(): number {
    return this.tail.size;
  }

  get graphSize(): number {
    return this.graph?.size ?? 0;
  }

  /** Hands the collection out: whether other threads can do a search from now on. They notice when that changes. */
  share(): boolean {
    if (!this.tail.isShared || !this.isGraphShared) return false;
    this.tail.elsewhere = false;
    return true;
  }

  private get isGraphShared(): boolean {
    const { graph } = this;
    if (graph === undefined || (graph.size === 0 && !graph.isOpen)) return true;
    return this.table.isShared && graph.parts.every(({ number, size }) => number !== 0 || size === 0);
  }

  /** Writes down for other threads how much there is. */
  report(): void {
    const { graph, table, tail } = this;
    tail.setFigures(table.size, table.bytes + (graph?.bytes ?? 0), graph?.form ?? 0);
  }

  /** Whether there are vectors of this inode. */
  has(ino: number): boolean {
    return this.table.firstLabel(ino) !== NO_LABEL;
  }

  /** What effort a search takes that finds the wanted share of the nearest, for whoever asks. */
  set effort(effort: number) {
    this.tail.effort = effort;
  }

  /** Some of the vectors, from all over the labels. */
  sample(count: number): Float32Array[] {
    const end = this.table.labelsEnd;
    const vectors: Float32Array[] = [];
    for (let i = 0; i < count && i < end; i++) {
      const vector = new Float32Array(this.dimension);
      if (this.read(Math.floor((end * (i + 0.5)) / count), vector)) vectors.push(vector);
    }
    return vectors;
  }

  /** Between the two, other threads see nothing of the collection: for changes that belong together. */
  beginChange(): void {
    this.tail.beginChange();
  }

  endChange(): void {
    this.tail.endChange();
  }

  /** Gives the shared memory back. The collection is not used afterwards. */
  release(): void {
    this.isReleased = true;
    this.tail.release();
    this.table.release();
    this.graph?.release();
  }

  /** Adds a vector, or replaces the one with the same (ino, generation, chunk). */
  put(record: ChunkRecord, vector: Float32Array): void {
    const label = this.table.find(record.ino, record.generation, record.chunk);
    if (label === NO_LABEL) {
      this.putNew(record, vector);
      return;
    }
    this.beginChange();
    this.table.updatePayload(label, record);
    this.forgetInGraph(label);
    this.tail.put(label, record, vector);
    this.endChange();
  }

  private putNew(record: ChunkRecord, vector: Float32Array): void {
    const { graph, tail, scratch } = this;
    if (graph === undefined || !graph.hasUnclaimed) {
      tail.put(this.table.insert(record), record, vector);
      return;
    }
    this.beginChange();
    const label = this.table.insert(record);
    // As it would come out of the tail, to the bit.
    if (tail.metric === 'cosine') copyNormalised(vector, scratch, 0);
    else scratch.set(vector);
    if (!graph.claim(label, scratch)) tail.put(label, record, vector);
    else if (!this.isGraphShared) tail.elsewhere = true;
    tail.setGraphs(graph.parts);
    this.endChange();
  }

  /** False when there was no such vector. */
  remove(ino: number, generation: number, chunk: number): boolean {
    const label = this.table.find(ino, generation, chunk);
    if (label === NO_LABEL) return false;
    this.drop(label);
    return true;
  }

  /** Removes all vectors of a file; returns how many there were. */
  removeFile(ino: number, generation: number): number {
    let removed = 0;
    let label = this.table.firstLabel(ino);
    if (label === NO_LABEL) return 0;
    this.beginChange();
    while (label !== NO_LABEL) {
      const next = this.table.nextLabel(label);
      if (this.table.generationOf(label) === generation) {
        this.drop(label);
        removed++;
      }
      label = next;
    }
    this.endChange();
    return removed;
  }

  /**
   * Inserts up to `budget` vectors of the tail into the graph; returns how many, or 1 for ending a batch. 0 = there is nothing to do,
   * or, if the graph {@link TailGraph.isOpen}, other threads have to come out of it first. One insertion takes about 1 ms at 384
   * dimensions.
   */
  absorb(budget: number): number {
    const { graph, tail } = this;
    if (graph === undefined) return 0;
    if (!graph.isOpen && !this.openBatch(graph, budget)) return 0;
    const moved = graph.step(budget);
    const { poor } = graph;
    if (poor !== undefined) this.takeBack(graph, poor);
    else if (graph.isThrough) {
      tail.beginChange();
      graph.settle((label) => tail.remove(label));
      tail.setGraphs(graph.parts);
      tail.endChange();
    } else return moved;
    return Math.max(1, moved);
  }

  /** A bounded part of what removals have left to do in the graph; true when there is more to do at once. */
  tidy(): boolean {
    return this.graph?.tidy() ?? false;
  }

  private openBatch(graph: TailGraph, budget: number): boolean {
    const { tail } = this;
    const isSmall = graph.beginsAnew && tail.size <= this.exactOnlyMax;
    if (isSmall || tail.size === 0 || graph.isFull) return false;
    graph.begin(tail.lastLabels(graph.batchFor(budget)), (label, out) => tail.read(label, out));
    if (!this.isGraphShared) tail.elsewhere = true;
    tail.beginChange();
    tail.setGraphs(graph.parts);
    tail.endChange();
    return true;
  }

  /** All that only the poor part of the graph has goes back to the tail. */
  private takeBack(graph: TailGraph, poor: NonNullable<TailGraph['poor']>): void {
    const { table, tail, scratch } = this;
    const record = emptyRecord();
    this.beginChange();
    for (const label of table.labels()) {
      if (tail.has(label) || !poor.read(label, scratch)) continue;
      table.read(label, record);
      tail.put(label, record, scratch);
    }
    poor.release();
    tail.setGraphs(graph.parts);
    this.endChange();
  }

  /** The min(k, size) nearest, ascending, by a search of some effort (effort.ts); their labels are for {@link record} until the next change. */
  search(query: Float32Array, k: number, effort: number, out: SearchHits): number {
    const { tail } = this;
    tail.search(query, k, out);
    if (this.graphSize > 0) this.graph!.offer(query, k, effort, out, (label) => tail.has(label));
    return out.count;
  }

  /** The same among the vectors of these inodes alone: each is compared or, where many are in the graph, those that a walk comes by. */
  searchAmong(query: Float32Array, k: number, effort: number, inodes: Uint32Array, out: SearchHits): number {
    const { graph, table, tail } = this;
    const ef = efOf(effort);
    out.begin(k);
    if (k === 0) return 0;
    const labels: number[] = [];
    for (const ino of inodes) {
      for (let next = table.firstLabel(ino); next !== NO_LABEL; next = table.nextLabel(next))
        labels.push(next);
    }
    if (graph?.offerPassing === undefined || !isWorthAWalk(ef, labels.length, graph.size)) {
      this.compare(query, labels, out);
      return out.count;
    }
    const bits = new Uint32Array(Math.ceil(table.labelsEnd / 32));
    for (const label of labels) bits[label >>> 5]! |= 1 << (label & 31);
    const waiting = labels.filter((label) => tail.has(label));
    this.compare(query, waiting, out);
    graph.offerPassing(query, k, ef, bits, out, (label) => tail.has(label));
    return out.count;
  }

  /** Offers each of these labels that there is a vector of. */
  private compare(query: Float32Array, labels: readonly number[], out: SearchHits): void {
    const { scratch, tail } = this;
    const from = new Float32Array(query);
    if (tail.metric === 'cosine') copyNormalised(query, from, 0);
    const label = new Uint32Array(1);
    for (const each of labels) {
      if (!this.read(each, scratch)) continue;
      label[0] = each;
      scanRows(scratch, 0, 1, from, tail.metric, out, label, 0, 1);
    }
  }

  /** What a label from {@link search} stands for. */
  record(label: number, out: ChunkRecord): void {
    this.table.read(label, out);
  }

  /** The stored vector of a key (normalised under cosine) into `out`; false when there is none. */
  vector(ino: number, generation: number, chunk: number, out: Float32Array): boolean {
    const label = this.table.find(ino, generation, chunk);
    return label !== NO_LABEL && this.read(label, out);
  }

  /** How many inodes there are vectors of. */
  get files(): number {
    return this.table.files;
  }

  /** All inodes. The collection may change meanwhile: those that were there and still are come first. */
  inodes(): IterableIterator<number> {
    return this.table.inodes();
  }

  /** Visits the vectors of a file, of all its generations. Both arguments are reused from call to call. */
  forEachOf(ino: number, visit: (record: ChunkRecord, vector: Float32Array) => void): void {
    const record = emptyRecord();
    let label = this.table.firstLabel(ino);
    for (; label !== NO_LABEL; label = this.table.nextLabel(label)) {
      this.table.read(label, record);
      this.read(label, this.scratch);
      visit(record, this.scratch);
    }
  }

  /** Removes all vectors of an inode, whatever its generation. */
  removeAllOf(ino: number): void {
    if (!this.has(ino)) return;
    this.beginChange();
    for (let label = this.table.firstLabel(ino); label !== NO_LABEL; label = this.table.firstLabel(ino)) {
      this.drop(label);
    }
    this.endChange();
  }

  /** Visits all vectors, for writing a segment. Both arguments are reused from call to call. */
  forEach(visit: (record: ChunkRecord, vector: Float32Array) => void): void {
    const record = emptyRecord();
    for (const label of this.table.labels()) {
      this.table.read(label, record);
      this.read(label, this.scratch);
      visit(record, this.scratch);
    }
  }

  /** Copies the stored vector of a label; false when there is none. */
  read(label: number, out: Float32Array): boolean {
    return this.tail.read(label, out) || (this.graph?.read(label, out) ?? false);
  }

  private drop(label: number): void {
    this.beginChange();
    this.tail.remove(label);
    this.forgetInGraph(label);
    this.table.remove(label);
    this.endChange();
  }

  private forgetInGraph(label: number): void {
    if (this.graph === undefined) return;
    this.graph.remove(label);
    this.tail.setGraphs(this.graph.parts);
  }
}

export function emptyRecord(): ChunkRecord {
  return { ino: 0, generation: 0, chunk: 0, byteOffset: 0, byteLength: 0, line: 0, version: 0 };
}

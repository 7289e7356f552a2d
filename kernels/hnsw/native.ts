/**
 * The engine `native`: HNSW in AssemblyScript over shared WASM memory (kernels/assembly/graph.ts). The graph is walked over int8 codes,
 * and the nearest are compared exactly over float32. A small index has no graph and is searched exactly, and so is
 * what no longer fits 4 GiB.
 */
import { assert } from '../../runtime/assert.ts';
import { EF_MAX, ENTRY, NONE } from '../assembly/layout.ts';
import { ExactIndex } from './exact.ts';
import type { ElementType } from './graph-memory.ts';
import { graphModule } from './graph-module.ts';
import { GraphOwner } from './graph-owner.ts';
import { GraphSearch, type LabelFilter, type VectorSource } from './graph-search.ts';
import { NodeTable } from './node-table.ts';
import {
  assertDimension,
  copyNormalised,
  type IndexOptions,
  type Metric,
  type SearchHits,
  type VectorIndex,
} from './vector-index.ts';

/** From so many vectors on there is a graph: below, an exact scan is as fast. */
const GRAPH_MIN = 256;
/** Codes that show less of the nearest than this are of no use: the graph is made anew over float32. */
const CODE_RECALL_MIN = 0.85;
/** A search by radius begins with so many nearest, and goes on with so many times more. */
const WITHIN_FIRST = 16;
const WITHIN_STEP = 4;
/** With so many vectors these leave the graph's memory when they are elsewhere, too: enough to train the quantiser with. */
const CODES_ONLY_MIN = 1024;

export type { LabelFilter, VectorSource };

export interface NativeOptions extends IndexOptions {
  /** What the graph is walked over; int8 unless said otherwise. */
  readonly element?: ElementType;
  /** Most vectors that are in the graph; those beyond are searched exactly. As many as fit 4 GiB unless said otherwise. */
  readonly capacity?: number;
  /**
   * Where the vectors are, as float32, besides: a graph of int8 then keeps their codes alone, a fourth of the memory. It is asked from
   * within add() and search(); a label is there before it is added, and until it is removed.
   */
  readonly vectors?: VectorSource;
  /** Whether what a walk over codes alone finds is compared with the vectors of that source; true unless said otherwise. */
  readonly rerank?: boolean;
}

/** Multiplicative hashing: labels are often consecutive, and come out as far apart as can be. */
function hashLabel(label: number): number {
  return Math.imul(label, 0x9e3779b1);
}

export class NativeIndex implements VectorIndex {
  readonly dimension: number;
  readonly metric: Metric;
  /** Another one once the graph had to be made anew. */
  owner: GraphOwner;
  readonly #options: NativeOptions;
  /** The nodes of all labels in the graph. */
  #nodes: NodeTable;
  readonly #overflow: ExactIndex;
  #hasGraph = false;
  #search: GraphSearch;

  /** Compiles the module; what it returns works without an event loop. */
  static load(): (options: NativeOptions) => NativeIndex {
    graphModule('i8');
    return (options) => new NativeIndex(options);
  }

  /**
   * The index whose {@link snapshot} begins with `description` and goes on with what `read` fills each part with in turn: plain
   * reads into the graph's memory. Undefined when it is of another form than the options ask for, or damaged so that it cannot be
   * walked. Checksums, and what was added or removed since, are the caller's.
   */
  static restore(
    options: NativeOptions,
    description: Uint8Array,
    read: (part: Uint8Array) => void,
  ): NativeIndex | undefined {
    const owner = GraphOwner.restore(options, options.capacity, description, read);
    if (owner === undefined || (!owner.hasVectors && options.vectors === undefined)) return undefined;
    return new NativeIndex(options, owner);
  }

  private constructor(options: NativeOptions, owner?: GraphOwner) {
    const { element = 'i8', capacity } = options;
    this.dimension = options.dimension;
    this.metric = options.metric;
    this.#options = options;
    this.owner = owner ?? new GraphOwner(options, element, capacity);
    this.#overflow = new ExactIndex(options);
    this.#nodes = this.#makeTable();
    this.#search = this.#makeSearch();
    if (owner === undefined) return;
    this.#hasGraph = owner.header(ENTRY) !== NONE;
    for (let node = 0; node < owner.nodes; node++) {
      if (owner.isFindable(node)) this.#nodes.add(hashLabel(owner.labelOf(node)), node);
    }
  }

  #makeTable(): NodeTable {
    const { owner } = this;
    return new NodeTable(
      (node) => hashLabel(owner.labelOf(node)),
      (node, label) => owner.labelOf(node) === label,
    );
  }

  #nodeOf(label: number): number {
    return this.#nodes.find(hashLabel(label), label);
  }

  #makeSearch(): GraphSearch {
    const { vectors, rerank = true } = this.#options;
    return new GraphSearch(this.owner, this.metric, this.dimension, rerank ? vectors : undefined);
  }

  get size(): number {
    return this.#nodes.size + this.#overflow.size;
  }

  /** Vectors beyond what the graph has room for, which are searched exactly: from the first on, searches take longer. */
  get overflow(): number {
    return this.#overflow.size;
  }

  /** Bytes of memory in use. */
  get bytesUsed(): number {
    return this.owner.bytesUsed + this.#nodes.bytes + this.#overflow.size * this.dimension * 4;
  }

  has(label: number): boolean {
    return this.#nodeOf(label) >= 0 || this.#overflow.has(label);
  }

  /** Calls back with each label that a snapshot has, in no order. Nothing may be added or removed meanwhile. */
  forEachLabel(each: (label: number) => void): void {
    const { owner } = this;
    for (let node = 0; node < owner.nodes; node++) if (owner.isFindable(node)) each(owner.labelOf(node));
  }

  /**
   * The graph as bytes, a description of DESCRIPTION_BYTES first, to be written one after the other before anything is added or removed.
   * What is in {@link overflow} is not in it.
   */
  snapshot(): Uint8Array[] {
    return this.owner.snapshot();
  }

  add(label: number, vector: Float32Array): void {
    assertDimension(this, vector);
    this.remove(label);
    const node = this.owner.place(label, vector);
    if (node < 0) {
      this.#overflow.add(label, vector);
      return;
    }
    this.#nodes.add(hashLabel(label), node);
    this.#insert(node);
    this.#leaveVectors();
    this.owner.tidy();
  }

  /**
   * Adds vectors with the help of the threads that are attached to the graph: `begin` is called when there is something to insert
   * for them (insertBatch). None of them may walk before that, as the quantiser may be trained anew. Returns when all are in.
   */
  addBatch(labels: ArrayLike<number>, vectors: ArrayLike<Float32Array>, begin: () => void): void {
    const { owner } = this;
    const first = owner.nodes;
    const again: number[] = [];
    for (let i = 0; i < labels.length; i++) {
      assertDimension(this, vectors[i]!);
      this.remove(labels[i]!);
      const node = owner.place(labels[i]!, vectors[i]!);
      if (node < 0) this.#overflow.add(labels[i]!, vectors[i]!);
      else this.#nodes.add(hashLabel(labels[i]!), node);
      if (node >= 0 && node < first && owner.isPlaced(node)) again.push(node);
    }
    if (owner.wantsTraining && owner.hasVectors) owner.train();
    // The threads hold this memory, so a batch keeps to codes, good or bad.
    if (!this.#hasGraph) this.#linkAdmitted(first);
    owner.openBatch(first, owner.nodes);
    begin();
    for (const node of again) owner.exports.insert(node);
    owner.finishBatch();
  }

  #linkAdmitted(last: number): void {
    this.#hasGraph = true;
    const { owner } = this;
    for (let node = 0; node < last; node++) if (owner.isLive(node)) owner.exports.insert(node);
  }

  #insert(node: number): void {
    const { owner } = this;
    if (!this.#hasGraph) {
      owner.exports.admit(node);
      if (this.#nodes.size < GRAPH_MIN) return;
      if (this.#train()) this.#linkAdmitted(owner.nodes);
      return;
    }
    if (this.#train() && owner.isPlaced(node)) owner.exports.insert(node);
  }

  /** Trains the quantiser if it should be; false when that has made the graph anew, with all vectors in it. */
  #train(): boolean {
    const { owner } = this;
    if (!owner.wantsTraining) return true;
    const { nodes } = owner;
    const { firstCut } = owner.codes;
    if (owner.hasVectors) owner.train();
    else owner.codes.trainFrom(this.#options.vectors!);
    if (!owner.hasVectors || owner.codes.codeRecall() >= CODE_RECALL_MIN) {
      if (this.#hasGraph) {
        for (let node = firstCut; node < nodes; node++) if (owner.isLive(node)) owner.exports.insert(node);
      }
      return true;
    }
    this.#moveTo(new GraphOwner(this.#options, 'f32', this.#options.capacity));
    return false;
  }

  /** Makes the graph anew, out of the vectors that are in the one there is. */
  #moveTo(owner: GraphOwner): void {
    const before = this.owner;
    this.#hasGraph = true;
    this.owner = owner;
    this.#nodes = this.#makeTable();
    this.#search = this.#makeSearch();
    const vector = new Float32Array(this.dimension);
    for (let node = 0; node < before.nodes; node++) {
      if (!before.isFindable(node)) continue;
      const at = before.vectorAt(node);
      vector.set(before.graph.f32.subarray(at, at + this.dimension));
      const again = owner.place(before.labelOf(node), vector);
      assert(again >= 0, 'there is room for as many');
      this.#nodes.add(hashLabel(before.labelOf(node)), again);
      if (owner.isPlaced(again)) owner.exports.insert(again);
    }
  }

  /** Leaves the vectors to their source, once there are enough to know that their codes will do. */
  #leaveVectors(): void {
    const { owner } = this;
    if (this.#options.vectors === undefined || !owner.hasVectors || !owner.isQuantised) return;
    if (!this.#hasGraph || owner.twins.distinct < CODES_ONLY_MIN) return;
    const codes = new GraphOwner(this.#options, 'i8', this.#options.capacity, false);
    codes.codes.trainLike(owner);
    this.#moveTo(codes);
  }

  remove(label: number): void {
    const node = this.#nodeOf(label);
    if (node < 0) {
      this.#overflow.remove(label);
      return;
    }
    this.#nodes.remove(hashLabel(label), node);
    this.owner.remove(node);
    this.owner.tidy();
  }

  read(label: number, out: Float32Array): boolean {
    const node = this.#nodeOf(label);
    if (node < 0) return this.#overflow.read(label, out);
    if (!this.owner.hasVectors) return this.#readElsewhere(label, out);
    const at = this.owner.vectorAt(node);
    out.set(this.owner.graph.f32.subarray(at, at + this.dimension));
    return true;
  }

  #readElsewhere(label: number, out: Float32Array): boolean {
    if (!this.#options.vectors!.read(label, out)) return false;
    if (this.metric === 'cosine') copyNormalised(out, out, 0);
    return true;
  }

  search(query: Float32Array, k: number, ef: number, out: SearchHits): number {
    assertDimension(this, query);
    this.#overflow.search(query, k, ef, out);
    const wanted = Math.min(k, this.#nodes.size);
    if (wanted > 0) this.#search.nearest(query, wanted, ef, this.#hasGraph, out);
    return out.count;
  }

  /**
   * Fills `out` with the nearest whose distance is at most `radius`, ascending, as many as it holds and a search may return; returns how
   * many. Searches go on with more until one finds something farther.
   */
  searchWithin(query: Float32Array, radius: number, ef: number, out: SearchHits): number {
    const most = Math.min(out.capacity, EF_MAX);
    for (let k = Math.min(WITHIN_FIRST, most); ; k = Math.min(k * WITHIN_STEP, most)) {
      const found = this.search(query, k, Math.max(ef, k), out);
      const isAll = found < k || k === most;
      if (!isAll && out.distances[found - 1]! <= radius) continue;
      while (out.count > 0 && out.distances[out.count - 1]! > radius) out.count--;
      return out.count;
    }
  }

  /** Like {@link search}, among the labels that pass: by a walk of more effort, or exactly when few pass. */
  searchFiltered(query: Float32Array, k: number, ef: number, filter: LabelFilter, out: SearchHits): number {
    assertDimension(this, query);
    out.begin(k);
    if (k === 0 || this.size === 0) return 0;
    if (this.#overflow.size > 0) this.#overflow.searchFiltered(query, (label) => filter.has(label), out);
    if (this.#nodes.size > 0) this.#search.filtered(query, k, ef, this.#nodes.size, filter, out);
    return out.count;
  }
}

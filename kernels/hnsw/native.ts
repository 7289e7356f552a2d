/**
 * The engine `native`: HNSW in AssemblyScript over shared WASM memory (kernels/assembly/graph.ts). The graph is walked over int8 codes,
 * and the nearest are compared exactly over float32. A small index has no graph and is searched exactly, and so is
 * what no longer fits 4 GiB.
 */
import { assert } from '../../runtime/assert.ts';
import { DELETED_COUNT, EF_MAX, ENTRY, NONE } from '../assembly/layout.ts';
import { ExactIndex } from './exact.ts';
import type { ElementType } from './graph-memory.ts';
import { graphModule } from './graph-module.ts';
import { GraphOwner } from './graph-owner.ts';
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
/** Of what an int8 walk finds, this many times k are compared exactly, and at least so many more than k. */
const CONSIDERED_FACTOR = 2;
const CONSIDERED_MORE = 10;
/** Codes that show less of the nearest than this are of no use: the graph is made anew over float32. */
const CODE_RECALL_MIN = 0.85;
/** A walk that found less than was asked for, around deleted or filtered vectors, is tried again with so many times the effort. */
const EFFORT_STEP = 4;
/** A filter is answered by an exact scan when a walk would measure more: about so many distances for each unit of effort. */
const DISTANCES_PER_EF = 20;

/** Which labels a search may return. */
export interface LabelFilter {
  /** How many vectors of the index pass. An estimate will do. */
  readonly count: number;
  has(label: number): boolean;
}

export interface NativeOptions extends IndexOptions {
  /** What the graph is walked over; int8 unless said otherwise. */
  readonly element?: ElementType;
  /** Most vectors that are in the graph; those beyond are searched exactly. As many as fit 4 GiB unless said otherwise. */
  readonly capacity?: number;
}

/** Multiplicative hashing: labels are often consecutive. */
function hashLabel(label: number): number {
  return Math.imul(label, 0x9e3779b1) ^ (label >>> 15);
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
  #query = 0;
  #results = 0;
  #pool = 0;
  #list = 0;

  /** Compiles the module; what it returns works without an event loop. */
  static load(): (options: NativeOptions) => NativeIndex {
    graphModule();
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
    return owner && new NativeIndex(options, owner);
  }

  private constructor(options: NativeOptions, owner?: GraphOwner) {
    const { element = 'i8', capacity } = options;
    this.dimension = options.dimension;
    this.metric = options.metric;
    this.#options = options;
    this.owner = owner ?? new GraphOwner(options, element, capacity);
    this.#overflow = new ExactIndex(options);
    this.#nodes = this.#makeTable();
    this.#findBuffers();
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

  #findBuffers(): void {
    const { exports } = this.owner;
    this.#query = (exports.queryAt() >>> 0) / 4;
    this.#results = (exports.resultsAt() >>> 0) / 4;
    this.#pool = (exports.poolAt() >>> 0) / 4;
    this.#list = (exports.listAt() >>> 0) / 4;
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
    if (owner.wantsTraining) owner.train();
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
    owner.train();
    if (owner.codes.codeRecall() >= CODE_RECALL_MIN) {
      if (this.#hasGraph) {
        for (let node = firstCut; node < nodes; node++) if (owner.isLive(node)) owner.exports.insert(node);
      }
      return true;
    }
    this.#hasGraph = true;
    this.owner = new GraphOwner(this.#options, 'f32', this.#options.capacity);
    this.#nodes = this.#makeTable();
    this.#findBuffers();
    const vector = new Float32Array(this.dimension);
    for (let node = 0; node < nodes; node++) {
      if (!owner.isFindable(node)) continue;
      const at = owner.vectorAt(node);
      vector.set(owner.graph.f32.subarray(at, at + this.dimension));
      const again = this.owner.place(owner.labelOf(node), vector);
      assert(again >= 0, 'without codes there is room for more');
      this.#nodes.add(hashLabel(owner.labelOf(node)), again);
      this.owner.exports.insert(again);
    }
    return false;
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
    const at = this.owner.vectorAt(node);
    out.set(this.owner.graph.f32.subarray(at, at + this.dimension));
    return true;
  }

  search(query: Float32Array, k: number, ef: number, out: SearchHits): number {
    assertDimension(this, query);
    this.#overflow.search(query, k, ef, out);
    const wanted = Math.min(k, this.#nodes.size);
    if (wanted === 0) return out.count;
    this.#setQuery(query);
    this.#offerResults(this.#nearest(wanted, ef), out);
    return out.count;
  }

  /** Like {@link search}, among the labels that pass: by a walk of more effort, or exactly when few pass. */
  searchFiltered(query: Float32Array, k: number, ef: number, filter: LabelFilter, out: SearchHits): number {
    assertDimension(this, query);
    out.begin(k);
    if (k === 0 || this.size === 0) return 0;
    this.#offerOverflow(query, filter, out);
    const { size } = this.#nodes;
    const passing = Math.min(filter.count, size);
    this.#setQuery(query);
    const effort = Math.ceil((Math.max(ef, k) * size) / Math.max(passing, 1));
    this.owner.exports.begin();
    const isWalked =
      effort <= EF_MAX &&
      passing > effort * DISTANCES_PER_EF &&
      this.#walkFiltered(Math.min(k, passing), effort, filter, out);
    if (!isWalked) this.#scanFiltered(k, filter, out);
    this.owner.exports.end();
    return out.count;
  }

  #setQuery(query: Float32Array): void {
    const { f32 } = this.owner.graph;
    if (this.metric === 'cosine') copyNormalised(query, f32, this.#query);
    else f32.set(query, this.#query);
  }

  /** The results of the nearest `wanted`, which exist; returns how many. */
  #nearest(wanted: number, ef: number): number {
    assert(wanted <= EF_MAX, 'k is within what one search may return');
    const { exports, nodes, twins } = this.owner;
    if (!this.#hasGraph) return exports.scan(wanted);
    // deleted nodes take room in the walk's list
    const share = 1 + this.owner.header(DELETED_COUNT) / twins.distinct;
    for (let effort = Math.ceil(Math.max(ef, wanted) * Math.min(share, 2)); ; effort *= EFFORT_STEP) {
      const found = exports.search(wanted, Math.min(effort, EF_MAX), this.#considered(wanted));
      if (found === wanted) return found;
      if (effort >= EF_MAX || effort >= nodes) return exports.scan(wanted);
    }
  }

  #considered(wanted: number): number {
    return this.owner.isQuantised ? Math.max(wanted * CONSIDERED_FACTOR, wanted + CONSIDERED_MORE) : wanted;
  }

  /** Offers the nearest `wanted` that pass among the nearest `effort`; false when these are fewer, and nothing was offered. */
  #walkFiltered(wanted: number, effort: number, filter: LabelFilter, out: SearchHits): boolean {
    const { exports, graph } = this.owner;
    const { u32 } = graph;
    const found = exports.find(effort);
    const considered = this.#considered(wanted);
    let nodes = 0;
    let passed = 0;
    for (let i = 0; i < found && nodes < considered; i++) {
      const key = this.#pool + i * 2;
      const passing = this.#countPassing(u32[key]! >>> 1, filter);
      if (passing === 0) continue;
      passed += passing;
      u32[this.#pool + nodes * 2] = u32[key]!;
      u32[this.#pool + nodes * 2 + 1] = u32[key + 1]!;
      nodes++;
    }
    if (passed < wanted) return false;
    exports.rank(nodes);
    this.#offerPassing(nodes, filter, out);
    return true;
  }

  #scanFiltered(k: number, filter: LabelFilter, out: SearchHits): void {
    const { owner } = this;
    const { exports, graph, twins } = owner;
    const wanted = Math.min(k, EF_MAX);
    const chains = new Set<number>();
    let listed = 0;
    let count = 0;
    for (let node = 0; node < owner.nodes; node++) {
      if (!owner.isFindable(node) || !filter.has(owner.labelOf(node))) continue;
      const first = twins.firstOf(node);
      if (twins.hasTwins(first) && chains.size === chains.add(first).size) continue;
      graph.u32[this.#list + listed++] = first;
      if (listed < EF_MAX) continue;
      count = exports.scanList(listed, count, wanted);
      listed = 0;
    }
    this.#offerPassing(exports.scanList(listed, count, wanted), filter, out);
  }

  /** Of a node and its twins. */
  #countPassing(first: number, filter: LabelFilter): number {
    const { owner } = this;
    let count = 0;
    for (let node = first; node >= 0; node = owner.twins.next(node)) {
      if (!owner.twins.isHidden(node) && filter.has(owner.labelOf(node))) count++;
    }
    return count;
  }

  /** Offers what passes of the first `count` nodes of the walk's list, whose distances are exact, and of their twins. */
  #offerPassing(count: number, filter: LabelFilter, out: SearchHits): void {
    const { owner } = this;
    const { i32, f32 } = owner.graph;
    for (let i = 0; i < count; i++) {
      const key = this.#pool + i * 2;
      const order = i32[key + 1]! ^ 0x80000000;
      i32[this.#results] = order ^ ((order >> 31) & 0x7fffffff);
      const distance = f32[this.#results]!;
      for (let node = i32[key]! >>> 1; node >= 0 && distance < out.bound; node = owner.twins.next(node)) {
        if (owner.twins.isHidden(node) || !filter.has(owner.labelOf(node))) continue;
        out.offer(owner.labelOf(node), distance);
      }
    }
  }

  #offerResults(count: number, out: SearchHits): void {
    const { f32, u32 } = this.owner.graph;
    for (let i = 0; i < count; i++) {
      const at = this.#results + i * 2;
      out.offer(u32[at + 1]!, f32[at]!);
    }
  }

  #offerOverflow(query: Float32Array, filter: LabelFilter, out: SearchHits): void {
    if (this.#overflow.size > 0) this.#overflow.searchFiltered(query, (label) => filter.has(label), out);
  }
}

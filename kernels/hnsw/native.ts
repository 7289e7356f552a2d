/**
 * The engine `native`: HNSW in AssemblyScript over shared WASM memory (kernels/assembly/graph.ts). The graph is walked over int8 codes,
 * and the nearest are compared exactly over float32. A small index has no graph and is searched exactly, and so is
 * what no longer fits 4 GiB.
 */
import { assert } from '../../runtime/assert.ts';
import { EF_MAX } from '../assembly/layout.ts';
import { ExactIndex } from './exact.ts';
import type { ElementType } from './graph-memory.ts';
import { graphModule } from './graph-module.ts';
import { GraphOwner } from './graph-owner.ts';
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

export class NativeIndex implements VectorIndex {
  readonly dimension: number;
  readonly metric: Metric;
  /** Another one once the graph had to be made anew. */
  owner: GraphOwner;
  readonly #options: NativeOptions;
  readonly #nodeOf = new Map<number, number>();
  readonly #overflow: ExactIndex;
  #isQuantised: boolean;
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

  private constructor(options: NativeOptions) {
    const { element = 'i8', capacity } = options;
    this.dimension = options.dimension;
    this.metric = options.metric;
    this.#options = options;
    this.owner = new GraphOwner(options, element, capacity);
    this.#overflow = new ExactIndex(options);
    this.#isQuantised = element === 'i8';
    this.#findBuffers();
  }

  #findBuffers(): void {
    const { exports } = this.owner;
    this.#query = (exports.queryAt() >>> 0) / 4;
    this.#results = (exports.resultsAt() >>> 0) / 4;
    this.#pool = (exports.poolAt() >>> 0) / 4;
    this.#list = (exports.listAt() >>> 0) / 4;
  }

  get size(): number {
    return this.#nodeOf.size + this.#overflow.size;
  }

  add(label: number, vector: Float32Array): void {
    assertDimension(this, vector);
    this.remove(label);
    const node = this.owner.place(label, vector);
    if (node < 0) {
      this.#overflow.add(label, vector);
      return;
    }
    this.#nodeOf.set(label, node);
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
      else this.#nodeOf.set(labels[i]!, node);
      if (node >= 0 && node < first) again.push(node);
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
    for (const node of this.#nodeOf.values()) if (node < last) this.owner.exports.insert(node);
  }

  #insert(node: number): void {
    const { owner } = this;
    if (!this.#hasGraph) {
      owner.exports.admit(node);
      if (this.#nodeOf.size < GRAPH_MIN) return;
      if (this.#train()) this.#linkAdmitted(owner.nodes);
      return;
    }
    if (this.#train()) owner.exports.insert(node);
  }

  /** Trains the quantiser if it should be; false when that has made the graph anew, with all vectors in it. */
  #train(): boolean {
    const { owner } = this;
    if (!owner.wantsTraining) return true;
    const { firstCut, nodes } = owner;
    owner.train();
    if (owner.codeRecall() >= CODE_RECALL_MIN) {
      if (this.#hasGraph) for (let node = firstCut; node < nodes; node++) owner.exports.insert(node);
      return true;
    }
    this.#isQuantised = false;
    this.#hasGraph = true;
    this.owner = new GraphOwner(this.#options, 'f32', this.#options.capacity);
    this.#findBuffers();
    const vector = new Float32Array(this.dimension);
    for (const [label, node] of this.#nodeOf) {
      const at = owner.vectorAt(node);
      vector.set(owner.graph.f32.subarray(at, at + this.dimension));
      const again = this.owner.place(label, vector);
      assert(again >= 0, 'without codes there is room for more');
      this.#nodeOf.set(label, again);
      this.owner.exports.insert(again);
    }
    return false;
  }

  remove(label: number): void {
    const node = this.#nodeOf.get(label);
    if (node === undefined) {
      this.#overflow.remove(label);
      return;
    }
    this.#nodeOf.delete(label);
    this.owner.remove(node);
    this.owner.tidy();
  }

  read(label: number, out: Float32Array): boolean {
    const node = this.#nodeOf.get(label);
    if (node === undefined) return this.#overflow.read(label, out);
    const at = this.owner.vectorAt(node);
    out.set(this.owner.graph.f32.subarray(at, at + this.dimension));
    return true;
  }

  search(query: Float32Array, k: number, ef: number, out: SearchHits): number {
    assertDimension(this, query);
    this.#overflow.search(query, k, ef, out);
    const wanted = Math.min(k, this.#nodeOf.size);
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
    const { size } = this.#nodeOf;
    const passing = Math.min(filter.count, size);
    this.#setQuery(query);
    const effort = Math.ceil((Math.max(ef, k) * size) / Math.max(passing, 1));
    const found =
      effort > EF_MAX || passing <= effort * DISTANCES_PER_EF
        ? -1
        : this.#walkFiltered(Math.min(k, passing), effort, filter);
    this.#offerResults(found >= 0 ? found : this.#scanFiltered(k, filter), out);
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
    const { exports, nodes } = this.owner;
    if (!this.#hasGraph) return exports.scan(wanted);
    // deleted nodes take room in the walk's list
    const share = nodes / this.#nodeOf.size;
    for (let effort = Math.ceil(Math.max(ef, wanted) * Math.min(share, 2)); ; effort *= EFFORT_STEP) {
      const found = exports.search(wanted, Math.min(effort, EF_MAX), this.#considered(wanted));
      if (found === wanted) return found;
      if (effort >= EF_MAX || effort >= nodes) return exports.scan(wanted);
    }
  }

  #considered(wanted: number): number {
    return this.#isQuantised ? Math.max(wanted * CONSIDERED_FACTOR, wanted + CONSIDERED_MORE) : wanted;
  }

  /** The results among the nearest `effort` that pass, −1 when they are fewer than `wanted`. */
  #walkFiltered(wanted: number, effort: number, filter: LabelFilter): number {
    const { owner } = this;
    const { u32 } = owner.graph;
    owner.exports.begin();
    const found = owner.exports.find(Math.min(effort, EF_MAX));
    const considered = this.#considered(wanted);
    let passed = 0;
    for (let i = 0; i < found && passed < considered; i++) {
      const key = this.#pool + i * 2;
      if (!filter.has(owner.labelOf(u32[key]! >>> 1))) continue;
      u32[this.#pool + passed * 2] = u32[key]!;
      u32[this.#pool + passed * 2 + 1] = u32[key + 1]!;
      passed++;
    }
    const count = passed < wanted ? -1 : owner.exports.rank(passed, wanted);
    owner.exports.end();
    return count;
  }

  #scanFiltered(k: number, filter: LabelFilter): number {
    const { exports, graph } = this.owner;
    const wanted = Math.min(k, EF_MAX);
    exports.begin();
    let listed = 0;
    let count = 0;
    for (const [label, node] of this.#nodeOf) {
      if (!filter.has(label)) continue;
      graph.u32[this.#list + listed++] = node;
      if (listed < EF_MAX) continue;
      count = exports.scanList(listed, count, wanted);
      listed = 0;
    }
    count = exports.writeResults(exports.scanList(listed, count, wanted));
    exports.end();
    return count;
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

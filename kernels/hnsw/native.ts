/**
 * The engine `native` as an index of one thread: HNSW in AssemblyScript over WASM memory (kernels/assembly/graph.ts). The graph is walked
 * over int8 codes, and the nearest are compared exactly over float32. A small index has no graph and is searched exactly, and so is
 * what no longer fits 4 GiB. Shards share theirs instead (shared-graph.ts).
 */
import { assert } from '../../runtime/assert.ts';
import { ENTRY, NONE } from '../assembly/layout.ts';
import { ExactIndex } from './exact.ts';
import type { ElementType } from './graph-memory.ts';
import { graphModule } from './graph-module.ts';
import { GraphOwner } from './graph-owner.ts';
import { GraphReader } from './graph-reader.ts';
import { NodeTable } from './node-table.ts';
import {
  assertDimension,
  type IndexOptions,
  type Metric,
  type SearchHits,
  type VectorIndex,
} from './vector-index.ts';

/** From so many vectors on there is a graph: below, an exact scan is as fast. */
const GRAPH_MIN = 256;

export interface NativeOptions extends IndexOptions {
  /** What the graph is walked over; int8 unless said otherwise. */
  readonly element?: ElementType;
  /** Most vectors that are in the graph; those beyond are searched exactly. As many as fit 4 GiB unless said otherwise. */
  readonly capacity?: number;
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
  #reader: GraphReader;

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
    this.#reader = new GraphReader(this.owner.graph, this.owner.exports);
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

  get size(): number {
    return this.#nodes.size + this.#overflow.size;
  }

  /** Bytes of memory in use. */
  get bytesUsed(): number {
    return this.owner.bytesUsed + this.#nodes.bytes + this.#overflow.size * this.dimension * 4;
  }

  has(label: number): boolean {
    return this.#nodeOf(label) >= 0 || this.#overflow.has(label);
  }

  /**
   * The graph as bytes, a description of DESCRIPTION_BYTES first, to be written one after the other before anything is added or removed.
   * What did not fit the graph is not in it.
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

  #insert(node: number): void {
    const { owner } = this;
    if (!this.#hasGraph) {
      owner.exports.admit(node);
      if (this.#nodes.size >= GRAPH_MIN && this.#train()) this.#linkAdmitted();
      return;
    }
    if (this.#train() && owner.isPlaced(node)) owner.exports.insert(node);
  }

  #linkAdmitted(): void {
    this.#hasGraph = true;
    const { owner } = this;
    for (let node = 0; node < owner.nodes; node++) if (owner.isLive(node)) owner.exports.insert(node);
  }

  /** Trains the quantiser if it should be; false when that has made the graph anew, with all vectors in it. */
  #train(): boolean {
    const { owner } = this;
    if (!owner.wantsTraining) return true;
    const { nodes } = owner;
    const { firstCut } = owner.codes;
    owner.train();
    if (!owner.codes.areGood()) {
      this.#moveTo(new GraphOwner(this.#options, 'f32', this.#options.capacity));
      return false;
    }
    for (let node = firstCut; this.#hasGraph && node < nodes; node++) {
      if (owner.isLive(node)) owner.exports.insert(node);
    }
    return true;
  }

  /** Makes the graph anew, out of the vectors that are in the one there is. */
  #moveTo(owner: GraphOwner): void {
    const before = this.owner;
    this.#hasGraph = true;
    this.owner = owner;
    this.#nodes = this.#makeTable();
    this.#reader = new GraphReader(owner.graph, owner.exports);
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
    const reader = this.#reader;
    const found = reader.search(query, wanted, ef, wanted);
    for (let i = 0; i < found; i++) out.offer(reader.labelAt(i), reader.distanceAt(i));
    return out.count;
  }
}

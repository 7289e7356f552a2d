/**
 * HNSW by npm's `hnswlib-wasm`. Nodes of its graph get ids of their own: replacing a vector marks the old
 * node deleted and inserts a new one, since hnswlib's in-place update wears the graph out. When more nodes
 * are deleted than alive the graph is built anew.
 */
import { assert } from '../../runtime/assert.ts';
import { type HierarchicalNsw, type HnswlibModule, loadHnswlib } from './hnswlib-module.ts';
import {
  assertDimension,
  copyNormalised,
  type IndexOptions,
  type Metric,
  type SearchHits,
  type VectorIndex,
} from './vector-index.ts';

const FIRST_CAPACITY = 1024;
/** Below this many deleted nodes a rebuild is not worth it. */
const REBUILD_MIN = 1000;

export class HnswlibIndex implements VectorIndex {
  readonly dimension: number;
  readonly metric: Metric;
  private readonly module: HnswlibModule;
  private readonly options: IndexOptions;
  private graph: HierarchicalNsw;
  private capacity = FIRST_CAPACITY;
  private nodes = 0;
  private readonly nodeOf = new Map<number, number>();
  private labelOf: number[] = [];
  private readonly scratch: Float32Array;

  static async load(): Promise<(options: IndexOptions) => HnswlibIndex> {
    const module = await loadHnswlib();
    return (options) => new HnswlibIndex(module, options);
  }

  private constructor(module: HnswlibModule, options: IndexOptions) {
    this.module = module;
    this.options = options;
    this.dimension = options.dimension;
    this.metric = options.metric;
    this.scratch = new Float32Array(options.dimension);
    this.graph = this.emptyGraph();
  }

  get size(): number {
    return this.nodeOf.size;
  }

  add(label: number, vector: Float32Array): void {
    assertDimension(this, vector);
    this.remove(label);
    if (this.nodes === this.capacity) {
      this.capacity *= 2;
      this.graph.resizeIndex(this.capacity);
    }
    this.graph.addPoint(this.prepared(vector), this.nodes, false);
    this.nodeOf.set(label, this.nodes);
    this.labelOf.push(label);
    this.nodes++;
  }

  remove(label: number): void {
    const node = this.nodeOf.get(label);
    if (node === undefined) return;
    this.graph.markDelete(node);
    this.nodeOf.delete(label);
    const deleted = this.nodes - this.size;
    if (deleted > this.size && deleted >= REBUILD_MIN) this.rebuild();
  }

  read(label: number, out: Float32Array): boolean {
    const node = this.nodeOf.get(label);
    if (node === undefined) return false;
    out.set(this.graph.getPoint(node));
    return true;
  }

  search(query: Float32Array, k: number, ef: number, out: SearchHits): number {
    assertDimension(this, query);
    out.begin(k);
    const wanted = Math.min(k, this.size);
    if (wanted === 0) return 0;
    this.graph.setEfSearch(Math.max(ef, wanted));
    const { distances, neighbors } = this.graph.searchKnn(this.prepared(query), wanted, undefined);
    for (let i = 0; i < neighbors.length; i++) out.offer(this.labelOf[neighbors[i]!]!, distances[i]!);
    return out.count;
  }

  private prepared(vector: Float32Array): Float32Array {
    if (this.metric !== 'cosine') return vector;
    copyNormalised(vector, this.scratch, 0);
    return this.scratch;
  }

  private emptyGraph(): HierarchicalNsw {
    const { dimension, m, efConstruction, seed } = this.options;
    const graph = new this.module.HierarchicalNSW(this.metric === 'l2' ? 'l2' : 'ip', dimension, '');
    graph.initIndex(this.capacity, m, efConstruction, seed);
    return graph;
  }

  private rebuild(): void {
    const old = this.graph;
    while (this.capacity > FIRST_CAPACITY && this.capacity >= this.size * 4) this.capacity /= 2;
    this.graph = this.emptyGraph();
    this.labelOf = [];
    this.nodes = 0;
    for (const [label, node] of this.nodeOf) {
      this.scratch.set(old.getPoint(node));
      this.graph.addPoint(this.scratch, this.nodes, false);
      this.nodeOf.set(label, this.nodes++);
      this.labelOf.push(label);
    }
    old.delete();
    assert(this.nodes === this.size, 'a rebuilt graph must hold exactly the live vectors');
  }
}

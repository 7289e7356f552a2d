/** The owner's searches in its graph: by a walk, exactly, and among the labels that a filter lets through. */
import { assert } from '../../runtime/assert.ts';
import { DELETED_COUNT, EF_MAX } from '../assembly/layout.ts';
import type { GraphOwner } from './graph-owner.ts';
import { scanRows } from './scan.ts';
import { copyNormalised, type Metric, type SearchHits } from './vector-index.ts';

/** Of what an int8 walk finds, this many times k are compared exactly, and at least so many more than k. */
const CONSIDERED_FACTOR = 2;
const CONSIDERED_MORE = 10;
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

/** Where the float32 vectors are when they are not in the graph's memory: on the disk, say. */
export interface VectorSource {
  /** Copies the vector of a label that was added and not removed; false when it cannot be had. */
  read(label: number, out: Float32Array): boolean;
}

export class GraphSearch {
  readonly #owner: GraphOwner;
  readonly #metric: Metric;
  /** What finds are compared with exactly when their vectors are elsewhere; undefined = not at all. */
  readonly #source: VectorSource | undefined;
  readonly #query: number;
  readonly #results: number;
  readonly #pool: number;
  readonly #row: Float32Array;
  readonly #label = new Uint32Array(1);

  /** `source` is where vectors are for {@link GraphOwner.hasVectors} = false. */
  constructor(owner: GraphOwner, metric: Metric, dimension: number, source: VectorSource | undefined) {
    const { exports } = owner;
    this.#owner = owner;
    this.#metric = metric;
    this.#source = owner.hasVectors ? undefined : source;
    this.#query = (exports.queryAt() >>> 0) / 4;
    this.#results = (exports.resultsAt() >>> 0) / 4;
    this.#pool = (exports.poolAt() >>> 0) / 4;
    this.#row = new Float32Array(dimension);
  }

  /** Offers the nearest `wanted`, which exist, to `out`. Without a graph the scan is exact. */
  nearest(query: Float32Array, wanted: number, ef: number, hasGraph: boolean, out: SearchHits): void {
    assert(wanted <= EF_MAX, 'k is within what one search may return');
    const { exports, nodes, twins } = this.#owner;
    this.#setQuery(query);
    // deleted nodes take room in the walk's list
    const share = 1 + this.#owner.header(DELETED_COUNT) / twins.distinct;
    for (let effort = Math.ceil(Math.max(ef, wanted) * Math.min(share, 2)); hasGraph; effort *= EFFORT_STEP) {
      if (this.#walk(wanted, Math.min(effort, EF_MAX), out)) return;
      if (effort >= EF_MAX || effort >= nodes) break;
    }
    this.#offerResults(exports.scan(wanted), out);
  }

  /** Offers the nearest that a walk finds; false when these are fewer than `wanted`, and nothing was offered. */
  #walk(wanted: number, ef: number, out: SearchHits): boolean {
    const { exports } = this.#owner;
    if (this.#source !== undefined) return this.#walkAndRead(wanted, ef, this.#source, out);
    const found = exports.search(wanted, ef, this.#considered(wanted));
    if (found < wanted) return false;
    this.#offerResults(found, out);
    return true;
  }

  #walkAndRead(wanted: number, ef: number, source: VectorSource, out: SearchHits): boolean {
    const { exports } = this.#owner;
    exports.begin();
    const found = exports.find(ef);
    const isEnough = this.#countUpTo(wanted, found) >= wanted;
    if (isEnough) this.#offerRead(found, this.#considered(wanted), source, undefined, out);
    exports.end();
    return isEnough;
  }

  /** How many labels the first `found` of the walk's list have, as far as `most`. */
  #countUpTo(most: number, found: number): number {
    let count = 0;
    for (let i = 0; i < found && count < most; i++) count += this.#countPassing(this.#nodeAt(i), undefined);
    return count;
  }

  /** Offers among the labels that pass, as {@link nearest}: by a walk of more effort, or exactly when few pass. */
  filtered(
    query: Float32Array,
    k: number,
    ef: number,
    size: number,
    filter: LabelFilter,
    out: SearchHits,
  ): void {
    const passing = Math.min(filter.count, size);
    this.#setQuery(query);
    const effort = Math.ceil((Math.max(ef, k) * size) / Math.max(passing, 1));
    this.#owner.exports.begin();
    const isWalked =
      effort <= EF_MAX &&
      passing > effort * DISTANCES_PER_EF &&
      this.#walkFiltered(Math.min(k, passing), effort, filter, out);
    if (!isWalked) this.#scanFiltered(k, filter, out);
    this.#owner.exports.end();
  }

  #setQuery(query: Float32Array): void {
    const { f32 } = this.#owner.graph;
    if (this.#metric === 'cosine') copyNormalised(query, f32, this.#query);
    else f32.set(query, this.#query);
  }

  #considered(wanted: number): number {
    const isExact = !this.#owner.isQuantised;
    return isExact ? wanted : Math.max(wanted * CONSIDERED_FACTOR, wanted + CONSIDERED_MORE);
  }

  /** Offers the nearest `wanted` that pass among the nearest `effort`; false when these are fewer, and nothing was offered. */
  #walkFiltered(wanted: number, effort: number, filter: LabelFilter, out: SearchHits): boolean {
    const { u32 } = this.#owner.graph;
    const found = this.#owner.exports.find(effort);
    const considered = this.#considered(wanted);
    let nodes = 0;
    let passed = 0;
    for (let i = 0; i < found && nodes < considered; i++) {
      const passing = this.#countPassing(this.#nodeAt(i), filter);
      if (passing === 0) continue;
      passed += passing;
      u32[this.#pool + nodes * 2] = u32[this.#pool + i * 2]!;
      u32[this.#pool + nodes * 2 + 1] = u32[this.#pool + i * 2 + 1]!;
      nodes++;
    }
    if (passed < wanted) return false;
    this.#offerRanked(nodes, considered, filter, out);
    return true;
  }

  #scanFiltered(k: number, filter: LabelFilter, out: SearchHits): void {
    const owner = this.#owner;
    const { exports, graph, twins } = owner;
    const wanted = this.#source === undefined ? Math.min(k, EF_MAX) : Math.min(this.#considered(k), EF_MAX);
    const chains = new Set<number>();
    let listed = 0;
    let count = 0;
    exports.beginList();
    for (let node = 0; node < owner.nodes; node++) {
      if (!owner.isFindable(node) || !filter.has(owner.labelOf(node))) continue;
      const first = twins.firstOf(node);
      if (twins.hasTwins(first) && chains.size === chains.add(first).size) continue;
      graph.u32[this.#results + listed++] = first;
      if (listed < EF_MAX) continue;
      count = exports.scanList(listed, count, wanted);
      listed = 0;
    }
    count = exports.scanList(listed, count, wanted);
    if (owner.hasVectors) this.#offerPassing(count, filter, out);
    else this.#offerRanked(count, wanted, filter, out);
  }

  /** Makes the distances of the first `count` of the walk's list exact, and offers what passes of them. */
  #offerRanked(count: number, considered: number, filter: LabelFilter, out: SearchHits): void {
    if (this.#source !== undefined) {
      this.#offerRead(count, considered, this.#source, filter, out);
      return;
    }
    this.#owner.exports.rank(count);
    this.#offerPassing(count, filter, out);
  }

  #nodeAt(i: number): number {
    return this.#owner.graph.u32[this.#pool + i * 2]! >>> 1;
  }

  /** Of a node and its twins. */
  #countPassing(first: number, filter: LabelFilter | undefined): number {
    const { twins } = this.#owner;
    let count = 0;
    for (let node = first; node >= 0; node = twins.next(node)) if (this.#passes(node, filter)) count++;
    return count;
  }

  #passes(node: number, filter: LabelFilter | undefined): boolean {
    const owner = this.#owner;
    return !owner.twins.isHidden(node) && (filter === undefined || filter.has(owner.labelOf(node)));
  }

  /** Offers what passes of the first `count` nodes of the walk's list, whose distances are exact, and of their twins. */
  #offerPassing(count: number, filter: LabelFilter, out: SearchHits): void {
    const owner = this.#owner;
    const { f32 } = owner.graph;
    for (let i = 0; i < count; i++) {
      const distance = f32[this.#pool + i * 2 + 1]!;
      for (let node = this.#nodeAt(i); node >= 0 && distance < out.bound; node = owner.twins.next(node)) {
        if (this.#passes(node, filter)) out.offer(owner.labelOf(node), distance);
      }
    }
  }

  /** The same, by vectors that are read: of the first `considered` labels that pass. */
  #offerRead(
    count: number,
    considered: number,
    source: VectorSource,
    filter: LabelFilter | undefined,
    out: SearchHits,
  ): void {
    const owner = this.#owner;
    const row = this.#row;
    const query = owner.graph.f32.subarray(this.#query, this.#query + row.length);
    let read = 0;
    for (let i = 0; i < count && read < considered; i++) {
      for (let node = this.#nodeAt(i); node >= 0 && read < considered; node = owner.twins.next(node)) {
        if (!this.#passes(node, filter)) continue;
        this.#label[0] = owner.labelOf(node);
        if (!source.read(this.#label[0], row)) continue;
        read++;
        if (this.#metric === 'cosine') copyNormalised(row, row, 0);
        scanRows(row, 0, 1, query, this.#metric, out, this.#label, 0, 1);
      }
    }
  }

  #offerResults(count: number, out: SearchHits): void {
    const { f32, u32 } = this.#owner.graph;
    for (let i = 0; i < count; i++) {
      const at = this.#results + i * 2;
      out.offer(u32[at + 1]!, f32[at]!);
    }
  }
}

/** Searching a graph from any thread that is attached to it: the owner's, or another's while the owner goes on. */
import * as layout from '../assembly/layout.ts';
import { type GraphMemory, headerWord } from './graph-memory.ts';
import { attachGraph, type GraphExports } from './graph-module.ts';
import { copyNormalised } from './vector-index.ts';

/** Of what an int8 walk finds, this many times k are compared exactly, and at least so many more than k. */
const CONSIDERED_FACTOR = 2;
const CONSIDERED_MORE = 10;
/** A walk that found less than was asked for, around deleted vectors, is tried again with so many times the effort. */
const EFFORT_STEP = 4;
/** Deleted nodes take room in the list of a walk: it is longer by their share, at most by this factor. */
const LONGER_MAX = 2;
/** Whether there is something to insert in the graph: what insertBatch() takes. */
export function hasBatch({ i32 }: GraphMemory): boolean {
  return Atomics.load(i32, headerWord(layout.BATCH_NEXT)) < Atomics.load(i32, headerWord(layout.BATCH_END));
}

export class GraphReader {
  readonly exports: GraphExports;
  readonly #graph: GraphMemory;
  readonly #isUnit: boolean;
  readonly #isQuantised: boolean;
  readonly #isByCode: boolean;
  readonly #query: number;
  readonly #results: number;
  /** Whether the last search compared all vectors. */
  #isScan = false;

  /**
   * `exports` is this thread's hold on the graph. Unless `isReranked`, the distances of a walk over codes are what they are, and no exact
   * vector is looked at.
   */
  constructor(graph: GraphMemory, exports: GraphExports, isReranked = true) {
    this.#graph = graph;
    this.exports = exports;
    this.#isUnit = graph.u32[headerWord(layout.METRIC)] === layout.COSINE;
    this.#isQuantised = graph.u32[headerWord(layout.CODE_BYTES)] !== 0;
    this.#isByCode = this.#isQuantised && !isReranked;
    this.#query = (exports.queryAt() >>> 0) / 4;
    this.#results = (exports.resultsAt() >>> 0) / 4;
  }

  /** Attaches this thread in block `slot`, which nobody else has at that time. */
  static attach(graph: GraphMemory, slot: number, isReranked = true): GraphReader {
    return new GraphReader(graph, attachGraph(graph, slot), isReranked);
  }

  /**
   * The nearest, up to `k`, by a walk with `ef`; returns how many. If they are fewer than `wanted`, which exist, all are compared.
   * Deletions under way make it fewer, too.
   */
  search(query: Float32Array, k: number, ef: number, wanted: number): number {
    const { u32 } = this.#graph;
    this.#setQuery(query);
    const most = Math.min(k, layout.EF_MAX);
    const nodes = u32[headerWord(layout.NODES)]!;
    const deleted = Atomics.load(u32, headerWord(layout.DELETED_COUNT));
    const longer = Math.min(LONGER_MAX, nodes / Math.max(1, nodes - deleted));
    let considered = this.#considered(most);
    for (let effort = Math.ceil(Math.max(ef, most) * longer); ; effort *= EFFORT_STEP) {
      const wide = Math.min(effort, layout.EF_MAX);
      this.#isScan = false;
      const found = this.#isByCode
        ? this.#walkCodes(most, wide)
        : this.exports.search(most, wide, considered);
      if (found >= Math.min(wanted, most)) return found;
      if (effort >= layout.EF_MAX || effort >= nodes) {
        this.#isScan = true;
        return this.exports.scan(most);
      }
      considered = Math.min(considered * EFFORT_STEP, layout.EF_MAX);
    }
  }

  #setQuery(query: Float32Array): void {
    const { f32 } = this.#graph;
    if (this.#isUnit) copyNormalised(query, f32, this.#query);
    else f32.set(query, this.#query);
  }

  /** Of the last search, nearest first. */
  labelAt(i: number): number {
    return this.#graph.u32[this.#results + 2 * i + 1]!;
  }

  distanceAt(i: number): number {
    const distance = this.#graph.f32[this.#results + 2 * i]!;
    return this.#isByCode && !this.#isScan ? this.#ofCodes(distance) : distance;
  }

  #walkCodes(k: number, ef: number): number {
    const { exports } = this;
    exports.begin();
    const found = exports.writeResults(exports.find(ef), k);
    exports.end();
    return found;
  }

  /** What a walk over codes compares is in units of the quantiser, and an inner product is negative (kernels/assembly/quantise.ts). */
  #ofCodes(distance: number): number {
    const { f32, u32 } = this.#graph;
    const scaled = distance / f32[headerWord(layout.UNIT)]! ** 2;
    return u32[headerWord(layout.METRIC)] === layout.SQUARED ? Math.max(0, scaled) : 1 + scaled;
  }

  #considered(k: number): number {
    return this.#isQuantised ? Math.max(k * CONSIDERED_FACTOR, k + CONSIDERED_MORE) : k;
  }
}

/** Searching a graph from any thread that is attached to it: the owner's, or another's while the owner goes on. */
import * as layout from '../assembly/layout.ts';
import { efOf, patienceOf } from './effort.ts';
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
   * The nearest, up to `k`, by a walk with `effort` (effort.ts); returns how many. If they are fewer than `wanted`, which
   * exist, all are compared. Deletions under way make it fewer, too.
   */
  search(query: Float32Array, k: number, effort: number, wanted: number): number {
    const { u32 } = this.#graph;
    this.#setQuery(query);
    const most = Math.min(k, layout.EF_MAX);
    const ef = efOf(effort);
    this.exports.endEarly(most, patienceOf(effort));
    const nodes = u32[headerWord(layout.NODES)]!;
    const deleted = Atomics.load(u32, headerWord(layout.DELETED_COUNT));
    const longer = Math.min(LONGER_MAX, nodes / Math.max(1, nodes - deleted));
    let considered = this.#considered(most);
    for (let wanting = Math.ceil(Math.max(ef, most) * longer); ; wanting *= EFFORT_STEP) {
      const wide = Math.min(wanting, layout.EF_MAX);
      this.#isScan = false;
      const found = this.#isByCode
        ? this.#walkCodes(most, wide)
        : this.exports.search(most, wide, considered);
      if (found >= Math.min(wanted, most)) return found;
      if (wanting >= layout.EF_MAX || wanting >= nodes) {
        this.#isScan = true;
        return this.exports.scan(most);
      }
      considered = Math.min(considered * EFFORT_STEP, layout.EF_MAX);
    }
  }

  /**
   * The nearest that pass, up to `k`, by a walk that goes on until `ef` of them are found; returns how many, which may be fewer than
   * there are. `bits` has a bit for each label of the graph, from the lowest of the first word.
   */
  searchPassing(query: Float32Array, k: number, ef: number, bits: Uint32Array): number {
    const { exports } = this;
    const most = Math.min(k, layout.EF_MAX);
    this.#isScan = false;
    this.#setQuery(query);
    exports.begin();
    this.#setPassing(bits);
    let found = exports.findPassing(Math.min(Math.max(ef, this.#considered(most)), layout.EF_MAX));
    if (!this.#isByCode) {
      found = Math.min(found, this.#considered(most));
      exports.rank(found);
    }
    found = exports.writePassing(found, most);
    exports.end();
    return found;
  }

  /** Labels may be larger than there is room for bits, as a collection may be larger than its graph: then each node has a bit. */
  #setPassing(bits: Uint32Array): void {
    const { u32 } = this.#graph;
    const passing = (this.exports.passingAt() >>> 0) / 4;
    const room = Math.ceil(u32[headerWord(layout.CAPACITY)]! / 32);
    const nodes = u32[headerWord(layout.NODES)]!;
    const ofNodes = bits.length > room;
    this.exports.setPassing(ofNodes ? 1 : 0);
    if (!ofNodes) {
      u32.set(bits, passing);
      return;
    }
    const labels = u32[headerWord(layout.LABELS)]! / 4;
    u32.fill(0, passing, passing + Math.ceil(nodes / 32));
    for (let node = 0; node < nodes; node++) {
      const label = u32[labels + node]!;
      const passes = (bits[label >>> 5]! >>> (label & 31)) & 1;
      const word = passing + (node >>> 5);
      u32[word] = u32[word]! | (passes << (node & 31));
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

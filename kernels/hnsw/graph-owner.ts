/**
 * The owner's side of a graph: gives nodes out, trains the quantiser, deletes, and gets the memory of deleted nodes back (contract in
 * kernels/assembly/graph.ts). One thread; others may search and insert what was placed at the same time.
 */
import { assert } from '../../runtime/assert.ts';
import * as layout from '../assembly/layout.ts';
import { type ElementType, type GraphMemory, headerWord, makeGraphMemory } from './graph-memory.ts';
import { attachGraph, type GraphExports, threadWord } from './graph-module.ts';
import { trainQuantiser } from './quantiser.ts';
import { copyNormalised, type IndexOptions, SearchHits } from './vector-index.ts';

/** The quantiser is trained with so many vectors at most. */
const SAMPLE_MAX = 2048;
/** It is trained anew when the graph has grown by this factor, up to so many nodes … */
const TRAINING_GROWTH = 8;
const TRAINING_NODES_MAX = 200_000;
/** … or when of the nodes since, at least so many and this share of all, one in so many is far outside what it was trained for. */
const NEW_NODES_MIN = 64;
const NEW_SHARE = 1 / 32;
const OUTSIDE_SHARE = 1 / 16;
/** Vectors whose nearest are looked at to judge the codes, and how many of these. */
const PROBES = 24;
const PROBE_K = 10;
/** A sweep begins when so many nodes, and this share of all, are deleted. */
const DELETED_MIN = 64;
const DELETED_SHARE = 1 / 10;
/** Nodes swept with each change while a sweep goes on. */
const SWEEP_STEP = 32;
/** No level is higher: the chance of one is M to the power of minus this. */
const LEVEL_MAX = 12;

const BATCH_STEP = 64;
/** Milliseconds that another thread may take for one insertion; one that takes longer is taken for gone. */
const PATIENCE = 2000;

export const OWNER_SLOT = 0;

export class GraphOwner {
  readonly graph: GraphMemory;
  readonly exports: GraphExports;
  readonly capacity: number;
  readonly #options: IndexOptions;
  readonly #isQuantised: boolean;
  readonly #vectors: number;
  readonly #stride: number;
  readonly #labels: number;
  #trainedWith = 0;
  #free: number[] = [];
  #deleted: number[] = [];
  #doomed: number[] = [];
  /** Next node of the sweep that goes on, −1 = none does. */
  #cursor = -1;
  #sweepIsWhole = true;
  /** Doomed nodes of a whole sweep, until every thread has passed the epoch. */
  #limbo: number[] = [];
  #limboEpoch = 0;

  constructor(options: IndexOptions, element: ElementType, capacity?: number) {
    this.graph = makeGraphMemory(options, element, capacity);
    this.exports = attachGraph(this.graph, OWNER_SLOT);
    this.capacity = this.header(layout.CAPACITY);
    this.#options = options;
    this.#isQuantised = element === 'i8';
    this.#vectors = this.header(layout.VECTORS) / 4;
    this.#stride = this.header(layout.VECTOR_BYTES) / 4;
    this.#labels = this.header(layout.LABELS) / 4;
  }

  header(word: number): number {
    return this.graph.u32[headerWord(word)]!;
  }

  /** Nodes ever given out; live ones are among them. */
  get nodes(): number {
    return this.header(layout.NODES);
  }

  /** Bytes of memory in use, of all that is reserved: what the nodes given out occupy. */
  get bytesUsed(): number {
    const perNode = this.header(layout.VECTOR_BYTES) + this.header(layout.CODE_BYTES);
    const links = this.header(layout.LINKS_MAX) * 8 + 6 * 4 + 1;
    const buffers = this.header(layout.THREAD_BYTES) - this.capacity;
    const upperBytes = this.header(layout.UPPER_NEXT) - this.header(layout.THREADS);
    const upper = upperBytes - this.header(layout.THREAD_BYTES) * layout.SLOTS_MAX;
    return this.nodes * (perNode + links) + buffers + upper;
  }

  labelOf(node: number): number {
    return this.graph.u32[this.#labels + node]!;
  }

  /** Index in `f32` of a node's vector. */
  vectorAt(node: number): number {
    return this.#vectors + node * this.#stride;
  }

  /** A node with the vector (under cosine: normalised) and nothing else, or −1 when all room is taken. */
  place(label: number, vector: Float32Array): number {
    const { u32, f32 } = this.graph;
    const reused = this.#free.pop();
    if (reused === undefined && this.nodes === this.capacity) return -1;
    const node = reused ?? this.nodes;
    const at = this.vectorAt(node);
    if (this.#options.metric === 'cosine') copyNormalised(vector, f32, at);
    else f32.set(vector, at);
    u32[this.#labels + node] = label;
    // A node keeps the level that it was first given.
    this.exports.place(node, reused === undefined ? this.#levelOf(node) : 0);
    if (reused === undefined) u32[headerWord(layout.NODES)] = node + 1;
    return node;
  }

  /** Whether a node is one that was placed, and not inserted yet. */
  isPlaced(node: number): boolean {
    const state = this.graph.u32[this.header(layout.STATES) / 4 + node]!;
    return (state & (layout.LIVE | layout.DELETED)) === 0;
  }

  /** Level with probability M^−level, from the seed and the number of the node. */
  #levelOf(node: number): number {
    const { seed, m } = this.#options;
    let t = (seed + Math.imul(node + 1, 0x6d2b79f5)) >>> 0;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    const uniform = ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    return Math.min(LEVEL_MAX, Math.floor(-Math.log(1 - uniform) / Math.log(m)));
  }

  /** Whether the quantiser should be trained before the next node is inserted. No other thread may walk while it is. */
  get wantsTraining(): boolean {
    if (!this.#isQuantised || this.nodes === 0) return false;
    if (this.nodes >= this.#trainedWith * TRAINING_GROWTH && this.#trainedWith < TRAINING_NODES_MAX)
      return true;
    const coded = this.header(layout.CODED);
    return (
      coded >= NEW_NODES_MIN &&
      coded >= this.nodes * NEW_SHARE &&
      this.header(layout.OUTSIDE) >= coded * OUTSIDE_SHARE
    );
  }

  /** First of the nodes whose links were chosen by codes of which many were cut, when that is why training is wanted. */
  get firstCut(): number {
    return this.header(layout.OUTSIDE) >= this.header(layout.CODED) * OUTSIDE_SHARE
      ? this.#trainedWith
      : this.nodes;
  }

  train(): void {
    const { f32, u32 } = this.graph;
    const { nodes } = this;
    const rows = Math.min(nodes, SAMPLE_MAX);
    const trained = trainQuantiser(f32, rows, this.#options.dimension, (row) =>
      this.vectorAt(Math.floor((row * nodes) / rows)),
    );
    const { centres, steps, weights } = trained;
    f32.set(centres, this.header(layout.CENTRES) / 4);
    f32.set(steps, this.header(layout.STEPS) / 4);
    f32.set(
      steps.map((step) => 1 / step),
      this.header(layout.INVERSES) / 4,
    );
    new Int16Array(this.graph.memory.buffer, this.header(layout.WEIGHTS), weights.length).set(weights);
    f32[headerWord(layout.UNIT)] = trained.unit;
    f32[headerWord(layout.WEIGHT_UNIT)] = trained.weightUnit;
    f32[headerWord(layout.CENTRE_SQUARED)] = centres.reduce((sum, each) => sum + each * each, 0);
    this.exports.encodeAll();
    this.#trainedWith = nodes;
    u32[headerWord(layout.CODED)] = 0;
    u32[headerWord(layout.OUTSIDE)] = 0;
  }

  /**
   * Of the nearest in a sample of the nodes, the share that their codes show, 0 … 1. Low where the differences that matter are
   * smaller than a step of the codes: in narrow clusters far from each other, or along a line.
   */
  codeRecall(): number {
    const rows = Math.min(this.nodes, SAMPLE_MAX);
    const nodeAt = (row: number) => Math.floor((row * this.nodes) / rows);
    const byCode = new SearchHits(PROBE_K);
    const exactly = new SearchHits(PROBE_K);
    let shared = 0;
    for (let probe = 0; probe < PROBES; probe++) {
      const query = nodeAt(Math.floor((probe * rows) / PROBES));
      this.exports.makeQueryForm(this.vectorAt(query) * 4);
      byCode.begin(PROBE_K);
      exactly.begin(PROBE_K);
      for (let row = 0; row < rows; row++) {
        byCode.offer(nodeAt(row), this.#codeDistance(nodeAt(row)));
        exactly.offer(nodeAt(row), this.#exactDistance(query, nodeAt(row)));
      }
      // of equally near ones each is as good
      for (let i = 0; i < byCode.count; i++) {
        const distance = this.#exactDistance(query, byCode.labels[i]!);
        if (distance <= exactly.distances[exactly.count - 1]!) shared++;
      }
    }
    return shared / (PROBES * Math.min(PROBE_K, rows));
  }

  #codeDistance(node: number): number {
    const { exports, graph } = this;
    const code = this.header(layout.CODES) + node * this.header(layout.CODE_BYTES);
    const product = exports.dotI8(exports.queryFormAt() >>> 0, code, this.header(layout.CODE_LENGTH));
    return graph.f32[this.header(layout.NORMS) / 4 + node]! + product * exports.factorOfQuery();
  }

  #exactDistance(a: number, b: number): number {
    const bytes = this.header(layout.VECTOR_BYTES);
    const [x, y] = [this.vectorAt(a) * 4, this.vectorAt(b) * 4];
    return Math.fround(
      this.#options.metric === 'l2'
        ? this.exports.squaredF32(x, y, bytes)
        : 1 - this.exports.dotF32(x, y, bytes),
    );
  }

  /** Marks a node; its memory comes back when a sweep has been over all others. */
  remove(node: number): void {
    assert(this.exports.mark(node) !== 0, 'a node is removed once');
    this.#deleted.push(node);
  }

  /** A bounded part of the work that deletions have left: to be called with each change. True while there is any. */
  tidy(): boolean {
    if (this.#limbo.length > 0) this.#free = this.#free.concat(this.#takeLimbo());
    if (this.#cursor < 0 && this.#shouldSweep()) {
      this.exports.sweepBegin();
      this.#doomed = this.#deleted;
      this.#deleted = [];
      this.#cursor = 0;
      this.#sweepIsWhole = true;
    }
    if (this.#cursor < 0) return this.#limbo.length > 0;
    if (this.exports.sweepNodes(this.#cursor, SWEEP_STEP) === 0) this.#sweepIsWhole = false;
    this.#cursor += SWEEP_STEP;
    if (this.#cursor >= this.nodes) this.#endSweep();
    return true;
  }

  #shouldSweep(): boolean {
    if (this.#limbo.length > 0) return false;
    return this.#deleted.length >= Math.max(DELETED_MIN, this.nodes * DELETED_SHARE);
  }

  #endSweep(): void {
    this.#cursor = -1;
    if (this.#sweepIsWhole) {
      this.#limboEpoch = this.exports.sweepEnd();
      this.#limbo = this.#doomed;
    } else {
      this.exports.sweepAbort();
      this.#deleted = this.#doomed.concat(this.#deleted);
    }
    this.#doomed = [];
  }

  /** Nodes that nobody can be at any more; none as long as a thread may be. */
  #takeLimbo(): number[] {
    for (let slot = 0; slot < layout.SLOTS_MAX; slot++) {
      const active = Atomics.load(this.graph.i32, threadWord(this.graph, slot) + layout.ACTIVE) >>> 0;
      if (active !== 0 && active < this.#limboEpoch) return [];
    }
    if (this.exports.replaceEntry() === 0) {
      this.#limboEpoch = this.exports.nextEpoch();
      return [];
    }
    const free = this.#limbo;
    this.#limbo = [];
    for (const node of free) this.exports.free(node);
    return free;
  }

  /** Opens a queue of the placed nodes first … last − 1, which attached threads insert together (insertBatch). */
  openBatch(first: number, last: number): void {
    const { i32 } = this.graph;
    Atomics.store(i32, headerWord(layout.BATCH_NEXT), first);
    Atomics.store(i32, headerWord(layout.BATCH_END), last);
  }

  /** Takes part in the batch until nothing of it is left, and waits for what other threads are at, or inserts that itself. */
  finishBatch(): void {
    const { graph, exports } = this;
    while (exports.insertBatch(BATCH_STEP) === BATCH_STEP);
    for (let slot = 0; slot < layout.SLOTS_MAX; slot++) {
      const at = threadWord(graph, slot) + layout.INSERTING;
      const node = Atomics.load(graph.i32, at) - 1;
      for (let i = 0; node >= 0 && Atomics.load(graph.i32, at) === node + 1; i++) {
        if (i === PATIENCE) exports.insert(node);
        if (i >= PATIENCE) break;
        Atomics.wait(graph.i32, at, node + 1, 1);
      }
    }
  }

  /**
   * After the thread that had block `slot` ended: frees what it had locked, and returns the node that it was inserting, −1 if none.
   * Inserting it again completes it.
   */
  reclaim(slot: number): number {
    const { i32 } = this.graph;
    this.exports.releaseLocks(slot);
    const at = threadWord(this.graph, slot);
    const node = Atomics.exchange(i32, at + layout.INSERTING, 0) - 1;
    Atomics.store(i32, at + layout.ACTIVE, 0);
    return node;
  }
}

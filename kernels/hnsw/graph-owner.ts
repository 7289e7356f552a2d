/**
 * The owner's side of a graph: gives nodes out, trains the quantiser, deletes, and gets the memory of deleted nodes back (contract in
 * kernels/assembly/graph.ts). One thread; others may search and insert what was placed at the same time.
 */
import { assert } from '../../runtime/assert.ts';
import * as layout from '../assembly/layout.ts';
import { GraphCodes } from './graph-codes.ts';
import {
  bytesUsed,
  type ElementType,
  type GraphMemory,
  headerWord,
  makeGraphMemory,
} from './graph-memory.ts';
import { attachGraph, type GraphExports, threadWord } from './graph-module.ts';
import { describeGraph, elementOfSnapshot, readGraph, usedParts } from './graph-snapshot.ts';
import { Twins } from './graph-twins.ts';
import { copyNormalised, type IndexOptions } from './vector-index.ts';

/** A sweep begins when so many nodes, and this share of all, are deleted. */
const DELETED_MIN = 64;
const DELETED_SHARE = 1 / 10;
/** Nodes swept with each change while a sweep goes on. */
const SWEEP_STEP = 32;
/** Twins that have left their chains are freed so many at a time. */
const RETIRED_MIN = 32;
/** No level is higher: the chance of one is M to the power of minus this. */
const LEVEL_MAX = 12;

const BATCH_STEP = 64;
/** Milliseconds that another thread may take for one insertion; one that takes longer is taken for gone. */
const PATIENCE = 2000;

/** State of a twin that has left its chain. */
const TWIN_GONE = layout.TWIN | layout.DOOMED;

const OWNER_SLOT = 0;

export class GraphOwner {
  readonly graph: GraphMemory;
  readonly exports: GraphExports;
  readonly capacity: number;
  readonly #options: IndexOptions;
  readonly twins: Twins;
  readonly #codes: GraphCodes | undefined;
  readonly #query: number;
  readonly #vectors: number;
  readonly #stride: number;
  readonly #labels: number;
  #free: number[] = [];
  #deleted: number[] = [];
  #doomed: number[] = [];
  /** Next node of the sweep that goes on, −1 = none does. */
  #cursor = -1;
  #sweepIsWhole = true;
  /** Doomed nodes of a whole sweep, until every thread has passed the epoch. */
  #limbo: number[] = [];
  #limboEpoch = 0;
  /** Twins that have left their chains, and those of them that wait until every thread has passed the epoch. */
  #retired: number[] = [];
  #retiring: number[] = [];
  #retiringEpoch = 0;

  constructor(
    options: IndexOptions,
    element: ElementType,
    capacity?: number,
    graph = makeGraphMemory(options, element, capacity),
  ) {
    this.graph = graph;
    this.exports = attachGraph(this.graph, OWNER_SLOT);
    this.capacity = this.header(layout.CAPACITY);
    this.#options = options;
    this.#query = (this.exports.queryAt() >>> 0) / 4;
    this.#vectors = this.header(layout.VECTORS) / 4;
    this.#stride = this.header(layout.VECTOR_BYTES) / 4;
    this.#labels = this.header(layout.LABELS) / 4;
    this.twins = new Twins(this.graph, this.exports);
    if (element === 'i8') this.#codes = new GraphCodes(this, options);
  }

  /**
   * The graph that was kept as {@link snapshot}, which is `description` and what `read` fills each part with in turn. Undefined when it
   * is of another form or cannot be walked.
   */
  static restore(
    options: IndexOptions,
    capacity: number | undefined,
    description: Uint8Array,
    read: (part: Uint8Array) => void,
  ): GraphOwner | undefined {
    const graph = readGraph(options, capacity, description, read);
    if (graph === undefined) return undefined;
    const owner = new GraphOwner(options, elementOfSnapshot(description), capacity, graph);
    if (owner.exports.isWalkable() === 0) return undefined;
    owner.#sort();
    return owner;
  }

  /** Finds again which nodes are free, deleted or somebody's first. */
  #sort(): void {
    const { u32, i32 } = this.graph;
    const states = this.header(layout.STATES) / 4;
    this.exports.sweepAbort();
    this.twins.reserve(this.nodes);
    for (let node = 0; node < this.nodes; node++) {
      const state = u32[states + node]!;
      if ((state & layout.UNLINKED) !== 0 || (state & TWIN_GONE) === TWIN_GONE) this.exports.free(node);
      if ((u32[states + node]! & (layout.LIVE | layout.DELETED | layout.TWIN)) === 0) this.#free.push(node);
      else if ((state & layout.DELETED) !== 0) this.#deleted.push(node);
      else if ((state & layout.TWIN) === 0) this.twins.add(this.twins.hashAt(this.twins.rowAt(node)), node);
    }
    Atomics.store(i32, headerWord(layout.DELETED_COUNT), this.#deleted.length);
  }

  /**
   * The graph as bytes, to be written one after the other before the owner changes anything: what {@link restore} takes. Nobody
   * may be inserting.
   */
  snapshot(): Uint8Array[] {
    assert(this.header(layout.BATCH_NEXT) >= this.header(layout.BATCH_END), 'no batch is open');
    return [describeGraph(this.graph), ...usedParts(this.graph)];
  }

  header(word: number): number {
    return this.graph.u32[headerWord(word)]!;
  }

  /** Nodes ever given out; live ones are among them. */
  get nodes(): number {
    return this.header(layout.NODES);
  }

  /** Bytes of memory in use, of all that is reserved. */
  get bytesUsed(): number {
    return bytesUsed(this.graph) + this.twins.bytes;
  }

  labelOf(node: number): number {
    return this.graph.u32[this.#labels + node]!;
  }

  /** Index in `f32` of a node's vector. */
  vectorAt(node: number): number {
    return this.#vectors + this.twins.firstOf(node) * this.#stride;
  }

  /**
   * A node for the label, or −1 when all room is taken. One with the vector (under cosine: normalised) and nothing else, which is to be
   * inserted; or, when the vector is there already, one that needs no insertion ({@link isPlaced}).
   */
  place(label: number, vector: Float32Array): number {
    this.#setQuery(vector);
    const { u32 } = this.graph;
    const hash = this.twins.hashAt(this.#query * 4);
    const first = this.twins.find(hash, this.#query * 4);
    if (first >= 0 && this.twins.isHidden(first)) return this.#showAs(label, first);
    const node = this.#takeNode();
    if (node < 0) return -1;
    u32[this.#labels + node] = label;
    if (first >= 0) {
      this.twins.join(first, node);
    } else {
      // A node keeps the level that it was first given.
      this.exports.place(node, this.#levelOf(node));
      this.twins.add(hash, node);
    }
    if (node === this.nodes) u32[headerWord(layout.NODES)] = node + 1;
    return node;
  }

  /** The node of a vector that is there and hidden, which has the label from now on; −1 = there is none. */
  claim(label: number, vector: Float32Array): number {
    this.#setQuery(vector);
    const first = this.twins.find(this.twins.hashAt(this.#query * 4), this.#query * 4);
    return first >= 0 && this.twins.isHidden(first) ? this.#showAs(label, first) : -1;
  }

  #setQuery(vector: Float32Array): void {
    const { f32 } = this.graph;
    if (this.#options.metric === 'cosine') copyNormalised(vector, f32, this.#query);
    else f32.set(vector, this.#query);
  }

  #showAs(label: number, first: number): number {
    this.graph.u32[this.#labels + first] = label;
    this.twins.show(first);
    return first;
  }

  /** Whether there is a node for one more. Those of deleted vectors come back in {@link tidy}. */
  get hasRoom(): boolean {
    return this.#free.length > 0 || this.nodes < this.capacity;
  }

  #takeNode(): number {
    return this.#free.pop() ?? (this.nodes === this.capacity ? -1 : this.nodes);
  }

  /** Whether searches return the label of a node. */
  isFindable(node: number): boolean {
    const state = this.graph.u32[this.header(layout.STATES) / 4 + node]!;
    return (state & TWIN_GONE) === layout.TWIN || (state & (layout.LIVE | layout.HIDDEN)) === layout.LIVE;
  }

  /** Whether a node is one that searches find in the graph, for itself or for its twins. */
  isLive(node: number): boolean {
    return (this.graph.u32[this.header(layout.STATES) / 4 + node]! & layout.LIVE) !== 0;
  }

  get isQuantised(): boolean {
    return this.#codes !== undefined;
  }

  /** Whether a node is one that was placed, and not inserted yet. */
  isPlaced(node: number): boolean {
    const state = this.graph.u32[this.header(layout.STATES) / 4 + node]!;
    return (state & (layout.LIVE | layout.DELETED | layout.TWIN | layout.FREE)) === 0;
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
    return this.#codes?.wantsTraining ?? false;
  }

  train(): void {
    this.codes.train();
  }

  /** The quantiser of a graph that is walked over codes. */
  get codes(): GraphCodes {
    assert(this.#codes !== undefined, 'the graph has codes');
    return this.#codes;
  }

  /** Takes a node out, which is not found any more; its memory comes back when nobody can come to it. */
  remove(node: number): void {
    const { twins } = this;
    if (twins.isTwin(node)) {
      const first = twins.firstOf(node);
      twins.leave(node);
      this.#retired.push(node);
      if (twins.isHidden(first) && !twins.hasTwins(first)) this.#delete(first);
    } else if (twins.hasTwins(node)) {
      assert(!twins.isHidden(node), 'a node is removed once');
      twins.hide(node);
    } else {
      this.#delete(node);
    }
  }

  #delete(node: number): void {
    this.twins.remove(node);
    assert(this.exports.mark(node) !== 0, 'a node is removed once');
    this.#deleted.push(node);
  }

  /** A bounded part of the work that deletions have left: to be called with each change. True while there is any. */
  tidy(): boolean {
    this.#freeTwins();
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

  #freeTwins(): void {
    if (this.#retiring.length > 0) {
      if (!this.#havePassed(this.#retiringEpoch)) return;
      for (const node of this.#retiring) this.exports.free(node);
      this.#free = this.#free.concat(this.#retiring);
      this.#retiring = [];
    }
    if (this.#retired.length < RETIRED_MIN) return;
    this.#retiring = this.#retired;
    this.#retired = [];
    this.#retiringEpoch = this.exports.nextEpoch();
  }

  /** Whether no thread is at an operation that began before the epoch. */
  #havePassed(epoch: number): boolean {
    for (let slot = 0; slot < layout.SLOTS_MAX; slot++) {
      const active = Atomics.load(this.graph.i32, threadWord(this.graph, slot) + layout.ACTIVE) >>> 0;
      if (active !== 0 && active < epoch) return false;
    }
    return true;
  }

  /** Nodes that nobody can be at any more; none as long as a thread may be. */
  #takeLimbo(): number[] {
    if (!this.#havePassed(this.#limboEpoch)) return [];
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

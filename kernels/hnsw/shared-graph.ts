/**
 * A collection's graph as its owner has it: other threads search it, and help to insert the batch that is open
 * (kernels/assembly/graph.ts has the contract). Vectors come in batches: all of a batch are placed, which makes them nodes; then
 * whoever has time inserts them; and when each is linked, the batch is settled.
 */
import { assert } from '../../runtime/assert.ts';
import { forgetTwins } from './forget-twins.ts';
import type { GraphAccess } from './graph-access.ts';
import type { ElementType } from './graph-memory.ts';
import { GraphOwner } from './graph-owner.ts';
import { GraphReader } from './graph-reader.ts';
import { LabelNodes } from './label-nodes.ts';
import type { GraphPart, LabelTest, TailGraph } from './tail-graph.ts';
import type { IndexOptions, SearchHits } from './vector-index.ts';
import { IS_FULL, WALKS_CODES, WALKS_FLOATS } from './vector-memory.ts';
import type { VectorRoom } from './vector-room.ts';

/** Vectors of a batch: placing them takes two milliseconds or so, in which no search is answered. */
const BATCH = 512;
/** Of the first one: codes are chosen by it. */
const FIRST_BATCH = 8192;
/** Fewer are inserted before another thread is awake. */
const WORTH_A_CALL = 16;

export interface SharedGraphOptions {
  /** Most vectors; as many as fit the memory if not given. */
  readonly capacity?: number;
  readonly element?: ElementType;
  readonly room?: VectorRoom | undefined;
  /** Whether what a walk over codes has found is put in order by exact distances. */
  readonly isReranked?: boolean;
}

interface Batch {
  readonly labels: Uint32Array;
  /** By the place of the label; those from `count` on had no room. */
  readonly nodes: Uint32Array;
  readonly count: number;
  /** Nodes that are not in the range of the batch, to be inserted by the owner: used before, or badly linked. */
  readonly again: number[];
  isOffered: boolean;
  /** Where the other threads were when nothing of the batch was left to take. */
  mark: Int32Array | undefined;
  isThrough: boolean;
}

export class SharedGraph implements TailGraph {
  readonly parts: readonly GraphPart[] = [this];
  readonly #options: IndexOptions;
  readonly #access: GraphAccess;
  readonly #capacity: number | undefined;
  readonly #room: VectorRoom | undefined;
  readonly #isReranked: boolean;
  #element: ElementType;
  #owner: GraphOwner | undefined;
  #reader: GraphReader | undefined;
  #number = 0;
  #nodes = new LabelNodes();
  #batch: Batch | undefined;
  /** First of the nodes that the open batch has added. */
  #first = 0;
  #isPoor = false;
  /** Next node to look at for vectors that nothing has claimed; −1 = there are none. */
  #unclaimed = -1;
  /** Whether there is no room for vectors where they are kept. */
  isRefused = false;
  /** Whether the graph is being written down: nothing is linked meanwhile, and vectors wait in the tail. */
  isKept = false;
  /** Vectors linked or removed since it was last kept. */
  changes = 0;
  /** Vectors that came and were there already. */
  found = 0;

  constructor(options: IndexOptions, access: GraphAccess, more: SharedGraphOptions = {}) {
    this.#options = options;
    this.#access = access;
    this.#capacity = more.capacity;
    this.#element = more.element ?? 'i8';
    this.#room = more.room;
    this.#isReranked = more.isReranked ?? true;
  }

  get size(): number {
    return this.#nodes.linked;
  }

  get number(): number {
    return this.#number;
  }

  get isOpen(): boolean {
    return this.#batch !== undefined;
  }

  get isThrough(): boolean {
    return this.#batch?.isThrough ?? false;
  }

  get isFull(): boolean {
    return !this.hasRoom || this.isKept;
  }

  /** Whether there is memory for more. */
  get hasRoom(): boolean {
    return !this.isRefused && this.#owner?.hasRoom !== false;
  }

  get beginsAnew(): boolean {
    return this.#nodes.linked === 0;
  }

  get poor(): SharedGraph | undefined {
    return this.#isPoor ? this : undefined;
  }

  /** What it is walked over. */
  get element(): ElementType {
    return this.#element;
  }

  get bytes(): number {
    return (this.#owner?.bytesUsed ?? 0) + this.#nodes.bytes;
  }

  get form(): number {
    if (this.#owner === undefined) return 0;
    return (this.#element === 'i8' ? WALKS_CODES : WALKS_FLOATS) | (this.hasRoom ? 0 : IS_FULL);
  }

  /** Undefined until there was a first batch. */
  get owner(): GraphOwner | undefined {
    return this.#owner;
  }

  claim(label: number, vector: Float32Array): boolean {
    const node = this.hasUnclaimed && !this.isKept ? this.#owner!.claim(label, vector) : -1;
    if (node < 0) return false;
    this.#nodes.link(label, node);
    this.found++;
    return true;
  }

  batchFor(): number {
    return this.#owner === undefined ? FIRST_BATCH : BATCH;
  }

  begin(labels: readonly number[], read: (label: number, out: Float32Array) => boolean): void {
    assert(this.#batch === undefined, 'one batch at a time');
    if (this.#owner === undefined) this.#makeFor(labels, read);
    else this.#place(labels, read);
  }

  step(budget: number): number {
    const batch = this.#batch;
    if (batch === undefined || batch.isThrough || (!batch.isOffered && !this.#offerBatch(batch))) return 0;
    const exports = this.#owner!.exports;
    let done = 0;
    for (; done < budget && batch.again.length > 0; done++) exports.insert(batch.again.pop()!);
    if (done < budget) done += exports.insertBatch(budget - done);
    if (done === 0) this.#lookWhetherThrough(batch);
    return done;
  }

  settle(moved: (label: number) => void): void {
    const batch = this.#batch!;
    assert(batch.isThrough, 'a batch is settled when it is through');
    for (let i = 0; i < batch.count; i++) {
      const label = batch.labels[i]!;
      const node = batch.nodes[i]!;
      // else it was removed meanwhile, and maybe there is another of that label
      if (!this.#nodes.isPlaced(label, node)) continue;
      this.#nodes.link(label, node);
      moved(label);
    }
    this.#batch = undefined;
  }

  remove(label: number): void {
    const node = this.#nodes.nodeOf(label);
    if (node < 0) return;
    this.#nodes.forget(label);
    this.#owner!.remove(node);
    this.isRefused = false;
    this.changes++;
  }

  read(label: number, out: Float32Array): boolean {
    const node = this.#nodes.nodeOf(label);
    if (node < 0) return false;
    const at = this.#owner!.vectorAt(node);
    out.set(this.#owner!.graph.f32.subarray(at, at + this.#options.dimension));
    return true;
  }

  offer(query: Float32Array, k: number, effort: number, out: SearchHits, isElsewhere: LabelTest): void {
    if (this.#nodes.linked === 0 || k === 0) return;
    const reader = this.#reader!;
    const found = reader.search(query, k, effort, this.#nodes.linked);
    for (let i = 0; i < found; i++) {
      const label = reader.labelAt(i);
      if (!isElsewhere(label)) out.offer(label, reader.distanceAt(i));
    }
  }

  offerPassing(query: Float32Array, k: number, ef: number, bits: Uint32Array, out: SearchHits): void {
    if (this.#nodes.linked === 0 || k === 0) return;
    const reader = this.#reader!;
    const found = reader.searchPassing(query, k, ef, bits);
    for (let i = 0; i < found; i++) out.offer(reader.labelAt(i), reader.distanceAt(i));
  }

  tidy(): boolean {
    return !this.isKept && (this.#owner?.tidy() ?? false);
  }

  /**
   * The graph as bytes that can be kept (graph-snapshot.ts), as long as {@link isKept}; undefined when there is none, or a batch is open.
   */
  keep(): Uint8Array[] | undefined {
    if (this.#owner === undefined || this.isOpen || this.#owner.nodes === 0) return undefined;
    this.isKept = true;
    this.changes = 0;
    return this.#owner.snapshot();
  }

  /**
   * Takes a graph that was kept, by this collection or another of its form, at any time: `read` fills each part in turn. None of it is
   * found, until a vector that comes turns out to be in it. False when it cannot be used.
   */
  restore(description: Uint8Array, read: (part: Uint8Array) => void): boolean {
    assert(this.#owner === undefined, 'there is no graph yet');
    const owner = GraphOwner.restore(this.#options, this.#capacity, description, (part) => {
      read(part);
      forgetTwins(part);
    });
    if (owner === undefined || (this.#element === 'f32' && owner.isQuantised)) return false;
    this.#element = owner.isQuantised ? 'i8' : 'f32';
    for (let node = 0; node < owner.nodes; node++) if (owner.isLive(node)) owner.twins.hide(node);
    this.#use(owner);
    this.#publish();
    this.#unclaimed = 0;
    return true;
  }

  /** Whether there is anything to keep: also what nothing has claimed yet. */
  get isEmpty(): boolean {
    return this.#nodes.linked === 0 && !this.hasUnclaimed;
  }

  /** Whether a kept graph was taken, of which there may be vectors that nothing has claimed. */
  get hasUnclaimed(): boolean {
    return this.#unclaimed >= 0;
  }

  /** Takes vectors out that nothing has claimed, looking at `budget` nodes; true while there are more to look at. */
  dropUnclaimed(budget: number): boolean {
    const owner = this.#owner;
    if (owner === undefined || this.isOpen || this.isKept || this.#unclaimed < 0) return false;
    const last = Math.min(owner.nodes, this.#unclaimed + budget);
    for (let node = this.#unclaimed; node < last; node++) {
      const isUnclaimed = owner.isLive(node) && owner.twins.isHidden(node) && !owner.twins.hasTwins(node);
      if (!isUnclaimed) continue;
      owner.remove(node);
      this.changes++;
    }
    this.#unclaimed = last < owner.nodes ? last : -1;
    return this.#unclaimed >= 0;
  }

  release(): void {
    if (this.#number !== 0) this.#access.withdraw(this.#number);
    // It may have been about to train codes.
    this.#access.open();
    this.#number = 0;
    if (this.#owner !== undefined) this.#room?.release(this.#owner.graph);
    this.#owner = undefined;
    this.#reader = undefined;
    this.#batch = undefined;
    this.#nodes = new LabelNodes();
    this.isRefused = false;
    this.#isPoor = false;
    this.#unclaimed = -1;
    this.changes = 0;
  }

  /** The first batch: what it shows decides what the graph is walked over. Nobody else knows of it yet. */
  #makeFor(labels: readonly number[], read: (label: number, out: Float32Array) => boolean): void {
    for (;;) {
      this.#use(new GraphOwner(this.#options, this.#element, this.#capacity));
      this.#place(labels, read);
      const owner = this.#owner!;
      if (!owner.wantsTraining) break;
      owner.train();
      if (owner.codes.areGood()) break;
      this.#element = 'f32';
      this.#nodes = new LabelNodes();
      this.#room?.release(owner.graph);
    }
    this.#publish();
  }

  /** What a thread that ended was inserting is inserted before the batch is through. */
  #publish(): void {
    const owner = this.#owner!;
    this.#number = this.#access.publish(owner.graph, (slot) => owner.reclaim(slot));
  }

  #use(owner: GraphOwner): void {
    this.#owner = owner;
    this.#reader = new GraphReader(owner.graph, owner.exports, this.#isReranked);
    this.#room?.adopt(owner.graph);
  }

  #place(labels: readonly number[], read: (label: number, out: Float32Array) => boolean): void {
    const owner = this.#owner!;
    const vector = new Float32Array(this.#options.dimension);
    const first = owner.nodes;
    const nodes = new Uint32Array(labels.length);
    const again: number[] = [];
    let count = 0;
    const nodesMax = Math.min(owner.capacity, first + labels.length);
    const hasRoom = this.#room?.reserve(owner.graph, nodesMax) ?? true;
    for (; hasRoom && count < labels.length; count++) {
      const label = labels[count]!;
      assert(read(label, vector), 'what is to move is there');
      const node = owner.place(label, vector);
      if (node < 0) break;
      nodes[count] = node;
      this.#nodes.place(label, node);
      const isNew = owner.isPlaced(node);
      if (isNew) this.changes++;
      else this.found++;
      if (isNew && node < first) again.push(node);
    }
    this.isRefused = !hasRoom;
    this.#first = first;
    this.#batch = {
      labels: Uint32Array.from(labels),
      nodes,
      count,
      again,
      isOffered: false,
      mark: undefined,
      isThrough: false,
    };
  }

  /** False as long as the quantiser has to be trained, and others are still in the graph. */
  #offerBatch(batch: Batch): boolean {
    const owner = this.#owner!;
    if (owner.wantsTraining && !this.#train(batch)) return false;
    batch.isOffered = true;
    owner.openBatch(this.#first, owner.nodes);
    if (owner.nodes - this.#first >= WORTH_A_CALL) this.#access.call();
    return true;
  }

  #train(batch: Batch): boolean {
    const owner = this.#owner!;
    if (!this.#access.close()) return false;
    const { firstCut } = owner.codes;
    owner.train();
    this.#access.open();
    this.#isPoor = this.#element === 'i8' && !owner.codes.areGood();
    if (this.#isPoor) this.#element = 'f32';
    for (let node = firstCut; node < this.#first; node++) batch.again.push(node);
    return true;
  }

  /** Nothing of the batch is left to take. Who has taken something is done with it once all others have been outside. */
  #lookWhetherThrough(batch: Batch): void {
    batch.mark ??= this.#access.mark();
    if (!this.#access.passed(batch.mark)) return;
    const owner = this.#owner!;
    for (let i = 0; i < batch.count; i++) {
      const node = batch.nodes[i]!;
      // A thread that ended with it in hand.
      if (owner.isPlaced(node)) owner.exports.insert(node);
    }
    batch.isThrough = true;
  }
}

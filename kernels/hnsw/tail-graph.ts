/**
 * What a collection moves its vectors into, batch by batch, from the tail that is searched exactly. A vector of a batch is in
 * both from some moment on until the batch is settled; then it leaves the tail.
 */
import { efOf } from './effort.ts';
import { SearchHits, type VectorIndex } from './vector-index.ts';

/** A graph as other threads know it (vector-memory.ts). */
export interface GraphPart {
  /** 0 = they cannot search it. */
  readonly number: number;
  /** Vectors that are in it alone. */
  readonly size: number;
}

export type LabelTest = (label: number) => boolean;

export interface TailGraph {
  /** Vectors that are here and not in the tail any more. */
  readonly size: number;
  /** The graphs that it consists of. Each vector is in one of them. */
  readonly parts: readonly GraphPart[];
  /** Whether a batch was begun and is not settled. */
  readonly isOpen: boolean;
  /** Whether all of the batch can be found here. */
  readonly isThrough: boolean;
  /** Whether it has no room for more. */
  readonly isFull: boolean;
  /** Whether the next batch is the first of a graph, which is worth making for many vectors only. */
  readonly beginsAnew: boolean;
  /** Whether vectors that come may be here already, from an earlier life. */
  readonly hasUnclaimed: boolean;
  /** What cannot show well what it holds: all of that is to go back to the tail, and a better graph is to be made of it. */
  readonly poor: Pick<TailGraph, 'read' | 'release'> | undefined;
  /** Bytes of memory in use, and bits of FORM (vector-memory.ts): for figures. */
  readonly bytes: number;
  readonly form: number;
  /** Whether the vector of a new label, as {@link begin} would read it, is here already; it is found then, and in no batch. */
  claim(label: number, vector: Float32Array): boolean;
  /** How many vectors a batch should have, for a caller that inserts `budget` of them at a time. */
  batchFor(budget: number): number;
  /** Begins a batch; `read` gives the vector of each label. */
  begin(labels: readonly number[], read: (label: number, out: Float32Array) => boolean): void;
  /** Inserts up to `budget` vectors; returns how many. */
  step(budget: number): number;
  /** Ends the batch. Calls `moved` for each label that is here with the vector that was read. */
  settle(moved: (label: number) => void): void;
  /** Forgets a label; unknown ones are ignored. */
  remove(label: number): void;
  read(label: number, out: Float32Array): boolean;
  /** Offers the nearest, by a search of some effort (effort.ts), to `out`, which the caller has begun, without those that `isElsewhere`. */
  offer(query: Float32Array, k: number, effort: number, out: SearchHits, isElsewhere: LabelTest): void;
  /** Offers the nearest, by a walk, of the labels whose bits are set; not every graph can do that. */
  offerPassing?(query: Float32Array, k: number, ef: number, bits: Uint32Array, out: SearchHits): void;
  /** A bounded part of what removals have left to do; true when there is more to do at once. */
  tidy(): boolean;
  release(): void;
}

/** An index in memory of its thread alone. A batch is what the thread inserts at once. */
export class OwnGraph implements TailGraph {
  readonly parts: readonly GraphPart[] = [this];
  readonly number = 0;
  readonly isFull = false;
  readonly hasUnclaimed = false;
  readonly poor = undefined;
  readonly bytes = 0;
  readonly form = 0;
  readonly #index: VectorIndex;
  readonly #vector: Float32Array;
  #hits = new SearchHits(16);
  #batch: readonly number[] | undefined;
  #read: (label: number, out: Float32Array) => boolean = () => false;
  #next = 0;

  constructor(index: VectorIndex) {
    this.#index = index;
    this.#vector = new Float32Array(index.dimension);
  }

  get size(): number {
    return this.#index.size - this.#next;
  }

  get beginsAnew(): boolean {
    return this.size === 0;
  }

  get isOpen(): boolean {
    return this.#batch !== undefined;
  }

  get isThrough(): boolean {
    return this.#next === this.#batch?.length;
  }

  claim(): boolean {
    return false;
  }

  batchFor(budget: number): number {
    return budget;
  }

  begin(labels: readonly number[], read: (label: number, out: Float32Array) => boolean): void {
    this.#batch = labels;
    this.#read = read;
  }

  step(budget: number): number {
    const batch = this.#batch ?? [];
    const last = Math.min(batch.length, this.#next + budget);
    const first = this.#next;
    for (; this.#next < last; this.#next++) {
      if (this.#read(batch[this.#next]!, this.#vector)) this.#index.add(batch[this.#next]!, this.#vector);
    }
    return last - first;
  }

  settle(moved: (label: number) => void): void {
    for (const label of this.#batch ?? []) moved(label);
    this.#batch = undefined;
    this.#next = 0;
  }

  remove(label: number): void {
    this.#index.remove(label);
  }

  read(label: number, out: Float32Array): boolean {
    return this.#index.read(label, out);
  }

  offer(query: Float32Array, k: number, effort: number, out: SearchHits): void {
    if (this.#hits.capacity < k) this.#hits = new SearchHits(k);
    const hits = this.#hits;
    this.#index.search(query, k, efOf(effort), hits);
    for (let i = 0; i < hits.count; i++) out.offer(hits.labels[i]!, hits.distances[i]!);
  }

  tidy(): boolean {
    return false;
  }

  release(): void {}
}

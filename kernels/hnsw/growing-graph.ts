/**
 * A collection's graph that goes on in another when its memory is full: several graphs, each vector in one of them, all of them searched.
 * Vectors go into the first that has room, so what removals free is used again. Another graph begins with many vectors only, as a
 * small one is no better than comparing each. There are so many at most: what comes beyond stays in the tail.
 */
import { assert } from '../../runtime/assert.ts';
import { GRAPHS_MAX } from '../../runtime/config/bounds.ts';
import type { SharedGraph } from './shared-graph.ts';
import type { LabelTest, TailGraph } from './tail-graph.ts';
import type { SearchHits } from './vector-index.ts';
import { IS_FULL } from './vector-memory.ts';

export class GrowingGraph implements TailGraph {
  readonly #make: () => SharedGraph;
  readonly #most: number;
  readonly #parts: SharedGraph[] = [];
  /** That of the last batch. */
  #open: SharedGraph | undefined;

  /** `make` makes an empty graph; up to `most` of them. */
  constructor(make: () => SharedGraph, most = GRAPHS_MAX) {
    assert(most >= 1 && most <= GRAPHS_MAX, 'other threads know of so many graphs');
    this.#make = make;
    this.#most = most;
    this.part(0);
  }

  get parts(): readonly SharedGraph[] {
    return this.#parts;
  }

  /** The graph with that number from 0, which may be an empty one. */
  part(number: number): SharedGraph {
    assert(number < this.#most, 'there are no more graphs');
    while (this.#parts.length <= number) this.#parts.push(this.#make());
    return this.#parts[number]!;
  }

  get size(): number {
    let size = 0;
    for (const part of this.#parts) size += part.size;
    return size;
  }

  get isOpen(): boolean {
    return this.#open?.isOpen ?? false;
  }

  get isThrough(): boolean {
    return this.#open?.isThrough ?? false;
  }

  get isFull(): boolean {
    return this.#next()?.isFull ?? true;
  }

  get beginsAnew(): boolean {
    return this.#next()?.beginsAnew ?? false;
  }

  get hasUnclaimed(): boolean {
    return this.#parts.some(({ hasUnclaimed }) => hasUnclaimed);
  }

  get poor(): SharedGraph | undefined {
    return this.#open?.poor;
  }

  get bytes(): number {
    let bytes = 0;
    for (const part of this.#parts) bytes += part.bytes;
    return bytes;
  }

  get form(): number {
    let form = 0;
    for (const part of this.#parts) form |= part.form;
    return this.#next() === undefined ? form | IS_FULL : form & ~IS_FULL;
  }

  claim(label: number, vector: Float32Array): boolean {
    return this.#parts.some((part) => part.claim(label, vector));
  }

  batchFor(): number {
    return this.#next()?.batchFor() ?? 0;
  }

  begin(labels: readonly number[], read: (label: number, out: Float32Array) => boolean): void {
    assert(!this.isOpen, 'one batch at a time');
    this.#open = this.#next()!;
    this.#open.begin(labels, read);
  }

  step(budget: number): number {
    return this.#open?.step(budget) ?? 0;
  }

  settle(moved: (label: number) => void): void {
    this.#open!.settle(moved);
  }

  remove(label: number): void {
    for (const part of this.#parts) part.remove(label);
  }

  read(label: number, out: Float32Array): boolean {
    return this.#parts.some((part) => part.read(label, out));
  }

  offer(query: Float32Array, k: number, effort: number, out: SearchHits, isElsewhere: LabelTest): void {
    for (const part of this.#parts) part.offer(query, k, effort, out, isElsewhere);
  }

  offerPassing(query: Float32Array, k: number, ef: number, bits: Uint32Array, out: SearchHits): void {
    for (const part of this.#parts) part.offerPassing(query, k, ef, bits, out);
  }

  tidy(): boolean {
    let isMore = false;
    for (const part of this.#parts) if (part.tidy()) isMore = true;
    return isMore;
  }

  release(): void {
    for (const part of this.#parts) part.release();
    this.#parts.length = 1;
  }

  /** The graph for the next batch; undefined when there is none, or no room on the disk, where another graph would have none either. */
  #next(): SharedGraph | undefined {
    for (const part of this.#parts) {
      if (part.isRefused) return undefined;
      if (part.hasRoom) return part;
    }
    const made = this.#parts.length;
    return made < this.#most ? this.part(made) : undefined;
  }
}

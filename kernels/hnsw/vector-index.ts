/**
 * What every vector engine offers, and the hit list that searches fill.
 *
 * Vectors are float32, labels are u32 chosen by the caller. Distances, smaller is nearer:
 * l2 = squared Euclidean; dot = 1 − x·y; cosine = 1 − x·y of the normalised vectors, and 1 when either is zero.
 * Not thread-safe: an index belongs to one thread.
 *
 * What is awkward is defined: k = 0 finds nothing, k above the size finds all, ef below k is k. A label that is added again replaces
 * its vector; one that is not there is removed without a word. Identical vectors are all found. What is no number,
 * infinite, of another dimension, or too long for a float32 never comes here (checkVector in fuse/namespace/collections.ts);
 * denormals count as what they are.
 */
import { assert } from '../../runtime/assert.ts';

export type Metric = 'cosine' | 'l2' | 'dot';

export interface IndexOptions {
  /** 1 … VECTOR_DIMENSION_MAX (runtime/config/bounds.ts) */
  readonly dimension: number;
  readonly metric: Metric;
  /** Links per node (HNSW's M), 2 … 128. */
  readonly m: number;
  /** Candidates kept while building. */
  readonly efConstruction: number;
  readonly seed: number;
  /** Told of each part of `u8` that will hold rows of vectors, codes or links, before anything is there. */
  readonly onRows?: (u8: Uint8Array, start: number, end: number) => void;
}

export interface VectorIndex {
  readonly dimension: number;
  readonly metric: Metric;
  /** Vectors that a search can find. */
  readonly size: number;
  /** Adds a vector, or replaces the one with this label. The vector is copied. */
  add(label: number, vector: Float32Array): void;
  /** Forgets a label; unknown ones are ignored. */
  remove(label: number): void;
  /** Copies a vector (under cosine: normalised) to `out`; false when the label is unknown. */
  read(label: number, out: Float32Array): boolean;
  /** Fills `out` with the min(k, size) nearest, ascending; returns how many. `ef` ≥ k is the effort of an approximate engine. */
  search(query: Float32Array, k: number, ef: number, out: SearchHits): number;
}

/** The k nearest found so far, sorted by ascending distance. Reused from search to search. */
export class SearchHits {
  readonly capacity: number;
  readonly labels: Uint32Array;
  readonly distances: Float32Array;
  count = 0;
  private limit = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.labels = new Uint32Array(capacity);
    this.distances = new Float32Array(capacity);
  }

  /** Empties the list; it will hold the nearest `k` of what is offered. */
  begin(k: number): void {
    assert(k >= 0 && k <= this.capacity, 'k must fit the hit list');
    this.count = 0;
    this.limit = k;
  }

  /** A distance that is not below this one would not be taken. */
  get bound(): number {
    return this.count < this.limit
      ? Number.POSITIVE_INFINITY
      : this.limit === 0
        ? Number.NEGATIVE_INFINITY
        : this.distances[this.limit - 1]!;
  }

  offer(label: number, distance: number): void {
    if (!(distance < this.bound)) return;
    const { labels, distances } = this;
    let at = this.count < this.limit ? this.count++ : this.limit - 1;
    for (; at > 0 && distances[at - 1]! > distance; at--) {
      distances[at] = distances[at - 1]!;
      labels[at] = labels[at - 1]!;
    }
    distances[at] = distance;
    labels[at] = label;
  }
}

/** Asserts what callers of {@link VectorIndex} must have checked. */
export function assertDimension(index: { readonly dimension: number }, vector: Float32Array): void {
  assert(vector.length === index.dimension, 'the vector must have the dimension of its index');
}

/** Copies `from` to `to` at `at`, scaled to unit length; a zero vector stays zero. */
export function copyNormalised(from: Float32Array, to: Float32Array, at: number): void {
  let squares = 0;
  for (let i = 0; i < from.length; i++) squares += from[i]! * from[i]!;
  const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
  for (let i = 0; i < from.length; i++) to[at + i] = from[i]! * scale;
}

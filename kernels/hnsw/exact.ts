/** Exact search: compares the query with every vector. The oracle of the other engines, and the tail of a collection. */
import { assert } from '../../runtime/assert.ts';
import {
  assertDimension,
  copyNormalised,
  type Metric,
  type SearchHits,
  type VectorIndex,
} from './vector-index.ts';

const FIRST_CAPACITY = 64;

export class ExactIndex implements VectorIndex {
  readonly dimension: number;
  readonly metric: Metric;
  private rows: Float32Array;
  private labels: Uint32Array;
  private count = 0;
  /** label → row; rows stay dense, a removed one is filled with the last. */
  private readonly rowOf = new Map<number, number>();
  private readonly query: Float32Array;

  constructor(options: { readonly dimension: number; readonly metric: Metric }) {
    this.dimension = options.dimension;
    this.metric = options.metric;
    this.rows = new Float32Array(FIRST_CAPACITY * options.dimension);
    this.labels = new Uint32Array(FIRST_CAPACITY);
    this.query = new Float32Array(options.dimension);
  }

  get size(): number {
    return this.count;
  }

  add(label: number, vector: Float32Array): void {
    assertDimension(this, vector);
    let row = this.rowOf.get(label);
    if (row === undefined) {
      if (this.count === this.labels.length) this.grow();
      row = this.count++;
      this.labels[row] = label;
      this.rowOf.set(label, row);
    }
    if (this.metric === 'cosine') copyNormalised(vector, this.rows, row * this.dimension);
    else this.rows.set(vector, row * this.dimension);
  }

  remove(label: number): void {
    const row = this.rowOf.get(label);
    if (row === undefined) return;
    const last = --this.count;
    this.rowOf.delete(label);
    if (row === last) return;
    const { rows, dimension, labels } = this;
    rows.copyWithin(row * dimension, last * dimension, (last + 1) * dimension);
    labels[row] = labels[last]!;
    this.rowOf.set(labels[row]!, row);
  }

  read(label: number, out: Float32Array): boolean {
    const row = this.rowOf.get(label);
    if (row === undefined) return false;
    out.set(this.rows.subarray(row * this.dimension, (row + 1) * this.dimension));
    return true;
  }

  /** Label of the last row, the cheapest to remove. The index must not be empty. */
  lastLabel(): number {
    assert(this.count > 0, 'an empty index has no last label');
    return this.labels[this.count - 1]!;
  }

  search(query: Float32Array, k: number, _ef: number, out: SearchHits): number {
    assertDimension(this, query);
    out.begin(k);
    if (k === 0) return 0;
    if (this.metric === 'l2') this.scanSquared(query, out);
    else if (this.metric === 'dot') this.scanProducts(query, out);
    else {
      copyNormalised(query, this.query, 0);
      this.scanProducts(this.query, out);
    }
    return out.count;
  }

  private scanProducts(query: Float32Array, out: SearchHits): void {
    const { rows, dimension, labels, count } = this;
    let bound = out.bound;
    for (let row = 0, at = 0; row < count; row++, at += dimension) {
      const distance = 1 - innerProduct(query, rows, at, dimension);
      if (distance < bound) {
        out.offer(labels[row]!, distance);
        bound = out.bound;
      }
    }
  }

  private scanSquared(query: Float32Array, out: SearchHits): void {
    const { rows, dimension, labels, count } = this;
    let bound = out.bound;
    for (let row = 0, at = 0; row < count; row++, at += dimension) {
      const distance = squaredDistance(query, rows, at, dimension);
      if (distance < bound) {
        out.offer(labels[row]!, distance);
        bound = out.bound;
      }
    }
  }

  private grow(): void {
    const rows = new Float32Array(this.rows.length * 2);
    rows.set(this.rows);
    this.rows = rows;
    const labels = new Uint32Array(this.labels.length * 2);
    labels.set(this.labels);
    this.labels = labels;
  }
}

/** Four sums at a time: a single one would make each addition wait for the one before. */
function innerProduct(query: Float32Array, rows: Float32Array, at: number, dimension: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < dimension; i += 4) {
    a += query[i]! * rows[at + i]!;
    b += query[i + 1]! * rows[at + i + 1]!;
    c += query[i + 2]! * rows[at + i + 2]!;
    d += query[i + 3]! * rows[at + i + 3]!;
  }
  for (; i < dimension; i++) a += query[i]! * rows[at + i]!;
  return a + b + c + d;
}

function squaredDistance(query: Float32Array, rows: Float32Array, at: number, dimension: number): number {
  let a = 0;
  let b = 0;
  let i = 0;
  for (; i + 1 < dimension; i += 2) {
    const x = query[i]! - rows[at + i]!;
    const y = query[i + 1]! - rows[at + i + 1]!;
    a += x * x;
    b += y * y;
  }
  for (; i < dimension; i++) {
    const x = query[i]! - rows[at + i]!;
    a += x * x;
  }
  return a + b;
}

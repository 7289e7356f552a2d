/** Exact search: compares the query with every vector. The oracle of the other engines. */
import { scanRows } from './scan.ts';
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

  has(label: number): boolean {
    return this.rowOf.has(label);
  }

  read(label: number, out: Float32Array): boolean {
    const row = this.rowOf.get(label);
    if (row === undefined) return false;
    out.set(this.rows.subarray(row * this.dimension, (row + 1) * this.dimension));
    return true;
  }

  search(query: Float32Array, k: number, _ef: number, out: SearchHits): number {
    assertDimension(this, query);
    out.begin(k);
    if (k === 0) return 0;
    let wanted = query;
    if (this.metric === 'cosine') {
      copyNormalised(query, this.query, 0);
      wanted = this.query;
    }
    scanRows(this.rows, 0, this.count, wanted, this.metric, out, this.labels, 0, 1);
    return out.count;
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

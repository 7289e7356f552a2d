/** The inner loop of exact search: one query against rows that lie one after the other. */
import type { Metric, SearchHits } from './vector-index.ts';

/** Metrics by their number in shared memory. */
export const METRICS: readonly Metric[] = ['cosine', 'l2', 'dot'];

/**
 * Offers to `out` each of `rows` vectors, the first at `at` in `f32`, under its label: labels[firstLabel + row × stride]. Under cosine
 * the rows and the query are normalised already.
 */
export function scanRows(
  f32: Float32Array,
  at: number,
  rows: number,
  query: Float32Array,
  metric: Metric,
  out: SearchHits,
  labels: Uint32Array,
  firstLabel: number,
  stride: number,
): void {
  const dimension = query.length;
  const isSquared = metric === 'l2';
  let bound = out.bound;
  for (let row = 0; row < rows; row++, at += dimension) {
    const distance = isSquared
      ? squaredDistance(query, f32, at, dimension)
      : 1 - innerProduct(query, f32, at, dimension);
    if (distance < bound) {
      out.offer(labels[firstLabel + row * stride]!, distance);
      bound = out.bound;
    }
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

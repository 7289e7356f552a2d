// What cannot be exported as it is: results of four lanes, variables.

import { dotF32x4, dotI8x4, squaredF32x4 } from './distance';
import { HEADER, NODES, TWIN } from './layout';
import { header, query, queryForm, results, stateOf, vectorOf } from './memory';
import { encode, prepareQuery, queryFactor, queryOffset } from './quantise';
import { touched } from './walk';

export function squaredF32To4(
  q: usize,
  a: usize,
  b: usize,
  c: usize,
  d: usize,
  bytes: usize,
  to: usize,
): void {
  v128.store(to, squaredF32x4(q, a, b, c, d, bytes));
}

export function dotF32To4(q: usize, a: usize, b: usize, c: usize, d: usize, bytes: usize, to: usize): void {
  v128.store(to, dotF32x4(q, a, b, c, d, bytes));
}

export function dotI8To4(q: usize, a: usize, b: usize, c: usize, d: usize, length: usize, to: usize): void {
  v128.store(to, dotI8x4(q, a, b, c, d, length));
}

/** Where the thread's query goes, and its results are. */
export function queryAt(): usize {
  return query;
}

export function resultsAt(): usize {
  return results;
}

export function queryFormAt(): usize {
  return queryForm;
}

/** For tests: makes the query form of the vector at `vector`. */
export function makeQueryForm(vector: usize): void {
  prepareQuery(vector);
}

export function factorOfQuery(): f32 {
  return queryFactor;
}

export function offsetOfQuery(): f32 {
  return queryOffset;
}

/** Codes every node anew, after training. */
export function encodeAll(): void {
  const nodes = header(NODES);
  for (let node: u32 = 0; node < nodes; node++) if (!(stateOf(node) & TWIN)) encode(node, vectorOf(node));
}

/** Keeps reads that are made for their effect on caches alone. */
export function touchedSoFar(): u32 {
  return touched + load<u8>(HEADER);
}

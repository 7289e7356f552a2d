/**
 * Vector collections and the extended attributes that hold vectors. Contract and locking: tables.ts.
 *
 * `user.vexfs.vector` is the vector of collection "default", `user.vexfs.vector.NAME` that of NAME. A collection
 * comes into being with its first vector, which sets its dimension, or is made before; it stays until it is dropped. An id is
 * given again only when all have been used.
 *
 * Options, one word: bits 0–1 the metric, 2 what its graph is walked over, 4–11 M and 12–25 efConstruction of its graph (0 = as
 * configured), 31 it is being dropped: it takes no vectors.
 */
import {
  COLLECTION_NAME_MAX,
  COLLECTIONS_KEPT,
  COLLECTIONS_MAX,
  VECTOR_DIMENSION_MAX,
} from '../../runtime/config/bounds.ts';
import { EDQUOT, EINVAL, ENOSPC } from '../../runtime/errno.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import {
  C_DIMENSION,
  C_NAME,
  C_NAME_LENGTH,
  C_OPTIONS,
  COLLECTION_BYTES,
  COLLECTIONS_AT,
  H_COLLECTIONS,
} from './layout.ts';
import { copyBytes, sameBytes } from './names.ts';
import type { Tables } from './tables.ts';

const encoder = new TextEncoder();
const VECTOR_XATTR = encoder.encode('user.vexfs.vector');
const DEFAULT_COLLECTION = encoder.encode('default');
const DOT = 0x2e;

/** By their number in the options. */
export const METRICS = ['cosine', 'l2', 'dot'] as const;
export type CollectionMetric = (typeof METRICS)[number];
/** What a graph is walked over, by its number in the options: int8 codes where these show enough, or float32 always. */
export const ELEMENTS = ['int8', 'float32'] as const;
export type CollectionElement = (typeof ELEMENTS)[number];

export interface CollectionOptions {
  readonly metric: CollectionMetric;
  readonly element: CollectionElement;
  /** Links of a vector in the graph, 2 … 128; 0 = as configured. */
  readonly m: number;
  /** Candidates looked at when one is added, 1 … 10,000; 0 = as configured. */
  readonly efConstruction: number;
}

/** The process runs as the owner of the store. */
const OWNER = process.getuid!();

/** Whether a user is the owner of the store, or root. */
export function isKeeper(uid: number): boolean {
  return uid === 0 || uid === OWNER;
}

/** Of a setxattr(2): the caller is no {@link isKeeper}, so {@link refuseNew} may refuse a new collection. */
export const BY_OTHERS = 0x200;

const METRIC_MASK = 3;
const ELEMENT_SHIFT = 2;
const M_SHIFT = 4;
const M_MASK = 0xff;
const EF_SHIFT = 12;
const EF_MASK = 0x3fff;
export const DROPPING = 0x8000_0000;

export function packOptions({ metric, element, m, efConstruction }: CollectionOptions): number {
  const kind = METRICS.indexOf(metric) | (ELEMENTS.indexOf(element) << ELEMENT_SHIFT);
  return (kind | (m << M_SHIFT) | (efConstruction << EF_SHIFT)) >>> 0;
}

export function unpackOptions(word: number): CollectionOptions {
  return {
    metric: METRICS[word & METRIC_MASK] ?? 'cosine',
    element: ELEMENTS[(word >>> ELEMENT_SHIFT) & 1]!,
    m: (word >>> M_SHIFT) & M_MASK,
    efConstruction: (word >>> EF_SHIFT) & EF_MASK,
  };
}

/** A collection's name as a byte range; filled by {@link parseVectorXattr}. */
export class CollectionName {
  u8: Uint8Array = DEFAULT_COLLECTION;
  start = 0;
  end = 0;
}

/**
 * What an xattr name says of vectors: 0 = nothing, 1 = it names the vector of the collection now in `out`,
 * −EINVAL = it would, but a collection cannot be called so. "default" is reached by the short name only, so that a
 * collection has one name.
 */
export function parseVectorXattr(u8: Uint8Array, start: number, end: number, out: CollectionName): number {
  const prefix = VECTOR_XATTR.length;
  if (end - start < prefix || !sameBytes(u8, start, VECTOR_XATTR, 0, prefix)) return 0;
  if (end - start === prefix) {
    out.u8 = DEFAULT_COLLECTION;
    out.start = 0;
    out.end = DEFAULT_COLLECTION.length;
    return 1;
  }
  if (u8[start + prefix] !== DOT) return 0;
  out.u8 = u8;
  out.start = start + prefix + 1;
  out.end = end;
  if (checkCollectionName(u8, out.start, end) !== 0) return -EINVAL;
  const isDefault =
    end - out.start === DEFAULT_COLLECTION.length &&
    sameBytes(u8, out.start, DEFAULT_COLLECTION, 0, DEFAULT_COLLECTION.length);
  return isDefault ? -EINVAL : 1;
}

/** 0, or −EINVAL unless it is 1 … 63 of A–Z a–z 0–9 . _ - and does not start with a dot (it becomes a directory). */
export function checkCollectionName(u8: Uint8Array, start: number, end: number): number {
  if (end <= start || end - start > COLLECTION_NAME_MAX || u8[start] === DOT) return -EINVAL;
  for (let i = start; i < end; i++) {
    const c = u8[i]!;
    const letter = (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a;
    const digit = c >= 0x30 && c <= 0x39;
    if (!letter && !digit && c !== DOT && c !== 0x5f && c !== 0x2d) return -EINVAL;
  }
  return 0;
}

/** The bits of a float32. */
const INFINITY_BITS = 0x7f800000;

/**
 * Dimension of a vector given as little-endian float32; −EINVAL unless it has 1 … 8,192 finite elements, not all
 * zero where `needsDirection` (a zero vector has none, so cosine cannot rank it).
 */
function checkElements(u8: Uint8Array, start: number, end: number, needsDirection = true): number {
  const bytes = end - start;
  if (bytes % 4 !== 0 || bytes === 0 || bytes > VECTOR_DIMENSION_MAX * 4) return -EINVAL;
  const view = new DataView(u8.buffer, u8.byteOffset + start, bytes);
  let any = 0;
  for (let i = 0; i < bytes; i += 4) {
    // Without the sign; from the exponent of all ones on it is no number.
    const magnitude = view.getInt32(i, true) & 0x7fffffff;
    if (magnitude >= INFINITY_BITS) return -EINVAL;
    any |= magnitude;
  }
  return any === 0 && needsDirection ? -EINVAL : bytes / 4;
}

/** Two vectors of this squared length still have a finite float32 distance, and inner product. */
export const SQUARED_LENGTH_MAX = 3.4e38 / 4;

/** The same, and −EINVAL for one longer than can be compared, where it is not the direction alone that is: {@link SQUARED_LENGTH_MAX}. */
export function checkVector(u8: Uint8Array, start: number, end: number, needsDirection = true): number {
  const dimension = checkElements(u8, start, end, needsDirection);
  if (dimension < 0 || needsDirection) return dimension;
  const view = new DataView(u8.buffer, u8.byteOffset + start, end - start);
  let squares = 0;
  for (let i = 0; i < dimension; i++) squares += view.getFloat32(i * 4, true) ** 2;
  return squares > SQUARED_LENGTH_MAX ? -EINVAL : dimension;
}

function recordAt(id: number): number {
  return COLLECTIONS_AT + (id - 1) * COLLECTION_BYTES;
}

/** The collection's id (1 …), 0 = there is none of that name. May be called by readers. */
export function findCollection(t: Tables, u8: Uint8Array, start: number, end: number): number {
  const last = count(t);
  for (let id = 1; id <= last; id++) {
    const at = recordAt(id);
    if (t.header[at / 4 + C_NAME_LENGTH] !== end - start) continue;
    if (sameBytes(t.headerU8, at + C_NAME, u8, start, end - start)) return id;
  }
  return 0;
}

/** How many there are: the ids are 1 … count. */
export function count(t: Tables): number {
  return Math.min(t.header[H_COLLECTIONS]!, COLLECTIONS_MAX);
}

export function dimensionOf(t: Tables, id: number): number {
  return t.header[recordAt(id) / 4 + C_DIMENSION]!;
}

export function optionsOf(t: Tables, id: number): number {
  return t.header[recordAt(id) / 4 + C_OPTIONS]!;
}

/** Whether a zero vector can be ranked in it. */
export function needsDirection(t: Tables, id: number): boolean {
  return id === 0 || (optionsOf(t, id) & METRIC_MASK) === METRICS.indexOf('cosine');
}

/** Whether there is no collection of this id: not yet, or not any more. */
export function isFree(t: Tables, id: number): boolean {
  return id > count(t) || t.header[recordAt(id) / 4 + C_NAME_LENGTH] === 0;
}

/** The options of a collection from the namespace's region, for threads that have no tables: one word. */
export function sharedOptions(region: { readonly u32: Uint32Array }, id: number): CollectionOptions {
  return unpackOptions(region.u32[recordAt(id) / 4 + C_OPTIONS]!);
}

/** May be called by readers. */
export function collectionName(t: Tables, id: number): string {
  const at = recordAt(id);
  const length = Math.min(t.header[at / 4 + C_NAME_LENGTH]!, COLLECTION_NAME_MAX);
  return String.fromCharCode(...t.headerU8.subarray(at + C_NAME, at + C_NAME + length));
}

/** Names by id − 1, for threads that must not depend on the state of the tables: a collection never changes its name. */
export function collectionNames(arena: Arena): string[] {
  const { u32, u8 } = arena.region('namespace');
  return Array.from({ length: Math.min(u32[H_COLLECTIONS]!, COLLECTIONS_MAX) }, (_, i) => {
    const at = recordAt(i + 1);
    const length = Math.min(u32[at / 4 + C_NAME_LENGTH]!, COLLECTION_NAME_MAX);
    return String.fromCharCode(...u8.subarray(at + C_NAME, at + C_NAME + length));
  });
}

/** The id the next collection will have; −ENOSPC when there are as many as can be. */
export function peekCollection(t: Tables): number {
  const last = count(t);
  if (last < COLLECTIONS_MAX) return last + 1;
  for (let id = 1; id <= last; id++) if (isFree(t, id)) return id;
  return -ENOSPC;
}

/** 0, or why no `wanted` more can be made: ENOSPC as there are as many as can be, EDQUOT as the rest is the keepers'. */
export function refuseNew(t: Tables, wanted: number, byKeeper: boolean): number {
  let all = wanted;
  for (let id = count(t); id > 0; id--) if (!isFree(t, id)) all++;
  if (all > COLLECTIONS_MAX) return -ENOSPC;
  return byKeeper || all <= COLLECTIONS_MAX - COLLECTIONS_KEPT ? 0 : -EDQUOT;
}

/** Between writeBegin and writeEnd: adds the collection that {@link peekCollection} announced. */
export function addCollection(
  t: Tables,
  dimension: number,
  options: number,
  u8: Uint8Array,
  start: number,
  end: number,
): void {
  const id = peekCollection(t);
  t.header[H_COLLECTIONS] = Math.max(count(t), id);
  const at = recordAt(id);
  t.header[at / 4 + C_DIMENSION] = dimension;
  t.header[at / 4 + C_NAME_LENGTH] = end - start;
  t.header[at / 4 + C_OPTIONS] = options;
  copyBytes(t.headerU8, at + C_NAME, u8, start, end - start);
}

/** Between writeBegin and writeEnd. */
export function setOptions(t: Tables, id: number, options: number): void {
  t.header[recordAt(id) / 4 + C_OPTIONS] = options;
}

/** Between writeBegin and writeEnd: the id is nobody's any more. */
export function removeCollection(t: Tables, id: number): void {
  const at = recordAt(id) / 4;
  t.header.fill(0, at, at + COLLECTION_BYTES / 4);
}

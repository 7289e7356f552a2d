/** The vectors that are searched, and the questions: made from a seed, or read from a file. */
import fs from 'node:fs';
import path from 'node:path';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { copyNormalised, SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { Random } from '../../test/kernels/random.ts';

export interface Dataset {
  readonly name: string;
  /** What it is, without its size. */
  readonly kind: string;
  readonly dimension: number;
  readonly vectors: readonly Float32Array[];
  readonly queries: readonly Float32Array[];
  /** Labels of the exact 10 nearest of each of the first queries. */
  readonly truth: readonly Set<number>[];
}

export const K = 10;
export const QUERIES = 1000;
const TRUTHS = 200;
/** Embeddings have far fewer degrees of freedom than dimensions. */
const INTRINSIC = 24;
const NOISE = 0.1;

export type Kind = 'clustered' | 'uniform';

/** `isUnit`: all scaled to length 1, as int8 of some peers wants it. */
export function generate(
  kind: Kind,
  n: number,
  dimension: number,
  seed: number,
  isUnit: boolean,
  truths = TRUTHS,
): Dataset {
  const random = new Random(seed);
  const basis = Array.from({ length: INTRINSIC }, () => random.vector(dimension));
  const one = (): Float32Array => {
    if (kind === 'uniform') return Float32Array.from({ length: dimension }, () => random.next());
    const vector = new Float32Array(dimension);
    for (const direction of basis) {
      const weight = random.normal();
      for (let d = 0; d < dimension; d++) vector[d]! += direction[d]! * weight;
    }
    return vector.map((x) => x + NOISE * random.normal());
  };
  const all = Array.from({ length: n + QUERIES }, one);
  return dataset(kind, `${n.toLocaleString('en')} × ${dimension}`, all, QUERIES, isUnit, truths);
}

/** Vectors of a file: .fvecs, .npy (float32, two-dimensional), or text with one vector of numbers a line. Questions are taken out of it. */
export function readDataset(file: string, most: number, isUnit: boolean): Dataset {
  const all = read(file).slice(0, most + QUERIES);
  const queries = Math.min(QUERIES, all.length >> 2);
  return dataset(path.basename(file), `${all.length - queries} × ${all[0]!.length}`, all, queries, isUnit);
}

function dataset(
  what: string,
  size: string,
  all: Float32Array[],
  count: number,
  isUnit: boolean,
  truths = TRUTHS,
): Dataset {
  const kind = isUnit ? `${what}, unit length` : what;
  if (isUnit) for (const vector of all) copyNormalised(vector, vector, 0);
  const vectors = all.slice(0, all.length - count);
  const queries = all.slice(all.length - count);
  const dimension = vectors[0]!.length;
  const oracle = new ExactIndex({ dimension, metric: 'l2' });
  vectors.forEach((vector, label) => {
    oracle.add(label, vector);
  });
  const hits = new SearchHits(K);
  const truth = queries.slice(0, truths).map((query) => {
    oracle.search(query, K, 0, hits);
    return new Set(hits.labels.subarray(0, hits.count));
  });
  return { name: `${kind}, ${size}`, kind, dimension, vectors, queries, truth };
}

function read(file: string): Float32Array[] {
  const bytes = fs.readFileSync(file);
  if (file.endsWith('.fvecs')) return readFvecs(bytes);
  if (file.endsWith('.npy')) return readNpy(bytes);
  return bytes
    .toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => Float32Array.from(line.trim().split(/[\s,]+/), Number));
}

function readFvecs(bytes: Buffer): Float32Array[] {
  const vectors: Float32Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const dimension = bytes.readInt32LE(at);
    vectors.push(
      new Float32Array(
        bytes.buffer.slice(bytes.byteOffset + at + 4, bytes.byteOffset + at + 4 + dimension * 4),
      ),
    );
    at += 4 + dimension * 4;
  }
  return vectors;
}

function readNpy(bytes: Buffer): Float32Array[] {
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, start);
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  if (!shape || !header.includes("'<f4'") || header.includes("'fortran_order': True"))
    throw new Error('a .npy file holds a two-dimensional array of float32, row after row');
  const dimension = Number(shape[2]);
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset + start));
  return Array.from({ length: Number(shape[1]) }, (_, i) => all.slice(i * dimension, (i + 1) * dimension));
}

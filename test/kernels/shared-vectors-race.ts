/** What the two threads of the race test agree on: every vector tells whose it is, and of which version. */
import type { ChunkRecord } from '../../kernels/hnsw/chunk-table.ts';

export const DIMENSION = 16;
export const COLLECTION = 5;
/** Vectors of inodes 1 … STABLE are replaced now and then, and always there. */
export const STABLE = 500;

export const STARTED = 0;
export const END = 1;

export function recordOf(ino: number, version: number): ChunkRecord {
  return { ino, generation: 1, chunk: 0, byteOffset: ino ^ version, byteLength: 5, line: 1, version };
}

/** Small whole numbers, so that distances are exact. */
export function vectorOf(ino: number, version: number): Float32Array {
  return Float32Array.from({ length: DIMENSION }, (_, i) => (ino * 7 + version * 13 + i * i) % 61);
}

export function squaredDistance(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0);
}

import type { Collection, Namespace } from '../../fuse/namespace/namespace.ts';
import { cosineDistance, innerProduct, squaredDistance } from '../../kernels/hnsw/distance.ts';
import { SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { vectorAttribute } from './query-request.ts';

/** Inodes looked at between two turns of the event loop: a few milliseconds. */
const SLICE = 4096;

/** A file by its vector. */
export interface Near {
  readonly ino: number;
  readonly distance: number;
}

const DISTANCES: Readonly<Record<Collection['metric'], (a: Float32Array, b: Float32Array) => number>> = {
  cosine: cosineDistance,
  l2: squaredDistance,
  dot: (a, b) => 1 - innerProduct(a, b),
};

/**
 * The `k` nearest vectors among files that are accepted, nearest first, from the files' own attributes: for filters that let so
 * little through that what an index proposes is all left out.
 */
export async function searchExactly(
  namespace: Namespace,
  { name, metric }: Pick<Collection, 'name' | 'metric'>,
  query: Float32Array,
  k: number,
  accepts: (ino: number) => boolean,
): Promise<Near[]> {
  const attribute = vectorAttribute(name);
  const value = new Float32Array(query.length);
  const bytes = new Uint8Array(value.buffer);
  const distanceOf = DISTANCES[metric];
  const nearest = new SearchHits(k);
  nearest.begin(k);
  for (let ino = 1; ino < namespace.inodesEnd; ino++) {
    if (ino % SLICE === 0) await new Promise(setImmediate);
    const length = namespace.getxattr(ino, attribute, 0, attribute.length, bytes, 0, bytes.length);
    if (length !== bytes.length) continue;
    const distance = distanceOf(query, value);
    if (distance < nearest.bound && accepts(ino)) nearest.offer(ino, distance);
  }
  return Array.from({ length: nearest.count }, (_, i) => ({
    ino: nearest.labels[i]!,
    distance: nearest.distances[i]!,
  }));
}

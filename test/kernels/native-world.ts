/** Native indexes with what is in them, and how much of the nearest they find. */
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { NativeIndex, type NativeOptions } from '../../kernels/hnsw/native.ts';
import { SearchHits, type VectorIndex } from '../../kernels/hnsw/vector-index.ts';

export const open = (options: Partial<NativeOptions> & { dimension: number }) =>
  NativeIndex.load()({ metric: 'l2', m: 12, efConstruction: 80, seed: 1, ...options });

export function labelsOf(hits: SearchHits): number[] {
  return Array.from(hits.labels.subarray(0, hits.count));
}

export function recall(index: VectorIndex, oracle: VectorIndex, queries: Float32Array[], ef = 64): number {
  const [found, truth] = [new SearchHits(10), new SearchHits(10)];
  let shared = 0;
  let all = 0;
  for (const query of queries) {
    index.search(query, 10, ef, found);
    oracle.search(query, 10, ef, truth);
    const labels = new Set(labelsOf(truth));
    shared += labelsOf(found).filter((label) => labels.has(label)).length;
    all += labels.size;
  }
  return shared / all;
}

/** Both with the same vectors under the labels 0, 1, 2 … */
export function filled(options: Partial<NativeOptions> & { dimension: number }, vectors: Float32Array[]) {
  const index = open(options);
  const oracle = new ExactIndex({ metric: 'l2', ...options });
  vectors.forEach((vector, label) => {
    index.add(label, vector);
    oracle.add(label, vector);
  });
  return { index, oracle };
}

import { parentPort } from 'node:worker_threads';
import { loadEngine } from '../../kernels/hnsw/open-engine.ts';
import { SearchHits } from '../../kernels/hnsw/vector-index.ts';

const index = (await loadEngine('hnswlib-wasm'))({
  dimension: 2,
  metric: 'l2',
  m: 16,
  efConstruction: 100,
  seed: 1,
});
index.add(4, Float32Array.of(5, 5));
index.add(3, Float32Array.of(1, 1));
const hits = new SearchHits(2);
index.search(Float32Array.of(0, 0), 2, 10, hits);
parentPort!.postMessage(Array.from(hits.labels));

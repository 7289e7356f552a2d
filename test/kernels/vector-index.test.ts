import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { ENGINE_NAMES, loadEngine } from '../../kernels/hnsw/open-engine.ts';
import { type Metric, SearchHits, type VectorIndex } from '../../kernels/hnsw/vector-index.ts';
import { InvariantViolation } from '../../runtime/assert.ts';
import { clusteredVectors, Random } from './random.ts';

const METRICS: Metric[] = ['cosine', 'l2', 'dot'];
const vec = (...xs: number[]) => Float32Array.from(xs);

function found(index: VectorIndex, query: Float32Array, k: number, ef = 64): number[] {
  const hits = new SearchHits(Math.max(k, 1));
  index.search(query, k, ef, hits);
  return Array.from(hits.labels.subarray(0, hits.count));
}

function recall(
  index: VectorIndex,
  oracle: VectorIndex,
  queries: Float32Array[],
  k: number,
  ef: number,
): number {
  let shared = 0;
  let expected = 0;
  for (const query of queries) {
    const truth = new Set(found(oracle, query, k));
    shared += found(index, query, k, ef).filter((label) => truth.has(label)).length;
    expected += truth.size;
  }
  return shared / expected;
}

describe.each(ENGINE_NAMES)('engine %s', (engine) => {
  const open = (dimension: number, metric: Metric) =>
    loadEngine(engine).then((open) => open({ dimension, metric, m: 16, efConstruction: 200, seed: 42 }));

  test.each(METRICS)('%s: an empty index finds nothing', async (metric) => {
    const index = await open(3, metric);
    expect(found(index, vec(1, 2, 3), 5)).toEqual([]);
    expect(index.size).toBe(0);
  });

  test.each(METRICS)('%s: dimension 1 works', async (metric) => {
    const index = await open(1, metric);
    index.add(7, vec(2));
    index.add(9, vec(-3));
    expect(found(index, vec(1), 2)).toEqual([7, 9]);
  });

  test('k = 0 finds nothing and k above the size finds all, ascending', async () => {
    const index = await open(2, 'l2');
    for (let i = 0; i < 5; i++) index.add(i, vec(i, 0));
    expect(found(index, vec(0, 0), 0)).toEqual([]);
    expect(found(index, vec(0, 0), 100)).toEqual([0, 1, 2, 3, 4]);
  });

  test('the distances are those of the metric', async () => {
    for (const [metric, distance] of [
      ['l2', 5],
      ['dot', 1 - 11],
      ['cosine', 1 - 11 / Math.sqrt(125)],
    ] as const) {
      const index = await open(2, metric);
      index.add(1, vec(3, 4));
      const hits = new SearchHits(1);
      index.search(vec(1, 2), 1, 10, hits);
      expect(hits.distances[0]).toBeCloseTo(metric === 'l2' ? 8 : distance, 4);
    }
  });

  test('under cosine a zero vector is at distance 1 of everything', async () => {
    const index = await open(2, 'cosine');
    index.add(1, vec(0, 0));
    index.add(2, vec(1, 0));
    const hits = new SearchHits(2);
    index.search(vec(2, 0), 2, 10, hits);
    expect(Array.from(hits.labels)).toEqual([2, 1]);
    expect(hits.distances[1]).toBe(1);
    index.search(vec(0, 0), 2, 10, hits);
    expect(Array.from(hits.distances)).toEqual([1, 1]);
  });

  test('adding a label again replaces its vector', async () => {
    const index = await open(2, 'l2');
    index.add(5, vec(0, 0));
    index.add(6, vec(1, 0));
    index.add(5, vec(9, 9));
    expect(index.size).toBe(2);
    expect(found(index, vec(0, 0), 5)).toEqual([6, 5]);
  });

  test('a removed label is not found, removing it again does nothing, and it can come back', async () => {
    const index = await open(2, 'l2');
    index.add(1, vec(1, 1));
    index.add(2, vec(2, 2));
    index.remove(1);
    index.remove(1);
    index.remove(77);
    expect(found(index, vec(1, 1), 5)).toEqual([2]);
    index.add(1, vec(1, 1));
    expect(found(index, vec(1, 1), 5)).toEqual([1, 2]);
    index.remove(1);
    index.remove(2);
    expect(found(index, vec(1, 1), 5)).toEqual([]);
  });

  test('a vector can be read back', async () => {
    const index = await open(2, 'cosine');
    index.add(4294967294, vec(3, 4));
    const out = new Float32Array(2);
    expect(index.read(4294967294, out)).toBe(true);
    expect(out[0]).toBeCloseTo(0.6);
    expect(index.read(1, out)).toBe(false);
  });

  test('a vector of another dimension is a bug of the caller', async () => {
    const index = await open(3, 'l2');
    expect(() => index.add(1, vec(1, 2))).toThrow(InvariantViolation);
    expect(() => index.search(vec(1), 1, 10, new SearchHits(1))).toThrow(InvariantViolation);
  });

  test('1,000 identical vectors: k of them are found', async () => {
    const index = await open(8, 'cosine');
    const same = new Random(1).vector(8);
    for (let i = 0; i < 1000; i++) index.add(i, same);
    expect(new Set(found(index, same, 50, 100)).size).toBe(50);
  });

  test('recall@10 on clustered data at ef 64 is at least 0.95', async () => {
    const random = new Random(20260101);
    const vectors = clusteredVectors(random, 3000, 32, 40);
    const index = await open(32, 'cosine');
    const oracle = new ExactIndex({ dimension: 32, metric: 'cosine' });
    vectors.forEach((v, i) => {
      index.add(i, v);
      oracle.add(i, v);
    });
    const queries = clusteredVectors(random, 30, 32, 40).concat(vectors.slice(0, 70));
    expect(recall(index, oracle, queries, 10, 64)).toBeGreaterThanOrEqual(0.95);
  });

  test.each(METRICS)(
    '%s: random adds, replacements and removals keep agreeing with exact search',
    async (metric) => {
      const seed = 977;
      const random = new Random(seed);
      const index = await open(12, metric);
      const oracle = new ExactIndex({ dimension: 12, metric });
      let agreement = 0;
      let searches = 0;
      for (let step = 0; step < 3000; step++) {
        const label = random.below(300);
        if (random.next() < 0.6) {
          const v = random.vector(12);
          index.add(label, v);
          oracle.add(label, v);
        } else {
          index.remove(label);
          oracle.remove(label);
        }
        expect(index.size, `seed ${seed}, step ${step}`).toBe(oracle.size);
        if (step % 100 === 0 && oracle.size > 0) {
          agreement += recall(index, oracle, [random.vector(12)], 10, 100);
          searches++;
        }
      }
      // Inner product is no metric, so a graph walk over it misses a little more.
      expect(agreement / searches, `seed ${seed}`).toBeGreaterThanOrEqual(metric === 'dot' ? 0.9 : 0.97);
    },
  );
});

test('hnswlib-wasm loads and searches inside a worker thread', async () => {
  const worker = new Worker(new URL('./hnswlib-worker.js', import.meta.url));
  const [labels] = (await once(worker, 'message')) as [number[]];
  expect(labels).toEqual([3, 4]);
  await worker.terminate();
});

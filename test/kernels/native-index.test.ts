/** What the engine `native` has beside the interface: filters, memory that is used again, full memory, awkward data. */
import { describe, expect, test } from 'vitest';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import { NativeIndex, type NativeOptions } from '../../kernels/hnsw/native.ts';
import { type Metric, SearchHits, type VectorIndex } from '../../kernels/hnsw/vector-index.ts';
import { clusteredVectors, Random } from './random.ts';

const open = (options: Partial<NativeOptions> & { dimension: number }) =>
  NativeIndex.load()({ metric: 'l2', m: 12, efConstruction: 80, seed: 1, ...options });

function labelsOf(hits: SearchHits): number[] {
  return Array.from(hits.labels.subarray(0, hits.count));
}

function recall(index: VectorIndex, oracle: VectorIndex, queries: Float32Array[], ef = 64): number {
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
function filled(options: Partial<NativeOptions> & { dimension: number }, vectors: Float32Array[]) {
  const index = open(options);
  const oracle = new ExactIndex({ metric: 'l2', ...options });
  vectors.forEach((vector, label) => {
    index.add(label, vector);
    oracle.add(label, vector);
  });
  return { index, oracle };
}

describe.each(['l2', 'cosine', 'dot'] as Metric[])('filters, %s', (metric) => {
  const random = new Random(99);
  const vectors = clusteredVectors(random, 6000, 20, 30);
  const { index } = filled({ dimension: 20, metric }, vectors);

  test.each([
    ['one label', (label: number) => label === 77],
    ['few', (label: number) => label % 500 === 3],
    ['a tenth', (label: number) => label % 10 === 3],
    ['half', (label: number) => label % 2 === 0],
    ['all', () => true],
    ['none', () => false],
  ] as [string, (label: number) => boolean][])(
    'of what passes (%s) the nearest are found, and nothing else',
    (_, has) => {
      const oracle = new ExactIndex({ dimension: 20, metric });
      vectors.forEach((vector, label) => {
        if (has(label)) oracle.add(label, vector);
      });
      const [found, truth] = [new SearchHits(10), new SearchHits(10)];
      let shared = 0;
      let all = 0;
      for (const query of vectors.slice(0, 30)) {
        index.searchFiltered(query, 10, 64, { count: oracle.size, has }, found);
        oracle.search(query, 10, 0, truth);
        expect(found.count).toBe(truth.count);
        expect(labelsOf(found).every(has)).toBe(true);
        const labels = new Set(labelsOf(truth));
        shared += labelsOf(found).filter((label) => labels.has(label)).length;
        all += truth.count;
      }
      expect(shared).toBeGreaterThanOrEqual(all * 0.95);
    },
  );

  test('what passes is far from the query, and found nevertheless', () => {
    const far = new Set(
      vectors
        .map((_, label) => label)
        .sort((a, b) => a - b)
        .slice(-40),
    );
    const hits = new SearchHits(10);
    index.searchFiltered(vectors[0]!, 10, 16, { count: 5000, has: (label) => far.has(label) }, hits);
    expect(hits.count).toBe(10);
    expect(labelsOf(hits).every((label) => far.has(label))).toBe(true);
  });
});

test('memory of deleted vectors is used again, and the graph stays whole', () => {
  const seed = 31;
  const random = new Random(seed);
  const index = open({ dimension: 16 });
  const oracle = new ExactIndex({ dimension: 16, metric: 'l2' });
  for (let step = 0; step < 30_000; step++) {
    const label = random.below(1500);
    if (random.next() < 0.55) {
      const vector = random.vector(16);
      index.add(label, vector);
      oracle.add(label, vector);
    } else {
      index.remove(label);
      oracle.remove(label);
    }
  }
  expect(index.size).toBe(oracle.size);
  expect(index.owner.nodes).toBeLessThan(2500);
  const { faults, live, unreachable, miscounted } = auditGraph(index.owner.graph);
  expect({ faults, live, unreachable, miscounted }, `seed ${seed}`).toEqual({
    faults: [],
    live: oracle.size,
    unreachable: [],
    miscounted: 0,
  });
  const queries = Array.from({ length: 100 }, () => random.vector(16));
  expect(recall(index, oracle, queries), `seed ${seed}`).toBeGreaterThan(0.95);
});

test('everything is deleted, and what comes after is found', () => {
  const random = new Random(8);
  const index = open({ dimension: 8 });
  for (let label = 0; label < 1000; label++) index.add(label, random.vector(8));
  for (let label = 0; label < 1000; label++) index.remove(label);
  const oracle = new ExactIndex({ dimension: 8, metric: 'l2' });
  const vectors = Array.from({ length: 600 }, () => random.vector(8));
  vectors.forEach((vector, label) => {
    index.add(label, vector);
    oracle.add(label, vector);
  });
  expect(recall(index, oracle, vectors.slice(0, 50))).toBeGreaterThan(0.98);
  expect(auditGraph(index.owner.graph).unreachable).toEqual([]);
});

test('what no longer fits the memory is found all the same, and filtered', () => {
  const random = new Random(9);
  const vectors = Array.from({ length: 700 }, () => random.vector(8));
  const { index, oracle } = filled({ dimension: 8, capacity: 400 }, vectors);
  expect(index.size).toBe(700);
  expect(recall(index, oracle, vectors.slice(350, 450), 200)).toBeGreaterThan(0.97);
  const hits = new SearchHits(5);
  index.searchFiltered(vectors[650]!, 5, 64, { count: 100, has: (label) => label >= 600 }, hits);
  expect(hits.labels[0]).toBe(650);
  for (let label = 0; label < 700; label++) index.remove(label);
  expect(index.size).toBe(0);
});

test('the same seed and the same order make the same graph', () => {
  const vectors = clusteredVectors(new Random(4), 1500, 24, 10);
  const make = () => filled({ dimension: 24 }, vectors).index.owner;
  const [a, b] = [make(), make()];
  expect(a.bytesUsed).toBe(b.bytesUsed);
  const used = 1 << 22;
  expect(
    Buffer.compare(
      Buffer.from(a.graph.memory.buffer, 65536, used),
      Buffer.from(b.graph.memory.buffer, 65536, used),
    ),
  ).toBe(0);
});

describe('awkward data', () => {
  const random = new Random(12);
  const line = Array.from({ length: 3000 }, (_, i) =>
    Float32Array.from({ length: 12 }, (_, d) => i * (d + 1)),
  );
  const sorted = clusteredVectors(random, 3000, 12, 30).sort((a, b) => a[0]! - b[0]!);
  const farClusters = Array.from({ length: 3000 }, (_, i) =>
    random.vector(12).map((x) => x + 1000 * Math.floor(i / 300)),
  );
  const tiny = Array.from({ length: 3000 }, () => random.vector(12).map((x) => x * 1e-25));
  const huge = Array.from({ length: 3000 }, () => random.vector(12).map((x) => x * 1e17));
  test.each([
    ['sorted', sorted],
    ['one far cluster after the other', farClusters],
    ['huge', huge],
  ])('%s: found as well as ever', (_, vectors) => {
    const { index, oracle } = filled({ dimension: 12 }, vectors);
    const queries = vectors.filter((_, i) => i % 30 === 0);
    expect(recall(index, oracle, queries, 100)).toBeGreaterThan(0.95);
    expect(auditGraph(index.owner.graph).unreachable).toEqual([]);
  });

  test('on a line, one after the other: most are found', () => {
    const { index, oracle } = filled({ dimension: 12 }, line);
    const queries = line.filter((_, i) => i % 30 === 0);
    expect(recall(index, oracle, queries, 100)).toBeGreaterThan(0.85);
  });

  test('too small for their squared distances: as many as asked for are found', () => {
    const { index, oracle } = filled({ dimension: 12, metric: 'dot' }, tiny);
    const hits = new SearchHits(10);
    expect(index.search(tiny[5]!, 10, 64, hits)).toBe(10);
    expect(oracle.size).toBe(3000);
  });

  test('10,000 identical vectors: as many as asked for are found, and the graph keeps its rules', () => {
    const same = random.vector(12);
    const index = open({ dimension: 12 });
    for (let label = 0; label < 10_000; label++) index.add(label, same);
    const others = Array.from({ length: 300 }, () => random.vector(12));
    others.forEach((vector, i) => {
      index.add(20_000 + i, vector);
    });
    const hits = new SearchHits(50);
    index.search(same, 50, 64, hits);
    expect(new Set(labelsOf(hits)).size).toBe(50);
    expect(auditGraph(index.owner.graph).faults).toEqual([]);
    expect(auditGraph(index.owner.graph).miscounted).toBe(0);
  });
});

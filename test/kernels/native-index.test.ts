/**
 * What the engine `native` has beside the interface: walks among some labels, patience, memory that is used again, full
 * memory, awkward data, effort.
 */
import { describe, expect, test } from 'vitest';
import { effortForRecall, effortOf } from '../../kernels/hnsw/effort.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import { GraphReader } from '../../kernels/hnsw/graph-reader.ts';
import { type Metric, SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { filled, labelsOf, open, recall } from './native-world.ts';
import { clusteredVectors, Random } from './random.ts';

function runToEnd<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

test.each([
  ['i8', 0],
  ['i8', 1 << 20],
  ['f32', 0],
] as const)(
  'a walk among labels as bits, %s, labels from %i: what is removed or equal to others is found or not as exact search does',
  (element, from) => {
    const seed = 23;
    const random = new Random(seed);
    const index = open({ dimension: 12, element, capacity: 6000 });
    const vectors = new Map<number, Float32Array>();
    for (let step = 0; step < 6000; step++) {
      const label = from + random.below(4000);
      // one in four is one of sixteen, so that nodes have twins
      const vector = new Random(step % 4 === 0 ? random.below(16) : 100 + step).vector(12);
      index.add(label, vector);
      vectors.set(label, vector);
      const gone = from + random.below(4000);
      if (step % 3 > 0) continue;
      index.remove(gone);
      vectors.delete(gone);
    }
    const reader = GraphReader.attach(index.owner.graph, 1);
    const truth = new SearchHits(10);
    for (const every of [1, 2, 3, 40]) {
      const oracle = new ExactIndex({ dimension: 12, metric: 'l2' });
      const bits = new Uint32Array(Math.ceil((from + 4000) / 32));
      for (const [label, vector] of vectors) {
        if ((label - from) % every !== 0) continue;
        oracle.add(label, vector);
        bits[label >>> 5]! |= 1 << (label & 31);
      }
      let near = 0;
      let all = 0;
      for (let i = 0; i < 40; i++) {
        const query = new Random(i % 4 === 0 ? i : 90_000 + i).vector(12);
        oracle.search(query, 10, 0, truth);
        const found = reader.searchPassing(query, 10, 64, bits);
        const labels = Array.from({ length: found }, (_, at) => reader.labelAt(at));
        expect(labels.every((label) => oracle.has(label))).toBe(true);
        expect(new Set(labels).size).toBe(found);
        const farthest = truth.distances[truth.count - 1]!;
        for (let at = 0; at < found; at++) if (reader.distanceAt(at) <= farthest * 1.0001) near++;
        all += truth.count;
      }
      expect(near, `seed ${seed}, every ${every}`).toBeGreaterThanOrEqual(all * 0.95);
    }
  },
);

test('a search with patience ends early: it finds less with less, and with much of it what it finds without', () => {
  const random = new Random(41);
  const vectors = Array.from({ length: 5000 }, () => random.vector(24));
  const { index, oracle } = filled({ dimension: 24 }, vectors);
  const queries = Array.from({ length: 100 }, () => random.vector(24));
  const shares = [2, 8, 32, 4096, 0].map((patience) =>
    recall(index, oracle, queries, effortOf(128, patience)),
  );
  expect(shares[0]).toBeLessThan(shares[2]!);
  expect(shares[1]).toBeGreaterThan(0.75);
  expect(shares[2]).toBeGreaterThan(0.9);
  expect(shares[3]).toBe(shares[4]);
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

test('what no longer fits the memory is found all the same', () => {
  const random = new Random(9);
  const vectors = Array.from({ length: 700 }, () => random.vector(8));
  const { index, oracle } = filled({ dimension: 8, capacity: 400 }, vectors);
  expect(index.size).toBe(700);
  expect(recall(index, oracle, vectors.slice(350, 450), 200)).toBeGreaterThan(0.97);
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

  test('many nearly identical vectors: those, and the others, are found', () => {
    const middle = random.vector(12);
    const near = Array.from({ length: 3000 }, () => middle.map((x) => x + 1e-4 * random.normal()));
    const others = Array.from({ length: 300 }, () => random.vector(12));
    const { index, oracle } = filled({ dimension: 12 }, [...near, ...others]);
    expect(recall(index, oracle, others, 64)).toBeGreaterThan(0.95);
    expect(recall(index, oracle, near.slice(0, 100), 64)).toBeGreaterThan(0.95);
  });
});

describe.each(['i8', 'f32'] as const)('identical vectors, %s', (element) => {
  test.each(['before', 'between', 'after'])(
    '10,000 of them, added %s the others: all are found, also when they are gone',
    (when) => {
      const random = new Random(13);
      const same = random.vector(12);
      const others = Array.from({ length: 1500 }, () => random.vector(12));
      const index = open({ dimension: 12, element });
      const oracle = new ExactIndex({ dimension: 12, metric: 'l2' });
      const first = { before: 0, between: 750, after: 1500 }[when]!;
      others.forEach((vector, i) => {
        for (let label = 0; i === first && label < 10_000; label++) index.add(20_000 + label, same);
        index.add(i, vector);
        oracle.add(i, vector);
      });
      for (let label = 0; first === 1500 && label < 10_000; label++) index.add(20_000 + label, same);
      const hits = new SearchHits(50);
      index.search(same, 50, 64, hits);
      expect(new Set(labelsOf(hits)).size).toBe(50);
      expect(labelsOf(hits).every((label) => label >= 20_000)).toBe(true);
      expect(recall(index, oracle, others.slice(0, 200))).toBeGreaterThan(0.97);
      const sound = { faults: [], live: 11_500, miscounted: 0, unreachable: [] };
      expect(auditGraph(index.owner.graph)).toMatchObject(sound);
      for (let label = 0; label < 10_000; label++) index.remove(20_000 + ((label * 7919) % 10_000));
      expect(index.size).toBe(1500);
      expect(recall(index, oracle, [same, ...others.slice(0, 200)])).toBeGreaterThan(0.97);
      expect(auditGraph(index.owner.graph)).toMatchObject({ ...sound, live: 1500 });
      for (let label = 0; label < 10_000; label++) index.add(20_000 + label, same);
      expect(index.owner.nodes).toBeLessThan(11_600);
    },
  );
});

test.each(['l2', 'cosine', 'dot'] as Metric[])(
  '%s: adding, replacing and removing vectors of which many are equal agrees with exact search',
  (metric) => {
    const seed = 20261123;
    const random = new Random(seed);
    const kinds = Array.from({ length: 4000 }, () => random.vector(10));
    const oracle = new ExactIndex({ dimension: 10, metric });
    const index = open({ dimension: 10, metric });
    const [found, truth] = [new SearchHits(10), new SearchHits(10)];
    let shared = 0;
    let all = 0;
    const compare = (step: number) => {
      expect(found.count, `seed ${seed}, step ${step}`).toBe(truth.count);
      expect(new Set(labelsOf(found)).size).toBe(found.count);
      const farthest = truth.distances[truth.count - 1]! + 1e-5;
      all += truth.count;
      for (let i = 0; i < found.count; i++) if (found.distances[i]! <= farthest) shared++;
    };
    for (let step = 0; step < 12_000; step++) {
      const label = random.below(4000);
      if (random.next() < 0.6) {
        const vector = kinds[Math.floor(4000 * random.next() ** 1.5)]!;
        oracle.add(label, vector);
        index.add(label, vector);
      } else {
        index.remove(label);
        oracle.remove(label);
      }
      if (step % 40 !== 0) continue;
      const query = random.next() < 0.5 ? random.vector(10) : kinds[random.below(4000)]!;
      index.search(query, 10, 64, found);
      oracle.search(query, 10, 0, truth);
      compare(step);
    }
    expect(shared / all, `seed ${seed}`).toBeGreaterThan(metric === 'dot' ? 0.93 : 0.98);
    expect(auditGraph(index.owner.graph)).toMatchObject({ faults: [], live: oracle.size, miscounted: 0 });
  },
);

test('a wanted recall says how much effort it takes: more for more, and it is reached', () => {
  const random = new Random(19);
  const vectors = Array.from({ length: 4000 }, () => random.vector(24));
  const { index, oracle } = filled({ dimension: 24 }, vectors);
  const probes = vectors.filter((_, i) => i % 100 === 0);
  const [little, much] = [0.8, 0.99].map((wanted) =>
    runToEnd(effortForRecall(index, 10, wanted, probes)),
  ) as [number, number];
  expect(little).toBeLessThan(much);
  const queries = Array.from({ length: 100 }, () => random.vector(24));
  expect(recall(index, oracle, queries, much)).toBeGreaterThan(0.96);
});

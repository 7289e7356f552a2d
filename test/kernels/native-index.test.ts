/** What the engine `native` has beside the interface: filters, memory that is used again, full memory, awkward data. */
import { describe, expect, test } from 'vitest';
import { effortForRecall } from '../../kernels/hnsw/effort.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import { GraphReader } from '../../kernels/hnsw/graph-reader.ts';
import { type Metric, SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { filled, labelsOf, open, recall } from './native-world.ts';
import { clusteredVectors, Random } from './random.ts';

/** Buffers of the one thread that is attached, and the tables at their smallest. */
const FIXED_BYTES = 80_000;

/** What a reader of the graph, which has a filter as bits, finds. */
function readPassing(
  reader: GraphReader,
  query: Float32Array,
  ef: number,
  labels: readonly number[],
): number[] {
  const bits = new Uint32Array(Math.floor((labels.at(-1) ?? 0) / 32) + 1);
  for (const label of labels) bits[label >>> 5]! |= 1 << (label & 31);
  const found = reader.searchPassing(query, 10, ef, { bits, count: labels.length });
  return Array.from({ length: found }, (_, i) => reader.labelAt(i));
}

describe.each(['l2', 'cosine', 'dot'] as Metric[])('filters, %s', (metric) => {
  const random = new Random(99);
  const vectors = clusteredVectors(random, 6000, 20, 30);
  const { index, oracle: everything } = filled({ dimension: 20, metric }, vectors);
  const reader = GraphReader.attach(index.owner.graph, 1);
  // The largest inner products are those of the longest vectors, which are near each other only in direction: the walk itself finds fewer.
  const unfiltered = recall(index, everything, vectors.slice(0, 30));

  test('without one most of the nearest are found', () => {
    expect(unfiltered).toBeGreaterThanOrEqual(metric === 'dot' ? 0.95 : 0.99);
  });

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
      const passing = vectors.map((_, label) => label).filter(has);
      let shared = 0;
      let read = 0;
      let all = 0;
      for (const query of vectors.slice(0, 30)) {
        index.searchFiltered(query, 10, 64, { count: oracle.size, has }, found);
        oracle.search(query, 10, 0, truth);
        expect(found.count).toBe(truth.count);
        expect(labelsOf(found).every(has)).toBe(true);
        const labels = new Set(labelsOf(truth));
        shared += labelsOf(found).filter((label) => labels.has(label)).length;
        const byBits = readPassing(reader, query, 64, passing);
        expect(byBits).toHaveLength(truth.count);
        expect(byBits.every(has)).toBe(true);
        read += byBits.filter((label) => labels.has(label)).length;
        all += truth.count;
      }
      // A filter costs nothing; what passes it may by chance be a little harder to find.
      expect(shared).toBeGreaterThanOrEqual(all * (unfiltered - 0.02));
      expect(read).toBeGreaterThanOrEqual(all * (unfiltered - 0.02));
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
    const byBits = readPassing(reader, vectors[0]!, 16, [...far]);
    expect(byBits).toHaveLength(10);
    expect(byBits.every((label) => far.has(label))).toBe(true);
  });
});

test.each([
  ['i8', 0],
  ['i8', 1 << 20],
  ['f32', 0],
] as const)(
  'a filter as bits, %s, labels from %i: what is removed or equal to others is found or not as exact search does',
  (element, from) => {
    const seed = 23;
    const random = new Random(seed);
    const index = open({ dimension: 12, element, capacity: 6000 });
    const oracle = new ExactIndex({ dimension: 12, metric: 'l2' });
    for (let step = 0; step < 6000; step++) {
      const label = from + random.below(4000);
      // one in four is one of sixteen, so that nodes have twins
      const vector = new Random(step % 4 === 0 ? random.below(16) : 100 + step).vector(12);
      index.add(label, vector);
      oracle.add(label, vector);
      const gone = from + random.below(4000);
      if (step % 3 > 0) continue;
      index.remove(gone);
      oracle.remove(gone);
    }
    const reader = GraphReader.attach(index.owner.graph, 1);
    const truth = new SearchHits(10);
    for (const every of [2, 3, 40, 400]) {
      const has = (label: number) => (label - from) % every === 0;
      const labels = Array.from({ length: 4000 }, (_, i) => from + i).filter(
        (label) => has(label) && index.has(label),
      );
      let near = 0;
      let all = 0;
      for (let i = 0; i < 40; i++) {
        const query = new Random(i % 4 === 0 ? i : 90_000 + i).vector(12);
        truth.begin(10);
        oracle.searchFiltered(query, has, truth);
        const found = readPassing(reader, query, 64, labels);
        expect(found.length, `seed ${seed}, every ${every}`).toBe(truth.count);
        expect(found.every((label) => has(label) && index.has(label))).toBe(true);
        expect(new Set(found).size).toBe(found.length);
        const farthest = truth.distances[truth.count - 1]!;
        for (let at = 0; at < found.length; at++) if (reader.distanceAt(at) <= farthest * 1.0001) near++;
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
  const truth = new SearchHits(10);
  const shares = [2, 8, 32, 4096, 0].map((patience) => {
    const reader = GraphReader.attach(index.owner.graph, 1, true, patience);
    let shared = 0;
    for (const query of queries) {
      oracle.search(query, 10, 0, truth);
      const labels = new Set(labelsOf(truth));
      const found = reader.search(query, 10, 128, 10);
      for (let i = 0; i < found; i++) if (labels.has(reader.labelAt(i))) shared++;
    }
    return shared / 1000;
  });
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
      index.searchFiltered(same, 10, 64, { count: 1510, has: (label) => label < 20_010 }, hits);
      expect(labelsOf(hits).sort()).toEqual(Array.from({ length: 10 }, (_, i) => 20_000 + i));
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

test.each([
  ['l2', 'here'],
  ['cosine', 'here'],
  ['dot', 'here'],
  ['l2', 'elsewhere'],
  ['cosine', 'elsewhere'],
  ['dot', 'elsewhere'],
] as [Metric, string][])(
  '%s, vectors %s: adding, replacing and removing vectors of which many are equal agrees with exact search, and with filters',
  (metric, place) => {
    const seed = 20261123;
    const random = new Random(seed);
    const kinds = Array.from({ length: 4000 }, () => random.vector(10));
    const oracle = new ExactIndex({ dimension: 10, metric });
    const index = open({ dimension: 10, metric, ...(place === 'elsewhere' && { vectors: oracle }) });
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
      const has = (each: number) => each % 3 === step % 3;
      index.searchFiltered(query, 10, 64, { count: Math.ceil(oracle.size / 3), has }, found);
      truth.begin(10);
      oracle.searchFiltered(query, has, truth);
      expect(labelsOf(found).every(has)).toBe(true);
      compare(step);
    }
    expect(shared / all, `seed ${seed}`).toBeGreaterThan(metric === 'dot' ? 0.93 : 0.98);
    expect(index.owner.hasVectors).toBe(place === 'here');
    expect(auditGraph(index.owner.graph)).toMatchObject({ faults: [], live: oracle.size, miscounted: 0 });
  },
);

test('vectors elsewhere: what comes after the first lies outside their range, and is found; memory is codes and links', () => {
  const random = new Random(16);
  const oracle = new ExactIndex({ dimension: 64, metric: 'l2' });
  const index = open({ dimension: 64, m: 16, vectors: oracle });
  const vectors = clusteredVectors(random, 6000, 64, 40).map((v, i) =>
    i < 2000 ? v : v.map((x) => 2 * x + 4),
  );
  for (const [label, vector] of vectors.entries()) {
    oracle.add(label, vector);
    index.add(label, vector);
  }
  expect(
    recall(
      index,
      oracle,
      vectors.filter((_, i) => i % 40 === 0),
    ),
  ).toBeGreaterThan(0.95);
  // the fixed buffers of a thread are not counted: they are the same for a million
  expect((index.bytesUsed - FIXED_BYTES) / 6000).toBeLessThan(64 + 170);
  const out = new Float32Array(64);
  expect(index.read(4321, out) && out.every((x, d) => x === vectors[4321]![d])).toBe(true);
});

test('vectors elsewhere, and no comparison with them: their codes find nearly the same', () => {
  const random = new Random(17);
  const oracle = new ExactIndex({ dimension: 32, metric: 'cosine' });
  const index = open({ dimension: 32, metric: 'cosine', vectors: oracle, rerank: false });
  const vectors = clusteredVectors(random, 3000, 32, 40);
  for (const [label, vector] of vectors.entries()) {
    oracle.add(label, vector);
    index.add(label, vector);
  }
  expect(recall(index, oracle, vectors.slice(0, 100))).toBeGreaterThan(0.9);
  const hits = new SearchHits(1);
  index.search(vectors[7]!, 1, 64, hits);
  expect(hits.distances[0]).toBeCloseTo(0, 1);
});

test('within a radius all are found, as far as the list holds', () => {
  const random = new Random(18);
  const vectors = clusteredVectors(random, 3000, 12, 30);
  const { index, oracle } = filled({ dimension: 12 }, vectors);
  const [found, truth] = [new SearchHits(500), new SearchHits(500)];
  let shared = 0;
  let all = 0;
  for (const query of vectors.slice(0, 40)) {
    oracle.search(query, 500, 0, truth);
    const radius = truth.distances[random.below(200)]!;
    const within = truth.distances.findIndex((distance) => distance > radius);
    index.searchWithin(query, radius, 64, found);
    expect(found.distances.subarray(0, found.count).every((distance) => distance <= radius)).toBe(true);
    shared += found.count;
    all += within;
  }
  expect(shared / all).toBeGreaterThan(0.97);
  expect(index.searchWithin(vectors[0]!, -1, 64, found)).toBe(0);
  expect(index.searchWithin(vectors[0]!, 1e9, 64, new SearchHits(20))).toBe(20);
});

test('a wanted recall says how much effort it takes: more for more, and it is reached', () => {
  const random = new Random(19);
  const vectors = Array.from({ length: 4000 }, () => random.vector(24));
  const { index, oracle } = filled({ dimension: 24 }, vectors);
  const probes = vectors.filter((_, i) => i % 100 === 0);
  const [little, much] = [0.8, 0.99].map((wanted) => effortForRecall(index, 10, wanted, probes)) as [
    number,
    number,
  ];
  expect(little).toBeLessThan(much);
  const queries = Array.from({ length: 100 }, () => random.vector(24));
  expect(recall(index, oracle, queries, much)).toBeGreaterThan(0.96);
});

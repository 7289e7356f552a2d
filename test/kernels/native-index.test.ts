/** What the engine `native` has beside the interface: filters, memory that is used again, full memory, awkward data. */
import { describe, expect, test } from 'vitest';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import { DESCRIPTION_BYTES } from '../../kernels/hnsw/graph-snapshot.ts';
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

test.each(['l2', 'cosine', 'dot'] as Metric[])(
  '%s: adding, replacing and removing vectors of which many are equal agrees with exact search, and with filters',
  (metric) => {
    const seed = 20261123;
    const random = new Random(seed);
    const kinds = Array.from({ length: 400 }, () => random.vector(10));
    const index = open({ dimension: 10, metric });
    const oracle = new ExactIndex({ dimension: 10, metric });
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
      const label = random.below(1200);
      if (random.next() < 0.6) {
        const vector = kinds[Math.floor(400 * random.next() ** 3)]!;
        index.add(label, vector);
        oracle.add(label, vector);
      } else {
        index.remove(label);
        oracle.remove(label);
      }
      if (step % 40 !== 0) continue;
      const query = random.next() < 0.5 ? random.vector(10) : kinds[random.below(400)]!;
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
    expect(auditGraph(index.owner.graph)).toMatchObject({ faults: [], live: oracle.size, miscounted: 0 });
  },
);

describe('a snapshot', () => {
  /** What a reader of a file with these bytes would do. */
  const readerOf = (bytes: Uint8Array) => {
    let at = DESCRIPTION_BYTES;
    return (part: Uint8Array) => {
      part.set(bytes.subarray(at, at + part.length));
      at += part.length;
    };
  };
  const restore = (bytes: Uint8Array, options: NativeOptions) =>
    NativeIndex.restore(options, bytes.slice(0, DESCRIPTION_BYTES), readerOf(bytes));
  const options = { dimension: 12, metric: 'l2', m: 12, efConstruction: 80, seed: 1 } as const;

  /** After many changes, some of them half done. */
  function changed(element: 'i8' | 'f32') {
    const random = new Random(14);
    const index = open({ ...options, element });
    const oracle = new ExactIndex(options);
    const same = random.vector(12);
    for (let step = 0; step < 6000; step++) {
      const label = random.below(2500);
      const vector = random.next() < 0.1 ? same : random.vector(12);
      if (random.next() < 0.6) {
        index.add(label, vector);
        oracle.add(label, vector);
      } else {
        index.remove(label);
        oracle.remove(label);
      }
    }
    return { index, oracle, random };
  }

  test.each(['i8', 'f32'] as const)('%s: put back, it finds the same, and can be changed', (element) => {
    const { index, oracle, random } = changed(element);
    const bytes = Buffer.concat(index.snapshot());
    const again = restore(bytes, { ...options, capacity: 5000 })!;
    expect(again.size).toBe(oracle.size);
    const labels: number[] = [];
    again.forEachLabel((label) => labels.push(label));
    expect(labels.every((label) => oracle.has(label) && again.has(label))).toBe(true);
    const [a, b] = [new SearchHits(10), new SearchHits(10)];
    for (let i = 0; i < 50; i++) {
      const query = random.vector(12);
      index.search(query, 10, 64, a);
      again.search(query, 10, 64, b);
      expect(Array.from(b.distances)).toEqual(Array.from(a.distances));
    }
    for (let step = 0; step < 6000; step++) {
      const label = random.below(2500);
      if (random.next() < 0.5) {
        const vector = random.vector(12);
        again.add(label, vector);
        oracle.add(label, vector);
      } else {
        again.remove(label);
        oracle.remove(label);
      }
    }
    expect(auditGraph(again.owner.graph)).toMatchObject({ faults: [], live: oracle.size, unreachable: [] });
    const queries = Array.from({ length: 100 }, () => random.vector(12));
    expect(recall(again, oracle, queries)).toBeGreaterThan(0.97);
  });

  test('of another dimension, metric or number of links, or too large, it is refused', () => {
    const bytes = Buffer.concat(changed('i8').index.snapshot());
    expect(restore(bytes, { ...options, dimension: 20 })).toBeUndefined();
    expect(restore(bytes, { ...options, metric: 'dot' })).toBeUndefined();
    expect(restore(bytes, { ...options, m: 16 })).toBeUndefined();
    expect(restore(bytes, { ...options, capacity: 100 })).toBeUndefined();
    expect(NativeIndex.restore(options, new Uint8Array(7), () => {})).toBeUndefined();
  });

  test('damaged anywhere, it is refused or can be searched and changed', () => {
    const random = new Random(15);
    const bytes = Buffer.concat(changed('i8').index.snapshot());
    let refused = 0;
    for (let round = 0; round < 60; round++) {
      const damaged = Buffer.from(bytes);
      const at = round % 3 === 0 ? random.below(DESCRIPTION_BYTES) : random.below(bytes.length);
      for (let i = 0; i < 1 + (round % 4); i++) damaged[at + i] = random.below(256);
      const index = restore(damaged, { ...options, capacity: 5000 });
      if (index === undefined) {
        refused++;
        continue;
      }
      const hits = new SearchHits(10);
      index.search(random.vector(12), 10, 64, hits);
    }
    console.log(`${refused} of 60 refused`);
    expect(refused).toBeGreaterThan(0);
  });
});

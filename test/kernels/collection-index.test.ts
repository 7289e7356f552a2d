import { describe, expect, test } from 'vitest';
import type { ChunkRecord } from '../../kernels/hnsw/chunk-table.ts';
import { CollectionIndex, emptyRecord } from '../../kernels/hnsw/collection-index.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { aloneWithGraphs } from '../../kernels/hnsw/graph-access.ts';
import { type EngineName, loadEngine } from '../../kernels/hnsw/open-engine.ts';
import { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import { SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { Random } from './random.ts';

const DIMENSION = 8;
const EXACT_ONLY_MAX = 2000;
async function open(engine: EngineName): Promise<CollectionIndex> {
  const options = { dimension: DIMENSION, metric: 'cosine', m: 16, efConstruction: 100, seed: 1 } as const;
  const graph =
    engine === 'exact'
      ? undefined
      : engine === 'native'
        ? new SharedGraph(options, aloneWithGraphs())
        : (await loadEngine(engine))(options);
  return new CollectionIndex(options, graph, EXACT_ONLY_MAX);
}

function record(ino: number, chunk = 0, generation = 1, version = 1): ChunkRecord {
  return { ino, generation, chunk, byteOffset: chunk * 1000, byteLength: 900, line: chunk * 20 + 1, version };
}

const key = (r: ChunkRecord) => `${r.ino}:${r.generation}:${r.chunk}`;

function nearest(collection: CollectionIndex, query: Float32Array, k: number): string[] {
  const hits = new SearchHits(k);
  collection.search(query, k, 100, hits);
  return keysOf(collection, hits);
}

function keysOf(collection: CollectionIndex, hits: SearchHits): string[] {
  const out = emptyRecord();
  return Array.from(hits.labels.subarray(0, hits.count), (label) => {
    collection.record(label, out);
    return key(out);
  });
}

describe('collection', () => {
  test.each(['hnswlib-wasm', 'native'] as const)(
    '%s: a vector is found by the search right after its put, before and after it moves into the graph',
    async (engine) => {
      const random = new Random(5);
      const collection = await open(engine);
      for (let ino = 1; ino <= EXACT_ONLY_MAX; ino++) collection.put(record(ino), random.vector(DIMENSION));
      expect(collection.absorb(10)).toBe(0);
      const mine = random.vector(DIMENSION);
      collection.put(record(9999, 3), mine);
      expect(nearest(collection, mine, 1)).toEqual(['9999:1:3']);
      while (collection.absorb(500) > 0);
      expect(collection.tailSize).toBe(0);
      expect(collection.graphSize).toBe(EXACT_ONLY_MAX + 1);
      expect(nearest(collection, mine, 1)).toEqual(['9999:1:3']);
      const later = random.vector(DIMENSION);
      collection.put(record(10_000), later);
      expect(nearest(collection, later, 1)).toEqual(['10000:1:0']);
    },
  );

  test('absorb moves no more than its budget', async () => {
    const random = new Random(6);
    const collection = await open('hnswlib-wasm');
    for (let ino = 0; ino <= EXACT_ONLY_MAX; ino++) collection.put(record(ino), random.vector(DIMENSION));
    expect(collection.absorb(7)).toBe(7);
    expect(collection.graphSize).toBe(7);
    expect(collection.size).toBe(EXACT_ONLY_MAX + 1);
  });

  test('without a graph engine everything stays exact', async () => {
    const collection = await open('exact');
    for (let ino = 0; ino < 3000; ino++) collection.put(record(ino), new Random(ino).vector(DIMENSION));
    expect(collection.absorb(100)).toBe(0);
    expect(nearest(collection, new Random(2500).vector(DIMENSION), 1)).toEqual(['2500:1:0']);
  });

  test('putting a key again replaces its vector and payload', async () => {
    const random = new Random(7);
    const collection = await open('exact');
    collection.put(record(1), random.vector(DIMENSION));
    const newer = random.vector(DIMENSION);
    collection.put({ ...record(1), version: 2, line: 44 }, newer);
    expect(collection.size).toBe(1);
    const seen: ChunkRecord[] = [];
    collection.forEach((r) => {
      seen.push({ ...r });
    });
    expect(seen).toEqual([{ ...record(1), version: 2, line: 44 }]);
  });

  test('removeFile takes all chunks of that generation and nothing else', async () => {
    const random = new Random(8);
    const collection = await open('exact');
    for (let chunk = 0; chunk < 5; chunk++) collection.put(record(1, chunk), random.vector(DIMENSION));
    collection.put(record(1, 0, 2), random.vector(DIMENSION));
    collection.put(record(2), random.vector(DIMENSION));
    expect(collection.removeFile(1, 1)).toBe(5);
    expect(collection.removeFile(1, 1)).toBe(0);
    expect(collection.removeFile(3, 1)).toBe(0);
    expect(nearest(collection, random.vector(DIMENSION), 10).sort()).toEqual(['1:2:0', '2:1:0']);
  });

  test.each(['hnswlib-wasm', 'native'] as const)(
    '%s: a search among some files compares all of theirs, in the tail and in the graph, and no others',
    async (engine) => {
      const random = new Random(9);
      const collection = await open(engine);
      const vectors = new Map<string, Float32Array>();
      for (let ino = 1; ino <= EXACT_ONLY_MAX + 500; ino++) {
        const r = record(ino, 0);
        vectors.set(key(r), random.vector(DIMENSION));
        collection.put(r, vectors.get(key(r))!);
        if (ino === EXACT_ONLY_MAX + 1) while (collection.absorb(500) > 0);
      }
      expect(Math.min(collection.tailSize, collection.graphSize)).toBeGreaterThanOrEqual(499);
      const query = random.vector(DIMENSION);
      const cosine = (a: Float32Array): number =>
        a.reduce((sum, x, i) => sum + x * query[i]!, 0) / (Math.hypot(...a) * Math.hypot(...query));
      const inodes = Uint32Array.of(3, 400, 401, EXACT_ONLY_MAX + 3, EXACT_ONLY_MAX + 400, 99_999);
      const expected = [...inodes]
        .map((ino) => key(record(ino)))
        .filter((one) => vectors.has(one))
        .sort((a, b) => cosine(vectors.get(b)!) - cosine(vectors.get(a)!));
      const hits = new SearchHits(10);
      for (const k of [10, 3, 0]) {
        expect(collection.searchAmong(query, k, 64, inodes, hits)).toBe(Math.min(k, 5));
        expect(keysOf(collection, hits)).toEqual(expected.slice(0, k));
      }
    },
  );

  test('a search among many files, in the graph and in the tail: it finds nearly what comparing each of theirs finds, and no others', async () => {
    const seed = 10;
    const random = new Random(seed);
    const collection = await open('native');
    const oracle = new ExactIndex({ dimension: DIMENSION, metric: 'cosine' });
    const inodes: number[] = [];
    for (let ino = 1; ino <= 9000; ino++) {
      const vector = random.vector(DIMENSION);
      collection.put(record(ino), vector);
      if (ino === 8500) while (collection.absorb(500) > 0);
      if (ino % 3 === 0) continue;
      inodes.push(ino);
      oracle.add(ino, vector);
    }
    for (let ino = 7; ino <= 9000; ino += 7) {
      collection.removeFile(ino, 1);
      oracle.remove(ino);
    }
    expect(oracle.size).toBeGreaterThan(4096);
    expect(collection.tailSize).toBeGreaterThan(400);
    let shared = 0;
    const [hits, truth] = [new SearchHits(10), new SearchHits(10)];
    for (let i = 0; i < 50; i++) {
      const query = random.vector(DIMENSION);
      expect(collection.searchAmong(query, 10, 64, Uint32Array.from(inodes), hits)).toBe(10);
      oracle.search(query, 10, 0, truth);
      const wanted = new Set(Array.from(truth.labels, (ino) => key(record(ino))));
      shared += keysOf(collection, hits).filter((one) => wanted.has(one)).length;
    }
    expect(shared / 500, `seed ${seed}`).toBeGreaterThan(0.97);
  });

  test.each(['hnswlib-wasm', 'native'] as const)(
    '%s: random puts, removals and absorbs leave exactly what a plain map holds',
    async (engine) => {
      const seed = 4242;
      const random = new Random(seed);
      const collection = await open(engine);
      const model = new Map<string, { record: ChunkRecord; vector: Float32Array }>();
      for (let step = 0; step < 5000; step++) {
        const r = record(random.below(800), random.below(6), 1 + random.below(2), step);
        const dice = random.next();
        if (dice < 0.8) {
          const vector = random.vector(DIMENSION);
          collection.put(r, vector);
          model.set(key(r), { record: r, vector });
        } else if (dice < 0.9) {
          expect(collection.remove(r.ino, r.generation, r.chunk)).toBe(model.delete(key(r)));
        } else if (dice < 0.95) {
          let expected = 0;
          for (let chunk = 0; chunk < 6; chunk++) if (model.delete(key({ ...r, chunk }))) expected++;
          expect(collection.removeFile(r.ino, r.generation)).toBe(expected);
        } else collection.absorb(40);
        expect(collection.size, `seed ${seed}, step ${step}`).toBe(model.size);
      }
      expect(collection.graphSize).toBeGreaterThan(100);
      const seen = new Map<string, ChunkRecord>();
      collection.forEach((r, vector) => {
        seen.set(key(r), { ...r });
        const expected = model.get(key(r))!.vector;
        const length = Math.hypot(...expected);
        for (let i = 0; i < DIMENSION; i++) expect(vector[i]).toBeCloseTo(expected[i]! / length, 5);
      });
      expect(seen).toEqual(new Map(Array.from(model, ([k, v]) => [k, v.record])));
      let hits = 0;
      const sample = Array.from(model).filter((_, i) => i % 20 === 0);
      for (const [k, { vector }] of sample) if (nearest(collection, vector, 1)[0] === k) hits++;
      expect(hits / sample.length, `seed ${seed}`).toBeGreaterThan(0.98);
    },
  );
});

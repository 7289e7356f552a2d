/** Searching a shard's vectors from outside: what a second thread sees at any moment, here taken in one thread. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { formatDoors, GraphDoors, planDoors } from '../../actors/graph-doors.ts';
import { CollectionIndex, emptyRecord } from '../../kernels/hnsw/collection-index.ts';
import { viewsOfGraph } from '../../kernels/hnsw/graph-memory.ts';
import { GraphReader } from '../../kernels/hnsw/graph-reader.ts';
import { loadEngine } from '../../kernels/hnsw/open-engine.ts';
import { ASK_OWNER, type GraphDoor, SharedVectors } from '../../kernels/hnsw/shared-vectors.ts';
import { type Metric, SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { VECTOR_MEMORY_MIN, VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import { Arena, type Region } from '../../runtime/memory/arena.ts';
import { testSeed } from '../seed.ts';
import { Random } from './random.ts';
import * as race from './shared-vectors-race.ts';

const DIMENSION = 12;
const COLLECTION = 3;
const KIB = 1024;

function reserve(bytes = 4096 * KIB): Region {
  return Arena.create([{ name: 'vectors', bytes: VECTOR_MEMORY_MIN + bytes }]).region('vectors');
}

/** Into the one graph of another thread. */
function doorInto(memory: WebAssembly.Memory, region: Region): GraphDoor {
  const doors = new GraphDoors(region, 2, 1);
  const reader = GraphReader.attach(viewsOfGraph(memory), 2);
  return {
    enter: (number) => (number === 1 && doors.enter(0) ? reader : undefined),
    leave: () => doors.leave(0),
  };
}

function optionsFor(metric: Metric) {
  return { dimension: DIMENSION, metric, m: 16, efConstruction: 100, seed: 1 };
}

function open(memory: VectorMemory, metric: Metric = 'cosine'): CollectionIndex {
  return new CollectionIndex(optionsFor(metric), undefined, undefined, memory, COLLECTION);
}

function record(ino: number, chunk = 0) {
  return { ino, generation: 2, chunk, byteOffset: ino * 10, byteLength: 7, line: ino + 1, version: 9 };
}

/** Words of the hits, the distances among them. */
function others(shared: SharedVectors, query: Float32Array, k: number): number[] | typeof ASK_OWNER {
  const found = shared.search(COLLECTION, query, k);
  return found === ASK_OWNER ? ASK_OWNER : Array.from(shared.hits.subarray(0, found * 8));
}

function own(collection: CollectionIndex, query: Float32Array, k: number): number[] {
  const hits = new SearchHits(Math.max(k, 1));
  collection.search(query, k, k, hits);
  const out = emptyRecord();
  const bits = new Uint32Array(hits.distances.buffer);
  return Array.from({ length: hits.count }, (_, i) => {
    collection.record(hits.labels[i]!, out);
    const { ino, generation, chunk, byteOffset, byteLength, line, version } = out;
    return [ino, generation, chunk, byteOffset, byteLength, line, version, bits[i]!];
  }).flat();
}

describe('vectors in shared memory', () => {
  test.each(['cosine', 'l2', 'dot'] as const)(
    '%s: others find what the owner finds, to the bit',
    (metric) => {
      const random = new Random(3);
      const region = reserve();
      const collection = open(new VectorMemory(region), metric);
      const shared = new SharedVectors(region);
      for (let ino = 1; ino <= 3000; ino++) collection.put(record(ino), random.vector(DIMENSION));
      expect(collection.share()).toBe(true);
      for (const k of [0, 1, 10, 500, 5000]) {
        const query = random.vector(DIMENSION);
        expect(others(shared, query, k)).toEqual(own(collection, query, k));
      }
    },
  );

  test('random puts, replacements and removals: others see each of them at once', () => {
    const seed = 77;
    const random = new Random(seed);
    const region = reserve();
    const collection = open(new VectorMemory(region));
    const shared = new SharedVectors(region);
    collection.share();
    for (let step = 0; step < 3000; step++) {
      const dice = random.next();
      const ino = random.below(400);
      if (dice < 0.7) collection.put(record(ino, random.below(3)), random.vector(DIMENSION));
      else if (dice < 0.9) collection.removeFile(ino, 2);
      else {
        const query = random.vector(DIMENSION);
        expect(others(shared, query, 5), `seed ${seed}, step ${step}`).toEqual(own(collection, query, 5));
      }
    }
  });

  test('a query of another dimension finds nothing; of a collection that was not handed out the owner is asked', () => {
    const region = reserve();
    const collection = open(new VectorMemory(region));
    collection.put(record(1), new Random(1).vector(DIMENSION));
    const shared = new SharedVectors(region);
    expect(shared.search(COLLECTION, new Random(1).vector(DIMENSION), 5)).toBe(ASK_OWNER);
    expect(collection.share()).toBe(true);
    expect(shared.search(COLLECTION, new Random(1).vector(DIMENSION), 5)).toBe(1);
    expect(shared.search(COLLECTION, new Random(1).vector(DIMENSION + 1), 5)).toBe(0);
    expect(shared.search(COLLECTION + 1, new Random(1).vector(DIMENSION), 5)).toBe(ASK_OWNER);
  });

  test('while changes are under way, or an owner died in one, the owner is asked', () => {
    const region = reserve();
    const collection = open(new VectorMemory(region));
    const shared = new SharedVectors(region);
    const query = new Random(1).vector(DIMENSION);
    collection.put(record(1), query);
    collection.share();
    collection.beginChange();
    collection.removeFile(1, 2);
    expect(others(shared, query, 1)).toBe(ASK_OWNER);
    collection.put(record(1), query);
    collection.endChange();
    expect(others(shared, query, 1)).toHaveLength(8);
    collection.beginChange();
    const successor = open(new VectorMemory(region));
    expect(others(shared, query, 1)).toBe(ASK_OWNER);
    successor.put(record(7), query);
    expect(others(shared, query, 1)).toBe(ASK_OWNER);
    successor.share();
    expect(others(shared, query, 1)).toEqual(own(successor, query, 1));
  });

  test('a change under a scan spoils it: it is done again, and left to the owner if that is spoilt too', () => {
    const random = new Random(9);
    const region = reserve();
    const collection = open(new VectorMemory(region));
    for (let ino = 1; ino <= 5000; ino++) collection.put(record(ino), random.vector(DIMENSION));
    collection.share();
    let changes = 0;
    // The scan looks at CHANGES between blocks of rows; there the owner changes something.
    const { load } = Atomics;
    const query = random.vector(DIMENSION);
    const search = (spoilt: number): number[] | typeof ASK_OWNER => {
      const shared = new SharedVectors(region);
      let looks = 0;
      changes = 0;
      Reflect.set(Atomics, 'load', (words: Int32Array, index: number) => {
        if (looks++ === 3 && changes < spoilt) {
          changes++;
          looks = 0;
          collection.put(record(1 + changes), random.vector(DIMENSION));
        }
        return load(words, index);
      });
      try {
        return others(shared, query, 20);
      } finally {
        Reflect.set(Atomics, 'load', load);
      }
    };
    expect(search(1)).toEqual(own(collection, query, 20));
    expect(changes).toBe(1);
    expect(search(Number.POSITIVE_INFINITY)).toBe(ASK_OWNER);
    expect(changes).toBeGreaterThan(1);
  });

  test('what does not fit the shared memory is found by the owner alone', () => {
    const random = new Random(4);
    const region = reserve(16 * KIB);
    const collection = open(new VectorMemory(region));
    const shared = new SharedVectors(region);
    const query = random.vector(DIMENSION);
    for (let ino = 1; ino <= 100; ino++) collection.put(record(ino), random.vector(DIMENSION));
    expect(collection.share()).toBe(true);
    for (let ino = 101; ino <= 3000; ino++) collection.put(record(ino), random.vector(DIMENSION));
    expect(collection.share()).toBe(false);
    expect(others(shared, query, 5)).toBe(ASK_OWNER);
    expect(own(collection, query, 3000)).toHaveLength(3000 * 8);
    for (let ino = 101; ino <= 3000; ino++) collection.removeFile(ino, 2);
    expect(collection.share()).toBe(true);
    expect(others(shared, query, 500)).toEqual(own(collection, query, 500));
  });

  test('memory of a collection that is dropped is used again', () => {
    const random = new Random(4);
    const region = reserve(256 * KIB);
    const memory = new VectorMemory(region);
    for (let round = 0; round < 10; round++) {
      const collection = open(memory);
      for (let ino = 1; ino <= 1500; ino++) collection.put(record(ino), random.vector(DIMENSION));
      expect(collection.share(), `round ${round}`).toBe(true);
      collection.release();
    }
    expect(others(new SharedVectors(region), random.vector(DIMENSION), 5)).toBe(ASK_OWNER);
  });

  test('from the first vector in a graph on the owner is asked, also by who began before', async () => {
    const random = new Random(6);
    const region = reserve();
    const options = optionsFor('cosine');
    const graph = (await loadEngine('hnswlib-wasm'))(options);
    const collection = new CollectionIndex(options, graph, 100, new VectorMemory(region), COLLECTION);
    const shared = new SharedVectors(region);
    for (let ino = 1; ino <= 101; ino++) collection.put(record(ino), random.vector(DIMENSION));
    const query = random.vector(DIMENSION);
    expect(collection.share()).toBe(true);
    expect(others(shared, query, 3)).toEqual(own(collection, query, 3));
    collection.absorb(1);
    expect(collection.share()).toBe(false);
    expect(others(shared, query, 3)).toBe(ASK_OWNER);
  });

  test.each(['rows', 'a graph'])(
    'in %s: while another thread changes them without pause, what is found is whole, and what was there all the time is found',
    async (where) => {
      const hasGraph = where === 'a graph';
      const seed = testSeed('vectors that change while they are read');
      const arena = Arena.create([
        { name: 'vectors', bytes: VECTOR_MEMORY_MIN + 4096 * KIB },
        { name: 'flags', bytes: 64 },
        { name: 'doors', bytes: planDoors(2) },
      ]);
      const flags = arena.region('flags').i32;
      formatDoors(arena.region('doors'), 2);
      const writer = new Worker(new URL('./shared-vectors-writer.js', import.meta.url), {
        workerData: { buffer: arena.buffer, seed, hasGraph },
      });
      const door = hasGraph ? doorInto((await once(writer, 'message'))[0], arena.region('doors')) : undefined;
      const ended = new Promise((resolve, reject) => writer.once('error', reject).once('exit', resolve));
      await Promise.race([Atomics.waitAsync(flags, race.STARTED, 0).value, ended]);
      const shared = new SharedVectors(arena.region('vectors'), door);
      const distances = () => new Float32Array(shared.hits.buffer);
      const query = race.vectorOf(1, 1);
      let searches = 0;
      let left = 0;
      for (const end = performance.now() + 1000; performance.now() < end; ) {
        const found = shared.search(race.COLLECTION, query, 4000);
        if (found === ASK_OWNER) {
          left++;
          continue;
        }
        searches++;
        const inos = new Set<number>();
        for (let i = 0; i < found; i++) {
          const [ino, , , byteOffset, , , version] = shared.hits.subarray(
            i * 8,
            i * 8 + 7,
          ) as unknown as number[];
          inos.add(ino!);
          const right = race.squaredDistance(query, race.vectorOf(ino!, version!));
          if (byteOffset !== (ino! ^ version!) || distances()[i * 8 + 7] !== right) {
            expect.fail(`seed ${seed}: the hit of inode ${ino}, version ${version}, is torn`);
          }
        }
        for (let ino = 1; ino <= race.STABLE; ino++) {
          if (!inos.has(ino)) expect.fail(`seed ${seed}: inode ${ino} was missed among ${found}`);
        }
      }
      Atomics.store(flags, race.END, 1);
      await ended;
      console.log(`${searches} searches beside ${flags[race.END]} changes; ${left} left to the owner`);
      expect(searches).toBeGreaterThan(0);
    },
  );
});

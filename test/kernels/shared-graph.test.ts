/** A collection whose graph other threads search and help to build, here all in one thread and a step at a time. */
import { describe, expect, test } from 'vitest';
import * as layout from '../../kernels/assembly/layout.ts';
import { CollectionIndex, emptyRecord } from '../../kernels/hnsw/collection-index.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { aloneWithGraphs, type GraphAccess } from '../../kernels/hnsw/graph-access.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import { type GraphMemory, headerWord } from '../../kernels/hnsw/graph-memory.ts';
import { GraphReader } from '../../kernels/hnsw/graph-reader.ts';
import { GrowingGraph } from '../../kernels/hnsw/growing-graph.ts';
import { NodeTable } from '../../kernels/hnsw/node-table.ts';
import { SharedGraph, type SharedGraphOptions } from '../../kernels/hnsw/shared-graph.ts';
import { ASK_OWNER, type GraphDoor, SharedVectors } from '../../kernels/hnsw/shared-vectors.ts';
import { SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { VECTOR_MEMORY_MIN, VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { testSeed } from '../seed.ts';
import { clusteredVectors, Random } from './random.ts';

const DIMENSION = 16;
const COLLECTION = 2;
const MIB = 1024 * 1024;
const SEED = testSeed('graphs that are shared', 1000);
const OPTIONS = { dimension: DIMENSION, metric: 'l2', m: 8, efConstruction: 60, seed: 1 } as const;

/** Another thread beside the owner's: whether it is in the graph, and whether it may come in. */
class Other implements GraphDoor {
  isInside = false;
  isClosed = false;
  /** By number, from 1. */
  readonly readers: GraphReader[] = [];
  #left = 0;
  readonly access: GraphAccess = {
    ...aloneWithGraphs(),
    publish: (graph: GraphMemory) => {
      return this.readers.push(GraphReader.attach(graph, 3));
    },
    close: () => {
      this.isClosed = true;
      return !this.isInside;
    },
    open: () => {
      this.isClosed = false;
    },
    mark: () => Int32Array.of(this.isInside ? 1 : 0, this.#left),
    passed: ([wasInside, left]) => wasInside === 0 || this.#left !== left,
  };

  enter(number: number): GraphReader | undefined {
    if (this.isClosed) return undefined;
    this.isInside = true;
    return this.readers[number - 1];
  }

  leave(): void {
    this.isInside = false;
    this.#left++;
  }
}

class Shared {
  readonly other = new Other();
  /** The first, when they may be several. */
  readonly graph: SharedGraph;
  readonly graphs: GrowingGraph;
  readonly collection: CollectionIndex;
  readonly vectors: SharedVectors;
  readonly oracle = new ExactIndex(OPTIONS);

  constructor(exactMax: number, options: SharedGraphOptions & { bytes?: number; graphsMax?: number } = {}) {
    const bytes = VECTOR_MEMORY_MIN + (options.bytes ?? 16 * MIB);
    const region = Arena.create([{ name: 'vectors', bytes }]).region('vectors');
    const make = () => new SharedGraph(OPTIONS, this.other.access, options);
    this.graphs = new GrowingGraph(make, options.graphsMax ?? 1);
    this.graph = this.graphs.part(0);
    const memory = new VectorMemory(region);
    this.collection = new CollectionIndex(OPTIONS, this.graphs, exactMax, memory, COLLECTION);
    this.vectors = new SharedVectors(region, this.other);
  }

  put(ino: number, vector: Float32Array): void {
    this.collection.put({ ...emptyRecord(), ino, generation: 1, line: ino + 7 }, vector);
    this.oracle.add(ino, vector);
  }

  remove(ino: number): void {
    this.collection.removeFile(ino, 1);
    this.oracle.remove(ino);
  }

  absorbAll(): void {
    while (this.collection.absorb(64) > 0 || this.graphs.isOpen);
  }

  own(query: Float32Array, k: number, ef = 100): number[] {
    const hits = new SearchHits(k);
    const record = emptyRecord();
    this.collection.search(query, k, ef, hits);
    return Array.from(hits.labels.subarray(0, hits.count), (label) => {
      this.collection.record(label, record);
      return record.ino;
    });
  }

  others(query: Float32Array, k: number, ef = 100): number[] | typeof ASK_OWNER {
    const found = this.vectors.search(COLLECTION, query, k, ef);
    if (found === ASK_OWNER) return ASK_OWNER;
    return Array.from({ length: found }, (_, i) => {
      const [ino, , , , , line] = this.vectors.hits.subarray(i * 8, i * 8 + 8);
      expect(line).toBe(ino! + 7);
      return ino!;
    });
  }

  exactly(query: Float32Array, k: number): number[] {
    const hits = new SearchHits(k);
    this.oracle.search(query, k, 0, hits);
    return Array.from(hits.labels.subarray(0, hits.count));
  }
}

function share(found: readonly number[], wanted: readonly number[]): number {
  expect(new Set(found).size).toBe(found.length);
  return wanted.filter((ino) => found.includes(ino)).length / Math.max(1, wanted.length);
}

describe('a shared graph', () => {
  test.each([
    ['in one graph', {}],
    ['in graphs that fill up, one after the other', { capacity: 150, graphsMax: 16 }],
    ['in graphs that are all full', { capacity: 150, graphsMax: 2 }],
  ])(
    '%s: random puts, replacements, removals and steps of building by both: both find all the time what exact search finds',
    (_, room) => {
      const random = new Random(SEED);
      const shared = new Shared('capacity' in room ? 60 : 300, room);
      let [own, others, searches] = [0, 0, 0];
      for (let step = 0; step < ('capacity' in room ? 4000 : 12_000); step++) {
        const dice = random.next();
        const ino = 1 + random.below(1500);
        if (dice < 0.55) shared.put(ino, random.vector(DIMENSION));
        else if (dice < 0.7) shared.remove(ino);
        else if (dice < 0.82) shared.collection.absorb(1 + random.below(40));
        else if (dice < 0.9) {
          const number = 1 + random.below(shared.other.readers.length + 1);
          shared.other.enter(number)?.exports.insertBatch(1 + random.below(40));
          shared.other.leave();
        } else if (dice < 0.97) shared.collection.tidy();
        else {
          const query = random.vector(DIMENSION);
          const wanted = shared.exactly(query, 10);
          shared.collection.share();
          const found = shared.others(query, 10);
          if (found === ASK_OWNER) expect.fail(`seed ${SEED}, step ${step}: nothing is under way`);
          others += share(found, wanted);
          own += share(shared.own(query, 10), wanted);
          searches++;
        }
        expect(shared.collection.size, `seed ${SEED}, step ${step}`).toBe(shared.oracle.size);
      }
      expect(own / searches, `seed ${SEED}`).toBeGreaterThan(0.97);
      expect(others / searches, `seed ${SEED}`).toBeGreaterThan(0.97);
      shared.absorbAll();
      const { graphs, collection } = shared;
      expect(graphs.isFull).toBe('graphsMax' in room && room.graphsMax === 2);
      expect(collection.tailSize > 60).toBe(graphs.isFull);
      expect(graphs.parts.length).toBeGreaterThan('capacity' in room ? 1 : 0);
      while (collection.tidy());
      for (const { owner } of graphs.parts) {
        if (owner !== undefined)
          expect(auditGraph(owner.graph)).toMatchObject({ faults: [], unreachable: [] });
      }
    },
  );

  test('twins that are removed, and free again, before their batch is through are not inserted with it', () => {
    const random = new Random(SEED);
    const shared = new Shared(100);
    for (let ino = 1; ino <= 500; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    const same = random.vector(DIMENSION);
    for (let ino = 1000; ino < 1200; ino++) shared.put(ino, same);
    shared.collection.absorb(1);
    expect(shared.graph.isOpen).toBe(true);
    for (let ino = 1001; ino < 1190; ino++) shared.remove(ino);
    for (let i = 0; i < 4; i++) shared.collection.tidy();
    shared.absorbAll();
    const nowhere = new Float32Array(DIMENSION);
    expect(shared.own(nowhere, 600)).toHaveLength(511);
    expect(share(shared.own(nowhere, 20), shared.exactly(nowhere, 20))).toBe(1);
    shared.collection.share();
    expect(share(shared.others(nowhere, 600) as number[], shared.exactly(nowhere, 600))).toBe(1);
    expect(auditGraph(shared.graph.owner!.graph)).toMatchObject({ faults: [], unreachable: [] });
  });

  test('a vector that was put is found at once, in every step on its way into the graph', () => {
    const random = new Random(SEED);
    const shared = new Shared(100);
    for (let ino = 1; ino <= 500; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    const mine = random.vector(DIMENSION);
    shared.put(9999, mine);
    for (let i = 0; i < 8; i++) {
      shared.collection.share();
      expect(shared.own(mine, 3)[0]).toBe(9999);
      expect((shared.others(mine, 3) as number[])[0]).toBe(9999);
      shared.collection.absorb(1);
    }
    expect(shared.collection.tailSize).toBe(0);
  });

  test('as long as another thread is at an insertion the batch is not through, and what it leaves undone is done', () => {
    const random = new Random(SEED);
    const shared = new Shared(100);
    for (let ino = 1; ino <= 400; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.collection.absorb(1);
    shared.other.enter(1);
    // It takes a node and ends before it begins with it.
    Atomics.add(shared.graph.owner!.graph.i32, headerWord(layout.BATCH_NEXT), 1);
    for (let i = 0; i < 50; i++) shared.collection.absorb(64);
    expect(shared.collection.tailSize).toBe(400);
    shared.other.leave();
    shared.absorbAll();
    expect(shared.collection.tailSize).toBe(0);
    expect(auditGraph(shared.graph.owner!.graph)).toMatchObject({ faults: [], live: 400 });
  });

  test('the quantiser is trained anew only when nobody else is in the graph', () => {
    const random = new Random(SEED);
    const shared = new Shared(50);
    for (let ino = 1; ino <= 60; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    for (let ino = 1001; ino <= 3000; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.other.enter(1);
    for (let i = 0; i < 50; i++) shared.collection.absorb(64);
    expect(shared.collection.graphSize).toBe(60);
    expect(shared.other.isClosed).toBe(true);
    shared.other.leave();
    shared.absorbAll();
    expect(shared.collection.graphSize).toBe(2060);
    expect(shared.other.isClosed).toBe(false);
  });

  test('a graph that is full: the next begins with many vectors only, and what removals free in the first is used first', () => {
    const random = new Random(SEED);
    const shared = new Shared(100, { capacity: 400, graphsMax: 16 });
    const sizes = () => [...shared.graphs.parts.map(({ size }) => size), shared.collection.tailSize];
    for (let ino = 1; ino <= 500; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    expect(sizes().slice(-1)).toEqual([100]);
    shared.put(501, random.vector(DIMENSION));
    shared.absorbAll();
    expect(sizes()).toEqual([400, 101, 0]);
    for (let ino = 1; ino <= 501; ino += 2) shared.remove(ino);
    while (shared.collection.tidy());
    const before = sizes();
    for (let ino = 1000; ino < 1100; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    expect(sizes()).toEqual([before[0]! + 100, before[1], 0]);
    shared.collection.share();
    for (let i = 0; i < 20; i++) {
      const query = random.vector(DIMENSION);
      const found = shared.others(query, 10) as number[];
      expect(found).toEqual(shared.own(query, 10));
      expect(share(found, shared.exactly(query, 10))).toBeGreaterThanOrEqual(0.8);
    }
  });

  test('what has no room in the graph stays in the tail, and moves when there is room again', () => {
    const random = new Random(SEED);
    const shared = new Shared(100, { capacity: 400 });
    for (let ino = 1; ino <= 600; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    expect(shared.graphs.isFull).toBe(true);
    expect([shared.collection.graphSize, shared.collection.tailSize]).toEqual([400, 200]);
    const query = random.vector(DIMENSION);
    shared.collection.share();
    expect(share(shared.own(query, 20), shared.exactly(query, 20))).toBeGreaterThan(0.9);
    expect(share(shared.others(query, 20) as number[], shared.exactly(query, 20))).toBeGreaterThan(0.9);
    for (let ino = 1; ino <= 600; ino += 2) shared.remove(ino);
    while (shared.collection.tidy());
    shared.absorbAll();
    expect(shared.collection.tailSize).toBe(0);
    expect(shared.collection.size).toBe(300);
  });

  test('codes that come to show too little: everything goes back to the tail, and the next graph is over float32', () => {
    const random = new Random(SEED);
    const shared = new Shared(100);
    for (let ino = 1; ino <= 300; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    expect(shared.graph.element).toBe('i8');
    // Narrow clusters far from each other: the differences that matter are smaller than a step of the codes.
    const far = clusteredVectors(random, 4000, DIMENSION, 12).map((vector, i) =>
      vector.map((x, d) => (d === i % DIMENSION ? 4000 : 0) + x / 100),
    );
    far.forEach((vector, i) => {
      shared.put(1000 + i, vector);
    });
    shared.absorbAll();
    expect(shared.graph.element).toBe('f32');
    expect(shared.collection.tailSize).toBe(0);
    expect(shared.collection.size).toBe(4300);
    shared.collection.share();
    const query = far[17]!;
    expect(share(shared.others(query, 10) as number[], shared.exactly(query, 10))).toBeGreaterThan(0.9);
  });

  test('labels that have no room where others could look them up: the owner is asked, and finds everything', () => {
    const random = new Random(SEED);
    const shared = new Shared(100, { bytes: 12 * 1024 });
    for (let ino = 1; ino <= 300; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    const query = random.vector(DIMENSION);
    expect(shared.collection.share()).toBe(false);
    expect(shared.others(query, 10)).toBe(ASK_OWNER);
    expect(share(shared.own(query, 10), shared.exactly(query, 10))).toBeGreaterThan(0.9);
  });

  test('identical vectors: as many as asked for are found, those removed are not, and others near them are', () => {
    const random = new Random(SEED);
    const shared = new Shared(100);
    const same = random.vector(DIMENSION);
    for (let ino = 1; ino <= 1500; ino++) shared.put(ino, same);
    const near = Array.from({ length: 200 }, () => same.map((x) => x + 0.05 * random.normal()));
    near.forEach((vector, i) => {
      shared.put(2000 + i, vector);
    });
    shared.absorbAll();
    for (let ino = 1; ino <= 1500; ino += 3) shared.remove(ino);
    shared.collection.share();
    for (const search of [
      (query: Float32Array, k: number) => shared.own(query, k),
      (query: Float32Array, k: number) => shared.others(query, k) as number[],
    ]) {
      const found = search(same, 60);
      expect(new Set(found).size).toBe(60);
      expect(found.every((ino) => ino <= 1500 && ino % 3 !== 1)).toBe(true);
      near.forEach((vector, i) => {
        expect(search(vector, 1)).toEqual([2000 + i]);
      });
    }
  });

  test('a collection that is given up leaves nothing that others would search', () => {
    const random = new Random(SEED);
    const shared = new Shared(100);
    for (let ino = 1; ino <= 300; ino++) shared.put(ino, random.vector(DIMENSION));
    shared.absorbAll();
    shared.collection.share();
    const query = random.vector(DIMENSION);
    expect(shared.others(query, 10)).toHaveLength(10);
    shared.collection.release();
    expect(shared.others(query, 10)).toBe(ASK_OWNER);
  });
});

test('the table of nodes holds what a plain set holds, at every step of its growth', () => {
  const random = new Random(SEED);
  // Few hashes, so that runs are long; a node is found by itself.
  const hashOf = (node: number): number => Math.imul(node % 701, 0x9e3779b1);
  const table = new NodeTable(hashOf, (node, wanted) => node === wanted);
  const model = new Set<number>();
  for (let step = 0; step < 30_000; step++) {
    const node = random.below(4000);
    const isAdded = random.next() < (step % 10_000 < 7000 ? 0.8 : 0.3);
    if (isAdded && !model.has(node)) {
      table.add(hashOf(node), node);
      model.add(node);
    } else if (!isAdded && model.delete(node)) table.remove(hashOf(node), node);
    const asked = random.below(4000);
    expect(table.find(hashOf(asked), asked), `seed ${SEED}, step ${step}`).toBe(
      model.has(asked) ? asked : -1,
    );
    expect(table.size).toBe(model.size);
  }
  for (const node of model) expect(table.find(hashOf(node), node)).toBe(node);
});

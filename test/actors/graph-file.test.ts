/** Graphs that are kept on the disk: what comes back is found only as it is told of, whatever happened to the file. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  Damaged,
  damageOfGraph,
  GraphFile,
  GraphFileWriter,
  graphFilePath,
} from '../../actors/graph-file.ts';
import { VectorFiles } from '../../actors/shard/vector-files.ts';
import { CollectionIndex, emptyRecord } from '../../kernels/hnsw/collection-index.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { aloneWithGraphs } from '../../kernels/hnsw/graph-access.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import { SharedGraph, type SharedGraphOptions } from '../../kernels/hnsw/shared-graph.ts';
import { SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { EIO, ENOSPC } from '../../runtime/errno.ts';
import { openLog } from '../../runtime/log.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { Random } from '../kernels/random.ts';
import { testSeed } from '../seed.ts';
import { FaultyDisk, PowerCut } from '../storage/faulty-disk.ts';

const SEED = testSeed('graphs in files', 23);
const DIMENSION = 12;
const OPTIONS = { dimension: DIMENSION, metric: 'cosine', m: 8, efConstruction: 40, seed: 1 } as const;
const EXACT_MAX = 20;
const NAME = { shard: 0, collection: 3, number: 0 };

interface Built {
  readonly graph: SharedGraph;
  readonly collection: CollectionIndex;
}

function empty(): Built {
  const graph = new SharedGraph(OPTIONS, aloneWithGraphs());
  return { graph, collection: new CollectionIndex(OPTIONS, graph, EXACT_MAX) };
}

function put({ collection }: Built, ino: number, vector: Float32Array): void {
  collection.put({ ...emptyRecord(), ino, generation: 1 }, vector);
}

function absorb({ collection, graph }: Built): void {
  while (collection.absorb(64) > 0 || graph.isOpen);
}

function filled(vectors: readonly Float32Array[], into = empty()): Built {
  vectors.forEach((vector, ino) => {
    put(into, ino, vector);
  });
  absorb(into);
  return into;
}

function write(disk: FaultyDisk, { graph }: Built): number {
  const writer = new GraphFileWriter(disk, NAME, DIMENSION, graph.keep()!);
  for (let status = writer.step(); ; status = writer.step()) if (status <= 0) return status;
}

/** A collection with the kept graph; undefined when that cannot be used. */
function restored(disk: FaultyDisk): Built | undefined {
  const file = GraphFile.open(disk, NAME);
  if (file === undefined) return undefined;
  const built = empty();
  try {
    return built.graph.restore(file.description, (part) => file.read(part)) ? built : undefined;
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return undefined;
  } finally {
    file.close();
  }
}

function found({ collection }: Built, query: Float32Array, k = 10): number[] {
  const hits = new SearchHits(k);
  const record = emptyRecord();
  collection.search(query, k, 100, hits);
  return Array.from(hits.labels.subarray(0, hits.count), (label) => {
    collection.record(label, record);
    return record.ino;
  });
}

/** Share of the nearest 10 of `vectors`, by their place, that are found. */
function recall(
  built: Built,
  vectors: readonly (Float32Array | undefined)[],
  queries: Float32Array[],
): number {
  const oracle = new ExactIndex(OPTIONS);
  vectors.forEach((vector, ino) => {
    if (vector !== undefined) oracle.add(ino, vector);
  });
  const hits = new SearchHits(10);
  let shared = 0;
  for (const query of queries) {
    oracle.search(query, 10, 0, hits);
    const own = found(built, query);
    expect(own).toHaveLength(hits.count);
    for (const label of hits.labels.subarray(0, hits.count)) if (own.includes(label)) shared++;
  }
  return shared / (queries.length * 10);
}

const random = new Random(SEED);
const VECTORS = Array.from({ length: 600 }, () => random.vector(DIMENSION));
const QUERIES = Array.from({ length: 30 }, () => random.vector(DIMENSION));

describe('a kept graph', () => {
  test('what is in it needs no linking again, and nothing of it is found before it is told', () => {
    const disk = new FaultyDisk();
    const before = filled(VECTORS);
    expect(write(disk, before)).toBe(0);
    expect(damageOfGraph(disk, NAME)).toBeUndefined();
    const after = restored(disk)!;
    expect(found(after, VECTORS[0]!)).toEqual([]);
    filled(VECTORS, after);
    expect([after.graph.size, after.graph.found, after.graph.changes]).toEqual([600, 600, 0]);
    for (const query of QUERIES) expect(found(after, query)).toEqual(found(before, query));
  });

  test('behind: what has changed or is gone is not found, what is new is linked, and the rest is dropped in the end', () => {
    const disk = new FaultyDisk();
    write(disk, filled(VECTORS));
    const now = VECTORS.map((vector, i) =>
      i % 3 === 0 ? undefined : i % 3 === 1 ? vector : random.vector(DIMENSION),
    );
    const after = restored(disk)!;
    now.forEach((vector, ino) => {
      if (vector !== undefined) put(after, ino, vector);
    });
    // A search in the middle of it finds what was told.
    for (let i = 0; i < 4; i++) after.collection.absorb(20);
    expect(recall(after, now, QUERIES)).toBeGreaterThan(0.95);
    absorb(after);
    expect([after.graph.found, after.graph.size]).toEqual([200, 400]);
    expect(recall(after, now, QUERIES)).toBeGreaterThan(0.95);
    while (after.graph.dropUnclaimed(100));
    while (after.graph.tidy());
    expect(after.graph.hasUnclaimed).toBe(false);
    expect(recall(after, now, QUERIES)).toBeGreaterThan(0.95);
    expect(auditGraph(after.graph.owner!.graph)).toMatchObject({ faults: [], live: 400 });
  });

  test('identical vectors, each under the label that it has now', () => {
    const disk = new FaultyDisk();
    const many = VECTORS.map((vector, i) => (i < 300 ? VECTORS[i % 3]! : vector));
    const before = filled(many);
    write(disk, before);
    const after = restored(disk)!;
    [...many].reverse().forEach((vector, i) => {
      put(after, 1000 + i, vector);
    });
    absorb(after);
    expect(after.graph.changes).toBe(0);
    expect(found(after, VECTORS[0]!, 100).every((ino) => many[599 - (ino - 1000)] === VECTORS[0])).toBe(true);
    for (let ino = 1299; ino < 1600; ino++) after.collection.removeFile(ino, 1);
    while (after.graph.tidy());
    expect(auditGraph(after.graph.owner!.graph).faults).toEqual([]);
  });

  test('written while vectors come and go: what is gone by then is not found by who reads it', () => {
    const disk = new FaultyDisk();
    const built = filled(VECTORS);
    const writer = new GraphFileWriter(disk, NAME, DIMENSION, built.graph.keep()!);
    const now = new Map(VECTORS.map((vector, ino) => [ino, vector]));
    for (let status = 1, next = 0; status > 0; status = writer.step()) {
      for (let i = 0; i < 8; i++, next++) {
        built.collection.removeFile(next * 3, 1);
        now.delete(next * 3);
        now.set(5000 + next, random.vector(DIMENSION));
        put(built, 5000 + next, now.get(5000 + next)!);
        built.collection.absorb(8);
        built.collection.tidy();
      }
    }
    built.graph.isKept = false;
    const after = restored(disk)!;
    for (const [ino, vector] of now) put(after, ino, vector);
    absorb(after);
    expect(after.graph.found).toBeGreaterThan(400);
    while (after.graph.dropUnclaimed(100));
    while (after.graph.tidy());
    expect(auditGraph(after.graph.owner!.graph)).toMatchObject({ faults: [], live: now.size });
    for (const [ino, vector] of now) expect(found(after, vector, 1)).toEqual([ino]);
  });

  test('a flipped bit, or an end that is missing, anywhere: it is not used, and the check tells where', () => {
    const disk = new FaultyDisk();
    write(disk, filled(VECTORS.slice(0, 100)));
    const path = graphFilePath(NAME);
    const bytes = disk.read(path).slice();
    const flips = new Random(SEED);
    for (let i = 0; i < 300; i++) {
      const damaged = bytes.slice();
      const at = i < 100 ? i : flips.below(bytes.length);
      damaged[at]! ^= 1 << flips.below(8);
      disk.rot(path, i % 4 === 3 ? bytes.slice(0, at) : damaged);
      expect(restored(disk), `seed ${SEED}, byte ${at}`).toBeUndefined();
      expect(damageOfGraph(disk, NAME), `seed ${SEED}, byte ${at}`).toBeTypeOf('number');
    }
  });

  test('bytes of any content behind right checksums are refused or lead nowhere', () => {
    const built = filled(VECTORS.slice(0, 200));
    const bad = new Random(SEED);
    let used = 0;
    for (let round = 0; round < 200; round++) {
      const parts = built.graph.keep()!.map((part) => part.slice());
      for (let n = 1 + bad.below(4); n > 0; n--) {
        const part = parts[bad.below(parts.length)]!;
        if (part.length > 0) part[bad.below(part.length)] = bad.below(256);
      }
      const disk = new FaultyDisk();
      const writer = new GraphFileWriter(disk, NAME, DIMENSION, parts);
      for (let status = 1; status > 0; status = writer.step());
      const after = restored(disk);
      if (after === undefined) continue;
      used++;
      filled(VECTORS.slice(0, 200), after);
      expect(found(after, QUERIES[0]!)).toHaveLength(10);
    }
    expect(used).toBeLessThan(200);
  });

  test('power cut or failure before any disk call: the one before or the new one is there, whole', () => {
    const before = filled(VECTORS.slice(0, 50));
    const next = filled(VECTORS.slice(0, 80));
    for (let call = 1, calls = 1; call <= calls; call++) {
      for (const kind of ['cut', 'fail'] as const) {
        const disk = new FaultyDisk();
        expect(write(disk, before)).toBe(0);
        disk.syncDirectory('.');
        const first = disk.calls;
        if (kind === 'cut') disk.cutAt = first + call;
        else disk.failures.set(first + call, call % 2 === 0 ? EIO : ENOSPC);
        try {
          const status = write(disk, next);
          if (kind === 'cut') calls = disk.calls - first;
          else if (status === 0) expect(restored(disk)!.graph.owner!.nodes).toBe(80);
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error;
          calls = Math.max(calls, call + 1);
        }
        const after = restored(kind === 'cut' ? disk.crash(call) : disk.kill());
        expect([50, 80], `${kind} before call ${call}`).toContain(after?.graph.owner?.nodes);
      }
    }
  });
});

describe('exact vectors elsewhere', () => {
  const store = mkdtempSync(join(tmpdir(), 'vexfs-rows-'));
  const logger = openLog('test', { level: 'silent' }, 2);
  const disk = new HostDisk(store);
  afterAll(() => rmSync(store, { recursive: true }));

  function inFiles(options: SharedGraphOptions = {}): Built & { readonly files: VectorFiles } {
    const files = new VectorFiles(disk, 0, logger);
    const graph = new SharedGraph(OPTIONS, aloneWithGraphs(), { ...options, room: files });
    return { graph, files, collection: new CollectionIndex(OPTIONS, graph, EXACT_MAX) };
  }

  test('in a file that has no name: what is found is the same, also after a kept graph was taken', () => {
    const inMemory = filled(VECTORS);
    const built = filled(VECTORS, inFiles());
    const vectorAt = built.graph.owner!.vectorAt(5);
    // Another view of the very bytes that the graph's code reads.
    expect(built.graph.owner!.graph.f32[vectorAt]).toBe(inMemory.graph.owner!.graph.f32[vectorAt]);
    for (const query of QUERIES) expect(found(built, query)).toEqual(found(inMemory, query));
    expect(readdirSync(join(store, 'vectors'))).toEqual([]);
    const kept = new FaultyDisk();
    write(kept, built);
    built.collection.release();
    const after = inFiles();
    const file = GraphFile.open(kept, NAME)!;
    expect(after.graph.restore(file.description, (part) => file.read(part))).toBe(true);
    filled(VECTORS, after);
    expect(after.graph.changes).toBe(0);
    for (const query of QUERIES) expect(found(after, query)).toEqual(found(inMemory, query));
    after.collection.release();
  });

  test('without room on the disk the graph is full, and what comes is found in the tail', () => {
    const built = inFiles();
    filled(VECTORS.slice(0, 300), built);
    built.files.reserve = () => false;
    VECTORS.slice(300).forEach((vector, i) => {
      put(built, 300 + i, vector);
    });
    absorb(built);
    expect(built.graph.isFull).toBe(true);
    expect([built.collection.graphSize, built.collection.tailSize]).toEqual([300, 300]);
    expect(recall(built, VECTORS, QUERIES)).toBeGreaterThan(0.95);
    built.collection.release();
  });

  test.each(['cosine', 'l2', 'dot'] as const)(
    '%s, and searches do without them: nearly as much is found, and distances are nearly right',
    (metric) => {
      const graph = new SharedGraph({ ...OPTIONS, metric }, aloneWithGraphs(), { isReranked: false });
      const collection = new CollectionIndex({ ...OPTIONS, metric }, graph, EXACT_MAX);
      const oracle = new ExactIndex({ ...OPTIONS, metric });
      VECTORS.forEach((vector, ino) => {
        collection.put({ ...emptyRecord(), ino, generation: 1 }, vector);
        oracle.add(ino, vector);
      });
      absorb({ graph, collection });
      let shared = 0;
      const [hits, exact] = [new SearchHits(10), new SearchHits(600)];
      for (const query of QUERIES) {
        collection.search(query, 10, 100, hits);
        oracle.search(query, 600, 0, exact);
        const distances = new Map(Array.from(exact.labels, (label, i) => [label, exact.distances[i]!]));
        const scale = exact.distances[599]! - exact.distances[0]!;
        for (let i = 0; i < hits.count; i++) {
          // Labels are given out in the order of the puts.
          expect(Math.abs(hits.distances[i]! - distances.get(hits.labels[i]!)!)).toBeLessThan(scale / 50);
          if (exact.labels.subarray(0, 10).includes(hits.labels[i]!)) shared++;
        }
      }
      expect(shared / (QUERIES.length * 10)).toBeGreaterThan(0.9);
    },
  );
});

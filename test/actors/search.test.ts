/** Which hits of the shards a search shows: only files that are there, under the path asked for, readable by who asks. */
import { beforeEach, expect, test } from 'vitest';
import { EFFORT_HITS, learntEffort } from '../../actors/collection-status.ts';
import type { Context } from '../../actors/context.ts';
import type { FileContent } from '../../actors/indexer/file-content.ts';
import { FileFilter } from '../../actors/indexer/file-filter.ts';
import type { Hit, ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { Search } from '../../actors/indexer/search.ts';
import { setPresent } from '../../actors/presence.ts';
import { vectorsRegion } from '../../actors/regions.ts';
import { Efforts } from '../../actors/shard/efforts.ts';
import { Shard } from '../../actors/shard/shard.ts';
import type { DirEntry, Namespace } from '../../fuse/namespace/namespace.ts';
import { effortOf } from '../../kernels/hnsw/effort.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { aloneWithGraphs } from '../../kernels/hnsw/graph-access.ts';
import { GrowingGraph } from '../../kernels/hnsw/growing-graph.ts';
import { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import { type IndexOptions, SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import type { Embedder } from '../../kernels/text/embedder.ts';
import { Random } from '../kernels/random.ts';
import { World } from './world.ts';

/** Files by inode: their path, and who may read them. */
let files: Map<number, { path: string; readers: number[] }>;
/** Everything the shards hold, nearest first. */
let hits: Hit[];
/** What the shards were asked to search among, if it was not all. */
let among: number[][];
let asked: number[];
/** Of each question. */
let efforts: number[];
let effort: { ef: number; recall: number };
/** By the shards. */
let learnt: number;
/** Inodes in a directory, whose own is {@link ROOT}. */
let listed: number[];
const ROOT = 5999;
let inodesEnd: number;
let search: Search;

beforeEach(() => {
  files = new Map();
  among = [];
  hits = [];
  asked = [];
  efforts = [];
  effort = { ef: 10, recall: 0 };
  learnt = 0;
  listed = [];
  inodesEnd = 6000;
  const namespace = {
    exists: (ino: number, generation: number) => files.has(ino) && generation === 1,
    canRead: (ino: number, uid: number) => files.get(ino)?.readers.includes(uid) ?? false,
    pathOf: (ino: number) => files.get(ino)?.path,
    get inodesEnd() {
      return inodesEnd;
    },
    resolve: (path: string) => (path === '/few' || path === '/many' ? ROOT : -2),
    readdir: (ino: number, _lo: number, hi: number, entry: DirEntry) => {
      entry.ino = listed[hi]!;
      entry.cookieHi = hi + 1;
      return ino === ROOT && hi < listed.length;
    },
  };
  const shards = {
    search: async (
      _collection: number,
      _vector: Float32Array,
      k: number,
      ef: number,
      inodes?: Uint32Array,
    ) => {
      efforts.push(ef);
      if (inodes === undefined) asked.push(k);
      else among.push([...inodes]);
      return hits.filter(({ ino }) => inodes?.includes(ino) ?? true).slice(0, k);
    },
  };
  search = new Search(
    namespace as unknown as Namespace,
    shards as unknown as ScatterGather,
    {} as Embedder,
    {} as FileContent,
    effort,
    () => learnt,
  );
});

function add(ino: number, path: string, readers: number[], chunks = 1, generation = 1): void {
  files.set(ino, { path, readers });
  for (let chunk = 0; chunk < chunks; chunk++) {
    const distance = hits.length / 100_000;
    hits.push({ ino, generation, chunk, byteOffset: 0, byteLength: 0, line: 1, version: 1, distance });
  }
}

async function paths(uid: number, k = 10, under?: string): Promise<string[]> {
  const namespace = { stat: () => 0, pathOf: (ino: number) => files.get(ino)?.path };
  const filter = new FileFilter(namespace as unknown as Namespace, under === undefined ? {} : { under });
  const who = { uid, gids: [uid] };
  const found = await search.byVector({ id: 1, metric: 'cosine' }, new Float32Array(2), k, who, filter);
  return found.map(({ path }) => path);
}

test('files appear once, best first, however many of their passages were hit', async () => {
  add(1, '/a', [7], 5);
  add(2, '/b', [7], 2);
  expect(await paths(7)).toEqual(['/a', '/b']);
});

test('what the asker may not read, is gone, or is an earlier file of the same inode is not shown', async () => {
  add(1, '/secret', [0]);
  add(2, '/shown', [0, 7]);
  add(3, '/earlier', [7], 1, 2);
  add(4, '/gone', [7]);
  files.delete(4);
  expect(await paths(7)).toEqual(['/shown']);
  expect(await paths(0)).toEqual(['/secret', '/shown']);
});

test('when filtering leaves too few, more are asked for, until there are enough', async () => {
  for (let ino = 1; ino <= 600; ino++) add(ino, `/hidden-${ino}`, [0]);
  add(601, '/shown', [7]);
  expect(await paths(7, 1)).toEqual(['/shown']);
  expect(asked.length).toBeGreaterThan(1);
});

test('a shard with fewer entries than were asked for is asked once', async () => {
  add(1, '/a', [7]);
  expect(await paths(7, 10)).toEqual(['/a']);
  expect(asked).toHaveLength(1);
});

test('when all that the shards propose is hidden, the vectors of what may be shown are compared', async () => {
  for (let ino = 1; ino <= 5000; ino++) add(ino, `/hidden-${ino}`, [0]);
  add(5001, '/near', [7]);
  add(5002, '/far', [7]);
  expect(await paths(7)).toEqual(['/near', '/far']);
  expect(asked.at(-1)).toBe(4096);
  expect(among).toEqual([[5001, 5002]]);
});

test('among more than 4,096 files that pass all are asked for at once, and few hits of them at first', async () => {
  for (let ino = 1; ino <= 5000; ino++) add(ino, `/hidden-${ino}`, [0]);
  for (let ino = 5001; ino < 5001 + 5000; ino++) add(ino, `/shown-${ino}`, [7]);
  inodesEnd = 10_001;
  expect(await paths(7, 3)).toEqual(['/shown-5001', '/shown-5002', '/shown-5003']);
  expect(among.map(({ length }) => length)).toEqual([5000]);
  expect(efforts.at(-1)).toBe(4 * (4 * 3 + 16));
});

test('a wanted effort and patience are what the shards get, and what scores less than is wanted is not shown', async () => {
  for (let ino = 1; ino <= 100; ino++) add(ino, `/file-${ino}`, [7]);
  const who = { uid: 7, gids: [7] };
  const wanted = { ef: 33, patience: 9, minScore: 1 - 2.5 / 100_000 };
  const collection = { id: 1, metric: 'cosine' } as const;
  const found = await search.byVector(collection, new Float32Array(2), 10, who, undefined, wanted);
  expect(found.map(({ path }) => path)).toEqual(['/file-1', '/file-2', '/file-3']);
  expect(efforts).toEqual([effortOf(33, 9)]);
});

test('below a directory with few files these are compared at once', async () => {
  for (let ino = 1; ino <= 5000; ino++) add(ino, `/elsewhere/${ino}`, [7]);
  add(5002, '/few/b', [7]);
  add(5001, '/few/a', [7]);
  add(5003, '/few/secret', [0]);
  listed.push(5001, 5002, 5003);
  expect(await paths(7, 10, '/few')).toEqual(['/few/b', '/few/a']);
  expect([asked.length, among]).toEqual([1, [[5001, 5002]]]);
});

test('many files that pass are compared some at a time', async () => {
  for (let ino = 1; ino <= 100; ino++) add(ino, `/elsewhere/${ino}`, [7]);
  for (let ino = 5900; ino > 1900; ino--) add(ino, `/many/${ino}`, [7]);
  for (let ino = 1901; ino <= 5900; ino++) listed.push(ino);
  expect(await paths(7, 10, '/many')).toEqual(Array.from({ length: 10 }, (_, i) => `/many/${5900 - i}`));
  expect(among.map((inodes) => inodes.length)).toEqual([2048, 1952]);
});

test('the effort is what the wanted recall takes, as soon as that is known, and at least the number that is asked for', async () => {
  for (let ino = 1; ino <= 100; ino++) add(ino, `/${ino}`, [7]);
  await paths(7, 1);
  effort.recall = 95;
  await paths(7, 1);
  learnt = 64;
  await paths(7, 1);
  await paths(7, 20);
  learnt = 12;
  await paths(7, 1);
  expect(efforts).toEqual([80, 80, 64, 128, 20]);
});

test('a shard learns what effort a recall takes, anew for another one and when graphs have grown, and says it to whoever asks', () => {
  const random = new Random(77);
  const world = new World({ shards: 1, fuse: 1 });
  const context = world.actor('shard-0');
  setPresent(context.arena, context.topology.actor('shard-0'), true);
  const vectors = { recall: 0 };
  const memory = new VectorMemory(context.arena.region(vectorsRegion('shard-0')));
  const make = (options: IndexOptions) =>
    new GrowingGraph(() => new SharedGraph(options, aloneWithGraphs(), { capacity: 1500 }));
  const shard = new Shard({ ...context.settings.config.vectors, exact_max: 200 }, make, memory);
  const oracle = new ExactIndex({ dimension: 24, metric: 'cosine' });
  let ino = 0;
  const fill = (count: number) => {
    for (const end = ino + count; ino < end; ino++) {
      const vector = random.vector(24);
      shard.putVector(ino, 1, 1, vector);
      oracle.add(ino, vector);
    }
    while (shard.absorb(64) > 0 || shard.isBuilding);
    shard.report();
  };
  const learner = { clock: context.clock, settings: { config: { vectors } } } as unknown as Context;
  const learning = new Efforts(learner, shard);
  const learntFor = (percent: number) => {
    vectors.recall = percent;
    while (learning.step());
    return learntEffort(context, 1);
  };
  fill(2000);
  expect(learntFor(0)).toBe(0);
  const [little, much] = [learntFor(60), learntFor(98)];
  expect(little).toBeLessThan(much);
  const truth = new SearchHits(EFFORT_HITS);
  let found = 0;
  for (let question = 0; question < 100; question++) {
    const query = random.vector(24);
    oracle.search(query, EFFORT_HITS, 0, truth);
    shard.search(1, query, EFFORT_HITS, much, (record) => {
      if (truth.labels.subarray(0, truth.count).includes(record.ino)) found++;
    });
  }
  expect(found / (100 * EFFORT_HITS)).toBeGreaterThan(0.93);
  fill(2500);
  expect(learning.step()).toBe(true);
  shard.clear(1);
  while (learning.step());
  expect(learntEffort(context, 1)).toBe(0);
});

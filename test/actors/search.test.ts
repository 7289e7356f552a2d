/** Which hits of the shards a search shows: only files that are there, under the path asked for, readable by who asks. */
import { beforeEach, expect, test } from 'vitest';
import type { FileContent } from '../../actors/indexer/file-content.ts';
import { FileFilter } from '../../actors/indexer/file-filter.ts';
import type { Hit, ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { Search } from '../../actors/indexer/search.ts';
import type { DirEntry, Namespace } from '../../fuse/namespace/namespace.ts';
import type { Embedder } from '../../kernels/text/embedder.ts';

/** Files by inode: their path, and who may read them. */
let files: Map<number, { path: string; readers: number[] }>;
/** Everything the shards hold, nearest first. */
let hits: Hit[];
/** What the shards were asked to search among, if it was not all. */
let among: number[][];
let asked: number[];
/** Inodes in a directory, whose own is {@link ROOT}. */
let listed: number[];
const ROOT = 5999;
let search: Search;

beforeEach(() => {
  files = new Map();
  among = [];
  hits = [];
  asked = [];
  listed = [];
  const namespace = {
    exists: (ino: number, generation: number) => files.has(ino) && generation === 1,
    canRead: (ino: number, uid: number) => files.get(ino)?.readers.includes(uid) ?? false,
    pathOf: (ino: number) => files.get(ino)?.path,
    inodesEnd: 6000,
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
      _ef: number,
      inodes?: Uint32Array,
    ) => {
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
    { ef: 10 },
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
  for (let ino = 5900; ino > 900; ino--) add(ino, `/many/${ino}`, [7]);
  for (let ino = 901; ino <= 5900; ino++) listed.push(ino);
  expect(await paths(7, 10, '/many')).toEqual(Array.from({ length: 10 }, (_, i) => `/many/${5900 - i}`));
  expect(among.map((inodes) => inodes.length)).toEqual([2048, 2048, 904]);
});

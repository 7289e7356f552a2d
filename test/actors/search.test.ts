/** Which hits of the shards a search shows: only files that are there, under the path asked for, readable by who asks. */
import { beforeEach, expect, test } from 'vitest';
import type { FileContent } from '../../actors/indexer/file-content.ts';
import type { Hit, ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { Search } from '../../actors/indexer/search.ts';
import type { Namespace } from '../../fuse/namespace/namespace.ts';
import type { Embedder } from '../../kernels/text/embedder.ts';

/** Files by inode: their path, and who may read them. */
let files: Map<number, { path: string; readers: number[] }>;
/** Everything the shards hold, nearest first. */
let hits: Hit[];
let vectors: Map<number, Float32Array>;
let asked: number[];
let search: Search;

beforeEach(() => {
  files = new Map();
  vectors = new Map();
  hits = [];
  asked = [];
  const namespace = {
    exists: (ino: number, generation: number) => files.has(ino) && generation === 1,
    canRead: (ino: number, uid: number) => files.get(ino)!.readers.includes(uid),
    pathOf: (ino: number) => files.get(ino)?.path,
    inodesEnd: 6000,
    getxattr: (ino: number, _n: Uint8Array, _s: number, _e: number, u8: Uint8Array) => {
      const vector = vectors.get(ino);
      if (vector) u8.set(new Uint8Array(vector.buffer));
      return vector ? vector.byteLength : -61;
    },
  };
  const shards = {
    search: async (_collection: number, _vector: Float32Array, k: number) => {
      asked.push(k);
      return hits.slice(0, k);
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

async function paths(uid: number, k = 10): Promise<string[]> {
  const found = await search.byVector({ id: 1, name: 'default', metric: 'cosine' }, new Float32Array(2), k, {
    uid,
    gids: [uid],
  });
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
  files.set(5001, { path: '/far', readers: [7] });
  files.set(5002, { path: '/near', readers: [7] });
  vectors.set(5001, Float32Array.from([-1, 0]));
  vectors.set(5002, Float32Array.from([1, 0.1]));
  vectors.set(17, Float32Array.from([1, 0]));
  const query = Float32Array.from([1, 0]);
  const collection = { id: 1, name: 'default', metric: 'cosine' as const };
  const found = await search.byVector(collection, query, 2, { uid: 7, gids: [7] });
  expect(found.map(({ path }) => path)).toEqual(['/near', '/far']);
  expect(found[0]!.score).toBeCloseTo(0.995, 3);
});

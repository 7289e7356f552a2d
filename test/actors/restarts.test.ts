/** Threads of shards, the indexer and io-0 that are ended at random while files come and go. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { collectionsStatus } from '../../actors/collection-status.ts';
import { filesAtOnce, INDEX_TRANSIT, Transit } from '../../actors/indexer/transit.ts';
import { postContentChanged, QUERY, REMOVE_FILE } from '../../actors/messages.ts';
import { openPending } from '../../actors/pending.ts';
import { writePutVector, writeRemove } from '../../actors/shard-messages.ts';
import { shardOf } from '../../actors/topology.ts';
import { openTree } from '../../actors/tree.ts';
import { VectorOrder } from '../../actors/vector-order.ts';
import { IndexState, type Namespace, ROOT } from '../../fuse/namespace/namespace.ts';
import { FUSE_LOOKUP, S_IFREG } from '../../fuse/protocol/abi.ts';
import { EMBEDDING_DIMENSION } from '../../kernels/text/embedder.ts';
import { EIO } from '../../runtime/errno.ts';
import { Random } from '../kernels/random.ts';
import { testSeed } from '../seed.ts';
import { ThreadsWorld } from './threads-world.ts';

const SHARDS = 2;
const RESTARTS = Number(process.env.VEXFS_RESTARTS ?? 12);
const DIMENSION = 8;
const WORDS = ['zebra', 'volcano', 'harpsichord', 'glacier', 'saffron', 'lighthouse'];
const encoder = new TextEncoder();
const XATTR = encoder.encode('user.vexfs.vector');

let world: ThreadsWorld;
let namespaces: Namespace[];
beforeEach(async () => {
  world = new ThreadsWorld(SHARDS);
  const loaded = world.requests.segmentsLoaded();
  await world.start('shard-0', 'shard-1', 'io-0');
  await loaded;
  namespaces = ['fuse-0', 'fuse-1'].map((name) => openTree(world.actor(name)).namespace);
  await world.start('indexer');
});
afterEach(() => world.dispose());

function vectorOf(n: number): Float32Array {
  return new Random(n).vector(DIMENSION);
}

/** What the fuse actors do, one file at a time. */
class Files {
  readonly #random: Random;
  readonly #order = new VectorOrder(world.main.arena);
  readonly #outboxes = ['fuse-0', 'fuse-1'].map((name) => world.actor(name));
  /** Word and vector of each file, by name. */
  readonly there = new Map<string, { ino: number; word: string; vector: number }>();
  #names = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  step(): void {
    const chance = this.#random.below(10);
    const names = [...this.there.keys()];
    const name = names[this.#random.below(names.length)];
    if (name === undefined || chance < 5) this.#create();
    else if (chance < 6) this.#unlink(name);
    else if (chance < 8) this.#setVector(name);
    else this.#write(name);
  }

  #create(): void {
    const thread = this.#random.below(2);
    const name = `note-${this.#names++}`;
    const bytes = encoder.encode(name);
    const ino = namespaces[thread]!.create(ROOT, bytes, 0, bytes.length, S_IFREG | 0o644, 0, 0, 0);
    expect(ino).toBeGreaterThan(0);
    this.there.set(name, { ino, word: '', vector: 0 });
    this.#write(name);
    this.#setVector(name);
  }

  #write(name: string): void {
    const file = this.there.get(name)!;
    const thread = this.#random.below(2);
    file.word = WORDS[this.#random.below(WORDS.length)]!;
    const text = encoder.encode(
      `The ${file.word} and the ${file.word}, and a ${file.word} once more.\n`.padEnd(90),
    );
    expect(namespaces[thread]!.writeInline(file.ino, 0, text, 0, text.length)).toBe(text.length);
    postContentChanged(this.#outboxes[thread]!.outbox('indexer'), file.ino);
  }

  #setVector(name: string): void {
    const file = this.there.get(name)!;
    const thread = this.#random.below(2);
    file.vector = this.#random.below(1_000_000);
    const bytes = new Uint8Array(vectorOf(file.vector).buffer);
    const collection = namespaces[thread]!.setxattr(
      file.ino,
      XATTR,
      0,
      XATTR.length,
      bytes,
      0,
      bytes.length,
      0,
    );
    expect(collection).toBe(1);
    writePutVector(
      this.#outboxes[thread]!.outbox(`shard-${shardOf(file.ino, SHARDS)}`),
      file.ino,
      stateOf(file.ino).generation,
      collection,
      this.#order.next(),
      bytes,
      0,
      bytes.length,
    );
  }

  #unlink(name: string): void {
    const thread = this.#random.below(2);
    const bytes = encoder.encode(name);
    const namespace = namespaces[thread]!;
    expect(namespace.unlink(ROOT, bytes, 0, bytes.length)).toBe(0);
    const { removedIno, removedGeneration } = namespace;
    const shard = this.#outboxes[thread]!.outbox(`shard-${shardOf(removedIno, SHARDS)}`);
    writeRemove(shard, REMOVE_FILE, removedIno, removedGeneration, 0);
    this.there.delete(name);
  }
}

function stateOf(ino: number): IndexState {
  const state = new IndexState();
  namespaces[0]!.indexState(ino, state);
  return state;
}

async function restartAndReplay(name: string): Promise<void> {
  await world.restart(name);
  if (name.startsWith('shard')) await world.requests.replayShard(Number(name.slice(6)));
}

/** Searches by vector for some of the files: each finds its own first. */
async function expectVectorsFound(files: Files, most: number): Promise<void> {
  for (const [name, { vector }] of [...files.there].slice(-most)) {
    const found = await world.indexer!.vectorSearch('default', vectorOf(vector), 1, 0, [0]);
    expect(found, `seed ${seed}`).toMatchObject([{ path: `/${name}` }]);
  }
}

async function expectTextsFound({ there }: Files): Promise<void> {
  for (const query of WORDS) {
    const expected = [...there].filter(([, { word }]) => word === query).map(([name]) => `/${name}`);
    const found = await world.indexer!.search(query, 1000, 0, [0], '/');
    if (!Array.isArray(found)) throw new Error(found.refused);
    const right = new Set(found.filter(({ score }) => score > 0.3).map(({ path }) => path));
    expect([...right].sort(), `seed ${seed}, ${query}`).toEqual(expected.sort());
  }
}

const seed = testSeed('threads that end at any moment');

test(
  `files are found by vector and by text though shards, the indexer and io-0 end at any moment (seed ${seed})`,
  async () => {
    const random = new Random(seed);
    const files = new Files(random);
    for (let restarts = 0; restarts < RESTARTS; ) {
      for (let n = random.below(40); n > 0 && files.there.size < 400; n--) files.step();
      await new Promise((resume) => setTimeout(resume, random.below(60)));
      if (random.below(3) === 0) {
        await restartAndReplay(['shard-0', 'shard-1', 'indexer', 'io-0'][random.below(4)]!);
        restarts++;
      }
      if (random.below(5) === 0) {
        // While a search is under way.
        const search = expectVectorsFound(files, 3);
        const replayed = restartAndReplay(`shard-${random.below(2)}`);
        if (random.below(3) === 0) await world.restart('io-0');
        await replayed;
        await search;
        restarts++;
      }
    }
    const { pending, failed } = await world.indexer!.wait(60_000);
    expect([pending, failed]).toEqual([0, 0]);
    await expectVectorsFound(files, 1000);
    await expectTextsFound(files);
    // And once more from what the journal has.
    for (const name of ['shard-0', 'shard-1', 'indexer']) await restartAndReplay(name);
    await world.indexer!.wait(60_000);
    await expectVectorsFound(files, 1000);
    await expectTextsFound(files);
  },
  RESTARTS * 10_000 + 180_000,
);

test('shards end while they build their graphs and help each other: the graphs are completed, and find everything', async () => {
  const random = new Random(seed);
  const order = new VectorOrder(world.main.arena);
  const vectors = Array.from({ length: 3000 }, () => random.vector(96));
  const context = world.actor('fuse-0');
  vectors.forEach((vector, i) => {
    const name = encoder.encode(`v${i}`);
    const ino = namespaces[0]!.create(ROOT, name, 0, name.length, S_IFREG | 0o644, 0, 0, 0);
    const bytes = new Uint8Array(vector.buffer);
    expect(namespaces[0]!.setxattr(ino, XATTR, 0, XATTR.length, bytes, 0, bytes.length, 0)).toBe(1);
    const { generation } = stateOf(ino);
    const shard = context.outbox(`shard-${shardOf(ino, SHARDS)}`);
    writePutVector(shard, ino, generation, 1, order.next(), bytes, 0, bytes.length);
  });
  for (let deaths = 0; deaths < RESTARTS / 3; deaths++) {
    await new Promise((resume) => setTimeout(resume, random.below(150)));
    await restartAndReplay(`shard-${random.below(SHARDS)}`);
  }
  const figures = () => collectionsStatus(world.main).find(({ name }) => name === 'default')!;
  while (figures().graph < vectors.length) await new Promise((resume) => setTimeout(resume, 20));
  expect(figures()).toMatchObject({ vectors: vectors.length, tail: 0 });
  for (let i = 0; i < vectors.length; i += 50) {
    const found = await world.indexer!.vectorSearch('default', vectors[i]!, 1, 0, [0]);
    expect(found, `seed ${seed}`).toMatchObject([{ path: `/v${i}` }]);
  }
}, 180_000);

test('what the indexer journalled and did not live to send is found', async () => {
  const name = encoder.encode('f');
  const ino = namespaces[0]!.create(ROOT, name, 0, name.length, S_IFREG | 0o644, 0, 0, 0);
  const text = encoder.encode('The zebra and the zebra, and a zebra once more.\n');
  namespaces[0]!.writeInline(ino, 0, text, 0, text.length);
  // As the indexer does it, up to the moment at which it ends.
  const { generation, version } = stateOf(ino);
  const transit = new Transit(world.main.arena.region(INDEX_TRANSIT), filesAtOnce(1));
  transit.enter(ino, generation);
  const vector = new Float32Array(EMBEDDING_DIMENSION).fill(0.1);
  const chunk = { byteOffset: 0, byteLength: text.length, line: 1, vector };
  const batch = encodeChunkBatch(version, 0, [chunk], EMBEDDING_DIMENSION);
  expect(namespaces[0]!.setIndexed(ino, generation, version, 1, 1, batch, 0, batch.length)).toBe(0);
  expect(await world.indexer!.search('zebra', 10, 0, [0], '/')).toEqual([]);
  await world.restart('indexer');
  await world.indexer!.wait(60_000);
  expect(await world.indexer!.search('zebra', 10, 0, [0], '/')).toMatchObject([{ path: '/f' }]);
  transit.each(() => expect.unreachable('nothing is in transit any more'));
});

test('a question that the indexer took in and did not live to answer gets EIO from its successor', async () => {
  const fuse = world.actor('fuse-0');
  // The message was taken: only the slot is left of it.
  expect(openPending(fuse).enter(QUERY, 4711, 0, FUSE_LOOKUP)).toBeGreaterThanOrEqual(0);
  await world.restart('indexer');
  let reply = Buffer.alloc(0);
  for (let tries = 0; reply.length === 0 && tries < 300; tries++) {
    await new Promise((resume) => setTimeout(resume, 100));
    reply = readFileSync(world.replies);
  }
  expect([reply.readUint32LE(0), reply.readInt32LE(4), reply.readUint32LE(8)]).toEqual([16, -EIO, 4711]);
});

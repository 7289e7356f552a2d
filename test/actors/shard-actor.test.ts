/** The shard's order of things, its mailbox filled by hand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { TreeState } from '../../actors/io/tree-state.ts';
import * as messages from '../../actors/messages.ts';
import { JOURNAL } from '../../actors/regions.ts';
import { nextRoute, Route, settledRoute } from '../../actors/route.ts';
import { ShardActor } from '../../actors/shard/actor.ts';
import { Shard } from '../../actors/shard/shard.ts';
import { writePutChunks, writePutVector, writeRemove } from '../../actors/shard-messages.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { shardOf } from '../../actors/topology.ts';
import { openTree } from '../../actors/tree.ts';
import { FIRST_STAMP, VectorOrder } from '../../actors/vector-order.ts';
import type { Namespace } from '../../fuse/namespace/namespace.ts';
import { formatJournal } from '../../runtime/storage/journal-ring.ts';
import { seeded } from '../seed.ts';
import { take, World } from './world.ts';

const NEAR = Float32Array.from([1, 0, 0]);
let store: string;
let world: World;
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'vexfs-shard-'));
  world = new World({ shards: 1, fuse: 1 }, store);
});
afterEach(() => rmSync(store, { recursive: true }));

interface RunShard {
  /** Takes in a message, if one waits. */
  take(): void;
  run(): void;
  vectors(): number;
}

function startShard(): RunShard {
  const context = world.actor('shard-0');
  const held = new Shard(world.config.vectors, undefined);
  const actor = new ShardActor(context, held);
  // As the run loop does: idle only when everything is empty.
  return {
    take() {
      if (context.mailbox.drain(actor, 1) > 0) actor.afterBatch();
      else actor.idle();
    },
    run() {
      while (context.mailbox.drain(actor, 32) > 0);
      actor.idle();
    },
    vectors: () => held.vectors,
  };
}

const batch = encodeChunkBatch(1, 0, [{ byteOffset: 0, byteLength: 1, line: 1, vector: NEAR }], 3);

/** Asks the shard as the indexer does; what it has of text, by inode. */
async function search(shard: RunShard, collection = TEXT_COLLECTION, among?: Uint32Array): Promise<number[]> {
  const indexer = world.actor('indexer');
  const gather = new ScatterGather(indexer, () => 60_000);
  const found = gather.search(collection, NEAR, 1000, 1000, among);
  shard.run();
  for (const { kind, u32 } of take(indexer)) if (kind === messages.HITS) gather.gather(u32, 0);
  await gather.idle();
  return (await found).map(({ ino }) => ino);
}

test('a segment holds what was sent before it was asked for, however much waits in other lanes', async () => {
  const shard = startShard();
  const indexer = world.actor('indexer').outbox('shard-0');
  for (let ino = 1; ino <= 100; ino++) writePutChunks(indexer, ino, 1, batch, 0, batch.length);
  messages.writeNumber(world.actor('main').outbox('shard-0'), messages.SAVE_SEGMENT, 7);
  shard.run();
  const saved = take(world.actor('main'));
  expect(saved.map(({ kind, f64 }) => [kind, f64[0]])).toEqual([[messages.SEGMENT_SAVED, 0]]);

  const again = startShard();
  messages.writeNumber(world.actor('io-0').outbox('shard-0'), messages.LOAD_SEGMENT, 7);
  expect(await search(again)).toHaveLength(100);
});

test('missing segments are told, and what the log brings is kept', async () => {
  const shard = startShard();
  const io = world.actor('io-0').outbox('shard-0');
  messages.writeNumber(io, messages.LOAD_SEGMENT, 9);
  writePutChunks(io, 4, 1, batch, 0, batch.length);
  shard.run();
  expect(take(world.actor('main')).map(({ kind, f64 }) => [kind, f64[0]])).toEqual([
    [messages.SEGMENT_LOADED, 0],
  ]);
  expect(await search(shard)).toEqual([4]);
});

test('what comes late of a file that is gone is not kept, and an earlier file of its number changes nothing', async () => {
  const shard = startShard();
  const fuse = world.actor('fuse-0').outbox('shard-0');
  const indexer = world.actor('indexer').outbox('shard-0');
  const late = (generation: number): void => {
    writePutChunks(indexer, 5, generation, batch, 0, batch.length);
    shard.take();
  };
  const gone = (generation: number): void => {
    writeRemove(fuse, messages.REMOVE_FILE, 5, generation, 0);
    shard.take();
  };
  gone(1);
  late(1);
  expect(shard.vectors()).toBe(0);
  gone(2);
  gone(1);
  late(2);
  expect(shard.vectors()).toBe(0);
  late(3);
  gone(2);
  expect(shard.vectors()).toBe(1);
  expect(await search(shard)).toEqual([5]);
});

test('what another shard sends on is taken in the course of a move alone, and only by who is to hold it', async () => {
  world = new World({ shards: 2, fuse: 1 }, store);
  const route = new Route(world.actor('shard-0').arena);
  route.word = settledRoute(1);
  const shard = startShard();
  const sender = world.actor('shard-1').outbox('shard-0');
  const mine = [1, 2, 3, 4, 5, 6].filter((ino) => shardOf(ino, 2) === 0);
  const others = [1, 2, 3, 4, 5, 6].filter((ino) => shardOf(ino, 2) === 1);
  const sendOn = (): void => {
    for (const ino of [...mine, ...others]) {
      writePutChunks(sender, ino, 1, batch, 0, batch.length);
      writePutVector(sender, ino, 1, 1, FIRST_STAMP, new Uint8Array(NEAR.buffer), 0, 12);
    }
    shard.run();
  };
  sendOn();
  expect(shard.vectors()).toBe(0);
  route.word = settledRoute(2);
  sendOn();
  expect(shard.vectors()).toBe(0);
  route.word = nextRoute(settledRoute(1), 2);
  const told = mine[0]!;
  writeRemove(world.actor('fuse-0').outbox('shard-0'), messages.REMOVE_FILE, told, 1, 0);
  shard.take();
  route.word = nextRoute(route.word, 2);
  sendOn();
  expect(shard.vectors()).toBe(2 * (mine.length - 1));
});

test('a search among some files finds theirs alone', async () => {
  const shard = startShard();
  const io = world.actor('io-0').outbox('shard-0');
  for (let ino = 1; ino <= 100; ino++) writePutChunks(io, ino, 1, batch, 0, batch.length);
  expect(await search(shard, TEXT_COLLECTION, Uint32Array.of(7, 50, 101))).toEqual([7, 50]);
  expect(await search(shard, TEXT_COLLECTION, Uint32Array.of(101))).toEqual([]);
  expect(await search(shard)).toHaveLength(100);
});

test('a batch that does not parse is passed over', async () => {
  const shard = startShard();
  const io = world.actor('io-0').outbox('shard-0');
  writePutChunks(io, 4, 1, batch, 0, 15);
  writePutChunks(io, 5, 1, batch, 0, batch.length);
  expect(await search(shard)).toEqual([5]);
});

const XATTR = new TextEncoder().encode('user.vexfs.vector');

/** The tables, and a client that changes files' vectors in them and tells the shard, in two steps. */
class Client {
  readonly tree: TreeState;
  readonly #namespace: Namespace;
  readonly #order: VectorOrder;
  readonly #lane = world.actor('fuse-0').outbox('shard-0');
  /** What the shard is yet to be told, oldest first. */
  readonly #untold: (() => void)[] = [];

  constructor() {
    const io = world.actor('io-0');
    formatJournal(io.arena.region(JOURNAL), 1);
    this.tree = new TreeState(io);
    this.tree.format();
    this.tree.loaded(0);
    this.#namespace = openTree(world.actor('fuse-0')).namespace;
    this.#order = new VectorOrder(io.arena);
  }

  create(name: string): number {
    const bytes = new TextEncoder().encode(name);
    return this.#namespace.create(1, bytes, 0, bytes.length, 0o100644, 0, 0, 0);
  }

  set(ino: number): void {
    const bytes = new Uint8Array(NEAR.buffer);
    const id = this.#namespace.setxattr(ino, XATTR, 0, XATTR.length, bytes, 0, bytes.length, 0);
    const stamp = this.#order.next();
    this.#untold.push(() => writePutVector(this.#lane, ino, 1, id, stamp, bytes, 0, bytes.length));
  }

  remove(ino: number): void {
    const id = this.#namespace.removexattr(ino, XATTR, 0, XATTR.length);
    const stamp = this.#order.next();
    this.#untold.push(() => writeRemove(this.#lane, messages.REMOVE_VECTORS, ino, 1, id, stamp));
  }

  unlink(ino: number, name: string): void {
    const bytes = new TextEncoder().encode(name);
    this.#namespace.unlink(1, bytes, 0, bytes.length);
    this.#untold.push(() => writeRemove(this.#lane, messages.REMOVE_FILE, ino, 1, 0));
  }

  tell(): void {
    this.#untold.shift()?.();
  }

  /** Of the mount before: the shard hears nothing of it. */
  forget(): void {
    this.#untold.length = 0;
  }

  get isTold(): boolean {
    return this.#untold.length === 0;
  }
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`seed ${seed}: what the tables had at the mount and what changed meanwhile are found, and nothing else`, async () => {
    const random = seeded(seed);
    const client = new Client();
    const files = Array.from({ length: 60 }, (_, i) => ({ name: `f${i}`, ino: 0, has: false, gone: false }));
    const change = (): void => {
      const file = files[random(files.length)]!;
      if (file.gone) return;
      const what = random(10);
      if (what === 0) client.unlink(file.ino, file.name);
      else if (file.has) client.remove(file.ino);
      else client.set(file.ino);
      file.gone = what === 0;
      file.has = what > 0 && !file.has;
    };
    for (const file of files) file.ino = client.create(file.name);
    for (let i = 0; i < 100; i++) change();
    client.forget();
    const shard = startShard();
    client.tree.announce();
    for (let i = 0; i < 80 || !client.isTold; i++) {
      const what = random(3);
      if (what === 0 && i < 80) change();
      else if (what === 1) client.tell();
      else shard.take();
    }
    shard.run();
    const expected = files.filter(({ has, gone }) => has && !gone).map(({ ino }) => ino);
    expect((await search(shard, 1)).toSorted((a, b) => a - b)).toEqual(expected);
    const kinds = take(world.actor('main')).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === messages.VECTORS_LOADED)).toHaveLength(1);
  });
}

test('a search that comes while the tables are still to be read waits for their vectors', async () => {
  const client = new Client();
  const ino = client.create('f');
  client.set(ino);
  client.forget();
  const shard = startShard();
  client.tree.announce();
  const indexer = world.actor('indexer');
  const gather = new ScatterGather(indexer, () => 60_000);
  const found = gather.search(1, NEAR, 10, 10);
  // LOAD_SEGMENT, LOAD_VECTORS, SEARCH: from here on, all that is left is to read.
  for (let i = 0; i < 3; i++) shard.take();
  expect(take(indexer)).toEqual([]);
  shard.run();
  shard.run();
  for (const { kind, u32 } of take(indexer)) if (kind === messages.HITS) gather.gather(u32, 0);
  await gather.idle();
  expect((await found).map((hit) => hit.ino)).toEqual([ino]);
});

/** The shard's order of things, its mailbox filled by hand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import * as messages from '../../actors/messages.ts';
import { ShardActor } from '../../actors/shard/actor.ts';
import { Shard } from '../../actors/shard/shard.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { take, World } from './world.ts';

const NEAR = Float32Array.from([1, 0, 0]);
let store: string;
let world: World;
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'vexfs-shard-'));
  world = new World({ shards: 1, fuse: 1 }, store);
});
afterEach(() => rmSync(store, { recursive: true }));

function startShard(): { run(): void } {
  const context = world.actor('shard-0');
  const actor = new ShardActor(context, new Shard(world.config.vectors, undefined));
  // As the run loop does: idle only when everything is empty.
  return {
    run() {
      while (context.mailbox.drain(actor, 32) > 0);
      actor.idle();
    },
  };
}

const batch = encodeChunkBatch(1, 0, [{ byteOffset: 0, byteLength: 1, line: 1, vector: NEAR }], 3);

/** Asks the shard as the indexer does; what it has of text, by inode. */
async function search(shard: { run(): void }): Promise<number[]> {
  const indexer = world.actor('indexer');
  const gather = new ScatterGather(indexer, () => 60_000);
  const found = gather.search(TEXT_COLLECTION, NEAR, 1000, 1000);
  shard.run();
  for (const { kind, u32 } of take(indexer)) if (kind === messages.HITS) gather.gather(u32, 0);
  await gather.idle();
  return (await found).map(({ ino }) => ino);
}

test('a segment holds what was sent before it was asked for, however much waits in other lanes', async () => {
  const shard = startShard();
  const indexer = world.actor('indexer').outbox('shard-0');
  for (let ino = 1; ino <= 100; ino++) messages.writePutChunks(indexer, ino, 1, batch, 0, batch.length);
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
  messages.writePutChunks(io, 4, 1, batch, 0, batch.length);
  shard.run();
  expect(take(world.actor('main')).map(({ kind, f64 }) => [kind, f64[0]])).toEqual([
    [messages.SEGMENT_LOADED, 0],
  ]);
  expect(await search(shard)).toEqual([4]);
});

test('a batch that does not parse is passed over', async () => {
  const shard = startShard();
  const io = world.actor('io-0').outbox('shard-0');
  messages.writePutChunks(io, 4, 1, batch, 0, 15);
  messages.writePutChunks(io, 5, 1, batch, 0, batch.length);
  expect(await search(shard)).toEqual([5]);
});

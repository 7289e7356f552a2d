import { beforeEach, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { HIT_BYTES, HITS, hitsWord, SEARCH } from '../../actors/messages.ts';
import { take, World } from './world.ts';

const QUERY = Float32Array.from([1, 0]);
let world: World;
let indexer: Context;
let gather: ScatterGather;
beforeEach(() => {
  world = new World({ shards: 3, fuse: 1 });
  indexer = world.actor('indexer');
  gather = new ScatterGather(world.topology.ofKind('shard').map(({ name }) => indexer.outbox(name)));
});

/** A shard answers the searches it got; each hit is [ino, distance]. */
function answer(shard: string, hits: readonly [number, number][]): void {
  for (const { kind, u32 } of take(world.actor(shard))) {
    expect(kind).toBe(SEARCH);
    send(shard, u32[0]!, hits, shard);
  }
}

function send(shard: string, id: number, hits: readonly [number, number][], asked: string): void {
  const outbox = world.actor(shard).outbox('indexer');
  const at = outbox.claimOrWait(HITS, 8 + hits.length * HIT_BYTES);
  outbox.u32[at >> 2] = id;
  outbox.u32[(at >> 2) + 1] = hitsWord(hits.length, world.topology.actor(asked).index);
  const f32 = new Float32Array(outbox.u8.buffer, outbox.u8.byteOffset, outbox.u32.length);
  hits.forEach(([ino, distance], i) => {
    const hit = (at + 8 + i * HIT_BYTES) >> 2;
    outbox.u32.fill(0, hit, hit + 7);
    outbox.u32[hit] = ino;
    f32[hit + 7] = distance;
  });
  outbox.send();
}

function receive(): void {
  for (const { u32 } of take(indexer)) gather.gather(u32, 0);
}

test('the nearest of all shards come back in order, once the last shard has answered', async () => {
  let isDone = false;
  const found = gather.search(0, QUERY, 3, 10).finally(() => {
    isDone = true;
  });
  answer('shard-0', [
    [1, 0.1],
    [2, 0.5],
  ]);
  answer('shard-1', []);
  receive();
  await Promise.resolve();
  expect(isDone).toBe(false);
  answer('shard-2', [
    [3, 0.2],
    [4, 0.3],
  ]);
  receive();
  expect((await found).map(({ ino }) => ino)).toEqual([1, 3, 4]);
});

test('one shard may answer in the place of another, and a second answer for it is passed over', async () => {
  const found = gather.search(0, QUERY, 3, 10);
  for (const shard of ['shard-1', 'shard-2']) take(world.actor(shard));
  send('shard-0', 1, [[1, 0.1]], 'shard-1');
  send('shard-2', 1, [[2, 0.2]], 'shard-1');
  send('shard-0', 1, [[3, 0.3]], 'shard-0');
  send('shard-0', 1, [[4, 0.4]], 'shard-2');
  receive();
  expect((await found).map(({ ino }) => ino)).toEqual([1, 3, 4]);
});

test('searches under way at once get their own answers', async () => {
  const first = gather.search(0, QUERY, 1, 10);
  answer('shard-0', [[1, 0.1]]);
  const second = gather.search(0, QUERY, 1, 10);
  for (const shard of ['shard-1', 'shard-2']) answer(shard, []);
  answer('shard-0', [[2, 0.1]]);
  receive();
  expect((await first).map(({ ino }) => ino)).toEqual([1]);
  expect((await second).map(({ ino }) => ino)).toEqual([2]);
  await gather.idle();
});

test('a search that finds a lane full waits without blocking, and is answered', async () => {
  const wide = new Float32Array(8192);
  const searches = Array.from({ length: 200 }, () => gather.search(0, wide, 1, 1));
  let answered = 0;
  const all = Promise.all(searches).then((results) => {
    answered = results.length;
  });
  while (answered === 0) {
    for (const shard of ['shard-0', 'shard-1', 'shard-2']) answer(shard, []);
    receive();
    await new Promise((resume) => setTimeout(resume, 1));
  }
  await all;
  expect(answered).toBe(200);
});

test('an answer to nobody is passed over', () => {
  gather.gather(Uint32Array.from([99, 0]), 0);
});

import { beforeEach, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { HIT_BYTES, HITS, hitsWord, SEARCH } from '../../actors/messages.ts';
import { nextRoute, Route, settledRoute } from '../../actors/route.ts';
import { shardOf } from '../../actors/topology.ts';
import { READY } from '../../runtime/scheduling/actor-state.ts';
import { take, World } from './world.ts';

const QUERY = Float32Array.from([1, 0]);
let world: World;
let indexer: Context;
let gather: ScatterGather;
beforeEach(() => {
  world = new World({ shards: 3, fuse: 1 });
  indexer = world.actor('indexer');
  gather = new ScatterGather(indexer, () => 60_000);
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
  const id = take(world.actor('shard-1'))[0]!.u32[0]!;
  send('shard-0', id, [[1, 0.1]], 'shard-1');
  send('shard-2', id, [[2, 0.2]], 'shard-1');
  send('shard-0', id, [[3, 0.3]], 'shard-0');
  send('shard-0', id, [[4, 0.4]], 'shard-2');
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

test('while files move who holds one says it, and what was completed under another route is asked again', async () => {
  const route = new Route(indexer.arena);
  route.word = nextRoute(settledRoute(1), 3);
  const moved = Array.from({ length: 100 }, (_, i) => i + 1).find((ino) => shardOf(ino, 3) === 2)!;
  const found = gather.search(0, QUERY, 3, 10);
  expect(take(world.actor('shard-2'))).toEqual([]);
  // Dropped meanwhile: its answer is without it.
  route.word = nextRoute(route.word, 3);
  answer('shard-0', []);
  receive();
  answer('shard-0', [[moved, 0.5]]);
  answer('shard-1', []);
  answer('shard-2', [[moved, 0.1]]);
  receive();
  expect((await found).map(({ ino, distance }) => [ino, distance.toFixed(1)])).toEqual([[moved, '0.1']]);
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

/** A HITS message that says of a shard that one file was found there. */
function hit(id: number, ino: number, shard: number): Uint32Array {
  return Uint32Array.from([id, hitsWord(1, shard), ino, 1, 0, 0, 0, 0, 0, 0]);
}

test('a shard that did not live to answer is asked again once its successor is ready; its first answer counts', async () => {
  const found = gather.search(0, QUERY, 3, 10);
  for (const shard of ['shard-0', 'shard-1']) answer(shard, []);
  receive();
  const [question] = take(world.actor('shard-2'));
  const successor = world.actor('shard-2', 2);
  await new Promise((resume) => setTimeout(resume, 150));
  expect(take(successor)).toEqual([]);
  successor.state.set(READY);
  let again = take(successor);
  while (again.length === 0) {
    await new Promise((resume) => setTimeout(resume, 10));
    again = take(successor);
  }
  expect(again.map(({ u32 }) => u32[0])).toEqual([question!.u32[0]]);
  gather.gather(hit(again[0]!.u32[0]!, 8, 0), 0);
  gather.gather(hit(again[0]!.u32[0]!, 7, 2), 0);
  gather.gather(hit(again[0]!.u32[0]!, 9, 2), 0);
  expect((await found).map(({ ino }) => ino)).toEqual([7]);
});

test('a question that a shard does not answer in time is refused, and names the shard', async () => {
  gather = new ScatterGather(indexer, () => 120);
  const found = gather.search(0, QUERY, 3, 10);
  for (const shard of ['shard-0', 'shard-2']) answer(shard, []);
  receive();
  await expect(found).rejects.toThrow('within 0 s by shard-1');
  await gather.idle();
  answer('shard-1', [[1, 0.1]]);
  receive();
});

test('the answer to a question of a predecessor is not taken for one of its successor', async () => {
  void gather.search(0, QUERY, 3, 10);
  const [{ u32: before } = { u32: new Uint32Array(1) }] = take(world.actor('shard-0'));
  const successor = new ScatterGather(world.actor('indexer', 2), () => 60_000);
  const found = successor.search(0, QUERY, 3, 10);
  for (const shard of [0, 1, 2]) successor.gather(hit(before[0]!, 5, shard), 0);
  const [question] = take(world.actor('shard-0'));
  for (const shard of [0, 1, 2]) successor.gather(hit(question!.u32[0]!, shard + 1, shard), 0);
  expect((await found).map(({ ino }) => ino)).toEqual([1, 2, 3]);
});

test('an answer to nobody is passed over', () => {
  gather.gather(Uint32Array.from([99, 0]), 0);
});

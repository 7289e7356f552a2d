/** Shards that end at any moment and start empty: what they hold afterwards is what was put, and no search is lost. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { REPLAY_SHARD, writeWords } from '../../actors/messages.ts';
import { writePutVector } from '../../actors/shard-messages.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { testSeed } from '../seed.ts';
import { distance, History, PROBE } from './shards-history.ts';
import { ShardsWorld, unit } from './shards-world.ts';

function run(steps: Generator<void, boolean>): boolean {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

let world: ShardsWorld;
beforeEach(() => {
  world = new ShardsWorld(2);
});
afterEach(() => world.dispose());

/** A file with text in two batches and a vector. */
function fill(name: string, seed: number): number {
  const ino = world.create(seed % 2, name);
  world.write(0, ino);
  run(world.indexing(ino, [[unit(seed), unit(seed + 1)], [unit(seed + 2)]]));
  world.setVector(seed % 2, ino, unit(seed));
  return ino;
}

async function killAndReplay(index: number): Promise<boolean> {
  return world.settleUntil(world.killShard(index));
}

/** Everything that the shards hold, to be compared. */
function contents(): unknown {
  return [world.texts(), new Map([...world.distances(PROBE)].sort())];
}

test('a successor holds what its predecessor held: segment, log and users’ vectors', async () => {
  for (let n = 0; n < 40; n++) fill(`before-${n}`, n);
  await world.settle();
  await world.checkpoint();
  for (let n = 40; n < 80; n++) fill(`after-${n}`, n);
  for (let n = 0; n < 80; n += 7) world.unlink(n % 2, n < 40 ? `before-${n}` : `after-${n}`);
  await world.settle();
  const before = contents();
  for (const index of [0, 1, 0]) expect(await killAndReplay(index)).toBe(true);
  expect(contents()).toEqual(before);
  expect(world.missing).toEqual([]);
});

test('what lay in the lanes when the shard ended, and what comes during the replay, is taken in', async () => {
  const first = fill('first', 1);
  await world.settle();
  fill('second', 2);
  world.removeVector(0, first);
  const replayed = [world.killShard(0), world.killShard(1)];
  fill('third', 3);
  world.setVector(1, first, unit(9));
  for (const each of replayed) expect(await world.settleUntil(each)).toBe(true);
  await world.settle();
  expect(world.texts().size).toBe(3);
  expect(world.distances(PROBE).get(`${first}.${world.generation(first)}`)).toBeCloseTo(distance(unit(9)), 5);
  expect(world.distances(PROBE).size).toBe(3);
});

test('a vector that was removed, and a file that is gone, do not come back with what another lane holds back', async () => {
  const ino = world.create(0, 'f');
  world.setVector(0, ino, unit(1));
  world.removeVector(1, ino);
  const gone = world.create(0, 'g');
  world.write(0, gone);
  world.setVector(1, gone, unit(2));
  run(world.indexing(gone, [[unit(3)]]));
  world.unlink(0, 'g');
  // In which order the lanes are looked at depends on the turn.
  for (let turn = 0; turn < 5; turn++) {
    await world.settle();
    expect(world.distances(PROBE).size).toBe(0);
    expect(world.texts().size).toBe(0);
    world.setVector(0, ino, unit(1));
    world.setVector(1, ino, unit(2));
    world.removeVector(0, ino);
  }
});

test('a change of a vector that lay in a lane, and that the tables have overtaken, does not come back after a replay', async () => {
  const ino = world.create(0, 'f');
  const index = world.shardOf(ino);
  const lane = world.fuse[0]!.context.outbox(`shard-${index}`);
  const generation = world.generation(ino);
  const bytes = new Uint8Array(unit(1).buffer);
  world.setVector(1, ino, unit(2));
  world.removeVector(1, ino);
  // Taken in by the shard that ends; what came before it by the other lane was not.
  const { context, actor } = world.shards[index]!;
  while (context.mailbox.drain(actor, 32) > 0);
  writePutVector(lane, ino, generation, 1, 1, bytes, 0, bytes.length);
  expect(await killAndReplay(index)).toBe(true);
  await world.settle();
  expect(world.distances(PROBE).size).toBe(0);
});

test('a shard that ends during its replay is replayed from the start', async () => {
  for (let n = 0; n < 30; n++) fill(`f-${n}`, n);
  await world.settle();
  const before = contents();
  for (let turns = 0; turns < 12; turns++) {
    const first = world.killShard(0);
    for (let turn = 0; turn < turns; turn++) {
      world.turnIo();
      world.turn(0, 2);
      world.turnOthers();
      await Promise.resolve();
    }
    const second = world.killShard(0);
    expect(await world.settleUntil(second)).toBe(true);
    // It had been through already when it ended, or it was superseded.
    expect(typeof (await world.settleUntil(first))).toBe('boolean');
    await world.settle();
    expect(contents()).toEqual(before);
  }
});

test('io-0 that ends during a replay is asked again by main', async () => {
  for (let n = 0; n < 30; n++) fill(`f-${n}`, n);
  await world.settle();
  const before = contents();
  const replayed = world.killShard(0);
  for (let turn = 0; turn < 3; turn++) {
    world.turnIo();
    world.turnOthers();
    await Promise.resolve();
  }
  world.killReplays();
  expect(await world.settleUntil(replayed)).toBe(true);
  await world.settle();
  expect(contents()).toEqual(before);
});

test('a replay for an incarnation that is no more is passed over', async () => {
  fill('f', 1);
  await world.settle();
  const before = contents();
  writeWords(world.main.outbox('io-0'), REPLAY_SHARD, 0, 77);
  await world.settle();
  expect(contents()).toEqual(before);
});

test('searches wait until the replay is through, whenever they were asked', async () => {
  const ino = fill('f', 1);
  const index = world.shardOf(ino);
  await world.settle();
  const asked = world.gather.search(TEXT_COLLECTION, unit(1), 10, 10);
  const replayed = world.killShard(index);
  const meanwhile = world.gather.search(TEXT_COLLECTION, unit(1), 10, 10);
  const vectors = world.gather.search(1, unit(1), 10, 10);
  for (const search of [asked, meanwhile]) {
    expect((await world.settleUntil(search)).map((hit) => hit.ino)).toEqual([ino, ino, ino]);
  }
  expect((await world.settleUntil(vectors)).map((hit) => hit.ino)).toEqual([ino]);
  expect(await replayed).toBe(true);
});

test('a search that a shard took in and did not live to answer is asked again', async () => {
  const ino = fill('f', 1);
  const index = world.shardOf(ino);
  await world.settle();
  const asked = world.gather.search(TEXT_COLLECTION, unit(1), 10, 10);
  // It is in the shard's heap now: its lane is empty.
  const { context, actor } = world.shards[index]!;
  expect(context.mailbox.drain(actor, 32)).toBe(1);
  void world.killShard(index);
  expect((await world.settleUntil(asked)).map((hit) => hit.ino)).toEqual([ino, ino, ino]);
});

test('a segment that a shard did not live to write is written by its successor', async () => {
  fill('f', 1);
  await world.settle();
  const saved = world.requests.saveSegments(5);
  for (const { context, actor } of world.shards) context.mailbox.drain(actor, 32);
  const replayed = [world.killShard(0), world.killShard(1)];
  expect(await world.settleUntil(saved)).toBe(0);
  for (const each of replayed) expect(await each).toBe(true);
  expect(readdirSync(join(world.store, 'vectors')).filter((name) => name.includes('005-'))).toHaveLength(2);
});

describe('a segment that is', () => {
  test.each([
    ['missing', (path: string) => rmSync(path)],
    ['damaged', (path: string) => writeFileSync(path, 'not a segment')],
  ])('%s: exactly the files that were in it are told to be missing', async (_, spoil) => {
    const inSegment = Array.from({ length: 20 }, (_unused, n) => fill(`before-${n}`, n));
    await world.settle();
    await world.checkpoint();
    const inLog = Array.from({ length: 20 }, (_unused, n) => fill(`after-${n}`, 20 + n));
    // Indexed again since: the log has it.
    const again = inSegment[0]!;
    world.write(0, again);
    run(world.indexing(again, [[unit(99)]]));
    await world.settle();
    const index = world.shardOf(inSegment[3]!);
    for (const name of readdirSync(join(world.store, 'vectors')))
      if (name.endsWith(`-${index}.seg`)) spoil(join(world.store, 'vectors', name));
    expect(await killAndReplay(index)).toBe(true);
    await world.settle();
    const lost = inSegment.filter((ino) => world.shardOf(ino) === index && ino !== again);
    expect(world.missing.sort((a, b) => a - b)).toEqual(lost);
    for (const ino of inLog) expect(world.texts().has(`${ino}.${world.generation(ino)}`)).toBe(true);
    expect(world.distances(PROBE).size).toBe(40);
  });
});

describe('after a random history in which shards end at any moment', () => {
  const first = testSeed('histories of shards that end, from', 1);
  const seeds = Array.from({ length: 12 }, (_, n) => first + n);
  test.each(seeds)('seed %i: every search finds what was sent before it, and nothing else', async (seed) => {
    const history = new History(world, seed);
    for (let n = 0; n < 600; n++) await history.step();
    await history.end();
    expect(history.kills).toBeGreaterThan(5);
  });
});

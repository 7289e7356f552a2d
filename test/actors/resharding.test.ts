/** Files that move to another number of shards while they change, are searched, and shards end. */
import { afterEach, describe, expect, test } from 'vitest';
import { COPYING, phaseOf } from '../../actors/route.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { shardOf } from '../../actors/topology.ts';
import { testSeed } from '../seed.ts';
import { distance, History, PROBE } from './shards-history.ts';
import { ShardsWorld, unit } from './shards-world.ts';

const MOST = 4;

let world: ShardsWorld;
afterEach(() => world.dispose());

function run(steps: Generator<void, boolean>): void {
  while (!steps.next().done);
}

/** A file with text in two batches and a vector. */
function fill(name: string, seed: number): number {
  const ino = world.create(seed % 2, name);
  world.write(0, ino);
  run(world.indexing(ino, [[unit(seed), unit(seed + 1)], [unit(seed + 2)]]));
  world.setVector(seed % 2, ino, unit(seed));
  return ino;
}

/** Everything that can be found, to be compared. */
async function found(): Promise<unknown> {
  const vectors = await world.settleUntil(world.gather.search(1, PROBE, 1000, 1000));
  const texts = await world.settleUntil(world.gather.search(TEXT_COLLECTION, PROBE, 1000, 1000));
  const keys = (hits: typeof vectors) =>
    hits.map((hit) => [hit.ino, hit.generation, hit.chunk, hit.version, hit.distance.toFixed(4)]);
  return [keys(vectors), keys(texts)];
}

test('what is found is the same during and after every move, and nothing is indexed again', async () => {
  world = new ShardsWorld(1, MOST);
  for (let n = 0; n < 60; n++) fill(`f${n}`, n);
  await world.settle();
  const before = await found();
  for (const shards of [3, 2, 4, 1]) {
    let isDone = false;
    const moved = world.resharding.to(shards).finally(() => {
      isDone = true;
    });
    for (let looks = 0; !isDone || looks < 3; looks++) expect(await found()).toEqual(before);
    await moved;
    expect(world.shards.length).toBe(shards);
    const held = world.shards.map(({ shard }) => shard.vectors);
    expect(held.reduce((sum, count) => sum + count, 0)).toBe(60 * 4);
    if (shards > 1) expect(Math.min(...held)).toBeGreaterThan(0);
  }
  expect(world.missing).toEqual([]);
});

test('a shard that ends at any time of a move does not change what is found', async () => {
  world = new ShardsWorld(2, MOST);
  for (let n = 0; n < 30; n++) fill(`f${n}`, n);
  await world.settle();
  await world.checkpoint();
  for (let n = 30; n < 60; n++) fill(`f${n}`, n);
  await world.settle();
  const before = await found();
  for (const [shards, victim] of [
    [4, 0],
    [2, 3],
    [3, 2],
    [1, 0],
    [2, 1],
  ] as const) {
    let isDone = false;
    const moved = world.resharding.to(shards).finally(() => {
      isDone = true;
    });
    for (let looks = 0; !isDone; looks++) {
      await world.settle(() => true, 1 + looks);
      if (world.shards[victim] && looks < 8) void world.killShard(victim);
      expect(await found()).toEqual(before);
    }
    await moved;
  }
  expect(world.missing).toEqual([]);
});

test('a writer that chose by the route of before is heard by those of now', async () => {
  world = new ShardsWorld(1, MOST);
  const inodes = Array.from({ length: 12 }, (_, n) => fill(`f${n}`, n));
  await world.settle();
  const writers = inodes.map((ino, n) => world.settingVector(n % 2, ino, unit(500 + n)));
  for (const writer of writers) writer.next();
  await world.settleUntil(world.resharding.to(3));
  for (const writer of writers) run(writer);
  await world.settle();
  const distances = world.distances(PROBE);
  for (const [n, ino] of inodes.entries()) {
    const key = `${ino}.${world.generation(ino)}`;
    expect(distances.get(key)).toBeCloseTo(distance(unit(500 + n)), 4);
  }
});

test('what was sent before a move began, and is still to be taken in, moves too', async () => {
  world = new ShardsWorld(1, MOST);
  const inodes = Array.from({ length: 12 }, (_, n) => fill(`f${n}`, n));
  await world.settle();
  const moved = world.resharding.to(3);
  // More than a shard takes in before files that move have their turn.
  const messages = 600;
  let last = 0;
  for (let turn = 0; phaseOf(world.route.word) !== COPYING; turn++) {
    expect(turn).toBeLessThan(1000);
    for (const index of world.shards.keys())
      while (!world.shards[index]!.context.mailbox.isEmpty) world.turn(index);
    for (const index of world.shards.keys()) world.turn(index);
    last = 1000 + turn * messages;
    for (let n = 0; n < messages; n++) world.setVector(0, inodes[n % 12]!, unit(last + n));
    world.turnOthers();
    await Promise.resolve();
  }
  expect(world.shards[0]!.context.mailbox.isEmpty).toBe(false);
  await world.settleUntil(moved);
  await world.settle();
  const distances = world.distances(PROBE);
  for (const [n, ino] of inodes.entries()) {
    const wanted = distance(unit(last + messages - 12 + n));
    expect(distances.get(`${ino}.${world.generation(ino)}`)).toBeCloseTo(wanted, 4);
  }
});

test('questions that a shard comes to only when it has dropped files are put again, to those who have them', async () => {
  world = new ShardsWorld(1, MOST);
  for (let n = 0; n < 60; n++) fill(`f${n}`, n);
  await world.settle();
  const inodesOf = (hits: readonly { readonly ino: number }[]) => hits.map(({ ino }) => ino);
  const before = inodesOf(await world.settleUntil(world.gather.search(1, PROBE, 1000, 1000)));
  const moved = world.resharding.to(3);
  while (phaseOf(world.route.word) !== COPYING) await world.settle(() => true, 1);
  const asked = Array.from({ length: 100 }, () => world.gather.search(1, PROBE, 1000, 1000));
  await world.settleUntil(moved);
  const answers = await world.settleUntil(Promise.all(asked));
  for (const answer of answers) expect(inodesOf(answer)).toEqual(before);
});

test.each([
  ['', false],
  [', though the shard has ended and its successor was told by the tables', true],
])('what is sent on and comes late does not undo what was said after it%s', async (_, isEnded) => {
  world = new ShardsWorld(1, MOST);
  const inodes = Array.from({ length: 24 }, (_, n) => fill(`f${n}`, n));
  await world.settle();
  const moved = world.resharding.to(2);
  for (let turn = 0; phaseOf(world.route.word) !== COPYING; turn++) {
    expect(turn).toBeLessThan(1000);
    for (const index of world.shards.keys()) world.turn(index);
    world.turnOthers();
    await Promise.resolve();
  }
  for (let turn = 0; turn < 20; turn++) world.turn(0);
  const [changed, removed, gone, indexed, emptied] = inodes.filter((ino) => shardOf(ino, 2) === 1);
  world.setVector(0, changed!, unit(500));
  world.removeVector(0, removed!);
  world.unlink(0, `f${inodes.indexOf(gone!)}`);
  world.write(0, indexed!);
  const { version } = world.state(indexed!);
  run(world.indexing(indexed!, [[unit(600)]]));
  world.write(0, emptied!);
  run(world.passingOver(emptied!));
  const { context, actor } = world.shards[1]!;
  const { senders } = context.topology.actor('shard-1');
  // Of what waits in the lane of shard-0 nothing has been taken in yet.
  expect(context.mailbox.depth()[senders.indexOf('shard-0')]).toBeGreaterThan(0);
  for (const sender of ['fuse-0', 'fuse-1', 'indexer']) {
    context.mailbox.drainLane(senders.indexOf(sender), actor, 1000);
  }
  actor.idle();
  if (isEnded) {
    let isTold = false;
    void world.killShard(1).finally(() => {
      isTold = true;
    });
    for (let turn = 0; turn < 500 && !isTold; turn++) {
      world.turnIo();
      const successor = world.shards[1]!;
      for (const sender of ['main', 'io-0'])
        successor.context.mailbox.drainLane(senders.indexOf(sender), successor.actor, 1000);
      successor.actor.idle();
      world.turnOthers();
      await new Promise((resume) => setTimeout(resume, 0));
    }
    expect(isTold).toBe(true);
  }
  await world.settleUntil(moved);
  await world.settle();
  const key = (ino: number): string => `${ino}.${world.generation(ino)}`;
  const distances = world.distances(PROBE);
  expect(distances.size).toBe(22);
  expect(distances.get(key(changed!))).toBeCloseTo(distance(unit(500)), 4);
  expect(distances.has(key(removed!))).toBe(false);
  expect(world.texts().size).toBe(22);
  expect(world.texts().has(key(emptied!))).toBe(false);
  expect(world.texts().get(key(indexed!))).toBe(ShardsWorld.textOf(version, [[unit(600)]]));
});

test('a number that is asked for during a move is what it comes to', async () => {
  world = new ShardsWorld(2, MOST);
  for (let n = 0; n < 20; n++) fill(`f${n}`, n);
  await world.settle();
  const before = await found();
  void world.resharding.to(4);
  void world.resharding.to(1);
  await world.settleUntil(world.resharding.to(3));
  expect(world.shards.length).toBe(3);
  expect(await found()).toEqual(before);
});

describe('after a random history of changes, moves and deaths', () => {
  const first = testSeed('histories of shards that come and go, from', 1);
  const seeds = Array.from({ length: Number(process.env.VEXFS_SEEDS ?? 12) }, (_, n) => first + n);
  test.each(seeds)('seed %i: every search finds what was sent before it, and nothing else', async (seed) => {
    world = new ShardsWorld(1 + (seed % MOST), MOST);
    const history = new History(world, seed, { shardsMost: MOST });
    for (let n = 0; n < 800; n++) await history.step();
    await history.end();
    expect(history.moves).toBeGreaterThan(3);
  });
});

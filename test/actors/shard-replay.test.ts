/** Shards that end at any moment and start empty: what they hold afterwards is what was put, and no search is lost. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { REPLAY_SHARD, writePutVector, writeWords } from '../../actors/messages.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { Random } from '../kernels/random.ts';
import { DIMENSION, ShardsWorld, unit } from './shards-world.ts';

const PROBE = unit(1000);

function distance(vector: Float32Array): number {
  let dot = 0;
  for (let i = 0; i < DIMENSION; i++) dot += vector[i]! * PROBE[i]!;
  return 1 - dot;
}

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

interface File {
  readonly ino: number;
  readonly generation: number;
  vector: Float32Array | undefined;
  text: string | undefined;
}

/** A random history; at its end the shards hold what the model does. */
class History {
  readonly #random: Random;
  readonly #files = new Map<string, File>();
  readonly #underWay = new Set<string>();
  /** Inodes of the files that were being indexed at some time since the last comparison. */
  readonly #indexed = new Set<number>();
  readonly #steps: {
    name: string;
    ino: number;
    steps: Generator<void, boolean>;
    text: string | undefined;
  }[] = [];
  #names = 0;
  kills = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async step(): Promise<void> {
    const random = this.#random;
    const chance = random.below(100);
    const thread = random.below(2);
    const idle = [...this.#files.keys()].filter((name) => !this.#underWay.has(name));
    const name = idle[random.below(idle.length)];
    const file = name === undefined ? undefined : this.#files.get(name)!;
    if (chance < 14) this.#create(thread);
    else if (chance < 22 && file) this.#unlink(thread, name!);
    else if (chance < 34 && file) {
      file.vector = unit(random.below(1000));
      world.setVector(thread, file.ino, file.vector);
    } else if (chance < 38 && file?.vector) {
      file.vector = undefined;
      world.removeVector(thread, file.ino);
    } else if (chance < 50 && file) this.#index(name!, file);
    else if (chance < 68 && this.#steps.length > 0) this.#continue(random.below(this.#steps.length));
    else if (chance < 80) world.turn(random.below(2), 1 + random.below(8));
    else if (chance < 92) {
      world.turnIo();
      world.turnOthers();
    } else if (chance < 95) {
      this.kills++;
      void world.killShard(random.below(2));
    } else if (chance < 96) {
      // As before a checkpoint at an unmount: the indexer has finished what it was at.
      this.#finish();
      await world.checkpoint();
    } else if (chance < 97) await this.compare();
    await Promise.resolve();
  }

  /** Ends what is under way, and compares. */
  async end(): Promise<void> {
    this.#finish();
    await world.settleUntil(world.killShard(0));
    await this.compare();
  }

  /** By what a search finds, which everything that was sent before it belongs to; but for files that are under way. */
  async compare(): Promise<void> {
    const texts = world.gather.search(TEXT_COLLECTION, PROBE, 1000, 1000);
    const vectors = world.gather.search(1, PROBE, 1000, 1000);
    const found = await world.settleUntil(vectors);
    await world.settleUntil(texts);
    const expected = new Map<string, number>();
    const expectedTexts = new Map<string, string>();
    for (const [name, { ino, generation, vector, text }] of this.#files) {
      if (vector) expected.set(`${ino}.${generation}`, distance(vector));
      if (text !== undefined && !this.#underWay.has(name)) expectedTexts.set(`${ino}.${generation}`, text);
    }
    expect(found.map(({ ino, generation }) => `${ino}.${generation}`).sort()).toEqual(
      [...expected.keys()].sort(),
    );
    for (const hit of found)
      expect(hit.distance).toBeCloseTo(expected.get(`${hit.ino}.${hit.generation}`)!, 4);
    const held = world.texts();
    for (const name of this.#underWay) {
      const file = this.#files.get(name)!;
      held.delete(`${file.ino}.${file.generation}`);
    }
    expect(new Map([...held].sort())).toEqual(new Map([...expectedTexts].sort()));
    // The tables said that it is indexed, and its vectors were not sent yet: indexing it once more does no harm.
    for (const ino of world.missing.splice(0)) expect(this.#indexed).toContain(ino);
    this.#indexed.clear();
    for (const { ino } of this.#steps) this.#indexed.add(ino);
  }

  #finish(): void {
    while (this.#steps.length > 0) this.#continue(0);
  }

  #create(thread: number): void {
    const name = `f${this.#names++}`;
    const ino = world.create(thread, name);
    this.#files.set(name, { ino, generation: world.generation(ino), vector: undefined, text: undefined });
  }

  #unlink(thread: number, name: string): void {
    world.unlink(thread, name);
    this.#files.delete(name);
  }

  #index(name: string, { ino }: File): void {
    const random = this.#random;
    if (random.below(4) > 0) world.write(0, ino);
    const { version } = world.state(ino);
    const isText = random.below(5) > 0;
    const batches = Array.from({ length: 1 + random.below(3) }, () =>
      Array.from({ length: 1 + random.below(3) }, () => unit(random.below(1000))),
    );
    const steps = isText ? world.indexing(ino, batches) : world.passingOver(ino);
    this.#underWay.add(name);
    this.#indexed.add(ino);
    this.#steps.push({ name, ino, steps, text: isText ? ShardsWorld.textOf(version, batches) : undefined });
  }

  #continue(at: number): void {
    const { name, steps, text } = this.#steps[at]!;
    const { done, value } = steps.next();
    if (!done) return;
    expect(value).toBe(true);
    this.#steps.splice(at, 1);
    this.#underWay.delete(name);
    this.#files.get(name)!.text = text;
  }
}

describe('after a random history in which shards end at any moment', () => {
  const first = Number(process.env.VEXFS_SEED ?? 1);
  const seeds = Array.from({ length: 12 }, (_, n) => first + n);
  test.each(seeds)('seed %i: every search finds what was sent before it, and nothing else', async (seed) => {
    const history = new History(seed);
    for (let n = 0; n < 600; n++) await history.step();
    await history.end();
    expect(history.kills).toBeGreaterThan(5);
  });
});

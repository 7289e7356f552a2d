/** Checkpoints made from the checkpoint before and the log, against the tables that were in use meanwhile. */
import { expect, test } from 'vitest';
import { listCheckpoints } from '../../actors/io/checkpoint.ts';
import { listSegments } from '../../actors/io/log-recovery.ts';
import { EIO, ENOSPC } from '../../runtime/errno.ts';
import { seeded, testSeed } from '../seed.ts';
import { type FaultyDisk, PowerCut } from './faulty-disk.ts';
import { describeTree, recoverTree, SHARDS, TreeStore } from './tree-store.ts';

const SEED = testSeed('background checkpoints');

/** The padding that segments add to a batch is not part of it. */
function textOf(text: ReadonlyMap<number, readonly string[]>): [number, string[]][] {
  const decoded = (line: string): string => Buffer.from(line, 'base64').toString('hex').slice(0, 96);
  return [...text]
    .map(([ino, lines]): [number, string[]] => [ino, lines.map(decoded)])
    .sort(([a], [b]) => a - b);
}

function expectSame(store: TreeStore, disk: FaultyDisk, shards = SHARDS): ReturnType<typeof recoverTree> {
  const recovered = recoverTree(disk, shards);
  expect(recovered.tree).toEqual(describeTree(store.world.namespace));
  expect(textOf(recovered.text)).toEqual(textOf(store.expectedText()));
  return recovered;
}

function operate(store: TreeStore, random: (bound: number) => number, count: number): void {
  for (let n = 0; n < count; n++) store.operate(random);
}

test('generated changes with checkpoints in between: a recovery from any of them finds what was in use', () => {
  for (let round = 0; round < 12; round++) {
    const random = seeded(SEED + round);
    // Of the long ones eight make a block, and blocks of which nothing changed are carried over as they are.
    const store = new TreeStore(3000, round % 4 === 3 ? 4096 : undefined);
    for (let part = 0; part < 6; part++) {
      operate(store, random, 20 + random(60));
      if (random(4) === 0) store.mounted();
      store.commit();
      const lsn = store.log.durableLsn;
      // What follows is not its business, written or half written.
      operate(store, random, random(20));
      store.write();
      const made = round % 2 === 0 ? store.checkpoint(store.disk, lsn) : store.checkpointOfLiving(lsn);
      if (made.kind !== 'made') throw new Error(`a checkpoint was not made: ${made.kind}`);
      if (round % 2 === 0) expect(made.lsn).toBe(lsn);
      else expect(made.lsn).toBeGreaterThanOrEqual(lsn);
      store.commit();
      expect(expectSame(store, store.disk).checkpointLsn).toBe(made.lsn);
      expect(store.settle()).toBe(0);
      const shards = 1 + random(5);
      expect(expectSame(store, store.disk.crash(part), shards).checkpointLsn).toBe(made.lsn);
    }
    expect(listCheckpoints(store.disk)).toHaveLength(2);
    expect((store.disk.list('vectors') as string[]).length).toBe(2 * SHARDS);
    expect((listSegments(store.disk) as number[])[0]).toBeGreaterThan(1);
  }
}, 240_000);

test('of inodes without a name a checkpoint has those that are open, and no others', () => {
  const store = new TreeStore();
  const { world } = store;
  const open = world.file(1, 'open', 'o'.repeat(200));
  const closed = world.file(1, 'closed', 'c'.repeat(200));
  world.namespace.addLookup(open, 1);
  world.unlink(1, 'open');
  world.unlink(1, 'closed');
  store.commit();
  expect(store.checkpoint().kind).toBe('made');
  expect(store.unnamedInCheckpoint()).toEqual([open, closed]);
  world.file(1, 'other', 'its number is that of the closed one');
  store.commit();
  expect(store.checkpointOfLiving().kind).toBe('made');
  expect(store.unnamedInCheckpoint()).toEqual([open]);
  world.write(open, 0, new Uint8Array(50));
  store.commit();
  world.namespace.forget(open, 1);
  expect(store.checkpointOfLiving().kind).toBe('made');
  expect(store.unnamedInCheckpoint()).toEqual([]);
  expectSame(store, store.disk);
});

test('nothing new: no checkpoint is written', () => {
  const store = new TreeStore();
  operate(store, seeded(1), 30);
  store.commit();
  expect(store.checkpoint().kind).toBe('made');
  expect(store.settle()).toBe(0);
  const { calls } = store.disk;
  expect(store.checkpoint()).toEqual({ kind: 'current', lsn: store.log.durableLsn });
  expect(store.disk.calls).toBe(calls);
});

/** A store with two checkpoints, and changes after them. */
function grown(seed: number): TreeStore {
  const random = seeded(seed);
  const store = new TreeStore();
  for (let part = 0; part < 2; part++) {
    operate(store, random, 60);
    store.commit();
    expect(store.checkpoint().kind).toBe('made');
    expect(store.settle()).toBe(0);
  }
  operate(store, random, 60);
  store.commit();
  return store;
}

test('power cut or failure before any disk call: nothing is lost, nothing is left, and the next one succeeds', () => {
  const store = grown(SEED);
  const whole = store.disk.kill();
  const start = whole.calls;
  expect(store.checkpoint(whole).kind).toBe('made');
  expect(store.settle(whole)).toBe(0);
  expect(whole.calls - start).toBeGreaterThan(30);
  for (let call = start + 1; call <= whole.calls; call++) {
    for (const mode of ['cut', call % 2 === 0 ? ENOSPC : EIO] as const) {
      const disk = store.disk.kill();
      if (mode === 'cut') disk.cutAt = call;
      else disk.failures.set(call, mode);
      try {
        const outcome = store.checkpoint(disk);
        if (outcome.kind === 'made') store.settle(disk);
        else expect(outcome.kind).toBe('failed');
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
      }
      const after = mode === 'cut' ? disk.crash(call) : disk.kill();
      expectSame(store, after);
      const again = store.checkpoint(after);
      expect(again.kind).toBeOneOf(['made', 'current']);
      expect(store.settle(after)).toBe(0);
      expectSame(store, after);
      expect(listCheckpoints(after)).toHaveLength(2);
      expect((after.list('vectors') as string[]).length).toBe(2 * SHARDS);
    }
  }
}, 240_000);

test('the newest checkpoint is damaged: mounts and checkpoints take the older one, and it is kept aside', () => {
  const store = grown(3);
  const newest = (listCheckpoints(store.disk) as number[]).at(-1)!;
  const path = `checkpoint/${String(newest).padStart(8, '0')}/inodes`;
  const bytes = store.disk.read(path).slice();
  bytes[10]! ^= 1;
  store.disk.rot(path, bytes);
  expect(expectSame(store, store.disk).damaged).toBe(1);
  const outcome = store.checkpoint();
  expect(outcome).toMatchObject({ kind: 'made', damaged: [{ sequence: newest, file: path }] });
  expect(store.settle(store.disk, outcome.kind === 'made' ? outcome.damaged : [])).toBe(0);
  expect(store.disk.list('checkpoint')).toContain(`${path.split('/')[1]}.damaged`);
  expect(expectSame(store, store.disk).damaged).toBe(0);
  expect(listCheckpoints(store.disk)).toHaveLength(2);
});

test('the log is damaged: no checkpoint is made of it, with the place', () => {
  const store = grown(4);
  const first = (listSegments(store.disk) as number[]).at(-1)!;
  const path = `log/${String(first).padStart(8, '0')}.log`;
  const bytes = store.disk.read(path).slice();
  bytes[100]! ^= 1;
  store.disk.rot(path, bytes);
  const outcome = store.checkpoint();
  expect(outcome).toMatchObject({ kind: 'failed' });
  expect(outcome.kind === 'failed' ? outcome.reason : '').toMatch(/log/);
  expect(listCheckpoints(store.disk)).toHaveLength(2);
});

test('text vectors are gone or damaged: the files are named, no checkpoint is made, and once they are indexed again it is', () => {
  for (const how of ['gone', 'damaged']) {
    const store = grown(5);
    for (const ino of store.files()) store.index(ino, 2);
    store.commit();
    expect(store.checkpoint().kind).toBe('made');
    expect(store.settle()).toBe(0);
    store.world.file(1, 'another');
    store.commit();
    const before = store.expectedText();
    const name = (store.disk.list('vectors') as string[]).at(-1)!;
    const bytes = store.disk.read(`vectors/${name}`).slice();
    bytes[200]! ^= 1;
    if (how === 'gone') store.disk.unlink(`vectors/${name}`);
    else store.disk.rot(`vectors/${name}`, bytes);
    const outcome = store.checkpoint();
    if (outcome.kind !== 'text missing') throw new Error(`it was ${outcome.kind}`);
    expect(outcome.files.length).toBeGreaterThan(0);
    for (const ino of outcome.files) expect(before.has(ino)).toBe(true);
    expect((store.disk.list('vectors') as string[]).filter((file) => file.endsWith('.tmp'))).toEqual([]);
    for (const ino of outcome.files) store.index(ino, 2);
    store.commit();
    expect(store.checkpoint().kind).toBe('made');
    expect(store.settle()).toBe(0);
    const recovered = recoverTree(store.disk);
    for (const ino of outcome.files) expect(recovered.text.get(ino)).toHaveLength(2);
  }
});

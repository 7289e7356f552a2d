import { expect, test } from 'vitest';
import { listCheckpoints } from '../../actors/io/checkpoint.ts';
import { listSegments } from '../../actors/io/log-recovery.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { EIO, ENOSPC, EROFS } from '../../runtime/errno.ts';
import { seeded } from '../seed.ts';
import { type FaultyDisk, PowerCut } from './faulty-disk.ts';
import { checkObjects, OBJECT_BYTES, type ToyOptions, ToyStore } from './toy-store.ts';

/** The choices of a workload, and the state after each prefix of it, by running it undisturbed. */
function prefixes(choices: readonly number[]): string[] {
  const store = new ToyStore();
  const states = [tableOf(store)];
  for (const choice of choices) {
    store.operate(choice);
    store.run();
    store.now += 2000;
    states.push(tableOf(store));
  }
  return states;
}

/** Without the words that a mount clears. */
function tableOf(store: ToyStore): string {
  const { u32 } = store.state.table;
  return JSON.stringify([u32[0], ...u32.subarray(9, 120)]);
}

function workload(seed: number, length: number): number[] {
  const random = seeded(seed);
  return Array.from({ length }, () => random(1000));
}

/** Operations from where the state is, with an fsync now and then, a checkpoint in the middle. */
function drive(store: ToyStore, choices: readonly number[]): void {
  while (store.state.operations < choices.length) {
    const n = store.state.operations;
    store.operate(choices[n]!);
    if (n % 4 === 3) store.sync();
    if (n % 11 === 10) store.now += 1500;
    if (n % 3 !== 1) store.run();
    if (n === 20) {
      store.checkpoint(n);
      store.run();
    }
  }
  store.sync();
  store.run();
}

/** Runs until the power goes; returns what had been acknowledged by then. */
function driveUntilCut(
  disk: FaultyDisk | undefined,
  options: ToyOptions,
  choices: readonly number[],
  cutAt: number,
) {
  let store: ToyStore | undefined;
  try {
    if (disk !== undefined) disk.cutAt = cutAt;
    store = new ToyStore({ ...options, ...(disk ? { disk } : {}) });
    if (disk === undefined) store.disk.cutAt = cutAt;
    drive(store, choices);
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
  }
  return { store, acknowledged: store?.acknowledged ?? 0, reached: store?.state.operations ?? 0 };
}

for (const others of [0, 2]) {
  test(`power cut before any disk call, then another: a prefix with all that was acknowledged (${1 + others} io actors)`, () => {
    const choices = workload(7, 36);
    const states = prefixes(choices);
    const whole = new ToyStore({ others });
    drive(whole, choices);
    const calls = whole.disk.calls;
    for (let cutAt = 12; cutAt <= calls; cutAt++) {
      const first = driveUntilCut(undefined, { others }, choices, cutAt);
      const second = driveUntilCut(
        first.store!.disk.crash(cutAt),
        { others },
        choices,
        1 + ((cutAt * 7) % 90),
      );
      const acknowledged = Math.max(first.acknowledged, second.acknowledged);
      const newest = Math.max(first.reached, second.reached);
      const disk = second.store?.disk ?? first.store!.disk.crash(cutAt);
      const last = new ToyStore({ disk: disk.crash(cutAt * 31), others });
      expect(last.recovered.damage).toBeUndefined();
      expect(last.state.operations).toBeGreaterThanOrEqual(acknowledged);
      expect(tableOf(last)).toBe(states[last.state.operations]);
      checkObjects(last, newest);
    }
  });
}

test('kill, mount, fsync, power cut: what only the page cache held is durable after that fsync', () => {
  const store = new ToyStore();
  store.sync();
  store.run();
  for (const choice of [1, 4, 7, 10, 13]) store.operate(choice);
  store.disk.failing = (name) => {
    if (name === 'fdatasync' || name === 'syncDirectory')
      throw new PowerCut('killed before anything is synced');
    return 0;
  };
  for (const choice of [3, 6]) store.operate(choice);
  store.log.append(store.journal, store.journal.published());
  const disk = store.disk.kill();
  const mounted = new ToyStore({ disk });
  expect(mounted.state.operations).toBe(7);
  mounted.sync();
  mounted.run();
  expect(mounted.replies).toEqual([{ unique: 1, errno: 0 }]);
  for (let seed = 0; seed < 20; seed++) {
    const after = new ToyStore({ disk: disk.crash(seed) });
    expect(after.state.operations).toBe(7);
    checkObjects(after, 7);
  }
});

test('killed after a checkpoint, before any commit: what a mount reads of an object is durable after its fsync', () => {
  const store = new ToyStore();
  store.operate(1);
  store.checkpoint(1);
  store.run();
  const { id } = store.state.objects()[0]!;
  const written = new Uint8Array(new Uint32Array(OBJECT_BYTES / 4).fill(2).buffer);
  const descriptor = store.disk.open(objectPath(id), 'write');
  store.disk.pwrite(descriptor, written, 0, written.length, 0);
  const disk = store.disk.kill();
  const mounted = new ToyStore({ disk });
  expect(mounted.recovered.replayedRecords).toBe(0);
  mounted.sync();
  mounted.run();
  expect(mounted.replies).toEqual([{ unique: 1, errno: 0 }]);
  for (let seed = 0; seed < 20; seed++) {
    expect(Buffer.compare(disk.crash(seed).read(objectPath(id)), written)).toBe(0);
  }
});

test('a clean checkpoint is loaded without replay, two are kept, and the log behind them is cut', () => {
  const choices = workload(3, 60);
  let disk: FaultyDisk | undefined;
  for (let mount = 1; mount <= 5; mount++) {
    const store: ToyStore = new ToyStore(disk ? { disk } : {});
    expect(store.state.operations).toBe((mount - 1) * 12);
    expect(store.recovered.replayedRecords).toBe(0);
    expect(store.recovered.fresh).toBe(mount === 1);
    while (store.state.operations < mount * 12) {
      store.operate(choices[store.state.operations]!);
      store.sync();
      store.run();
    }
    store.checkpoint(mount);
    store.run();
    expect(store.done).toEqual([{ ticket: mount, errno: 0 }]);
    disk = store.disk.crash(mount);
    expect((listCheckpoints(disk) as number[]).length).toBe(2);
    expect((listSegments(disk) as number[]).length).toBeLessThan(10);
  }
});

test('a damaged newest checkpoint is named, and the older one with the log gives the same state', () => {
  const choices = workload(5, 30);
  const store = new ToyStore();
  drive(store, choices);
  store.checkpoint(99);
  store.run();
  const expected = tableOf(store);
  const newest = (listCheckpoints(store.disk) as number[]).at(-1)!;
  const directory = `checkpoint/${String(newest).padStart(8, '0')}`;
  for (const [file, at] of [
    ['table', 0],
    ['table', -1],
    ['manifest.json', 5],
    ['manifest.json', 100],
  ] as const) {
    const disk = store.disk.crash(1);
    const bytes = disk.read(`${directory}/${file}`).slice();
    bytes[at < 0 ? bytes.length + at : at]! ^= 4;
    disk.rot(`${directory}/${file}`, bytes);
    const after = new ToyStore({ disk });
    expect(after.recovered.damagedCheckpoints).toMatchObject([{ file: `${directory}/${file}` }]);
    expect(after.recovered.damage).toBeUndefined();
    expect(after.recovered.replayedRecords).toBeGreaterThan(0);
    expect(tableOf(after)).toBe(expected);
    expect(after.recovered.checkpointWanted).toBe(true);
    after.checkpoint(1);
    after.run();
    expect(new ToyStore({ disk: after.disk }).recovered).toMatchObject({
      replayedRecords: 0,
      damagedCheckpoints: [],
    });
  }
});

test('damage inside the log: what precedes it is there, nothing is written, cut or deleted', () => {
  const store = new ToyStore({ segmentBytes: 1 << 20 });
  for (let n = 0; n < 20; n++) {
    store.operate(n * 3);
    store.sync();
    store.run();
  }
  const disk = store.disk.crash(1);
  const bytes = disk.read('log/00000001.log').slice();
  bytes[500]! ^= 1;
  disk.rot('log/00000001.log', bytes);
  disk.mkdir('objects/05');
  disk.close(disk.open('objects/05/5', 'create'));
  const before = disk.calls;
  const after = new ToyStore({ disk });
  expect(after.recovered.damage).toMatchObject({ file: 'log/00000001.log' });
  expect(after.state.operations).toBeGreaterThan(0);
  expect(after.state.operations).toBeLessThan(20);
  expect(after.recovered.checkpointWanted).toBe(false);
  expect(after.writer.failure).toBe(EROFS);
  expect(disk.log.slice(before).filter((call) => !/^(mkdir|syncDirectory)/.test(call))).toEqual([]);
});

test('any failing disk call: syncs get an errno, the store stays failed but for want of space, and what was durable is there', () => {
  const choices = workload(9, 24);
  const states = prefixes(choices);
  const whole = new ToyStore();
  const start = whole.disk.calls;
  drive(whole, choices);
  for (let call = start + 1; call <= whole.disk.calls; call++) {
    const errno = call % 2 === 0 ? EIO : ENOSPC;
    const store = new ToyStore();
    store.disk.failures.set(call, errno);
    drive(store, choices);
    const failed = store.replies.filter((reply) => reply.errno !== 0);
    if (store.status.errno !== 0) {
      expect(store.status.errno).toBeOneOf([errno, EIO]);
      expect(store.writer.failure).toBe(store.status.errno);
      expect(new Set(failed.map((reply) => reply.errno))).toEqual(new Set([store.status.errno]));
      expect(store.replies.findLastIndex((reply) => reply.errno === 0)).toBeLessThan(
        store.replies.indexOf(failed[0]!),
      );
    } else {
      expect(failed.every((reply) => reply.errno === ENOSPC && errno === ENOSPC)).toBe(true);
      expect(store.log.durableLsn).toBe(store.writer.lastLsn);
    }
    const after = new ToyStore({ disk: store.disk.crash(call) });
    expect(after.state.operations).toBeGreaterThanOrEqual(store.acknowledged);
    expect(tableOf(after)).toBe(states[after.state.operations]);
  }
});

test('the sweep deletes what nothing refers to and cuts what is too long', () => {
  const store = new ToyStore();
  store.operate(1);
  store.flush(1);
  store.run();
  const { id } = store.state.objects()[0]!;
  const { disk } = store;
  const descriptor = disk.open(objectPath(id), 'write');
  disk.pwrite(descriptor, new Uint8Array(100), 0, 100, 700);
  disk.mkdir('objects/aa');
  disk.open('objects/aa/7aa', 'create');
  disk.open('objects/aa/README', 'create');
  const restarted = disk.kill();
  const after = new ToyStore({ disk: restarted });
  expect(after.recovered.orphans).toBe(1);
  expect(restarted.read(objectPath(id)).length).toBe(700);
  expect(restarted.list('objects/aa')).toEqual(['README']);
});

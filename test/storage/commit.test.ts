import { expect, test } from 'vitest';
import { SyncQueue } from '../../actors/sync-queue.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { EIO } from '../../runtime/errno.ts';
import { ToyStore } from './toy-store.ts';
import { callsSince, settled, withDroppedObject, withFuse, withLogged } from './toy-stores.ts';

test('fsyncs that wait together share one write and one fdatasync', () => {
  const store = settled();
  const mark = store.disk.calls;
  for (let i = 0; i < 64; i++) {
    store.operate(3 * i);
    store.sync();
  }
  store.run();
  expect(store.replies).toHaveLength(64);
  expect(store.replies.every(({ errno }) => errno === 0)).toBe(true);
  expect(callsSince(store, mark).filter((name) => name === 'fdatasync').length).toBeLessThanOrEqual(
    1 + 2 * 5,
  );
  expect(store.status.read()).toMatchObject({ commits: 2, syncRequests: 64 });
});

test('whoever was answered together is waited for a little, once; one writer alone is not', () => {
  const store = settled();
  store.disk.failing = (name, path) => {
    if (name === 'fdatasync' && path.startsWith('log/')) store.now += 0.5;
    return 0;
  };
  const syncs = (count: number): number => {
    for (let i = 0; i < count; i++) {
      store.operate(3 * i);
      store.sync();
    }
    store.run();
    return store.replies.length;
  };
  expect(syncs(1)).toBe(1);
  expect(syncs(2)).toBe(3);
  expect(syncs(1)).toBe(3);
  expect(syncs(1)).toBe(5);
  expect(store.status.read().commits).toBe(4);

  expect(syncs(1)).toBe(5);
  store.now += 0.6;
  store.run();
  expect(store.replies).toHaveLength(6);
  expect(syncs(1)).toBe(7);
  expect(syncs(1)).toBe(8);
});

test('nothing to do: no disk call, however often the actors are asked', () => {
  for (const others of [0, 2]) {
    const store = settled(others);
    const mark = store.disk.calls;
    for (let i = 0; i < 10; i++) {
      store.now += 5000;
      store.run();
    }
    store.sync();
    store.flush(7);
    store.run();
    expect(store.disk.log.slice(mark)).toEqual([]);
    expect(store.replies).toHaveLength(1);
    expect(store.done).toEqual([{ ticket: 7, errno: 0 }]);
  }
});

test('without any fsync a change is durable after the commit interval, and not before', () => {
  const store = settled();
  store.operate(3);
  store.now += 900;
  store.run();
  expect(store.log.durableLsn).toBe(1);
  store.now += 200;
  store.run();
  expect(store.log.durableLsn).toBe(3);
});

test('objects become durable before the records that depend on them, by whichever io actor owns them', () => {
  for (const others of [0, 2]) {
    const store = settled(others);
    const mark = store.disk.calls;
    for (const choice of [1, 4, 7]) store.operate(choice);
    store.sync();
    store.run();
    const log = store.disk.log.slice(mark);
    const written = log.findIndex((call) => call.startsWith('pwrite log/'));
    const synced = log.flatMap((call, at) => (/^(fdatasync|syncDirectory) objects/.test(call) ? [at] : []));
    expect(synced.length).toBeGreaterThanOrEqual(3 + 3 + 1);
    expect(Math.max(...synced)).toBeLessThan(written);
    expect(store.replies).toEqual([{ unique: 1, errno: 0 }]);
  }
});

test('an fsync does not wait for an object whose bytes the log has; a flush that is asked for does', () => {
  for (const others of [0, 2]) {
    const { store, path } = withLogged(others);
    const mark = store.disk.calls;
    store.sync();
    store.run();
    expect(store.replies).toHaveLength(2);
    expect(callsSince(store, mark).filter((name) => name === 'fdatasync')).toHaveLength(1);
    const { durableLsn, objectsLsn } = store.status.read();
    expect(objectsLsn).toBeLessThan(durableLsn);
    store.flush(1);
    store.run();
    expect(store.disk.log.slice(mark)).toContain(`fdatasync ${path}`);
    expect(store.status.read()).toMatchObject({ durableLsn, objectsLsn: durableLsn });
  }
});

test('an fsync that was expected finds its commit done, and one of a writer that is not alone is not expected', () => {
  const { store } = withLogged(0);
  let mark = store.disk.calls;
  store.expectSync();
  store.run();
  expect(callsSince(store, mark).filter((name) => name === 'fdatasync')).toHaveLength(1);
  expect(store.status.read().objectsLsn).toBeLessThan(store.log.durableLsn);
  mark = store.disk.calls;
  store.sync();
  store.run();
  expect(callsSince(store, mark)).toEqual([]);
  expect(store.replies).toHaveLength(2);

  store.operate(3);
  for (let i = 0; i < 2; i++) store.sync();
  store.run();
  mark = store.disk.calls;
  store.operate(3);
  store.expectSync();
  store.run();
  expect(callsSince(store, mark)).toEqual([]);
});

test('objects whose bytes the log has are durable before its segment ends, and when nobody has asked for a while', () => {
  for (const others of [0, 2]) {
    const { store, path } = withLogged(others);
    const { segment } = store.log;
    const mark = store.disk.calls;
    while (store.log.segment === segment) {
      store.operate(3);
      store.sync();
      store.run();
    }
    const log = store.disk.log.slice(mark);
    const synced = log.indexOf(`fdatasync ${path}`);
    expect(synced).toBeGreaterThanOrEqual(0);
    expect(synced).toBeLessThan(log.findIndex((call) => call.startsWith('rename log/')));

    const idle = withLogged(others);
    idle.store.sync();
    idle.store.run();
    const before = idle.store.disk.calls;
    idle.store.now += 1500;
    idle.store.run();
    expect(idle.store.disk.log.slice(before)).toContain(`fdatasync ${idle.path}`);
  }
});

test('while a backup keeps objects, one that is dropped stays, and goes after it', () => {
  for (const others of [0, 2]) {
    const store = settled(others);
    store.operate(2);
    store.sync();
    store.run();
    const { id } = store.state.objects()[0]!;
    store.status.keepObjects(1);
    store.operate(2);
    for (let i = 0; i < 3; i++) {
      store.now += 5000;
      store.run();
    }
    expect(typeof store.disk.stat(objectPath(id))).toBe('object');
    store.status.keepObjects(-1);
    for (let i = 0; i < 2; i++) {
      store.now += 5000;
      store.run();
    }
    expect(store.disk.stat(objectPath(id))).toBe(-2);
  }
});

test('a dropped object is deleted after the commit that covers the drop, not before', () => {
  for (const others of [0, 2]) {
    const store = settled(others);
    store.operate(2);
    store.sync();
    store.run();
    const { id } = store.state.objects()[0]!;
    store.operate(2);
    expect(store.state.objects()).toEqual([]);
    const mark = store.disk.calls;
    store.now += 100;
    store.run();
    expect(typeof store.disk.stat(objectPath(id))).toBe('object');
    store.now += 5000;
    store.run();
    store.now += 5000;
    store.run();
    expect(store.disk.stat(objectPath(id))).toBe(-2);
    const log = store.disk.log.slice(mark);
    expect(log.indexOf(`unlink ${objectPath(id)}`)).toBeGreaterThan(
      log.findLastIndex((call) => /^fdatasync log/.test(call)),
    );
  }
});

test('a large object is deleted in parts, and an fsync that comes meanwhile is answered between two of them', () => {
  const { store, path } = withDroppedObject(20 << 20);
  store.now += 5000;
  const answered = store.replies.length;
  let cuts = 0;
  store.disk.failing = (name, of) => {
    if (name === 'truncate' && of === path && ++cuts === 2) {
      store.operate(0);
      store.sync();
    }
    if (name === 'unlink' && of === path) expect(store.replies.length).toBe(answered + 1);
    return 0;
  };
  store.run();
  expect(cuts).toBeGreaterThanOrEqual(5);
  expect(store.disk.stat(path)).toBe(-2);
});

test('a dropped object that cannot be cut or removed does not keep io-0 from its work', () => {
  const { store, path } = withDroppedObject(20 << 20);
  store.disk.failing = (_name, of) => (of === path ? EIO : 0);
  store.now += 5000;
  store.run();
  const answered = store.replies.length;
  store.operate(0);
  store.sync();
  store.run();
  expect(store.replies.length).toBe(answered + 1);
});

test('after a failed fdatasync nothing is written any more, and all requests get the errno', () => {
  const store = settled();
  store.operate(3);
  store.sync();
  store.disk.failing = (name, path) => (name === 'fdatasync' && path.startsWith('log/') ? EIO : 0);
  store.run();
  store.disk.failing = undefined;
  const mark = store.disk.calls;
  store.operate(6);
  store.sync();
  store.flush(3);
  store.checkpoint(4);
  store.now += 5000;
  store.run();
  expect(store.replies.map(({ errno }) => errno)).toEqual([EIO, EIO]);
  expect(store.done).toEqual([
    { ticket: 3, errno: EIO },
    { ticket: 4, errno: EIO },
  ]);
  expect(store.disk.log.slice(mark)).toEqual([]);
  expect(store.writer.waitForRoom(8000)).toBe(false);
});

test('a checkpoint that fails is reported and the store goes on', () => {
  const store = settled();
  store.operate(3);
  store.disk.failing = (name, path) => (name === 'rename' && path.startsWith('checkpoint/') ? EIO : 0);
  store.checkpoint(1);
  store.run();
  store.disk.failing = undefined;
  store.operate(6);
  store.sync();
  store.run();
  store.checkpoint(2);
  store.run();
  expect(store.done).toEqual([
    { ticket: 1, errno: EIO },
    { ticket: 2, errno: 0 },
  ]);
  expect(store.replies).toEqual([{ unique: 1, errno: 0 }]);
  expect(new ToyStore({ disk: store.disk.crash(1) }).recovered.replayedRecords).toBe(0);
});

test('the queue of fsyncs keeps its order while it grows', () => {
  const queue = new SyncQueue();
  let pushed = 0;
  let shifted = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 1 + (round % 7); i++) queue.push(++pushed, pushed + 1, pushed + 2);
    for (let i = 0; i < 1 + (round % 3) && queue.length > 0; i++) {
      shifted++;
      expect([queue.uniqueLo, queue.uniqueHi, queue.position]).toEqual([shifted, shifted + 1, shifted + 2]);
      queue.shift();
    }
  }
  expect(queue.length).toBe(pushed - shifted);
});

test('a fuse actor commits itself what is small, and leaves to io-0 what is not', () => {
  const store = withFuse();
  const commit = (choice: number): number => {
    const before = store.fuseCommits;
    store.operate(choice);
    store.syncHere();
    store.run();
    expect(store.acknowledged).toBe(store.state.operations);
    return store.fuseCommits - before;
  };
  expect(commit(3)).toBe(1);
  // An object that is to be durable first.
  expect(commit(1)).toBe(0);
  expect(commit(3)).toBe(1);
  // The end of the segment, of 1,200 bytes.
  let here = 0;
  for (let i = 0; i < 30; i++) here += commit(3);
  expect(here).toBeGreaterThan(3);
  expect(here).toBeLessThan(30);
  // A disk that was slow the last time.
  let isSlow = true;
  store.disk.failing = (name, path) => {
    if (isSlow && name === 'fdatasync' && path.startsWith('log/')) store.now += 20;
    return 0;
  };
  expect(commit(3) + commit(3)).toBeLessThan(2);
  expect(commit(3)).toBe(0);
  isSlow = false;
  expect(commit(3)).toBe(0);
  expect(commit(3) + commit(3)).toBeGreaterThan(0);
  expect(store.replies.every(({ errno }) => errno === 0)).toBe(true);
});

test('an fsync that a fuse actor expects finds its commit done; with nothing to do it is answered at once', () => {
  const store = withFuse();
  store.operate(3);
  const begun = store.disk.calls;
  store.expectHere();
  expect(callsSince(store, begun)).toEqual(['pwrite', 'startWriting']);
  store.run();
  const mark = store.disk.calls;
  for (let i = 0; i < 2; i++) {
    store.syncHere();
    expect(store.replies).toHaveLength(i + 1);
  }
  expect(callsSince(store, mark)).toEqual([]);
});

test('a disk that fails in a commit of a fuse actor: all get the errno, and the store takes no more changes', () => {
  for (const call of ['pwrite', 'startWriting', 'fdatasync']) {
    const store = withFuse();
    store.disk.failing = (name, path) => (name === call && path.startsWith('log/') ? EIO : 0);
    store.operate(3);
    store.expectHere();
    store.syncHere();
    store.sync();
    store.run();
    store.disk.failing = undefined;
    store.syncHere();
    store.run();
    expect(store.replies.map(({ errno }) => errno)).toEqual([EIO, EIO, EIO]);
    expect([store.status.errno, store.writer.failure]).toEqual([EIO, EIO]);
  }
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settleLengths } from '../../actors/io/own-lengths.ts';
import * as L from '../../fuse/namespace/layout.ts';
import { ImageError, RecordError, type ReplayObserver } from '../../fuse/namespace/namespace.ts';
import { BYTES_CHANGED, LENGTH_COUNTS, TIME_CHANGED } from '../../fuse/namespace/passed.ts';
import * as records from '../../fuse/namespace/records.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { testSeed } from '../seed.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import { checkTables, listDirectory } from './compare.ts';
import { applyBytes, bytesOf, type LogRecord, World } from './world.ts';

const SEED = testSeed('fuzzed records');

function recovered(log: readonly LogRecord[], observer?: ReplayObserver): World {
  const world = World.fresh();
  world.replay(log, observer);
  world.namespace.afterRecovery(observer);
  return world;
}

describe('recovery', () => {
  it('frees a file that was removed while open, and names its object', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f');
    world.namespace.addLookup(ino, 1);
    world.namespace.attachObject(ino, world.namespace.newObjectId(), 5000);
    world.unlink(1, 'f');
    expect(world.namespace.takeDropped()).toBe(0);
    const freed: number[] = [];
    const after = recovered(world.drain(), { inodeFreed: (n, generation) => freed.push(n, generation) });
    expect(after.namespace.stat(ino, new Attr())).toBeLessThan(0);
    expect(after.namespace.takeDropped()).toBe(1);
    expect(freed).toEqual([ino, 1]);
    expect(after.namespace.nextObjectId).toBe(2);
  });

  it('forgets what the kernel held before', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f');
    world.namespace.addLookup(ino, 7);
    const after = world.reloaded({});
    after.namespace.afterRecovery();
    after.unlink(1, 'f');
    expect(after.namespace.stat(ino, new Attr())).toBeLessThan(0);
  });

  it('follows a number that was used again', () => {
    const world = World.fresh();
    const first = world.file(1, 'first', 'old');
    world.unlink(1, 'first');
    const second = world.file(1, 'second', 'new');
    expect(second).toBe(first);
    const after = recovered(world.drain());
    expect(after.lookup(1, 'first')).toBeLessThan(0);
    expect(after.stat(second).generation).toBe(2);
    expect(Buffer.from(after.read(second) as Uint8Array).toString()).toBe('new');
  });

  it('takes length and time of what was written past the log from its object, once', () => {
    const world = World.fresh();
    const { namespace } = world;
    const files = [10, 2000, 5000].map((size, i) => {
      const ino = world.file(1, `f${i}`);
      namespace.attachObject(ino, namespace.newObjectId(), size);
      return ino;
    });
    for (const ino of files) expect(namespace.passed(ino, 0, 0, 0, LENGTH_COUNTS)).toBe(0);
    const [kept, lost, closed] = files as [number, number, number];
    expect(namespace.passed(closed, 4000, 7, 8, BYTES_CHANGED | TIME_CHANGED)).toBe(0);
    const log = world.drain();
    const disk = new FaultyDisk();
    for (const directory of ['objects', 'objects/01']) disk.mkdir(directory);
    const object = disk.open('objects/01/1', 'create');
    disk.pwrite(object, Buffer.alloc(3000), 0, 3000, 0);

    const found: number[] = [];
    const after = recovered(log, { lengthCounts: (ino) => found.push(ino) });
    expect(found.sort()).toEqual([kept, lost].sort());
    const sizes = new Map<number, number>();
    after.namespace.objects((id, size) => sizes.set(id, size));
    expect([...sizes]).toEqual([
      [1, Number.POSITIVE_INFINITY],
      [2, Number.POSITIVE_INFINITY],
      [3, 4000],
    ]);
    expect(settleLengths(after.namespace, disk, found)).toBe(2);
    expect(files.map((ino) => after.stat(ino).size)).toEqual([3000, 2000, 4000]);
    expect(after.stat(closed).mtime).toBe(7);

    disk.truncate(object, 1);
    const again: number[] = [];
    const later = recovered([...log, ...after.drain()], { lengthCounts: (ino) => again.push(ino) });
    expect(again).toEqual([]);
    expect(files.map((ino) => later.stat(ino).size)).toEqual([3000, 2000, 4000]);
  });

  it('can be run again in the middle of a log, as at each mount', () => {
    const world = World.fresh();
    for (let i = 0; i < 9; i++) world.file(1, `f${i}`, 'x');
    for (let i = 0; i < 9; i += 2) world.unlink(1, `f${i}`);
    const log = [...world.drain()];
    const after = recovered(log);
    for (let i = 0; i < 9; i++) after.file(1, `g${i}`, 'y');
    const both = recovered([...log, ...after.drain()]);
    expect(listDirectory(both.namespace, 1)).toEqual(listDirectory(after.namespace, 1));
    expect(both.slab.usedBytes).toBe(after.slab.usedBytes);
    checkTables(both.tables);
  });

  it('tells the observer of vectors and of what the index computed', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f', 'text');
    const vector = new Uint8Array(Float32Array.of(1, 2).buffer);
    world.setxattr(ino, 'user.vexfs.vector', vector);
    world.namespace.setIndexed(ino, 1, 1, 1, 1, bytesOf('payload'), 0, 7);
    world.removexattr(ino, 'user.vexfs.vector');
    const seen: unknown[] = [];
    recovered(world.drain(), {
      vectorSet: (collection, n, generation, u8, start, end) =>
        seen.push(['set', collection, n, generation, u8.slice(start, end)]),
      vectorRemoved: (collection, n, generation) => seen.push(['removed', collection, n, generation]),
      indexed: (n, generation, version, u8, start, end) =>
        seen.push(['indexed', n, generation, version, u8.slice(start, end)]),
    });
    expect(seen).toEqual([
      ['set', 1, ino, 1, vector],
      ['indexed', ino, 1, 1, bytesOf('payload')],
      ['removed', 1, ino, 1],
    ]);
  });
});

describe('an image', () => {
  it('is as long as what is used, and is refused by regions that are too small', () => {
    const world = World.fresh({ inodes: 100, dentries: 100 });
    for (let i = 0; i < 50; i++) world.file(1, `f${i}`);
    expect(world.namespace.image()).toEqual([
      { name: 'namespace', bytes: 256 },
      { name: 'inodes', bytes: 52 * 128 },
      { name: 'dentries', bytes: 51 * 64 },
    ]);
    world.tables.header[L.H_INODES_END] = 102;
    expect(() => world.namespace.restored()).toThrow(ImageError);
    world.tables.header[L.H_INODES_END] = 52;
    world.tables.header[L.H_VERSION] = 99;
    expect(() => world.namespace.restored()).toThrow(/format 99/);
  });

  it('names every object with its size', () => {
    const world = World.fresh();
    world.file(1, 'inline', 'x');
    const ino = world.file(1, 'large');
    world.namespace.attachObject(ino, world.namespace.newObjectId(), 12_345);
    const seen: number[][] = [];
    world.namespace.objects((object, size) => seen.push([object, size]));
    expect(seen).toEqual([[1, 12_345]]);
  });
});

/** One of each type, and a few that build on them. */
function everyRecord(): LogRecord[] {
  const world = World.fresh();
  const d = world.directory(1, 'd');
  const f = world.file(d, 'f', 'content');
  world.symlink(d, 's', 'target');
  world.link(f, 1, 'l');
  world.rename(d, 'f', 1, 'a name that does not fit into the record');
  world.setxattr(f, 'user.vexfs.vector', new Uint8Array(Float32Array.of(1, 2).buffer));
  world.setxattr(f, 'user.a', bytesOf('value'));
  world.removexattr(f, 'user.a');
  world.namespace.createCollection('c', 3);
  world.namespace.setIndexed(f, 1, 1, 1, 1, bytesOf('vectors'), 0, 7);
  world.namespace.truncate(f, 3);
  world.setattr(f, {
    valid: 63,
    mode: 0o600,
    uid: 1,
    gid: 2,
    atime: 1,
    atimeNs: 2,
    mtime: 3,
    mtimeNs: 4,
    ctime: 5,
    ctimeNs: 6,
  });
  world.namespace.attachObject(f, world.namespace.newObjectId(), 5000);
  world.namespace.wroteObject(f, 6000);
  world.unlink(1, 'l');
  world.rmdir(1, 'd');
  return [...world.drain()];
}

describe('records that are damaged', () => {
  const log = everyRecord();

  it('there is one of each type to damage', () => {
    const types = new Set(log.map(({ type }) => type));
    expect([...types].sort((a, b) => a - b)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
    expect(types.has(records.INDEXED)).toBe(true);
  });

  it('are refused when cut short or too long', () => {
    log.forEach(({ type, payload }, i) => {
      const lengths = type === records.INDEXED ? [0, 8, 31] : [0, 8, payload.length - 1, payload.length + 8];
      for (const length of lengths) {
        const world = World.fresh({ slabMiB: 3, journalMiB: 1 });
        world.replay(log.slice(0, i));
        const damaged = new Uint8Array(length);
        damaged.set(payload.subarray(0, length));
        expect(() => applyBytes(world.namespace, type, damaged), `type ${type}, ${length}`).toThrow(
          RecordError,
        );
      }
    });
  });

  it('are applied or refused, and leave tables that hold together', () => {
    const damage = fc.record({
      record: fc.nat({ max: log.length - 1 }),
      at: fc.nat({ max: 90 }),
      value: fc.oneof(fc.constantFrom(0, 1, 2, 3, 255, 127), fc.nat({ max: 255 })),
      retype: fc.option(fc.nat({ max: 15 }), { freq: 10 }),
    });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 12, size: 'max' }), (damages) => {
        const world = World.fresh({ inodes: 64, dentries: 64, slabMiB: 3, journalMiB: 1 });
        const tampered = log.map(({ type, payload }) => ({ type, payload: payload.slice() }));
        for (const { record, at, value, retype } of damages) {
          const victim = tampered[record]!;
          victim.payload[at % victim.payload.length] = value;
          if (retype !== null) victim.type = retype;
        }
        for (const { type, payload } of tampered) {
          try {
            applyBytes(world.namespace, type, payload);
          } catch (error) {
            expect(error).toBeInstanceOf(RecordError);
          }
        }
        world.namespace.afterRecovery();
        checkTables(world.tables);
        listDirectory(world.namespace, 1);
        expect(world.file(1, 'still works', 'x')).toBeGreaterThan(1);
      }),
      { seed: SEED, numRuns: 1500 },
    );
  }, 120_000);
});

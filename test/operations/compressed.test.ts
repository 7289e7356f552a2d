import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isCompressed, KEPT_PLAIN, Place } from '../../fuse/namespace/namespace.ts';
import { decodeIndex, encodeIndex, type FrameIndex } from '../../fuse/objects/compressed-format.ts';
import { readFrameIndex } from '../../fuse/objects/compressed-objects.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { KIB } from '../../runtime/config/bounds.ts';
import { EIO, ENOSPC, ESTALE } from '../../runtime/errno.ts';
import { seeded, testSeed } from '../seed.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import { type Node, ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';

const SEED = testSeed('compressed objects');
const SIZE = 300 * KIB + 123;
const FRAME = 16 * KIB;

/** Bytes that compress to a fraction, and in which no two places look alike. */
function text(bytes: number): Buffer {
  const lines = Array.from({ length: Math.ceil(bytes / 20) }, (_, i) => `line ${i} of some text\n`);
  return Buffer.from(lines.join('')).subarray(0, bytes);
}

function noise(bytes: number): Buffer {
  const random = seeded(SEED);
  return Buffer.from(Array.from({ length: bytes }, () => random(256)));
}

interface World {
  readonly h: Harness;
  readonly disk: FaultyDisk;
  readonly file: Node;
  readonly content: Buffer;
}

/** A file whose object is compressed. */
function compressed(content = text(SIZE), frameBytes = FRAME): World {
  const disk = new FaultyDisk();
  const h = new Harness({ disk, descriptors: 4 });
  const file = ok(h.create(ROOT, 'f'));
  expect(h.write(file, 0, content)).toBe(content.length);
  expect(h.compress(file, { frameBytes })).toBe(0);
  return { h, disk, file, content };
}

function placeOf({ h, file }: Pick<World, 'h' | 'file'>): Place {
  const place = new Place();
  expect(h.namespace.locate(file.lo, place)).toBe(0);
  return place;
}

test('it is read at any offset, takes less space, and is the same file otherwise', () => {
  const world = compressed();
  const { h, file, content, disk } = world;
  const { object, stored } = placeOf(world);
  expect(isCompressed(stored)).toBe(true);
  const { blocks, size, mtime } = ok(h.getattr(file));
  expect([blocks, size, mtime]).toEqual([
    Math.ceil(disk.read(objectPath(object)).length / 4096) * 8,
    SIZE,
    1_700_000_000,
  ]);
  expect(blocks * 512).toBeLessThan(SIZE / 2);
  const random = seeded(SEED);
  for (let i = 0; i < 400; i++) {
    const from = random(SIZE + 100);
    const length = 1 + random(random(2) === 0 ? 100 : SIZE);
    expect(
      ok(h.read(file, from, length)).equals(content.subarray(from, from + length)),
      `${from} ${length}`,
    ).toBe(true);
  }
  expect(h.failures).toEqual([]);
});

test('the first change makes it plain, with all it had, and drops the compressed object', () => {
  for (const change of [
    (h: Harness, file: Node) => h.write(file, 1000, 'XYZ'),
    (h: Harness, file: Node) => h.write(file, SIZE + 5000, 'XYZ'),
    (h: Harness, file: Node) => h.truncate(file, 100_000),
    (h: Harness, file: Node) => h.truncate(file, SIZE + 9),
    (h: Harness, file: Node) => h.fallocate(file, 3, 10_000, 50_000),
  ]) {
    const plain = new Harness();
    const other = ok(plain.create(ROOT, 'f'));
    plain.write(other, 0, text(SIZE));
    change(plain, other);
    const world = compressed();
    const { object } = placeOf(world);
    change(world.h, world.file);
    expect(isCompressed(placeOf(world).stored)).toBe(false);
    expect(world.h.handed.dropped.at(-1)).toBe(object);
    expect(ok(world.h.read(world.file, 0, 2 * SIZE)).equals(ok(plain.read(other, 0, 2 * SIZE)))).toBe(true);
    expect(world.h.getattr(world.file)).toMatchObject({ size: ok(plain.getattr(other)).size });
  }
});

test('cut to nothing, it is not expanded first', () => {
  const world = compressed();
  const { object } = placeOf(world);
  expect(world.h.truncate(world.file, 0)).toBe(0);
  expect(world.h.handed.dropped).toContain(object);
  expect(world.h.getattr(world.file)).toMatchObject({ size: 0, blocks: 0 });
});

test('what was compressed from bytes that have changed since is given up', () => {
  const { h, file } = compressed();
  h.write(file, 0, 'changed');
  const { object: from, generation, version } = placeOf({ h, file });
  const to = h.namespace.newObjectId();
  h.write(file, 0, 'again');
  expect(h.content.compressed({ ino: file.lo, generation, version, from, to, stored: 3 })).toBe(-ESTALE);
  expect(h.handed.dropped.at(-1)).toBe(to);
  expect(placeOf({ h, file }).object).toBe(from);
  expect(h.content.compressed({ ino: 0, generation: 0, version: 0, from: 0, to: to + 1, stored: 3 })).toBe(
    -ESTALE,
  );
  expect(h.handed.dropped.at(-1)).toBe(to + 1);
});

test('what does not get smaller stays as it is, which is remembered until it changes', () => {
  const world = compressed(noise(60 * KIB));
  const { object, stored } = placeOf(world);
  expect([stored, world.h.handed.dropped.length]).toEqual([KEPT_PLAIN, 0]);
  expect(ok(world.h.read(world.file, 0, SIZE)).equals(world.content)).toBe(true);
  expect(world.disk.list('objects')).toHaveLength(2);
  world.h.write(world.file, 5, 'x');
  expect(placeOf(world)).toMatchObject({ object, stored: 0 });
});

test('a byte that is another one is EIO for the piece it is in, and for nothing else', () => {
  const { h, disk, file, content } = compressed();
  const path = objectPath(placeOf({ h, file }).object);
  const bytes = disk.read(path).slice();
  const index = readFrameIndex(placeOf({ h, file }).object, bytes.length, (at, length, u8) => {
    u8.set(bytes.subarray(at, at + length));
    return length;
  }) as FrameIndex;
  bytes[index.starts[3]! + 20]! ^= 4;
  const descriptor = disk.open(path, 'write');
  disk.pwrite(descriptor, bytes, 0, bytes.length, 0);
  for (let frame = 0; frame < index.frames; frame++) {
    const got = h.read(file, frame * FRAME + 5, 1000);
    if (frame === 3) expect(got).toBe(-EIO);
    else expect(ok(got).equals(content.subarray(frame * FRAME + 5).subarray(0, 1000))).toBe(true);
  }
  expect(h.write(file, 0, 'x')).toBe(-EIO);
  expect(h.truncate(file, 0)).toBe(0);
});

test('a host without space refuses the change that would expand it, and what was there stays', () => {
  const { h, disk, file, content } = compressed();
  disk.failing = (name) => (name === 'pwrite' ? ENOSPC : 0);
  expect(h.write(file, 0, 'x')).toBe(-ENOSPC);
  expect(h.truncate(file, 10)).toBe(-ENOSPC);
  disk.failing = undefined;
  expect(ok(h.read(file, 0, SIZE)).equals(content)).toBe(true);
  expect(h.write(file, 0, 'x')).toBe(1);
});

test('compressing fails at any call to the disk: nothing has changed and nothing is left', () => {
  const content = text(SIZE);
  for (let failing = 1; ; failing++) {
    const disk = new FaultyDisk();
    const h = new Harness({ disk });
    const file = ok(h.create(ROOT, 'f'));
    h.write(file, 0, content);
    let calls = 0;
    disk.failing = (name) => (name !== 'unlink' && ++calls === failing ? EIO : 0);
    const done = h.compress(file, { frameBytes: FRAME });
    disk.failing = undefined;
    if (done === 0 && calls < failing) break;
    expect(ok(h.read(file, 0, SIZE)).equals(content), `call ${failing}`).toBe(true);
    if (done === 0) continue;
    const { object } = placeOf({ h, file });
    expect(isCompressed(placeOf({ h, file }).stored)).toBe(false);
    expect(h.compress(file, { frameBytes: FRAME })).toBe(0);
    expect(h.handed.dropped).toEqual([object]);
  }
});

test('an object is what zstd reads as well', () => {
  const world = compressed();
  const folder = mkdtempSync(join(tmpdir(), 'vexfs-zstd-'));
  try {
    const file = join(folder, 'object');
    writeFileSync(file, world.disk.read(objectPath(placeOf(world).object)));
    expect(execFileSync('zstd', ['-dc', file], { maxBuffer: 1 << 24 }).equals(world.content)).toBe(true);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    console.log('skipped: zstd is not installed');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an index of any bytes is described and never believed', () => {
  const lengths = [100, 200, 300, 5];
  const good = encodeIndex(7, 3 * 1000 + 1, 1000, lengths);
  const whole = 605 + good.length;
  expect(decodeIndex(good, whole)).toMatchObject({ size: 3001, frames: 4, frameBytes: 1000 });
  const random = seeded(SEED);
  for (let i = 0; i < 20_000; i++) {
    const bytes = good.slice();
    for (let flips = 1 + random(3); flips > 0; flips--) bytes[random(bytes.length)]! ^= 1 << random(8);
    const same = Buffer.compare(bytes, good) === 0;
    const read = (at: number, length: number, u8: Uint8Array): number => {
      const from = at - 605;
      u8.set(from < 0 ? new Uint8Array(length) : bytes.subarray(from, from + length));
      return length;
    };
    expect(typeof readFrameIndex(7, whole, read)).toBe(same ? 'object' : 'string');
  }
  expect(typeof readFrameIndex(7, 10, () => 0)).toBe('string');
  expect(decodeIndex(good, whole + 1)).toMatch(/frames do not end/);
});

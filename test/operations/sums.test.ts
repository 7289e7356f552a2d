/** Checksums of large files at rest: what reading makes of damage, and what a change makes of them. */
import { expect, test, vi } from 'vitest';
import { Place } from '../../fuse/namespace/namespace.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { KIB } from '../../runtime/config/bounds.ts';
import { EIO, ENOSPC, ESTALE } from '../../runtime/errno.ts';
import { seeded, testSeed } from '../seed.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import { type Node, ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';

const SEED = testSeed('checksums of objects');
const PIECE = 64 * KIB;
const SIZE = 5 * PIECE + 123;

interface World {
  readonly h: Harness;
  readonly disk: FaultyDisk;
  readonly file: Node;
  readonly content: Buffer;
}

function world(): World {
  const disk = new FaultyDisk();
  const h = new Harness({ disk });
  const file = ok(h.create(ROOT, 'f'));
  const random = seeded(SEED);
  const content = Buffer.from(Uint32Array.from({ length: SIZE }, () => random(2 ** 31)).buffer).subarray(
    0,
    SIZE,
  );
  expect(h.write(file, 0, content)).toBe(SIZE);
  return { h, disk, file, content };
}

function summed(): World {
  const made = world();
  expect(made.h.sum(made.file)).toBe(0);
  expect(placeOf(made).hasSums).toBe(true);
  return made;
}

function placeOf({ h, file }: Pick<World, 'h' | 'file'>): Place {
  const place = new Place();
  expect(h.namespace.locate(file.lo, place)).toBe(0);
  return place;
}

/** Something happens to the object behind the store's back. */
function spoil(made: World, change: (bytes: Buffer) => Uint8Array): void {
  const path = objectPath(placeOf(made).object);
  const bytes = change(Buffer.from(made.disk.read(path)));
  const descriptor = made.disk.open(path, 'write');
  made.disk.truncate(descriptor, bytes.length);
  made.disk.pwrite(descriptor, bytes, 0, bytes.length, 0);
  made.disk.close(descriptor);
}

test('it is read at any offset as before, and none of it is called damaged', () => {
  const { h, file, content } = summed();
  const random = seeded(SEED);
  for (let i = 0; i < 300; i++) {
    const from = random(SIZE + 100);
    const length = 1 + random(random(2) === 0 ? 100 : SIZE);
    const got = ok(h.read(file, from, length));
    expect(got.equals(content.subarray(from, from + length)), `${from} ${length}`).toBe(true);
  }
  expect(h.handed.damaged).toEqual([]);
});

test('a flipped bit is EIO for the piece it is in, is told of, and is nothing to the others', () => {
  const made = summed();
  const { h, file, content } = made;
  const at = seeded(SEED)(SIZE);
  spoil(made, (bytes) => {
    bytes[at]! ^= 16;
    return bytes;
  });
  for (let piece = 0; piece < 6; piece++) {
    const from = piece * PIECE + 5;
    const got = h.read(file, from, 100);
    if (piece === Math.floor(at / PIECE)) expect(got).toBe(-EIO);
    else expect(ok(got).equals(content.subarray(from, from + 100))).toBe(true);
  }
  expect(h.read(file, 0, SIZE)).toBe(-EIO);
  expect(h.handed.damaged).toMatchObject([{ ino: file.lo }, { ino: file.lo, position: 0 }]);
});

test('what has agreed is compared again after a minute', () => {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(1000);
  try {
    const made = summed();
    const { h, file, content } = made;
    expect(ok(h.read(file, 10, 100)).equals(content.subarray(10, 110))).toBe(true);
    spoil(made, (bytes) => {
      bytes[PIECE - 1]! ^= 1;
      return bytes;
    });
    expect(ok(h.read(file, 500, 100)).equals(content.subarray(500, 600))).toBe(true);
    clock.mockReturnValue(62_000);
    expect(h.read(file, 500, 100)).toBe(-EIO);
  } finally {
    clock.mockRestore();
  }
});

test('a shortened object is EIO from where it ends on, not zeros', () => {
  const made = summed();
  const { h, file, content } = made;
  spoil(made, (bytes) => bytes.subarray(0, 2 * PIECE + 7));
  expect(ok(h.read(file, 0, 2 * PIECE)).equals(content.subarray(0, 2 * PIECE))).toBe(true);
  for (const from of [2 * PIECE, 3 * PIECE + 1, SIZE - 3]) expect(h.read(file, from, 3)).toBe(-EIO);
});

test('a change takes them away, after the log has said so durably and before a byte of the object changes', () => {
  for (const change of [
    (h: Harness, file: Node) => h.write(file, 1000, 'XYZ'),
    (h: Harness, file: Node) => h.write(file, SIZE + 5000, 'XYZ'),
    (h: Harness, file: Node) => h.truncate(file, 100_000),
    (h: Harness, file: Node) => h.truncate(file, SIZE + 9),
    (h: Harness, file: Node) => h.fallocate(file, 3, 10_000, 50_000),
  ]) {
    const { h, disk, file } = summed();
    const { namespace } = h;
    const order: string[] = [];
    const wait = namespace.waitUntilDurable.bind(namespace);
    namespace.waitUntilDurable = () => {
      order.push('durable');
      return wait();
    };
    disk.failing = (name) => {
      if (name === 'pwrite' || name === 'truncate' || name === 'punch') order.push('changed');
      return 0;
    };
    change(h, file);
    expect(order[0]).toBe('durable');
    expect(placeOf({ h, file }).hasSums).toBe(false);
    expect(h.sum(file)).toBe(0);
    expect(h.read(file, 0, 2 * SIZE)).toEqual(expect.any(Buffer));
    expect(h.slab.usedBytes).toBeGreaterThan(0);
  }
});

test('what changes nothing of the bytes leaves them; the end of the file ends them', () => {
  const { h, file } = summed();
  const before = h.slab.usedBytes;
  expect(h.sum(file)).toBe(0);
  expect(h.slab.usedBytes).toBe(before);
  h.setxattr(file, 'user.a', Buffer.from('x'));
  h.rename(ROOT, 'f', ROOT, 'g');
  expect(placeOf({ h, file }).hasSums).toBe(true);
  expect(h.truncate(file, 0)).toBe(0);
  expect(placeOf({ h, file }).hasSums).toBe(false);
});

test('checksums of bytes that have changed since are refused, also when the change has failed', () => {
  const made = world();
  const { h, disk, file } = made;
  expect(h.sum(file, () => h.write(file, 5, 'x'))).toBe(-ESTALE);
  expect(h.sum(file, () => h.truncate(file, 0))).toBe(-ESTALE);
  h.write(file, 0, made.content);
  const failed = h.sum(file, () => {
    disk.failing = (name) => (name === 'pwrite' ? ENOSPC : 0);
    expect(h.write(file, 5, 'x')).toBe(-ENOSPC);
    disk.failing = undefined;
  });
  expect(failed).toBe(-ESTALE);
  expect(h.sum(file)).toBe(0);
});

test('staged checksums of another file are not taken for this one’s', () => {
  const { h, file } = world();
  const sums = Uint32Array.of(1, 2, 3);
  const crc = h.staged.stage(sums);
  expect(h.staged.take(3, crc)).toEqual(new Uint8Array(sums.buffer));
  h.staged.stage(Uint32Array.of(1, 2, 4));
  expect(h.staged.take(3, crc)).toBeUndefined();
  expect(h.sum(file)).toBe(0);
});

test('a compressed object takes its place without them', () => {
  const { h, file } = summed();
  h.write(file, 0, Buffer.alloc(SIZE, 'abc'));
  expect(h.sum(file)).toBe(0);
  expect(h.compress(file, {})).toBe(0);
  expect(placeOf({ h, file }).hasSums).toBe(false);
  expect(ok(h.read(file, 0, SIZE)).equals(Buffer.alloc(SIZE, 'abc'))).toBe(true);
});

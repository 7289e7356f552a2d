import { expect, test } from 'vitest';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { deleteSegments, readSegments, SegmentWriter } from '../../actors/text-segment.ts';
import { shardOf } from '../../actors/topology.ts';
import { EIO } from '../../runtime/errno.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';

const FILES = 40;
const batchOf = (ino: number): Uint8Array =>
  encodeChunkBatch(
    ino,
    0,
    Array.from({ length: 1 + (ino % 3) }, (_, i) => ({
      byteOffset: i,
      byteLength: ino,
      line: 1,
      vector: Float32Array.from([ino, i, 1]),
    })),
    3,
  );

/** The segments of all shards of a store with FILES files. */
function write(disk: FaultyDisk, lsn: number, shards: number, files = FILES): void {
  for (let shard = 0; shard < shards; shard++) {
    const writer = new SegmentWriter(disk, lsn, shard, shards);
    for (let ino = 1; ino <= files; ino++) {
      if (shardOf(ino, shards) === shard) writer.add(ino, ino * 2, batchOf(ino));
    }
    expect(writer.finish()).toBe(0);
  }
}

/** What a shard gets to see: inode → bytes, or undefined when the segments are incomplete. */
function read(
  disk: FaultyDisk,
  lsn: number,
  shard: number,
  shards: number,
): Map<number, Uint8Array> | undefined {
  const seen = new Map<number, Uint8Array>();
  const complete = readSegments(disk, lsn, shard, shards, (ino, generation, u8, offset, length) => {
    expect(generation).toBe(ino * 2);
    if (shardOf(ino, shards) === shard) seen.set(ino, u8.slice(offset, offset + length));
  });
  return complete ? seen : undefined;
}

function expectAll(disk: FaultyDisk, lsn: number, shards: number): void {
  const seen = Array.from({ length: shards }, (_, shard) => [...read(disk, lsn, shard, shards)!]).flat();
  expect(seen.map(([ino]) => ino).sort((a, b) => a - b)).toEqual(
    Array.from({ length: FILES }, (_, i) => i + 1),
  );
  for (const [ino, bytes] of seen) {
    const batch = batchOf(ino);
    expect(bytes.subarray(0, batch.length)).toEqual(batch);
  }
}

test.each([
  [1, 1],
  [3, 3],
  [4, 2],
  [2, 5],
  [1, 3],
  [3, 1],
])('segments written by %i shards give %i shards every file once', (before, after) => {
  const disk = new FaultyDisk();
  write(disk, 7, before);
  expectAll(disk, 7, after);
});

test('segments of another LSN, a missing one, and none at all are incomplete', () => {
  const disk = new FaultyDisk();
  write(disk, 7, 2);
  expect(read(disk, 8, 0, 2)).toBeUndefined();
  disk.unlink('vectors/00000000000007-1.seg');
  expect(read(disk, 7, 1, 2)).toBeUndefined();
  expect(read(disk, 7, 2, 3)).toBeUndefined();
  expect(read(new FaultyDisk(), 7, 0, 1)).toBeUndefined();
});

/** The one segment, changed by `damage`. */
function damaged(damage: (bytes: Uint8Array) => Uint8Array): FaultyDisk {
  const disk = new FaultyDisk();
  write(disk, 7, 1, 4);
  const path = 'vectors/00000000000007-0.seg';
  const status = disk.stat(path);
  if (typeof status === 'number') throw new Error('no segment');
  const bytes = new Uint8Array(status.bytes);
  const descriptor = disk.open(path, 'read');
  disk.pread(descriptor, bytes, 0, bytes.length, 0);
  disk.close(descriptor);
  disk.unlink(path);
  const changed = damage(bytes);
  const to = disk.open(path, 'create');
  disk.pwrite(to, changed, 0, changed.length, 0);
  disk.close(to);
  return disk;
}

test('a segment that ends early anywhere is incomplete, and what it yields is right', () => {
  let length = 0;
  damaged((bytes) => {
    length = bytes.length;
    return bytes;
  });
  // The record of length 0 at the end is 8 zero bytes, of which one will do.
  for (let cut = 0; cut <= length - 8; cut++)
    expect(
      read(
        damaged((bytes) => bytes.slice(0, cut)),
        7,
        0,
        1,
      ),
    ).toBeUndefined();
});

test('a flipped bit is found, or changes nothing that is used', () => {
  const whole = read(
    damaged((bytes) => bytes),
    7,
    0,
    1,
  )!;
  let length = 0;
  damaged((bytes) => {
    length = bytes.length;
    return bytes;
  });
  for (let bit = 0; bit < length * 8; bit += 5) {
    const seen = read(
      damaged((bytes) => {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        return bytes;
      }),
      7,
      0,
      1,
    );
    if (seen) expect(seen).toEqual(whole);
  }
});

test('a segment whose write, sync or rename fails is not there, and the error is told', () => {
  for (const call of ['pwrite', 'fdatasync', 'rename']) {
    const disk = new FaultyDisk();
    disk.failing = (name) => (name === call ? EIO : 0);
    const writer = new SegmentWriter(disk, 7, 0, 1);
    writer.add(1, 2, batchOf(1));
    expect(writer.finish(), call).toBe(-EIO);
    disk.failing = undefined;
    expect(read(disk, 7, 0, 1), call).toBeUndefined();
  }
});

test('shards together delete the segments of all other LSNs, also those of more shards than there are', () => {
  const disk = new FaultyDisk();
  write(disk, 5, 4);
  write(disk, 6, 2);
  write(disk, 7, 2);
  disk.close(disk.open('vectors/00000000000008-3.seg.tmp', 'create'));
  deleteSegments(disk, new Set([5, 7]));
  const left = disk.list('vectors') as string[];
  expect(left.sort()).toEqual([
    ...[0, 1, 2, 3].map((shard) => `00000000000005-${shard}.seg`),
    ...[0, 1].map((shard) => `00000000000007-${shard}.seg`),
  ]);
  deleteSegments(disk, new Set([7]));
  expect((disk.list('vectors') as string[]).length).toBe(2);
});

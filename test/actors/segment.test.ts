import { expect, test } from 'vitest';
import { CHUNKS_PER_BATCH, ChunkBatch, encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { deleteSegments, readSegments, SegmentWriter } from '../../actors/text-segment.ts';
import { shardOf } from '../../actors/topology.ts';
import { crc32c } from '../../kernels/codec/crc32c.ts';
import type { VectorForm } from '../../kernels/codec/vector-block.ts';
import { EIO } from '../../runtime/errno.ts';
import { Random } from '../kernels/random.ts';
import { testSeed } from '../seed.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';

const SEED = testSeed('segments', 17);

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

function contents(disk: FaultyDisk, path: string): Uint8Array {
  const status = disk.stat(path);
  if (typeof status === 'number') throw new Error(`no ${path}`);
  const bytes = new Uint8Array(status.bytes);
  const descriptor = disk.open(path, 'read');
  disk.pread(descriptor, bytes, 0, bytes.length, 0);
  disk.close(descriptor);
  return bytes;
}

/** Replaces the file by `bytes`. */
function overwrite(disk: FaultyDisk, path: string, bytes: Uint8Array): void {
  disk.unlink(path);
  const descriptor = disk.open(path, 'create');
  disk.pwrite(descriptor, bytes, 0, bytes.length, 0);
  disk.close(descriptor);
}

/** The one segment, changed by `damage`. */
function damaged(damage: (bytes: Uint8Array) => Uint8Array): FaultyDisk {
  const disk = new FaultyDisk();
  write(disk, 7, 1, 4);
  const path = 'vectors/00000000000007-0.seg';
  overwrite(disk, path, damage(contents(disk, path)));
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

test('a flipped bit is found wherever it is', () => {
  let length = 0;
  damaged((bytes) => {
    length = bytes.length;
    return bytes;
  });
  for (let bit = 0; bit < length * 8; bit += 11) {
    const seen = read(
      damaged((bytes) => {
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        return bytes;
      }),
      7,
      0,
      1,
    );
    expect(seen, `bit ${bit}`).toBeUndefined();
  }
});

/** A segment as version 1 wrote it. */
function versionOne(lsn: number, shards: number, inodes: readonly number[]): Uint8Array {
  const header = new Uint8Array(64);
  header.set(new TextEncoder().encode('VXVECS01'));
  new Float64Array(header.buffer)[1] = lsn;
  new Uint32Array(header.buffer).set([0, shards], 4);
  const records = inodes.map((ino) => {
    const batch = batchOf(ino);
    const record = new Uint8Array(16 + ((batch.length + 7) & ~7));
    record.set(batch, 16);
    const words = new Uint32Array(record.buffer);
    words.set([record.length - 8, 0, ino, ino * 2]);
    words[1] = crc32c(record, 8, record.length);
    return record;
  });
  return Buffer.concat([header, ...records, new Uint8Array(8)]);
}

test('a segment of version 1 is read, and found out wherever it ends early', () => {
  const bytes = versionOne(7, 1, [1, 2, 3, 4]);
  const disk = new FaultyDisk();
  disk.mkdir('vectors');
  const path = 'vectors/00000000000007-0.seg';
  overwrite(disk, path, bytes);
  const seen = read(disk, 7, 0, 1)!;
  expect([...seen.keys()]).toEqual([1, 2, 3, 4]);
  for (const [ino, batch] of seen) expect(batch.subarray(0, batchOf(ino).length)).toEqual(batchOf(ino));
  for (let cut = 0; cut < bytes.length; cut++) {
    overwrite(disk, path, bytes.slice(0, cut));
    expect(read(disk, 7, 0, 1)).toBeUndefined();
  }
});

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => Object.is(x, b[i]));
}

/** Many chunks of many files, in batches that do not fit the blocks, several windows of it. */
function writeLarge(disk: FaultyDisk, form?: VectorForm): Map<number, Float32Array[]> {
  const random = new Random(3);
  const files = new Map<number, Float32Array[]>();
  const writer = new SegmentWriter(disk, 7, 0, 1, form);
  for (let ino = 1; ino <= 60; ino++) {
    const vectors = Array.from({ length: 1 + random.below(100) }, () => random.vector(700));
    files.set(ino, vectors);
    for (let first = 0; first < vectors.length; first += CHUNKS_PER_BATCH) {
      const chunks = vectors
        .slice(first, first + CHUNKS_PER_BATCH)
        .map((vector, i) => ({ byteOffset: (first + i) * 10, byteLength: ino, line: first + i + 1, vector }));
      writer.add(ino, ino * 2, encodeChunkBatch(ino + 5, first, chunks, 700));
    }
  }
  expect(writer.finish()).toBe(0);
  return files;
}

test('a segment larger than what is read at once gives every chunk once, in order, to the bit', () => {
  const disk = new FaultyDisk();
  const files = writeLarge(disk);
  const next = new Map<number, number>();
  const batch = new ChunkBatch();
  const isWhole = readSegments(disk, 7, 0, 1, (ino, generation, u8, offset, length) => {
    expect(batch.read(u8, offset, length)).toBe(true);
    expect([generation, batch.version, batch.firstChunk]).toEqual([ino * 2, ino + 5, next.get(ino) ?? 0]);
    for (let i = 0; i < batch.count; i++) {
      const chunk = batch.firstChunk + i;
      expect([batch.byteOffset(i), batch.byteLength(i), batch.line(i)]).toEqual([chunk * 10, ino, chunk + 1]);
      expect(isSame(batch.vector(i), files.get(ino)![chunk]!)).toBe(true);
    }
    next.set(ino, batch.firstChunk + batch.count);
  });
  expect(isWhole).toBe(true);
  expect([...next]).toEqual([...files].map(([ino, { length }]) => [ino, length]));
});

test('int8 with a residual makes a segment smaller than exact, and vectors nearly the same', () => {
  const sizes = (['plain', 'exact', 'int8+16', 'int8'] as const).map((form) => {
    const disk = new FaultyDisk();
    const files = writeLarge(disk, form);
    const batch = new ChunkBatch();
    readSegments(disk, 7, 0, 1, (ino, _, u8, offset, length) => {
      batch.read(u8, offset, length);
      const original = files.get(ino)![batch.firstChunk]!;
      const tolerance = form === 'int8' ? 0.02 : form === 'int8+16' ? 1e-6 : 0;
      batch.vector(0).forEach((x, i) => {
        if (Math.abs(x - original[i]!) > tolerance) expect(x, form).toBe(original[i]!);
      });
    });
    const status = disk.stat('vectors/00000000000007-0.seg');
    return typeof status === 'number' ? 0 : status.bytes;
  });
  const [plain, exact, fine, coarse] = sizes as [number, number, number, number];
  expect(exact / plain).toBeLessThan(0.85);
  expect(fine / plain).toBeLessThan(0.78);
  expect(coarse / plain).toBeLessThan(0.27);
});

test(`bytes of chance in a large segment are found, and what was read before them is right (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const whole = new FaultyDisk();
  const files = writeLarge(whole);
  const path = 'vectors/00000000000007-0.seg';
  const bytes = contents(whole, path);
  const batch = new ChunkBatch();
  for (let round = 0; round < 10; round++) {
    const changed = random.below(2) ? bytes.slice(0, random.below(bytes.length)) : bytes.slice();
    const isCut = changed.length < bytes.length;
    const at = isCut ? changed.length : random.below(changed.length);
    if (!isCut) changed[at]! ^= 1 + random.below(255);
    const disk = new FaultyDisk();
    disk.mkdir('vectors');
    overwrite(disk, path, changed);
    const isWhole = readSegments(disk, 7, 0, 1, (ino, _, u8, offset, length, position) => {
      expect(position).toBeLessThanOrEqual(at);
      batch.read(u8, offset, length);
      expect(isSame(batch.vector(0), files.get(ino)![batch.firstChunk]!)).toBe(true);
    });
    expect(isWhole, `${changed.length} of ${bytes.length} bytes, ${at}`).toBe(false);
  }
});

test('a record whose checksum is right and whose content is not a block is refused', () => {
  const disk = new FaultyDisk();
  write(disk, 7, 1, 4);
  const path = 'vectors/00000000000007-0.seg';
  const bytes = contents(disk, path);
  const words = new Uint32Array(bytes.buffer);
  const length = words[16]!;
  const random = new Random(SEED);
  for (let round = 0; round < 300; round++) {
    const changed = bytes.slice();
    for (let i = 0; i < 1 + random.below(3); i++) {
      changed[72 + random.below(random.below(2) ? 8 : length)] = random.below(256);
    }
    new Uint32Array(changed.buffer)[17] = crc32c(changed, 72, 72 + length);
    overwrite(disk, path, changed);
    const seen: number[] = [];
    const isWhole = readSegments(disk, 7, 0, 1, (ino) => seen.push(ino));
    expect(seen.length).toBe(isWhole ? 4 : 0);
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

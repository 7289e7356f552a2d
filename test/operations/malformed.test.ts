import { expect, test } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { EFBIG, EINVAL, EIO, ENAMETOOLONG } from '../../runtime/errno.ts';
import { seeded, testSeed } from '../seed.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import { ok, ROOT, strings, words } from './encoding.ts';
import { Harness } from './harness.ts';

/** What the server answers to a message that cannot be decoded. */
const UNDECODABLE = -EIO;
/** More of them: VEXFS_FUZZ=5000000. */
const MESSAGES = Number(process.env.VEXFS_FUZZ ?? 100_000);

test('names without a NUL, of no bytes or of very many are refused', () => {
  const h = new Harness();
  expect(h.call(abi.FUSE_LOOKUP, ROOT, Buffer.from('no terminator')).error).toBe(UNDECODABLE);
  expect(h.call(abi.FUSE_LOOKUP, ROOT, Buffer.alloc(0)).error).toBe(UNDECODABLE);
  expect(h.call(abi.FUSE_LOOKUP, ROOT, strings('')).error).toBe(UNDECODABLE);
  expect(h.call(abi.FUSE_RENAME2, ROOT, Buffer.concat([words(1, 0, 0, 0), strings('one')])).error).toBe(
    UNDECODABLE,
  );
  for (const length of [256, 4096, 1 << 20]) {
    expect(h.lookup(ROOT, 'n'.repeat(length))).toBe(-ENAMETOOLONG);
    expect(h.create(ROOT, 'n'.repeat(length))).toBe(-ENAMETOOLONG);
  }
});

test('a body cut off anywhere is refused', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const bodies: [number, Buffer][] = [
    [abi.FUSE_SETATTR, Buffer.alloc(abi.SETATTR_IN_BYTES)],
    [abi.FUSE_READ, Buffer.alloc(abi.READ_IN_BYTES)],
    [abi.FUSE_FALLOCATE, Buffer.alloc(abi.FALLOCATE_IN_BYTES)],
    [abi.FUSE_CREATE, Buffer.concat([Buffer.alloc(abi.CREATE_IN_BYTES), strings('x')])],
    [abi.FUSE_SETXATTR, Buffer.concat([words(3, 0, 0, 0), strings('user.a'), Buffer.from('abc')])],
    [abi.FUSE_IOCTL, Buffer.concat([words(0, 0, 0, abi.FS_IOC_SETFLAGS, 0, 0, 4, 0), words(0)])],
    [abi.FUSE_COPY_FILE_RANGE, Buffer.alloc(abi.COPY_FILE_RANGE_IN_BYTES)],
    [abi.FUSE_TMPFILE, Buffer.concat([Buffer.alloc(abi.CREATE_IN_BYTES), strings('/')])],
    [abi.FUSE_WRITE, Buffer.concat([words(0, 0, 0, 0, 5, 0, 0, 0, 0, 0), Buffer.from('12345')])],
  ];
  for (const [opcode, body] of bodies) {
    for (let length = 0; length < body.length; length++) {
      expect(h.call(opcode, file, body.subarray(0, length)).error).toBe(UNDECODABLE);
    }
  }
  expect(h.names(ROOT)).toEqual(['a']);
  expect(ok(h.getattr(file)).size).toBe(0);
});

test('sizes beyond the message are refused', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const write = Buffer.alloc(44);
  write.writeUInt32LE(0xffff_ffff, abi.WRITE_IN_SIZE);
  expect(h.call(abi.FUSE_WRITE, file, write).error).toBe(UNDECODABLE);
  const xattr = Buffer.concat([words(0xffff_ffff, 0, 0, 0), strings('user.a'), Buffer.from('abc')]);
  expect(h.call(abi.FUSE_SETXATTR, file, xattr).error).toBe(UNDECODABLE);
  expect(h.call(abi.FUSE_BATCH_FORGET, ROOT, words(0x1000_0001, 0, 1, 0, 1, 0)).error).toBeUndefined();
  expect(h.read(file, 0, 0x7fff_ffff)).toBe(-EINVAL);
});

/** In memory, where a hole takes as much as anything else. */
class SmallDisk extends FaultyDisk {
  override pwrite(fd: number, u8: Uint8Array, start: number, length: number, position: number): number {
    return position > 64 * MIB ? -EFBIG : super.pwrite(fd, u8, start, length, position);
  }
}

/** Answered by others, or not at all. */
const LATER = new Set([
  abi.FUSE_FSYNC,
  abi.FUSE_FSYNCDIR,
  abi.FUSE_SYNCFS,
  abi.FUSE_LOOKUP,
  abi.FUSE_INTERRUPT,
]);

test('a hundred thousand damaged messages: an answer each, no throw, and the tree still works', () => {
  const seed = testSeed('damaged messages', 20_261_122);
  const below = seeded(seed);
  const h = new Harness({ maxInodes: 4096, disk: new SmallDisk() });
  ok(h.create(ROOT, 'witness'));
  const sample = Buffer.concat([words(1, 0, 8, 0), strings('ab', 'cd', 'user.vexfs.vector', '.vexfs')]);
  const never = new Set([abi.FUSE_FORGET, abi.FUSE_BATCH_FORGET, abi.FUSE_INIT]);
  for (let n = 0; n < MESSAGES; n++) {
    const opcode = below(60);
    // FORGET of what was never given is a bug of the kernel, and asserted against.
    if (never.has(opcode)) continue;
    const body = Buffer.alloc(below(140));
    sample.copy(body, below(100));
    for (let i = below(6); i > 0 && body.length > 0; i--) body[below(body.length)] = below(256);
    const hi = [0, 0, 0, 1, 2, 5, 0x7fff_0000, 0x7fff_0001, 0x7fff_0002, 0xffff_ffff][below(10)]!;
    const { error } = h.call(opcode, { lo: below(8), hi }, body, { uid: below(3) });
    const isLater = LATER.has(opcode);
    if (!isLater && error === undefined) throw new Error(`seed ${seed}: no answer to opcode ${opcode}`);
  }
  if (h.failures.length > 0) throw new Error(`seed ${seed}: ${String(h.failures[0])}`);
  expect(h.names(ROOT).length).toBeGreaterThan(0);
  expect(ok(h.mkdir(ROOT, 'still works')).hi).toBe(0);
}, 3_600_000);

import { expect, test } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { FOREVER } from '../../fuse/protocol/reply.ts';
import {
  EEXIST,
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  ESTALE,
} from '../../runtime/errno.ts';
import { concat, entryAt, ok, ROOT, strings, words } from './encoding.ts';
import { Harness } from './harness.ts';

test('a missing name is answered with a negative entry that the kernel may keep', () => {
  const h = new Harness();
  const entry = ok(h.lookup(ROOT, 'nothing'));
  expect([entry.lo, entry.hi, entry.entryValid]).toEqual([0, 0, FOREVER]);
});

test('create answers an entry and an open reply with handle 0 that keeps the cache', () => {
  const h = new Harness();
  const body = concat(words(0o101, 0o640, 0, 0), strings('a'));
  const answer = h.call(abi.FUSE_CREATE, ROOT, body, { uid: 7, gid: 8 });
  expect(answer.error).toBe(0);
  expect(answer.body.length).toBe(abi.ENTRY_OUT_BYTES + abi.OPEN_OUT_BYTES);
  const entry = entryAt(answer.body, 0);
  expect(entry.attr).toMatchObject({ mode: abi.S_IFREG | 0o640, uid: 7, gid: 8, nlink: 1, size: 0 });
  expect([entry.entryValid, entry.attrValid]).toEqual([FOREVER, FOREVER]);
  const open = answer.body.subarray(abi.ENTRY_OUT_BYTES);
  expect(open.readBigUInt64LE(0)).toBe(0n);
  expect(open.readUInt32LE(abi.OPEN_OUT_OPEN_FLAGS)).toBe(abi.FOPEN_KEEP_CACHE);
});

test('create of a name that exists opens it, or is EEXIST with O_EXCL', () => {
  const h = new Harness();
  const first = ok(h.create(ROOT, 'a'));
  expect(h.create(ROOT, 'a')).toBe(-EEXIST);
  const again = ok(h.create(ROOT, 'a', 0o600, 0o100));
  expect(again.lo).toBe(first.lo);
  expect(again.attr.mode).toBe(abi.S_IFREG | 0o644);
});

test('mkdir, mknod and symlink make what they say', () => {
  const h = new Harness();
  expect(ok(h.mkdir(ROOT, 'd', 0o1750)).attr).toMatchObject({ mode: abi.S_IFDIR | 0o1750, nlink: 2 });
  expect(ok(h.mknod(ROOT, 'p', abi.S_IFIFO | 0o600)).attr.mode).toBe(abi.S_IFIFO | 0o600);
  expect(ok(h.mknod(ROOT, 'c', abi.S_IFCHR | 0o600, 0x0103)).attr).toMatchObject({
    mode: abi.S_IFCHR | 0o600,
    rdev: 0x0103,
  });
  expect(h.mknod(ROOT, 'x', abi.S_IFDIR | 0o700)).toBe(-EPERM);
  const link = ok(h.symlink(ROOT, 's', '../else where'));
  expect(link.attr).toMatchObject({ mode: abi.S_IFLNK | 0o777, size: 13 });
  expect(h.readlink(link)).toBe('../else where');
  expect(h.readlink(ok(h.lookup(ROOT, 'd')))).toBe(-EINVAL);
});

test('names below a file are ENOTDIR', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'f'));
  expect(h.create(file, 'x')).toBe(-ENOTDIR);
  expect(h.lookup(file, 'x')).toBe(-ENOTDIR);
});

test('a name of 255 bytes is taken, one of 256 is ENAMETOOLONG everywhere', () => {
  const h = new Harness();
  const longest = 'n'.repeat(255);
  const long = 'n'.repeat(256);
  const file = ok(h.create(ROOT, longest));
  expect(ok(h.lookup(ROOT, longest)).lo).toBe(file.lo);
  expect(h.lookup(ROOT, long)).toBe(-ENAMETOOLONG);
  expect(h.create(ROOT, long)).toBe(-ENAMETOOLONG);
  expect(h.mkdir(ROOT, long)).toBe(-ENAMETOOLONG);
  expect(h.symlink(ROOT, long, 't')).toBe(-ENAMETOOLONG);
  expect(h.link(file, ROOT, long)).toBe(-ENAMETOOLONG);
  expect(h.unlink(ROOT, long)).toBe(-ENAMETOOLONG);
  expect(h.rmdir(ROOT, long)).toBe(-ENAMETOOLONG);
  expect(h.rename(ROOT, longest, ROOT, long)).toBe(-ENAMETOOLONG);
  expect(h.symlink(ROOT, 's', 't'.repeat(4096))).toBe(-ENAMETOOLONG);
});

test('names with a slash, and dots as new names, are refused', () => {
  const h = new Harness();
  expect(h.create(ROOT, 'a/b')).toBe(-EINVAL);
  expect(h.mkdir(ROOT, '.')).toBe(-EEXIST);
  expect(h.rmdir(ROOT, '..')).toBeLessThan(0);
});

test('link adds a name and unlink of one leaves the other', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  expect(ok(h.link(file, ROOT, 'b')).attr.nlink).toBe(2);
  expect(h.link(file, ROOT, 'b')).toBe(-EEXIST);
  expect(h.unlink(ROOT, 'a')).toBe(0);
  expect(h.handed.gone).toEqual([]);
  expect(ok(h.getattr(file)).nlink).toBe(1);
  const directory = ok(h.mkdir(ROOT, 'd'));
  expect(h.link(directory, ROOT, 'e')).toBe(-EPERM);
});

test('unlink and rmdir refuse what is not theirs', () => {
  const h = new Harness();
  const directory = ok(h.mkdir(ROOT, 'd'));
  ok(h.create(directory, 'f'));
  expect(h.unlink(ROOT, 'd')).toBe(-EISDIR);
  expect(h.rmdir(ROOT, 'd')).toBe(-ENOTEMPTY);
  expect(h.rmdir(directory, 'f')).toBe(-ENOTDIR);
  expect(h.unlink(ROOT, 'none')).toBe(-ENOENT);
  expect(h.unlink(directory, 'f')).toBe(0);
  expect(h.rmdir(ROOT, 'd')).toBe(0);
  expect(ok(h.lookup(ROOT, 'd')).lo).toBe(0);
});

test('an unlinked file lives until the kernel forgets it, and is reported removed at once', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  ok(h.lookup(ROOT, 'a'));
  h.write(file, 0, 'still here');
  expect(h.unlink(ROOT, 'a')).toBe(0);
  expect(h.handed.gone).toEqual([{ ino: file.lo, generation: file.generation }]);
  expect(ok(h.getattr(file)).nlink).toBe(0);
  h.forget(file, 1);
  expect(ok(h.read(file, 0, 100)).toString()).toBe('still here');
  h.forget(file, 1);
  expect(h.getattr(file)).toBeLessThan(0);
  expect(h.namespace.exists(file.lo, file.generation)).toBe(false);
});

test('a node that somebody has a handle of is found by "." and its directory by "..", until it is gone', () => {
  const h = new Harness();
  const directory = ok(h.mkdir(ROOT, 'd'));
  const nodes = [directory, ok(h.create(directory, 'f')), ok(h.symlink(directory, 's', 't'))];
  for (const node of nodes) {
    h.forget(node, 1);
    expect(ok(h.lookup(node, '.'))).toMatchObject({ lo: node.lo, generation: node.generation });
  }
  expect(ok(h.lookup(directory, '..')).lo).toBe(ROOT.lo);
  h.unlink(directory, 'f');
  expect(h.lookup(nodes[1]!, '.'), 'nobody can have it open who has to look for it').toBe(-ESTALE);
  h.forget(nodes[1]!, 1);
  for (const lo of [nodes[1]!.lo, 0, 4_000_000_000]) expect(h.lookup({ lo, hi: 0 }, '.')).toBe(-ESTALE);
  const successor = ok(h.create(directory, 'g'));
  expect(successor.lo).toBe(nodes[1]!.lo);
  expect(ok(h.lookup(successor, '.')).generation).toBe(nodes[1]!.generation + 1);
});

test('batch forget gives back each count', () => {
  const h = new Harness();
  const a = ok(h.create(ROOT, 'a'));
  const b = ok(h.create(ROOT, 'b'));
  ok(h.lookup(ROOT, 'b'));
  h.unlink(ROOT, 'a');
  h.unlink(ROOT, 'b');
  const answer = h.call(abi.FUSE_BATCH_FORGET, ROOT, words(2, 0, a.lo, a.hi, 1, 0, b.lo, b.hi, 2, 0));
  expect(answer.error).toBeUndefined();
  expect(h.getattr(a)).toBeLessThan(0);
  expect(h.getattr(b)).toBeLessThan(0);
});

test('a reply the kernel did not take leaves no lookup behind', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  ok(h.lookup(ROOT, 'a'));
  h.operations.undelivered(h.request, h.reply);
  h.unlink(ROOT, 'a');
  h.forget(file, 1);
  expect(h.getattr(file)).toBeLessThan(0);
});

test('rename replaces, and reports what it replaced', () => {
  const h = new Harness();
  const a = ok(h.create(ROOT, 'a'));
  const b = ok(h.create(ROOT, 'b'));
  expect(h.rename(ROOT, 'a', ROOT, 'b')).toBe(0);
  expect(h.handed.gone).toEqual([{ ino: b.lo, generation: b.generation }]);
  expect(ok(h.lookup(ROOT, 'b')).lo).toBe(a.lo);
  expect(ok(h.lookup(ROOT, 'a')).lo).toBe(0);
});

test('rename with NOREPLACE, EXCHANGE and unknown flags', () => {
  const h = new Harness();
  const a = ok(h.create(ROOT, 'a'));
  const d = ok(h.mkdir(ROOT, 'd'));
  expect(h.rename(ROOT, 'a', ROOT, 'd', abi.RENAME_NOREPLACE)).toBe(-EEXIST);
  expect(h.rename(ROOT, 'a', ROOT, 'd')).toBe(-EISDIR);
  expect(h.rename(ROOT, 'a', ROOT, 'd', abi.RENAME_EXCHANGE)).toBe(0);
  expect(h.handed.gone).toEqual([]);
  expect(ok(h.lookup(ROOT, 'a')).lo).toBe(d.lo);
  expect(ok(h.lookup(ROOT, 'd')).lo).toBe(a.lo);
  expect(h.rename(ROOT, 'd', ROOT, 'none', abi.RENAME_EXCHANGE)).toBe(-ENOENT);
  expect(h.rename(ROOT, 'd', ROOT, 'e', 8)).toBe(-EINVAL);
  expect(h.rename(ROOT, 'd', ROOT, 'e', abi.RENAME_WHITEOUT | abi.RENAME_EXCHANGE)).toBe(-EINVAL);
});

test('rename (the old opcode) moves between directories but not into itself', () => {
  const h = new Harness();
  const d = ok(h.mkdir(ROOT, 'd'));
  const e = ok(h.mkdir(d, 'e'));
  const move = (name: string, into: { lo: number; hi: number }, newName: string) =>
    h.call(abi.FUSE_RENAME, ROOT, concat(words(into.lo, into.hi), strings(name, newName))).error;
  expect(move('d', e, 'x')).toBe(-EINVAL);
  ok(h.create(ROOT, 'f'));
  expect(move('f', e, 'g')).toBe(0);
  expect(h.names(e)).toEqual(['g']);
});

test('a full inode table is ENOSPC and loses nothing', () => {
  const h = new Harness({ maxInodes: 8 });
  const made: string[] = [];
  for (let i = 0; i < 16; i++) {
    const done = h.create(ROOT, `f${i}`);
    if (typeof done === 'number') expect(done).toBe(-ENOSPC);
    else made.push(`f${i}`);
  }
  expect(made.length).toBeGreaterThan(3);
  expect(made.length).toBeLessThan(8);
  expect(h.names(ROOT)).toEqual(made.sort());
});

test('what is not offered is ENOSYS, so that the kernel never asks again', () => {
  const h = new Harness();
  const { error } = h.call(abi.FUSE_OPEN, ROOT, Buffer.alloc(abi.OPEN_IN_BYTES));
  expect(error).toBe(-38);
  for (const [opcode, bytes] of [
    [abi.FUSE_OPENDIR, abi.OPEN_IN_BYTES],
    [abi.FUSE_FLUSH, abi.FLUSH_IN_BYTES],
    [abi.FUSE_ACCESS, abi.ACCESS_IN_BYTES],
    [abi.FUSE_POLL, abi.POLL_IN_BYTES],
    [abi.FUSE_BMAP, abi.BMAP_IN_BYTES],
    [abi.FUSE_GETLK, abi.LK_IN_BYTES],
    [abi.FUSE_SETLK, abi.LK_IN_BYTES],
    [abi.FUSE_SETLKW, abi.LK_IN_BYTES],
    [999, 0],
  ] as const) {
    expect(h.call(opcode, ROOT, Buffer.alloc(bytes)).error).toBe(-38);
  }
  expect(h.call(abi.FUSE_DESTROY, ROOT).error).toBe(0);
});

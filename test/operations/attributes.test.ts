import { expect, test } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { EISDIR, ENOENT, ESTALE } from '../../runtime/errno.ts';
import { ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';

test('getattr of the root and of a node that never was', () => {
  const h = new Harness();
  expect(ok(h.getattr(ROOT)).mode).toBe(abi.S_IFDIR | 0o755);
  expect([-ENOENT, -ESTALE]).toContain(h.getattr({ lo: 99, hi: 0 }));
  expect([-ENOENT, -ESTALE]).toContain(h.getattr({ lo: 0xffffffff, hi: 0 }));
  expect([-ENOENT, -ESTALE]).toContain(h.getattr({ lo: 0, hi: 0 }));
});

test('chmod and chown change what they name and ctime', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.now += 5000;
  const after = ok(h.setattr(file, { valid: abi.FATTR_MODE, mode: abi.S_IFREG | 0o4711 }));
  expect(after).toMatchObject({ mode: abi.S_IFREG | 0o4711, ctime: h.now / 1000, uid: 1000 });
  expect(after.mtime).toBe(file.attr.mtime);
  const owned = ok(h.setattr(file, { valid: abi.FATTR_UID | abi.FATTR_GID, uid: 5, gid: 6 }));
  expect(owned).toMatchObject({ uid: 5, gid: 6, mode: abi.S_IFREG | 0o4711 });
});

test('utimes takes seconds before 1970 and after 2106, with nanoseconds', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const valid = abi.FATTR_ATIME | abi.FATTR_MTIME;
  const after = ok(h.setattr(file, { valid, atime: -86_401, mtime: 5_000_000_000, mtimeNs: 999_999_999 }));
  expect(after).toMatchObject({ atime: -86_401, mtime: 5_000_000_000, mtimeNs: 999_999_999 });
  expect(ok(h.getattr(file)).atime).toBe(-86_401);
});

test('the NOW flags take the time of the call', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.now += 12_345;
  const valid = abi.FATTR_ATIME | abi.FATTR_ATIME_NOW | abi.FATTR_MTIME | abi.FATTR_MTIME_NOW;
  const after = ok(h.setattr(file, { valid, atime: 1, mtime: 1 }));
  expect(after).toMatchObject({ atime: 1_700_000_012, mtime: 1_700_000_012, mtimeNs: 345_000_000 });
});

test('with the kernel owning times, given mtime and ctime stand and pages written back do not touch them', () => {
  const h = new Harness({ writeback: true });
  const file = ok(h.create(ROOT, 'a'));
  const valid = abi.FATTR_MTIME | abi.FATTR_CTIME;
  ok(h.setattr(file, { valid, mtime: 1000, mtimeNs: 1, ctime: 2000 }));
  h.now += 60_000;
  expect(h.write(file, 0, 'cached', abi.FUSE_WRITE_CACHE)).toBe(6);
  expect(ok(h.getattr(file))).toMatchObject({ mtime: 1000, ctime: 2000, size: 6 });
  expect(h.write(file, 0, 'direct')).toBe(6);
  expect(ok(h.getattr(file)).mtime).toBe(h.now / 1000);
});

test('without writeback, pages of a mapping that are written back move mtime and ctime', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.now += 60_000;
  expect(h.write(file, 0, 'mapped', abi.FUSE_WRITE_CACHE)).toBe(6);
  expect(ok(h.getattr(file))).toMatchObject({ mtime: h.now / 1000, ctime: h.now / 1000 });
});

test('set-id bits go on write, truncate and chown when the kernel says so, and only then', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const arm = () => ok(h.setattr(file, { valid: abi.FATTR_MODE, mode: 0o6755 }));
  const mode = () => ok(h.getattr(file)).mode & 0o7777;
  arm();
  h.write(file, 0, 'x');
  expect(mode()).toBe(0o6755);
  h.write(file, 0, 'x', abi.FUSE_WRITE_KILL_SUIDGID);
  expect(mode()).toBe(0o755);
  arm();
  ok(h.setattr(file, { valid: abi.FATTR_SIZE, size: 0 }));
  expect(mode()).toBe(0o6755);
  ok(h.setattr(file, { valid: abi.FATTR_SIZE | abi.FATTR_KILL_SUIDGID, size: 0 }));
  expect(mode()).toBe(0o755);
  arm();
  ok(h.setattr(file, { valid: abi.FATTR_UID | abi.FATTR_KILL_SUIDGID, uid: 3 }));
  expect(mode()).toBe(0o755);
});

test('a file loses its capabilities with any change of data or owner', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const arm = () => expect(h.setxattr(file, 'security.capability', 'caps')).toBe(0);
  const armed = () => typeof h.getxattr(file, 'security.capability') !== 'number';
  arm();
  ok(h.setattr(file, { valid: abi.FATTR_MODE, mode: 0o700 }));
  expect(armed()).toBe(true);
  h.write(file, 0, 'x');
  expect(armed()).toBe(false);
  arm();
  h.truncate(file, 0);
  expect(armed()).toBe(false);
  arm();
  ok(h.setattr(file, { valid: abi.FATTR_UID, uid: 4 }));
  expect(armed()).toBe(false);
});

test('a directory has no size to set', () => {
  const h = new Harness();
  expect(h.truncate(ok(h.mkdir(ROOT, 'd')), 0)).toBe(-EISDIR);
});

test('statfs reports the host space and the files', () => {
  const h = new Harness({ maxInodes: 1000 });
  ok(h.create(ROOT, 'a'));
  const { error, body } = h.call(abi.FUSE_STATFS, ROOT);
  expect(error).toBe(0);
  expect(body.length).toBe(abi.STATFS_OUT_BYTES);
  expect(Number(body.readBigUInt64LE(0))).toBeGreaterThan(0);
  const files = Number(body.readBigUInt64LE(24));
  expect(files - Number(body.readBigUInt64LE(32))).toBe(2);
  expect(body.readUInt32LE(44)).toBe(255);
});

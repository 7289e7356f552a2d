/** Operations that Linux has beside POSIX's. */
import { expect, test } from 'vitest';
import { canRead } from '../../fuse/namespace/paths.ts';
import { Tables } from '../../fuse/namespace/tables.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import { KIB, MIB } from '../../runtime/config/bounds.ts';
import {
  EACCES,
  EINVAL,
  EIO,
  ENODATA,
  ENOENT,
  ENOSPC,
  ENOSYS,
  ENOTTY,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
} from '../../runtime/errno.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import { concat, entryOf, type Node, ok, ROOT, strings, words } from './encoding.ts';
import { Harness } from './harness.ts';
import { copyRange, flagsOf, ioctl, list, seek, setFlags, tmpfile, u64 } from './linux-calls.ts';

const IMMUTABLE = 0x10;
const APPEND = 0x20;
const NODUMP = 0x40;
const O_APPEND = 0o2000;
const O_EXCL = 0o200;
const ACCESS = 'system.posix_acl_access';
const DEFAULT = 'system.posix_acl_default';

const pattern = (length: number, seed = 1) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => ((i * 31 + seed * 17) % 255) + 1));

test('STATX tells the time of birth, which no change changes', () => {
  const h = new Harness();
  const born = h.now / 1000;
  const file = ok(h.mknod(ROOT, 'a', abi.S_IFCHR | 0o640, (5 << 8) | 3 | (1 << 20)));
  h.now += 60_000;
  ok(h.setattr(file, { valid: abi.FATTR_MODE | abi.FATTR_MTIME, mode: 0o600, mtime: -7 }));
  const { error, body } = h.call(abi.FUSE_STATX, file, Buffer.alloc(abi.STATX_IN_BYTES));
  expect(error).toBe(0);
  expect(body.length).toBe(abi.STATX_OUT_BYTES);
  const stat = body.subarray(abi.STATX_OUT_STAT);
  expect(stat.readUInt32LE(abi.STATX_MASK)).toBe(0xfff);
  expect(stat.readUInt16LE(abi.STATX_MODE)).toBe(abi.S_IFCHR | 0o600);
  expect(Number(stat.readBigInt64LE(abi.STATX_BTIME))).toBe(born);
  expect(Number(stat.readBigInt64LE(abi.STATX_MTIME))).toBe(-7);
  expect(Number(stat.readBigInt64LE(abi.STATX_CTIME))).toBe(h.now / 1000);
  expect([stat.readUInt32LE(abi.STATX_RDEV_MAJOR), stat.readUInt32LE(abi.STATX_RDEV_MINOR)]).toEqual([
    5, 259,
  ]);
  expect(h.call(abi.FUSE_STATX, { lo: 99, hi: 0 }, Buffer.alloc(abi.STATX_IN_BYTES)).error).toBeLessThan(0);
});

test('TMPFILE makes a file that nobody can find, and that goes when the kernel forgets it', () => {
  const h = new Harness();
  const before = h.namespace.statfs().freeFiles;
  const file = ok(tmpfile(h, ROOT, 0, 0o666, 0o027));
  expect(file.attr).toMatchObject({ nlink: 0, mode: abi.S_IFREG | 0o640, uid: 1000 });
  expect(h.write(file, 0, pattern(64 * KIB))).toBe(64 * KIB);
  expect(h.names(ROOT)).toEqual([]);
  const object = h.namespace.objectOf(file.lo);
  h.forget(file);
  expect(h.namespace.statfs().freeFiles).toBe(before);
  expect(h.handed.dropped).toEqual([object]);
  expect(tmpfile(h, file)).toBeLessThan(0);
});

test('a file without a name gets one by LINK, once, unless it was opened with O_EXCL', () => {
  const h = new Harness();
  const file = ok(tmpfile(h, ROOT));
  h.write(file, 0, 'text');
  h.handed.changed.length = 0;
  expect(ok(h.link(file, ROOT, 'a')).attr.nlink).toBe(1);
  expect(h.handed.changed, 'the index hears of it').toEqual([file.lo]);
  expect(h.unlink(ROOT, 'a')).toBe(0);
  expect(h.link(file, ROOT, 'b')).toBe(-ENOENT);
  expect(h.link(ok(tmpfile(h, ROOT, O_EXCL)), ROOT, 'c')).toBe(-ENOENT);
});

test('LSEEK finds data and holes, inline and in objects', () => {
  const h = new Harness();
  const small = ok(h.create(ROOT, 'small'));
  h.write(small, 0, 'x'.repeat(1000));
  expect(seek(h, small, 10, abi.SEEK_DATA)).toBe(10);
  expect(seek(h, small, 10, abi.SEEK_HOLE)).toBe(1000);
  expect(seek(h, small, 1000, abi.SEEK_HOLE)).toBe(-ENXIO);
  const large = ok(h.create(ROOT, 'large'));
  h.write(large, 0, pattern(64 * KIB));
  const disk = h.disk as FaultyDisk;
  Object.assign(disk, {
    seek: (_fd: number, position: number, whence: number) =>
      position >= 96 * KIB ? -ENXIO : whence === abi.SEEK_DATA ? Math.max(position, 80 * KIB) : 96 * KIB,
  });
  h.truncate(large, 128 * KIB);
  expect(seek(h, large, 0, abi.SEEK_DATA)).toBe(80 * KIB);
  expect(seek(h, large, 0, abi.SEEK_HOLE)).toBe(96 * KIB);
  expect(seek(h, large, 100 * KIB, abi.SEEK_DATA)).toBe(-ENXIO);
  expect(seek(h, large, 100 * KIB, abi.SEEK_HOLE)).toBe(100 * KIB);
  h.truncate(large, 70 * KIB);
  expect(seek(h, large, 0, abi.SEEK_DATA), 'what lies beyond the end is no data').toBe(-ENXIO);
  expect(seek(h, large, 0, abi.SEEK_HOLE)).toBe(70 * KIB);
  expect(seek(h, large, 0, 0)).toBe(-EINVAL);
  expect(seek(new Harness({ writeback: true }), ROOT, 0, abi.SEEK_DATA)).toBe(-ENOSYS);
});

test('COPY_FILE_RANGE copies within the daemon, and says how far it came', () => {
  const h = new Harness();
  const source = ok(h.create(ROOT, 'source'));
  const target = ok(h.create(ROOT, 'target'));
  const bytes = pattern(3 * MIB);
  for (let at = 0; at < bytes.length; at += MIB) h.write(source, at, bytes.subarray(at, at + MIB));
  expect(copyRange(h, source, 1000, target, 500, 2 * MIB)).toBe(2 * MIB);
  expect(ok(h.read(target, 500, MIB)).equals(bytes.subarray(1000, 1000 + MIB))).toBe(true);
  expect(ok(h.getattr(target)).size).toBe(500 + 2 * MIB);
  expect(h.handed.changed).toContain(target.lo);
  expect(copyRange(h, source, 3 * MIB - 10, target, 0, 100)).toBe(10);
  expect(copyRange(h, source, 3 * MIB, target, 0, 100)).toBe(0);
  expect(copyRange(h, source, 0, target, 0, 10, 1)).toBe(-EINVAL);
  expect(copyRange(h, source, 0, { lo: 5, hi: 5 }, 0, 10)).toBe(-EPERM);
  expect(copyRange(h, { lo: 5, hi: 5 }, 0, target, 0, 10)).toBe(-EOPNOTSUPP);
  const wide = h.call(
    abi.FUSE_COPY_FILE_RANGE_64,
    source,
    concat(u64(0, 0), words(target.lo, 0), u64(0, 0, 64, 0)),
  );
  expect(Number(wide.body.readBigUInt64LE(0))).toBe(64);
});

test('COPY_FILE_RANGE within a file moves bytes about', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.write(file, 0, pattern(40 * KIB));
  expect(copyRange(h, file, 0, file, 100 * KIB, 40 * KIB)).toBe(40 * KIB);
  expect(ok(h.read(file, 100 * KIB, 40 * KIB)).equals(pattern(40 * KIB))).toBe(true);
});

test('a copy that the disk breaks off says what was copied, and an error only if that is nothing', () => {
  const disk = new FaultyDisk();
  const h = new Harness({ disk });
  const source = ok(h.create(ROOT, 'source'));
  const target = ok(h.create(ROOT, 'target'));
  for (const at of [0, MIB]) h.write(source, at, pattern(MIB));
  h.write(target, 0, pattern(64 * KIB));
  let calls = 0;
  disk.failing = (name) => (name === 'pwrite' && ++calls > 1 ? EIO : 0);
  expect(copyRange(h, source, 0, target, 0, 2 * MIB)).toBe(MIB);
  expect(copyRange(h, source, 0, target, 0, 2 * MIB)).toBe(-EIO);
});

test('FALLOCATE of more than the host has room for is ENOSPC, and by another user than root it takes set-id bits', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a', 0o6777));
  expect(h.fallocate(file, 0, 0, 2 ** 50)).toBe(-ENOSPC);
  expect(ok(h.getattr(file)).mode & 0o7777).toBe(0o6777);
  expect(h.fallocate(file, 0, 0, 1000)).toBe(0);
  expect(ok(h.getattr(file)).mode & 0o7777).toBe(0o777);
});

test('flags are set by the owner, those that close a file by root alone', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  expect(flagsOf(h, file)).toBe(0);
  expect(setFlags(h, file, NODUMP, { uid: 1000 })).toBe(0);
  expect(setFlags(h, file, 0, { uid: 7 })).toBe(-EPERM);
  expect(setFlags(h, file, NODUMP | IMMUTABLE, { uid: 1000 })).toBe(-EPERM);
  expect(setFlags(h, file, NODUMP | APPEND)).toBe(0);
  expect(flagsOf(h, file)).toBe(NODUMP | APPEND);
  expect(setFlags(h, file, 0x8)).toBe(-EOPNOTSUPP);
  expect(setFlags(h, ok(h.symlink(ROOT, 's', 't')), NODUMP)).toBe(-EOPNOTSUPP);
  expect(ioctl(h, file, 0x5413, Buffer.alloc(0), 8).error).toBe(-ENOTTY);
  expect(ioctl(h, file, abi.FS_IOC_SETFLAGS, Buffer.alloc(0), 0).error).toBe(-EINVAL);
  const xattr = ioctl(h, file, abi.FS_IOC_FSGETXATTR, Buffer.alloc(0), abi.FSXATTR_BYTES);
  expect(xattr.body.readUInt32LE(abi.IOCTL_OUT_BYTES)).toBe(abi.FS_XFLAG_NODUMP | abi.FS_XFLAG_APPEND);
  const wanted = Buffer.alloc(abi.FSXATTR_BYTES);
  wanted.writeUInt32LE(abi.FS_XFLAG_IMMUTABLE);
  expect(ioctl(h, file, abi.FS_IOC_FSSETXATTR, wanted, 0).error).toBe(0);
  expect(flagsOf(h, file)).toBe(IMMUTABLE);
  wanted.writeUInt32LE(7, 12);
  expect(ioctl(h, file, abi.FS_IOC_FSSETXATTR, wanted, 0).error, 'a project').toBe(-EOPNOTSUPP);
});

test('nothing changes an immutable file, or the entries of an immutable directory', () => {
  const h = new Harness();
  const directory = ok(h.mkdir(ROOT, 'd'));
  const file = ok(h.create(directory, 'a'));
  const other = ok(h.create(ROOT, 'b'));
  h.write(file, 0, 'text');
  expect(setFlags(h, file, IMMUTABLE)).toBe(0);
  const refused = [
    h.write(file, 0, 'x'),
    h.write(file, 0, 'x', abi.FUSE_WRITE_CACHE),
    h.truncate(file, 0),
    h.fallocate(file, 0, 0, 100),
    copyRange(h, other, 0, file, 0, 10),
    h.setattr(file, { valid: abi.FATTR_MODE, mode: 0o600 }),
    h.setattr(file, { valid: abi.FATTR_ATIME | abi.FATTR_ATIME_NOW | abi.FATTR_MTIME | abi.FATTR_MTIME_NOW }),
    h.setxattr(file, 'user.a', '1'),
    h.removexattr(file, 'user.a'),
    h.link(file, ROOT, 'c'),
    h.unlink(directory, 'a'),
    h.rename(directory, 'a', ROOT, 'c'),
    h.rename(ROOT, 'b', directory, 'a'),
    h.rename(ROOT, 'b', directory, 'a', abi.RENAME_EXCHANGE),
  ];
  expect(refused).toEqual(refused.map(() => -EPERM));
  expect(setFlags(h, file, 0)).toBe(0);
  expect(setFlags(h, directory, IMMUTABLE)).toBe(0);
  const entries = [
    h.create(directory, 'x'),
    h.mkdir(directory, 'x'),
    h.link(other, directory, 'x'),
    h.unlink(directory, 'a'),
    h.rename(directory, 'a', ROOT, 'x'),
    h.rename(ROOT, 'b', directory, 'x'),
    h.rmdir(ROOT, 'd'),
    tmpfile(h, directory),
  ];
  expect(entries).toEqual(entries.map(() => -EPERM));
  expect(h.write(file, 0, 'the file itself is open')).toBe(23);
  expect(h.names(directory)).toEqual(['a']);
});

test('an append-only file grows at its end, an append-only directory by new entries', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.write(file, 0, 'text');
  expect(setFlags(h, file, APPEND)).toBe(0);
  const write = (position: number, text: string, flags: number, opened: number) => {
    const body = Buffer.alloc(abi.WRITE_IN_BYTES);
    body.writeUInt32LE(position, abi.WRITE_IN_OFFSET);
    body.writeUInt32LE(text.length, abi.WRITE_IN_SIZE);
    body.writeUInt32LE(flags, abi.WRITE_IN_WRITE_FLAGS);
    body.writeUInt32LE(opened, abi.WRITE_IN_FLAGS);
    return h.call(abi.FUSE_WRITE, file, concat(body, Buffer.from(text))).error;
  };
  expect(write(4, 'more', 0, 0)).toBe(-EPERM);
  expect(write(0, 'more', 0, O_APPEND)).toBe(-EPERM);
  expect(write(4, 'more', 0, O_APPEND)).toBe(0);
  expect(write(0, 'text', abi.FUSE_WRITE_CACHE, 0)).toBe(-EPERM);
  expect(write(0, 'textmore', abi.FUSE_WRITE_CACHE, 0)).toBe(0);
  const now = abi.FATTR_ATIME | abi.FATTR_ATIME_NOW | abi.FATTR_MTIME | abi.FATTR_MTIME_NOW;
  ok(h.setattr(file, { valid: now }));
  expect(h.setattr(file, { valid: abi.FATTR_MTIME })).toBe(-EPERM);
  expect([h.truncate(file, 100), h.unlink(ROOT, 'a')]).toEqual([-EPERM, -EPERM]);
  const directory = ok(h.mkdir(ROOT, 'd'));
  expect(setFlags(h, directory, APPEND)).toBe(0);
  ok(h.create(directory, 'x'));
  expect(h.unlink(directory, 'x')).toBe(-EPERM);
});

test('RENAME_WHITEOUT leaves a character device 0:0 where the name was', () => {
  const h = new Harness();
  const long = 'n'.repeat(200);
  const file = ok(h.create(ROOT, long));
  ok(h.create(ROOT, 'target'));
  expect(h.rename(ROOT, long, ROOT, 'b', abi.RENAME_WHITEOUT)).toBe(0);
  expect(ok(h.lookup(ROOT, long)).attr).toMatchObject({ mode: abi.S_IFCHR, rdev: 0, nlink: 1, uid: 1000 });
  expect(ok(h.lookup(ROOT, 'b')).lo).toBe(file.lo);
  expect(h.rename(ROOT, 'b', ROOT, 'target', abi.RENAME_WHITEOUT)).toBe(0);
  expect(h.handed.gone.length).toBe(1);
  expect(h.names(ROOT)).toEqual(['b', long, 'target']);
  ok(h.link(file, ROOT, 'hard'));
  expect(h.rename(ROOT, 'hard', ROOT, 'target', abi.RENAME_WHITEOUT), 'two names of one file').toBe(0);
  expect(ok(h.lookup(ROOT, 'hard')).lo).toBe(file.lo);
  expect(h.rename(ROOT, 'hard', ROOT, 'b', abi.RENAME_WHITEOUT | abi.RENAME_NOREPLACE)).toBeLessThan(0);
  expect(h.rename(ROOT, 'none', ROOT, 'x', abi.RENAME_WHITEOUT)).toBe(-ENOENT);
});

test('an access list sets the mode, chmod changes the list, and one that says no more than a mode is not kept', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a', 0o600));
  const mode = () => (ok(h.getattr(file)).mode & 0o7777).toString(8);
  expect(h.setxattr(file, ACCESS, list('u::rw-,u:7:rwx,g::r--,m::r-x,o::---'))).toBe(0);
  expect(mode()).toBe('650');
  expect(h.listxattr(file)).toEqual([ACCESS]);
  ok(h.setattr(file, { valid: abi.FATTR_MODE, mode: 0o2724 }));
  expect(ok(h.getxattr(file, ACCESS)).equals(list('u::rwx,u:7:rwx,g::r--,m::-w-,o::r--'))).toBe(true);
  const kill = concat(words(44, 0, abi.FUSE_SETXATTR_ACL_KILL_SGID, 0), strings(ACCESS));
  const value = list('u::rw-,u:7:rwx,g::r--,m::r-x,o::---');
  expect(h.call(abi.FUSE_SETXATTR, file, concat(kill, value)).error).toBe(0);
  expect(mode()).toBe('650');
  expect(h.setxattr(file, ACCESS, list('u::rwx,g::r-x,o::--x'))).toBe(0);
  expect(mode()).toBe('751');
  expect(h.getxattr(file, ACCESS)).toBe(-ENODATA);
  expect(h.removexattr(file, ACCESS)).toBe(0);
});

test('what is no list, or has no place on this inode, is refused and changes nothing', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const wrong = [
    Buffer.from('x'),
    words(2),
    list('u::rwx,g::r-x'),
    list('u::rwx,u:7:rwx,g::r-x,o::---'),
    list('u::rwx,o::---,g::r-x'),
    list('u::rwx,u::rwx,g::r-x,o::---'),
    concat(words(3), list('u::rwx,g::r-x,o::---').subarray(4)),
    list('u::rwx,g::r-x,o::---').subarray(0, 27),
  ];
  for (const bytes of wrong) expect(h.setxattr(file, ACCESS, bytes)).toBe(-EINVAL);
  const many = list('u::rwx,u:1:r--,u:1:r--,g::r-x,g:1:---,g:9:rwx,m::rwx,o::---');
  expect(h.setxattr(file, DEFAULT, many)).toBe(-EACCES);
  expect(h.setxattr(ok(h.symlink(ROOT, 's', 't')), ACCESS, many)).toBe(-EOPNOTSUPP);
  expect(ok(h.getattr(file)).mode).toBe(abi.S_IFREG | 0o644);
  expect(h.setxattr(file, ACCESS, many)).toBe(0);
});

test('a default list takes the place of the umask, and goes on to directories', () => {
  const h = new Harness();
  const directory = ok(h.mkdir(ROOT, 'd'));
  const inherited = list('u::rwx,u:7:rwx,g::r-x,m::rwx,o::r-x');
  expect(h.setxattr(directory, DEFAULT, inherited)).toBe(0);
  const make = (opcode: number, name: string, parent: Node = directory) => {
    const head = opcode === abi.FUSE_MKDIR ? words(0o777, 0o077) : words(0, 0o666, 0o077, 0);
    return ok(entryOf(h.call(opcode, parent, concat(head, strings(name)))));
  };
  const file = make(abi.FUSE_CREATE, 'f');
  expect(file.attr.mode & 0o777).toBe(0o664);
  expect(ok(h.getxattr(file, ACCESS)).equals(list('u::rw-,u:7:rwx,g::r-x,m::rw-,o::r--'))).toBe(true);
  expect(h.listxattr(file)).toEqual([ACCESS]);
  const below = make(abi.FUSE_MKDIR, 'below');
  expect(below.attr.mode & 0o777).toBe(0o775);
  expect(ok(h.getxattr(below, DEFAULT)).equals(inherited)).toBe(true);
  expect(ok(tmpfile(h, directory, 0, 0o666, 0o077)).attr.mode & 0o777).toBe(0o664);
  expect(h.listxattr(ok(h.symlink(directory, 's', 't')))).toEqual([]);
  expect(h.setxattr(directory, DEFAULT, list('u::rwx,g::r-x,o::---'))).toBe(0);
  const plain = make(abi.FUSE_CREATE, 'plain');
  expect(plain.attr.mode & 0o777).toBe(0o640);
  expect(h.listxattr(plain)).toEqual([]);
  expect(make(abi.FUSE_CREATE, 'elsewhere', ROOT).attr.mode & 0o777, 'the umask').toBe(0o600);
});

test('a search shows what an access list lets its asker read', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a', 0o640));
  const tables = new Tables(h.arena, h.slab);
  const may = (uid: number, ...gids: number[]) => canRead(tables, file.lo, uid, gids);
  expect([may(7, 7), may(8, 1000)]).toEqual([false, true]);
  h.setxattr(file, ACCESS, list('u::rw-,u:7:r--,u:9:r--,g::---,g:50:r--,m::r--,o::r--'));
  expect([may(1000), may(7), may(8, 50), may(8, 1000), may(8, 1000, 50), may(8, 8)]).toEqual([
    true,
    true,
    true,
    false,
    true,
    true,
  ]);
  ok(h.setattr(file, { valid: abi.FATTR_MODE, mode: 0o600 }));
  expect([may(7), may(8, 50), may(8, 8), may(1000)]).toEqual([false, false, false, true]);
});

test('reading changes the access time after a change, and once a day', () => {
  const h = new Harness({ accessTimes: true });
  const file = ok(h.create(ROOT, 'a'));
  h.write(file, 0, 'text');
  const { ctime } = ok(h.getattr(file));
  const atime = () => ok(h.getattr(file)).atime - 1_700_000_000;
  const read = (afterSeconds: number) => {
    h.now += afterSeconds * 1000;
    ok(h.read(file, 0, 10));
    return atime();
  };
  expect([read(10), read(10), read(86_389), read(1)]).toEqual([10, 10, 10, 86_410]);
  expect(ok(h.getattr(file)).ctime, 'which is no change').toBe(ctime);
  h.write(file, 0, 'more');
  expect(read(5)).toBe(86_415);
  h.now += 1000;
  h.readdir(ROOT);
  expect(ok(h.getattr(ROOT)).atime).toBe(h.now / 1000);
  expect(setFlags(h, file, 0x80)).toBe(0);
  expect(read(10)).toBe(86_415);
  const off = new Harness();
  const other = ok(off.create(ROOT, 'a'));
  off.write(other, 0, 'text');
  off.now += 1000;
  ok(off.read(other, 0, 10));
  expect(ok(off.getattr(other)).atime).toBe(1_700_000_000);
});

test('INTERRUPT of a search gives it up; of anything else it changes nothing, and has no answer', () => {
  const h = new Harness();
  const search = ok(h.lookup(ok(h.lookup(ROOT, '.vexfs')), 'search'));
  h.call(abi.FUSE_LOOKUP, search, strings('some words'));
  h.call(abi.FUSE_FSYNC, ROOT, Buffer.alloc(16));
  const [query] = h.handed.queries;
  const [sync] = h.handed.synced;
  expect(h.call(abi.FUSE_INTERRUPT, ROOT, u64(sync!.unique)).error).toBeUndefined();
  expect(h.call(abi.FUSE_INTERRUPT, ROOT, u64(query!.unique)).error).toBeUndefined();
  expect([h.handed.queries.length, h.handed.synced.length]).toEqual([0, 1]);
});

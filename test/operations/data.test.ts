import { expect, test, vi } from 'vitest';
import { objectPath } from '../../fuse/objects/object-path.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { KIB, LOGGED_PER_SYNC, MIB } from '../../runtime/config/bounds.ts';
import { EFBIG, EINVAL, EIO, EISDIR, ENOSPC, EOPNOTSUPP } from '../../runtime/errno.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import { ok, ROOT, words } from './encoding.ts';
import { Harness } from './harness.ts';

const LIMIT = 16 * KIB;

function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = ((i * 31 + seed * 17) % 255) + 1;
  return bytes;
}

test('a small file is read back, and reads end at its size', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  expect(h.write(file, 0, 'hello world')).toBe(11);
  expect(ok(h.read(file, 0, 4096)).toString()).toBe('hello world');
  expect(ok(h.read(file, 6, 3)).toString()).toBe('wor');
  expect(ok(h.read(file, 11, 10)).length).toBe(0);
  expect(ok(h.read(file, 1 * MIB, 10)).length).toBe(0);
  expect(ok(h.getattr(file)).size).toBe(11);
  expect(h.handed.changed).toEqual([file.lo]);
  expect(h.namespace.objectOf(file.lo)).toBe(0);
});

test('a file that outgrows the limit moves into an object with what it had', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const first = pattern(1000);
  const second = pattern(LIMIT, 2);
  h.write(file, 0, first);
  expect(h.write(file, 500, second)).toBe(LIMIT);
  const id = h.namespace.objectOf(file.lo);
  expect(id).toBeGreaterThan(0);
  const expected = Buffer.concat([first.subarray(0, 500), second]);
  expect(ok(h.read(file, 0, 2 * LIMIT)).equals(expected)).toBe(true);
  expect(Buffer.from((h.disk as FaultyDisk).read(objectPath(id))).equals(expected)).toBe(true);
  expect(h.handed.dirty).toContain(id);
});

test('one write of 1 MiB and one read of 1 MiB', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const data = pattern(MIB);
  expect(h.write(file, 0, data)).toBe(MIB);
  expect(ok(h.read(file, 0, MIB)).equals(data)).toBe(true);
});

test('holes read as zeros, inline and in objects', () => {
  const h = new Harness();
  const small = ok(h.create(ROOT, 'small'));
  h.write(small, 100, 'x');
  expect(ok(h.read(small, 0, 200)).equals(Buffer.concat([Buffer.alloc(100), Buffer.from('x')]))).toBe(true);
  const large = ok(h.create(ROOT, 'large'));
  h.write(large, 5 * MIB, 'x');
  expect(ok(h.getattr(large)).size).toBe(5 * MIB + 1);
  expect(ok(h.read(large, 5 * MIB - 3, 10)).equals(Buffer.from('\0\0\0x'))).toBe(true);
  h.truncate(large, 6 * MIB);
  expect(ok(h.read(large, 5 * MIB, 10)).equals(Buffer.from('x\0\0\0\0\0\0\0\0\0'))).toBe(true);
});

test('bytes past a shrunk end never come back, whichever way the file grows again', () => {
  for (const start of [10 * KIB, 64 * KIB]) {
    for (const grow of ['truncate', 'write past a gap'] as const) {
      const h = new Harness();
      const file = ok(h.create(ROOT, 'a'));
      h.write(file, 0, pattern(start));
      expect(h.truncate(file, 1000)).toBe(0);
      if (grow === 'truncate') expect(h.truncate(file, start)).toBe(0);
      else h.write(file, start - 1, Buffer.alloc(1));
      const expected = Buffer.concat([pattern(start).subarray(0, 1000), Buffer.alloc(start - 1000)]);
      expect(ok(h.read(file, 0, start)).equals(expected)).toBe(true);
    }
  }
});

test('a file that is shortened and grows again: what a crash may bring back with the old size is still there', () => {
  for (const grow of ['write past a gap', 'truncate', 'punch']) {
    const h = new Harness();
    const file = ok(h.create(ROOT, 'a'));
    h.write(file, 0, pattern(64 * KIB));
    const id = h.namespace.objectOf(file.lo);
    expect(h.truncate(file, 1000)).toBe(0);
    if (grow === 'write past a gap') h.write(file, 3000, 'x'.repeat(1000));
    else if (grow === 'truncate') expect(h.truncate(file, 4000)).toBe(0);
    else expect(h.fallocate(file, abi.FALLOC_FL_PUNCH_HOLE | abi.FALLOC_FL_KEEP_SIZE, 500, 500)).toBe(0);
    const kept = Buffer.from((h.disk as FaultyDisk).read(objectPath(id)).subarray(4000));
    expect(kept.equals(pattern(64 * KIB).subarray(4000)), grow).toBe(true);
  }
});

test('truncate to 0 drops the object and a new one is made when the file grows again', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.write(file, 0, pattern(64 * KIB));
  const id = h.namespace.objectOf(file.lo);
  expect(h.truncate(file, 0)).toBe(0);
  expect(h.handed.dropped).toEqual([id]);
  expect(h.objects.openDescriptors).toBe(0);
  h.write(file, 0, 'small again');
  expect(h.namespace.objectOf(file.lo)).toBe(0);
  expect(h.truncate(file, 100 * KIB)).toBe(0);
  expect(h.namespace.objectOf(file.lo)).toBeGreaterThan(id);
  expect(ok(h.read(file, 0, 20)).equals(Buffer.from('small again\0\0\0\0\0\0\0\0\0'))).toBe(true);
});

test('the object of a removed file is dropped when the kernel forgets the file', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.write(file, 0, pattern(64 * KIB));
  const id = h.namespace.objectOf(file.lo);
  h.unlink(ROOT, 'a');
  expect(h.handed.dropped).toEqual([]);
  expect(ok(h.read(file, 0, 10)).length).toBe(10);
  h.forget(file);
  expect(h.handed.dropped).toEqual([id]);
});

test('more files than descriptors', () => {
  const h = new Harness({ descriptors: 3 });
  const files = Array.from({ length: 10 }, (_, i) => ok(h.create(ROOT, `f${i}`)));
  for (const [i, file] of files.entries()) h.write(file, 0, pattern(20 * KIB, i));
  files.forEach((file, i) => {
    expect(ok(h.read(file, 0, 20 * KIB)).equals(pattern(20 * KIB, i))).toBe(true);
  });
  expect(h.objects.openDescriptors).toBe(3);
});

test('fallocate grows, punches and zeroes, inline and in objects', () => {
  const { FALLOC_FL_KEEP_SIZE: KEEP, FALLOC_FL_PUNCH_HOLE: PUNCH, FALLOC_FL_ZERO_RANGE: ZERO } = abi;
  for (const size of [10_000, 200_000]) {
    const h = new Harness();
    const file = ok(h.create(ROOT, 'a'));
    const model = pattern(size);
    h.write(file, 0, model);
    const same = () => expect(ok(h.read(file, 0, 2 * size)).equals(model)).toBe(true);
    expect(h.fallocate(file, KEEP, 0, 4 * size)).toBe(0);
    expect(h.fallocate(file, 0, 0, size)).toBe(0);
    same();
    expect(h.fallocate(file, PUNCH | KEEP, 100, 5000)).toBe(0);
    model.fill(0, 100, 5100);
    same();
    expect(h.fallocate(file, PUNCH | KEEP, size - 100, 5000)).toBe(0);
    model.fill(0, size - 100);
    same();
    expect(h.fallocate(file, ZERO | KEEP, 8000, size)).toBe(0);
    model.fill(0, 8000);
    same();
    expect(h.fallocate(file, ZERO, size - 1, 10)).toBe(0);
    expect(ok(h.getattr(file)).size).toBe(size + 9);
    expect(h.fallocate(file, 0, 0, size + 1000)).toBe(0);
    expect(ok(h.read(file, 0, 2 * size)).equals(Buffer.concat([model, Buffer.alloc(1000)]))).toBe(true);
    expect(h.fallocate(file, PUNCH, 0, 10)).toBe(-EOPNOTSUPP);
    expect(h.fallocate(file, abi.FALLOC_FL_COLLAPSE_RANGE, 0, 4096)).toBe(-EOPNOTSUPP);
    expect(h.fallocate(file, 0, 0, 0)).toBe(-EINVAL);
  }
});

test('fsync is answered by somebody else, and at once when there is nothing to wait for', () => {
  const h = new Harness();
  const small = ok(h.create(ROOT, 'small'));
  const large = ok(h.create(ROOT, 'large'));
  h.write(large, 0, pattern(64 * KIB));
  expect(h.call(abi.FUSE_FSYNC, small, Buffer.alloc(16)).error).toBeUndefined();
  expect(h.call(abi.FUSE_FSYNC, large, Buffer.alloc(16)).error).toBeUndefined();
  expect(h.call(abi.FUSE_FSYNCDIR, ROOT, Buffer.alloc(16)).error).toBeUndefined();
  expect(h.handed.synced).toHaveLength(3);
  h.handed.isDurable = true;
  expect(ok(h.call(abi.FUSE_FSYNC, large, Buffer.alloc(16)))).toBeDefined();
  expect(ok(h.call(abi.FUSE_FSYNCDIR, ROOT, Buffer.alloc(16)))).toBeDefined();
  expect(h.handed.synced).toHaveLength(3);
});

test('offsets beyond what a file can have are EFBIG, and a read there is EINVAL', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const body = Buffer.alloc(41);
  body.writeBigUInt64LE(0x7fff_ffff_ffff_fff0n, abi.WRITE_IN_OFFSET);
  body.writeUInt32LE(1, abi.WRITE_IN_SIZE);
  expect(h.call(abi.FUSE_WRITE, file, body).error).toBe(-EFBIG);
  const read = Buffer.alloc(40);
  read.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, abi.READ_IN_OFFSET);
  expect(h.call(abi.FUSE_READ, file, read).error).toBe(-EINVAL);
  const setattr = Buffer.alloc(abi.SETATTR_IN_BYTES);
  setattr.writeUInt32LE(abi.FATTR_SIZE, 0);
  setattr.writeBigUInt64LE(0x7fff_ffff_ffff_ffffn, abi.SETATTR_IN_SIZE);
  expect(h.call(abi.FUSE_SETATTR, file, setattr).error).toBe(-EFBIG);
  const huge = Buffer.alloc(32);
  huge.fill(0xff, 8, 24);
  expect(h.call(abi.FUSE_FALLOCATE, file, huge).error).toBe(-EFBIG);
});

test('directories and symlinks have no bytes', () => {
  const h = new Harness();
  const directory = ok(h.mkdir(ROOT, 'd'));
  expect(h.read(directory, 0, 10)).toBe(-EISDIR);
  expect(h.write(directory, 0, 'x')).toBe(-EISDIR);
  const link = ok(h.symlink(ROOT, 's', 't'));
  expect(h.write(link, 0, 'x')).toBe(-EINVAL);
  expect(h.fallocate(directory, 0, 0, 10)).toBe(-EISDIR);
});

test('a host without space fails the write with ENOSPC and what was there stays', () => {
  const disk = new FaultyDisk();
  const h = new Harness({ disk });
  const file = ok(h.create(ROOT, 'a'));
  const before = pattern(10 * KIB);
  h.write(file, 0, before);
  disk.failing = (name) => (name === 'pwrite' || name === 'create' ? ENOSPC : 0);
  expect(h.write(file, 0, pattern(100 * KIB, 2))).toBe(-ENOSPC);
  expect(ok(h.read(file, 0, 100 * KIB)).equals(before)).toBe(true);
  expect(h.handed.dropped.length).toBe(1);
  disk.failing = undefined;
  expect(h.write(file, 0, pattern(100 * KIB, 2))).toBe(100 * KIB);
  disk.failing = (name) => (name === 'pwrite' ? ENOSPC : 0);
  expect(h.write(file, 100 * KIB, 'more')).toBe(-ENOSPC);
  expect(ok(h.getattr(file)).size).toBe(100 * KIB);
});

test('a lost object file is EIO, not zeros', () => {
  const disk = new FaultyDisk();
  const h = new Harness({ disk });
  const file = ok(h.create(ROOT, 'a'));
  h.write(file, 0, pattern(100 * KIB));
  const id = h.namespace.objectOf(file.lo);
  h.objects.close();
  disk.unlink(objectPath(id));
  expect(h.read(file, 0, 10)).toBe(-EIO);
  expect(h.write(file, 0, 'x')).toBe(-EIO);
});

test('a request for more bytes than a reply holds is EINVAL', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  expect(h.read(file, 0, 0xffff_ffff)).toBe(-EINVAL);
});

test('forgetting a node that is not there is ignored', () => {
  const h = new Harness();
  expect(h.call(abi.FUSE_FORGET, { lo: 77, hi: 0 }, words(1, 0)).error).toBeUndefined();
  expect(h.call(abi.FUSE_FORGET, { lo: 0xffff_fff0, hi: 3 }, words(1, 0)).error).toBeUndefined();
  expect(h.failures).toEqual([]);
});

test('a small write to a large file is for the log once the file was synced, until it is too much for that', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.write(file, 0, pattern(2 * LIMIT));
  const id = h.namespace.objectOf(file.lo);
  const heard = (): string => {
    const said = `dirty ${h.handed.dirty.length}, logged ${h.handed.logged.length}`;
    h.handed.dirty.length = h.handed.logged.length = 0;
    return said;
  };
  heard();
  h.write(file, 0, 'never synced');
  expect(heard()).toBe('dirty 1, logged 0');
  h.call(abi.FUSE_FSYNC, file, Buffer.alloc(16));
  h.write(file, 10, 'within');
  h.write(file, 2 * LIMIT, 'at the end');
  expect(h.handed.logged).toEqual([id, id]);
  expect(heard()).toBe('dirty 0, logged 2');
  h.write(file, 4 * LIMIT, 'after a gap');
  expect(heard()).toBe('dirty 1, logged 0');
  h.write(file, 0, pattern(LOGGED_PER_SYNC));
  h.write(file, 0, 'its object has to be synced anyway');
  expect(heard()).toBe('dirty 2, logged 0');
  h.call(abi.FUSE_FSYNC, file, Buffer.alloc(16));
  h.write(file, 0, pattern(LOGGED_PER_SYNC));
  expect(heard()).toBe('dirty 0, logged 1');
  expect(h.truncate(file, 3 * LIMIT)).toBe(0);
  expect(h.truncate(file, 5 * LIMIT)).toBe(0);
  expect(heard()).toBe('dirty 1, logged 0');
});

test('who writes as often before an fsync as before the last two is expected to sync', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const writesUntilExpected = (writes: number): number[] => {
    const expected = [];
    for (let i = 1; i <= writes; i++) {
      const before = h.handed.expected;
      h.write(file, 0, 'x');
      if (h.handed.expected > before) expected.push(i);
    }
    h.call(abi.FUSE_FSYNC, file, Buffer.alloc(16));
    return expected;
  };
  expect([1, 1, 1, 1].map(writesUntilExpected)).toEqual([[], [], [], [1]]);
  expect([3, 3, 3, 2, 3].map(writesUntilExpected)).toEqual([[1], [], [3], [], []]);
});

test('an object is called dirty before the journal records what depends on its bytes, so that no commit misses it', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const attr = new Attr();
  const seen: [id: number, size: number][] = [];
  vi.spyOn(h.handed, 'objectDirty').mockImplementation(() => {
    h.namespace.stat(file.lo, attr);
    seen.push([h.namespace.objectOf(file.lo), attr.size]);
  });
  h.write(file, 0, pattern(1000));
  h.write(file, 1000, pattern(2 * LIMIT));
  expect(seen).toEqual([[0, 1000]]);
  const id = h.namespace.objectOf(file.lo);
  h.write(file, 4 * LIMIT, 'after a gap');
  expect(seen[1]).toEqual([id, 1000 + 2 * LIMIT]);
  const size = 4 * LIMIT + 11;
  expect(h.truncate(file, 8 * LIMIT)).toBe(0);
  expect(seen[2]).toEqual([id, size]);
});

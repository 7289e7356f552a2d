import { expect, test } from 'vitest';
import { XATTR_CREATE, XATTR_REPLACE } from '../../fuse/protocol/abi.ts';
import { E2BIG, EEXIST, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE } from '../../runtime/errno.ts';
import { ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';

const vector = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);

test('set, get, list, remove', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  expect(h.setxattr(file, 'user.colour', 'blue')).toBe(0);
  expect(h.setxattr(file, 'trusted.x', Buffer.from([0, 1, 2]))).toBe(0);
  expect(h.setxattr(file, 'user.empty', '')).toBe(0);
  expect(ok(h.getxattr(file, 'user.colour')).toString()).toBe('blue');
  expect(ok(h.getxattr(file, 'user.empty')).length).toBe(0);
  expect(h.listxattr(file, 100, { uid: 0 })).toEqual(['trusted.x', 'user.colour', 'user.empty']);
  expect(h.listxattr(file, 100, { uid: 1000 }), 'what is for root only').toEqual([
    'user.colour',
    'user.empty',
  ]);
  expect(h.removexattr(file, 'user.colour')).toBe(0);
  expect(h.getxattr(file, 'user.colour')).toBe(-ENODATA);
  expect(h.removexattr(file, 'user.colour')).toBe(-ENODATA);
});

test('size 0 asks for the size, too little room is ERANGE', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  h.setxattr(file, 'user.a', '12345');
  expect(h.getxattr(file, 'user.a', 0)).toBe(5);
  expect(h.getxattr(file, 'user.a', 4)).toBe(-ERANGE);
  expect(h.listxattr(file, 0)).toBe(7);
  expect(h.listxattr(file, 6)).toBe(-ERANGE);
  expect(h.listxattr(ok(h.create(ROOT, 'b')), 0)).toBe(0);
});

test('CREATE and REPLACE', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  expect(h.setxattr(file, 'user.a', '1', XATTR_REPLACE)).toBe(-ENODATA);
  expect(h.setxattr(file, 'user.a', '1', XATTR_CREATE)).toBe(0);
  expect(h.setxattr(file, 'user.a', '2', XATTR_CREATE)).toBe(-EEXIST);
  expect(h.setxattr(file, 'user.a', '2', XATTR_REPLACE)).toBe(0);
  expect(ok(h.getxattr(file, 'user.a')).toString()).toBe('2');
});

test('limits: a name of 256 bytes is ERANGE, a value over 64 KiB is E2BIG', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const long = `user.${'n'.repeat(251)}`;
  expect(h.setxattr(file, long, 'x')).toBe(-ERANGE);
  expect(h.getxattr(file, long)).toBe(-ERANGE);
  expect(h.setxattr(file, long.slice(0, 255), 'x')).toBe(0);
  expect(h.setxattr(file, 'user.big', Buffer.alloc(65536, 1))).toBe(0);
  expect(ok(h.getxattr(file, 'user.big')).length).toBe(65536);
  expect(h.setxattr(file, 'user.bigger', Buffer.alloc(65537, 1))).toBe(-E2BIG);
});

test('where access control lists are switched off, and for anything else of the system, EOPNOTSUPP', () => {
  const h = new Harness({ accessLists: false });
  expect(h.setxattr(ROOT, 'system.posix_acl_access', 'x')).toBe(-EOPNOTSUPP);
  expect(h.getxattr(ROOT, 'system.posix_acl_default')).toBe(-EOPNOTSUPP);
  expect(h.removexattr(ROOT, 'system.posix_acl_access')).toBe(-EOPNOTSUPP);
  expect(new Harness().setxattr(ROOT, 'system.nfs4_acl', 'x')).toBe(-EOPNOTSUPP);
});

test('a vector is stored and passed on, and passed on again when it goes', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const value = vector(1, -2, 3);
  const epoch = h.virtual.epoch;
  expect(h.setxattr(file, 'user.vexfs.vector', value)).toBe(0);
  expect(h.setxattr(file, 'user.vexfs.vector.photos', vector(0.5))).toBe(0);
  expect(ok(h.getxattr(file, 'user.vexfs.vector')).equals(value)).toBe(true);
  expect(h.listxattr(file)).toEqual(['user.vexfs.vector', 'user.vexfs.vector.photos']);
  expect(h.removexattr(file, 'user.vexfs.vector')).toBe(0);
  const { lo: ino, generation } = file;
  const [first, photos] = ['default', 'photos'].map((name) => h.namespace.collection(name)!.id);
  expect(h.handed.vectors).toEqual([
    { collection: first, ino, generation, value },
    { collection: photos, ino, generation, value: vector(0.5) },
    { collection: first, ino, generation, value: undefined },
  ]);
  expect(h.virtual.epoch).toBe(epoch + 3);
});

test('a vector that is none is EINVAL and changes nothing', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  expect(h.setxattr(file, 'user.vexfs.vector', 'abc')).toBe(-EINVAL);
  expect(h.setxattr(file, 'user.vexfs.vector', '')).toBe(-EINVAL);
  expect(h.setxattr(file, 'user.vexfs.vector', vector(1, Number.NaN))).toBe(-EINVAL);
  expect(h.setxattr(file, 'user.vexfs.vector', vector(1, 2))).toBe(0);
  expect(h.setxattr(file, 'user.vexfs.vector', vector(1, 2, 3))).toBe(-EINVAL);
  expect(h.setxattr(file, 'user.vexfs.vector.', vector(1))).toBe(-EINVAL);
  expect(ok(h.getxattr(file, 'user.vexfs.vector')).equals(vector(1, 2))).toBe(true);
  expect(h.handed.vectors.length).toBe(1);
});

test('indexed, chunks and model say what the index knows, unlisted and read-only', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a'));
  const indexed = () => ok(h.getxattr(file, 'user.vexfs.indexed')).toString();
  expect(indexed()).toBe('no');
  h.write(file, 0, 'some text');
  expect(indexed()).toBe('pending');
  expect(h.getxattr(file, 'user.vexfs.chunks')).toBe(-ENODATA);
  expect(h.listxattr(file)).toEqual([]);
  expect(h.namespace.setIndexed(file.lo, file.generation, 1, 3, 0, Buffer.alloc(0), 0, 0)).toBe(0);
  expect(indexed()).toBe('yes');
  expect(ok(h.getxattr(file, 'user.vexfs.chunks')).toString()).toBe('3');
  expect(h.getxattr(file, 'user.vexfs.chunks', 0)).toBe(1);
  expect(ok(h.getxattr(file, 'user.vexfs.model')).toString()).toBe('test-model');
  h.setxattr(file, 'user.a', '1');
  expect(h.listxattr(file)).toEqual(['user.a']);
  expect(h.listxattr(file, 0)).toBe('user.a'.length + 1);
  expect(h.listxattr(file, 3)).toBe(-ERANGE);
  for (const name of ['user.vexfs.indexed', 'user.vexfs.chunks', 'user.vexfs.model', 'user.vexfs.other']) {
    expect(h.setxattr(file, name, 'x')).toBe(-EPERM);
    expect(h.removexattr(file, name)).toBe(-EPERM);
  }
  expect(h.getxattr(ROOT, 'user.vexfs.indexed')).toBe(-ENODATA);
});

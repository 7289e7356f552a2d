/** What Linux says of extended attributes, and VexFS of those that are vectors, case by case. */
import { describe, expect, it } from 'vitest';
import { XATTR_CREATE, XATTR_REPLACE } from '../../fuse/namespace/namespace.ts';
import { E2BIG, EEXIST, EINVAL, ENODATA, ENOSPC, ERANGE } from '../../runtime/errno.ts';
import { bytesOf, World } from './world.ts';

function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

describe('xattrs', () => {
  it('are kept with the largest memory.budget there can be, 4 GiB', () => {
    const world = World.fresh({ slabMiB: 4096 });
    expect(world.setxattr(1, 'user.a', bytesOf('value'))).toBe(0);
    expect(world.getxattr(1, 'user.a')).toEqual(bytesOf('value'));
  });

  it('obey CREATE and REPLACE, and say when a buffer is too small', () => {
    const world = World.fresh();
    expect(world.setxattr(1, 'user.a', bytesOf('value'), XATTR_REPLACE)).toBe(-ENODATA);
    expect(world.setxattr(1, 'user.a', bytesOf('value'), XATTR_CREATE)).toBe(0);
    expect(world.setxattr(1, 'user.a', bytesOf('value'), XATTR_CREATE)).toBe(-EEXIST);
    expect(world.setxattr(1, 'user.a', bytesOf('other'), XATTR_REPLACE)).toBe(0);
    const name = bytesOf('user.a');
    const out = new Uint8Array(16);
    expect(world.namespace.getxattr(1, name, 0, name.length, out, 0, 4)).toBe(-ERANGE);
    expect(world.namespace.getxattr(1, name, 0, name.length, out, 0, 0)).toBe(5);
    expect(world.namespace.listxattr(1, out, 0, 6)).toBe(-ERANGE);
    expect(world.namespace.listxattr(1, out, 0, 0)).toBe(7);
    expect(world.removexattr(1, 'user.b')).toBe(-ENODATA);
  });

  it('are limited to 64 KiB each and 256 KiB an inode', () => {
    const world = World.fresh();
    expect(world.setxattr(1, 'user.a', new Uint8Array(65_537))).toBe(-E2BIG);
    expect(world.setxattr(1, 'n'.repeat(256), new Uint8Array(1))).toBe(-ERANGE);
    for (const name of ['user.a', 'user.b', 'user.c']) {
      expect(world.setxattr(1, name, new Uint8Array(65_536))).toBe(0);
    }
    expect(world.setxattr(1, 'user.d', new Uint8Array(65_536))).toBe(-ENOSPC);
    expect(world.setxattr(1, 'user.d', new Uint8Array(65_000))).toBe(0);
    expect(world.setxattr(1, 'user.empty', new Uint8Array(0))).toBe(0);
    expect(world.getxattr(1, 'user.empty')).toEqual(new Uint8Array(0));
  });
});

describe('vectors', () => {
  it('make their collection, and must have its dimension from then on', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f');
    expect(world.setxattr(ino, 'user.vexfs.vector', floats(1, 2, 3))).toBe(1);
    expect(world.setxattr(ino, 'user.vexfs.vector.papers', floats(1, 2))).toBe(2);
    expect(world.namespace.collection('default')).toMatchObject({ id: 1, name: 'default', dimension: 3 });
    expect(world.namespace.collection('papers')).toMatchObject({ id: 2, name: 'papers', dimension: 2 });
    expect(world.namespace.collection('none')).toBeUndefined();
    expect(world.setxattr(ino, 'user.vexfs.vector', floats(1, 2))).toBe(-EINVAL);
    expect(world.removexattr(ino, 'user.vexfs.vector')).toBe(1);
    expect(world.namespace.createCollection('papers', 2)).toBe(2);
    expect(world.namespace.createCollection('papers', 3)).toBe(-EINVAL);
    expect(world.namespace.createCollection('more', 8)).toBe(3);
  });

  it('that are none are refused, and leave no collection behind', () => {
    const world = World.fresh();
    const cases = [
      new Uint8Array(0),
      new Uint8Array(7),
      floats(0, -0),
      floats(1, Number.NaN),
      floats(Number.POSITIVE_INFINITY),
      new Uint8Array(8193 * 4).fill(1),
    ];
    for (const value of cases) expect(world.setxattr(1, 'user.vexfs.vector', value)).toBe(-EINVAL);
    for (const name of ['', 'a/b', '.hidden', 'n'.repeat(64), 'default', 'ä']) {
      expect(world.setxattr(1, `user.vexfs.vector.${name}`, floats(1))).toBe(-EINVAL);
    }
    expect(world.setxattr(1, 'user.vexfs.vectors', bytesOf('plain'))).toBe(0);
    expect(world.namespace.collections()).toEqual([]);
  });

  it('are limited to 64 collections', () => {
    const world = World.fresh();
    for (let i = 0; i < 64; i++) expect(world.setxattr(1, `user.vexfs.vector.c${i}`, floats(1))).toBe(i + 1);
    expect(world.setxattr(1, 'user.vexfs.vector.one-more', floats(1))).toBe(-ENOSPC);
    expect(world.namespace.createCollection('one-more', 1)).toBe(-ENOSPC);
  });

  it('are visited with collection, inode, generation and value', () => {
    const world = World.fresh();
    world.file(1, 'without');
    const ino = world.file(1, 'with');
    world.setxattr(ino, 'user.note', bytesOf('abc'));
    world.setxattr(ino, 'user.vexfs.vector.x', floats(1, 2));
    const seen: unknown[] = [];
    world.namespace.vectors((collection, n, generation, u8, start, end) => {
      expect(start % 4).toBe(0);
      seen.push([collection, n, generation, [...u8.subarray(start, end)]]);
    });
    expect(seen).toEqual([[1, ino, 1, [...floats(1, 2)]]]);
  });
});

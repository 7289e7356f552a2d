import { expect, test } from 'vitest';
import * as abi from '../../fuse/protocol/abi.ts';
import { FOREVER } from '../../fuse/protocol/reply.ts';
import { EINVAL } from '../../runtime/errno.ts';
import { type Listed, ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';

function filled(count: number): { h: Harness; expected: string[] } {
  const h = new Harness();
  const expected: string[] = [];
  for (let i = 0; i < count; i++) {
    const name = `${'n'.repeat((i * 37) % 250)}${i}`;
    expected.push(name);
    if (i % 3 === 0) ok(h.mkdir(ROOT, name));
    else ok(h.create(ROOT, name));
  }
  return { h, expected: expected.sort() };
}

test('every entry comes once, whatever the size of the buffer', () => {
  const { h, expected } = filled(200);
  for (const size of [300, 512, 1000, 4096, 65536]) {
    const listed = h.readdir(ROOT, size).map(({ name }) => name);
    expect(listed.slice(0, 2)).toEqual(['.', '..']);
    expect(listed.slice(2).sort()).toEqual(expected);
  }
});

test('entries carry type and inode number', () => {
  const h = new Harness();
  const directory = ok(h.mkdir(ROOT, 'd'));
  const fifo = ok(h.mknod(ROOT, 'p', abi.S_IFIFO | 0o600));
  const listed = new Map(h.readdir(ROOT).map((entry) => [entry.name, entry]));
  expect(listed.get('d')).toMatchObject({ type: abi.S_IFDIR >>> 12, ino: { lo: directory.lo, hi: 0 } });
  expect(listed.get('p')).toMatchObject({ type: abi.S_IFIFO >>> 12, ino: { lo: fifo.lo, hi: 0 } });
  expect(listed.get('.')!.type).toBe(abi.S_IFDIR >>> 12);
});

test('readdirplus has attributes and counts a lookup of each entry but . and ..', () => {
  const h = new Harness();
  const file = ok(h.create(ROOT, 'a', 0o604));
  const listed = h.readdir(ROOT, 4096, true);
  expect(listed.find(({ name }) => name === 'a')!.entry).toMatchObject({
    lo: file.lo,
    generation: file.generation,
    entryValid: FOREVER,
    attr: { mode: abi.S_IFREG | 0o604 },
  });
  for (const name of ['.', '..']) expect(listed.find((entry) => entry.name === name)!.entry!.lo).toBe(0);
  h.unlink(ROOT, 'a');
  h.forget(file, 1);
  expect(ok(h.getattr(file)).nlink).toBe(0);
  h.forget(file, 1);
  expect(h.getattr(file)).toBeLessThan(0);
});

test('a readdirplus that the kernel did not take leaves no lookups', () => {
  const h = new Harness();
  const files = ['a', 'bb', 'c'.repeat(200)].map((name) => ok(h.create(ROOT, name)));
  ok(h.readdirOnce(ROOT, 0n, 4096, true));
  h.operations.undelivered(h.request, h.reply);
  for (const [i, name] of ['a', 'bb', 'c'.repeat(200)].entries()) {
    h.unlink(ROOT, name);
    h.forget(files[i]!);
    expect(h.getattr(files[i]!)).toBeLessThan(0);
  }
});

test('a buffer too small for one entry is EINVAL', () => {
  const h = new Harness();
  ok(h.create(ROOT, 'a'));
  expect(h.readdirOnce(ROOT, 0n, 16)).toBe(-EINVAL);
  expect(h.readdirOnce(ROOT, 0n, 128, true)).toBe(-EINVAL);
});

test('removing while reading, as rm -rf does, meets every entry', () => {
  const { h, expected } = filled(100);
  const met: string[] = [];
  let cookie = 0n;
  for (;;) {
    const some = ok(h.readdirOnce(ROOT, cookie, 700)) as Listed[];
    if (some.length === 0) break;
    cookie = some.at(-1)!.cookie;
    for (const { name, type } of some) {
      if (name === '.' || name === '..') continue;
      met.push(name);
      const isDirectory = type === abi.S_IFDIR >>> 12;
      expect(isDirectory ? h.rmdir(ROOT, name) : h.unlink(ROOT, name)).toBe(0);
    }
  }
  expect(met.sort()).toEqual(expected);
  expect(h.names(ROOT)).toEqual([]);
});

test('a removed directory lists nothing', () => {
  const h = new Harness();
  const directory = ok(h.mkdir(ROOT, 'd'));
  h.rmdir(ROOT, 'd');
  expect(ok(h.readdirOnce(directory, 0n, 4096))).toEqual([]);
});

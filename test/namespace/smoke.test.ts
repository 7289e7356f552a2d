import { expect, it } from 'vitest';
import { DirEntry } from '../../fuse/namespace/namespace.ts';
import { World } from './world.ts';
it('works', () => {
  const w = World.fresh();
  const d = w.directory(1, 'dir');
  const f = w.file(d, 'a name that is longer than twenty-four bytes', 'hello');
  expect(w.lookup(d, 'a name that is longer than twenty-four bytes')).toBe(f);
  expect(w.namespace.pathOf(f)).toBe('/dir/a name that is longer than twenty-four bytes');
  expect(w.stat(f).size).toBe(5);
  expect(w.rename(d, 'a name that is longer than twenty-four bytes', 1, 'x')).toBe(0);
  const e = new DirEntry();
  const names = [];
  while (w.namespace.readdir(1, e.cookieLo, e.cookieHi, e)) names.push(Buffer.from(e.name.subarray(0, e.nameLength)).toString());
  expect(names).toEqual(['.', '..', 'x', 'dir']);
  expect(w.rmdir(1, 'dir')).toBe(0);
  const w2 = World.fresh(); w2.replay(w.drain()); w2.namespace.afterRecovery();
  expect(w2.lookup(1, 'x')).toBe(f);
});

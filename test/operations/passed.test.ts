/** How files are opened that the kernel may read and write by itself, and what is answered of them meanwhile. */
import { expect, test } from 'vitest';
import { APPEND_ONLY, IMMUTABLE } from '../../fuse/namespace/inode-flags.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import { ENOSYS, EPERM } from '../../runtime/errno.ts';
import { type Attributes, type Node, ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';

const LARGE = Buffer.alloc(30_000, 'x');
const RDONLY = 0;
const RDWR = 2;
const { FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, FOPEN_PASSTHROUGH } = abi;

/** With a kernel that takes backing files, and those that are registered. */
function passing(options: { refuses?: boolean } = {}): { h: Harness; registered: Set<number> } {
  const registered = new Set<number>();
  let next = 1;
  const open = (): number => {
    if (options.refuses) return -1;
    registered.add(next);
    return next++;
  };
  const close = (id: number): void => expect(registered.delete(id)).toBe(true);
  return { h: new Harness({ backing: { open, close } }), registered };
}

function largeFile(h: Harness, name = 'large'): Node {
  const file = ok(h.create(ROOT, name));
  h.write(file, 0, LARGE);
  h.release(file, RDWR);
  return file;
}

const sizeOf = (h: Harness, file: Node): number => (h.getattr(file) as Attributes).size;

test('OPEN is declined where nothing can be passed through', () => {
  const h = new Harness();
  expect(h.open(ok(h.create(ROOT, 'file')), RDONLY)).toBe(-ENOSYS);
});

test('a file is opened one way until all have closed it, and then as suits what it is by then', () => {
  const { h, registered } = passing();
  const file = ok(h.create(ROOT, 'file'));
  h.write(file, 0, LARGE);
  expect(h.open(file, RDWR)).toEqual({ flags: 0, backing: 0 });
  h.release(file, RDWR);
  expect(h.open(file, RDWR)).toEqual({ flags: 0, backing: 0 });
  for (let i = 0; i < 2; i++) h.release(file, RDWR);
  for (const flags of [RDONLY, RDWR])
    expect(h.open(file, flags)).toEqual({ flags: FOPEN_PASSTHROUGH, backing: 1 });
  expect([...registered]).toEqual([1]);
  expect(h.truncate(file, 10)).toBe(0);
  expect(h.open(file, RDONLY)).toEqual({ flags: FOPEN_PASSTHROUGH, backing: 1 });
  for (let i = 0; i < 3; i++) h.release(file, RDONLY);
  h.content.passed!.refreshAll();
  expect([...registered]).toEqual([]);
  expect(h.read(file, 0, 100)).toEqual(LARGE.subarray(0, 10));
  expect(h.open(ok(h.create(ROOT, 'small')), RDONLY)).toEqual({ flags: FOPEN_KEEP_CACHE, backing: 0 });
});

test('what the kernel writes is in the attributes when it asks, is to be indexed, once, and made durable after the last close', () => {
  const { h } = passing();
  const file = largeFile(h);
  h.open(file, RDWR);
  h.handed.changed.length = 0;
  h.handed.dirty.length = 0;
  h.writePastUs(file, 40_000, Buffer.from('end'));
  expect(sizeOf(h, file)).toBe(40_003);
  expect(sizeOf(h, file)).toBe(40_003);
  expect([h.handed.changed, h.handed.dirty]).toEqual([[file.lo], []]);
  h.writePastUs(file, 0, Buffer.from('beginning'));
  h.release(file, RDWR);
  h.content.passed!.refreshAll();
  expect([h.handed.changed, h.handed.dirty.length]).toEqual([[file.lo, file.lo], 1]);
  expect((h.read(file, 0, 9) as Buffer).toString()).toBe('beginning');
});

test('a hole is punched into what the kernel has made the file longer by, though it has asked for no attributes since', () => {
  const { h } = passing();
  const file = largeFile(h);
  h.open(file, RDWR);
  h.writePastUs(file, 30_000, Buffer.alloc(20_000, 'y'));
  expect(h.fallocate(file, abi.FALLOC_FL_PUNCH_HOLE | abi.FALLOC_FL_KEEP_SIZE, 40_000, 5000)).toBe(0);
  const bytes = h.read(file, 39_999, 5002) as Buffer;
  expect(bytes).toEqual(Buffer.concat([Buffer.from('y'), Buffer.alloc(5000), Buffer.from('y')]));
});

test('an fsync makes the object durable although nothing seems to have changed', () => {
  const { h } = passing();
  const file = largeFile(h);
  h.open(file, RDWR);
  h.handed.dirty.length = 0;
  h.call(abi.FUSE_FSYNC, file, Buffer.alloc(16));
  expect(h.handed.dirty.length).toBe(1);
  expect(h.handed.synced.length).toBe(1);
});

test('the kernel keeps no attributes of a file that it changes by itself', () => {
  const { h } = passing();
  const file = largeFile(h);
  expect(ok(h.lookup(ROOT, 'large')).attrValid).toBeGreaterThan(0);
  h.open(file, RDONLY);
  expect(ok(h.lookup(ROOT, 'large')).attrValid).toBe(0);
});

test('set-user-ID goes with the next change, and a file that has it is not written past us', () => {
  const { h } = passing();
  const file = largeFile(h);
  h.open(file, RDWR);
  h.setattr(file, { valid: abi.FATTR_MODE, mode: 0o4755 });
  h.writePastUs(file, 0, Buffer.from('other'));
  expect((h.getattr(file) as Attributes).mode & 0o7777).toBe(0o755);
  expect(h.handed.forgotten).toEqual([{ lo: file.lo, hi: 0 }]);
  h.setattr(file, { valid: abi.FATTR_MODE, mode: 0o4755 });
  expect(h.open(file, RDWR)).toEqual({ flags: FOPEN_PASSTHROUGH | FOPEN_DIRECT_IO, backing: 1 });
  for (let i = 0; i < 2; i++) h.release(file, RDWR);
  h.content.passed!.refreshAll();
  expect(h.open(file, RDWR)).toEqual({ flags: 0, backing: 0 });
});

test('a file that is passed through is not compressed, one that is compressed is not passed through', () => {
  const { h } = passing();
  const file = largeFile(h);
  h.open(file, RDONLY);
  expect(h.compress(file, {})).toBeLessThan(0);
  h.release(file, RDONLY);
  h.content.passed!.refreshAll();
  expect(h.compress(file, {})).toBe(0);
  expect(h.open(file, RDONLY)).toEqual({ flags: 0, backing: 0 });
});

test('what lies behind the end of a file is not there for who reads its object', () => {
  const { h } = passing();
  const file = largeFile(h);
  h.truncate(file, 20_000);
  h.open(file, RDONLY);
  h.namespace.locate(file.lo, h.place);
  expect(h.objects.storedBytes(h.place.object)).toBe(20_000);
});

test('a kernel that refuses a backing file has the file opened as before', () => {
  const { h } = passing({ refuses: true });
  expect(h.open(largeFile(h), RDWR)).toEqual({ flags: 0, backing: 0 });
});

test('an answer that the kernel does not take opens nothing', () => {
  const { h, registered } = passing();
  const file = largeFile(h);
  h.open(file, RDONLY);
  h.operations.undelivered(h.request, h.reply);
  h.content.passed!.refreshAll();
  expect([...registered]).toEqual([]);
});

test('the end of an inode is the end of all that was counted of it', () => {
  const { h, registered } = passing();
  const file = largeFile(h);
  h.open(file, RDWR);
  h.unlink(ROOT, 'large');
  h.forget(file, 1);
  expect([...registered]).toEqual([]);
  expect(h.content.passed!.has(file.lo)).toBe(false);
});

test('an immutable file is not opened for writing, an append-only one for appending alone', () => {
  const { h } = passing();
  const file = largeFile(h);
  const [WRONLY, APPEND] = [1, 0o2000];
  const opens = [RDONLY, WRONLY, RDWR, WRONLY | APPEND, RDWR | APPEND];
  const answers = (flags: number): boolean[] => {
    h.namespace.setFlags(file.lo, flags);
    return opens.map((opened) => {
      const answer = h.open(file, opened);
      if (typeof answer !== 'number') h.release(file, opened);
      else expect(answer).toBe(-EPERM);
      return typeof answer !== 'number';
    });
  };
  expect(answers(IMMUTABLE)).toEqual([true, false, false, false, false]);
  expect(answers(APPEND_ONLY)).toEqual([true, false, false, true, true]);
  expect(answers(0)).toEqual(opens.map(() => true));
});

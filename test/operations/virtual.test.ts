import { expect, test } from 'vitest';
import { QUERY_SEARCH, QUERY_SIMILAR } from '../../fuse/operations/ports.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import { FOREVER, Reply } from '../../fuse/protocol/reply.ts';
import { answerQuery } from '../../fuse/virtual/query-reply.ts';
import type { SearchResult } from '../../fuse/virtual/result-links.ts';
import { EACCES, EISDIR, ENFILE, ENODATA, ENOENT, ENOTDIR, EPERM, ESTALE } from '../../runtime/errno.ts';
import { type Entry, entryOf, ok, ROOT, strings } from './encoding.ts';
import { Harness } from './harness.ts';

const top = (h: Harness) => ok(h.lookup(ROOT, '.vexfs'));
const within = (h: Harness, ...path: string[]) =>
  path.reduce((node, name) => ok(h.lookup(node, name)), top(h));

/** Plays the indexer: answers the newest query. */
function answer(h: Harness, results: readonly SearchResult[] | number): Entry | number {
  const { unique, uid, gid, pid, parent, name } = h.handed.queries.at(-1)!;
  const question = {
    uid,
    gid,
    pid,
    parentLo: parent.lo,
    parentHi: parent.hi,
    name: Buffer.from(name),
    epoch: h.virtual.epoch,
  };
  const reply = new Reply();
  answerQuery(h.virtual, reply, unique, 0, question, results);
  const body = Buffer.from(reply.u8.slice(16, reply.length));
  expect(reply.u32[2]).toBe(unique);
  return entryOf({ error: reply.i32[1]!, body });
}

const FOUND = [
  { name: 'keys.md', target: '/docs/keys.md' },
  { name: 'keys.md', target: 'old/keys.md' },
  { name: 'später.txt', target: '/später.txt' },
];

test('.vexfs is found by name, but not listed, and nothing else can have its name', () => {
  const h = new Harness();
  ok(h.create(ROOT, 'a'));
  expect(top(h)).toMatchObject({ entryValid: FOREVER, attr: { mode: abi.S_IFDIR | 0o555 } });
  expect(h.names(ROOT)).toEqual(['a']);
  expect(h.create(ROOT, '.vexfs')).toBe(-EPERM);
  expect(h.mkdir(ROOT, '.vexfs')).toBe(-EPERM);
  expect(h.rename(ROOT, 'a', ROOT, '.vexfs')).toBe(-EPERM);
  expect(h.rename(ROOT, '.vexfs', ROOT, 'b')).toBe(-EPERM);
  expect(h.rmdir(ROOT, '.vexfs')).toBe(-EPERM);
  expect(h.unlink(ROOT, '.vexfs')).toBe(-EPERM);
  const below = ok(h.mkdir(ROOT, 'd'));
  expect(ok(h.mkdir(below, '.vexfs')).hi).toBe(0);
});

test('the tree lists its fixed parts', () => {
  const h = new Harness();
  expect(h.names(top(h))).toEqual(['actors', 'config', 'query', 'search', 'similar', 'stats']);
  expect(h.names(within(h, 'search'))).toEqual([]);
  expect(h.names(within(h, 'actors'))).toEqual(['fuse-0', 'main']);
  expect(h.names(within(h, 'actors', 'main'))).toEqual(['mailbox', 'messages', 'state', 'trace']);
  expect(h.readdir(top(h), 64).map(({ name }) => name)).toEqual([
    '.',
    '..',
    'search',
    'similar',
    'query',
    'stats',
    'config',
    'actors',
  ]);
  for (const { entry } of h.readdir(top(h), 4096, true)) expect(entry!.lo).toBe(0);
  expect(h.lookup(top(h), 'nonsense')).toBe(-ENOENT);
  expect(h.lookup(within(h, 'actors'), 'nobody')).toBe(-ENOENT);
  expect(h.lookup(within(h, 'actors', 'main'), 'nothing')).toBe(-ENOENT);
});

test('a text is frozen at its lookup, has its size, and goes with its forget', () => {
  let text = 'first\n';
  const h = new Harness({ text: { hasQueries: true, list: () => [], changedAt: () => 0, text: () => text } });
  const stats = within(h, 'stats');
  expect(stats).toMatchObject({ entryValid: 0, attr: { mode: abi.S_IFREG | 0o444, size: 6 } });
  text = 'second, longer\n';
  const again = within(h, 'stats');
  expect(again.lo).not.toBe(stats.lo);
  expect(ok(h.read(stats, 0, 4096)).toString()).toBe('first\n');
  expect(ok(h.read(again, 7, 4096)).toString()).toBe(' longer\n');
  expect(ok(h.read(again, 100, 10)).length).toBe(0);
  expect(ok(h.getattr(again)).size).toBe(15);
  expect(h.virtual.liveNodes()).toBe(2);
  h.forget(stats);
  h.forget(again);
  expect(h.virtual.liveNodes()).toBe(0);
  expect(h.getattr(stats)).toBe(-ESTALE);
  expect(h.read(stats, 0, 10)).toBe(-ESTALE);
  const third = within(h, 'stats');
  const fourth = within(h, 'stats');
  expect([third, fourth].every((node) => node.generation > 0)).toBe(true);
});

test('an actor that is not there has a place in the list and no entry; the directory is another when one comes or goes', () => {
  let names = ['main', '', 'fuse-0', '', ''];
  let changedAt = 1_700_000_000_123;
  const h = new Harness({
    text: { hasQueries: true, list: () => names, changedAt: () => changedAt, text: () => undefined },
  });
  const actors = within(h, 'actors');
  expect(h.readdir(actors, 64).map(({ name }) => name)).toEqual(['.', '..', 'main', 'fuse-0']);
  const fuse = within(h, 'actors', 'fuse-0');
  const before = ok(h.getattr(actors));
  expect(before).toMatchObject({ mtime: 1_700_000_000, mtimeNs: 123_000_000 });
  names = ['main', 'shard-0', '', '', 'fuse-2'];
  changedAt += 1;
  for (const bytes of [64, 4096])
    expect(h.readdir(actors, bytes).map(({ name }) => name)).toEqual([
      '.',
      '..',
      'main',
      'shard-0',
      'fuse-2',
    ]);
  expect(ok(h.getattr(actors)).mtimeNs).not.toBe(before.mtimeNs);
  expect(h.lookup(actors, 'fuse-0')).toBe(-ENOENT);
  names = ['main', 'shard-0', 'fuse-0', '', 'fuse-2'];
  expect(within(h, 'actors', 'fuse-0')).toMatchObject({ lo: fuse.lo, hi: fuse.hi });
});

test('an actor has state and mailbox; what has no text is ENOENT', () => {
  const h = new Harness();
  const state = within(h, 'actors', 'main', 'state');
  expect(ok(h.read(state, 0, 100)).toString()).toBe('text of actors/main/state\n');
  expect(h.lookup(within(h, 'actors', 'fuse-0'), 'mailbox')).toBe(-ENOENT);
});

test('a search is handed over and its answer is a directory of ranked links', () => {
  const h = new Harness();
  const search = within(h, 'search');
  const asked = h.call(abi.FUSE_LOOKUP, search, strings('rotate the keys'), { uid: 7, gid: 8, pid: 9 });
  expect(asked.error).toBeUndefined();
  expect(h.handed.queries.at(-1)).toMatchObject({
    uid: 7,
    gid: 8,
    pid: 9,
    kind: QUERY_SEARCH,
    parent: { lo: search.lo, hi: search.hi },
    name: 'rotate the keys',
  });
  const directory = ok(answer(h, FOUND));
  expect(directory).toMatchObject({ entryValid: 0, attr: { mode: abi.S_IFDIR | 0o500, uid: 7, gid: 8 } });
  expect(h.names(directory)).toEqual(['01-keys.md', '02-keys.md', '03-später.txt']);
  const first = ok(h.lookup(directory, '01-keys.md'));
  expect(first).toMatchObject({ entryValid: 0, attr: { mode: abi.S_IFLNK | 0o777 } });
  expect(h.readlink(first)).toBe('../../../docs/keys.md');
  expect(first.attr.size).toBe('../../../docs/keys.md'.length);
  expect(h.readlink(ok(h.lookup(directory, '02-keys.md')))).toBe('../../../old/keys.md');
  expect(h.readlink(ok(h.lookup(directory, '03-später.txt')))).toBe('../../../später.txt');
  for (const name of ['04-x', '01-key.md', '1-keys.md', '00-keys.md', 'keys.md', '-', '99999999999-x']) {
    expect(h.lookup(directory, name)).toBe(-ENOENT);
  }
  expect(h.lookup(first, 'x')).toBe(-ENOTDIR);
  expect(h.read(first, 0, 1)).toBeLessThan(0);
  expect(h.read(directory, 0, 1)).toBe(-EISDIR);
});

test('the directory lives until it and its links are forgotten', () => {
  const h = new Harness();
  h.call(abi.FUSE_LOOKUP, within(h, 'search'), strings('q'));
  const directory = ok(answer(h, FOUND));
  const link = ok(h.lookup(directory, '01-keys.md'));
  h.forget(directory);
  expect(h.readlink(link)).toBe('../../../docs/keys.md');
  expect(h.virtual.liveNodes()).toBe(1);
  h.forget(link);
  expect(h.virtual.liveNodes()).toBe(0);
  expect(h.readlink(link)).toBeLessThan(0);
  expect(h.slab.usedBytes).toBeLessThan(4096);
});

test('the same question of the same process finds the same directory, for two seconds or until something changes', () => {
  const h = new Harness();
  const search = within(h, 'search');
  const ask = (name: string, uid = 7) =>
    h.call(abi.FUSE_LOOKUP, search, strings(name), { uid, gid: 7 }).error;
  expect(ask('q')).toBeUndefined();
  const directory = ok(answer(h, FOUND));
  expect(ok(h.lookup(search, 'q', { uid: 7, gid: 7 })).lo).toBe(directory.lo);
  expect(h.handed.queries.length).toBe(1);
  expect(ask('other')).toBeUndefined();
  expect(ask('q', 8)).toBeUndefined();
  h.setxattr(ok(h.create(ROOT, 'a')), 'user.vexfs.vector', Buffer.from(Float32Array.of(1).buffer));
  expect(ask('q')).toBeUndefined();
  expect(h.handed.queries.length).toBe(4);
  h.forget(directory, 2);
  expect(h.virtual.liveNodes()).toBe(0);
  ok(answer(h, FOUND));
  h.now += 1900;
  ok(h.lookup(search, 'q', { uid: 7, gid: 7 }));
  h.now += 200;
  expect(ask('q')).toBeUndefined();
});

test('another process, a rename and a change of permissions make the same question a new search', () => {
  const h = new Harness();
  const search = within(h, 'search');
  const file = ok(h.create(ROOT, 'a'));
  const isAskedAnew = (pid: number): boolean =>
    h.call(abi.FUSE_LOOKUP, search, strings('q'), { uid: 7, gid: 7, pid }).error === undefined;
  expect(isAskedAnew(1)).toBe(true);
  ok(answer(h, FOUND));
  expect([isAskedAnew(1), isAskedAnew(2)]).toEqual([false, true]);
  ok(h.setattr(file, { valid: abi.FATTR_MODE, mode: abi.S_IFREG | 0o600 }));
  expect(isAskedAnew(1)).toBe(true);
  ok(answer(h, FOUND));
  expect(isAskedAnew(1)).toBe(false);
  h.rename(ROOT, 'a', ROOT, 'b');
  expect(isAskedAnew(1)).toBe(true);
});

test('similar mirrors directories by name until a file is named', () => {
  const h = new Harness();
  const docs = ok(h.mkdir(ROOT, 'docs', 0o750));
  const deep = ok(h.mkdir(docs, 'deep'));
  const file = ok(h.create(deep, 'file.md'));
  ok(h.symlink(docs, 'link', 'deep'));
  const mirror = within(h, 'similar', 'docs');
  expect(mirror).toMatchObject({
    entryValid: 0,
    attrValid: 0,
    attr: { mode: abi.S_IFDIR | 0o550, uid: 1000 },
  });
  expect(h.names(within(h, 'similar'))).toEqual(['docs']);
  expect(h.names(mirror)).toEqual(['deep']);
  expect(h.lookup(mirror, 'link')).toBe(-ENOENT);
  expect(h.lookup(mirror, 'none')).toBe(-ENOENT);
  const parent = ok(h.lookup(mirror, 'deep'));
  expect(h.call(abi.FUSE_LOOKUP, parent, strings('file.md')).error).toBeUndefined();
  expect(h.handed.queries.at(-1)).toMatchObject({ kind: QUERY_SIMILAR, ino: file.lo, name: 'file.md' });
  const directory = ok(answer(h, FOUND));
  expect(h.readlink(ok(h.lookup(directory, '01-keys.md')))).toBe('../../../../../docs/keys.md');
  expect(h.getattr({ lo: file.lo, hi: mirror.hi })).toBe(-ENOTDIR);
  h.rmdir(ROOT, 'docs');
});

test('nothing in it can be changed', () => {
  const h = new Harness();
  h.call(abi.FUSE_LOOKUP, within(h, 'search'), strings('q'));
  const nodes = [top(h), within(h, 'search'), within(h, 'stats'), ok(answer(h, FOUND))];
  const file = ok(h.create(ROOT, 'a'));
  for (const node of nodes) {
    expect(h.create(node, 'x')).toBe(-EPERM);
    expect(h.mkdir(node, 'x')).toBe(-EPERM);
    expect(h.symlink(node, 'x', 'y')).toBe(-EPERM);
    expect(h.link(file, node, 'x')).toBe(-EPERM);
    expect(h.link(node, ROOT, 'x')).toBe(-EPERM);
    expect(h.unlink(node, 'x')).toBe(-EPERM);
    expect(h.rename(node, 'x', ROOT, 'y')).toBe(-EPERM);
    expect(h.rename(ROOT, 'a', node, 'y')).toBe(-EPERM);
    expect(h.write(node, 0, 'x')).toBe(-EPERM);
    expect(h.truncate(node, 0)).toBe(-EPERM);
    expect(h.fallocate(node, 0, 0, 10)).toBe(-EPERM);
    expect(h.setxattr(node, 'user.a', '1')).toBe(-EPERM);
    expect(h.getxattr(node, 'user.a')).toBe(-ENODATA);
    expect(h.listxattr(node, 0)).toBe(0);
    expect(h.call(abi.FUSE_FSYNC, node, Buffer.alloc(16)).error).toBe(0);
  }
});

test('a long name is cut at a character, keeping the rank', () => {
  const h = new Harness();
  h.call(abi.FUSE_LOOKUP, within(h, 'search'), strings('q'));
  const directory = ok(answer(h, [{ name: 'ä'.repeat(127), target: '/x' }]));
  const [name] = h.names(directory);
  expect(name).toBe(`01-${'ä'.repeat(126)}`);
  expect(ok(h.lookup(directory, name!)).hi).toBe(2);
});

test('a thousand results are listed page by page, and what is too long for a link is left out', () => {
  const h = new Harness();
  h.call(abi.FUSE_LOOKUP, within(h, 'search'), strings('q'));
  const results = Array.from({ length: 1000 }, (_, i) => ({ name: `f${i}`, target: `/dir/f${i}` }));
  results[0] = { name: 'long', target: 'x'.repeat(4095) };
  const directory = ok(answer(h, results));
  const names = h.names(directory);
  expect(names.length).toBe(999);
  expect(names[0]).toBe('0001-f1');
  expect(h.readlink(ok(h.lookup(directory, '0999-f999')))).toBe('../../../dir/f999');
});

test('with all nodes in use a lookup is ENFILE for a moment, then the oldest node makes room', () => {
  const h = new Harness({ virtualNodes: 2 });
  const first = within(h, 'stats');
  h.now += 500;
  const second = within(h, 'stats');
  expect(h.lookup(top(h), 'stats')).toBe(-ENFILE);
  h.now += 600;
  const third = within(h, 'stats');
  expect(h.read(first, 0, 10)).toBe(-ESTALE);
  expect(h.getattr(first)).toBe(-ESTALE);
  for (const node of [second, third]) expect(ok(h.read(node, 0, 4)).toString()).toBe('text');
  h.forget(first, 100);
  expect(ok(h.getattr(third)).size).toBe(14);
  expect(h.virtual.liveNodes()).toBe(2);
  h.forget(third);
  h.forget(second);
  expect(h.virtual.liveNodes()).toBe(0);
});

test('ten thousand searches that the kernel never forgets need no more nodes than there are', () => {
  const h = new Harness({ virtualNodes: 16 });
  const search = within(h, 'search');
  const seen = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    h.now += 100;
    expect(h.call(abi.FUSE_LOOKUP, search, strings(`q${i}`)).error).toBeUndefined();
    const directory = ok(answer(h, FOUND));
    expect(h.names(directory).length).toBe(3);
    seen.add(directory.lo);
  }
  expect(seen.size).toBe(10_000);
  expect(h.virtual.liveNodes()).toBe(16);
});

test('an error of the index is the answer', () => {
  const h = new Harness();
  h.call(abi.FUSE_LOOKUP, within(h, 'search'), strings('q'));
  expect(answer(h, -EACCES)).toBe(-EACCES);
  expect(h.virtual.liveNodes()).toBe(0);
});

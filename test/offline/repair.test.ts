import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openOffline } from '../../cli/offline/open.ts';
import type { PrivateTree } from '../../cli/offline/private-tree.ts';
import { repairStore } from '../../cli/offline/repair.ts';
import * as L from '../../fuse/namespace/layout.ts';
import { type OpenStore, openStore } from '../../runtime/storage/store.ts';
import { seeded, testSeed } from '../seed.ts';
import { BuiltStore, buildStore, describeTree, Folder, inspected, MEMORY } from './built-store.ts';
import { WRONG_TABLES } from './wrong-tables.ts';

const SEED = testSeed('tables of any content');
const ROUNDS = Number(process.env.VEXFS_TEST_ROUNDS ?? 12);

/** Repairs, and expects the store to be clean afterwards and nothing of it to be gone. What was done. */
function repaired(path: string): readonly string[] {
  const check = inspected(path);
  const store = openStore(path, { create: false, inspect: true });
  if ('kind' in store) throw new Error(store.message);
  const before = readdirSync(path, { recursive: true }).length;
  const { done } = repairStore(store.disk, store.identity, MEMORY, check);
  store.release();
  expect(readdirSync(path, { recursive: true }).length).toBeGreaterThanOrEqual(before);
  expect(inspected(path).findings.problems).toEqual([]);
  return done;
}

/** What a mount serves. */
function served(path: string): Map<string, string> {
  const store = new BuiltStore(path);
  expect(store.recovered.damage).toBeUndefined();
  const tree = describeTree(store.tree, store.store.disk);
  store.populate('after the repair');
  store.checkpoint();
  store.close();
  expect(inspected(path).findings.problems).toEqual([]);
  return tree;
}

/** Flips a bit at `at`, or somewhere in a file that is shorter. */
function spoil(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at % bytes.length]! ^= 1;
  writeFileSync(path, bytes);
}

function logsOf(store: string): string[] {
  return readdirSync(join(store, 'log')).map((name) => join(store, 'log', name));
}

test('a log that is damaged in the middle: all before it stays, and what follows it is kept aside', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const logs = logsOf(folder.store);
  const damaged = logs.at(-3)!;
  spoil(damaged, 500);
  const readable = inspected(folder.store);
  expect(readable.findings.isClean).toBe(false);
  const before = describeTree(readable.state!.tree, readableDisk(folder.store));
  const done = repaired(folder.store);
  expect(existsSync(`${damaged}.aside`)).toBe(true);
  expect(logsOf(folder.store).every((name) => name.endsWith('.aside'))).toBe(true);
  const after = served(folder.store);
  for (const [path, what] of before) if (path !== '') expect(after.get(path), path).toBe(what);
  const objects = done.filter((what) => what.includes('object-'));
  expect(objects.length).toBeGreaterThan(0);
  const found = [...after].find(([path]) => path.startsWith('/lost+found/object-'))!;
  expect(found[1]).toMatch(/(three|four) (three|four) /);
});

function readableDisk(path: string) {
  const store = openStore(path, { create: false, inspect: true });
  if ('kind' in store) throw new Error(store.message);
  store.release();
  return store.disk;
}

test('an object that is longer than the tree knows keeps what is past its end, as a file of its own', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  const ino = store.large(1, 'growing', 'the beginning');
  store.checkpoint();
  store.inline(1, 'a file before the damage', 'x');
  store.commit();
  const more = Buffer.from(' and the end');
  store.objects.write(store.namespace.objectOf(ino), 13, more, 0, more.length);
  store.namespace.wroteObject(ino, 13 + more.length);
  store.inline(1, 'a file after the damage', 'x');
  store.commit();
  store.inline(1, 'the last', 'x');
  store.commit();
  store.close();
  const log = logsOf(folder.store).at(-1)!;
  const at = readFileSync(log).indexOf('a file after the damage');
  spoil(log, at - 100);
  expect(inspected(folder.store).findings.isClean).toBe(false);
  repaired(folder.store);
  const tree = served(folder.store);
  expect(tree.get('/growing')).toContain('"the beginning"');
  expect(tree.get('/lost+found/object-1-whole')).toContain('"the beginning and the end"');
});

test('bytes of a large file that only the log has, before its damage: a mount says so and writes nothing, a repair puts them in', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  const ino = store.large(1, 'large', 'the beginning');
  store.checkpoint();
  const bytes = Buffer.from('THE');
  store.namespace.wroteObject(ino, bytes.length, 0, bytes, 0, bytes.length);
  store.inline(1, 'a file before the damage', 'x');
  store.commit();
  store.inline(1, 'a file after the damage', 'x');
  store.commit();
  store.inline(1, 'the last', 'x');
  store.commit();
  store.close();
  const log = logsOf(folder.store).at(-1)!;
  spoil(log, readFileSync(log).indexOf('a file after the damage'));
  const damaged = new BuiltStore(folder.store);
  expect(damaged.recovered).toMatchObject({ unwritten: 1, damage: {} });
  expect(describeTree(damaged.tree, damaged.store.disk).get('/large')).toContain('"the beginning"');
  damaged.close();
  repaired(folder.store);
  const tree = served(folder.store);
  expect(tree.get('/large')).toContain('"THE beginning"');
  expect([...tree.keys()]).toContain('/a file before the damage');
});

test('a compressed object that nothing refers to any more is found with what it was of', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  store.checkpoint();
  store.inline(1, 'a file before the damage', 'x');
  store.commit();
  store.compressed(1, 'cold', 'said again '.repeat(1000));
  store.commit();
  store.close();
  const log = logsOf(folder.store).at(-1)!;
  spoil(log, readFileSync(log).indexOf('a file before the damage'));
  expect(inspected(folder.store).findings.isClean).toBe(false);
  repaired(folder.store);
  expect(served(folder.store).get('/lost+found/object-2')).toContain('"said again said again ');
});

test('a damaged piece of a compressed file is left as it is: the others can be read', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  store.compressed(1, 'cold', 'said again '.repeat(1000));
  store.checkpoint();
  store.close();
  spoil(join(folder.store, 'objects/02/2'), 20);
  const check = inspected(folder.store);
  const { disk, identity, release } = openStore(folder.store, { create: false, inspect: true }) as OpenStore;
  const { done } = repairStore(disk, identity, MEMORY, check);
  release();
  expect(done).toContain('left /cold, whose compressed content is damaged: what cannot be read of it is EIO');
  expect(inspected(folder.store).findings.problems).toMatchObject([
    { file: 'objects/02/2', what: 'bad checksum: bytes 0 to 5500 of its file are lost' },
  ]);
});

test('a damaged piece of a file with checksums is left as it is, and stays damaged', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  store.summed(1, 'rest', 'said again '.repeat(10_000));
  store.checkpoint();
  store.close();
  spoil(join(folder.store, 'objects/01/1'), 70_000);
  const check = inspected(folder.store);
  const { disk, identity, release } = openStore(folder.store, { create: false, inspect: true }) as OpenStore;
  const { done } = repairStore(disk, identity, MEMORY, check);
  release();
  expect(done).toContain('left /rest, which is damaged: what does not agree with its checksums is EIO');
  expect(inspected(folder.store).findings.problems).toEqual(check.findings.problems);
  expect(check.findings.problems).toMatchObject([{ file: 'objects/01/1', offset: 65_536 }]);
});

test('a log that is damaged before the record that checksums no longer count: the file can be read again', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  const ino = store.summed(1, 'rest', 'said again '.repeat(5000));
  store.checkpoint();
  store.inline(1, 'a file before the damage', 'x');
  store.commit();
  store.namespace.setSums(ino, 1, new Uint8Array(0), 0, 0);
  store.commit();
  store.objects.write(1, 5, Buffer.from('NEW'), 0, 3);
  store.namespace.wroteObject(ino, 8);
  store.commit();
  store.close();
  expect(inspected(folder.store).findings.problems).toEqual([]);
  const log = logsOf(folder.store).at(-1)!;
  spoil(log, readFileSync(log).indexOf('a file before the damage'));
  expect(repaired(folder.store)).toContain(
    'took away the checksums of /rest: it may have changed after them',
  );
  expect(served(folder.store).get('/rest')).toContain('"said NEWin said again ');
});

test('the newest checkpoint damaged: the older one and the log say the same tree', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const before = describeTree(inspected(folder.store).state!.tree, readableDisk(folder.store));
  spoil(join(folder.store, 'checkpoint/00000003/slab'), 5000);
  repaired(folder.store);
  expect(served(folder.store)).toEqual(before);
});

test('no checkpoint at all: the log makes the tree if it goes back to the first record, else objects are found', () => {
  for (const isWhole of [true, false]) {
    using folder = new Folder();
    const first = new BuiltStore(folder.store);
    first.populate('one');
    first.commit();
    if (!isWhole) {
      first.checkpoint();
      first.checkpoint();
      first.checkpoint();
      first.populate('two');
      first.commit();
    }
    first.close();
    for (const name of readdirSync(join(folder.store, 'checkpoint')))
      spoil(join(folder.store, 'checkpoint', name, 'inodes'), 130);
    const { findings } = inspected(folder.store);
    expect(findings.problems.at(-1)!.what).toContain('cannot be mounted');
    repaired(folder.store);
    const tree = served(folder.store);
    if (isWhole)
      expect(tree.get('/one/a/a directory with a name that is longer than a record/small.txt')).toBeDefined();
    else expect(tree.get('/lost+found/object-1')).toContain('one one one');
  }
});

test('a segment that is damaged is set aside, and nothing else is touched', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const segment = readdirSync(join(folder.store, 'vectors')).at(-1)!;
  spoil(join(folder.store, 'vectors', segment), 90);
  const other = segment.replace('-1.seg', '-0.seg');
  expect(repaired(folder.store)).toEqual(
    [other, segment].map((name) => `set vectors/${name} aside as vectors/${name}.aside`),
  );
});

test('an object that is missing leaves its file empty, not full of zeros', () => {
  using folder = new Folder();
  buildStore(folder.store);
  rmSync(join(folder.store, 'objects/01/1'));
  expect(repaired(folder.store)).toContain('made /one/large.bin empty: its content is missing');
  const attributes = JSON.parse(served(folder.store).get('/one/large.bin')!) as [{ size: number }, string];
  expect(attributes[0].size).toBe(0);
});

test('a store whose identity is damaged or gone gets it back from its log', () => {
  for (const how of ['damaged', 'gone']) {
    using folder = new Folder();
    buildStore(folder.store);
    const { identity } = inspectedIdentity(folder.store);
    if (how === 'gone') rmSync(join(folder.store, 'format'));
    else appendFileSync(join(folder.store, 'format'), 'x');
    expect(openOffline(folder.store, false)).toMatchObject({ file: 'format' });
    const opened = openOffline(folder.store, true);
    if (!('store' in opened)) throw new Error(opened.what);
    expect(opened.store.identity.uuid).toBe(identity.uuid);
    opened.store.release();
    expect(inspected(folder.store).findings.problems).toEqual([]);
  }
});

function inspectedIdentity(path: string) {
  const store = openStore(path, { create: false, inspect: true });
  if ('kind' in store) throw new Error(store.message);
  store.release();
  return store;
}

/** A store whose tables were changed by `change` before they were written, with right checksums. */
function planted(path: string, change: (tree: PrivateTree, store: BuiltStore) => void): void {
  const store = new BuiltStore(path);
  store.populate('one');
  store.commit();
  change(store.tree, store);
  store.checkpoint();
  store.close();
}

for (const [what, expected, change] of WRONG_TABLES) {
  test(`tables that are wrong though their checksums are right: ${what} is reported and repaired`, () => {
    using folder = new Folder();
    planted(folder.store, change);
    const { findings } = inspected(folder.store);
    expect(findings.problems.map(({ what }) => what).join('\n')).toMatch(expected);
    repaired(folder.store);
    const after = served(folder.store);
    // Whatever else is in the directory is still there, or in lost+found.
    const kept = [...after.keys()].filter((path) => /file-\d+$|inode-\d+/.test(path));
    expect(kept.length).toBeGreaterThanOrEqual(12);
  });
}

test('tables of any content are described, repaired and clean, and never end the check', () => {
  const random = seeded(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    using folder = new Folder();
    planted(folder.store, ({ tables }) => {
      for (let flip = 0; flip <= round; flip++) {
        const isInode = random(2) === 0;
        const words = isInode ? tables.inode : tables.dentry;
        const first = isInode ? 2 * L.INODE_WORDS : L.DENTRY_WORDS;
        const end = isInode
          ? tables.header[L.H_INODES_END]! * L.INODE_WORDS
          : tables.header[L.H_DENTRIES_END]! * L.DENTRY_WORDS;
        const value = [0, 1, random(2 ** 16), random(2 ** 31), 2 ** 32 - 1][random(5)]!;
        words[first + random(end - first)] = value;
      }
    });
    const check = inspected(folder.store);
    if (check.findings.isClean) continue;
    repaired(folder.store);
    served(folder.store);
  }
});

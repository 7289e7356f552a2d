import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '../../runtime/storage/store.ts';
import { seeded, testSeed } from '../seed.ts';
import { BuiltStore, buildStore, describeTree, Folder, inspected } from './built-store.ts';

const SEED = testSeed('flipped bits');
/** Of each file: three near its beginning, the others anywhere. */
const FLIPS = 5;

function filesOf(store: string): string[] {
  const names = readdirSync(store, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => statSync(join(store, name)).isFile()).sort();
}

test('a store with something of everything is clean, and looking at it changes nothing', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const contents = (): string[] =>
    filesOf(folder.store).map((name) => `${name} ${readFileSync(join(folder.store, name)).toString('hex')}`);
  const before = contents();
  const { findings, tree, log, objects, segments, checkpoints } = inspected(folder.store);
  expect(findings.problems).toEqual([]);
  expect(findings.notes).toEqual([]);
  expect(tree).toMatchObject({ files: 60, directories: 13, others: 8, vectors: 8 });
  expect(objects).toMatchObject({ objects: 4, orphans: [], longer: [], missing: [] });
  expect(checkpoints).toHaveLength(2);
  expect(log.records).toBeGreaterThan(100);
  expect(segments).toMatchObject({ unusable: [] });
  expect(segments.passages).toBeGreaterThan(30);
  expect(contents()).toEqual(before);
});

test('a flipped bit in any file that has a checksum is named with its file, or provably changes nothing', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const random = seeded(SEED);
  const disk = new BuiltStore(folder.store);
  const whole = describeTree(disk.tree, disk.store.disk);
  disk.checkpoint();
  disk.populate('five');
  disk.commit();
  disk.close();
  const sound = inspected(folder.store);
  const expected = describeTree(sound.state!.tree, disk.store.disk);
  expect(expected.size).toBeGreaterThan(whole.size);
  let harmless = 0;
  let flips = 0;
  for (const name of filesOf(folder.store).filter((file) => /^(checkpoint|log|vectors)\//.test(file))) {
    const path = join(folder.store, name);
    const good = readFileSync(path);
    for (let flip = 0; flip < FLIPS; flip++) {
      const bytes = Buffer.from(good);
      const at = flip < 3 ? Math.min(flip * 8, good.length - 1) : random(good.length);
      bytes[at]! ^= 1 << random(8);
      writeFileSync(path, bytes);
      const { findings, state } = inspected(folder.store);
      const named = [...findings.problems, ...findings.notes].some(({ file }) => file === name);
      flips++;
      if (named) continue;
      harmless++;
      expect(findings.problems, `${name} byte ${at}`).toEqual([]);
      expect(describeTree(state!.tree, disk.store.disk), `${name} byte ${at}`).toEqual(expected);
      expect(name, `byte ${at} of ${name} is not looked at`).toMatch(/^vectors\//);
    }
    writeFileSync(path, good);
  }
  expect(inspected(folder.store).findings.isClean).toBe(true);
  expect(harmless).toBeLessThan(flips / 5);
});

test('damage to either checkpoint, to the log and to a segment is named with file and offset', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const spoil = (name: string, at: number): void => {
    const bytes = readFileSync(join(folder.store, name));
    bytes[at % bytes.length]! ^= 1;
    writeFileSync(join(folder.store, name), bytes);
  };
  const files = filesOf(folder.store);
  const [older, newer] = files.filter((name) => name.endsWith('/inodes'));
  const log = files.filter((name) => name.endsWith('.log')).at(-2)!;
  const segment = files.find((name) => name.endsWith('.seg'))!;
  spoil(older!, 300);
  spoil(newer!, 300);
  spoil(log, 200);
  spoil(segment, 80);
  const { problems } = inspected(folder.store).findings;
  for (const file of [older, newer, log, segment]) {
    expect(problems.map((problem) => problem.file)).toContain(file);
  }
  expect(problems.find(({ file }) => file === log)!.offset).toBeLessThanOrEqual(200);
  expect(problems.find(({ file }) => file === segment)!.offset).toBeLessThanOrEqual(80);
});

test('a compressed object is compared with its checksums, and with what the tree says of it', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  const content = 'some text that is said again and again. '.repeat(1000);
  store.compressed(1, 'cold', content);
  store.compressed(1, 'other', content);
  store.checkpoint();
  store.close();
  expect(inspected(folder.store).findings.isClean).toBe(true);
  expect(inspected(folder.store).objects).toMatchObject({ objects: 2, compressed: 2, longer: [] });
  const path = join(folder.store, 'objects/02/2');
  const good = readFileSync(path);
  for (let at = 0; at < good.length; at += 1 + Math.floor(good.length / 12)) {
    const bytes = Buffer.from(good);
    bytes[at]! ^= 1 << (at % 8);
    writeFileSync(path, bytes);
    expect(inspected(folder.store).findings.problems, `byte ${at}`).toMatchObject([{ file: 'objects/02/2' }]);
  }
  writeFileSync(path, readFileSync(join(folder.store, 'objects/04/4')));
  expect(inspected(folder.store).findings.problems).toEqual([
    { file: 'objects/02/2', offset: good.length, what: 'is not sound: it says that it is object 4' },
  ]);
});

test('a plain object that differs from its checksums is named with the byte and its file: a flipped bit, a shortened one', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  const content = Array.from({ length: 30_000 }, (_, i) => `line ${i}\n`).join('');
  store.summed(1, 'rest', content);
  store.large(1, 'busy', content);
  store.checkpoint();
  store.summed(1, 'later', content);
  store.commit();
  store.close();
  expect(inspected(folder.store).findings.problems).toEqual([]);
  expect(inspected(folder.store).objects).toMatchObject({ objects: 3, summed: 2, wrong: [] });
  for (const [object, name] of [
    ['objects/01/1', '/rest'],
    ['objects/03/3', '/later'],
  ] as const) {
    const path = join(folder.store, object);
    const good = readFileSync(path);
    for (const at of [0, 70_000, good.length - 1]) {
      const bytes = Buffer.from(good);
      bytes[at]! ^= 1 << (at % 8);
      writeFileSync(path, bytes);
      const offset = at - (at % 65_536);
      const what = `bad checksum: up to byte ${Math.min(offset + 65_536, good.length)} of ${name}`;
      expect(inspected(folder.store).findings.problems).toEqual([{ file: object, offset, what }]);
    }
    for (const length of [0, 65_536, 70_000, good.length - 1]) {
      writeFileSync(path, good.subarray(0, length));
      const [first] = inspected(folder.store).findings.problems;
      expect(first).toMatchObject({ file: object, offset: length - (length % 65_536) });
    }
    writeFileSync(path, good);
  }
});

test('what is missing is named: an object with the file it is of, a segment of the log, a directory', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const files = filesOf(folder.store);
  const object = files.find((name) => name.startsWith('objects/'))!;
  const log = files.filter((name) => name.endsWith('.log')).at(-2)!;
  rmSync(join(folder.store, object));
  rmSync(join(folder.store, log));
  rmSync(join(folder.store, 'text'), { recursive: true });
  const { problems } = inspected(folder.store).findings;
  expect(problems).toContainEqual({
    file: object,
    what: 'is missing: the content of /one/large.bin is lost',
  });
  expect(problems).toContainEqual({ file: 'text', what: 'the directory is missing' });
  expect(problems.some(({ what }) => /begins with record \d+/.test(what))).toBe(true);
  expect(existsSync(join(folder.store, 'text'))).toBe(false);
});

test('what the next mount tidies up is a note: leftovers, a torn end of the log, orphans', () => {
  using folder = new Folder();
  buildStore(folder.store);
  const log = filesOf(folder.store).findLast((name) => name.endsWith('.log'))!;
  const bytes = readFileSync(join(folder.store, log));
  // A segment may end in zeros that records would have taken the place of.
  const end = bytes.findLastIndex((byte) => byte !== 0);
  writeFileSync(join(folder.store, log), bytes.subarray(0, end - 8));
  writeFileSync(join(folder.store, 'log/00000099.log.tmp'), 'x');
  writeFileSync(join(folder.store, 'objects/01/ffffff01'), 'x');
  const { findings } = inspected(folder.store);
  expect(findings.problems).toEqual([]);
  const files = findings.notes.map(({ file }) => file);
  expect(files).toEqual(expect.arrayContaining([log, 'log/00000099.log.tmp', 'objects/01/ffffff01']));
});

test('a store that is in use is refused', () => {
  using folder = new Folder();
  const store = new BuiltStore(folder.store);
  const refused = openStore(folder.store, { create: false, inspect: true });
  expect(refused).toMatchObject({ kind: 'locked' });
  store.close();
  expect(relative(folder.root, folder.store)).toBe('store');
});

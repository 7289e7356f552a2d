import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EINVAL } from '../../runtime/errno.ts';
import { setXattr } from '../../runtime/system/xattr.ts';
import { Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';

/** One sentence on stderr, nothing like a stack trace, exit code 1. */
function expectSentence(
  outcome: { code: number | null; stderr: string },
  ...mentions: (string | RegExp)[]
): void {
  expect(outcome.code, outcome.stderr).toBe(1);
  expect(outcome.stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
  expect(outcome.stderr).not.toMatch(/\n\s+at /);
  for (const mention of mentions) expect(outcome.stderr).toMatch(mention);
}

describe.skipIf(NO_FUSE)(titled('bad input', NO_FUSE), () => {
  let fs: Mounted;
  const setVector = (hex: string, file: string): number =>
    setXattr(join(fs.dir, file), 'user.vexfs.vector', Buffer.from(hex, 'hex'));

  beforeAll(() => {
    fs = new Mounted();
    fs.mount();
  });
  afterAll(() => fs?.dispose());

  test('a mount point that is missing is named', () => {
    expectSentence(vexfs(['mount', join(fs.root, 'a'), join(fs.root, 'nowhere')]), /nowhere/);
  });

  test('a mount point that is not empty is named, and its files stay', () => {
    const full = join(fs.root, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'keep.txt'), 'kept');
    expectSentence(vexfs(['mount', join(fs.root, 'b'), full]), /full/, /empty/);
    expect(readFileSync(join(full, 'keep.txt'), 'utf8')).toBe('kept');
  });

  test('a store that is mounted already is refused', () => {
    const other = join(fs.root, 'other');
    mkdirSync(other);
    expectSentence(vexfs(['mount', fs.store, other]), /store/, new RegExp(String(fs.pid)));
  });

  test('a directory that is no store is refused and left alone', () => {
    const foreign = join(fs.root, 'foreign');
    const point = join(fs.root, 'point');
    mkdirSync(foreign);
    mkdirSync(point);
    writeFileSync(join(foreign, 'thesis.tex'), 'years of work');
    expectSentence(vexfs(['mount', foreign, point]), /foreign/, /store/);
    expect(readFileSync(join(foreign, 'thesis.tex'), 'utf8')).toBe('years of work');
  });

  test('a store whose log is a symbolic link is refused, and nothing is written to what that leads to', () => {
    const linked = join(fs.root, 'linked');
    const point = join(fs.root, 'point');
    const theirs = join(fs.root, 'theirs');
    for (const directory of [linked, point]) mkdirSync(directory, { recursive: true });
    writeFileSync(theirs, '');
    symlinkSync(theirs, join(linked, 'vexfs.log'));
    expectSentence(vexfs(['mount', linked, point]), /vexfs\.log/, /symbolic link/);
    expect(readFileSync(theirs, 'utf8')).toBe('');
  });

  test('a store of a newer format is refused', () => {
    const newer = join(fs.root, 'newer');
    const point = join(fs.root, 'point');
    mkdirSync(newer);
    mkdirSync(point, { recursive: true });
    writeFileSync(join(newer, 'format'), JSON.stringify({ format: 99, uuid: 'x', created: '2030-01-01' }));
    expectSentence(vexfs(['mount', newer, point]), /99/);
  });

  test('an unknown mount option gets the nearest valid name', () => {
    expectSentence(
      vexfs(['mount', join(fs.root, 'c'), join(fs.root, 'point'), '-o', 'alow_other']),
      /alow_other/,
      /allow_other/,
    );
  });

  test('an unknown configuration key gets the nearest valid name and its line', () => {
    const file = join(fs.root, 'bad.toml');
    writeFileSync(file, '[workers]\nshardz = 2\n');
    expectSentence(vexfs(['config', 'check', file]), /shardz/, /shards/, /line 2|:2/);
  });

  test('an empty query and one of 100 KB are refused in words', () => {
    expectSentence(vexfs(['search', '', '--mount', fs.dir]), /query/i);
    expectSentence(vexfs(['search', 'x'.repeat(100_000), '--mount', fs.dir]), /100,?000/);
  });

  test('a vector of a length that is no multiple of four, with NaN, or of another dimension is EINVAL', () => {
    writeFileSync(join(fs.dir, 'v'), 'v');
    expect(setVector('0000803f0000', 'v')).toBe(-EINVAL);
    expect(setVector('0000c07f0000803f', 'v')).toBe(-EINVAL);
    expect(setVector('0000803f0000803f', 'v')).toBe(0);
    expect(setVector('0000803f', 'v')).toBe(-EINVAL);
  });

  test('binary, Latin-1 and huge one-line files are indexed or passed over, and searching goes on', () => {
    const random = Buffer.alloc(300_000);
    for (let i = 0; i < random.length; i++) random[i] = (Math.imul(i, 2654435761) >>> 13) & 0xff;
    writeFileSync(join(fs.dir, 'random.bin'), random);
    writeFileSync(
      join(fs.dir, 'latin1.txt'),
      Buffer.from('Käse und Würste aus dem Kühlschrank, größer als gedacht', 'latin1'),
    );
    writeFileSync(join(fs.dir, 'line.txt'), 'zebra crossing '.repeat(200_000));
    fs.ok(['index', 'wait', fs.dir], 120_000);
    const found = JSON.parse(fs.ok(['search', 'zebra crossing', '--mount', fs.dir, '--json'])) as {
      path: string;
    }[];
    expect(found[0]!.path).toMatch(/line\.txt$/);
    expect(JSON.parse(fs.ok(['search', 'Würste Käse', '--mount', fs.dir, '--json']))[0].path).toMatch(
      /latin1\.txt$/,
    );
  }, 180_000);

  test('a mount whose process died is taken over by the next mount', async () => {
    const dead = new Mounted();
    try {
      dead.mount();
      writeFileSync(join(dead.dir, 'a'), 'a');
      await dead.kill();
      dead.mount();
      dead.unmount();
    } finally {
      dead.dispose();
    }
  });
});

/** A mount whose vectors move to more and fewer shards while they change and are searched. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ReloadReport, Status } from '../../cli/protocol.ts';
import { setXattr } from '../../runtime/system/xattr.ts';
import { Random } from '../kernels/random.ts';
import { testSeed } from '../seed.ts';
import { Mounted, NO_FUSE, titled } from './mounted.ts';

const ATTRIBUTE = 'user.vexfs.vector';
const DIMENSION = 16;
const FILES = 300;
const FOUND = 10;
/** Nothing here takes this long, unless it hangs. */
const PATIENCE_MS = 60_000;
const SEED = testSeed('shards of a mount', 1);

let fs: Mounted;
let vectors: Map<string, Float32Array>;
let random: Random;

beforeEach(() => {
  fs = new Mounted(configured(1));
  fs.mount();
  vectors = new Map();
  random = new Random(SEED);
});
afterEach(() => fs.dispose());

function configured(shards: number): string {
  return `[workers]\nshards = ${shards}\nshards_max = 4\n[index]\nsettle_ms = 0\n`;
}

/** What came of making them `shards`. */
function resize(shards: number): ReloadReport {
  writeFileSync(join(fs.root, 'vexfs.toml'), configured(shards));
  return JSON.parse(fs.ok(['config', 'reload', fs.dir, '--json'])) as ReloadReport;
}

const log = (): string => readFileSync(join(fs.store, 'vexfs.log'), 'utf8');
const moves = (): number => log().split('the files are divided').length - 1;

function put(name: string): void {
  const vector = random.vector(DIMENSION);
  expect(setXattr(join(fs.dir, name), ATTRIBUTE, new Uint8Array(vector.buffer))).toBe(0);
  vectors.set(name, vector);
}

function add(name: string): void {
  writeFileSync(join(fs.dir, name), '');
  put(name);
}

/** The exact answer. */
function nearest(query: Float32Array): string[] {
  const length = Math.hypot(...query);
  const score = (vector: Float32Array): number =>
    vector.reduce((sum, x, i) => sum + x * query[i]!, 0) / (Math.hypot(...vector) * length);
  const scores = [...vectors].map(([name, vector]) => ({ name, score: score(vector) }));
  scores.sort((a, b) => b.score - a.score);
  return scores.slice(0, FOUND).map(({ name }) => name);
}

/** Any change, and then what a search finds. */
function changeAndSearch(): void {
  const names = [...vectors.keys()];
  for (let n = 0; n < 10; n++) put(names[random.below(names.length)]!);
  const gone = names[random.below(names.length)]!;
  rmSync(join(fs.dir, gone));
  vectors.delete(gone);
  add(`more-${random.below(2 ** 31)}`);
  const query = random.vector(DIMENSION);
  const file = join(fs.root, 'query.json');
  writeFileSync(file, JSON.stringify([...query]));
  const answer = fs.ok(['vector', 'search', file, '-m', fs.dir, '-k', String(FOUND), '--json']);
  const found = (JSON.parse(answer) as { path: string }[]).map(({ path }) => basename(path));
  expect(found, `seed ${SEED}`).toEqual(nearest(query));
}

function shardsThere(): string[] {
  const { actors } = JSON.parse(fs.ok(['status', fs.dir, '--json'])) as Status;
  return actors.map(({ name }) => name).filter((name) => name.startsWith('shard-'));
}

/** Until so many moves have been completed. */
function changeAndSearchUntil(moved: number): void {
  const deadline = performance.now() + PATIENCE_MS;
  do {
    changeAndSearch();
    expect(performance.now(), 'a move does not end').toBeLessThan(deadline);
  } while (moves() < moved);
  changeAndSearch();
}

describe.skipIf(NO_FUSE)(titled('the number of shards', NO_FUSE), { timeout: 240_000 }, () => {
  test('goes 1 → 3 → 2 while vectors change: every search is exact, text is found, and nothing is indexed again', () => {
    for (let n = 0; n < FILES; n++) add(`f${n}`);
    writeFileSync(join(fs.dir, 'bread.txt'), 'How to bake a sourdough bread with rye flour.');
    writeFileSync(join(fs.dir, 'keys.txt'), 'Rotate the signing keys every ninety days.');
    fs.ok(['index', 'wait', fs.dir]);
    const indexed = (): number => (JSON.parse(fs.ok(['status', fs.dir, '--json'])) as Status).index.indexed;
    const before = indexed();
    const findsText = (): void => {
      const hits = JSON.parse(fs.ok(['search', 'sourdough', '-m', fs.dir, '--json'])) as { path: string }[];
      expect(basename(hits[0]!.path)).toBe('bread.txt');
    };
    changeAndSearch();
    let moved = 0;
    for (const shards of [3, 2]) {
      expect(resize(shards).applied.map(({ key, to }) => [key, to])).toEqual([
        ['workers.shards', String(shards)],
      ]);
      changeAndSearchUntil(++moved);
      findsText();
      expect(shardsThere()).toEqual(Array.from({ length: shards }, (_, i) => `shard-${i}`));
    }
    expect(indexed() - before).toBeLessThan(FILES);
    fs.unmount();
    fs.mount();
    changeAndSearch();
    findsText();
    expect(log()).not.toContain('to be indexed again');
  });

  test('shards that die meanwhile, and an unmount in the middle, change no answer', () => {
    for (let n = 0; n < FILES; n++) add(`f${n}`);
    resize(4);
    fs.ok(['console', fs.dir, '-c', 'kill shard-0 crash']);
    changeAndSearch();
    fs.ok(['console', fs.dir, '-c', 'kill shard-3 crash']);
    changeAndSearchUntil(1);
    resize(2);
    fs.unmount();
    fs.mount();
    expect(shardsThere()).toEqual(['shard-0', 'shard-1']);
    changeAndSearch();
  });
});

/** The benchmarks of codecs must not rot: every way runs once, small, and the table comes out. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

const COLD = new URL('../../bench/cold/main.js', import.meta.url).pathname;
const MAIN = new URL('../../bench/codec/main.js', import.meta.url).pathname;

function bench(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 110_000 });
}

test('a quick run compresses embeddings of the documents and vectors of chance, every way', {
  timeout: 120_000,
}, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-bench-smoke-'));
  const json = path.join(folder, 'codec.json');
  const { status, stderr, stdout } = bench('--quick', '--json', json);
  expect(status, stderr).toBe(0);
  expect(stdout).toContain('| exact |');
  const { rows } = JSON.parse(fs.readFileSync(json, 'utf8'));
  fs.rmSync(folder, { recursive: true });
  expect(rows.length).toBe(5 * 7);
  for (const { ratio, path: way } of rows) expect(ratio, way).toBeGreaterThan(0.99);
});

test('a quick run compresses the sources in every size of frame', { timeout: 120_000 }, () => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [COLD, '--quick'], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect(stdout.match(/KiB, level/g)).toHaveLength(9);
});

test('a number of rounds that is none is a usage error', () => {
  expect(bench('--rounds', 'many').status).toBe(2);
});

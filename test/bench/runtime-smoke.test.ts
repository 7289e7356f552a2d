/** The benchmark must not rot: everything runs once, small, and the tables come out. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { mountMissing } from '../../bench/fuse/peers/vexfs.ts';
import type { Report } from '../../bench/runtime/report.ts';
import { simulate } from '../../bench/runtime/simulation.ts';

const MAIN = new URL('../../bench/runtime/main.js', import.meta.url).pathname;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-bench-smoke-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

function bench(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 110_000 });
}

function expectAllMeasured(only: string): void {
  const json = path.join(folder, `${only}.json`);
  const { status, stderr, stdout } = bench('--quick', '--only', only, '--json', json);
  expect(status, stderr).toBe(0);
  const report: Report = JSON.parse(fs.readFileSync(json, 'utf8'));
  expect(Object.keys(report.skipped)).toEqual([]);
  expect(report.parts.map(({ name }) => name)).toEqual(only.split(','));
  for (const { name, peers, medians } of report.rows) {
    for (const peer of peers) expect(medians[peer], `${name}, ${peer}`).toBeGreaterThan(0);
    expect(stdout).toContain(`| ${name} |`);
  }
}

describe('bench/runtime', () => {
  test('a quick run measures everything that needs no mount', { timeout: 120_000 }, () => {
    expectAllMeasured('messages,stealing,simulation,embedding');
  });

  test('16 workers in virtual time come within 10 % of perfect balance, whoever has the work', () => {
    for (const share of [0.9, 1, 0.5, 1 / 16]) {
      for (const seed of [1, 2, 3]) {
        const { makespan, perfect } = simulate(share, true, seed);
        expect(makespan, `share ${share}, seed ${seed}`).toBeLessThanOrEqual(1.1 * perfect);
        expect(makespan).toBeGreaterThanOrEqual(perfect);
      }
    }
  });

  test('the simulation is the same each time, and without stealing the one with the work does it alone', () => {
    expect(simulate(0.9, true)).toEqual(simulate(0.9, true));
    const { makespan, perfect } = simulate(0.9, false);
    expect(makespan).toBeGreaterThan(14 * perfect);
  });

  test('an unknown part is a usage error that names the known ones', () => {
    const { status, stderr } = bench('--only', 'massages');
    expect(status).toBe(2);
    expect(stderr).toContain("'massages' is not one of messages, stealing");
  });
});

const missing = mountMissing();
describe.skipIf(missing !== undefined)(
  `bench/runtime through a mount${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    test('a quick run measures lookups with 1, 2 and 4 fuse threads', {
      timeout: 120_000,
    }, () => {
      expectAllMeasured('lookups');
    });
  },
);

/** The benchmark must not rot: everything that needs no package of its own runs once, small, and the tables come out. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { mountMissing } from '../../bench/fuse/peers/vexfs.ts';
import type { Report } from '../../bench/runtime/report.ts';

const MAIN = new URL('../../bench/store/main.js', import.meta.url).pathname;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-bench-smoke-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

const missing = mountMissing();
describe.skipIf(missing !== undefined)(`bench/store${missing ? ` (skipped: ${missing})` : ''}`, () => {
  test('a quick run measures vectors, bytes written and mounting, and leaves nothing behind', {
    timeout: 120_000,
  }, () => {
    const json = path.join(folder, 'report.json');
    const args = ['--quick', '--only', 'vectors,written,mounting', '--dir', folder, '--json', json];
    const { status, stderr, stdout } = spawnSync(process.execPath, [MAIN, ...args], {
      encoding: 'utf8',
      timeout: 110_000,
    });
    expect(status, stderr).toBe(0);
    const report: Report = JSON.parse(fs.readFileSync(json, 'utf8'));
    expect(report.skipped).toEqual({});
    for (const { name, peers, medians } of report.rows) {
      for (const peer of peers) expect(medians[peer], `${name}, ${peer}`).toBeGreaterThan(0);
      expect(stdout).toContain(`| ${name} |`);
    }
    expect(fs.readdirSync(folder)).toEqual(['report.json']);
  });

  test('an unknown part is a usage error that names the known ones', () => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, '--only', 'transaction'], {
      encoding: 'utf8',
    });
    expect(status).toBe(2);
    expect(stderr).toContain("'transaction' is not one of transactions, ");
  });
});

const CHECKPOINT = new URL('../../bench/checkpoint/main.js', import.meta.url).pathname;
describe.skipIf(missing !== undefined)(`bench/checkpoint${missing ? ` (skipped: ${missing})` : ''}`, () => {
  test('a quick run makes a checkpoint, loads it, and mounts until every vector is found', {
    timeout: 120_000,
  }, () => {
    const json = path.join(folder, 'checkpoint.json');
    const args = ['--quick', '--only', 'mount', '--json', json];
    const { status, stderr } = spawnSync(process.execPath, [CHECKPOINT, ...args], {
      encoding: 'utf8',
      timeout: 110_000,
    });
    expect(status, stderr).toBe(0);
    const { mountFromCheckpoint0, loadOneThread } = JSON.parse(fs.readFileSync(json, 'utf8'));
    expect(loadOneThread.seconds).toBeGreaterThan(0);
    expect(mountFromCheckpoint0.searchedSeconds).toBeGreaterThan(mountFromCheckpoint0.usableSeconds);
    fs.rmSync(json);
  });
});

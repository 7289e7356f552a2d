/** The benchmark must not rot: every operation runs once, small, and the table comes out. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { OPERATIONS } from '../../bench/fuse/operations.ts';
import { vexfs } from '../../bench/fuse/peers/vexfs.ts';
import { median, type Report } from '../../bench/fuse/report.ts';

const MAIN = new URL('../../bench/fuse/main.js', import.meta.url).pathname;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-bench-smoke-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

function bench(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 110_000 });
}

function quick(
  peers: string,
  ...more: string[]
): { status: number | null; stderr: string; stdout: string; report: Report } {
  const json = path.join(folder, `${peers}.json`);
  const { status, stderr, stdout } = bench(
    '--quick',
    '--rounds',
    '1',
    '--peers',
    peers,
    '--dir',
    folder,
    '--json',
    json,
    ...more,
  );
  return { status, stderr, stdout, report: JSON.parse(fs.readFileSync(json, 'utf8')) };
}

function expectAllMeasured(report: Report, peer: string): void {
  const unmeasured = OPERATIONS.map(({ name }) => name).filter(
    (name) =>
      !report.rows.some((row) => row.operation === name && row.medians[peer]! > 0) &&
      !report.skipped[`${name} ${peer}`]?.startsWith('needs root'),
  );
  expect(unmeasured).toEqual([]);
}

describe('bench/fuse', () => {
  test('a quick run on the host measures every operation and leaves nothing behind', {
    timeout: 120_000,
  }, () => {
    const { status, stderr, stdout, report } = quick('host', '--clients', '1,2');
    expect(status, stderr).toBe(0);
    expectAllMeasured(report, 'host');
    expect(stdout).toContain('| lookup-missing |');
    expect(stdout).toContain('| lookup-missing, 2 clients |');
    for (const { cpuMicroseconds } of report.samples) expect(cpuMicroseconds).toBeGreaterThan(0);
    expect(fs.readdirSync(folder).filter((name) => name.startsWith('vexfs-bench-'))).toEqual([]);
  });

  test('a run that is interrupted leaves the rounds that it has done, in the file and as a table', async () => {
    const json = path.join(folder, 'interrupted.json');
    const args = ['--quick', '--peers', 'host', '--ops', 'stat-hot', '--rounds', '100000', '--dir', folder];
    const run = spawn(process.execPath, [MAIN, ...args, '--json', json], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let table = '';
    run.stdout.on('data', (text) => {
      table += text;
    });
    run.stderr.on('data', (text) => {
      if (String(text).includes('round 1 of')) run.kill('SIGINT');
    });
    expect(await new Promise((ended) => run.on('close', ended))).toBe(130);
    const { rows, environment } = JSON.parse(fs.readFileSync(json, 'utf8')) as Report;
    expect(environment.rounds).toBeGreaterThan(0);
    expect(rows[0]!.medians.host).toBeGreaterThan(0);
    expect(table).toContain('| stat-hot |');
    expect(fs.readdirSync(folder).filter((name) => name.startsWith('vexfs-bench-'))).toEqual([]);
  });

  test('an unknown peer is a usage error that names the known ones', () => {
    const { status, stderr } = bench('--peers', 'hots');
    expect(status).toBe(2);
    expect(stderr).toContain("'hots' is not one of host, vexfs");
  });

  test('the median of an even number of values is the mean of the middle two', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

const missing = await vexfs.missing();
describe.skipIf(missing !== undefined)(
  `bench/fuse on a VexFS mount${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    test('a quick run measures every operation and unmounts in order', { timeout: 120_000 }, () => {
      const { status, stderr, stdout, report } = quick('host,vexfs');
      expect(status, `${stderr}${stdout}`).toBe(0);
      expect(report.troubles).toEqual({});
      expectAllMeasured(report, 'vexfs');
    });
  },
);

/** A mount whose fuse actors become more and fewer while programs use it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ReloadReport, Status } from '../../cli/protocol.ts';
import { Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';

const LOAD = new URL('./load.js', import.meta.url).pathname;
/** Nothing here takes this long, unless it hangs. */
const PATIENCE_MS = 60_000;

let fs: Mounted;
let loads: ChildProcess[];

beforeEach(() => {
  fs = new Mounted(configured(1));
  fs.mount();
  loads = [];
});
afterEach(() => {
  for (const load of loads) load.kill('SIGKILL');
  fs.dispose();
});

function configured(fuse: number, more = 'fuse_max = 4'): string {
  return `[workers]\nfuse = ${fuse}\n${more}\n`;
}

function write(config: string): void {
  writeFileSync(join(fs.root, 'vexfs.toml'), config);
}

/** What came of making them `fuse`. */
function resize(fuse: number): ReloadReport {
  write(configured(fuse));
  return JSON.parse(fs.ok(['config', 'reload', fs.dir, '--json'])) as ReloadReport;
}

/** A program at work in a folder of its own; how far it is. */
function startLoad(n: number): () => number {
  const progress = join(fs.root, `progress-${n}`);
  const child = spawn(process.execPath, [LOAD, fs.dir, progress, `load-${n}`], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  loads.push(child);
  return () => {
    expect(child.exitCode, `load ${n}`).toBe(null);
    try {
      return Number.parseInt(readFileSync(progress, 'latin1'), 10) || 0;
    } catch {
      return 0;
    }
  };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`it did not come to that: ${what}`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

/** Everything that is to be seen of the fuse actors says the same. */
function expectPresent(count: number): void {
  const names = Array.from({ length: count }, (_, i) => `fuse-${i}`);
  const isFuse = (name: string): boolean => name.startsWith('fuse-');
  const { actors } = JSON.parse(fs.ok(['status', fs.dir, '--json'])) as Status;
  expect(actors.filter(({ name }) => isFuse(name)).map(({ name, restarts }) => [name, restarts])).toEqual(
    names.map((name) => [name, 0]),
  );
  const rows = JSON.parse(fs.ok(['console', fs.dir, '-c', 'actors', '--json'])) as { name: string }[];
  expect(rows.map(({ name }) => name).filter(isFuse)).toEqual(names);
  expect(readdirSync(join(fs.dir, '.vexfs/actors')).filter(isFuse).sort()).toEqual(names);
  expect(readFileSync(join(fs.dir, '.vexfs/config'), 'utf8')).toContain(`\nfuse = ${count}\n`);
}

const log = (): string => readFileSync(join(fs.store, 'vexfs.log'), 'utf8');

describe.skipIf(NO_FUSE)(titled('the number of fuse actors', NO_FUSE), { timeout: 240_000 }, () => {
  test('goes 1 → 4 → 2 → 4 → 1 under load: no call fails, everybody goes on, and the files outlive the mount', async () => {
    const progress = [startLoad(0), startLoad(1)];
    const goOn = async (): Promise<void> => {
      const before = progress.map((done) => done());
      await until('the programs go on', () => progress.every((done, i) => done() > before[i]!));
    };
    await goOn();
    let present = 1;
    for (const count of [4, 2, 4, 1]) {
      expect(resize(count)).toEqual({
        applied: [{ key: 'workers.fuse', from: String(present), to: String(count) }],
        needsRemount: [],
      });
      present = count;
      expectPresent(count);
      await goOn();
    }
    expect(log()).not.toContain('took over from a thread that died');
    for (const load of loads) load.kill('SIGKILL');
    const text = 'written before';
    writeFileSync(join(fs.dir, 'kept'), text);
    fs.unmount();
    write(configured(3));
    fs.mount();
    expect(readFileSync(join(fs.dir, 'kept'), 'utf8')).toBe(text);
    expectPresent(3);
  });

  test('one that was added and dies is succeeded, and goes when it is not needed any more', async () => {
    resize(3);
    const progress = startLoad(0);
    await until('a beginning', () => progress() > 0);
    fs.ok(['console', fs.dir, '-c', 'kill fuse-2 crash']);
    await until('a successor', () => log().includes('took over from a thread that died'));
    expect(resize(1).failed).toBeUndefined();
    expect(resize(3).failed).toBeUndefined();
    expectPresent(3);
    const before = progress();
    await until('the program goes on', () => progress() > before);
  });

  test('more than there is room for waits for the next mount, with both counts; SIGHUP applies what fits', async () => {
    write(configured(6, ''));
    expect(fs.ok(['config', 'reload', fs.dir])).toBe(
      'workers.fuse: 1 → 6, needs a new mount: this one has room for 4 (workers.fuse_max)\n',
    );
    expectPresent(1);
    write(configured(5));
    const refused = vexfs(['config', 'reload', fs.dir]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('workers.fuse_max (4) must be 0 or at least workers.fuse (5)');
    write(configured(2));
    process.kill(fs.pid, 'SIGHUP');
    await until('two of them', () => log().includes('workers.fuse: 1 → 2, applied'));
    expectPresent(2);
    fs.unmount();
  });

  test('an unmount in the middle of it ends everything in order', async () => {
    write(configured(4));
    process.kill(fs.pid, 'SIGHUP');
    fs.unmount();
    expect(log()).not.toMatch(/"level":60/);
    fs.mount();
    expectPresent(4);
  });
});

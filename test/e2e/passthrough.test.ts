/** Files that the kernel reads and writes by itself (`fuse.passthrough`). VEXFS_PASSED_STEPS: how long the generated sequence is. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  futimesSync,
  linkSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as calls from '../posix/calls.ts';
import { seeded, testSeed } from '../seed.ts';
import { Mounted, missing, NO_FUSE, titled } from './mounted.ts';

const CONFIG = '[fuse]\npassthrough = "auto"\n[workers]\nfuse = 2\n';
const STEPS = Number(process.env.VEXFS_PASSED_STEPS ?? 600);
const SEED = testSeed('files that the kernel reads and writes by itself');
const LARGE = 100_000;
const O_APPEND = 0o2000;
const O_DSYNC = 0o10000;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const FALLOC_ZERO_RANGE = 16;

/** Why the kernel passes nothing through here, or undefined. */
function unavailable(): string | undefined {
  const [major, minor] = release().split('.').map(Number) as [number, number];
  if (major < 6 || (major === 6 && minor < 9)) return 'FUSE passthrough needs Linux 6.9';
  return NO_FUSE ?? (process.getuid!() === 0 ? undefined : 'needs root');
}

const NOT_HERE = unavailable();

function bytes(length: number, seed: number): Buffer {
  return Buffer.from(Buffer.alloc(length).map((_, i) => (i * 31 + seed * 7 + (i >> 8)) & 0xff));
}

describe.skipIf(NOT_HERE)(titled('a file that the kernel reads and writes by itself', NOT_HERE), () => {
  let fs: Mounted;
  const held: number[] = [];
  beforeAll(() => {
    fs = new Mounted(CONFIG);
    fs.mount();
  });
  afterAll(() => {
    for (const fd of held) closeSync(fd);
    fs?.dispose();
  });

  const at = (name: string): string => join(fs.dir, name);
  const requests = (opcode: string): number => {
    const { fuse } = JSON.parse(readFileSync(at('.vexfs/stats'), 'utf8'));
    return fuse.opcodes[opcode]?.count ?? 0;
  };
  /** A large file that nobody has open: how the kernel has it is said at the next open. */
  async function large(name: string, length = LARGE, seed = 1): Promise<string> {
    writeFileSync(at(name), bytes(length, seed));
    await released();
    return at(name);
  }
  /** The kernel tells of closing afterwards. Each look is an open of its own. */
  async function released(): Promise<void> {
    let before = -1;
    for (let now = requests('RELEASE'); now - before !== 1; now = requests('RELEASE')) {
      before = now;
      await delay(20);
    }
  }
  function opened(path: string, flags: number | string): number {
    const fd = openSync(path, flags);
    held.push(fd);
    return fd;
  }
  function closed(): void {
    for (const fd of held.splice(0)) closeSync(fd);
  }

  test('its bytes go past us, and size and times are those of the last write', async () => {
    const path = await large('bytes');
    const writes = requests('WRITE');
    const fd = opened(path, 'r+');
    writeSync(fd, 'hello', 0);
    writeSync(fd, 'the end', 2 * LARGE);
    const due = Buffer.concat([bytes(LARGE, 1), Buffer.alloc(LARGE), Buffer.from('the end')]);
    due.write('hello');
    expect(fstatSync(fd).size).toBe(due.length);
    expect(readFileSync(path).equals(due)).toBe(true);
    const again = statSync(path).mtimeMs;
    expect(statSync(path).mtimeMs).toBe(again);
    expect(Math.abs(again - Date.now())).toBeLessThan(60_000);
    expect(requests('WRITE')).toBe(writes);
    futimesSync(fd, 7, 8);
    closed();
    await released();
    expect(statSync(path).mtimeMs).toBe(8000);
    expect(readFileSync(path).equals(due)).toBe(true);
  });

  test('a mapping of it shows what is written, and what is written to a mapping is read', async () => {
    const path = await large('mapped', 4096 * 8);
    const fd = opened(path, 'r+');
    expect(calls.writeMapped(fd, 4096, 100, 0x41)).toBe(0);
    const got = Buffer.alloc(1);
    readSync(fd, got, 0, 1, 100);
    expect(got.toString()).toBe('A');
    writeSync(fd, 'B', 100);
    calls.withMapped(fd, 0, 4096, false, (u8) => expect(u8[100]).toBe(0x42));
    closed();
    await released();
    expect(readFileSync(path)[100]).toBe(0x42);
  });

  test('while it is open it may be cut, allocated, emptied, copied into, renamed, linked and removed', async () => {
    const path = await large('changes');
    const fd = opened(path, 'r+');
    const reader = opened(path, 'r');
    const content = (): Buffer => {
      const { size } = fstatSync(reader);
      const all = Buffer.alloc(size + 10);
      return all.subarray(0, readSync(reader, all, 0, all.length, 0));
    };
    expect(calls.truncate(path, 1000)).toBe(0);
    expect(content().equals(bytes(LARGE, 1).subarray(0, 1000))).toBe(true);
    expect(calls.fallocate(fd, 0, 0, 5000)).toBe(0);
    expect(content().equals(Buffer.concat([bytes(LARGE, 1).subarray(0, 1000), Buffer.alloc(4000)]))).toBe(
      true,
    );
    writeSync(fd, bytes(5000, 2), 0, 5000, 0);
    expect(calls.fallocate(fd, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 4000, 90_000)).toBe(0);
    expect(content().equals(Buffer.concat([bytes(5000, 2).subarray(0, 4000), Buffer.alloc(1000)]))).toBe(
      true,
    );
    const appender = opened(path, O_APPEND | 1);
    writeSync(appender, 'more');
    expect(content().subarray(5000).toString()).toBe('more');
    copyFileSync(await large('source', LARGE, 3), path);
    expect(content().equals(bytes(LARGE, 3))).toBe(true);
    renameSync(path, at('renamed'));
    linkSync(at('renamed'), at('linked'));
    unlinkSync(at('renamed'));
    unlinkSync(at('linked'));
    writeSync(fd, 'after', 0);
    expect(content().subarray(0, 5).toString()).toBe('after');
    closed();
    expect(existsSync(path)).toBe(false);
  });

  test('one that was small when it was opened is served as before, and passed through once all have closed it', async () => {
    const path = at('grown');
    const fd = opened(path, 'w+');
    writeSync(fd, bytes(LARGE, 4));
    const other = opened(path, 'r+');
    const writes = requests('WRITE');
    writeSync(other, 'other', 0);
    const got = Buffer.alloc(5);
    readSync(fd, got, 0, 5, 0);
    expect(got.toString()).toBe('other');
    expect(requests('WRITE')).toBe(writes + 1);
    closed();
    await released();
    const fresh = opened(path, 'r+');
    writeSync(fresh, 'fresh', 0);
    expect(requests('WRITE')).toBe(writes + 1);
    expect(readFileSync(path).subarray(0, 5).toString()).toBe('fresh');
    closed();
  });

  test.skipIf(missing('chattr'))('what may only be appended to is not overwritten by it', async () => {
    const path = await large('guarded');
    fs.run('chattr', ['+a', path]);
    const reader = opened(path, 'r');
    const fd = opened(path, O_APPEND | 1);
    writeSync(fd, 'appended');
    expect(fstatSync(reader).size).toBe(LARGE + 8);
    const got = Buffer.alloc(8);
    readSync(reader, got, 0, 8, LARGE);
    expect(got.toString()).toBe('appended');
    expect(calls.truncate(path, 0)).toBeLessThan(0);
    closed();
    fs.run('chattr', ['-a', path]);
  });

  test('what it says is found after it was written, while it is open and after it was closed', async () => {
    const words = Buffer.from('the quick brown fox jumps over the lazy dog\n'.repeat(1000));
    writeFileSync(at('text.txt'), words);
    await released();
    const fd = opened(at('text.txt'), 'r+');
    const found = (query: string): boolean => {
      fs.ok(['index', 'wait', fs.dir]);
      return fs.ok(['search', query, '--mount', fs.dir, '--json']).includes('text.txt');
    };
    writeSync(fd, 'glaciers and volcanoes of Iceland\n', 0);
    expect(statSync(at('text.txt')).size).toBe(words.length);
    expect(found('volcanoes of Iceland')).toBe(true);
    closed();
  }, 60_000);

  test('generated calls do what they do to a file of the host', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'vexfs-plain-'));
    const random = seeded(SEED);
    const paths = [await large('generated'), join(directory, 'generated')] as const;
    writeFileSync(paths[1], bytes(LARGE, 1));
    const open: [number, number][] = [];
    const readers = new Set<number>();
    const buffers = [Buffer.alloc(300_000), Buffer.alloc(300_000)] as const;
    let step = 0;
    const same = (what: string, call: (side: 0 | 1) => number | string): void => {
      const [here, there] = [call(0), call(1)];
      expect(`seed ${SEED} step ${step} ${what}: ${here}`).toBe(
        `seed ${SEED} step ${step} ${what}: ${there}`,
      );
    };
    const all = (side: 0 | 1): string => readFileSync(paths[side]).toString('base64');
    for (; step < STEPS; step++) {
      const position = random(200_000);
      const length = 1 + random(random(4) === 0 ? 100_000 : 3000);
      const pair = open[random(Math.max(1, open.length))];
      const kind = random(16);
      if (kind === 0 || pair === undefined) {
        const flags = [0, 2, 2, O_APPEND | 2, O_DSYNC | 2, 0o1000 | 2][random(6)]!;
        const fd = openSync(paths[0], flags);
        if (flags === 0) readers.add(fd);
        else readers.delete(fd);
        open.push([fd, openSync(paths[1], flags)]);
      } else if (kind === 1 || open.length > 6) {
        open.splice(open.indexOf(pair), 1);
        for (const fd of pair) closeSync(fd);
      } else if (kind < 6) {
        const data = bytes(length, step);
        same('write', (side) => calls.pwrite(pair[side], data, length, position));
      } else if (kind < 10) {
        same('read', (side) => {
          const got = calls.pread(pair[side], buffers[side], length, position);
          return `${got} ${buffers[side].subarray(0, Math.max(0, got)).toString('base64')}`;
        });
      } else if (kind === 10)
        same('ftruncate', (side) => calls.ftruncate(pair[side], position % 3 === 0 ? 0 : position));
      else if (kind === 11) same('truncate', (side) => calls.truncate(paths[side], position));
      else if (kind === 12) {
        const mode = [0, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE][random(3)]!;
        same(`fallocate ${mode}`, (side) => calls.fallocate(pair[side], mode, position, length));
      } else if (kind === 13) {
        // A reader's mapping cannot be written to.
        if (readers.has(pair[0]) || statSync(paths[0]).size <= 4096) continue;
        same('map', (side) => calls.writeMapped(pair[side], 4096, position % 4096, step & 0xff));
      } else if (kind === 14) same('fsync', (side) => calls.fsync(pair[side]));
      else same('all', all);
      same('size', (side) => statSync(paths[side]).size);
    }
    same('all', all);
    for (const fd of open.flat()) closeSync(fd);
    await released();
    same('all', all);
    rmSync(directory, { recursive: true });
  }, 60_000);

  test('kill -9: what was written with O_DSYNC, or synced, is there, with its size, and the rest is what the host kept', async () => {
    const synced = await large('synced');
    const dsync = await large('dsync');
    const cut = await large('cut');
    let fd = opened(synced, 'r+');
    writeSync(fd, 'synced', 3 * LARGE);
    fsyncSync(fd);
    fd = opened(dsync, O_DSYNC | 2);
    writeSync(fd, 'dsync', 2 * LARGE);
    fd = opened(cut, 'r+');
    expect(calls.ftruncate(fd, 500)).toBe(0);
    writeSync(fd, 'cut', 0);
    await fs.kill();
    held.splice(0).forEach((fd) => void closeSync(fd));
    fs.mount();
    expect([statSync(synced).size, statSync(dsync).size]).toEqual([3 * LARGE + 6, 2 * LARGE + 5]);
    expect(
      readFileSync(synced)
        .subarray(3 * LARGE)
        .toString(),
    ).toBe('synced');
    expect(
      readFileSync(dsync)
        .subarray(2 * LARGE)
        .toString(),
    ).toBe('dsync');
    const due = bytes(LARGE, 1).subarray(0, 500);
    due.write('cut');
    expect(readFileSync(cut).equals(due)).toBe(true);
    fs.unmount();
    expect(fs.ok(['check', fs.store])).toContain('clean');
  }, 60_000);
});

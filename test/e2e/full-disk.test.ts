/** A store on a small disk of its own, filled and emptied through its mount. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mounted, NO_FUSE, titled } from './mounted.ts';

const NO_ROOT = process.getuid!() === 0 ? undefined : 'only root mounts a tmpfs';
const WHY = NO_FUSE ?? NO_ROOT;
const SMALL_BYTES = 12_000;
const LARGE_BYTES = 100_000;
/** Hang limit. */
const SOON_MS = 60_000;

describe.skipIf(WHY !== undefined)(titled('a full disk', WHY), () => {
  let fs: Mounted;

  beforeAll(() => {
    fs = new Mounted();
    mkdirSync(fs.store);
    const made = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'none', fs.store]);
    if (made.status !== 0) throw new Error(`no tmpfs: ${made.stderr}`);
  });

  afterAll(() => {
    spawnSync('umount', ['-l', fs.dir]);
    spawnSync('umount', ['-l', fs.store]);
    fs.dispose();
  });

  /** Writes and syncs files until one is refused, or there are `most`. */
  function fill(prefix: string, bytes: number, most = 1000): Map<string, Buffer> {
    const written = new Map<string, Buffer>();
    while (written.size < most) {
      const name = `${prefix}${written.size}`;
      const content = randomBytes(bytes);
      try {
        const fd = openSync(join(fs.dir, name), 'w');
        try {
          writeFileSync(fd, content);
          if (written.size % 16 === 0) fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
        written.set(name, content);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
        break;
      }
    }
    return written;
  }

  function tryWrite(name: string): boolean {
    try {
      writeFileSync(join(fs.dir, name), name);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
      return false;
    }
  }

  async function until(done: () => boolean): Promise<void> {
    for (const deadline = performance.now() + SOON_MS; !done(); ) {
      if (performance.now() > deadline)
        throw new Error(
          `it does not come: ${readFileSync(join(fs.store, 'vexfs.log'), 'utf8').slice(-3000)}`,
        );
      await new Promise((resume) => setTimeout(resume, 50));
    }
  }

  function expectAll(files: ReadonlyMap<string, Buffer>): void {
    for (const [name, content] of files) {
      expect(readFileSync(join(fs.dir, name)).equals(content), name).toBe(true);
    }
  }

  test('what was written stays, and removing small files gives their room back, and so does removing large ones', async () => {
    fs.mount();
    const small = fill('small', SMALL_BYTES, 500);
    const large = fill('large', LARGE_BYTES);
    expect(small.size).toBe(500);
    expect(large.size).toBeGreaterThan(10);
    // A checkpoint may make some room each time.
    for (let n = 0; n < 3; n++) fill(`more${n}-`, LARGE_BYTES);
    expectAll(small);
    expectAll(large);

    for (const name of small.keys()) rmSync(join(fs.dir, name));
    await until(() => tryWrite('again'));
    fill('again', LARGE_BYTES);
    for (const name of readdirSync(fs.dir)) if (!large.has(name)) rmSync(join(fs.dir, name));
    await until(() => tryWrite('and again'));
    // A checkpoint that was begun before may need what the log has in reserve.
    await until(() => !/the disk of the store is full/.test(fs.ok(['status', fs.dir])));
    expectAll(large);
    fs.unmount();
    fs.ok(['check', fs.store]);
  }, 200_000);

  test('others fill it, and the process is killed then: the next mount has what was synced, and goes on when they are gone', async () => {
    fs.mount();
    const other = join(fs.store, 'other');
    for (const name of readdirSync(fs.dir)) rmSync(join(fs.dir, name));
    await until(() => tryWrite('before'));
    const synced = fill('synced', SMALL_BYTES, 17);
    expect(synced.size).toBe(17);
    const appended = ['if=/dev/zero', `of=${other}`, 'bs=4k', 'oflag=append', 'conv=notrunc'];
    // What was removed before may come back meanwhile.
    await until(() => {
      spawnSync('dd', appended, { stdio: 'ignore' });
      fill('f', SMALL_BYTES, 20);
      return /the disk of the store is full/.test(fs.ok(['status', fs.dir]));
    });
    rmSync(join(fs.dir, 'before'));
    await fs.kill();
    fs.mount();
    expectAll(synced);
    rmSync(other);
    await until(() => tryWrite('new'));
    fs.unmount();
  }, 200_000);
});

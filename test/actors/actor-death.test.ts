/** An actor's thread ends while the mount serves: everything ends, in order, and what was acknowledged is there. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NO_FUSE, titled } from '../e2e/mounted.ts';
import { Daemon, Place, SMALL } from './daemon.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.dispose());

/** Writes and fsyncs numbered files until a call fails; resolves with how many were acknowledged. */
function writer(directory: string): Promise<number> {
  const program = `
    const fs = require('fs');
    for (let n = 0; ; n++) {
      try {
        const fd = fs.openSync(${JSON.stringify(directory)} + '/file-' + n, 'wx');
        fs.writeSync(fd, 'content ' + n + '.'.repeat(n % 7 === 0 ? 40000 : 10));
        fs.fsyncSync(fd);
        fs.closeSync(fd);
      } catch {
        process.stdout.write(String(n));
        process.exit();
      }
    }`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let written = '';
  child.stdout.on('data', (text) => {
    written += text;
  });
  return new Promise((resolve) => child.on('close', () => resolve(Number(written))));
}

function content(n: number): string {
  return `content ${n}${'.'.repeat(n % 7 === 0 ? 40_000 : 10)}`;
}

describe.skipIf(NO_FUSE)(titled('an actor that dies while the mount serves', NO_FUSE), () => {
  test.each(['shard-0', 'io-0', 'io-1', 'indexer', 'fuse-1', 'pool'])(
    '%s: a clear notice, exit code 1, nothing mounted, no call hangs, no fsynced file is lost',
    async (actor) => {
      const daemon = await place.mount();
      const acknowledged = writer(place.directory);
      const isThere = (): Promise<boolean> =>
        stat(join(place.directory, 'file-8')).then(
          () => true,
          () => false,
        );
      while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 20));
      daemon.terminate(actor);
      expect(await daemon.end()).toBe(1);
      expect(daemon.notices.join('\n')).toContain(`actor ${actor} failed: its thread ended with code 1`);
      expect(place.isMounted).toBe(false);
      const count = await acknowledged;
      expect(count).toBeGreaterThan(0);

      const again = await place.mount();
      for (let n = 0; n < count; n++) {
        expect(readFileSync(join(place.directory, `file-${n}`), 'utf8')).toBe(content(n));
      }
      expect(await again.stop()).toEqual({ stopped: true });
      expect(await again.end()).toBe(0);
    },
  );
});

describe.skipIf(NO_FUSE)(titled('start and stop', NO_FUSE), () => {
  test('recovery that fails in io-0 is told in words, and leaves no mount, no lock, no process', async () => {
    const first = await place.mount();
    for (let n = 0; n < 200; n++) await writeFile(join(place.directory, `f${n}`), 'x');
    await first.stop();
    await first.end();
    const refused = await Daemon.start(place.store, place.directory, [...SMALL, 'memory.max_files=100']);
    expect(refused).toContain('actor io-0 failed: the store cannot be recovered: the store needs');
    expect(place.isMounted).toBe(false);
    const again = await place.mount();
    await again.stop();
    expect(await again.end()).toBe(0);
  });

  test('a control socket that cannot be made fails the start after the mount, which is gone again', async () => {
    const first = await place.mount();
    await first.stop();
    await first.end();
    mkdirSync(join(place.store, 'control.sock'));
    const refused = await Daemon.start(place.store, place.directory);
    expect(refused).toContain('control.sock');
    expect(place.isMounted).toBe(false);
    rmdirSync(join(place.store, 'control.sock'));
    const again = await place.mount();
    await again.stop();
    expect(await again.end()).toBe(0);
  });

  test('a mount in use refuses to stop, is detached lazily, and taken away when asked once more', async () => {
    const daemon = await place.mount();
    const user = spawn('sleep', ['60'], { cwd: place.directory });
    await new Promise((resolve) => user.on('spawn', resolve));
    expect((await daemon.stop()).refused).toContain('sleep');
    expect(place.isMounted).toBe(true);
    expect(await daemon.stop('lazy')).toEqual({ stopped: true });
    expect(place.isMounted).toBe(false);
    expect(await daemon.stop('lazy')).toEqual({ stopped: true });
    expect(await daemon.end()).toBe(0);
    user.kill();
  });
});

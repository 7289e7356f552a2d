/** A mount that cannot start leaves nothing behind; one that is in use does not stop. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NO_FUSE, titled } from '../e2e/mounted.ts';
import { Daemon, Place, SMALL } from './daemon.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.dispose());

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

/** The tables are wrecked while the mount serves: they are made anew from the log, and nobody but the log notices. */
import { closeSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NO_FUSE, titled } from '../e2e/mounted.ts';
import { Place } from './daemon.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.dispose());

const FILES = 120;

/** Every fifth is too large to lie in the tables. */
function content(n: number): string {
  return `content ${n} `.repeat(n % 5 === 0 ? 5000 : 1 + (n % 40));
}

async function timesRebuilt(): Promise<number> {
  const log = await readFile(join(place.store, 'vexfs.log'), 'utf8');
  return log.split('\n').filter((line) => line.includes('the tables were made anew')).length;
}

describe.skipIf(NO_FUSE)(titled('tables that are wrecked while the mount serves', NO_FUSE), () => {
  test('every call in the meantime is answered, files are what they were, one that is open without a name lives on, and it lasts', async () => {
    const daemon = await place.mount();
    const at = (...names: string[]): string => join(place.directory, ...names);
    await mkdir(at('d'));
    for (let n = 0; n < FILES; n++) await writeFile(at('d', `f${n}`), content(n));
    await rename(at('d', 'f1'), at('moved'));
    await unlink(at('d', 'f2'));
    for (const name of ['small', 'large']) await writeFile(at(name), content(name === 'small' ? 1 : 5));
    const small = openSync(at('small'), 'r+');
    const large = openSync(at('large'), 'r+');
    await rm(at('small'));
    await rm(at('large'));

    for (let round = 1; round <= 2; round++) {
      daemon.wreck();
      while ((await timesRebuilt()) < round) {
        // What comes in between waits, or is served before or after. A new name each time, so that the kernel has to ask.
        await writeFile(at(`meanwhile-${round}`), 'x');
        await rename(at(`meanwhile-${round}`), at('passing'));
        await rm(at('passing'));
        expect((await stat(at('d', 'f7'))).size).toBe(content(7).length);
      }
      await writeFile(at(`meanwhile-${round}`), 'x');
      const names = await readdir(at('d'));
      expect(names).toHaveLength(FILES - 2);
      for (let n = 3; n < FILES; n++) expect(await readFile(at('d', `f${n}`), 'utf8')).toBe(content(n));
      expect(await readFile(at('moved'), 'utf8')).toBe(content(1));
      const bytes = Buffer.alloc(content(5).length);
      expect(readSync(small, bytes, 0, bytes.length, 0)).toBe(content(1).length);
      expect(readSync(large, bytes, 0, bytes.length, 0)).toBe(bytes.length);
      expect(bytes.toString()).toBe(content(5));
      writeSync(small, content(1), 0);
      fsyncSync(large);
    }
    closeSync(small);
    closeSync(large);
    const later = await open(at('later'), 'wx');
    await later.writeFile('later');
    await later.sync();
    await later.close();

    expect(await daemon.stop()).toEqual({ stopped: true });
    expect(await daemon.end()).toBe(0);
    const again = await place.mount();
    for (let n = 3; n < FILES; n++) expect(readFileSync(at('d', `f${n}`), 'utf8')).toBe(content(n));
    expect(await readFile(at('later'), 'utf8')).toBe('later');
    expect((await readdir(place.directory)).sort()).toEqual([
      'd',
      'later',
      'meanwhile-1',
      'meanwhile-2',
      'moved',
    ]);
    expect(await again.stop()).toEqual({ stopped: true });
    expect(await again.end()).toBe(0);
  }, 120_000);

  test('just before the unmount: what was written is in the checkpoint', async () => {
    const daemon = await place.mount();
    for (let n = 0; n < 20; n++) await writeFile(join(place.directory, `f${n}`), content(n));
    daemon.wreck();
    expect(await daemon.stop()).toEqual({ stopped: true });
    expect(await daemon.end()).toBe(0);
    const again = await place.mount();
    expect(again.notices).toEqual([]);
    for (let n = 0; n < 20; n++)
      expect(await readFile(join(place.directory, `f${n}`), 'utf8')).toBe(content(n));
    expect(await again.stop()).toEqual({ stopped: true });
    expect(await again.end()).toBe(0);
  }, 120_000);
});

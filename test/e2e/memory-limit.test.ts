/** A mount whose memory is used up: the one request is refused, everything else goes on. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PoolStatus } from '../../actors/pool-status.ts';
import { ControlClient } from '../../cli/client.ts';
import { ENOSPC } from '../../runtime/errno.ts';
import { setXattr } from '../../runtime/system/xattr.ts';
import { Mounted, NO_FUSE, titled } from './mounted.ts';

const VALUE = Buffer.alloc(40_000, 'v');

/** What `work` returns once it does not fail for want of memory any more; a few tries of a second. */
async function whenThereIsRoom<T>(work: () => T): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return work();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC' || tries === 10) throw error;
      await setTimeout(1000);
    }
  }
}

describe.skipIf(NO_FUSE)(titled('memory that is used up', NO_FUSE), () => {
  let fs: Mounted;
  const path = (name: string): string => join(fs.dir, name);
  const memory = (): PoolStatus =>
    (JSON.parse(fs.ok(['status', fs.dir, '--json'])) as { memory: PoolStatus }).memory;
  /** Files with a large attribute, until there is no memory for another; how many there are. */
  const fill = (directory: string): number => {
    mkdirSync(path(directory));
    for (let i = 0; ; i++) {
      writeFileSync(path(`${directory}/${i}`), '');
      const result = setXattr(path(`${directory}/${i}`), 'user.large', VALUE);
      if (result !== 0) {
        expect(result).toBe(-ENOSPC);
        return i;
      }
    }
  };

  beforeAll(() => {
    fs = new Mounted('[memory]\nbudget = "16MiB"\ndebug = true\n');
    fs.mount();
  });
  afterAll(() => fs?.dispose());

  test('refuses the request that needs more with ENOSPC, and serves all others', () => {
    const count = fill('first');
    expect(count).toBeGreaterThan(200);
    expect(statSync(path('first/0')).size).toBe(0);
    writeFileSync(path('small'), 'a file that has no room in memory is an object');
    expect(readFileSync(path('small'), 'utf8')).toContain('object');
    const { starved, slabUsed, slabBudget } = memory();
    expect(starved).toBeGreaterThan(0);
    expect(slabUsed / slabBudget).toBeGreaterThan(0.7);
  });

  test('has the memory again for blocks of any size once files are gone', async () => {
    rmSync(path('first'), { recursive: true });
    const names = Array.from({ length: 9000 }, (_, i) => `${'n'.repeat(100)}${i}`);
    mkdirSync(path('names'));
    // On a busy machine the pool may need longer than a request waits for it.
    for (const name of names) await whenThereIsRoom(() => writeFileSync(path(`names/${name}`), ''));
    expect(readdirSync(path('names')).length).toBe(names.length);
    rmSync(path('names'), { recursive: true });
    expect(fill('second')).toBeGreaterThan(200);
  }, 120_000);

  test('is accounted for to the last block', async () => {
    const client = await ControlClient.connect(fs.store);
    const audit = await client.call('auditMemory', {});
    client.close();
    expect(audit.blocks).toBeGreaterThan(1000);
    expect(audit).toMatchObject({ lost: [], dangling: [], doubled: [] });
  });

  test('survives the next mount, and the log says nothing but that memory is short', () => {
    const files = readdirSync(path('second')).length;
    fs.unmount();
    fs.mount();
    expect(readdirSync(path('second')).length).toBe(files);
    const complaints = readFileSync(join(fs.store, 'vexfs.log'), 'utf8')
      .split('\n')
      .filter((line) => /"level":[4-6]0/.test(line))
      .filter((line) => !line.includes('memory budget'));
    expect(complaints).toEqual([]);
  });
});

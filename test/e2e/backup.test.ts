import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlClient } from '../../cli/client.ts';
import { Mounted, NO_FUSE, titled, vexfs } from './mounted.ts';

const WRITER = new URL('./backup-writer.js', import.meta.url).pathname;
/** Files that lie there are compressed meanwhile. */
const CONFIG =
  '[workers]\nshards = 1\ntasks = 1\nfuse = 2\n[store]\ncompress = "cold"\ncompress_after_s = 1\n';
const BACKUPS = 2;

let mounted: Mounted;
beforeAll(() => {
  if (NO_FUSE) return;
  mounted = new Mounted(CONFIG);
  mounted.mount();
});
afterAll(() => mounted?.dispose());

/** The restored store mounted elsewhere, for `look` to look at. */
function withRestored(backup: string, look: (directory: string) => void): void {
  const other = new Mounted(CONFIG);
  try {
    mounted.ok(['restore', backup, other.store]);
    other.mount();
    look(other.dir);
    other.unmount();
    expect(vexfs(['check', other.store])).toMatchObject({ code: 0 });
  } finally {
    other.dispose();
  }
}

test.skipIf(NO_FUSE)(
  titled('a backup under load is of one instant, and restores to it', NO_FUSE),
  async () => {
    const directory = join(mounted.dir, 'load');
    mkdirSync(directory);
    mounted.run('cp', ['-r', join(process.cwd(), 'docs'), 'docs']);
    mounted.run('setfattr', ['-n', 'user.note', '-v', 'kept', 'docs']);
    const writer = spawn(process.execPath, [WRITER, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(writer, 'exit');
    try {
      await once(writer.stdout, 'data');
      for (let backup = 0; backup < BACKUPS; backup++) {
        const target = join(mounted.root, `backup-${backup}`);
        const report = JSON.parse(mounted.ok(['backup', mounted.dir, target, '--json'])) as object;
        expect(report).toMatchObject({ target });
      }
    } finally {
      writer.stdin.end();
      await ended;
    }
    for (let backup = 0; backup < BACKUPS; backup++) {
      withRestored(join(mounted.root, `backup-${backup}`), (restored) => {
        mounted.run('diff', ['-r', join(mounted.dir, 'docs'), join(restored, 'docs')]);
        expect(mounted.run('getfattr', ['--only-values', '-n', 'user.note', join(restored, 'docs')])).toBe(
          'kept',
        );
        const numbers = ['a', 'b', 'c'].map((name) => {
          const content = readFileSync(join(restored, 'load', name));
          expect(content.length).toBe(256 * 1024);
          const bytes = new Set(content);
          expect(bytes.size, `${name} is of one request`).toBe(1);
          return content[0]!;
        });
        numbers.push(Number(readFileSync(join(restored, 'load/number'), 'utf8')));
        const steps = numbers.slice(1).map((number, at) => (numbers[at]! - number + 251) % 251);
        expect(
          steps.every((step) => step === 0 || step === 1),
          `falling by one at most: ${numbers}`,
        ).toBe(true);
        expect(
          steps.reduce((sum, step) => sum + step, 0),
          `${numbers}`,
        ).toBeLessThanOrEqual(1);
        if (existsSync(join(restored, 'load/churn'))) {
          expect(new Set(readFileSync(join(restored, 'load/churn'))).size).toBeLessThanOrEqual(1);
        }
      });
    }
    // The mount goes on, and what was kept for the backups is deleted.
    writeFileSync(join(directory, 'after'), 'x');
    expect(vexfs(['status', mounted.dir]).code).toBe(0);
  },
);

test.skipIf(NO_FUSE)(titled('a backup that goes away lets the mount go on', NO_FUSE), async () => {
  const client = await ControlClient.connect(mounted.store);
  await client.call('backupBegin', {});
  const other = await ControlClient.connect(mounted.store);
  await expect(other.call('backupBegin', {})).rejects.toThrow('another backup of this mount is under way');
  await expect(other.call('backupFreeze', {})).rejects.toThrow('begins before it freezes');
  const { durableLsn } = await client.call('backupFreeze', {});
  expect(durableLsn).toBeGreaterThan(0);
  const written = writeFile(join(mounted.dir, 'while frozen'), 'x');
  const first = await Promise.race([written, new Promise((resume) => setTimeout(resume, 200, 'waits'))]);
  expect(first).toBe('waits');
  client.close();
  await written;
  // The hold is over as well.
  await expect.poll(() => other.call('backupBegin', {}).then(() => 'begun', String)).toBe('begun');
  await other.call('backupFreeze', {});
  expect(await other.call('backupThaw', {})).toEqual({ whole: true });
  await other.call('backupFreeze', {});
  await other.call('restart', { actor: 'fuse-0' });
  expect(await other.call('backupThaw', {})).toEqual({ whole: false });
  other.close();
});

test.skipIf(NO_FUSE)(
  titled('where a backup may go, and what can be restored, is said in words', NO_FUSE),
  () => {
    const refused = (args: readonly string[], what: RegExp): void => {
      const { code, stderr } = vexfs(args);
      expect(stderr).toMatch(what);
      expect(code).toBe(1);
    };
    const good = join(mounted.root, 'good');
    refused(['backup', mounted.dir, join(mounted.dir, 'inside')], /lies inside/);
    refused(['backup', mounted.dir, mounted.root], /is not empty/);
    refused(['backup', join(mounted.root, 'nothing'), good], /does not exist/);
    mounted.ok(['backup', mounted.store, good]);
    const elsewhere = join(mounted.root, 'elsewhere');
    mkdirSync(elsewhere);
    refused(['mount', good, elsewhere], /is a backup; "vexfs restore/);
    refused(['restore', good, mounted.root], /is not empty/);
    refused(['restore', mounted.store, join(mounted.root, 'x')], /is not a backup/);
    refused(['check', mounted.store], /is in use by process \d+\. Unmount it first/);
    const log = readdirSync(join(good, 'log'))[0]!;
    const path = join(good, 'log', log);
    const bytes = readFileSync(path);
    bytes[statSync(path).size >> 1]! ^= 1;
    writeFileSync(path, bytes);
    refused(['restore', good, join(mounted.root, 'y')], new RegExp(`is damaged: log/${log}`));
    rmSync(join(good, 'backup.json'));
    refused(['restore', good, join(mounted.root, 'z')], /is not a backup, or one that was not finished/);
  },
);

test.skipIf(NO_FUSE)(titled('a store that is not mounted is backed up as well', NO_FUSE), () => {
  mounted.unmount();
  const target = join(mounted.root, 'offline');
  mounted.ok(['backup', mounted.store, target]);
  mounted.mount();
  withRestored(target, (restored) => {
    mounted.run('diff', ['-r', mounted.dir, restored]);
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { type ReloadReport, Reloads, reload as reloadWith } from '../../actors/main/reload.ts';
import type { Workers } from '../../actors/main/workers.ts';
import { requireConfig } from '../../runtime/config/load.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { openLog } from '../../runtime/log.ts';
import { UserError } from '../../runtime/user-error.ts';
import { World } from './world.ts';

let directory: string;
let main: Context;
let shard: Context;

/** What World is configured with, as a file. */
const AS_MOUNTED = '[memory]\nbudget = "16MiB"\nmax_files = 1000\n[log]\nlevel = "silent"\n';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vexfs-reload-'));
  const world = new World();
  fuse = new MadeUpWorkers();
  shards = new MadeUpWorkers();
  shards.count = 2;
  main = world.actor('main');
  shard = world.actor('shard-0');
});

afterEach(() => rmSync(directory, { recursive: true }));

function read(text: string, set: string[] = []): () => Config {
  const file = join(directory, 'vexfs.toml');
  writeFileSync(file, text);
  return () => requireConfig({ file, set });
}

/** As many as are wanted, at once. */
class MadeUpWorkers implements Workers {
  count = 1;
  room = 4;
  /** What resize() was asked for. */
  readonly asked: number[] = [];
  obstacle: string | undefined;
  /** One more than this does not start. */
  most = 4;

  mustBeFree(): void {
    if (this.obstacle !== undefined) throw new UserError(this.obstacle);
  }

  async resize(count: number): Promise<void> {
    this.asked.push(count);
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.count = Math.min(count, this.most);
    if (count > this.most) throw new UserError('it did not start');
  }
}

let fuse: MadeUpWorkers;
let shards: MadeUpWorkers;

function reload(context: Context, readConfig: () => Config): Promise<ReloadReport> {
  return reloadWith(context, readConfig, { fuse, shards });
}

test('a file that says what is in force changes nothing', async () => {
  expect(await reload(main, read(AS_MOUNTED))).toEqual({ applied: [], needsRemount: [] });
});

test('what is live applies to every thread at once, and the rest is named with both values', async () => {
  const report = await reload(
    main,
    read(`${AS_MOUNTED}[store]\ncommit_interval_ms = 50\ninline_limit = "4KiB"\n[workers]\nshards = 5\n`),
  );
  expect(report).toEqual({
    applied: [{ key: 'store.commit_interval_ms', from: '1_000', to: '50' }],
    needsRemount: [
      {
        key: 'workers.shards',
        from: '2',
        to: '5',
        why: 'this one has room for 4 (workers.shards_max)',
      },
      { key: 'store.inline_limit', from: '"16KiB"', to: '"4KiB"' },
    ],
  });
  expect(shard.settings.config.store.commit_interval_ms).toBe(50);
  expect(shard.settings.config.workers.shards).toBe(2);
});

test('a live value that is taken back is a change again, one that waits for a mount is not one any more', async () => {
  await reload(main, read(`${AS_MOUNTED}[vectors]\nef = 10\nm = 32\n`));
  expect(await reload(main, read(AS_MOUNTED))).toEqual({
    applied: [{ key: 'vectors.ef', from: '10', to: '64' }],
    needsRemount: [],
  });
});

test('the number of shards applies as far as there is room, and one that does not start is named', async () => {
  const withShards = (n: number) => read(`${AS_MOUNTED}[workers]\nshards = ${n}\n`);
  expect(await reload(main, withShards(4))).toEqual({
    applied: [{ key: 'workers.shards', from: '2', to: '4' }],
    needsRemount: [],
  });
  expect(shard.settings.config.workers.shards).toBe(4);
  shards.most = 3;
  shards.count = 2;
  const { failed } = await reload(main, withShards(4));
  expect(failed).toBe(undefined);
  expect(shard.settings.config.workers.shards).toBe(3);
  expect(shards.asked).toEqual([4, 4]);
});

test('with a mistake anywhere in it nothing changes, and every mistake is named', async () => {
  const wrong = read(`${AS_MOUNTED}[vectors]\nef = 10\nm = 1\n[wrokers]\n`);
  await expect(reload(main, wrong)).rejects.toThrow(
    /:8:1: vectors\.m is 1; .*\n.*:9:1: unknown key "wrokers"; did you mean/,
  );
  expect(main.settings.config.vectors.ef).toBe(64);
});

test('what this machine cannot do is a mistake too', async () => {
  const wrong = read(`${AS_MOUNTED}[vectors]\nef = 10\n[placement]\npin = { "fuse-0" = 9999 }\n`);
  await expect(reload(main, wrong)).rejects.toThrow(/"fuse-0" on CPU 9999, which does not exist/);
  expect(main.settings.config.vectors.ef).toBe(64);
});

test('--set goes on winning over the file', async () => {
  const report = await reload(main, read(`${AS_MOUNTED}[vectors]\nef = 10\n`, ['vectors.ef=20']));
  expect(report.applied).toEqual([{ key: 'vectors.ef', from: '64', to: '20' }]);
});

test('the log level of a logger that is open changes with the configuration', async () => {
  const file = join(directory, 'log');
  const logger = openLog('test', shard.settings.config.log, file);
  logger.fatal('one');
  await reload(main, read(AS_MOUNTED.replace('silent', 'debug')));
  logger.trace('two');
  logger.debug('three');
  await reload(main, read(AS_MOUNTED.replace('silent', 'error')));
  logger.warn('four');
  logger.error('five');
  const written = readFileSync(file, 'utf8').trim().split('\n');
  expect(written.map((line) => JSON.parse(line).msg)).toEqual(['three', 'five']);
  expect(JSON.parse(written[1]!)).toMatchObject({ level: 50, actor: 'test' });
});

test('a level that is set on one logger is stronger than that of the configuration', async () => {
  const file = join(directory, 'log');
  const logger = openLog('test', { level: 'silent' }, file);
  logger.level = 'warn';
  logger.info('one');
  logger.warn('two');
  expect(JSON.parse(readFileSync(file, 'utf8')).msg).toBe('two');
});

const withFuse = (count: number): string => `${AS_MOUNTED}[workers]\nfuse = ${count}\n`;

test('workers.fuse is brought to what the file says, and is published only once it is so', async () => {
  const reloading = reload(main, read(withFuse(3)));
  expect(shard.settings.config.workers.fuse).toBe(1);
  expect(await reloading).toEqual({
    applied: [{ key: 'workers.fuse', from: '1', to: '3' }],
    needsRemount: [],
  });
  expect(fuse.count).toBe(3);
  expect(shard.settings.config.workers.fuse).toBe(3);
  expect(await reload(main, read(withFuse(3)))).toEqual({ applied: [], needsRemount: [] });
  expect(fuse.asked).toEqual([3]);
});

test('more fuse actors than there is room for wait for the next mount, and the rest of the file applies', async () => {
  const report = await reload(main, read(`${withFuse(5)}[vectors]\nef = 10\n`));
  expect(report).toEqual({
    applied: [{ key: 'vectors.ef', from: '64', to: '10' }],
    needsRemount: [
      {
        key: 'workers.fuse',
        from: '1',
        to: '5',
        why: expect.stringMatching(/^this one has room for \d+ \(workers\.fuse_max\)$/),
      },
    ],
  });
  expect(fuse.asked).toEqual([]);
  expect(shard.settings.config.workers.fuse).toBe(1);
});

test('when not all of them start, those that did are kept and published, and the report says why', async () => {
  fuse.most = 2;
  const report = await reload(main, read(`${withFuse(4)}[vectors]\nef = 10\n`));
  expect(report).toEqual({
    applied: [{ key: 'vectors.ef', from: '64', to: '10' }],
    needsRemount: [],
    failed: [{ key: 'workers.fuse', from: '1', to: '4', why: 'it did not start' }],
  });
  expect(shard.settings.config.workers.fuse).toBe(2);
});

test('while the number of fuse actors cannot change, a file that changes it is refused whole, and others are not', async () => {
  fuse.obstacle = 'the mount is recovering';
  await expect(reload(main, read(`${withFuse(2)}[vectors]\nef = 10\n`))).rejects.toThrow(fuse.obstacle);
  expect(main.settings.config.vectors.ef).toBe(64);
  await reload(main, read(`${AS_MOUNTED}[vectors]\nef = 10\n`));
  expect(main.settings.config.vectors.ef).toBe(10);
});

test('reloads that come at once are done one after the other, also after one that failed, and the last one holds', async () => {
  const wanted = [2, 4, 1, 3];
  let next = 0;
  const reloads = new Reloads(main, () => read(withFuse(wanted[next++]!))(), { fuse, shards });
  fuse.most = 3;
  const reports = await Promise.all(wanted.map(() => reloads.reload()));
  expect(reports.map(({ failed }) => failed !== undefined)).toEqual([false, true, false, false]);
  expect(fuse.asked).toEqual(wanted);
  expect(fuse.count).toBe(3);
  await reloads.idle();
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { reload } from '../../actors/main/reload.ts';
import { requireConfig } from '../../runtime/config/load.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { openLog } from '../../runtime/log.ts';
import { World } from './world.ts';

let directory: string;
let main: Context;
let shard: Context;

/** What World is configured with, as a file. */
const AS_MOUNTED = '[memory]\nbudget = "16MiB"\nmax_files = 1000\n[log]\nlevel = "silent"\n';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vexfs-reload-'));
  const world = new World();
  main = world.actor('main');
  shard = world.actor('shard-0');
});

afterEach(() => rmSync(directory, { recursive: true }));

function read(text: string, set: string[] = []): () => Config {
  const file = join(directory, 'vexfs.toml');
  writeFileSync(file, text);
  return () => requireConfig({ file, set });
}

test('a file that says what is in force changes nothing', () => {
  expect(reload(main, read(AS_MOUNTED))).toEqual({ applied: [], needsRemount: [] });
});

test('what is live applies to every thread at once, and the rest is named with both values', () => {
  const report = reload(
    main,
    read(`${AS_MOUNTED}[store]\ncommit_interval_ms = 50\ninline_limit = "4KiB"\n[workers]\nshards = 5\n`),
  );
  expect(report).toEqual({
    applied: [{ key: 'store.commit_interval_ms', from: '1_000', to: '50' }],
    needsRemount: [
      { key: 'workers.shards', from: '2', to: '5' },
      { key: 'store.inline_limit', from: '"16KiB"', to: '"4KiB"' },
    ],
  });
  expect(shard.settings.config.store.commit_interval_ms).toBe(50);
  expect(shard.settings.config.workers.shards).toBe(2);
});

test('a live value that is taken back is a change again, one that waits for a mount is not one any more', () => {
  reload(main, read(`${AS_MOUNTED}[vectors]\nef = 10\nm = 32\n`));
  expect(reload(main, read(AS_MOUNTED))).toEqual({
    applied: [{ key: 'vectors.ef', from: '10', to: '64' }],
    needsRemount: [],
  });
});

test('with a mistake anywhere in it nothing changes, and every mistake is named', () => {
  const wrong = read(`${AS_MOUNTED}[vectors]\nef = 10\nm = 1\n[wrokers]\n`);
  expect(() => reload(main, wrong)).toThrow(
    /:8:1: vectors\.m is 1; .*\n.*:9:1: unknown key "wrokers"; did you mean/,
  );
  expect(main.settings.config.vectors.ef).toBe(64);
});

test('what this machine cannot do is a mistake too', () => {
  const wrong = read(`${AS_MOUNTED}[vectors]\nef = 10\n[placement]\npin = { "fuse-0" = 9999 }\n`);
  expect(() => reload(main, wrong)).toThrow(/"fuse-0" on CPU 9999, which does not exist/);
  expect(main.settings.config.vectors.ef).toBe(64);
});

test('--set goes on winning over the file', () => {
  const report = reload(main, read(`${AS_MOUNTED}[vectors]\nef = 10\n`, ['vectors.ef=20']));
  expect(report.applied).toEqual([{ key: 'vectors.ef', from: '64', to: '20' }]);
});

test('the log level of a logger that is open changes with the configuration', () => {
  const file = join(directory, 'log');
  const logger = openLog('test', shard.settings.config.log, file);
  logger.fatal('one');
  reload(main, read(AS_MOUNTED.replace('silent', 'debug')));
  logger.trace('two');
  logger.debug('three');
  reload(main, read(AS_MOUNTED.replace('silent', 'error')));
  logger.warn('four');
  logger.error('five');
  const written = readFileSync(file, 'utf8').trim().split('\n');
  expect(written.map((line) => JSON.parse(line).msg)).toEqual(['three', 'five']);
  expect(JSON.parse(written[1]!)).toMatchObject({ level: 50, actor: 'test' });
});

test('a level that is set on one logger is stronger than that of the configuration', () => {
  const file = join(directory, 'log');
  const logger = openLog('test', { level: 'silent' }, file);
  logger.level = 'warn';
  logger.info('one');
  logger.warn('two');
  expect(JSON.parse(readFileSync(file, 'utf8')).msg).toBe('two');
});

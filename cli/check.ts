import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { isVexfs, mountAt, readMounts } from '../fuse/mount/mountinfo.ts';
import { requireConfig } from '../runtime/config/load.ts';
import type { Config } from '../runtime/config/schema.ts';
import { UserError } from '../runtime/user-error.ts';
import { checkStore, roomy, type StoreCheck } from './offline/check.ts';
import { describeFinding, type Finding } from './offline/findings.ts';
import { openOffline } from './offline/open.ts';
import { repairStore } from './offline/repair.ts';
import { clearProgress, grouped, plural, print, printJson, progress, say, visible } from './terminal.ts';

interface Options {
  readonly repair?: true;
  readonly json?: true;
}

interface Report {
  readonly store: string;
  readonly clean: boolean;
  readonly problems: readonly Finding[];
  /** All of them: `problems` has at most a thousand. */
  readonly problemCount: number;
  readonly notes: readonly Finding[];
  readonly repaired?: readonly string[];
  readonly counts?: object;
}

const HELP = `
The store must not be mounted, and is not changed. What is looked at: the checksums of checkpoints, log and
vector segments, every inode, name and extended attribute, and whether each large file's object is there.
What is in an object has a checksum if it is compressed.

"--repair" writes the tree anew from what is sound. Nothing is deleted: what has no place goes to lost+found,
files of the store that are damaged stay beside it under names that end in ".aside".

Exit codes: 0 clean (or clean after the repair), 1 problems, or it could not be checked, 2 usage.`;

export function addCheck(program: Command): void {
  program
    .command('check')
    .summary('look for damage in a store that is not mounted')
    .description('Check the whole of STORE and say what is wrong with it.')
    .argument('<store>', 'the directory that "vexfs mount" was given')
    .option('--repair', 'make it sound again')
    .option(
      '--json',
      'print JSON: {"clean", "problems": [{"file", "offset", "path", "what"}], "notes", "counts"}',
    )
    .addHelpText('after', HELP)
    .action(check);
}

function check(argument: string, options: Options): void {
  const report = inspect(argument, options);
  clearProgress();
  if (options.json) printJson(report);
  else printReport(report);
  process.exitCode = report.clean ? 0 : 1;
}

function inspect(argument: string, options: Options): Report {
  const path = existsSync(argument) ? realpathSync(argument) : resolve(argument);
  const mount = mountAt(readMounts(), path);
  if (mount !== undefined && isVexfs(mount))
    throw new UserError(`${path} is a mount; unmount it, and check its store: vexfs check ${mount.store}`);
  const opened = openOffline(path, options.repair === true);
  if (!('store' in opened)) {
    return { store: path, clean: false, problems: [opened], problemCount: 1, notes: [] };
  }
  const { store, mended } = opened;
  try {
    const config = roomy(readConfig(path));
    const found = checkStore(store.disk, store.identity, config, showProgress);
    const done = mended === undefined ? [] : [`made ${mended.file} anew`];
    if (options.repair === undefined || found.findings.isClean)
      return reportOf(path, found, mended === undefined ? undefined : done);
    done.push(...repairStore(store.disk, store.identity, config, found).done);
    return reportOf(path, checkStore(store.disk, store.identity, config, showProgress), done);
  } finally {
    store.release();
  }
}

/** A mistake in vexfs.toml is "vexfs config check"'s to explain, and no reason not to look at the data. */
function readConfig(store: string): Config {
  try {
    return requireConfig({ fallback: join(store, 'vexfs.toml'), environment: process.env, set: [] });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say(`${error.message.split('\n')[0]}; checked with the defaults`);
    return requireConfig({});
  }
}

function reportOf(store: string, check: StoreCheck, repaired: readonly string[] | undefined): Report {
  const { findings, tree, log, segments, objects, checkpoints } = check;
  return {
    store,
    clean: findings.isClean,
    problems: findings.problems,
    problemCount: findings.count,
    notes: findings.notes,
    ...(repaired === undefined ? {} : { repaired }),
    counts: {
      ...tree,
      checkpoints: checkpoints.length,
      logSegments: log.segments.length,
      logRecords: log.records,
      vectorSegments: segments.files,
      passages: segments.passages,
      objects: objects.objects,
      objectBytes: objects.bytes,
      compressedObjects: objects.compressed,
    },
  };
}

function printReport({ store, clean, problems, problemCount, notes, repaired, counts }: Report): void {
  for (const done of repaired ?? []) print(`repaired: ${done}`);
  for (const problem of problems) print(`problem: ${visible(describeFinding(problem))}`);
  if (problemCount > problems.length)
    print(`problem: ${grouped(problemCount - problems.length)} more of them`);
  for (const note of notes) print(`note: ${visible(describeFinding(note))}`);
  const { files = 0, directories = 0, logRecords = 0 } = (counts ?? {}) as Record<string, number>;
  const looked = `${plural(files, 'file')}, ${plural(directories, 'directory', 'directories')}, ${plural(logRecords, 'record')} of the log`;
  const verdict = clean ? 'clean' : plural(problemCount, 'problem');
  print(`${store}: ${verdict} (${looked})`);
  if (!clean && repaired === undefined)
    print('"vexfs check --repair" makes it sound again and deletes nothing');
}

function showProgress(what: string, done: number, total: number): void {
  progress(`checking ${what}: ${grouped(done)} of ${grouped(total)}`);
}

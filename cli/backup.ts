import fs from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { isVexfs, mountContaining, readMounts } from '../fuse/mount/mountinfo.ts';
import { requireConfig } from '../runtime/config/load.ts';
import { HostDisk } from '../runtime/storage/disk.ts';
import { openStore } from '../runtime/storage/store.ts';
import { decodeFormat, FORMAT_FILE, type StoreIdentity } from '../runtime/storage/store-format.ts';
import { UserError } from '../runtime/user-error.ts';
import { ControlClient, NotRunning } from './client.ts';
import { type BackupReport, backUp, type LiveStore } from './offline/backup.ts';
import { readManifest } from './offline/backup-manifest.ts';
import { checkStore, roomy } from './offline/check.ts';
import { describeFinding } from './offline/findings.ts';
import { restore } from './offline/restore.ts';
import { clearProgress, grouped, plural, print, printJson, progress } from './terminal.ts';

const FREEZE_TIMEOUT_MS = 120_000;

const BACKUP_HELP = `
The backup is the whole filesystem as of one instant: names, contents, attributes, vectors. A mount goes on
while it is copied; for that instant its requests wait, for as long as it takes to copy what was written last
(most often a tenth of a second; 10 s at most, then the backup tries again).
Where the host can share blocks between files (Btrfs, XFS), large files take no more room and no time.

Example:
  vexfs backup ~/notes /media/disk/notes-2026-11-22     of a mount, or of a store that is not mounted`;

const RESTORE_HELP = `
Every file is compared with the checksum that the backup took, and the new store is checked as
"vexfs check" does. STORE must not exist, or be empty. It has the identity of the store that was backed up.`;

export function addBackup(program: Command): void {
  program
    .command('backup')
    .summary('copy a store, mounted or not, as of one instant')
    .description('Copy the store of a mount, or STORE, to TARGET.')
    .argument('<source>', 'a mounted directory, or a store')
    .argument('<target>', 'a directory that does not exist or is empty')
    .option('--json', 'print JSON: {"target", "files", "bytes", "frozenMs"}')
    .addHelpText('after', BACKUP_HELP)
    .action(backup);
  program
    .command('restore')
    .summary('make a store of a backup')
    .description('Make STORE of BACKUP.')
    .argument('<backup>', 'what "vexfs backup" has written')
    .argument('<store>', 'a directory that does not exist or is empty')
    .option('--json', 'print JSON: {"store", "files"}')
    .addHelpText('after', RESTORE_HELP)
    .action(restoreStore);
}

interface Options {
  readonly json?: true;
}

async function backup(source: string, targetArgument: string, options: Options): Promise<void> {
  const { store, directory } = locateStore(source);
  const target = canonical(targetArgument);
  for (const inside of [store, directory]) {
    if (inside !== undefined && (target === inside || target.startsWith(`${inside}/`)))
      throw new UserError(`${target} lies inside ${inside}; a backup of it must be somewhere else`);
  }
  const report = await copyStore(store, directory, () => makeEmpty(target));
  clearProgress();
  const { files, bytes, frozenMs } = report;
  if (options.json) printJson({ target, files, bytes, frozenMs: Math.round(frozenMs * 10) / 10 });
  else {
    const waited = directory === undefined ? '' : `; requests waited ${frozenMs.toFixed(1)} ms`;
    print(`${target}: ${plural(files, 'file')}, ${grouped(bytes)} bytes${waited}`);
  }
}

/** Of a mount, over its control socket; of a store that nobody has mounted, under its lock. */
async function copyStore(
  store: string,
  directory: string | undefined,
  target: () => string,
): Promise<BackupReport> {
  const opened = openStore(store, { create: false, inspect: true });
  if (!('kind' in opened)) {
    try {
      return await backUp(store, opened.identity, target(), undefined, showProgress);
    } finally {
      opened.release();
    }
  }
  if (opened.kind !== 'locked') throw new UserError(opened.message);
  const client = await ControlClient.connect(store).catch((error: unknown) => {
    throw error instanceof NotRunning ? new UserError(opened.message) : error;
  });
  try {
    return await backUp(store, identityOfStore(store), target(), liveStore(client, directory), showProgress);
  } finally {
    client.close();
  }
}

function liveStore(client: ControlClient, directory: string | undefined): LiveStore {
  const wait = { timeoutMs: FREEZE_TIMEOUT_MS };
  return {
    async begin() {
      await client.call('backupBegin', {});
    },
    freeze() {
      // What the kernel has not handed over yet is part of the files, too.
      if (directory !== undefined) new HostDisk(directory).syncAll();
      return client.call('backupFreeze', {}, wait);
    },
    async thaw() {
      return (await client.call('backupThaw', {}, wait)).whole;
    },
  };
}

function identityOfStore(store: string): StoreIdentity {
  const format = decodeFormat(fs.readFileSync(join(store, FORMAT_FILE), 'utf8'));
  if (format === undefined) throw new UserError(`${join(store, FORMAT_FILE)} is damaged`);
  return format.identity;
}

/** `source` is a mount, something in one, or a store; a store's mount is looked for. */
function locateStore(source: string): { store: string; directory: string | undefined } {
  if (!fs.existsSync(source)) throw new UserError(`${source} does not exist`);
  const path = fs.realpathSync(source);
  const mounts = readMounts();
  const mount = mountContaining(mounts, path);
  if (mount !== undefined && isVexfs(mount)) return { store: mount.store, directory: mount.mountPoint };
  const own = mounts.find((other) => other.store === path);
  return { store: path, directory: own?.mountPoint };
}

function restoreStore(backupArgument: string, storeArgument: string, options: Options): void {
  const from = resolve(backupArgument);
  const manifest = readManifest(from);
  const store = makeEmpty(resolve(storeArgument));
  restore(from, manifest, store, showProgress);
  const opened = openStore(store, { create: false, inspect: true });
  if ('kind' in opened) throw new UserError(opened.message);
  const memory = roomy(requireConfig({ fallback: join(store, 'vexfs.toml') }));
  const { findings } = checkStore(opened.disk, opened.identity, memory, showProgress);
  opened.release();
  clearProgress();
  if (!findings.isClean) {
    const first = describeFinding(findings.problems[0]!);
    throw new UserError(
      `${store} is what was backed up, which was damaged (${first}); "vexfs check ${store}" says more`,
    );
  }
  if (options.json) printJson({ store, files: manifest.files.length });
  else print(`${store}: restored as of ${manifest.at}, ${plural(manifest.files.length, 'file')}, clean`);
}

/** Without symbolic links, as far as it exists. */
function canonical(path: string): string {
  let known = resolve(path);
  while (!fs.existsSync(known)) known = dirname(known);
  return join(fs.realpathSync(known), relative(known, resolve(path)));
}

/** A directory of the caller's alone. @throws {UserError} if something is in it. */
function makeEmpty(path: string): string {
  if (fs.existsSync(path) && !fs.statSync(path).isDirectory())
    throw new UserError(`${path} is not a directory`);
  if (fs.existsSync(path) && fs.readdirSync(path).length > 0) {
    throw new UserError(`${path} is not empty; name a directory that does not exist, or an empty one`);
  }
  fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

function showProgress(what: string, done: number, total: number): void {
  progress(`${what}: ${grouped(done)} of ${grouped(total)}`);
}

/**
 * A store as a directory: making it, recognising it, and making sure that one process at a time uses it.
 *
 *   format      what makes the directory a store (store-format.ts)
 *   lock        flock'ed while in use; holds the process id of the user
 *   log/ checkpoint/ objects/ vectors/ text/
 *
 * A store of an older format is upgraded when it is opened for use: from then on older programs refuse it, and so never
 * take what they cannot read for damage. Opened for inspection nothing of it changes but the lock.
 */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { EEXIST } from '../errno.ts';
import { flock, LOCK_EX, LOCK_NB } from '../system/libc.ts';
import { type Disk, HostDisk } from './disk.ts';
import {
  decodeFormat,
  encodeFormat,
  FORMAT_FILE,
  newIdentity,
  STORE_FORMAT,
  type StoreFormat,
  type StoreIdentity,
} from './store-format.ts';

export type { StoreIdentity } from './store-format.ts';

export interface OpenStore {
  readonly path: string;
  readonly disk: Disk;
  readonly identity: StoreIdentity;
  /** Whether this call made the store. */
  readonly created: boolean;
  /** The format that this call has upgraded it from, if it has. */
  readonly upgradedFrom?: number;
  /** Gives the lock back. The end of the process does so too. */
  release(): void;
}

export interface StoreProblem {
  readonly kind: 'missing' | 'not-a-store' | 'newer-format' | 'damaged' | 'locked' | 'inaccessible';
  /** A sentence for the user, without a full stop. */
  readonly message: string;
  /** The process that uses the store, when it is locked and could be read. */
  readonly pid?: number;
}

export const STORE_DIRECTORIES = ['log', 'checkpoint', 'objects', 'vectors', 'text'];
/** What a backup has in place of {@link FORMAT_FILE}, so that nobody mounts it. */
export const BACKUP_FILE = 'backup.json';
/** What may lie in a directory that is to become a store: traces of a creation that was cut short. */
const BEFORE_FORMAT = new Set(['lock', 'format.tmp', 'vexfs.toml', 'vexfs.schema.json', 'vexfs.log']);

export interface OpenOptions {
  /** Where nothing is, or an empty directory, a store is made. */
  readonly create: boolean;
  /** Nothing is upgraded, completed or made; what is missing is left to the caller to find. */
  readonly inspect?: boolean;
}

export function openStore(path: string, options: OpenOptions): OpenStore | StoreProblem {
  try {
    return open(path, options);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return {
      kind: 'inaccessible',
      message: `${path} cannot be used as a store: ${why(error as NodeJS.ErrnoException)}`,
    };
  }
}

function why(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EACCES':
      return 'it belongs to another user, or lies in a directory of another user';
    case 'ENOTDIR':
      return 'it is not a directory';
    case 'EROFS':
      return 'it lies on a disk that is mounted read-only. A mount writes there, one with "-o ro" too; "vexfs check" and "vexfs backup" do not';
    case 'ELOOP':
      return `${error.path ?? 'a file in it'} is a symbolic link`;
    default:
      return error.message;
  }
}

function open(path: string, { create, inspect = false }: OpenOptions): OpenStore | StoreProblem {
  const isNew = !fs.existsSync(path);
  if (isNew && !create) return { kind: 'missing', message: `${path} does not exist` };
  if (isNew) makeDirectory(path);
  const names = fs.readdirSync(path);
  const formatted = names.includes(FORMAT_FILE);
  if (!formatted && names.includes(BACKUP_FILE)) {
    const message = `${path} is a backup; "vexfs restore ${path} STORE" makes a store of it`;
    return { kind: 'not-a-store', message };
  }
  if (!formatted) {
    const foreign = names.find((name) => !BEFORE_FORMAT.has(name));
    if (foreign !== undefined) {
      return {
        kind: 'not-a-store',
        message: `${path} is not a store, and it is not empty (it has '${foreign}')`,
      };
    }
    if (!create) return { kind: 'not-a-store', message: `${path} is not a store: it is empty` };
    fs.chmodSync(path, 0o700);
  }
  const astray = STORE_DIRECTORIES.find((name) => isAstray(join(path, name)));
  if (astray !== undefined) {
    const message = `${join(path, astray)} is a symbolic link, or no directory; what a store has must lie in it.`;
    return { kind: 'inaccessible', message };
  }
  const lock = takeLock(path, inspect);
  if (typeof lock !== 'number') return lock;
  // Another process may have made the store while this one looked around.
  const created = !fs.existsSync(join(path, FORMAT_FILE));
  const format = created ? { format: STORE_FORMAT, identity: newIdentity() } : readFormat(path);
  if ('kind' in format) {
    fs.closeSync(lock);
    return format;
  }
  const { identity } = format;
  const isUpgrade = !created && !inspect && format.format < STORE_FORMAT;
  if (created || isUpgrade) writeFormat(path, identity);
  const disk = new HostDisk(path);
  if (!inspect) makeDirectories(disk, path);
  const upgrade = isUpgrade ? { upgradedFrom: format.format } : {};
  return { path, disk, identity, created, ...upgrade, release: () => fs.closeSync(lock) };
}

/** With its parents. Node's own way to do that does not end where none can be made, as in /proc. */
function makeDirectory(path: string): void {
  if (!fs.existsSync(dirname(path))) makeDirectory(dirname(path));
  fs.mkdirSync(path, { mode: 0o700 });
}

/**
 * Whether there is something that is no directory. A link leads where another may decide, and perhaps to another disk, which is
 * not synced with the store's.
 */
function isAstray(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
}

/** The descriptor that holds the lock. */
function takeLock(path: string, inspect: boolean): number | StoreProblem {
  const file = join(path, 'lock');
  // What a link leads to is not the store's to write to, least of all when root looks at the store of somebody else.
  const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
  const isReadOnly = inspect && onReadOnlyDisk(path);
  const descriptor = fs.openSync(file, (isReadOnly ? O_RDONLY : O_RDWR | O_CREAT) | O_NOFOLLOW, 0o600);
  if (flock(descriptor, LOCK_EX | LOCK_NB) === 0) {
    if (isReadOnly) return descriptor;
    // In this order it needs no room on a full disk.
    const length = fs.writeSync(descriptor, `${process.pid}\n`, 0);
    fs.ftruncateSync(descriptor, length);
    return descriptor;
  }
  const pid = Number.parseInt(fs.readFileSync(descriptor, 'utf8'), 10);
  fs.closeSync(descriptor);
  const known = Number.isInteger(pid);
  const who = known ? `process ${pid}` : 'another process';
  return { kind: 'locked', message: `${path} is in use by ${who}`, ...(known ? { pid } : {}) };
}

function onReadOnlyDisk(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

function readFormat(path: string): StoreFormat | StoreProblem {
  const file = join(path, FORMAT_FILE);
  const format = decodeFormat(fs.readFileSync(file, 'utf8'));
  if (format === undefined) return { kind: 'damaged', message: `${file} is damaged` };
  if (format.format <= STORE_FORMAT) return format;
  const known = `this program knows up to ${STORE_FORMAT}`;
  return {
    kind: 'newer-format',
    message: `${path} has format ${format.format}; ${known}: use a newer one`,
  };
}

/** Durable under its name when it returns; until then the one before stands. */
export function writeFormat(path: string, identity: StoreIdentity): void {
  const temporary = join(path, 'format.tmp');
  // Made anew: what a link of this name leads to is not the store's.
  fs.rmSync(temporary, { force: true });
  const descriptor = fs.openSync(temporary, 'wx', 0o600);
  fs.writeSync(descriptor, encodeFormat(identity));
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
  fs.renameSync(temporary, join(path, FORMAT_FILE));
  new HostDisk(path).syncDirectory('.');
}

/** Also completes a creation that was cut short after `format` had been written. */
function makeDirectories(disk: Disk, path: string): void {
  for (const name of STORE_DIRECTORIES) {
    const made = disk.mkdir(name);
    if (made < 0 && made !== -EEXIST)
      throw Object.assign(new Error(`${join(path, name)}: errno ${-made}`), { code: made });
  }
  disk.syncDirectory('.');
}

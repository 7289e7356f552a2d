/**
 * A store as a directory: making it, recognising it, and making sure that one process at a time uses it.
 *
 *   format      JSON {format, uuid, created}: what makes the directory a store
 *   lock        flock'ed while in use; holds the process id of the user
 *   log/ checkpoint/ objects/ vectors/ text/
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { EEXIST } from '../errno.ts';
import { flock, LOCK_EX, LOCK_NB } from '../system/libc.ts';
import { type Disk, HostDisk } from './disk.ts';

const STORE_FORMAT = 1;

export interface StoreIdentity {
  readonly uuid: string;
  /** The same as 16 bytes. */
  readonly bytes: Uint8Array;
  /** ISO 8601. */
  readonly created: string;
}

export interface OpenStore {
  readonly path: string;
  readonly disk: Disk;
  readonly identity: StoreIdentity;
  /** Whether this call made the store. */
  readonly created: boolean;
  /** Gives the lock back. The end of the process does so too. */
  release(): void;
}

export interface StoreProblem {
  readonly kind: 'missing' | 'not-a-store' | 'newer-format' | 'damaged' | 'locked' | 'inaccessible';
  /** One sentence for the user. */
  readonly message: string;
  /** The process that uses the store, when it is locked and could be read. */
  readonly pid?: number;
}

const DIRECTORIES = ['log', 'checkpoint', 'objects', 'vectors', 'text'];
/** What may lie in a directory that is to become a store: traces of a creation that was cut short. */
const BEFORE_FORMAT = new Set(['lock', 'format.tmp', 'vexfs.toml', 'vexfs.schema.json', 'vexfs.log']);

/** Opens the store at `path`; where nothing is, or an empty directory, makes one if `create` is set. */
export function openStore(path: string, options: { readonly create: boolean }): OpenStore | StoreProblem {
  try {
    return open(path, options.create);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return { kind: 'inaccessible', message: `${path} cannot be used as a store: ${error.message}.` };
  }
}

function open(path: string, create: boolean): OpenStore | StoreProblem {
  const isNew = !fs.existsSync(path);
  if (isNew && !create) return { kind: 'missing', message: `${path} does not exist.` };
  if (isNew) fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  const names = fs.readdirSync(path);
  const formatted = names.includes('format');
  if (!formatted) {
    const foreign = names.find((name) => !BEFORE_FORMAT.has(name));
    if (foreign !== undefined) {
      return {
        kind: 'not-a-store',
        message: `${path} is not a store, and it is not empty (it has '${foreign}').`,
      };
    }
    if (!create) return { kind: 'not-a-store', message: `${path} is not a store: it is empty.` };
    fs.chmodSync(path, 0o700);
  }
  const lock = takeLock(path);
  if (typeof lock !== 'number') return lock;
  // Another process may have made the store while this one looked around.
  const created = !fs.existsSync(join(path, 'format'));
  const identity = created ? writeFormat(path) : readFormat(path);
  if ('kind' in identity) {
    fs.closeSync(lock);
    return identity;
  }
  const disk = new HostDisk(path);
  makeDirectories(disk, path);
  return { path, disk, identity, created, release: () => fs.closeSync(lock) };
}

/** The descriptor that holds the lock. */
function takeLock(path: string): number | StoreProblem {
  const file = join(path, 'lock');
  const descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  if (flock(descriptor, LOCK_EX | LOCK_NB) === 0) {
    fs.ftruncateSync(descriptor, 0);
    fs.writeSync(descriptor, `${process.pid}\n`, 0);
    return descriptor;
  }
  const pid = Number.parseInt(fs.readFileSync(descriptor, 'utf8'), 10);
  fs.closeSync(descriptor);
  const known = Number.isInteger(pid);
  const who = known ? `process ${pid}` : 'another process';
  return { kind: 'locked', message: `${path} is in use by ${who}.`, ...(known ? { pid } : {}) };
}

function readFormat(path: string): StoreIdentity | StoreProblem {
  const text = fs.readFileSync(join(path, 'format'), 'utf8');
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    content = undefined;
  }
  const { format, uuid, created } = (content ?? {}) as Record<string, unknown>;
  if (typeof format === 'number' && format > STORE_FORMAT) {
    const message = `${path} has format ${format}; this program knows up to ${STORE_FORMAT}: use a newer one.`;
    return { kind: 'newer-format', message };
  }
  if (
    format !== STORE_FORMAT ||
    typeof uuid !== 'string' ||
    !UUID.test(uuid) ||
    typeof created !== 'string'
  ) {
    return { kind: 'damaged', message: `${join(path, 'format')} is damaged.` };
  }
  return { uuid, bytes: uuidBytes(uuid), created };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function uuidBytes(uuid: string): Uint8Array {
  return Uint8Array.from(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
}

function writeFormat(path: string): StoreIdentity {
  const uuid = randomUUID();
  const created = new Date().toISOString();
  const temporary = join(path, 'format.tmp');
  const descriptor = fs.openSync(temporary, 'w', 0o600);
  fs.writeSync(descriptor, `${JSON.stringify({ format: STORE_FORMAT, uuid, created })}\n`);
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
  fs.renameSync(temporary, join(path, 'format'));
  return { uuid, bytes: uuidBytes(uuid), created };
}

/** Also completes a creation that was cut short after `format` had been written. */
function makeDirectories(disk: Disk, path: string): void {
  for (const name of DIRECTORIES) {
    const made = disk.mkdir(name);
    if (made < 0 && made !== -EEXIST)
      throw Object.assign(new Error(`${join(path, name)}: errno ${-made}`), { code: made });
  }
  disk.syncDirectory('.');
}

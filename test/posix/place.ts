/**
 * Where a conformance case runs: a directory of its own, in a mount or on any other filesystem. What is tested of
 * VexFS is tested of the host's filesystem too, so that a wrong case shows.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import * as c from './calls.ts';

/** Neither is root, and no group is shared. */
export const ALICE: c.Who = { uid: 54_001, gid: 54_101 };
export const BOB: c.Who = { uid: 54_002, gid: 54_102 };

export const TYPES = ['regular', 'directory', 'fifo', 'block', 'character', 'socket', 'symlink'] as const;
export type Type = (typeof TYPES)[number];
export const NOT_DIRECTORIES = TYPES.filter((type) => type !== 'directory');
/** Those whose attributes a path leads to. */
export const NOT_SYMLINKS = TYPES.filter((type) => type !== 'symlink');

export const S_IFMT = 0o170000;
export const FORMATS: Readonly<Record<Type, number>> = {
  regular: 0o100000,
  directory: 0o040000,
  fifo: 0o010000,
  block: 0o060000,
  character: 0o020000,
  socket: 0o140000,
  symlink: 0o120000,
};

/** Longer than the ticks by which a kernel may round its timestamps. */
const TICK_MS = 5;

export interface PlaceOptions {
  /** The filesystem is VexFS, mounted; else it is the host's. */
  readonly isVexfs: boolean;
  /** A directory of the same filesystem, mounted read-only, with the file `file` and the directory `directory` in it. */
  readonly readOnly?: string | undefined;
}

export class Place {
  readonly root: string;
  readonly isVexfs: boolean;
  readonly readOnly: string | undefined;
  #names = 0;

  constructor(parent: string, options: PlaceOptions) {
    this.root = mkdtempSync(join(parent, 'posix-'));
    done(c.chmod(this.root, 0o755));
    this.isVexfs = options.isVexfs;
    this.readOnly = options.readOnly;
  }

  /** A path with nothing at it. */
  name(directory = this.root): string {
    return join(directory, `n${this.#names++}`);
  }

  directory(mode = 0o755, owner?: c.Who, parent = this.root): string {
    return this.made('directory', mode, owner, parent);
  }

  file(mode = 0o644, owner?: c.Who, directory = this.root): string {
    return this.made('regular', mode, owner, directory);
  }

  /** A new file of any type with exactly this mode and owner (root's, if none is given). */
  made(type: Type, mode = 0o644, owner?: c.Who, directory = this.root): string {
    const path = this.name(directory);
    make(type, path);
    if (owner !== undefined) done(c.lchown(path, owner.uid, owner.gid));
    if (type !== 'symlink') done(c.chmod(path, mode));
    return path;
  }
}

/** A new file of the type at `path`, with the mode 0644 less the umask (a directory: 0755). */
export function make(type: Type, path: string): void {
  done(tryMake(type, path));
}

/** 0 or −errno. */
export function tryMake(type: Type, path: string): number {
  if (type === 'directory') return c.mkdir(path, 0o755);
  if (type === 'symlink') return c.symlink('target', path);
  if (type === 'regular') {
    const fd = c.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644);
    return fd < 0 ? fd : c.close(fd);
  }
  return c.mknod(path, FORMATS[type] | 0o644, type === 'block' || type === 'character' ? 0x102 : 0);
}

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECT = process.arch === 'arm64' ? 0o200000 : 0o40000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;

/** The call succeeded; its result. */
export function done(result: number): number {
  expect(result, 'errno').toBeGreaterThanOrEqual(0);
  return result;
}

/** The call was refused for one of these reasons. */
export function refused(result: number, ...errnos: readonly number[]): void {
  expect(errnos, `errno of a call that must be refused with ${errnos.join(' or ')}`).toContain(-result);
}

export function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TICK_MS);
}

export function permissions(path: string): number {
  return Number(c.lstat(path).mode & 0o7777n);
}

export function owner(path: string): [number, number] {
  const { uid, gid } = c.lstat(path);
  return [Number(uid), Number(gid)];
}

interface Times {
  readonly atime?: boolean;
  readonly mtime?: boolean;
  readonly ctime?: boolean;
}

/** Runs `what` and expects that exactly these times of the file at `path` have moved on; what is left out is not looked at. */
export function moves(path: string, times: Times, what: () => void): void {
  const before = c.lstat(path);
  pause();
  what();
  const after = c.lstat(path);
  for (const [name, moved] of Object.entries(times)) {
    const key = `${name}Ns` as 'atimeNs' | 'mtimeNs' | 'ctimeNs';
    if (moved) expect(after[key], `${name} moves on`).toBeGreaterThan(before[key]);
    else expect(after[key], `${name} stays`).toBe(before[key]);
  }
}

/** An open descriptor for as long as `use` runs. */
export function withOpen<T>(path: string, flags: number, use: (fd: number) => T): T {
  const fd = done(c.open(path, flags, 0o644));
  try {
    return use(fd);
  } finally {
    c.close(fd);
  }
}

/** What a class of cases exports: titles and functions. */
export type Cases = Readonly<Record<string, (at: Place) => void>>;

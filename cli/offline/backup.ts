/**
 * The copy of a store, mounted or not, as of one instant.
 *
 * 1. Objects are copied while they change: once all, then those that have changed since, until few do.
 * 2. The mount is frozen (actors/main/backup-hold.ts): no request is served, and the log is durable up to L. What has changed
 *    since the last round is copied, and checkpoints and log are opened. Thawed, whoever waited goes on.
 * 3. Checkpoints, log up to L and vector segments are copied from what was opened: they never change, they only grow or go.
 *
 * So the backup holds exactly what a power cut at L would have left, had everything until then been synced. If the freeze
 * ended early (it has a limit, and an actor may die in it), its copies are not trusted and 1 and 2 are done again.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import type { FrozenStore } from '../../actors/main/backup-hold.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import type { StoreIdentity } from '../../runtime/storage/store-format.ts';
import { UserError } from '../../runtime/user-error.ts';
import { type BackupFile, type BackupManifest, writeManifest } from './backup-manifest.ts';
import { checksumOf, FileCopier } from './copy-file.ts';
import type { Progress } from './findings.ts';

/** A round that has copied no more than this is the last before the freeze. */
const FEW_FILES = 16;
const ROUNDS_MAX = 8;
const FREEZES_MAX = 5;
const OPENS_MAX = 10;
/** The host's clock for files may stand still for so long, ms: within it two writes have one time. */
const CLOCK_TICK_MS = 50;
const TOGETHER = ['checkpoint', 'log', 'vectors'];

/** The mount that serves the store. */
export interface LiveStore {
  begin(): Promise<void>;
  /** Also lets the kernel write what it holds back. */
  freeze(): Promise<FrozenStore>;
  /** Whether it was frozen all the time. */
  thaw(): Promise<boolean>;
}

export interface BackupReport {
  readonly files: number;
  readonly bytes: number;
  /** How long requests had to wait, milliseconds; 0 for a store that is not mounted. */
  readonly frozenMs: number;
  readonly manifest: BackupManifest;
}

/** Into `target`, a directory that exists and is empty. */
export async function backUp(
  store: string,
  identity: StoreIdentity,
  target: string,
  live: LiveStore | undefined,
  progress: Progress,
): Promise<BackupReport> {
  const copy = new BackupCopy(store, target, progress);
  await live?.begin();
  let frozenMs = 0;
  for (let attempt = 1; ; attempt++) {
    for (let round = 0; round < ROUNDS_MAX && copy.objects() > FEW_FILES; round++);
    const frozen = await live?.freeze();
    const since = performance.now();
    copy.objects();
    const opened = openAll(store, frozen);
    const whole = live === undefined || (await live.thaw());
    if (live !== undefined) frozenMs = performance.now() - since;
    if (whole) copy.rest(opened);
    closeAll(opened);
    if (whole) break;
    if (attempt === FREEZES_MAX) {
      throw new UserError('files change faster than they can be copied; try again when less is written');
    }
  }
  const config = join(store, 'vexfs.toml');
  if (fs.existsSync(config)) fs.copyFileSync(config, join(target, 'vexfs.toml'));
  new HostDisk(target).syncAll();
  const files = sumAll(target, progress);
  const { uuid, created } = identity;
  const at = new Date().toISOString();
  const manifest = writeManifest(target, { uuid, created, at, source: store, files });
  new HostDisk(target).syncAll();
  const bytes = files.reduce((sum, [, length]) => sum + length, 0);
  return { files: files.length, bytes, frozenMs, manifest };
}

interface Seen {
  readonly modified: bigint;
  readonly size: bigint;
  /** When the copy began, ns since the epoch. */
  readonly copiedAt: bigint;
}

class BackupCopy {
  readonly #store: string;
  readonly #target: string;
  readonly #progress: Progress;
  readonly #copier = new FileCopier();
  readonly #seen = new Map<string, Seen>();

  constructor(store: string, target: string, progress: Progress) {
    this.#store = store;
    this.#target = target;
    this.#progress = progress;
  }

  /** Copies the objects that are not as they were when they were copied last. How many. */
  objects(): number {
    let copied = 0;
    for (const directory of namesIn(join(this.#store, 'objects'))) {
      for (const name of namesIn(join(this.#store, 'objects', directory))) {
        const path = join('objects', directory, name);
        if (!this.#copyIfChanged(path)) continue;
        copied++;
        this.#progress('objects', this.#seen.size, this.#seen.size);
      }
    }
    return copied;
  }

  #copyIfChanged(path: string): boolean {
    const from = join(this.#store, path);
    const status = fs.statSync(from, { bigint: true, throwIfNoEntry: false });
    if (status === undefined) return false;
    const { mtimeNs, size } = status;
    const seen = this.#seen.get(path);
    const isSame = seen?.modified === mtimeNs && seen.size === size;
    // Written within a tick of the copy's beginning, the file may have changed without another time to show for it.
    if (isSame && mtimeNs + BigInt(CLOCK_TICK_MS) * 1_000_000n < seen.copiedAt) return false;
    const copiedAt = BigInt(Date.now()) * 1_000_000n;
    try {
      this.#copier.copy(from, join(this.#target, path));
    } catch (error) {
      // A deletion that was under way when the backup began: it was dropped before the instant.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !fs.existsSync(from)) return false;
      throw error;
    }
    this.#seen.set(path, { modified: mtimeNs, size, copiedAt });
    return true;
  }

  rest(opened: readonly Opened[]): void {
    for (const [at, { path, descriptor, bytes }] of opened.entries()) {
      this.#progress('checkpoints and log', at, opened.length);
      this.#copier.copyOpen(descriptor, join(this.#target, path), bytes);
    }
  }
}

interface Opened {
  readonly path: string;
  readonly descriptor: number;
  readonly bytes: number;
}

/** All of what belongs together; what is deleted meanwhile, because something newer has taken its place, begins it again. */
function openAll(store: string, frozen: FrozenStore | undefined): Opened[] {
  for (let attempt = 1; ; attempt++) {
    const opened: Opened[] = [];
    try {
      for (const path of TOGETHER.flatMap((directory) => filesBelow(store, directory))) {
        const limit = limitOf(path, frozen);
        if (limit === 0) continue;
        const descriptor = fs.openSync(join(store, path), 'r');
        opened.push({ path, descriptor, bytes: Math.min(limit, fs.fstatSync(descriptor).size) });
      }
      return opened;
    } catch (error) {
      closeAll(opened);
      const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!isGone || attempt === OPENS_MAX) throw error;
    }
  }
}

/** Bytes of a file that belong to the instant: the log goes on after it, and graphs are made anew anywhere. */
function limitOf(path: string, frozen: FrozenStore | undefined): number {
  if (path.startsWith('vectors/graph-')) return 0;
  const sequence = Number(/^log\/(\d{8})\.log$/.exec(path)?.[1] ?? Number.NaN);
  if (frozen === undefined || frozen.segment === 0 || Number.isNaN(sequence)) return Number.POSITIVE_INFINITY;
  if (sequence > frozen.segment) return 0;
  return sequence === frozen.segment ? frozen.segmentBytes : Number.POSITIVE_INFINITY;
}

/** Unfinished files, and those that a repair has set aside, are no part of the store. */
function filesBelow(store: string, directory: string): string[] {
  const files: string[] = [];
  for (const name of namesIn(join(store, directory))) {
    const path = join(directory, name);
    if (/\.(tmp|aside(-\d+)?|damaged)$/.test(name)) continue;
    if (fs.statSync(join(store, path)).isDirectory()) files.push(...filesBelow(store, path));
    else files.push(path);
  }
  return files;
}

function closeAll(opened: readonly Opened[]): void {
  for (const { descriptor } of opened) fs.closeSync(descriptor);
}

function namesIn(path: string): string[] {
  return fs.existsSync(path) ? fs.readdirSync(path).sort() : [];
}

function sumAll(target: string, progress: Progress): BackupFile[] {
  const buffer = Buffer.allocUnsafe(4 * MIB);
  const names = [...TOGETHER, 'objects'].flatMap((directory) => filesBelow(target, directory));
  if (fs.existsSync(join(target, 'vexfs.toml'))) names.push('vexfs.toml');
  return names.map((name, at) => {
    progress('checksums', at, names.length);
    const path = join(target, name);
    return [name, fs.statSync(path).size, checksumOf(path, buffer)];
  });
}

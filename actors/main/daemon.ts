/** Mounts a store: checks, brings everything up in order, and takes it down again when a step fails. */
import { existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../fuse/mount/failure.ts';
import { fuseUnavailable } from '../../fuse/mount/mount.ts';
import { type MountOptions, parseMountOptions } from '../../fuse/mount/mount-options.ts';
import { checkMountPoint } from '../../fuse/mount/mount-point.ts';
import { DECLARED } from '../../runtime/config/fields.ts';
import { printJsonSchema } from '../../runtime/config/json-schema.ts';
import { requireConfig } from '../../runtime/config/load.ts';
import { printConfig, SCHEMA_NAME } from '../../runtime/config/print.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { type OpenStore, openStore, type StoreProblem } from '../../runtime/storage/store.ts';
import { STORE_FORMAT } from '../../runtime/storage/store-format.ts';
import { zstdProblem } from '../../runtime/storage/zstd-problem.ts';
import { UserError } from '../../runtime/user-error.ts';
import { requireFeasible } from './feasible.ts';
import { MountedStore } from './mounted-store.ts';
import type { ReloadReport } from './reload.ts';
import type { SupervisorPort } from './supervisor-port.ts';

export interface MountRequest {
  /** Absolute. Created if absent. */
  readonly store: string;
  /** Absolute. */
  readonly directory: string;
  /** As given with -o: "ro,allow_other". */
  readonly options: string[];
  /** Absolute. */
  readonly config?: string;
  /** "section.key=value". */
  readonly set: string[];
  /** The mount can be used. */
  onReady(): void;
  /** Something worth saying, such as a recovery. */
  onNotice(text: string): void;
}

/** How a mount is to end. */
export type StopReason = 'unmount' | 'lazy';

export interface MountHandle {
  /**
   * Unmounts, makes everything durable and ends; `finished` then settles. "unmount" rejects with a UserError naming
   * who holds the mount if it is busy; "lazy" detaches it, and it ends when they let go; "lazy" again takes it from
   * them.
   */
  stop(reason: StopReason): Promise<void>;
  /** Reads the configuration again. @throws {UserError} if it has a mistake; then nothing changes. */
  reload(): Promise<ReloadReport>;
  /** The exit code. */
  readonly finished: Promise<number>;
  /** What may be done to its actors while it runs. */
  readonly supervisor: SupervisorPort;
}

const CONFIG_NAME = 'vexfs.toml';

/** Rejects with a UserError for expected failures; then nothing is left mounted, locked or running. */
export async function runMount(request: MountRequest): Promise<MountHandle> {
  const options = required(parseMountOptions(request.options));
  const missing = fuseUnavailable() ?? (await zstdProblem());
  if (missing !== undefined) throw new UserError(missing);
  const { directory, notice } = required(await checkMountPoint(request.directory, options));
  if (notice !== undefined) request.onNotice(notice);
  const config = loadConfig(request);
  requireFeasible(config);
  requireApart(request.store, directory);
  const store = await openRequested(request.store);
  if (store.upgradedFrom !== undefined) {
    const what = `${store.path} was of format ${store.upgradedFrom} and is of format ${STORE_FORMAT} now`;
    request.onNotice(`${what}: older versions of VexFS cannot mount it any more`);
  }
  try {
    return await serve(request, store, directory, options, config);
  } catch (error) {
    store.release();
    throw error;
  }
}

async function serve(
  request: MountRequest,
  store: OpenStore,
  directory: string,
  options: MountOptions,
  config: Config,
): Promise<MountHandle> {
  requireApart(store.path, directory);
  writeOwnConfig(store);
  const read = (): Config => loadConfig(request);
  const mounted = new MountedStore(store, directory, options, config, request.onNotice, read);
  await mounted.start();
  request.onReady();
  return {
    async stop(reason) {
      await mounted.stop(reason === 'lazy');
    },
    reload: () => mounted.reload(),
    finished: mounted.finished.finally(() => store.release()),
    supervisor: mounted.supervisor,
  };
}

/** Neither may hold the other: the mount would hide its own store. */
function requireApart(store: string, directory: string): void {
  if (`${directory}/`.startsWith(`${store}/`))
    throw new UserError(`the mount point ${directory} lies inside the store ${store}; choose another`);
  if (store.startsWith(`${directory}/`))
    throw new UserError(`the store ${store} lies inside the mount point ${directory}; choose another`);
}

/** A new store gets the commented defaults; every store the description of the file that editors look at. */
function writeOwnConfig({ path, created }: OpenStore): void {
  const file = join(path, CONFIG_NAME);
  if (created && !isThere(file)) writeFileSync(file, printConfig(DECLARED), { mode: 0o600, flag: 'wx' });
  const schema = join(path, SCHEMA_NAME);
  const text = printJsonSchema();
  try {
    if (existsSync(schema) && readFileSync(schema, 'utf8') === text) return;
    // Made anew: what a link of this name leads to is not the store's.
    rmSync(schema, { force: true });
    writeFileSync(schema, text, { mode: 0o600, flag: 'wx' });
  } catch {
    // A full or read-only disk is no reason not to mount: editors do without.
  }
}

/** A link that leads nowhere too. */
function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function loadConfig({ store, config, set }: MountRequest): Config {
  const file = config === undefined ? {} : { file: config };
  return requireConfig({ ...file, fallback: join(store, CONFIG_NAME), environment: process.env, set });
}

async function openRequested(path: string): Promise<OpenStore> {
  const opened = openStore(path, { create: true });
  if ('kind' in opened) throw new UserError(withAdvice(opened));
  return { ...opened, path: await realpath(path) };
}

const ADVICE: Readonly<Partial<Record<StoreProblem['kind'], string>>> = {
  locked:
    'Unmount it first. If that was done with --lazy, it ends when the last program that uses it does ("lsof" names them)',
  'not-a-store': 'Name a store, or a directory that is empty or not there yet',
};

function withAdvice({ kind, message }: StoreProblem): string {
  const advice = ADVICE[kind];
  return advice === undefined ? message : `${message}. ${advice}`;
}

function required<T extends object>(value: T | Failure): T {
  if (value instanceof Failure) throw new UserError(value.message);
  return value;
}

/** Which mount a command is about. */
import { accessSync, constants, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import {
  isVexfs,
  type Mount,
  mountAt,
  mountContaining,
  readMounts,
  type VexfsMount,
} from '../fuse/mount/mountinfo.ts';
import { UserError } from '../runtime/user-error.ts';
import { ControlClient, NotRunning } from './client.ts';

export interface RunningMount {
  /** Absolute. */
  readonly directory: string;
  readonly store: string;
}

export interface Wanted {
  /** Given with --mount or as an argument: it must be (in) a mount. */
  readonly mount?: string | undefined;
  /** A path the command is about; its mount is taken if it is in one. */
  readonly near?: string | undefined;
}

/** @throws {UserError} that lists the mounts there are. */
export function findMount(wanted: Wanted): RunningMount {
  return chooseMount(readMounts(), wanted, currentDirectory());
}

/** {@link findMount} among `mounts`, for a process in the directory `current`. */
export function chooseMount(
  mounts: readonly Mount[],
  wanted: Wanted,
  current: string | undefined,
): RunningMount {
  const all = mounts.filter(isVexfs);
  // Of other users' mounts nothing can be asked: they are meant only if named, or if there are no others.
  const mine = all.filter(({ store }) => mayTalkTo(store));
  const ours = mine.length > 0 ? mine : all;
  if (ours.length === 0) throw new UserError('no VexFS is mounted; "vexfs mount STORE DIR" mounts one');
  const names = ours.map((mount) => mount.mountPoint).join(', ');
  const containing = (path: string | undefined): RunningMount | undefined => {
    // The mount point itself need not be touched, which would hang where every fuse actor is paused.
    const exact = path === undefined ? undefined : mountAt(mounts, resolve(path));
    const mount = path === undefined ? undefined : (exact ?? mountContaining(mounts, canonical(path)));
    return mount !== undefined && isVexfs(mount) ? running(mount) : undefined;
  };
  if (wanted.mount !== undefined) {
    const found = containing(wanted.mount);
    if (found === undefined)
      throw new UserError(`${wanted.mount} is not in a VexFS mount; mounted: ${names}`);
    return found;
  }
  const found = containing(wanted.near) ?? containing(current);
  if (found !== undefined) return found;
  if (ours.length === 1) return running(ours[0]!);
  const below = ours.filter(({ mountPoint }) => current !== undefined && isBelow(current, mountPoint));
  if (below.length === 1) return running(below[0]!);
  throw new UserError(`several VexFS are mounted (${names}); name the directory of one, or go into it`);
}

function mayTalkTo(store: string): boolean {
  try {
    accessSync(store, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function running(mount: VexfsMount): RunningMount {
  return { directory: mount.mountPoint, store: mount.store };
}

function isBelow(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

function currentDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/** Without symbolic links. A mount whose process is dead cannot be looked at, only its parent can. */
function canonical(path: string): string {
  const absolute = resolve(path);
  for (const [known, rest] of [
    [absolute, ''],
    [dirname(absolute), relative(dirname(absolute), absolute)],
  ] as const) {
    try {
      return join(realpathSync(known), rest);
    } catch {
      // Try the parent, then take the path as it is.
    }
  }
  return absolute;
}

/**
 * `path` (of this machine, or relative to the mount) as an absolute path within the filesystem.
 * @throws {UserError} if it does not exist or is elsewhere.
 */
export function pathInMount(mount: RunningMount, path: string): string {
  let exists = false;
  for (const candidate of [resolve(path), join(mount.directory, path)]) {
    let real: string;
    try {
      real = realpathSync(candidate);
    } catch {
      continue;
    }
    exists = true;
    if (isBelow(mount.directory, real)) return `/${relative(mount.directory, real)}`;
  }
  throw new UserError(exists ? `${path} is not in the mount ${mount.directory}` : `${path} does not exist`);
}

/** As {@link pathInMount}, of a directory that is made if it does not exist. @throws {UserError} */
export function directoryInMount(mount: RunningMount, path: string): string {
  const candidates = isAbsolute(path) ? [path] : [resolve(path), join(mount.directory, path)];
  if (!candidates.some((candidate) => existsSync(candidate))) {
    const inside = candidates.find((candidate) => isBelow(mount.directory, nearestThereIs(candidate)));
    if (inside === undefined) throw new UserError(`${path} is not in the mount ${mount.directory}`);
    mkdirSync(inside, { recursive: true });
  }
  return pathInMount(mount, path);
}

/** Without symbolic links. */
function nearestThereIs(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return nearestThereIs(dirname(path));
  }
}

/** Runs `use` with a connection to the process that serves `mount`. */
export async function withMount<T>(
  mount: RunningMount,
  use: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const client = await ControlClient.connect(mount.store).catch((error: unknown) => {
    if (!(error instanceof NotRunning)) throw error;
    const { store, directory } = mount;
    throw new UserError(
      `the process that served ${directory} has ended; "vexfs mount ${store} ${directory}" recovers the store and mounts it again`,
    );
  });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

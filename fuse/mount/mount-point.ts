/** Whether a directory can be mounted on; and what to say when it cannot. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EBUSY, EIO, ENOENT, ENOTCONN, ENOTDIR, ENOTEMPTY, ETIMEDOUT } from '../../runtime/errno.ts';
import { Failure } from './failure.ts';
import { isFuse, isVexfs, mountAt, readMounts } from './mountinfo.ts';
import { unmount } from './unmount.ts';

/** How long a mounted filesystem may take to answer before it counts as hung. */
const PROBE_MS = 5000;

export interface MountPoint {
  /** Absolute, without symlinks. */
  readonly directory: string;
  /** Something the user should know: a dead mount was detached. */
  readonly notice: string | undefined;
}

/** Checks `path` as a mount point, and detaches what a VexFS that was killed has left mounted on it. */
export async function checkMountPoint(
  path: string,
  options: { readonly nonempty: boolean },
): Promise<MountPoint | Failure> {
  const located = locate(path);
  if (located instanceof Failure) return located;
  let notice: string | undefined;
  for (;;) {
    const mounted = mountAt(readMounts(), located);
    if (mounted === undefined || !isFuse(mounted)) break;
    const state = await probe(located);
    if (state === 'hung') {
      return new Failure(
        -ETIMEDOUT,
        `${located} has ${mounted.source} mounted, which does not answer; unmount it first: vexfs umount --lazy ${located}`,
      );
    }
    if (state === 'alive') {
      return new Failure(-EBUSY, `${located} already has ${mounted.source} mounted on it`);
    }
    if (!isVexfs(mounted)) {
      return new Failure(
        -ENOTCONN,
        `${located} is a dead mount of ${mounted.source} (${mounted.type}); unmount it first: fusermount3 -u ${located}`,
      );
    }
    const failure = unmount(located, { lazy: true });
    if (failure !== undefined) {
      return new Failure(
        failure.errno,
        `${located} is a dead mount and cannot be detached: ${failure.message}`,
      );
    }
    notice = `detached a dead mount of ${mounted.store} from ${located}`;
  }
  return inspect(located, options.nonempty, notice);
}

/**
 * `path` as an absolute path without symlinks. The last component is not touched when something is mounted on it:
 * that may be dead or hung.
 */
export function locate(path: string): string | Failure {
  const absolute = resolve(path);
  try {
    const parent = absolute === '/' ? '/' : realpathSync(dirname(absolute));
    const located = join(parent, basename(absolute));
    if (mountAt(readMounts(), located) !== undefined) return located;
    return realpathSync(located);
  } catch (error) {
    return describe(absolute, error);
  }
}

function inspect(directory: string, nonempty: boolean, notice: string | undefined): MountPoint | Failure {
  try {
    if (!statSync(directory).isDirectory()) {
      return new Failure(-ENOTDIR, `the mount point ${directory} is not a directory`);
    }
    if (!nonempty && readdirSync(directory).length > 0) {
      return new Failure(
        -ENOTEMPTY,
        `the mount point ${directory} is not empty; choose an empty directory, or hide its contents with -o nonempty`,
      );
    }
  } catch (error) {
    return describe(directory, error);
  }
  return { directory, notice };
}

function describe(path: string, error: unknown): Failure {
  const { code, errno } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') {
    return new Failure(-ENOENT, `the mount point ${path} does not exist; make it first: mkdir -p ${path}`);
  }
  if (code === 'ENOTDIR') {
    return new Failure(-ENOTDIR, `the mount point ${path} leads through something that is not a directory`);
  }
  if (code === 'EACCES') return new Failure(errno!, `the mount point ${path} may not be read by this user`);
  return new Failure(errno ?? -EIO, `the mount point ${path} cannot be used: ${code ?? String(error)}`);
}

/**
 * statfs(2), which the kernel never answers from a cache, in the thread pool, so that a hung mount costs a pool thread
 * and not this one.
 */
async function probe(directory: string): Promise<'alive' | 'dead' | 'hung'> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'hung'>((done) => {
    timer = setTimeout(done, PROBE_MS, 'hung');
  });
  const answer = statfs(directory).then(
    () => 'alive' as const,
    (error: NodeJS.ErrnoException) => (error.code === 'ENOTCONN' ? ('dead' as const) : ('alive' as const)),
  );
  const state = await Promise.race([answer, timeout]);
  clearTimeout(timer);
  return state;
}

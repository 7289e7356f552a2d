/** Unmounting: umount2(2) as root, fusermount3 as an ordinary user. */
import { spawnSync } from 'node:child_process';
import { EBUSY, EINVAL, EIO, ENOENT, EPERM, ETIMEDOUT } from '../../runtime/errno.ts';
import { MNT_DETACH, umount2 } from '../../runtime/system/libc.ts';
import { Failure } from './failure.ts';
import { holdersOf } from './holders.ts';
import { mountAt, mountsBelow, readMounts } from './mountinfo.ts';

/** fusermount3 does no I/O on the mount except the kernel's own flush of cached writes. */
const HELPER_TIMEOUT_MS = 60_000;
const HOLDERS_LISTED = 8;

/**
 * Unmounts what is visible at `directory` (absolute, without symlinks). Undefined = done. Not lazy: cached writes are
 * flushed first, so another thread or process must be serving; fails with EBUSY, naming the holders, while files are
 * open. Lazy: detached from the tree at once, and gone when its last file is closed.
 */
export function unmount(directory: string, options: { readonly lazy: boolean }): Failure | undefined {
  if (mountAt(readMounts(), directory) === undefined) {
    return new Failure(-EINVAL, `nothing is mounted at ${directory}`);
  }
  const error =
    process.geteuid!() === 0
      ? unmountAsRoot(directory, options.lazy)
      : unmountAsUser(directory, options.lazy);
  if (error === undefined) return undefined;
  return error.errno === -EBUSY ? new Failure(-EBUSY, describeBusy(directory)) : error;
}

function unmountAsRoot(directory: string, lazy: boolean): Failure | undefined {
  const error = umount2(directory, lazy ? MNT_DETACH : 0);
  if (error === 0) return undefined;
  if (error === -EPERM)
    return new Failure(error, `this container may not unmount ${directory}: it lacks CAP_SYS_ADMIN`);
  return new Failure(error, `unmounting ${directory} failed with errno ${-error}`);
}

function unmountAsUser(directory: string, lazy: boolean): Failure | undefined {
  const argv = lazy ? ['-u', '-z', '--', directory] : ['-u', '--', directory];
  const helper = spawnSync('fusermount3', argv, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    timeout: HELPER_TIMEOUT_MS,
  });
  if (helper.status === 0) return undefined;
  const { code } = (helper.error ?? {}) as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new Failure(-ENOENT, FUSERMOUNT_MISSING);
  if (code === 'ETIMEDOUT')
    return new Failure(-ETIMEDOUT, `${directory} does not answer; unmount it with --lazy`);
  const text = helper.stderr.trim();
  const errno = /busy/i.test(text) ? -EBUSY : -EIO;
  return new Failure(errno, text || `fusermount3 failed to unmount ${directory}`);
}

export const FUSERMOUNT_MISSING =
  'an ordinary user needs the program fusermount3: install the package fuse3, or run as root';

function describeBusy(directory: string): string {
  const below = mountsBelow(readMounts(), directory).map(({ mountPoint }) => mountPoint);
  if (below.length > 0) {
    return `${directory} is in use: ${below.join(', ')} ${below.length === 1 ? 'is' : 'are'} mounted in it; unmount that first`;
  }
  const holders = holdersOf(directory);
  if (holders.length === 0) {
    return `${directory} is in use by a process that this user cannot see, or through another view of it (a bind mount, a container, a loop device); unmount it with --lazy to detach it anyway`;
  }
  const listed = holders.slice(0, HOLDERS_LISTED).map(({ pid, command }) => `${pid} (${command})`);
  const more = holders.length > listed.length ? ` and ${holders.length - listed.length} more` : '';
  return `${directory} is in use by ${listed.join(', ')}${more}; end them, or unmount with --lazy`;
}

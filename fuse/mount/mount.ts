/** Mounting without a native addon: mount(2) as root, fusermount3 (package fuse3) as an ordinary user. */
import { spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { FUSE_MAX_WRITE } from '../../runtime/config/bounds.ts';
import { EACCES, EIO, ENODEV, ENOENT, ENXIO, EPERM, ETIMEDOUT } from '../../runtime/errno.ts';
import { hasSysAdmin } from '../../runtime/system/capabilities.ts';
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  mount as mountCall,
  receiveDescriptor,
  setNonBlocking,
  socketpair,
} from '../../runtime/system/libc.ts';
import { Failure } from './failure.ts';
import type { MountOptions } from './mount-options.ts';
import { mountAt, readMounts, SUBTYPE } from './mountinfo.ts';
import { cannotNote, note } from './named-mounts.ts';
import { FUSERMOUNT_MISSING, unmount } from './unmount.ts';

const DEVICE = '/dev/fuse';
const NEEDS_SYS_ADMIN =
  'start the container with --cap-add SYS_ADMIN (and, under AppArmor, --security-opt apparmor=unconfined)';
const HELPER_TIMEOUT_MS = 20_000;

/**
 * Mounts on `directory` (absolute, checked with checkMountPoint). Returns /dev/fuse of the new connection,
 * non-blocking and close-on-exec; the kernel's INIT waits on it. `store` is its absolute path,
 * shown as the source unless another name was chosen.
 */
export function mount(
  directory: string,
  store: string,
  options: MountOptions,
): { readonly fd: number } | Failure {
  const isNamed = options.fsname !== undefined || options.subtype !== undefined;
  const obstacle = isNamed ? cannotNote() : undefined;
  if (obstacle !== undefined) return new Failure(-EACCES, obstacle);
  const source = options.fsname ?? store;
  const mounted =
    process.geteuid!() === 0
      ? mountAsRoot(directory, source, options)
      : mountAsUser(directory, source, options);
  if (mounted instanceof Failure || !isNamed) return mounted;
  const mounts = readMounts();
  const failed = note(mountAt(mounts, directory)!, store, mounts);
  if (failed === undefined) return mounted;
  unmount(directory, { lazy: true });
  closeSync(mounted.fd);
  return failed;
}

/** Why FUSE cannot be used here at all, in one sentence; undefined = nothing is known to be missing. */
export function fuseUnavailable(): string | undefined {
  if (process.geteuid!() !== 0) {
    try {
      // fusermount3 opens the device with the caller's own rights.
      accessSync(DEVICE, constants.R_OK | constants.W_OK);
    } catch (error) {
      return describeDevice((error as NodeJS.ErrnoException).errno ?? -EIO).message;
    }
    const helper = spawnSync('fusermount3', ['--version'], { stdio: 'ignore', timeout: HELPER_TIMEOUT_MS });
    return helper.status === 0 ? undefined : FUSERMOUNT_MISSING;
  }
  const fd = openDevice();
  if (fd instanceof Failure) return fd.message;
  closeSync(fd);
  return hasSysAdmin() ? undefined : `mounting is not permitted here: ${NEEDS_SYS_ADMIN}`;
}

function openDevice(): number | Failure {
  try {
    return openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    return describeDevice((error as NodeJS.ErrnoException).errno ?? -EIO);
  }
}

function describeDevice(errno: number): Failure {
  if (errno === -ENOENT) {
    return new Failure(
      errno,
      `${DEVICE} is missing: load the kernel module with "modprobe fuse", or start the container with --device ${DEVICE} --cap-add SYS_ADMIN`,
    );
  }
  if (errno === -ENODEV || errno === -ENXIO) {
    return new Failure(errno, `the kernel has no FUSE: load its module with "modprobe fuse"`);
  }
  if (errno === -EACCES || errno === -EPERM) {
    const remedy =
      process.geteuid!() === 0
        ? `start the container with --device ${DEVICE} --cap-add SYS_ADMIN`
        : `as root run "chmod 666 ${DEVICE}", or mount as root`;
    return new Failure(errno, `${DEVICE} may not be opened by this user: ${remedy}`);
  }
  return new Failure(errno, `opening ${DEVICE} failed with errno ${-errno}`);
}

function mountAsRoot(
  directory: string,
  source: string,
  options: MountOptions,
): { readonly fd: number } | Failure {
  const fd = openDevice();
  if (fd instanceof Failure) return fd;
  const data = [
    `fd=${fd}`,
    'rootmode=40000',
    `user_id=${process.geteuid!()}`,
    `group_id=${process.getegid!()}`,
    `max_read=${FUSE_MAX_WRITE}`,
    'default_permissions',
  ];
  if (isOpenToOthers(options, true)) data.push('allow_other');
  const type = `fuse.${options.subtype ?? SUBTYPE}`;
  const error = mountCall(source, directory, type, mountFlags(options), data.join(','));
  if (error === 0) return { fd };
  closeSync(fd);
  if (error === -EPERM || error === -EACCES) {
    return new Failure(error, `mounting on ${directory} is not permitted: ${NEEDS_SYS_ADMIN}`);
  }
  if (error === -ENODEV) return describeDevice(error);
  return new Failure(error, `mounting on ${directory} failed with errno ${-error}`);
}

function mountFlags(options: MountOptions): number {
  let flags = 0;
  if (options.readOnly) flags |= MS_RDONLY;
  if (!options.suid) flags |= MS_NOSUID;
  if (!options.dev) flags |= MS_NODEV;
  if (!options.exec) flags |= MS_NOEXEC;
  if (options.noatime) flags |= MS_NOATIME;
  return flags;
}

/** allow_root is the kernel's allow_other with a check in the server, which sees every request's uid. */
function isOpenToOthers(options: MountOptions, byDefault: boolean): boolean {
  return options.allowRoot || (options.allowOther ?? byDefault);
}

/**
 * fusermount3 (set-uid root) opens /dev/fuse, mounts, and sends the descriptor back over the socket whose number is in
 * _FUSE_COMMFD.
 */
function mountAsUser(
  directory: string,
  source: string,
  options: MountOptions,
): { readonly fd: number } | Failure {
  const pair = socketpair();
  if (typeof pair === 'number') return new Failure(pair, `making a socket pair failed with errno ${-pair}`);
  const [ours, helpers] = pair;
  try {
    const helper = spawnSync('fusermount3', ['-o', helperOptions(source, options), '--', directory], {
      stdio: ['ignore', 'ignore', 'pipe', helpers],
      encoding: 'utf8',
      env: { ...process.env, _FUSE_COMMFD: '3', LC_ALL: 'C' },
      timeout: HELPER_TIMEOUT_MS,
    });
    closeSync(helpers);
    if (helper.status !== 0) return describeHelper(helper.error, helper.stderr);
    const fd = receiveDescriptor(ours);
    if (fd < 0) return new Failure(fd, `fusermount3 sent no descriptor (errno ${-fd})`);
    setNonBlocking(fd);
    return { fd };
  } finally {
    closeSync(ours);
  }
}

function helperOptions(source: string, options: MountOptions): string {
  const list = [
    options.readOnly ? 'ro' : 'rw',
    options.suid ? 'suid' : 'nosuid',
    options.dev ? 'dev' : 'nodev',
    `fsname=${escapeOption(source)}`,
    `subtype=${options.subtype ?? SUBTYPE}`,
    `max_read=${FUSE_MAX_WRITE}`,
    'default_permissions',
  ];
  if (!options.exec) list.push('noexec');
  if (options.noatime) list.push('noatime');
  if (isOpenToOthers(options, false)) list.push('allow_other');
  return list.join(',');
}

/** As fusermount3 reads a value: a backslash takes the character after it as it is. */
function escapeOption(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}

function describeHelper(error: Error | undefined, stderr: string | null): Failure {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new Failure(-ENOENT, FUSERMOUNT_MISSING);
  if (code === 'ETIMEDOUT') return new Failure(-ETIMEDOUT, 'fusermount3 does not return');
  const text = (stderr ?? '').trim();
  if (/not found|no such (file|device)/i.test(text) && text.includes(DEVICE)) return describeDevice(-ENOENT);
  if (/permission denied|not permitted/i.test(text) && text.includes(DEVICE)) return describeDevice(-EACCES);
  return new Failure(-EPERM, text || 'fusermount3 failed without saying why');
}

/**
 * Root only: lets the kernel read ahead `kib` KiB on the filesystem at `directory`, where 128 is the default and INIT
 * can only lower it. Best effort: without it sequential reads are merely smaller.
 */
export function raiseReadAhead(directory: string, kib: number): void {
  const mounted = mountAt(readMounts(), directory);
  if (mounted === undefined) return;
  try {
    writeFileSync(`/sys/class/bdi/${mounted.device}/read_ahead_kb`, String(kib));
  } catch {
    // Not root, or /sys is read-only here.
  }
}

/** Whether FUSE over io_uring can be had here, and what is missing if not. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { KIB } from '../../runtime/config/bounds.ts';
import { ENOMEM, ENOSYS, EPERM } from '../../runtime/errno.ts';
import { addressOf, IoUring, ioUringBytes } from '../../runtime/system/io-uring.ts';
import { close } from '../../runtime/system/libc.ts';

const PARAMETER = '/sys/module/fuse/parameters/enable_uring';
const DISABLED = '/proc/sys/kernel/io_uring_disabled';
const REQUEST_TIMEOUT = '/proc/sys/fs/fuse/default_request_timeout';

/** Half a sentence with what is missing, and what can be done about it. */
export interface Obstacle {
  readonly why: string;
  readonly advice?: string;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}

/** Root switches the kernel's parameter on, for all mounts from now on. Whether it is on. */
export function enableUring(): boolean {
  try {
    if (read(PARAMETER) === 'N') writeFileSync(PARAMETER, 'Y');
  } catch {
    // Not root, or /sys is read-only; what stands there decides.
  }
  return read(PARAMETER) === 'Y';
}

/**
 * Undefined: a mount may ask the kernel for it.
 *
 * @param rings how many threads are to have a ring at the same time. @param entries of each, a power of two
 */
export function uringObstacle(rings = 1, entries = 8): Obstacle | undefined {
  if (!existsSync(PARAMETER)) {
    return existsSync('/sys/module/fuse')
      ? {
          why: 'this kernel has no FUSE over io_uring',
          advice: 'Linux 6.14 or newer, built with FUSE_IO_URING, has it',
        }
      : { why: 'the fuse module is not loaded', advice: 'run "modprobe fuse" as root' };
  }
  if (read(PARAMETER) !== 'Y') {
    const advice = `run "echo Y > ${PARAMETER}" as root, or let a mount by root do it with fuse.enable_uring = true`;
    return { why: 'it is switched off in the kernel', advice };
  }
  // Kernels up to 6.18 look at requests of entries that have none when they look for late ones.
  if (!['', '0'].includes(read(REQUEST_TIMEOUT)))
    return {
      why: 'fs.fuse.default_request_timeout is set',
      advice: `run "echo 0 > ${REQUEST_TIMEOUT}" as root`,
    };
  const opened = tryRings(rings, entries);
  if (opened >= 0) return undefined;
  const disabled = read(DISABLED);
  if (opened === -EPERM && disabled !== '0' && disabled !== '')
    return { why: `kernel.io_uring_disabled is ${disabled}`, advice: `run "echo 0 > ${DISABLED}" as root` };
  if (opened === -EPERM || opened === -ENOSYS)
    return {
      why: 'this process may not use io_uring',
      advice: 'allow io_uring_setup in the container’s seccomp profile',
    };
  if (opened === -ENOMEM)
    return {
      why: 'the limit of locked memory is too low for io_uring',
      advice: 'raise "ulimit -l", or use the classic channel',
    };
  return { why: `io_uring_setup fails with errno ${-opened}`, advice: 'use the classic channel' };
}

/** All at the same time, because they share the user's limit of locked memory. 0 or −errno. */
function tryRings(count: number, entries: number): number {
  const opened: IoUring[] = [];
  let result = 0;
  while (opened.length < count && result === 0) {
    const ring = IoUring.open(...placeFor(entries), entries);
    if (typeof ring === 'number') result = ring;
    else opened.push(ring);
  }
  for (const ring of opened) close(ring.fd);
  return result;
}

function placeFor(entries: number): [ArrayBuffer, number] {
  const page = 4 * KIB;
  const memory = new ArrayBuffer(ioUringBytes(entries) + page);
  return [memory, Number((BigInt(page) - (addressOf(memory) % BigInt(page))) % BigInt(page))];
}

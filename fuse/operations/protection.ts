/**
 * What the flags of chattr(1) forbid of one inode: its bytes, attributes and extended attributes. (Its names are the
 * namespace's own to refuse, fuse/namespace/inode-flags.ts.) The kernel's FUSE client does not know the flags, so what ext4
 * refuses when a file is opened is refused here when it is written, and when it is opened only where we hear of that.
 */
import { EPERM } from '../../runtime/errno.ts';
import { APPEND_ONLY, IMMUTABLE } from '../namespace/inode-flags.ts';
import {
  FATTR_ATIME_NOW,
  FATTR_CTIME,
  FATTR_FH,
  FATTR_LOCKOWNER,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
} from '../protocol/abi.ts';
import type { Context } from './context.ts';

const CLOSED = IMMUTABLE | APPEND_ONLY;
const BOTH_NOW = FATTR_ATIME_NOW | FATTR_MTIME_NOW;
/** What the kernel sends by itself when it owns the times: those of writes that were made before. */
const FLUSHED_TIMES = FATTR_MTIME | FATTR_CTIME;
const O_ACCMODE = 3;
const O_RDONLY = 0;
const O_APPEND = 0o2000;

/** The flags that matter here; 0 also where the inode is gone, which whoever goes on will find. */
function closedBy(context: Context, ino: number): number {
  const flags = context.namespace.flags(ino);
  return flags < 0 ? 0 : flags & CLOSED;
}

/** Whether anything but its entries, if it is a directory, may change: 0 or −EPERM. */
export function refuseChange(context: Context, ino: number): number {
  return closedBy(context, ino) === 0 ? 0 : -EPERM;
}

/** open(2) with these flags: 0 or −EPERM, as of other filesystems. O_TRUNC comes as a SETATTR. */
export function refuseOpen(context: Context, ino: number, opened: number): number {
  const flags = closedBy(context, ino);
  if (flags === 0 || (opened & O_ACCMODE) === O_RDONLY) return 0;
  return (opened & O_APPEND) !== 0 && (flags & IMMUTABLE) === 0 ? 0 : -EPERM;
}

/**
 * Whether `length` bytes may be written at `position`: 0 or −EPERM. `opened` are the flags of open(2). Of pages that the
 * kernel writes back (`isCached`) it is not known what in them is new: they must not end within the file.
 */
export function refuseWrite(
  context: Context,
  ino: number,
  position: number,
  length: number,
  opened: number,
  isCached: boolean,
): number {
  const flags = closedBy(context, ino);
  if (flags === 0) return 0;
  if ((flags & IMMUTABLE) !== 0) return -EPERM;
  const size = context.content.size(ino);
  const isAppended = isCached ? position + length >= size : (opened & O_APPEND) !== 0 && position >= size;
  return isAppended ? 0 : -EPERM;
}

/** SETATTR with these FATTR bits: 0 or −EPERM. As notify_change() of the kernel has it for other filesystems. */
export function refuseSetattr(context: Context, ino: number, valid: number): number {
  const flags = closedBy(context, ino);
  if (flags === 0) return 0;
  const changed = valid & ~(FATTR_FH | FATTR_LOCKOWNER);
  if (changed === FLUSHED_TIMES) return 0;
  const isTouch = (changed & BOTH_NOW) === BOTH_NOW && (changed & FATTR_SIZE) === 0;
  return isTouch && (flags & IMMUTABLE) === 0 ? 0 : -EPERM;
}

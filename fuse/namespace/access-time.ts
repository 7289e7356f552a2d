/**
 * When something was last read, as the mount option relatime of Linux has it: the time is kept when it says something new,
 * that is after each change, and once a day. Contract and locking: tables.ts.
 */
import { flagsOf, NO_ACCESS_TIME } from './inode-flags.ts';
import { I_ATIME, I_ATIME_NS, I_CTIME, I_CTIME_NS, I_MTIME, I_MTIME_NS, INODE_WORDS } from './layout.ts';
import type { Tables } from './tables.ts';

const DAY_SECONDS = 86_400;

/** Whether the access time is to become `seconds` (since the epoch) when the inode is read. A guess for readers without a lock. */
export function isAccessTimeDue(t: Tables, ino: number, seconds: number): boolean {
  const at = ino * INODE_WORDS;
  const accessed = t.inodeF64[(at + I_ATIME) / 2]!;
  const accessedNs = t.inode[at + I_ATIME_NS]!;
  const isOld =
    seconds - accessed >= DAY_SECONDS ||
    !isAfter(accessed, accessedNs, t.inodeF64[(at + I_MTIME) / 2]!, t.inode[at + I_MTIME_NS]!) ||
    !isAfter(accessed, accessedNs, t.inodeF64[(at + I_CTIME) / 2]!, t.inode[at + I_CTIME_NS]!);
  return isOld && (flagsOf(t, ino) & NO_ACCESS_TIME) === 0;
}

function isAfter(seconds: number, nanoseconds: number, than: number, thanNs: number): boolean {
  return seconds > than || (seconds === than && nanoseconds > thanNs);
}

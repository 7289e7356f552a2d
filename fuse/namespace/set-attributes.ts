/** The mutations of mode, owner and times. The rules of mutations.ts. */
import { ESTALE } from '../../runtime/errno.ts';
import { followMode } from './access-lists.ts';
import {
  type AttrChanges,
  KILL_SUIDGID,
  SET_ATIME,
  SET_CTIME,
  SET_GID,
  SET_MODE,
  SET_MTIME,
  SET_UID,
} from './changes.ts';
import * as inodes from './inodes.ts';
import {
  I_ATIME,
  I_ATIME_NS,
  I_CTIME,
  I_CTIME_NS,
  I_GID,
  I_MODE,
  I_MTIME,
  I_MTIME_NS,
  I_UID,
  INODE_WORDS,
  S_IFMT,
} from './layout.ts';
import { killPrivileges } from './privileges.ts';
import type { Tables } from './tables.ts';

export function setattr(t: Tables, ino: number, changes: AttrChanges): number {
  if (!inodes.isLive(t, ino)) return -ESTALE;
  const at = ino * INODE_WORDS;
  const valid = changes.valid;

  t.sequence.writeBegin();
  if ((valid & SET_MODE) !== 0) {
    t.inode[at + I_MODE] = (t.inode[at + I_MODE]! & S_IFMT) | (changes.mode & 0o7777);
    followMode(t, ino);
  }
  if ((valid & SET_UID) !== 0) t.inode[at + I_UID] = changes.uid;
  if ((valid & SET_GID) !== 0) t.inode[at + I_GID] = changes.gid;
  if ((valid & KILL_SUIDGID) !== 0) killPrivileges(t, ino);
  inodes.touch(t, ino);
  if ((valid & SET_ATIME) !== 0) setTime(t, at, I_ATIME, I_ATIME_NS, changes.atime, changes.atimeNs);
  if ((valid & SET_MTIME) !== 0) setTime(t, at, I_MTIME, I_MTIME_NS, changes.mtime, changes.mtimeNs);
  if ((valid & SET_CTIME) !== 0) setTime(t, at, I_CTIME, I_CTIME_NS, changes.ctime, changes.ctimeNs);
  t.sequence.writeEnd();
  return 0;
}

function setTime(
  t: Tables,
  at: number,
  secondsWord: number,
  nanosecondsWord: number,
  seconds: number,
  nanoseconds: number,
): void {
  t.inodeF64[(at + secondsWord) / 2] = seconds;
  t.inode[at + nanosecondsWord] = nanoseconds;
}

/**
 * The flags of chattr(1) in word I_FLAGS of an inode, with the bits of FS_IOC_GETFLAGS (include/uapi/linux/fs.h), and two
 * of our own above them. The kernel's FUSE client knows nothing of them, so whoever changes something asks here first: for
 * names the mutations, for what one inode has the operations. Contract and locking: tables.ts.
 */
import { EOPNOTSUPP, EPERM, ESTALE } from '../../runtime/errno.ts';
import * as inodes from './inodes.ts';
import { I_FLAGS, INODE_WORDS, S_IFDIR, S_IFMT, S_IFREG } from './layout.ts';
import type { Tables } from './tables.ts';

/** Nothing of it changes: not its bytes, names, attributes; of a directory, not its entries. */
export const IMMUTABLE = 0x10;
/** It only grows: a file by writes at its end, a directory by new entries. */
export const APPEND_ONLY = 0x20;
/** For dump(8): kept, and without effect. */
export const NO_DUMP = 0x40;
/** Reading leaves the access time as it is. */
export const NO_ACCESS_TIME = 0x80;
/** What chattr(1) may set. */
export const USER_FLAGS = IMMUTABLE | APPEND_ONLY | NO_DUMP | NO_ACCESS_TIME;
/** It has no name yet and may be given one: made by O_TMPFILE without O_EXCL. */
export const LINKABLE = 0x4000_0000;
/** The length and the time of its object are those of the file (passed.ts). */
export const OWN_LENGTH = 0x2000_0000;
export const ALL_FLAGS = USER_FLAGS | LINKABLE | OWN_LENGTH;

/** May be called by readers. */
export function flagsOf(t: Tables, ino: number): number {
  return t.inode[ino * INODE_WORDS + I_FLAGS]!;
}

/** −EPERM if the inode has one of these flags, else 0. */
export function refusal(t: Tables, ino: number, flags: number): number {
  return (flagsOf(t, ino) & flags) === 0 ? 0 : -EPERM;
}

/** Sets what chattr(1) may set, and nothing else. EOPNOTSUPP for other flags, and for what is no file or directory. */
export function setFlags(t: Tables, ino: number, flags: number): number {
  if (!inodes.isLive(t, ino)) return -ESTALE;
  const type = inodes.modeOf(t, ino) & S_IFMT;
  if ((flags & ~USER_FLAGS) !== 0 || (type !== S_IFREG && type !== S_IFDIR)) return -EOPNOTSUPP;
  const at = ino * INODE_WORDS + I_FLAGS;

  t.sequence.writeBegin();
  t.inode[at] = (t.inode[at]! & ~USER_FLAGS) | flags;
  inodes.touch(t, ino);
  t.sequence.writeEnd();
  return 0;
}

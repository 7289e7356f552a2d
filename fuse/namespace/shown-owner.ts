/**
 * The mount options uid=, gid= and umask=: whose the files appear to be and what may be done with them, whatever is stored.
 * The kernel checks permissions by what it is shown, so whoever else checks them asks here, too.
 */
import { I_GID, I_MODE, I_UID, INODE_WORDS, S_IFMT } from './layout.ts';
import type { Tables } from './tables.ts';

/** What is undefined is shown as it is stored. */
export interface ShownOwner {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Permission bits that nobody has; all others everybody has as far as the umask goes. */
  readonly umask?: number | undefined;
}

export const AS_STORED: ShownOwner = {};

export function shownUid(t: Tables, ino: number): number {
  return t.shown.uid ?? t.inode[ino * INODE_WORDS + I_UID]!;
}

export function shownGid(t: Tables, ino: number): number {
  return t.shown.gid ?? t.inode[ino * INODE_WORDS + I_GID]!;
}

export function shownMode(t: Tables, ino: number): number {
  const mode = t.inode[ino * INODE_WORDS + I_MODE]!;
  const { umask } = t.shown;
  return umask === undefined ? mode : (mode & S_IFMT) | (0o777 & ~umask);
}

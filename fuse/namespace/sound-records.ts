/**
 * What can be believed of records that may say anything: for tree-check.ts, which describes damaged tables, and tree-copy.ts,
 * which takes what is sound out of them. Every index is checked before it is followed.
 */
import { namesBlock } from '../../runtime/memory/slab-rebuild.ts';
import { nameBytes, nameLength, nameOffset } from './dentries.ts';
import { parentOf } from './directories.ts';
import { isLive } from './inodes.ts';
import {
  D_NAME,
  D_NAME_LENGTH,
  DENTRY_WORDS,
  NAME_INLINE,
  ROOT,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from './layout.ts';
import { checkName, dots } from './names.ts';
import { pathOf } from './paths.ts';
import type { Tables } from './tables.ts';

export const FILE_TYPES: ReadonlySet<number> = new Set([
  S_IFREG,
  S_IFDIR,
  S_IFLNK,
  S_IFIFO,
  S_IFSOCK,
  S_IFCHR,
  S_IFBLK,
]);
const decoder = new TextDecoder();

/** The name of a live entry that {@link nameOffset} has found sound. */
export function nameOf(t: Tables, slot: number): string {
  const from = nameOffset(t, slot);
  return decoder.decode(nameBytes(t, slot).slice(from, from + nameLength(t, slot)));
}

/** Whether a name is where the entry says, and one that a file can have. */
export function hasSoundName(t: Tables, slot: number): boolean {
  const at = slot * DENTRY_WORDS;
  const length = t.dentry[at + D_NAME_LENGTH]!;
  const from = nameOffset(t, slot);
  if (from < 0 || (length > NAME_INLINE && !namesBlock(t.slab, t.dentry[at + D_NAME]!))) return false;
  const bytes = nameBytes(t, slot);
  return checkName(bytes, from, from + length) === 0 && dots(bytes, from, from + length) === 0;
}

/** Whether `handle` is a block of at least `bytes`. */
export function holds(t: Tables, handle: number, bytes: number): boolean {
  return namesBlock(t.slab, handle) && t.slab.capacity(handle) >= bytes;
}

/** A path for people, or the number where there is none. */
export function describeInode(t: Tables, ino: number): string {
  if (ino === 0) return 'the tree';
  const isReachable = ino < t.inodeCapacity && reaches(t, ino);
  return (isReachable ? pathOf(t, ino) : undefined) ?? `inode ${ino}`;
}

/** Whether the walk up to the root ends: pathOf trusts that it does. */
function reaches(t: Tables, ino: number): boolean {
  let at = ino;
  for (let steps = 0; steps < 4096; steps++) {
    if (at === ROOT) return true;
    if (at === 0 || at >= t.inodeCapacity || !isLive(t, at)) return false;
    at = parentOf(t, at);
  }
  return false;
}

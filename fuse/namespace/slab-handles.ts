/**
 * Every slab block that the tables refer to. In a mount that is being served, other threads change the tables under
 * this walk; it then meets every reference that lasts all the while, and perhaps some that are gone.
 */
import type { SlabHandle } from '../../runtime/memory/slab.ts';
import { TAG_CONTENT, TAG_NAME, TAG_SUMS, TAG_SYMLINK, TAG_XATTRS } from '../slab-tags.ts';
import {
  D_INODE,
  D_NAME,
  D_NAME_LENGTH,
  DENTRY_WORDS,
  H_DENTRIES_END,
  H_INODES_END,
  I_DATA,
  I_MODE,
  I_OBJECT,
  I_XATTRS,
  INODE_WORDS,
  NAME_INLINE,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from './layout.ts';
import type { Tables } from './tables.ts';

export type HandleVisitor = (handle: SlabHandle, tag: number) => void;

/** Records of the two tables, one after the other: what {@link slabHandles} counts in. */
export function handleRecords(t: Tables): number {
  return t.header[H_INODES_END]! + t.header[H_DENTRIES_END]!;
}

/** The blocks that records `from` up to `to` (of {@link handleRecords}) refer to. */
export function slabHandles(t: Tables, visit: HandleVisitor, from = 0, to = handleRecords(t)): void {
  const inodes = t.header[H_INODES_END]!;
  for (let ino = from; ino < Math.min(to, inodes); ino++) visitInode(t, ino, visit);
  for (let slot = Math.max(from, inodes) - inodes; slot < to - inodes; slot++) visitDentry(t, slot, visit);
}

function visitInode(t: Tables, ino: number, visit: HandleVisitor): void {
  const at = ino * INODE_WORDS;
  const type = t.inode[at + I_MODE]! & S_IFMT;
  if (type === 0) return;
  if (t.inode[at + I_XATTRS] !== 0) visit(t.inode[at + I_XATTRS]!, TAG_XATTRS);
  if (type !== S_IFREG && type !== S_IFLNK) return;
  if (t.inode[at + I_DATA] === 0) return;
  const tag = type === S_IFLNK ? TAG_SYMLINK : t.inode[at + I_OBJECT] === 0 ? TAG_CONTENT : TAG_SUMS;
  visit(t.inode[at + I_DATA]!, tag);
}

function visitDentry(t: Tables, slot: number, visit: HandleVisitor): void {
  const at = slot * DENTRY_WORDS;
  if (t.dentry[at + D_INODE] === 0 || t.dentry[at + D_NAME_LENGTH]! <= NAME_INLINE) return;
  visit(t.dentry[at + D_NAME]!, TAG_NAME);
}

/**
 * Inode records: allocation, times, link counts, attributes. Contract and locking: tables.ts.
 *
 * Invariants
 * 1. I_MODE = 0 exactly in free records; a free record keeps its generation, and the next use adds one.
 * 2. A live inode with I_NLINK = 0 is one the kernel still holds (I_LOOKUPS > 0), or one that recovery will free.
 * 3. I_NLINK of a directory is 2 plus its subdirectories, 0 once it was removed.
 */
import type { Attr } from '../protocol/attr.ts';
import {
  H_INODE_FREE,
  H_INODES_END,
  H_INODES_LIVE,
  I_ATIME,
  I_ATIME_NS,
  I_BTIME,
  I_BTIME_NS,
  I_CTIME,
  I_CTIME_NS,
  I_DATA,
  I_GENERATION,
  I_GID,
  I_MODE,
  I_MTIME,
  I_MTIME_NS,
  I_NEXT_FREE,
  I_NLINK,
  I_OBJECT,
  I_RDEV,
  I_SIZE,
  I_STORED,
  I_UID,
  I_VERSION,
  I_XATTRS,
  INODE_WORDS,
  isCompressed,
  PLAIN,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  S_IXGRP,
  STORED_BLOCK,
} from './layout.ts';
import { shownGid, shownMode, shownUid } from './shown-owner.ts';
import type { Tables } from './tables.ts';

/** What `stat` shows as the size of every directory, bytes: there is nothing useful to count. */
const DIRECTORY_SIZE = 4096;

/** Whether `ino` is a number in range with a live record. */
export function isLive(t: Tables, ino: number): boolean {
  return ino > 0 && ino < t.inodeCapacity && t.inode[ino * INODE_WORDS + I_MODE] !== 0;
}

export function modeOf(t: Tables, ino: number): number {
  return t.inode[ino * INODE_WORDS + I_MODE]!;
}

export function isRegular(t: Tables, ino: number): boolean {
  return (t.inode[ino * INODE_WORDS + I_MODE]! & S_IFMT) === S_IFREG;
}

export function sizeOf(t: Tables, ino: number): number {
  return t.inodeF64[(ino * INODE_WORDS + I_SIZE) / 2]!;
}

export function setSize(t: Tables, ino: number, size: number): void {
  t.inodeF64[(ino * INODE_WORDS + I_SIZE) / 2] = size;
}

/** The number a new inode will get, 0 = the table is full. Changes nothing. */
export function peek(t: Tables): number {
  const free = t.header[H_INODE_FREE]!;
  if (free !== 0) return free;
  const end = t.header[H_INODES_END]!;
  return end < t.inodeCapacity ? end : 0;
}

/**
 * Makes record `ino` a live inode with all times now. While the log is replayed the number comes from the record,
 * so the free list may be left with numbers in use; recovery ends by making it anew.
 */
export function take(
  t: Tables,
  ino: number,
  generation: number,
  mode: number,
  uid: number,
  gid: number,
  rdev: number,
): void {
  const at = ino * INODE_WORDS;
  if (t.header[H_INODE_FREE] === ino) t.header[H_INODE_FREE] = t.inode[at + I_NEXT_FREE]!;
  else if (ino >= t.header[H_INODES_END]!) t.header[H_INODES_END] = ino + 1;
  t.header[H_INODES_LIVE]!++;
  t.inode.fill(0, at, at + INODE_WORDS);
  t.inode[at + I_MODE] = mode;
  t.inode[at + I_NLINK] = (mode & S_IFMT) === S_IFDIR ? 2 : 1;
  t.inode[at + I_UID] = uid;
  t.inode[at + I_GID] = gid;
  t.inode[at + I_RDEV] = rdev;
  t.inode[at + I_GENERATION] = generation;
  stamp(t, ino, I_ATIME, I_ATIME_NS);
  stamp(t, ino, I_BTIME, I_BTIME_NS);
  touchData(t, ino);
}

/** Frees the record of an inode without names, with its blocks; an object is reported as dropped. */
export function give(t: Tables, ino: number): void {
  const at = ino * INODE_WORDS;
  const type = t.inode[at + I_MODE]! & S_IFMT;
  if (type === S_IFREG || type === S_IFLNK) dropData(t, ino);
  if (t.inode[at + I_XATTRS] !== 0) t.slab.free(t.inode[at + I_XATTRS]!);
  t.inode[at + I_XATTRS] = 0;
  t.inode[at + I_MODE] = 0;
  t.inode[at + I_NEXT_FREE] = t.header[H_INODE_FREE]!;
  t.header[H_INODE_FREE] = ino;
  t.header[H_INODES_LIVE]!--;
}

/** Lets go of a file's bytes, wherever they are; the size is left to the caller. */
export function dropData(t: Tables, ino: number): void {
  const at = ino * INODE_WORDS;
  if (t.inode[at + I_DATA] !== 0) t.slab.free(t.inode[at + I_DATA]!);
  t.inode[at + I_DATA] = 0;
  if (t.inode[at + I_OBJECT] !== 0) t.dropped.push(t.inode[at + I_OBJECT]!);
  t.inode[at + I_OBJECT] = 0;
  t.inode[at + I_STORED] = 0;
}

function stamp(t: Tables, ino: number, seconds: number, nanoseconds: number): void {
  const at = ino * INODE_WORDS;
  t.inodeF64[(at + seconds) / 2] = t.seconds;
  t.inode[at + nanoseconds] = t.nanoseconds;
}

/** The inode's attributes changed. */
export function touch(t: Tables, ino: number): void {
  stamp(t, ino, I_CTIME, I_CTIME_NS);
}

/** The bytes of a file or the entries of a directory changed. */
export function touchData(t: Tables, ino: number): void {
  stamp(t, ino, I_MTIME, I_MTIME_NS);
  stamp(t, ino, I_CTIME, I_CTIME_NS);
}

/** A file's bytes changed, which the index must see. */
export function bumpVersion(t: Tables, ino: number): void {
  t.inode[ino * INODE_WORDS + I_VERSION]!++;
}

/** Mode without what a write by another user must clear: set-user-ID, and set-group-ID if the group may execute. */
export function withoutPrivileges(mode: number): number {
  const cleared = mode & ~S_ISUID;
  return (cleared & S_IXGRP) !== 0 ? cleared & ~S_ISGID : cleared;
}

/** st_blocks and the object, of which only the host knows what it takes: until it is asked, as much as the size. */
function fillStored(t: Tables, at: number, type: number, out: Attr): void {
  const stored = type === S_IFREG ? t.inode[at + I_STORED]! : PLAIN;
  const takesNothing = type === S_IFLNK;
  out.object = type === S_IFREG && !isCompressed(stored) ? t.inode[at + I_OBJECT]! : 0;
  out.blocks = takesNothing ? 0 : Math.ceil(out.size / 512);
  if (isCompressed(stored)) out.blocks = stored * (STORED_BLOCK / 512);
}

/** Fills `out`, as files are shown; may be called by readers. */
export function fillAttr(t: Tables, ino: number, out: Attr): void {
  const at = ino * INODE_WORDS;
  const f = at / 2;
  const mode = t.inode[at + I_MODE]!;
  const size = (mode & S_IFMT) === S_IFDIR ? DIRECTORY_SIZE : t.inodeF64[f + I_SIZE / 2]!;
  out.ino = ino;
  out.inoHi = 0;
  out.mode = shownMode(t, ino);
  out.nlink = t.inode[at + I_NLINK]!;
  out.uid = shownUid(t, ino);
  out.gid = shownGid(t, ino);
  out.rdev = t.inode[at + I_RDEV]!;
  out.size = size;
  fillStored(t, at, mode & S_IFMT, out);
  out.blksize = 4096;
  out.atime = t.inodeF64[f + I_ATIME / 2]!;
  out.atimeNs = t.inode[at + I_ATIME_NS]!;
  out.mtime = t.inodeF64[f + I_MTIME / 2]!;
  out.mtimeNs = t.inode[at + I_MTIME_NS]!;
  out.ctime = t.inodeF64[f + I_CTIME / 2]!;
  out.ctimeNs = t.inode[at + I_CTIME_NS]!;
  out.btime = t.inodeF64[f + I_BTIME / 2]!;
  out.btimeNs = t.inode[at + I_BTIME_NS]!;
  out.generation = t.inode[at + I_GENERATION]!;
}

/**
 * The mutations of names and inodes. Each checks, takes the memory it needs, and only then changes the tables, so it
 * either happens as a whole or returns −errno and nothing changed. Live requests and the replay of the log call the
 * same functions with the same arguments; what a request leaves open (inode number, owner after set-group-ID, time)
 * is decided before. Called with the mutex held; times come from `t.seconds` and `t.nanoseconds`.
 *
 * The end of an inode is not a mutation of the log: nothing can name it any more, so recovery frees it, and so does a
 * `create` that is given its number.
 */
import { LINK_MAX, SYMLINK_MAX } from '../../runtime/config/bounds.ts';
import {
  EEXIST,
  EINVAL,
  EISDIR,
  EMLINK,
  ENAMETOOLONG,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  ESTALE,
} from '../../runtime/errno.ts';
import type { SlabHandle } from '../../runtime/memory/slab.ts';
import { TAG_SYMLINK } from '../slab-tags.ts';
import * as dentries from './dentries.ts';
import * as directories from './directories.ts';
import * as flags from './inode-flags.ts';
import * as inodes from './inodes.ts';
import {
  D_INODE,
  DENTRY_WORDS,
  I_DATA,
  I_FLAGS,
  I_NLINK,
  I_XATTRS,
  INODE_WORDS,
  ROOT,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from './layout.ts';
import { checkName, copyBytes, dots, hashName } from './names.ts';
import type { Tables } from './tables.ts';

export { setattr } from './set-attributes.ts';

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** 0 if names can be added to and found in `ino`, else −errno. */
function checkDirectory(t: Tables, ino: number): number {
  if (!inodes.isLive(t, ino)) return -ESTALE;
  return directories.isDirectory(t, ino) ? 0 : -ENOTDIR;
}

/** 0 if (parent, name) is free to be taken and the table has a record for it, else −errno. */
function checkNewName(
  t: Tables,
  parent: number,
  hash: number,
  u8: Uint8Array,
  start: number,
  end: number,
): number {
  const refusal = checkName(u8, start, end) || checkDirectory(t, parent);
  if (refusal !== 0) return refusal;
  if (dots(u8, start, end) !== 0 || dentries.find(t, parent, hash, u8, start, end) !== 0) return -EEXIST;
  if (t.inode[parent * INODE_WORDS + I_NLINK] === 0) return -ENOENT;
  const immutable = flags.refusal(t, parent, flags.IMMUTABLE);
  if (immutable !== 0) return immutable;
  return dentries.peek(t) === 0 ? -ENOSPC : 0;
}

/** Record of an existing entry, or −errno. */
function findEntry(
  t: Tables,
  parent: number,
  hash: number,
  u8: Uint8Array,
  start: number,
  end: number,
): number {
  const refusal = checkName(u8, start, end) || checkDirectory(t, parent);
  if (refusal !== 0) return refusal;
  if (dots(u8, start, end) !== 0) return -EINVAL;
  return dentries.find(t, parent, hash, u8, start, end) || -ENOENT;
}

function checkType(mode: number, targetLength: number): number {
  switch (mode & S_IFMT) {
    case S_IFLNK:
      if (targetLength === 0) return -ENOENT;
      return targetLength > SYMLINK_MAX ? -ENAMETOOLONG : 0;
    case S_IFREG:
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      return targetLength === 0 ? 0 : -EINVAL;
    default:
      return -EINVAL;
  }
}

/**
 * Any new inode with its first name. `mode` has the type; `target` is a symlink's and else empty; `attributes` is the block
 * with the extended attributes that it begins with (0 = none), which stays the caller's if this fails.
 */
export function create(
  t: Tables,
  parent: number,
  ino: number,
  generation: number,
  mode: number,
  uid: number,
  gid: number,
  rdev: number,
  name: Uint8Array,
  nameStart: number,
  nameEnd: number,
  target: Uint8Array,
  targetStart: number,
  targetEnd: number,
  attributes: SlabHandle = 0,
): number {
  const hash = hashName(parent, name, nameStart, nameEnd);
  const targetLength = targetEnd - targetStart;
  const refusal = checkNewName(t, parent, hash, name, nameStart, nameEnd) || checkType(mode, targetLength);
  if (refusal !== 0) return refusal;
  if (ino === 0) return -ENOSPC;
  if (ino === ROOT || ino >= t.inodeCapacity || mode > 0o177777) return -EINVAL;
  const left = inodes.isLive(t, ino);
  if (left && t.inode[ino * INODE_WORDS + I_NLINK] !== 0) return -EEXIST;
  const nameBlock = dentries.allocateName(t, name, nameStart, nameEnd);
  if (nameBlock < 0) return -ENOSPC;
  const targetBlock = targetLength === 0 ? 0 : t.allocate(targetLength, TAG_SYMLINK);
  if (targetBlock === 0 && targetLength !== 0) {
    if (nameBlock !== 0) t.slab.free(nameBlock);
    return -ENOSPC;
  }
  copyBytes(t.bytes, targetBlock * 64, target, targetStart, targetLength);

  t.sequence.writeBegin();
  if (left) inodes.give(t, ino);
  inodes.take(t, ino, generation, mode, uid, gid, rdev);
  t.inode[ino * INODE_WORDS + I_DATA] = targetBlock;
  t.inode[ino * INODE_WORDS + I_XATTRS] = attributes;
  inodes.setSize(t, ino, targetLength);
  directories.insert(t, parent, dentries.take(t, ino, parent, hash, name, nameStart, nameEnd, nameBlock));
  if ((mode & S_IFMT) === S_IFDIR) t.inode[parent * INODE_WORDS + I_NLINK]!++;
  inodes.touchData(t, parent);
  t.sequence.writeEnd();
  return 0;
}

/** One more name, or for one made without a name its first, for an inode that is not a directory. */
export function link(
  t: Tables,
  ino: number,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
): number {
  const hash = hashName(parent, name, start, end);
  const refusal = checkNewName(t, parent, hash, name, start, end);
  if (refusal !== 0) return refusal;
  if (!inodes.isLive(t, ino)) return -ESTALE;
  if (directories.isDirectory(t, ino)) return -EPERM;
  const nlink = t.inode[ino * INODE_WORDS + I_NLINK]!;
  if (nlink === 0 && (flags.flagsOf(t, ino) & flags.LINKABLE) === 0) return -ENOENT;
  if (nlink >= LINK_MAX) return -EMLINK;
  const kept = flags.refusal(t, ino, PROTECTED);
  if (kept !== 0) return kept;
  const block = dentries.allocateName(t, name, start, end);
  if (block < 0) return -ENOSPC;

  t.sequence.writeBegin();
  directories.insert(t, parent, dentries.take(t, ino, parent, hash, name, start, end, block));
  t.inode[ino * INODE_WORDS + I_NLINK] = nlink + 1;
  t.inode[ino * INODE_WORDS + I_FLAGS]! &= ~flags.LINKABLE;
  inodes.touch(t, ino);
  inodes.touchData(t, parent);
  t.sequence.writeEnd();
  return 0;
}

/** What a directory or an inode must not have for an entry to go. */
const PROTECTED = flags.IMMUTABLE | flags.APPEND_ONLY;

/** 0 if an entry of `parent` for `ino` may go, be it removed or moved, else −errno. */
function checkDeparture(t: Tables, parent: number, ino: number): number {
  return flags.refusal(t, parent, PROTECTED) || flags.refusal(t, ino, PROTECTED);
}

/** 0 if an entry for `ino` may be removed as a directory or as anything else, else −errno. */
function checkRemoval(t: Tables, ino: number, directory: boolean): number {
  if (directories.isDirectory(t, ino)) {
    if (!directory) return -EISDIR;
    return directories.isEmpty(t, ino) ? 0 : -ENOTEMPTY;
  }
  return directory ? -ENOTDIR : 0;
}

/** An inode lost one of its names: its link count after that. Between writeBegin and writeEnd. */
function lostName(t: Tables, ino: number): void {
  const at = ino * INODE_WORDS + I_NLINK;
  t.inode[at] = directories.isDirectory(t, ino) ? 0 : t.inode[at]! - 1;
  inodes.touch(t, ino);
}

/** unlink, or rmdir if `directory`. Returns the inode that lost the name, or −errno. */
export function unlink(
  t: Tables,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
  directory: boolean,
): number {
  const slot = findEntry(t, parent, hashName(parent, name, start, end), name, start, end);
  if (slot < 0) return slot;
  const ino = t.dentry[slot * DENTRY_WORDS + D_INODE]!;
  const refusal = checkDeparture(t, parent, ino) || checkRemoval(t, ino, directory);
  if (refusal !== 0) return refusal;

  t.sequence.writeBegin();
  directories.remove(t, parent, slot);
  dentries.give(t, slot);
  lostName(t, ino);
  if (directory) t.inode[parent * INODE_WORDS + I_NLINK]!--;
  inodes.touchData(t, parent);
  t.sequence.writeEnd();
  return ino;
}

/**
 * renameat2(2). Returns the inode that lost its name to the moved one (0 = none), or −errno.
 *
 * Within one directory the entry keeps its place, and a replaced name keeps its own, so whoever reads the directory
 * meets every name that existed all along once.
 */
export function rename(
  t: Tables,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
  newParent: number,
  newName: Uint8Array,
  newStart: number,
  newEnd: number,
  how: number,
): number {
  if ((how & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return -EINVAL;
  if (how === (RENAME_NOREPLACE | RENAME_EXCHANGE)) return -EINVAL;
  const slot = findEntry(t, parent, hashName(parent, name, start, end), name, start, end);
  if (slot < 0) return slot;
  const wrongName = checkName(newName, newStart, newEnd);
  if (wrongName !== 0) return wrongName;
  const newHash = hashName(newParent, newName, newStart, newEnd);
  const target = findEntry(t, newParent, newHash, newName, newStart, newEnd);
  if (target < 0 && target !== -ENOENT) return target;
  const ino = t.dentry[slot * DENTRY_WORDS + D_INODE]!;
  const isDirectory = directories.isDirectory(t, ino);
  const kept = checkDeparture(t, parent, ino);
  if (kept !== 0) return kept;
  if (target < 0) {
    if (how === RENAME_EXCHANGE || t.inode[newParent * INODE_WORDS + I_NLINK] === 0) return -ENOENT;
    if (isDirectory && directories.isWithin(t, newParent, ino)) return -EINVAL;
    const immutable = flags.refusal(t, newParent, flags.IMMUTABLE);
    if (immutable !== 0) return immutable;
    return move(t, slot, ino, parent, newParent, newHash, newName, newStart, newEnd);
  }
  if (how === RENAME_NOREPLACE) return -EEXIST;
  const other = t.dentry[target * DENTRY_WORDS + D_INODE]!;
  const refusal =
    checkDeparture(t, newParent, other) ||
    checkReplacement(t, ino, other, parent, newParent, how === RENAME_EXCHANGE);
  if (refusal !== 0) return refusal;
  if (ino === other) return 0;

  t.sequence.writeBegin();
  if (how === RENAME_EXCHANGE) exchange(t, slot, target, parent, newParent);
  else replace(t, slot, target, parent);
  inodes.touch(t, ino);
  inodes.touchData(t, parent);
  inodes.touchData(t, newParent);
  t.sequence.writeEnd();
  return how === RENAME_EXCHANGE ? 0 : other;
}

function checkReplacement(
  t: Tables,
  ino: number,
  other: number,
  parent: number,
  newParent: number,
  isExchange: boolean,
): number {
  const isDirectory = directories.isDirectory(t, ino);
  const otherIsDirectory = directories.isDirectory(t, other);
  if (isDirectory && directories.isWithin(t, newParent, ino)) return -EINVAL;
  if (otherIsDirectory && directories.isWithin(t, parent, other)) return isExchange ? -EINVAL : -ENOTEMPTY;
  return isExchange || ino === other ? 0 : checkRemoval(t, other, isDirectory);
}

/** The moved entry's name is new in its directory. */
function move(
  t: Tables,
  slot: number,
  ino: number,
  parent: number,
  newParent: number,
  newHash: number,
  newName: Uint8Array,
  newStart: number,
  newEnd: number,
): number {
  const block = dentries.allocateName(t, newName, newStart, newEnd);
  if (block < 0) return -ENOSPC;

  t.sequence.writeBegin();
  dentries.dropKey(t, slot);
  if (parent !== newParent) {
    directories.remove(t, parent, slot);
    directories.insert(t, newParent, slot);
    if (directories.isDirectory(t, ino)) {
      t.inode[parent * INODE_WORDS + I_NLINK]!--;
      t.inode[newParent * INODE_WORDS + I_NLINK]!++;
    }
    inodes.touchData(t, newParent);
  }
  dentries.setKey(t, slot, newParent, newHash, newName, newStart, newEnd, block);
  inodes.touch(t, ino);
  inodes.touchData(t, parent);
  t.sequence.writeEnd();
  return 0;
}

/** The entry `target` comes to name what `slot` names, and `slot` goes. */
function replace(t: Tables, slot: number, target: number, parent: number): void {
  const ino = t.dentry[slot * DENTRY_WORDS + D_INODE]!;
  const victim = t.dentry[target * DENTRY_WORDS + D_INODE]!;
  dentries.removeName(t, target);
  lostName(t, victim);
  directories.remove(t, parent, slot);
  dentries.give(t, slot);
  dentries.addName(t, target, ino);
  if (directories.isDirectory(t, ino)) t.inode[parent * INODE_WORDS + I_NLINK]!--;
}

/** Both entries stay and swap what they name. */
function exchange(t: Tables, slot: number, target: number, parent: number, newParent: number): void {
  const ino = t.dentry[slot * DENTRY_WORDS + D_INODE]!;
  const other = t.dentry[target * DENTRY_WORDS + D_INODE]!;
  dentries.removeName(t, slot);
  dentries.removeName(t, target);
  dentries.addName(t, slot, other);
  dentries.addName(t, target, ino);
  inodes.touch(t, other);
  const moved = Number(directories.isDirectory(t, ino)) - Number(directories.isDirectory(t, other));
  if (parent === newParent || moved === 0) return;
  t.inode[parent * INODE_WORDS + I_NLINK]! -= moved;
  t.inode[newParent * INODE_WORDS + I_NLINK]! += moved;
}

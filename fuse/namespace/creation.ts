/**
 * Mutations that make inodes in ways of their own: with what the directory's default list gives them, without a name
 * (O_TMPFILE), as the whiteout that a rename leaves. The rules of mutations.ts.
 */
import { EINVAL, ENOSPC, ENOTDIR, ESTALE } from '../../runtime/errno.ts';
import { Inheritance, inherit } from './access-lists.ts';
import * as dentries from './dentries.ts';
import * as directories from './directories.ts';
import { IMMUTABLE, LINKABLE, refusal } from './inode-flags.ts';
import * as inodes from './inodes.ts';
import { I_FLAGS, I_NLINK, I_XATTRS, INODE_WORDS, ROOT, S_IFCHR, S_IFMT, S_IFREG } from './layout.ts';
import { create, rename } from './mutations.ts';
import { hashName } from './names.ts';
import type { Tables } from './tables.ts';

const inheritance = new Inheritance();

/** As {@link create}; where the directory has a default list, the inode begins with that, and `mode` is cut down to it. */
export function createInheriting(
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
): number {
  const failed = inherit(t, inodes.isLive(t, parent) ? parent : 0, mode, inheritance);
  if (failed !== 0) return failed;
  const { xattrs } = inheritance;
  const result = create(
    t,
    parent,
    ino,
    generation,
    inheritance.mode,
    uid,
    gid,
    rdev,
    name,
    nameStart,
    nameEnd,
    target,
    targetStart,
    targetEnd,
    xattrs,
  );
  if (result < 0 && xattrs !== 0) t.slab.free(xattrs);
  return result;
}

/** A regular file without a name, made in `directory`. `linkable`: it may be given a name later. */
export function createUnnamed(
  t: Tables,
  directory: number,
  ino: number,
  generation: number,
  mode: number,
  uid: number,
  gid: number,
  linkable: boolean,
): number {
  if (!inodes.isLive(t, directory)) return -ESTALE;
  if (!directories.isDirectory(t, directory)) return -ENOTDIR;
  const immutable = refusal(t, directory, IMMUTABLE);
  if (immutable !== 0) return immutable;
  if (ino === 0) return -ENOSPC;
  if (ino === ROOT || ino >= t.inodeCapacity || (mode & S_IFMT) !== S_IFREG) return -EINVAL;
  const left = inodes.isLive(t, ino);
  if (left && t.inode[ino * INODE_WORDS + I_NLINK] !== 0) return -EINVAL;
  const failed = inherit(t, directory, mode, inheritance);
  if (failed !== 0) return failed;

  t.sequence.writeBegin();
  if (left) inodes.give(t, ino);
  inodes.take(t, ino, generation, inheritance.mode, uid, gid, 0);
  t.inode[ino * INODE_WORDS + I_NLINK] = 0;
  t.inode[ino * INODE_WORDS + I_XATTRS] = inheritance.xattrs;
  t.inode[ino * INODE_WORDS + I_FLAGS] = linkable ? LINKABLE : 0;
  t.sequence.writeEnd();
  return 0;
}

/**
 * As {@link rename}, and a whiteout (a character device 0:0, by which overlay filesystems say that a name is gone) takes
 * the place that became free. None is left where both names were of one inode: then nothing happens at all. The whiteout is
 * the inode `ino`, which is free. In the log it is two records, the rename and the creation.
 */
export function renameLeavingWhiteout(
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
  ino: number,
  generation: number,
  uid: number,
  gid: number,
): number {
  if (ino === 0 || dentries.peek(t) === 0) return -ENOSPC;
  // Everything that can fail comes first: the rename cannot be taken back.
  const failed = inherit(t, directories.isDirectory(t, parent) ? parent : 0, S_IFCHR, inheritance);
  if (failed !== 0) return failed;
  const { mode, xattrs } = inheritance;
  const block = dentries.allocateName(t, name, start, end);
  if (block < 0) {
    if (xattrs !== 0) t.slab.free(xattrs);
    return -ENOSPC;
  }
  const other = rename(t, parent, name, start, end, newParent, newName, newStart, newEnd, how);
  const hash = hashName(parent, name, start, end);
  if (other < 0 || dentries.find(t, parent, hash, name, start, end) !== 0) {
    if (block !== 0) t.slab.free(block);
    if (xattrs !== 0) t.slab.free(xattrs);
    return other;
  }

  t.sequence.writeBegin();
  inodes.take(t, ino, generation, mode, uid, gid, 0);
  t.inode[ino * INODE_WORDS + I_XATTRS] = xattrs;
  directories.insert(t, parent, dentries.take(t, ino, parent, hash, name, start, end, block));
  t.sequence.writeEnd();
  return other;
}

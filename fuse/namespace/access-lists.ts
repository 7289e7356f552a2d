/**
 * Access control lists as part of an inode: how they and its permission bits follow each other. A list is an extended
 * attribute (acl.ts) and changes with the bits in one mutation, so that neither is ever seen without the other. Contract
 * and locking: tables.ts.
 *
 * Invariants
 * 1. The nine permission bits of an inode with an access list are those that the list shows. A list that says no more than
 *    the bits is not kept.
 * 2. Only directories have a default list.
 */
import { XATTR_SIZE_MAX } from '../../runtime/config/bounds.ts';
import { EACCES, EINVAL, ENOSPC, EOPNOTSUPP } from '../../runtime/errno.ts';
import { TAG_XATTRS } from '../slab-tags.ts';
import * as acl from './acl.ts';
import { isDirectory } from './directories.ts';
import { modeOf } from './inodes.ts';
import { I_MODE, I_XATTRS, INODE_WORDS, S_IFDIR, S_IFLNK, S_IFMT, S_ISGID } from './layout.ts';
import type { Tables } from './tables.ts';
import * as xattrs from './xattrs.ts';

/** Of a setxattr(2) with an access list: the caller is not in the file's group, so set-group-ID goes. */
export const ACL_KILL_SGID = 0x100;

const cursor = new xattrs.XattrCursor();
/** A default list on its way to a new inode. */
const scratch = new Uint8Array(XATTR_SIZE_MAX);

/** Whether the inode may have this list: 0, or −EINVAL no list, −EOPNOTSUPP of a symlink, −EACCES a default list of a file. */
export function checkList(
  t: Tables,
  ino: number,
  kind: number,
  u8: Uint8Array,
  start: number,
  end: number,
): number {
  if ((modeOf(t, ino) & S_IFMT) === S_IFLNK) return -EOPNOTSUPP;
  if (kind === acl.DEFAULT_LIST && !isDirectory(t, ino)) return -EACCES;
  return acl.isList(u8, start, end) ? 0 : -EINVAL;
}

/** Whether a list is to be kept, beside what it says of the bits. */
export function isKept(kind: number, start: number, end: number): boolean {
  return kind === acl.DEFAULT_LIST || !acl.isMinimal(start, end);
}

/** Between writeBegin and writeEnd: the permission bits become those that an access list shows. */
export function showList(
  t: Tables,
  ino: number,
  u8: Uint8Array,
  start: number,
  end: number,
  flags: number,
): void {
  const at = ino * INODE_WORDS + I_MODE;
  const kept = (flags & ACL_KILL_SGID) !== 0 ? ~0o777 & ~S_ISGID : ~0o777;
  t.inode[at] = (t.inode[at]! & kept) | acl.permissionBits(u8, start, end);
}

/** Between writeBegin and writeEnd, after a chmod: an access list becomes what the bits say. */
export function followMode(t: Tables, ino: number): void {
  if (t.inode[ino * INODE_WORDS + I_XATTRS] === 0 || !findList(t, ino, acl.ACCESS_XATTR)) return;
  acl.applyMode(t.bytes, cursor.value, cursor.name, modeOf(t, ino));
}

function findList(t: Tables, ino: number, name: Uint8Array): boolean {
  return cursor.find(t, ino, name, 0, name.length) && acl.isList(t.bytes, cursor.value, cursor.name);
}

/** Whether what is made in this directory begins with a list, and not with the caller's umask. */
export function hasDefaultList(t: Tables, directory: number): boolean {
  return t.inode[directory * INODE_WORDS + I_XATTRS] !== 0 && findList(t, directory, acl.DEFAULT_XATTR);
}

/** Bytes of the attributes that an inode made in this directory begins with, at most; 0 = it has no default list. */
export function inheritedBytes(t: Tables, directory: number): number {
  if (!hasDefaultList(t, directory)) return 0;
  return xattrs.EMPTY_BYTES + 2 * xattrs.entryBytes(acl.DEFAULT_XATTR.length, cursor.valueLength);
}

/** What a new inode has of its directory's default list. */
export class Inheritance {
  /** Type and permission bits. */
  mode = 0;
  /** The block with its extended attributes, which nothing refers to yet; 0 = it has none. */
  xattrs = 0;
}

/** Fills `out` for an inode that is to be made with this mode in `directory` (0 = in none). 0, or −ENOSPC: no memory. */
export function inherit(t: Tables, directory: number, mode: number, out: Inheritance): number {
  out.mode = mode;
  out.xattrs = 0;
  if (directory === 0 || (mode & S_IFMT) === S_IFLNK || !hasDefaultList(t, directory)) return 0;
  const end = acl.copyList(scratch, t.bytes, cursor.value, cursor.name);
  const isDirectoryToo = (mode & S_IFMT) === S_IFDIR;
  const bits = acl.restrict(scratch, 0, end, mode);
  const hasAccess = !acl.isMinimal(0, end);
  out.mode = bits;
  if (!hasAccess && !isDirectoryToo) return 0;
  const [accessName, defaultName] = [acl.ACCESS_XATTR, acl.DEFAULT_XATTR];
  const bytes = xattrs.EMPTY_BYTES + 2 * xattrs.entryBytes(defaultName.length, end);
  const block = t.allocate(bytes, TAG_XATTRS);
  if (block === 0) return -ENOSPC;
  xattrs.clear(t, block);
  if (isDirectoryToo)
    xattrs.append(t, block, defaultName, 0, defaultName.length, t.bytes, cursor.value, cursor.name);
  if (hasAccess) xattrs.append(t, block, accessName, 0, accessName.length, scratch, 0, end);
  out.xattrs = block;
  return 0;
}

/** The access list's verdict for somebody who is not the owner: 1 allowed, 0 denied, −1 there is no list. For readers. */
export function listPermits(
  t: Tables,
  ino: number,
  owner: number,
  group: number,
  uid: number,
  gids: readonly number[],
  wanted: number,
): number {
  if (t.inode[ino * INODE_WORDS + I_XATTRS] === 0 || !findList(t, ino, acl.ACCESS_XATTR)) return -1;
  return acl.permits(t.bytes, cursor.value, cursor.name, owner, group, uid, gids, wanted) ? 1 : 0;
}

/** What is wrong with the list at a cursor's entry, in words; undefined = nothing, or it is no list. */
export function listProblem(t: Tables, ino: number, entry: xattrs.XattrCursor): string | undefined {
  const { name, nameLength, value } = entry;
  const kind = acl.listKind(t.bytes, name, name + nameLength);
  if (kind === acl.NO_LIST) return undefined;
  if (checkList(t, ino, kind, t.bytes, value, name) < 0) return 'its access control list is none';
  const isShown = acl.permissionBits(t.bytes, value, name) === (modeOf(t, ino) & 0o777);
  return kind === acl.DEFAULT_LIST || isShown ? undefined : 'its mode and its access control list differ';
}

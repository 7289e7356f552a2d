/**
 * The mutations of what an inode holds: bytes, extended attributes, vectors, index state. The rules of mutations.ts.
 */
import {
  FILE_SIZE_MAX,
  SLAB_MAX,
  VECTOR_DIMENSION_MAX,
  XATTR_NAME_MAX,
  XATTR_SIZE_MAX,
  XATTRS_MAX,
} from '../../runtime/config/bounds.ts';
import {
  E2BIG,
  EBUSY,
  EEXIST,
  EFBIG,
  EINVAL,
  EISDIR,
  ENODATA,
  ENOENT,
  ENOSPC,
  ERANGE,
  ESTALE,
} from '../../runtime/errno.ts';
import { ACL_KILL_SGID, checkList, isKept, showList } from './access-lists.ts';
import { ACCESS_LIST, listKind, NO_LIST } from './acl.ts';
import { KEEP_TIMES, KILL_SUIDGID } from './changes.ts';
import * as collections from './collections.ts';
import * as data from './data.ts';
import { isDirectory } from './directories.ts';
import * as inodes from './inodes.ts';
import {
  H_NEXT_OBJECT,
  I_CHUNKS,
  I_DATA,
  I_GENERATION,
  I_INDEX_STATUS,
  I_INDEXED,
  I_OBJECT,
  I_STORED,
  I_XATTRS,
  INODE_WORDS,
  isCompressed,
} from './layout.ts';
import { copyBytes } from './names.ts';
import { killPrivileges } from './privileges.ts';
import { bytesChanged } from './stored.ts';
import type { Tables } from './tables.ts';
import * as xattrs from './xattrs.ts';

/** The bytes do not fit here: the caller makes an object with them and attaches it. */
export const NEEDS_OBJECT = -10_001;
/** The bytes are in an object. */
export const IS_OBJECT = -10_002;

/** Object ids are 1 … this. */
export const OBJECT_MAX = 0xffff_fffe;

export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

const cursor = new xattrs.XattrCursor();
const collection = new collections.CollectionName();

function checkRegular(t: Tables, ino: number): number {
  if (!inodes.isLive(t, ino)) return -ESTALE;
  if (inodes.isRegular(t, ino)) return 0;
  return isDirectory(t, ino) ? -EISDIR : -EINVAL;
}

/** Between writeBegin and writeEnd: the bytes changed, and `flags` says what that does to times and privileges. */
function changed(t: Tables, ino: number, flags: number): void {
  if ((flags & KEEP_TIMES) === 0) inodes.touchData(t, ino);
  inodes.bumpVersion(t, ino);
  bytesChanged(t, ino);
  if ((flags & KILL_SUIDGID) !== 0) killPrivileges(t, ino);
}

/** Writes `length` ≥ 1 bytes into an inline file. Returns `length`, IS_OBJECT, NEEDS_OBJECT (no memory) or −errno. */
export function write(
  t: Tables,
  ino: number,
  offset: number,
  u8: Uint8Array,
  start: number,
  length: number,
  flags: number,
): number {
  const refusal = checkRegular(t, ino);
  if (refusal !== 0) return refusal;
  if (t.inode[ino * INODE_WORDS + I_OBJECT] !== 0) return IS_OBJECT;
  const end = offset + length;
  if (end > SLAB_MAX) return NEEDS_OBJECT;
  const block = data.blockFor(t, ino, end);
  if (block === 0) return NEEDS_OBJECT;

  t.sequence.writeBegin();
  data.replaceBlock(t, ino, block);
  data.zeroUpTo(t, ino, offset);
  copyBytes(t.bytes, block * 64 + offset, u8, start, length);
  if (end > inodes.sizeOf(t, ino)) inodes.setSize(t, ino, end);
  changed(t, ino, flags);
  t.sequence.writeEnd();
  return length;
}

/**
 * Sets the size; what is gained reads as zeros. Size 0 drops an object; any other needs it to be plain. 0, NEEDS_OBJECT (no
 * memory) or −errno.
 */
export function truncate(t: Tables, ino: number, size: number, flags: number): number {
  const refusal = checkRegular(t, ino);
  if (refusal !== 0) return refusal;
  if (size > FILE_SIZE_MAX) return -EFBIG;
  if (size > 0 && isCompressed(t.inode[ino * INODE_WORDS + I_STORED]!)) return -EINVAL;
  const isInline = t.inode[ino * INODE_WORDS + I_OBJECT] === 0;
  let block = t.inode[ino * INODE_WORDS + I_DATA]!;
  if (isInline && size > inodes.sizeOf(t, ino)) {
    block = size > SLAB_MAX ? 0 : data.blockFor(t, ino, size);
    if (block === 0) return NEEDS_OBJECT;
  }

  t.sequence.writeBegin();
  if (size === 0) {
    inodes.dropData(t, ino);
  } else if (isInline) {
    data.replaceBlock(t, ino, block);
    data.zeroUpTo(t, ino, size);
  }
  inodes.setSize(t, ino, size);
  changed(t, ino, flags);
  t.sequence.writeEnd();
  return 0;
}

/** From now on object `object` holds the file's bytes, `size` of them. An object it had is dropped. */
export function attach(t: Tables, ino: number, object: number, size: number, flags: number): number {
  const refusal = checkRegular(t, ino);
  if (refusal !== 0) return refusal;
  if (object === 0 || object > OBJECT_MAX) return -EINVAL;
  if (t.inode[ino * INODE_WORDS + I_OBJECT] === object) return -EINVAL;
  if (size > FILE_SIZE_MAX) return -EFBIG;

  t.sequence.writeBegin();
  inodes.dropData(t, ino);
  t.inode[ino * INODE_WORDS + I_OBJECT] = object;
  if (object >= t.header[H_NEXT_OBJECT]!) t.header[H_NEXT_OBJECT] = object + 1;
  inodes.setSize(t, ino, size);
  changed(t, ino, flags);
  t.sequence.writeEnd();
  return 0;
}

/** Bytes up to `end` were written to the file's object, which is plain. */
export function extend(t: Tables, ino: number, end: number, flags: number): number {
  const refusal = checkRegular(t, ino);
  if (refusal !== 0) return refusal;
  if (t.inode[ino * INODE_WORDS + I_OBJECT] === 0) return -EINVAL;
  if (isCompressed(t.inode[ino * INODE_WORDS + I_STORED]!)) return -EINVAL;
  if (end > FILE_SIZE_MAX) return -EFBIG;

  t.sequence.writeBegin();
  if (end > inodes.sizeOf(t, ino)) inodes.setSize(t, ino, end);
  changed(t, ino, flags);
  t.sequence.writeEnd();
  return 0;
}

/**
 * setxattr(2). Returns the id of the collection whose vector was set (0 = the attribute is not a vector) or −errno:
 * EEXIST and ENODATA by the flags, ERANGE name of 0 or over 255 bytes, E2BIG value over 64 KiB, ENOSPC over
 * {@link XATTRS_MAX} or no memory, EINVAL bad flags or a vector its collection cannot take. A vector for a collection
 * that does not exist makes it, or is EDQUOT where `flags` have BY_OTHERS and only keepers may. An access control list sets the
 * permission bits too, and goes with `flags` that may have ACL_KILL_SGID; its errors are those of checkList.
 */
export function setxattr(
  t: Tables,
  ino: number,
  name: Uint8Array,
  nameStart: number,
  nameEnd: number,
  value: Uint8Array,
  valueStart: number,
  valueEnd: number,
  flags: number,
): number {
  if (!inodes.isLive(t, ino)) return -ESTALE;
  const nameLength = nameEnd - nameStart;
  const valueLength = valueEnd - valueStart;
  const mode = flags & ~(ACL_KILL_SGID | collections.BY_OTHERS);
  if ((mode & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
  if (nameLength === 0 || nameLength > XATTR_NAME_MAX) return -ERANGE;
  if (valueLength > XATTR_SIZE_MAX) return -E2BIG;
  const found = cursor.find(t, ino, name, nameStart, nameEnd);
  if (found && (mode & XATTR_CREATE) !== 0) return -EEXIST;
  if (!found && (mode & XATTR_REPLACE) !== 0) return -ENODATA;
  const list = listKind(name, nameStart, nameEnd);
  const notAllowed = list === NO_LIST ? 0 : checkList(t, ino, list, value, valueStart, valueEnd);
  if (notAllowed < 0) return notAllowed;
  if (list !== NO_LIST && !isKept(list, valueStart, valueEnd))
    return setBits(t, ino, value, valueStart, valueEnd, flags, found);
  const id = collectionOf(t, name, nameStart, nameEnd, value, valueStart, valueEnd, flags);
  if (id < 0) return id;
  const used = xattrs.usedAfterSet(t, ino, cursor, found, nameLength, valueLength);
  if (used > XATTRS_MAX) return -ENOSPC;
  const block = xattrs.blockFor(t, ino, used);
  if (block === 0) return -ENOSPC;

  t.sequence.writeBegin();
  if (id > 0 && collections.isFree(t, id)) {
    collections.addCollection(t, valueLength / 4, 0, collection.u8, collection.start, collection.end);
  }
  xattrs.replaceBlock(t, ino, block);
  if (cursor.find(t, ino, name, nameStart, nameEnd)) xattrs.cut(t, ino, cursor);
  const now = t.inode[ino * INODE_WORDS + I_XATTRS]!;
  xattrs.append(t, now, name, nameStart, nameEnd, value, valueStart, valueEnd);
  if (list === ACCESS_LIST) showList(t, ino, value, valueStart, valueEnd, flags);
  inodes.touch(t, ino);
  t.sequence.writeEnd();
  return id;
}

/** An access list that says no more than permission bits do becomes those, and the one there was goes. */
function setBits(
  t: Tables,
  ino: number,
  list: Uint8Array,
  start: number,
  end: number,
  flags: number,
  found: boolean,
): number {
  t.sequence.writeBegin();
  if (found) xattrs.cut(t, ino, cursor);
  if (found) xattrs.freeIfEmpty(t, ino);
  showList(t, ino, list, start, end, flags);
  inodes.touch(t, ino);
  t.sequence.writeEnd();
  return 0;
}

/**
 * Id of the collection that takes the vector of this attribute: one there is, or the one that will be made; 0 = the
 * attribute holds no vector. EINVAL for a vector that it cannot take, ENOSPC and EDQUOT when no more can be made.
 */
export function collectionOf(
  t: Tables,
  name: Uint8Array,
  nameStart: number,
  nameEnd: number,
  value: Uint8Array,
  start: number,
  end: number,
  flags: number,
): number {
  const isVector = collections.parseVectorXattr(name, nameStart, nameEnd, collection);
  if (isVector <= 0) return isVector;
  const id = collections.findCollection(t, collection.u8, collection.start, collection.end);
  const dimension = collections.checkVector(value, start, end, collections.needsDirection(t, id));
  if (dimension < 0) return dimension;
  if (id === 0) {
    const refused = collections.refuseNew(t, 1, (flags & collections.BY_OTHERS) === 0);
    return refused === 0 ? collections.peekCollection(t) : refused;
  }
  if ((collections.optionsOf(t, id) & collections.DROPPING) !== 0) return -EBUSY;
  return collections.dimensionOf(t, id) === dimension ? id : -EINVAL;
}

/** removexattr(2). Returns the id of the collection whose vector is gone (0 = it was none) or −errno (ENODATA). */
export function removexattr(t: Tables, ino: number, name: Uint8Array, start: number, end: number): number {
  if (!inodes.isLive(t, ino)) return -ESTALE;
  if (end <= start || end - start > XATTR_NAME_MAX) return -ERANGE;
  if (!cursor.find(t, ino, name, start, end)) return -ENODATA;
  const isVector = collections.parseVectorXattr(name, start, end, collection) > 0;

  t.sequence.writeBegin();
  xattrs.cut(t, ino, cursor);
  xattrs.freeIfEmpty(t, ino);
  inodes.touch(t, ino);
  t.sequence.writeEnd();
  return isVector ? collections.findCollection(t, collection.u8, collection.start, collection.end) : 0;
}

/**
 * Adds an empty collection. Returns its id, the existing one's if dimension and options agree, or −errno. Options of −1 are
 * those of a new one, and agree with any.
 */
export function createCollection(
  t: Tables,
  dimension: number,
  options: number,
  u8: Uint8Array,
  start: number,
  end: number,
): number {
  const refusal = collections.checkCollectionName(u8, start, end);
  if (refusal !== 0) return refusal;
  if (!(Number.isInteger(dimension) && dimension >= 1 && dimension <= VECTOR_DIMENSION_MAX)) return -EINVAL;
  const existing = collections.findCollection(t, u8, start, end);
  if (existing !== 0) {
    const isSame = options < 0 || collections.optionsOf(t, existing) === options;
    return isSame && collections.dimensionOf(t, existing) === dimension ? existing : -EINVAL;
  }
  const id = collections.peekCollection(t);
  if (id < 0) return id;

  t.sequence.writeBegin();
  collections.addCollection(t, dimension, Math.max(0, options), u8, start, end);
  t.sequence.writeEnd();
  return id;
}

/**
 * First the collection takes no vectors any more; then, when the last is gone (the caller knows), neither it nor its name is
 * there. Its id, or −ENOENT; −EBUSY when the first was not done.
 */
export function dropCollection(
  t: Tables,
  isGone: boolean,
  u8: Uint8Array,
  start: number,
  end: number,
): number {
  const id = collections.findCollection(t, u8, start, end);
  if (id === 0) return -ENOENT;
  const options = collections.optionsOf(t, id);
  if (isGone && (options & collections.DROPPING) === 0) return -EBUSY;

  t.sequence.writeBegin();
  if (isGone) collections.removeCollection(t, id);
  else collections.setOptions(t, id, (options | collections.DROPPING) >>> 0);
  t.sequence.writeEnd();
  return id;
}

/** The index has seen version `version` of the file. −ESTALE when the file is not the one it was. */
export function setIndexed(
  t: Tables,
  ino: number,
  generation: number,
  version: number,
  status: number,
  chunks: number,
): number {
  if (!inodes.isLive(t, ino)) return -ESTALE;
  const at = ino * INODE_WORDS;
  if (t.inode[at + I_GENERATION] !== generation) return -ESTALE;

  t.sequence.writeBegin();
  t.inode[at + I_INDEXED] = version;
  t.inode[at + I_INDEX_STATUS] = status;
  t.inode[at + I_CHUNKS] = chunks;
  t.sequence.writeEnd();
  return 0;
}

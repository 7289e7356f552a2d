/**
 * A reply to the kernel in one fixed buffer: fuse_out_header, then the body the operation encoded at
 * {@link BODY}. One `write` sends it. The encoders below put one struct at a byte offset of the reply's words
 * (8-aligned, as every struct of the ABI is); they write all its bytes, padding included.
 */
import { assert } from '../../runtime/assert.ts';
import { FUSE_REPLY_BYTES } from '../../runtime/config/bounds.ts';
import {
  ATTR_OUT_BYTES,
  COPY_FILE_RANGE_OUT_BYTES,
  DIRENT_NAME,
  ENTRY_OUT_BYTES,
  FUSE_NOTIFY_INVAL_ENTRY,
  FUSE_NOTIFY_INVAL_INODE,
  FUSE_OUT_HEADER_BYTES,
  GETXATTR_OUT_BYTES,
  IOCTL_OUT_BYTES,
  LSEEK_OUT_BYTES,
  NOTIFY_INVAL_ENTRY_OUT_BYTES,
  NOTIFY_INVAL_INODE_OUT_BYTES,
  OPEN_OUT_BYTES,
  STATFS_OUT_BYTES,
  STATX_ATIME,
  STATX_BASIC_STATS_AND_BTIME,
  STATX_BLKSIZE,
  STATX_BLOCKS,
  STATX_BTIME,
  STATX_CTIME,
  STATX_GID,
  STATX_INO,
  STATX_MASK,
  STATX_MODE,
  STATX_MTIME,
  STATX_NLINK,
  STATX_OUT_ATTR_VALID_NSEC,
  STATX_OUT_BYTES,
  STATX_OUT_STAT,
  STATX_RDEV_MAJOR,
  STATX_RDEV_MINOR,
  STATX_SIZE,
  STATX_UID,
  WRITE_OUT_BYTES,
} from './abi.ts';
import type { Attr } from './attr.ts';
import type { Request } from './request.ts';

/** Byte offset of a reply's body: everything after fuse_out_header. */
export const BODY = FUSE_OUT_HEADER_BYTES;
/** A cache time for what nobody but the kernel's own requests can change: about 31 years, in seconds. */
export const FOREVER = 1e9;

const WORD = 4294967296;

export class Reply {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  /** Bytes to send, header included. 0 until `ok`, `error` or `notify`. */
  length = 0;

  /** @param buffer may be shared memory; `byteOffset` 8-aligned. */
  constructor(buffer?: ArrayBufferLike, byteOffset = 0, bytes = FUSE_REPLY_BYTES) {
    const memory = buffer ?? new ArrayBuffer(bytes);
    this.u8 = new Uint8Array(memory, byteOffset, bytes);
    this.u32 = new Uint32Array(memory, byteOffset, bytes >>> 2);
    this.i32 = new Int32Array(memory, byteOffset, bytes >>> 2);
  }

  /** Starts the reply to `request`. */
  begin(request: Request): void {
    this.beginUnique(request.uniqueLo, request.uniqueHi);
  }

  /** Starts the reply to a request that another thread read. */
  beginUnique(uniqueLo: number, uniqueHi: number): void {
    this.u32[2] = uniqueLo;
    this.u32[3] = uniqueHi;
    this.length = 0;
  }

  /** Ends the reply as a failure. @param error negative errno, −1 … −511 (the kernel's own bound). */
  error(error: number): void {
    assert(error < 0 && error > -512, 'a FUSE error is a negative errno');
    this.u32[0] = BODY;
    this.i32[1] = error;
    this.length = BODY;
  }

  /** Ends the reply as a success with `bodyBytes` bytes at BODY. */
  ok(bodyBytes: number): void {
    const length = BODY + bodyBytes;
    assert(bodyBytes >= 0 && length <= this.u8.length, 'a FUSE reply fits its buffer');
    this.u32[0] = length;
    this.i32[1] = 0;
    this.length = length;
  }

  /** Ends a notification (FUSE_NOTIFY_*), a message that answers no request. */
  notify(code: number, bodyBytes: number): void {
    this.ok(bodyBytes);
    this.i32[1] = code;
    this.u32[2] = 0;
    this.u32[3] = 0;
  }

  /** FUSE_NOTIFY_INVAL_INODE: drops cached attributes and, from `offset` (negative: none), cached data. */
  notifyInvalInode(nodeLo: number, nodeHi: number, offset: number, length: number): void {
    const u32 = this.u32;
    u32[4] = nodeLo;
    u32[5] = nodeHi;
    encodeU64(u32, BODY + 8, offset);
    encodeU64(u32, BODY + 16, length);
    this.notify(FUSE_NOTIFY_INVAL_INODE, NOTIFY_INVAL_INODE_OUT_BYTES);
  }

  /** FUSE_NOTIFY_INVAL_ENTRY: drops one cached name. `flags`: 0 or FUSE_EXPIRE_ONLY. */
  notifyInvalEntry(parentLo: number, parentHi: number, name: Uint8Array, flags: number): void {
    const u32 = this.u32;
    u32[4] = parentLo;
    u32[5] = parentHi;
    u32[6] = name.length;
    u32[7] = flags;
    const at = BODY + NOTIFY_INVAL_ENTRY_OUT_BYTES;
    this.u8.set(name, at);
    this.u8[at + name.length] = 0;
    this.notify(FUSE_NOTIFY_INVAL_ENTRY, NOTIFY_INVAL_ENTRY_OUT_BYTES + name.length + 1);
  }
}

/** u64 from an integer double; a negative one in two's complement. */
function encodeU64(u32: Uint32Array, at: number, value: number): void {
  const word = at >>> 2;
  u32[word] = value >>> 0;
  u32[word + 1] = Math.floor(value / WORD) >>> 0;
}

/** struct fuse_attr (ATTR_BYTES). */
function encodeAttr(u32: Uint32Array, at: number, attr: Attr): void {
  const word = at >>> 2;
  u32[word] = attr.ino;
  u32[word + 1] = attr.inoHi;
  u32[word + 2] = attr.size >>> 0;
  u32[word + 3] = attr.size / WORD;
  u32[word + 4] = attr.blocks >>> 0;
  u32[word + 5] = attr.blocks / WORD;
  u32[word + 6] = attr.atime >>> 0;
  u32[word + 7] = Math.floor(attr.atime / WORD) >>> 0;
  u32[word + 8] = attr.mtime >>> 0;
  u32[word + 9] = Math.floor(attr.mtime / WORD) >>> 0;
  u32[word + 10] = attr.ctime >>> 0;
  u32[word + 11] = Math.floor(attr.ctime / WORD) >>> 0;
  u32[word + 12] = attr.atimeNs;
  u32[word + 13] = attr.mtimeNs;
  u32[word + 14] = attr.ctimeNs;
  u32[word + 15] = attr.mode;
  u32[word + 16] = attr.nlink;
  u32[word + 17] = attr.uid;
  u32[word + 18] = attr.gid;
  u32[word + 19] = attr.rdev;
  u32[word + 20] = attr.blksize;
  u32[word + 21] = 0;
}

/** struct fuse_attr_out. `attrValid`: seconds (may be a fraction) the kernel may trust them. Returns its size. */
export function encodeAttrOut(u32: Uint32Array, at: number, attr: Attr, attrValid: number): number {
  const word = at >>> 2;
  u32[word] = attrValid >>> 0;
  u32[word + 1] = 0;
  u32[word + 2] = (attrValid % 1) * 1e9;
  u32[word + 3] = 0;
  encodeAttr(u32, at + 16, attr);
  return ATTR_OUT_BYTES;
}

/**
 * struct fuse_entry_out; the node id is the attributes' inode number. Seconds as in {@link encodeAttrOut}.
 * Returns its size.
 */
export function encodeEntryOut(
  u32: Uint32Array,
  at: number,
  attr: Attr,
  entryValid: number,
  attrValid: number,
): number {
  const word = at >>> 2;
  u32[word] = attr.ino;
  u32[word + 1] = attr.inoHi;
  u32[word + 2] = attr.generation;
  u32[word + 3] = 0;
  u32[word + 4] = entryValid >>> 0;
  u32[word + 5] = 0;
  u32[word + 6] = attrValid >>> 0;
  u32[word + 7] = 0;
  u32[word + 8] = (entryValid % 1) * 1e9;
  u32[word + 9] = (attrValid % 1) * 1e9;
  encodeAttr(u32, at + 40, attr);
  return ENTRY_OUT_BYTES;
}

/** A fuse_entry_out that says "no such name" (node id 0), cached for `entryValid` seconds. Returns its size. */
export function encodeNegativeEntryOut(u32: Uint32Array, at: number, entryValid: number): number {
  const word = at >>> 2;
  u32.fill(0, word, word + ENTRY_OUT_BYTES / 4);
  u32[word + 4] = entryValid >>> 0;
  u32[word + 8] = (entryValid % 1) * 1e9;
  return ENTRY_OUT_BYTES;
}

/** struct fuse_sx_time. */
function encodeStatxTime(u32: Uint32Array, at: number, seconds: number, nanoseconds: number): void {
  encodeU64(u32, at, seconds);
  u32[(at >>> 2) + 2] = nanoseconds;
}

/** struct fuse_statx_out with everything that is known. Seconds as in {@link encodeAttrOut}. Returns its size. */
export function encodeStatxOut(u32: Uint32Array, at: number, attr: Attr, attrValid: number): number {
  u32.fill(0, at >>> 2, (at + STATX_OUT_BYTES) >>> 2);
  u32[at >>> 2] = attrValid >>> 0;
  u32[(at + STATX_OUT_ATTR_VALID_NSEC) >>> 2] = (attrValid % 1) * 1e9;
  const stat = at + STATX_OUT_STAT;
  u32[(stat + STATX_MASK) >>> 2] = STATX_BASIC_STATS_AND_BTIME;
  u32[(stat + STATX_BLKSIZE) >>> 2] = attr.blksize;
  u32[(stat + STATX_NLINK) >>> 2] = attr.nlink;
  u32[(stat + STATX_UID) >>> 2] = attr.uid;
  u32[(stat + STATX_GID) >>> 2] = attr.gid;
  u32[(stat + STATX_MODE) >>> 2] = attr.mode;
  u32[(stat + STATX_INO) >>> 2] = attr.ino;
  u32[(stat + STATX_INO + 4) >>> 2] = attr.inoHi;
  encodeU64(u32, stat + STATX_SIZE, attr.size);
  encodeU64(u32, stat + STATX_BLOCKS, attr.blocks);
  encodeStatxTime(u32, stat + STATX_ATIME, attr.atime, attr.atimeNs);
  encodeStatxTime(u32, stat + STATX_BTIME, attr.btime, attr.btimeNs);
  encodeStatxTime(u32, stat + STATX_CTIME, attr.ctime, attr.ctimeNs);
  encodeStatxTime(u32, stat + STATX_MTIME, attr.mtime, attr.mtimeNs);
  // As the kernel's new_encode_dev packs them.
  u32[(stat + STATX_RDEV_MAJOR) >>> 2] = (attr.rdev >>> 8) & 0xfff;
  u32[(stat + STATX_RDEV_MINOR) >>> 2] = (attr.rdev & 0xff) | ((attr.rdev >>> 12) & 0xfff00);
  return STATX_OUT_BYTES;
}

/** struct fuse_ioctl_out of a call that succeeded, before the data that it returns. Returns its size. */
export function encodeIoctlOut(u32: Uint32Array, at: number): number {
  u32.fill(0, at >>> 2, (at + IOCTL_OUT_BYTES) >>> 2);
  return IOCTL_OUT_BYTES;
}

/** struct fuse_copy_file_range_out: bytes copied. Returns its size. */
export function encodeCopyFileRangeOut(u32: Uint32Array, at: number, bytes: number): number {
  encodeU64(u32, at, bytes);
  return COPY_FILE_RANGE_OUT_BYTES;
}

/** struct fuse_open_out, with file handle 0. In a CREATE reply it follows the fuse_entry_out. Returns its size. */
export function encodeOpenOut(u32: Uint32Array, at: number, openFlags: number, backingId = 0): number {
  const word = at >>> 2;
  u32[word] = 0;
  u32[word + 1] = 0;
  u32[word + 2] = openFlags;
  u32[word + 3] = backingId;
  return OPEN_OUT_BYTES;
}

/** struct fuse_write_out: bytes written. Returns its size. */
export function encodeWriteOut(u32: Uint32Array, at: number, size: number): number {
  u32[at >>> 2] = size;
  u32[(at >>> 2) + 1] = 0;
  return WRITE_OUT_BYTES;
}

/** struct fuse_getxattr_out: the answer of GETXATTR and LISTXATTR to a size of 0. Returns its size. */
export function encodeGetxattrOut(u32: Uint32Array, at: number, size: number): number {
  u32[at >>> 2] = size;
  u32[(at >>> 2) + 1] = 0;
  return GETXATTR_OUT_BYTES;
}

/** struct fuse_lseek_out. Returns its size. */
export function encodeLseekOut(u32: Uint32Array, at: number, offset: number): number {
  encodeU64(u32, at, offset);
  return LSEEK_OUT_BYTES;
}

/** struct fuse_statfs_out; block counts are in units of `bsize` (also reported as frsize). Returns its size. */
export function encodeStatfsOut(
  u32: Uint32Array,
  at: number,
  blocks: number,
  freeBlocks: number,
  availableBlocks: number,
  files: number,
  freeFiles: number,
  bsize: number,
  nameMax: number,
): number {
  const word = at >>> 2;
  encodeU64(u32, at, blocks);
  encodeU64(u32, at + 8, freeBlocks);
  encodeU64(u32, at + 16, availableBlocks);
  encodeU64(u32, at + 24, files);
  encodeU64(u32, at + 32, freeFiles);
  u32[word + 10] = bsize;
  u32[word + 11] = nameMax;
  u32[word + 12] = bsize;
  u32.fill(0, word + 13, word + STATFS_OUT_BYTES / 4);
  return STATFS_OUT_BYTES;
}

/** Bytes a fuse_dirent (or, with `plus`, a fuse_direntplus) with a name of `nameBytes` takes in the reply. */
export function direntBytes(nameBytes: number, plus: boolean): number {
  return ((DIRENT_NAME + nameBytes + 7) & ~7) + (plus ? ENTRY_OUT_BYTES : 0);
}

/**
 * struct fuse_dirent. The name is `names[nameStart, nameEnd)`; `type` is `mode >>> 12`; `off` is the cookie the
 * kernel gives back to continue *after* this entry. Returns its size, padding included.
 */
export function encodeDirent(
  reply: Reply,
  at: number,
  inoLo: number,
  inoHi: number,
  offLo: number,
  offHi: number,
  type: number,
  names: Uint8Array,
  nameStart: number,
  nameEnd: number,
): number {
  const { u8, u32 } = reply;
  const word = at >>> 2;
  const nameBytes = nameEnd - nameStart;
  const bytes = (DIRENT_NAME + nameBytes + 7) & ~7;
  // The last 8 bytes first: the name then overwrites all but the padding.
  u32[(at + bytes - 8) >>> 2] = 0;
  u32[(at + bytes - 4) >>> 2] = 0;
  u32[word] = inoLo;
  u32[word + 1] = inoHi;
  u32[word + 2] = offLo;
  u32[word + 3] = offHi;
  u32[word + 4] = nameBytes;
  u32[word + 5] = type;
  for (let i = 0; i < nameBytes; i++) u8[at + DIRENT_NAME + i] = names[nameStart + i]!;
  return bytes;
}

/**
 * struct fuse_direntplus: a fuse_entry_out, then the fuse_dirent. The kernel counts it as one lookup of the inode,
 * except for "." and ".." and where the node id is 0 ({@link encodeNegativeEntryOut} in front: "look it up
 * yourself"). Returns its size.
 */
export function encodeDirentplus(
  reply: Reply,
  at: number,
  attr: Attr,
  entryValid: number,
  attrValid: number,
  offLo: number,
  offHi: number,
  names: Uint8Array,
  nameStart: number,
  nameEnd: number,
): number {
  encodeEntryOut(reply.u32, at, attr, entryValid, attrValid);
  return (
    ENTRY_OUT_BYTES +
    encodeDirent(
      reply,
      at + ENTRY_OUT_BYTES,
      attr.ino,
      attr.inoHi,
      offLo,
      offHi,
      attr.mode >>> 12,
      names,
      nameStart,
      nameEnd,
    )
  );
}

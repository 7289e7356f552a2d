/**
 * A request from the kernel: a fixed buffer the channel reads into, and the decoded header. `parse` checks every
 * length and finds the names and the payload, so that the operations index into the buffer without further
 * checks. Words past the message hold bytes of earlier requests; nothing in here reads them.
 */
import { FUSE_REQUEST_BYTES } from '../../runtime/config/bounds.ts';
import {
  ACCESS_IN_BYTES,
  BATCH_FORGET_IN_BYTES,
  BMAP_IN_BYTES,
  COPY_FILE_RANGE_IN_BYTES,
  CREATE_IN_BYTES,
  FALLOCATE_IN_BYTES,
  FLUSH_IN_BYTES,
  FORGET_IN_BYTES,
  FORGET_ONE_BYTES,
  FSYNC_IN_BYTES,
  FUSE_ACCESS,
  FUSE_BATCH_FORGET,
  FUSE_BMAP,
  FUSE_COMPAT_INIT_IN_BYTES,
  FUSE_COMPAT_SETXATTR_IN_SIZE,
  FUSE_COPY_FILE_RANGE,
  FUSE_COPY_FILE_RANGE_64,
  FUSE_CREATE,
  FUSE_FALLOCATE,
  FUSE_FLUSH,
  FUSE_FORGET,
  FUSE_FSYNC,
  FUSE_FSYNCDIR,
  FUSE_GETATTR,
  FUSE_GETLK,
  FUSE_GETXATTR,
  FUSE_IN_HEADER_BYTES,
  FUSE_INIT,
  FUSE_INTERRUPT,
  FUSE_IOCTL,
  FUSE_LINK,
  FUSE_LISTXATTR,
  FUSE_LOOKUP,
  FUSE_LSEEK,
  FUSE_MKDIR,
  FUSE_MKNOD,
  FUSE_NOTIFY_REPLY,
  FUSE_OPEN,
  FUSE_OPENDIR,
  FUSE_POLL,
  FUSE_READ,
  FUSE_READDIR,
  FUSE_READDIRPLUS,
  FUSE_RELEASE,
  FUSE_RELEASEDIR,
  FUSE_REMOVEXATTR,
  FUSE_RENAME,
  FUSE_RENAME2,
  FUSE_RMDIR,
  FUSE_SETATTR,
  FUSE_SETLK,
  FUSE_SETLKW,
  FUSE_SETXATTR,
  FUSE_STATX,
  FUSE_SYMLINK,
  FUSE_SYNCFS,
  FUSE_TMPFILE,
  FUSE_UNLINK,
  FUSE_WRITE,
  GETATTR_IN_BYTES,
  GETXATTR_IN_BYTES,
  INTERRUPT_IN_BYTES,
  IOCTL_IN_BYTES,
  IOCTL_IN_IN_SIZE,
  LINK_IN_BYTES,
  LK_IN_BYTES,
  LSEEK_IN_BYTES,
  MKDIR_IN_BYTES,
  MKNOD_IN_BYTES,
  NOTIFY_RETRIEVE_IN_BYTES,
  OPCODES,
  OPEN_IN_BYTES,
  POLL_IN_BYTES,
  READ_IN_BYTES,
  RELEASE_IN_BYTES,
  RENAME_IN_BYTES,
  RENAME2_IN_BYTES,
  SETATTR_IN_BYTES,
  SETXATTR_IN_BYTES,
  STATX_IN_BYTES,
  SYNCFS_IN_BYTES,
  WRITE_IN_BYTES,
} from './abi.ts';

/** Byte offset of a request's body: everything after fuse_in_header. */
export const BODY = FUSE_IN_HEADER_BYTES;

/** Per opcode: bytes of the fixed struct, and how many NUL-terminated strings follow it. */
const FIXED = new Uint8Array(OPCODES);
const NAMES = new Uint8Array(OPCODES);
for (const [opcode, fixed, names] of [
  [FUSE_LOOKUP, 0, 1],
  [FUSE_FORGET, FORGET_IN_BYTES, 0],
  [FUSE_GETATTR, GETATTR_IN_BYTES, 0],
  [FUSE_SETATTR, SETATTR_IN_BYTES, 0],
  [FUSE_SYMLINK, 0, 2],
  [FUSE_MKNOD, MKNOD_IN_BYTES, 1],
  [FUSE_MKDIR, MKDIR_IN_BYTES, 1],
  [FUSE_UNLINK, 0, 1],
  [FUSE_RMDIR, 0, 1],
  [FUSE_RENAME, RENAME_IN_BYTES, 2],
  [FUSE_LINK, LINK_IN_BYTES, 1],
  [FUSE_OPEN, OPEN_IN_BYTES, 0],
  [FUSE_READ, READ_IN_BYTES, 0],
  [FUSE_WRITE, WRITE_IN_BYTES, 0],
  [FUSE_RELEASE, RELEASE_IN_BYTES, 0],
  [FUSE_FSYNC, FSYNC_IN_BYTES, 0],
  [FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, 1],
  [FUSE_GETXATTR, GETXATTR_IN_BYTES, 1],
  [FUSE_LISTXATTR, GETXATTR_IN_BYTES, 0],
  [FUSE_REMOVEXATTR, 0, 1],
  [FUSE_FLUSH, FLUSH_IN_BYTES, 0],
  [FUSE_INIT, FUSE_COMPAT_INIT_IN_BYTES, 0],
  [FUSE_OPENDIR, OPEN_IN_BYTES, 0],
  [FUSE_READDIR, READ_IN_BYTES, 0],
  [FUSE_RELEASEDIR, RELEASE_IN_BYTES, 0],
  [FUSE_FSYNCDIR, FSYNC_IN_BYTES, 0],
  [FUSE_GETLK, LK_IN_BYTES, 0],
  [FUSE_SETLK, LK_IN_BYTES, 0],
  [FUSE_SETLKW, LK_IN_BYTES, 0],
  [FUSE_ACCESS, ACCESS_IN_BYTES, 0],
  [FUSE_CREATE, CREATE_IN_BYTES, 1],
  [FUSE_INTERRUPT, INTERRUPT_IN_BYTES, 0],
  [FUSE_BMAP, BMAP_IN_BYTES, 0],
  [FUSE_IOCTL, IOCTL_IN_BYTES, 0],
  [FUSE_POLL, POLL_IN_BYTES, 0],
  [FUSE_NOTIFY_REPLY, NOTIFY_RETRIEVE_IN_BYTES, 0],
  [FUSE_BATCH_FORGET, BATCH_FORGET_IN_BYTES, 0],
  [FUSE_FALLOCATE, FALLOCATE_IN_BYTES, 0],
  [FUSE_READDIRPLUS, READ_IN_BYTES, 0],
  [FUSE_RENAME2, RENAME2_IN_BYTES, 2],
  [FUSE_LSEEK, LSEEK_IN_BYTES, 0],
  [FUSE_COPY_FILE_RANGE, COPY_FILE_RANGE_IN_BYTES, 0],
  [FUSE_SYNCFS, SYNCFS_IN_BYTES, 0],
  [FUSE_TMPFILE, CREATE_IN_BYTES, 1],
  [FUSE_STATX, STATX_IN_BYTES, 0],
  [FUSE_COPY_FILE_RANGE_64, COPY_FILE_RANGE_IN_BYTES, 0],
] as const) {
  FIXED[opcode] = fixed;
  NAMES[opcode] = names;
}

export class Request {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;

  // fuse_in_header
  opcode = 0;
  uniqueLo = 0;
  uniqueHi = 0;
  nodeLo = 0;
  nodeHi = 0;
  uid = 0;
  gid = 0;
  pid = 0;

  /** Byte offset just after the body (extensions, which follow it, are not negotiated and skipped). */
  end = 0;
  /** Byte range of the first and second string, without their NULs; empty range 0 … 0 where there is none. */
  nameStart = 0;
  nameEnd = 0;
  name2Start = 0;
  name2End = 0;
  /** Byte range of the payload of WRITE and IOCTL, the value of SETXATTR, the fuse_forget_one array of BATCH_FORGET. */
  dataStart = 0;
  dataEnd = 0;

  /** Whether SETXATTR_EXT was agreed: fuse_setxattr_in is then 16 bytes, else 8. */
  setxattrExt = true;

  /** @param buffer may be shared memory; `byteOffset` 8-aligned, `bytes` at least FUSE_MIN_READ_BUFFER (8 KiB). */
  constructor(buffer?: ArrayBufferLike, byteOffset = 0, bytes = FUSE_REQUEST_BYTES) {
    const memory = buffer ?? new ArrayBuffer(bytes);
    this.u8 = new Uint8Array(memory, byteOffset, bytes);
    this.u32 = new Uint32Array(memory, byteOffset, bytes >>> 2);
    this.i32 = new Int32Array(memory, byteOffset, bytes >>> 2);
  }

  /** u32 at a byte offset (4-aligned) from the body. */
  word(offset: number): number {
    return this.u32[(BODY + offset) >>> 2]!;
  }

  /** u64 at a byte offset from the body, as a double: exact below 2^53. */
  u64(offset: number): number {
    const at = (BODY + offset) >>> 2;
    return this.u32[at + 1]! * 4294967296 + this.u32[at]!;
  }

  /** s64 (a time in seconds) at a byte offset from the body, as a double: exact within ±2^53. */
  s64(offset: number): number {
    const at = (BODY + offset) >>> 2;
    return this.i32[at + 1]! * 4294967296 + this.u32[at]!;
  }

  /**
   * Decodes a message of `length` bytes. False = malformed: only opcode, unique and node are then to be trusted,
   * and all are 0 where even the header was cut off.
   */
  parse(length: number): boolean {
    const u32 = this.u32;
    this.nameStart = this.nameEnd = this.name2Start = this.name2End = this.dataStart = this.dataEnd = 0;
    if (length < BODY || length > this.u8.length) {
      this.opcode = this.uniqueLo = this.uniqueHi = this.nodeLo = this.nodeHi = 0;
      this.uid = this.gid = this.pid = this.end = 0;
      return false;
    }
    const opcode = u32[1]!;
    this.opcode = opcode;
    this.uniqueLo = u32[2]!;
    this.uniqueHi = u32[3]!;
    this.nodeLo = u32[4]!;
    this.nodeHi = u32[5]!;
    this.uid = u32[6]!;
    this.gid = u32[7]!;
    this.pid = u32[8]!;
    const end = length - (u32[9]! & 0xffff) * 8;
    this.end = end;
    if (u32[0] !== length || end < BODY) return false;
    if (opcode >= OPCODES) return true;

    let at = BODY + FIXED[opcode]!;
    if (opcode === FUSE_SETXATTR && this.setxattrExt) at = BODY + SETXATTR_IN_BYTES;
    if (at > end) return false;
    const names = NAMES[opcode]!;
    if (names > 0) {
      this.nameStart = at;
      at = this.#terminator(at, end);
      if (at === 0 || at === this.nameStart) return false;
      this.nameEnd = at++;
      if (names > 1) {
        this.name2Start = at;
        at = this.#terminator(at, end);
        if (at === 0 || at === this.name2Start) return false;
        this.name2End = at++;
      }
    }
    if (opcode === FUSE_WRITE) return this.#data(at, u32[(BODY + 16) >>> 2]!);
    if (opcode === FUSE_SETXATTR) return this.#data(at, u32[BODY >>> 2]!);
    if (opcode === FUSE_IOCTL) return this.#data(at, u32[(BODY + IOCTL_IN_IN_SIZE) >>> 2]!);
    if (opcode === FUSE_BATCH_FORGET) return this.#data(at, u32[BODY >>> 2]! * FORGET_ONE_BYTES);
    return true;
  }

  /** Offset of the first NUL in [start, end), or 0. */
  #terminator(start: number, end: number): number {
    const u8 = this.u8;
    for (let at = start; at < end; at++) if (u8[at] === 0) return at;
    return 0;
  }

  #data(start: number, bytes: number): boolean {
    if (bytes > this.end - start) return false;
    this.dataStart = start;
    this.dataEnd = start + bytes;
    return true;
  }
}

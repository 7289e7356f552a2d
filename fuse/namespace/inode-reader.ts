/**
 * Questions to one inode of the namespace. Any thread, at any time, without a lock: each tries until it has read a consistent
 * state (tables.ts says how that ends). They return values ≥ 0 or −errno; ESTALE = there is no such inode (any more).
 */
import { NAME_MAX } from '../../runtime/config/bounds.ts';
import {
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  ENOTDIR,
  ERANGE,
  ESTALE,
} from '../../runtime/errno.ts';
import type { Attr } from '../protocol/attr.ts';
import { IS_OBJECT } from './content.ts';
import { readBlock } from './data.ts';
import { find, nameBytes, nameLength, nameOffset } from './dentries.ts';
import { entryAfter, isDirectory, parentOf } from './directories.ts';
import { fillAttr, isLive, isRegular } from './inodes.ts';
import {
  D_INODE,
  D_SEQUENCE,
  DENTRY_WORDS,
  I_GENERATION,
  I_MODE,
  I_NLINK,
  I_OBJECT,
  INODE_WORDS,
  S_IFLNK,
  S_IFMT,
  SEQUENCE_MAX,
} from './layout.ts';
import { copyBytes, dots, hashName } from './names.ts';
import type { Tables } from './tables.ts';
import { XattrCursor } from './xattrs.ts';

/** One entry of a directory; filled by {@link InodeReader.readdir} and reused. */
export class DirEntry {
  ino = 0;
  /** Type and permission bits. */
  mode = 0;
  readonly name = new Uint8Array(256);
  nameLength = 0;
  /** Position after this entry: pass it to `readdir` to go on. (0, 0) is the beginning; cookieHi < 2^31. */
  cookieLo = 0;
  cookieHi = 0;
}

const DOT_COOKIE = 1;
const DOT_DOT_COOKIE = 2;
const DOT = 0x2e;

/** What is asked of one inode. */
export class InodeReader {
  protected readonly tables: Tables;
  readonly #xattrs = new XattrCursor();

  constructor(tables: Tables) {
    this.tables = tables;
  }

  /** The inode of an entry; "." and ".." are the directory and its parent. ENOENT, ENOTDIR, ENAMETOOLONG. */
  lookup(parent: number, u8: Uint8Array, start: number, end: number): number {
    if (end - start > NAME_MAX) return -ENAMETOOLONG;
    const hash = hashName(parent, u8, start, end);
    for (let attempt = 0; ; attempt++) {
      this.tables.beginRead(attempt);
      const result = this.#lookup(parent, hash, u8, start, end);
      if (this.tables.endRead()) return result;
    }
  }

  #lookup(parent: number, hash: number, u8: Uint8Array, start: number, end: number): number {
    const t = this.tables;
    if (!isLive(t, parent)) return -ESTALE;
    if (!isDirectory(t, parent)) return -ENOTDIR;
    const slot = find(t, parent, hash, u8, start, end);
    if (slot !== 0) return t.dentry[slot * DENTRY_WORDS + D_INODE]!;
    const special = dots(u8, start, end);
    if (special === 0) return -ENOENT;
    return special === 1 ? parent : parentOf(t, parent) || -ENOENT;
  }

  /** 0 or −ESTALE. */
  stat(ino: number, out: Attr): number {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const live = isLive(t, ino);
      if (live) fillAttr(t, ino, out);
      if (t.endRead()) return live ? 0 : -ESTALE;
    }
  }

  /** Whether this very inode (not a later one of the same number) exists and has a name. */
  exists(ino: number, generation: number): boolean {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const at = ino * INODE_WORDS;
      const result =
        isLive(t, ino) && t.inode[at + I_GENERATION] === generation && t.inode[at + I_NLINK] !== 0;
      if (t.endRead()) return result;
    }
  }

  /** Copies the target (at most 4,095 bytes) to u8[at …) and returns its length; EINVAL if it is no symlink. */
  readlink(ino: number, u8: Uint8Array, at: number): number {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      let result = -ESTALE;
      if (isLive(t, ino)) {
        const isLink = (t.inode[ino * INODE_WORDS + I_MODE]! & S_IFMT) === S_IFLNK;
        result = isLink ? readBlock(t, ino, 0, u8.length - at, u8, at) : -EINVAL;
      }
      if (t.endRead()) return result;
    }
  }

  /**
   * Fills `entry` with the one after position (cookieLo, cookieHi); false at the end, and for what is no directory.
   * "." and ".." come first, then the newest entries first. An entry that is there all along comes exactly once.
   */
  readdir(ino: number, cookieLo: number, cookieHi: number, entry: DirEntry): boolean {
    for (let attempt = 0; ; attempt++) {
      this.tables.beginRead(attempt);
      const found = this.#readdir(ino, cookieLo, cookieHi, entry);
      if (this.tables.endRead()) return found;
    }
  }

  #readdir(ino: number, cookieLo: number, cookieHi: number, entry: DirEntry): boolean {
    const t = this.tables;
    if (!isLive(t, ino) || !isDirectory(t, ino) || t.inode[ino * INODE_WORDS + I_NLINK] === 0) return false;
    if (cookieHi === 0 && cookieLo < DOT_DOT_COOKIE) {
      const isSelf = cookieLo < DOT_COOKIE;
      entry.name.fill(DOT, 0, 2);
      entry.nameLength = isSelf ? 1 : 2;
      entry.cookieLo = isSelf ? DOT_COOKIE : DOT_DOT_COOKIE;
      entry.cookieHi = 0;
      return this.#inodeOf(isSelf ? ino : parentOf(t, ino), entry);
    }
    const slot = entryAfter(t, ino, cookieLo, cookieHi === 0 ? SEQUENCE_MAX + 1 : cookieHi);
    const from = slot === 0 ? -1 : nameOffset(t, slot);
    if (from < 0) return false;
    entry.nameLength = nameLength(t, slot);
    copyBytes(entry.name, 0, nameBytes(t, slot), from, Math.min(entry.nameLength, NAME_MAX));
    entry.cookieLo = slot;
    entry.cookieHi = t.dentry[slot * DENTRY_WORDS + D_SEQUENCE]!;
    return this.#inodeOf(t.dentry[slot * DENTRY_WORDS + D_INODE]!, entry);
  }

  #inodeOf(ino: number, entry: DirEntry): boolean {
    entry.ino = ino;
    if (!isLive(this.tables, ino)) return false;
    entry.mode = this.tables.inode[ino * INODE_WORDS + I_MODE]!;
    return true;
  }

  /** Copies up to `length` bytes of an inline file to u8[at …); returns how many, or IS_OBJECT, EISDIR, EINVAL. */
  readInline(ino: number, offset: number, length: number, u8: Uint8Array, at: number): number {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      let result = -ESTALE;
      if (isLive(t, ino)) {
        if (!isRegular(t, ino)) result = isDirectory(t, ino) ? -EISDIR : -EINVAL;
        else if (t.inode[ino * INODE_WORDS + I_OBJECT] !== 0) result = IS_OBJECT;
        else result = readBlock(t, ino, offset, length, u8, at);
      }
      if (t.endRead()) return result;
    }
  }

  /** Object that holds the file's bytes, 0 = they are inline (or it is no file). */
  objectOf(ino: number): number {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const result = isLive(t, ino) && isRegular(t, ino) ? t.inode[ino * INODE_WORDS + I_OBJECT]! : 0;
      if (t.endRead()) return result;
    }
  }

  /** getxattr(2): the value's length; `room` 0 only asks for it. ENODATA, ERANGE if it does not fit `room`. */
  getxattr(
    ino: number,
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    u8: Uint8Array,
    at: number,
    room: number,
  ): number {
    const t = this.tables;
    const cursor = this.#xattrs;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      let result = -ESTALE;
      if (isLive(t, ino)) {
        result = -ENODATA;
        if (cursor.find(t, ino, name, nameStart, nameEnd)) {
          result = room !== 0 && cursor.valueLength > room ? -ERANGE : cursor.valueLength;
          if (room !== 0 && result > 0) copyBytes(u8, at, t.bytes, cursor.value, result);
        }
      }
      if (t.endRead()) return result;
    }
  }

  /** listxattr(2): names with a NUL after each; `room` 0 only asks for the length. ERANGE if it does not fit. */
  listxattr(ino: number, u8: Uint8Array, at: number, room: number): number {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const result = isLive(t, ino) ? this.#listxattr(ino, u8, at, room) : -ESTALE;
      if (t.endRead()) return result;
    }
  }

  #listxattr(ino: number, u8: Uint8Array, at: number, room: number): number {
    const t = this.tables;
    const cursor = this.#xattrs;
    let length = 0;
    for (cursor.open(t, ino); cursor.next(t); length += cursor.nameLength + 1) {
      if (room === 0) continue;
      if (length + cursor.nameLength + 1 > room) return -ERANGE;
      copyBytes(u8, at + length, t.bytes, cursor.name, cursor.nameLength);
      u8[at + length + cursor.nameLength] = 0;
    }
    return length;
  }
}

/**
 * Extended attributes: all of an inode's in one slab block. Contract and locking: tables.ts.
 *
 * Block: u32 bytes used (this word included), then entries one after the other:
 *   u32 head      name length in the low 8 bits, value length above them
 *   value, name, zeroes up to a multiple of 4 (so a vector is aligned as its floats want it)
 *
 * Limits as Linux has them (include/uapi/linux/limits.h): name 255 bytes, value 64 KiB, list 64 KiB. The attributes of
 * one inode together may take {@link XATTRS_MAX}, more than ext4's one block and less than XFS's no limit at all.
 */

import { XATTR_SIZE_MAX, XATTRS_MAX } from '../../runtime/config/bounds.ts';
import type { SlabHandle } from '../../runtime/memory/slab.ts';
import { TAG_XATTRS } from '../slab-tags.ts';
import { I_XATTRS, INODE_WORDS } from './layout.ts';
import { copyBytes, sameBytes } from './names.ts';
import type { Tables } from './tables.ts';

const HEADER = 4;
/** Bytes of a block without entries. */
export const EMPTY_BYTES = HEADER;

export function entryBytes(nameLength: number, valueLength: number): number {
  return (4 + nameLength + valueLength + 3) & ~3;
}

/** Cursor over the entries of one inode's block; one per thread. The fields are byte offsets in `t.bytes`. */
export class XattrCursor {
  /** The current entry. */
  at = 0;
  name = 0;
  nameLength = 0;
  value = 0;
  valueLength = 0;
  #end = 0;
  #next = 0;

  /** Goes before the first entry. May be called by readers, as {@link next}. */
  open(t: Tables, ino: number): void {
    const block = t.block(t.inode[ino * INODE_WORDS + I_XATTRS]!, HEADER);
    this.#next = block + HEADER;
    const used = block < 0 ? 0 : t.words[block >> 2]!;
    this.#end = block < 0 || used > XATTRS_MAX || block + used > t.bytes.length ? 0 : block + used;
  }

  next(t: Tables): boolean {
    const at = this.#next;
    if (at + 4 > this.#end) return false;
    const head = t.words[at >> 2]!;
    this.at = at;
    this.nameLength = head & 0xff;
    this.valueLength = head >>> 8;
    this.value = at + 4;
    this.name = this.value + this.valueLength;
    this.#next = at + entryBytes(this.nameLength, this.valueLength);
    return this.valueLength <= XATTR_SIZE_MAX && this.#next <= this.#end;
  }

  /** Goes to the entry with this name; false when there is none. */
  find(t: Tables, ino: number, u8: Uint8Array, start: number, end: number): boolean {
    this.open(t, ino);
    while (this.next(t)) {
      if (this.nameLength === end - start && sameBytes(t.bytes, this.name, u8, start, end - start))
        return true;
    }
    return false;
  }
}

function usedBytes(t: Tables, block: SlabHandle): number {
  return block === 0 ? HEADER : t.words[block * 16]!;
}

/** Bytes that the inode's attributes take, the header included. */
export function usedBytesOf(t: Tables, ino: number): number {
  return usedBytes(t, t.inode[ino * INODE_WORDS + I_XATTRS]!);
}

/** Bytes the block takes once `cursor`'s entry (if `found`) has given way to one of these lengths. */
export function usedAfterSet(
  t: Tables,
  ino: number,
  cursor: XattrCursor,
  found: boolean,
  nameLength: number,
  valueLength: number,
): number {
  const used = usedBytes(t, t.inode[ino * INODE_WORDS + I_XATTRS]!);
  const gone = found ? entryBytes(cursor.nameLength, cursor.valueLength) : 0;
  return used - gone + entryBytes(nameLength, valueLength);
}

/** A block with the inode's attributes and room for `used` bytes: the one it has or a copy; 0 = no memory. */
export function blockFor(t: Tables, ino: number, used: number): SlabHandle {
  const old = t.inode[ino * INODE_WORDS + I_XATTRS]!;
  if (old !== 0 && t.slab.capacity(old) >= used) return old;
  const block = t.allocate(used, TAG_XATTRS);
  if (block === 0) return 0;
  if (old === 0) clear(t, block);
  else t.bytes.copyWithin(block * 64, old * 64, old * 64 + usedBytes(t, old));
  return block;
}

/** Between writeBegin and writeEnd: makes `block` the inode's and frees the one it had. */
export function replaceBlock(t: Tables, ino: number, block: SlabHandle): void {
  const at = ino * INODE_WORDS + I_XATTRS;
  const old = t.inode[at]!;
  if (old === block) return;
  t.inode[at] = block;
  if (old !== 0) t.slab.free(old);
}

/** Between writeBegin and writeEnd: takes the cursor's entry out of the block. */
export function cut(t: Tables, ino: number, cursor: XattrCursor): void {
  const start = t.inode[ino * INODE_WORDS + I_XATTRS]! * 64;
  const used = t.words[start >> 2]!;
  const bytes = entryBytes(cursor.nameLength, cursor.valueLength);
  t.bytes.copyWithin(cursor.at, cursor.at + bytes, start + used);
  t.words[start >> 2] = used - bytes;
}

/** Between writeBegin and writeEnd: an inode without attributes has no block. */
export function freeIfEmpty(t: Tables, ino: number): void {
  if (usedBytes(t, t.inode[ino * INODE_WORDS + I_XATTRS]!) === HEADER) replaceBlock(t, ino, 0);
}

/** Makes a block that nothing refers to an empty list. */
export function clear(t: Tables, block: SlabHandle): void {
  t.words[block * 16] = HEADER;
}

/** Adds an entry to a block with room for it: between writeBegin and writeEnd, or one that nothing refers to yet. */
export function append(
  t: Tables,
  block: SlabHandle,
  name: Uint8Array,
  nameStart: number,
  nameEnd: number,
  value: Uint8Array,
  valueStart: number,
  valueEnd: number,
): void {
  const start = block * 64;
  const used = t.words[start >> 2]!;
  const at = start + used;
  const nameLength = nameEnd - nameStart;
  const valueLength = valueEnd - valueStart;
  t.words[at >> 2] = ((valueLength << 8) | nameLength) >>> 0;
  copyBytes(t.bytes, at + 4, value, valueStart, valueLength);
  copyBytes(t.bytes, at + 4 + valueLength, name, nameStart, nameLength);
  const end = start + used + entryBytes(nameLength, valueLength);
  t.bytes.fill(0, at + 4 + nameLength + valueLength, end);
  t.words[start >> 2] = end - start;
}

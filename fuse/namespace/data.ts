/**
 * The bytes of small files: one slab block each. Contract and locking: tables.ts.
 * What lies in the block beyond the file's size is meaningless; whoever makes the file longer zeroes what it skips.
 */
import type { SlabHandle } from '../../runtime/memory/slab.ts';
import { TAG_CONTENT } from '../slab-tags.ts';
import { sizeOf } from './inodes.ts';
import { I_DATA, INODE_WORDS } from './layout.ts';
import { copyBytes } from './names.ts';
import type { Tables } from './tables.ts';

/**
 * A block in which the file can have `bytes` bytes: the one it has, or a new one with the same content.
 * 0 = no memory. Nothing refers to a new block until {@link replaceBlock}.
 */
export function blockFor(t: Tables, ino: number, bytes: number): SlabHandle {
  const old = t.inode[ino * INODE_WORDS + I_DATA]!;
  if (old !== 0 && t.slab.capacity(old) >= bytes) return old;
  const block = t.allocate(bytes, TAG_CONTENT);
  if (block !== 0 && old !== 0) t.bytes.copyWithin(block * 64, old * 64, old * 64 + sizeOf(t, ino));
  return block;
}

/** Between writeBegin and writeEnd: makes `block` the file's and frees the one it had. */
export function replaceBlock(t: Tables, ino: number, block: SlabHandle): void {
  const at = ino * INODE_WORDS + I_DATA;
  const old = t.inode[at]!;
  if (old === block) return;
  t.inode[at] = block;
  if (old !== 0) t.slab.free(old);
}

/** Between writeBegin and writeEnd: zeroes the file's block from its size up to `end`. */
export function zeroUpTo(t: Tables, ino: number, end: number): void {
  const size = sizeOf(t, ino);
  if (end <= size) return;
  const at = t.inode[ino * INODE_WORDS + I_DATA]! * 64;
  t.bytes.fill(0, at + size, at + end);
}

/** Copies up to `length` bytes from `offset` on to u8[at …); returns how many. May be called by readers. */
export function readBlock(
  t: Tables,
  ino: number,
  offset: number,
  length: number,
  u8: Uint8Array,
  at: number,
): number {
  const size = sizeOf(t, ino);
  const count = Math.min(length, size - offset);
  if (!(count > 0)) return 0;
  const block = t.block(t.inode[ino * INODE_WORDS + I_DATA]!, offset + count);
  if (block < 0) return 0;
  copyBytes(u8, at, t.bytes, block + offset, count);
  return count;
}

/**
 * Checksums of large files at rest: a CRC-32 for each piece of the bytes that a plain object holds, in the slab block of word
 * I_SUMS. They are taken of a file that nobody has written to for a while (actors/cold). Locking: tables.ts.
 *
 * 1. They are those of all bytes of the file as these are. What changes the bytes or the size takes them away in the same
 *    mutation ({@link dropSums}).
 * 2. Before a byte of an object with checksums is changed, the log says durably that they no longer count (NamespaceObjects.endSums).
 *    And an object is durable before the record of its checksums is. So after a crash, too, those that are there are right.
 *
 * type            words from 3 on
 * 24 SUMS         ino, object, |sums| (0 = they no longer count)                           then u32 for each piece
 */
import { SUMMED_PIECE_BYTES, SUMMED_PIECE_MAX, SUMS_MAX } from '../../runtime/config/bounds.ts';
import { EINVAL, ENOSPC, ESTALE } from '../../runtime/errno.ts';
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { TAG_SUMS } from '../slab-tags.ts';
import { flagsOf, OWN_LENGTH } from './inode-flags.ts';
import { isLive, isRegular, sizeOf } from './inodes.ts';
import { I_OBJECT, I_STORED, I_SUMS, INODE_WORDS, isCompressed } from './layout.ts';
import { copyBytes } from './names.ts';
import { beginRecord, type Payload } from './payload.ts';
import type { ReplayObserver } from './records.ts';
import type { Tables } from './tables.ts';

export const SUMS = 24;
export const SUMS_BYTES = 24;
/** Largest file that can have checksums, bytes. */
export const SUMMED_SIZE_MAX = SUMS_MAX * SUMMED_PIECE_MAX;

/** Bytes of a file of `size` under one checksum: more of a file that would have too many otherwise. */
export function pieceBytes(size: number): number {
  let bytes = SUMMED_PIECE_BYTES;
  while (size > bytes * SUMS_MAX) bytes *= 2;
  return bytes;
}

/** How many checksums a file of `size` has. */
export function sumCount(size: number): number {
  return Math.ceil(size / pieceBytes(size));
}

/**
 * u8[start, …) has the `count` checksums of the file, all of whose bytes are in object `object`; 0 = it has none any more.
 * 0 or −errno: ESTALE its object is another, EINVAL that is not plain or as many do not fit its size, ENOSPC no memory.
 */
export function setSums(
  t: Tables,
  ino: number,
  object: number,
  u8: Uint8Array,
  start: number,
  count: number,
): number {
  if (!isLive(t, ino) || !isRegular(t, ino)) return -ESTALE;
  const at = ino * INODE_WORDS;
  if (object === 0 || t.inode[at + I_OBJECT] !== object) return -ESTALE;
  const size = sizeOf(t, ino);
  const isPlain = !isCompressed(t.inode[at + I_STORED]!) && (flagsOf(t, ino) & OWN_LENGTH) === 0;
  if (count > 0 && (!isPlain || size > SUMMED_SIZE_MAX || count !== sumCount(size))) return -EINVAL;
  const block = count > 0 ? t.allocate(count * 4, TAG_SUMS) : 0;
  if (count > 0 && block === 0) return -ENOSPC;
  if (count > 0) copyBytes(t.bytes, block * 64, u8, start, count * 4);

  t.sequence.writeBegin();
  dropSums(t, ino);
  t.inode[at + I_SUMS] = block;
  t.sequence.writeEnd();
  return 0;
}

/** Between writeBegin and writeEnd: the bytes are others, or elsewhere. */
export function dropSums(t: Tables, ino: number): void {
  const at = ino * INODE_WORDS;
  if (t.inode[at + I_OBJECT] === 0 || t.inode[at + I_SUMS] === 0) return;
  const block = t.inode[at + I_SUMS]!;
  t.inode[at + I_SUMS] = 0;
  t.slab.free(block);
}

export function encodeSums(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  object: number,
  u8: Uint8Array,
  start: number,
  count: number,
): void {
  const at = beginRecord(journal, t, SUMS, SUMS_BYTES + count * 4);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.u32[w + 4] = object;
  journal.u32[w + 5] = count;
  copyBytes(journal.u8, at + SUMS_BYTES, u8, start, count * 4);
}

/** The object was made durable before this record. Where there is no memory for them, the file has none. */
export function applySums(t: Tables, p: Payload, observer: ReplayObserver): number {
  const [ino, object, count] = [p.word(3), p.word(4), p.word(5)];
  const start = p.tail(SUMS_BYTES, count * 4);
  const result = setSums(t, ino, object, p.u8, start, count);
  if (result === 0 && count > 0) observer.objectFlushed?.(object);
  return result === -ENOSPC ? setSums(t, ino, object, p.u8, start, 0) : result;
}

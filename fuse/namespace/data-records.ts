/** Records of the log that change the bytes of files, or where they are; records.ts has their layout. */
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import * as content from './content.ts';
import * as inodes from './inodes.ts';
import { I_OBJECT, INODE_WORDS } from './layout.ts';
import { copyBytes } from './names.ts';
import { beginRecord, type Payload, RecordError } from './payload.ts';
import type { ReplayObserver } from './records.ts';
import { place } from './stored.ts';
import type { Tables } from './tables.ts';

export const TRUNCATE = 6;
export const WRITE = 7;
export const ATTACH = 8;
export const EXTEND = 9;
export const PLACE = 22;

export const SIZE_BYTES = 32;
export const PLACE_BYTES = 24;

/** TRUNCATE and ATTACH; `last` is word 7. */
export function encodeSize(
  journal: JournalWriter,
  t: Tables,
  type: number,
  ino: number,
  size: number,
  flags: number,
  last: number,
): void {
  const at = beginRecord(journal, t, type, SIZE_BYTES);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.f64[(at + 16) >> 3] = size;
  journal.u32[w + 6] = flags;
  journal.u32[w + 7] = last;
}

/** What a file gains is zeroed in its object before. */
export function applyTruncate(t: Tables, p: Payload, observer: ReplayObserver): number {
  p.tail(SIZE_BYTES, 0);
  const ino = p.word(3);
  const grows = inodes.isLive(t, ino) && p.size(16) > inodes.sizeOf(t, ino);
  if (grows && inodes.isRegular(t, ino)) flushed(t, ino, observer);
  return content.truncate(t, ino, p.size(16), p.word(6));
}

export function applyAttach(t: Tables, p: Payload): number {
  p.tail(SIZE_BYTES, 0);
  return content.attach(t, p.word(3), p.word(7), p.size(16), p.word(6));
}

/** u8[start, start + length) is what was written, for a log that vouches for it; `length` 0 = its object was synced. */
export function encodeExtend(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  end: number,
  flags: number,
  u8: Uint8Array,
  start: number,
  length: number,
): void {
  const at = beginRecord(journal, t, EXTEND, SIZE_BYTES + length);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.f64[(at + 16) >> 3] = end;
  journal.u32[w + 6] = flags;
  journal.u32[w + 7] = length;
  copyBytes(journal.u8, at + SIZE_BYTES, u8, start, length);
}

export function applyExtend(t: Tables, p: Payload, observer: ReplayObserver): number {
  const ino = p.word(3);
  const length = p.word(7);
  const start = p.tail(SIZE_BYTES, length);
  const position = p.size(16) - length;
  if (position < 0) throw new RecordError('a write that begins before its file');
  const result = content.extend(t, ino, p.size(16), p.word(6));
  if (result !== 0) return result;
  if (length === 0) flushed(t, ino, observer);
  else
    observer.objectWritten?.(t.inode[ino * INODE_WORDS + I_OBJECT]!, position, p.u8, start, start + length);
  return 0;
}

function flushed(t: Tables, ino: number, observer: ReplayObserver): void {
  const object = t.inode[ino * INODE_WORDS + I_OBJECT]!;
  if (object !== 0) observer.objectFlushed?.(object);
}

export function encodeWrite(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  offset: number,
  u8: Uint8Array,
  start: number,
  length: number,
  flags: number,
): void {
  const at = beginRecord(journal, t, WRITE, SIZE_BYTES + length);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.f64[(at + 16) >> 3] = offset;
  journal.u32[w + 6] = flags;
  journal.u32[w + 7] = length;
  copyBytes(journal.u8, at + SIZE_BYTES, u8, start, length);
}

export function applyWrite(t: Tables, p: Payload): number {
  const length = p.word(7);
  const start = p.tail(SIZE_BYTES, length);
  if (length === 0) throw new RecordError('a write of nothing');
  const result = content.write(t, p.word(3), p.size(16), p.u8, start, length, p.word(6));
  if (result === content.IS_OBJECT) throw new RecordError('an inline write to a file with an object');
  return result;
}

export function encodePlace(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  object: number,
  stored: number,
): void {
  const w = beginRecord(journal, t, PLACE, PLACE_BYTES) >> 2;
  journal.u32[w + 3] = ino;
  journal.u32[w + 4] = object;
  journal.u32[w + 5] = stored;
}

export function applyPlace(t: Tables, p: Payload): number {
  p.tail(PLACE_BYTES, 0);
  return place(t, p.word(3), p.word(4), p.word(5));
}

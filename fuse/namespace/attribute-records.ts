/** Records of the log that change attributes, and what is kept of vectors; records.ts has their layout. */
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { AttrChanges, SET_ALL } from './changes.ts';
import * as content from './content.ts';
import { I_GENERATION, INODE_WORDS } from './layout.ts';
import * as mutations from './mutations.ts';
import { copyBytes } from './names.ts';
import { beginRecord, type Payload, RecordError } from './payload.ts';
import type { ReplayObserver } from './records.ts';
import type { Tables } from './tables.ts';

export const SETATTR = 5;
export const SETXATTR = 10;
export const REMOVEXATTR = 11;
export const COLLECTION = 12;
export const INDEXED = 13;
export const DROP = 14;

export const SETATTR_BYTES = 72;
export const SETXATTR_BYTES = 32;
export const REMOVEXATTR_BYTES = 24;
export const COLLECTION_BYTES = 24;
export const INDEXED_BYTES = 32;

const changes = new AttrChanges();

export function encodeSetattr(journal: JournalWriter, t: Tables, ino: number, c: AttrChanges): void {
  const at = beginRecord(journal, t, SETATTR, SETATTR_BYTES);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.u32[w + 4] = c.valid;
  journal.u32[w + 5] = c.mode;
  journal.u32[w + 6] = c.uid;
  journal.u32[w + 7] = c.gid;
  journal.u32[w + 8] = c.atimeNs;
  journal.u32[w + 9] = c.mtimeNs;
  journal.u32[w + 10] = c.ctimeNs;
  journal.u32[w + 11] = 0;
  journal.f64[(at + 48) >> 3] = c.atime;
  journal.f64[(at + 56) >> 3] = c.mtime;
  journal.f64[(at + 64) >> 3] = c.ctime;
}

export function applySetattr(t: Tables, p: Payload): number {
  p.tail(SETATTR_BYTES, 0);
  changes.valid = p.word(4);
  if ((changes.valid & ~SET_ALL) !== 0) throw new RecordError('an unknown attribute');
  changes.mode = p.word(5);
  changes.uid = p.word(6);
  changes.gid = p.word(7);
  changes.atimeNs = p.nanoseconds(8);
  changes.mtimeNs = p.nanoseconds(9);
  changes.ctimeNs = p.nanoseconds(10);
  changes.atime = p.seconds(48);
  changes.mtime = p.seconds(56);
  changes.ctime = p.seconds(64);
  return mutations.setattr(t, p.word(3), changes);
}

export function encodeSetxattr(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  name: Uint8Array,
  nameStart: number,
  nameEnd: number,
  value: Uint8Array,
  valueStart: number,
  valueEnd: number,
  flags: number,
): void {
  const nameLength = nameEnd - nameStart;
  const valueLength = valueEnd - valueStart;
  const at = beginRecord(journal, t, SETXATTR, SETXATTR_BYTES + nameLength + valueLength);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.u32[w + 4] = flags;
  journal.u32[w + 5] = nameLength;
  journal.u32[w + 6] = valueLength;
  journal.u32[w + 7] = 0;
  copyBytes(journal.u8, at + SETXATTR_BYTES, value, valueStart, valueLength);
  copyBytes(journal.u8, at + SETXATTR_BYTES + valueLength, name, nameStart, nameLength);
}

export function applySetxattr(t: Tables, p: Payload, observer: ReplayObserver): number {
  const nameLength = p.word(5);
  const valueLength = p.word(6);
  const value = p.tail(SETXATTR_BYTES, nameLength + valueLength);
  const name = value + valueLength;
  const ino = p.word(3);
  const id = content.setxattr(t, ino, p.u8, name, name + nameLength, p.u8, value, name, p.word(4));
  if (id > 0) observer.vectorSet?.(id, ino, t.inode[ino * INODE_WORDS + I_GENERATION]!, p.u8, value, name);
  return id;
}

export function encodeRemovexattr(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  name: Uint8Array,
  start: number,
  end: number,
): void {
  const at = beginRecord(journal, t, REMOVEXATTR, REMOVEXATTR_BYTES + end - start);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.u32[w + 4] = end - start;
  journal.u32[w + 5] = 0;
  copyBytes(journal.u8, at + REMOVEXATTR_BYTES, name, start, end - start);
}

export function applyRemovexattr(t: Tables, p: Payload, observer: ReplayObserver): number {
  const name = p.tail(REMOVEXATTR_BYTES, p.word(4));
  const ino = p.word(3);
  const id = content.removexattr(t, ino, p.u8, name, name + p.word(4));
  if (id > 0) observer.vectorRemoved?.(id, ino, t.inode[ino * INODE_WORDS + I_GENERATION]!);
  return id;
}

export function encodeCollection(
  journal: JournalWriter,
  t: Tables,
  dimension: number,
  options: number,
  name: Uint8Array,
  start: number,
  end: number,
): void {
  const at = beginRecord(journal, t, COLLECTION, COLLECTION_BYTES + end - start);
  const w = at >> 2;
  journal.u32[w + 3] = dimension;
  journal.u32[w + 4] = end - start;
  journal.u32[w + 5] = options;
  copyBytes(journal.u8, at + COLLECTION_BYTES, name, start, end - start);
}

export function applyCollection(t: Tables, p: Payload): number {
  const name = p.tail(COLLECTION_BYTES, p.word(4));
  return content.createCollection(t, p.word(3), p.word(5), p.u8, name, name + p.word(4));
}

export function encodeDrop(journal: JournalWriter, t: Tables, isGone: boolean, name: Uint8Array): void {
  const at = beginRecord(journal, t, DROP, COLLECTION_BYTES + name.length);
  const w = at >> 2;
  journal.u32[w + 3] = isGone ? 1 : 0;
  journal.u32[w + 4] = name.length;
  journal.u32[w + 5] = 0;
  copyBytes(journal.u8, at + COLLECTION_BYTES, name, 0, name.length);
}

export function applyDrop(t: Tables, p: Payload): number {
  const name = p.tail(COLLECTION_BYTES, p.word(4));
  return content.dropCollection(t, p.word(3) === 1, p.u8, name, name + p.word(4));
}

export function encodeIndexed(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  generation: number,
  version: number,
  status: number,
  chunks: number,
  u8: Uint8Array,
  start: number,
  end: number,
): void {
  const at = beginRecord(journal, t, INDEXED, INDEXED_BYTES + end - start);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.u32[w + 4] = generation;
  journal.u32[w + 5] = version;
  journal.u32[w + 6] = status;
  journal.u32[w + 7] = chunks;
  copyBytes(journal.u8, at + INDEXED_BYTES, u8, start, end - start);
}

export function applyIndexed(t: Tables, p: Payload, observer: ReplayObserver): number {
  const ino = p.word(3);
  const result = content.setIndexed(t, ino, p.word(4), p.word(5), p.word(6), p.word(7));
  if (result === 0) {
    observer.indexed?.(ino, p.word(4), p.word(5), p.u8, p.at + INDEXED_BYTES, p.at + p.length);
  }
  return result;
}

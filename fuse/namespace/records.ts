/**
 * The records of the log: for each mutation how it is encoded and, next to it, how it is decoded and applied.
 * Payloads are little-endian and 8-aligned; word n is the u32 at byte 4n, "f64 @b" lies at byte b. All begin with
 *   f64 @0 seconds, word 2 nanoseconds: the time the mutation stamps
 *
 * type            words from 3 on                                                          then bytes
 *  1 CREATE       parent, ino, generation, mode, uid, gid, rdev, |name|, |target|          @48 name, target
 *  2 LINK         parent, ino, |name|                                                      @24 name
 *  3 UNLINK       parent, is a directory (0, 1), |name|                                    @24 name
 *  4 RENAME       parent, new parent, flags, |name|, |new name|                            @32 name, new name
 *  5 SETATTR      ino, valid, mode, uid, gid, ns of atime, mtime, ctime; f64 @48 atime @56 mtime @64 ctime
 *  6 TRUNCATE     ino; f64 @16 size; word 6 flags, 7 zero
 *  7 WRITE        ino; f64 @16 offset; word 6 flags, 7 |data|                              @32 data
 *  8 ATTACH       ino; f64 @16 size; word 6 flags, 7 object
 *  9 EXTEND       ino; f64 @16 end of what was written; word 6 flags, 7 |data|             @32 data, which ends there
 * 10 SETXATTR     ino, flags, |name|, |value|, zero                                        @32 value, name
 * 11 REMOVEXATTR  ino, |name|, zero                                                        @24 name
 * 12 COLLECTION   dimension, |name|, options                                               @24 name
 * 14 DROP         is gone (0, 1), |name|, zero                                             @24 name
 * 13 INDEXED      ino, generation, version, status, chunks                                 @32 vectors, opaque here
 * 20, 21          inode-records.ts
 * 22 PLACE        ino, object, form (stored.ts)
 */
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { AttrChanges, SET_ALL } from './changes.ts';
import * as content from './content.ts';
import { createInheriting } from './creation.ts';
import { applyFlags, applyUnnamed, FLAGS, UNNAMED } from './inode-records.ts';
import * as inodes from './inodes.ts';
import { I_GENERATION, I_NLINK, I_OBJECT, INODE_WORDS } from './layout.ts';
import * as mutations from './mutations.ts';
import { copyBytes } from './names.ts';
import { beginRecord, Payload, RecordError } from './payload.ts';
import { place } from './stored.ts';
import type { Tables } from './tables.ts';

export const CREATE = 1;
export const LINK = 2;
export const UNLINK = 3;
export const RENAME = 4;
export const SETATTR = 5;
export const TRUNCATE = 6;
export const WRITE = 7;
export const ATTACH = 8;
export const EXTEND = 9;
export const SETXATTR = 10;
export const REMOVEXATTR = 11;
export const COLLECTION = 12;
export const INDEXED = 13;
export const DROP = 14;
export const PLACE = 22;

export const CREATE_BYTES = 48;
export const LINK_BYTES = 24;
export const UNLINK_BYTES = 24;
export const RENAME_BYTES = 32;
export const SETATTR_BYTES = 72;
export const SIZE_BYTES = 32;
export const SETXATTR_BYTES = 32;
export const REMOVEXATTR_BYTES = 24;
export const COLLECTION_BYTES = 24;
export const INDEXED_BYTES = 32;
export const PLACE_BYTES = 24;

/** Told of what replay finds that matters to the vector shards. Ranges are valid during the call only. */
export interface ReplayObserver {
  indexed?(
    ino: number,
    generation: number,
    version: number,
    u8: Uint8Array,
    start: number,
    end: number,
  ): void;
  vectorSet?(
    collection: number,
    ino: number,
    generation: number,
    u8: Uint8Array,
    start: number,
    end: number,
  ): void;
  vectorRemoved?(collection: number, ino: number, generation: number): void;
  inodeFreed?(ino: number, generation: number): void;
  /** u8[start, end) was written to the object at `position`, and is nowhere but here for certain. */
  objectWritten?(object: number, position: number, u8: Uint8Array, start: number, end: number): void;
  /** Whatever was written to the object before this record was durable in its file when this was written. */
  objectFlushed?(object: number): void;
}

const payload = new Payload();
const changes = new AttrChanges();
const NO_BYTES = new Uint8Array(0);

/** Applies one committed record; see {@link RecordError}. Not for use beside live requests. */
export function apply(
  t: Tables,
  observer: ReplayObserver,
  type: number,
  u8: Uint8Array,
  u32: Uint32Array,
  f64: Float64Array,
  offset: number,
  length: number,
): void {
  if (offset % 8 !== 0 || offset + length > u8.length) throw new RecordError('the record is misplaced');
  payload.u8 = u8;
  payload.u32 = u32;
  payload.f64 = f64;
  payload.at = offset;
  payload.length = length;
  const decode = DECODERS[type];
  if (decode === undefined) throw new RecordError(`a record of unknown type ${type}`);
  t.seconds = payload.seconds(0);
  t.nanoseconds = payload.nanoseconds(2);
  const result = decode(t, payload, observer);
  if (result === content.NEEDS_OBJECT) throw new RecordError('memory.budget is too small to replay the log');
  if (result < 0)
    throw new RecordError(`a record of type ${type} does not fit the tables (errno ${-result})`);
}

export function encodeCreate(
  journal: JournalWriter,
  t: Tables,
  parent: number,
  ino: number,
  generation: number,
  mode: number,
  uid: number,
  gid: number,
  rdev: number,
  name: Uint8Array,
  nameStart: number,
  nameEnd: number,
  target: Uint8Array,
  targetStart: number,
  targetEnd: number,
): void {
  const nameLength = nameEnd - nameStart;
  const targetLength = targetEnd - targetStart;
  const at = beginRecord(journal, t, CREATE, CREATE_BYTES + nameLength + targetLength);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = ino;
  journal.u32[w + 5] = generation;
  journal.u32[w + 6] = mode;
  journal.u32[w + 7] = uid;
  journal.u32[w + 8] = gid;
  journal.u32[w + 9] = rdev;
  journal.u32[w + 10] = nameLength;
  journal.u32[w + 11] = targetLength;
  copyBytes(journal.u8, at + CREATE_BYTES, name, nameStart, nameLength);
  copyBytes(journal.u8, at + CREATE_BYTES + nameLength, target, targetStart, targetLength);
}

function applyCreate(t: Tables, p: Payload, observer: ReplayObserver): number {
  const nameLength = p.word(10);
  const targetLength = p.word(11);
  const name = p.tail(CREATE_BYTES, nameLength + targetLength);
  const target = name + nameLength;
  const ino = p.word(4);
  if (inodes.isLive(t, ino) && t.inode[ino * INODE_WORDS + I_NLINK] === 0) {
    observer.inodeFreed?.(ino, t.inode[ino * INODE_WORDS + I_GENERATION]!);
  }
  return createInheriting(
    t,
    p.word(3),
    ino,
    p.word(5),
    p.word(6),
    p.word(7),
    p.word(8),
    p.word(9),
    p.u8,
    name,
    target,
    targetLength === 0 ? NO_BYTES : p.u8,
    targetLength === 0 ? 0 : target,
    targetLength === 0 ? 0 : target + targetLength,
  );
}

export function encodeLink(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
): void {
  const at = beginRecord(journal, t, LINK, LINK_BYTES + end - start);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = ino;
  journal.u32[w + 5] = end - start;
  copyBytes(journal.u8, at + LINK_BYTES, name, start, end - start);
}

function applyLink(t: Tables, p: Payload): number {
  const name = p.tail(LINK_BYTES, p.word(5));
  return mutations.link(t, p.word(4), p.word(3), p.u8, name, name + p.word(5));
}

export function encodeUnlink(
  journal: JournalWriter,
  t: Tables,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
  directory: boolean,
): void {
  const at = beginRecord(journal, t, UNLINK, UNLINK_BYTES + end - start);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = directory ? 1 : 0;
  journal.u32[w + 5] = end - start;
  copyBytes(journal.u8, at + UNLINK_BYTES, name, start, end - start);
}

function applyUnlink(t: Tables, p: Payload): number {
  const name = p.tail(UNLINK_BYTES, p.word(5));
  return mutations.unlink(t, p.word(3), p.u8, name, name + p.word(5), p.word(4) === 1);
}

export function encodeRename(
  journal: JournalWriter,
  t: Tables,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
  newParent: number,
  newName: Uint8Array,
  newStart: number,
  newEnd: number,
  flags: number,
): void {
  const nameLength = end - start;
  const newLength = newEnd - newStart;
  const at = beginRecord(journal, t, RENAME, RENAME_BYTES + nameLength + newLength);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = newParent;
  journal.u32[w + 5] = flags;
  journal.u32[w + 6] = nameLength;
  journal.u32[w + 7] = newLength;
  copyBytes(journal.u8, at + RENAME_BYTES, name, start, nameLength);
  copyBytes(journal.u8, at + RENAME_BYTES + nameLength, newName, newStart, newLength);
}

function applyRename(t: Tables, p: Payload): number {
  const nameLength = p.word(6);
  const newLength = p.word(7);
  const name = p.tail(RENAME_BYTES, nameLength + newLength);
  const newName = name + nameLength;
  return mutations.rename(
    t,
    p.word(3),
    p.u8,
    name,
    newName,
    p.word(4),
    p.u8,
    newName,
    newName + newLength,
    p.word(5),
  );
}

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

function applySetattr(t: Tables, p: Payload): number {
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
function applyTruncate(t: Tables, p: Payload, observer: ReplayObserver): number {
  p.tail(SIZE_BYTES, 0);
  const ino = p.word(3);
  const grows = inodes.isLive(t, ino) && p.size(16) > inodes.sizeOf(t, ino);
  if (grows && inodes.isRegular(t, ino)) flushed(t, ino, observer);
  return content.truncate(t, ino, p.size(16), p.word(6));
}

function applyAttach(t: Tables, p: Payload): number {
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

function applyExtend(t: Tables, p: Payload, observer: ReplayObserver): number {
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

function applyWrite(t: Tables, p: Payload): number {
  const length = p.word(7);
  const start = p.tail(SIZE_BYTES, length);
  if (length === 0) throw new RecordError('a write of nothing');
  const result = content.write(t, p.word(3), p.size(16), p.u8, start, length, p.word(6));
  if (result === content.IS_OBJECT) throw new RecordError('an inline write to a file with an object');
  return result;
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

function applySetxattr(t: Tables, p: Payload, observer: ReplayObserver): number {
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

function applyRemovexattr(t: Tables, p: Payload, observer: ReplayObserver): number {
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

function applyCollection(t: Tables, p: Payload): number {
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

function applyDrop(t: Tables, p: Payload): number {
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

function applyIndexed(t: Tables, p: Payload, observer: ReplayObserver): number {
  const ino = p.word(3);
  const result = content.setIndexed(t, ino, p.word(4), p.word(5), p.word(6), p.word(7));
  if (result === 0) {
    observer.indexed?.(ino, p.word(4), p.word(5), p.u8, p.at + INDEXED_BYTES, p.at + p.length);
  }
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

function applyPlace(t: Tables, p: Payload): number {
  p.tail(PLACE_BYTES, 0);
  return place(t, p.word(3), p.word(4), p.word(5));
}

type Decoder = (t: Tables, p: Payload, observer: ReplayObserver) => number;

const DECODERS: Readonly<Record<number, Decoder>> = {
  [CREATE]: applyCreate,
  [LINK]: applyLink,
  [UNLINK]: applyUnlink,
  [RENAME]: applyRename,
  [SETATTR]: applySetattr,
  [TRUNCATE]: applyTruncate,
  [WRITE]: applyWrite,
  [ATTACH]: applyAttach,
  [EXTEND]: applyExtend,
  [SETXATTR]: applySetxattr,
  [REMOVEXATTR]: applyRemovexattr,
  [COLLECTION]: applyCollection,
  [INDEXED]: applyIndexed,
  [DROP]: applyDrop,
  [UNNAMED]: applyUnnamed,
  [FLAGS]: applyFlags,
  [PLACE]: applyPlace,
};

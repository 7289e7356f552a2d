/**
 * The records of the log. For each mutation how it is encoded and, next to it, how it is decoded and applied: in name-records.ts,
 * data-records.ts, attribute-records.ts and, for what Linux has beside POSIX, inode-records.ts.
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
 * 23              passed.ts
 * 24              sums.ts
 */
import * as attribute from './attribute-records.ts';
import { NEEDS_OBJECT } from './content.ts';
import * as data from './data-records.ts';
import { applyFlags, applyUnnamed, FLAGS, UNNAMED } from './inode-records.ts';
import * as name from './name-records.ts';
import { applyPassed, PASSED } from './passed.ts';
import { Payload, RecordError } from './payload.ts';
import { applySums, SUMS } from './sums.ts';
import type { Tables } from './tables.ts';

export * from './attribute-records.ts';
export * from './data-records.ts';
export * from './name-records.ts';

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
  /** At the end of a recovery: the length of this file's object is the file's (passed.ts). */
  lengthCounts?(ino: number): void;
  /** u8[start, end) was written to the object at `position`, and is nowhere but here for certain. */
  objectWritten?(object: number, position: number, u8: Uint8Array, start: number, end: number): void;
  /** Whatever was written to the object before this record was durable in its file when this was written. */
  objectFlushed?(object: number): void;
}

const payload = new Payload();

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
  if (result === NEEDS_OBJECT) throw new RecordError('memory.budget is too small to replay the log');
  if (result < 0)
    throw new RecordError(`a record of type ${type} does not fit the tables (errno ${-result})`);
}

type Decoder = (t: Tables, p: Payload, observer: ReplayObserver) => number;

const DECODERS: Readonly<Record<number, Decoder>> = {
  [name.CREATE]: name.applyCreate,
  [name.LINK]: name.applyLink,
  [name.UNLINK]: name.applyUnlink,
  [name.RENAME]: name.applyRename,
  [attribute.SETATTR]: attribute.applySetattr,
  [data.TRUNCATE]: data.applyTruncate,
  [data.WRITE]: data.applyWrite,
  [data.ATTACH]: data.applyAttach,
  [data.EXTEND]: data.applyExtend,
  [attribute.SETXATTR]: attribute.applySetxattr,
  [attribute.REMOVEXATTR]: attribute.applyRemovexattr,
  [attribute.COLLECTION]: attribute.applyCollection,
  [attribute.INDEXED]: attribute.applyIndexed,
  [attribute.DROP]: attribute.applyDrop,
  [UNNAMED]: applyUnnamed,
  [FLAGS]: applyFlags,
  [data.PLACE]: data.applyPlace,
  [PASSED]: applyPassed,
  [SUMS]: applySums,
};

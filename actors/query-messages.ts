/** How questions that came through the mount are written and read. The layouts are in messages.ts. */
import type { Outbox } from '../runtime/messaging/mailbox.ts';
import { QUERY, QUERY_READ, QUERY_WRITE } from './messages.ts';

/** A search that came through the mount, to be answered to the kernel under its unique id. */
export interface QueryMessage {
  uniqueLo: number;
  uniqueHi: number;
  /** Where it waits (pending.ts). */
  slot: number;
  uid: number;
  gid: number;
  pid: number;
  kind: number;
  parentLo: number;
  parentHi: number;
  /** For "files like this one": the file. */
  ino: number;
  text: Uint8Array;
}

/** QUERY_WRITE or QUERY_READ. */
export interface QueryFileMessage {
  readonly uniqueLo: number;
  readonly uniqueHi: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly node: number;
  readonly slot: number;
  /** Bytes asked for. */
  readonly length: number;
  readonly position: number;
  /** Bytes written. */
  readonly data: Uint8Array;
}

const QUERY_FILE_HEADER_BYTES = 40;

/** Waits for room. With `bytes` a QUERY_WRITE of u8[start, start + length), without a QUERY_READ. */
export function writeQueryFile(
  indexer: Outbox,
  uniqueLo: number,
  uniqueHi: number,
  uid: number,
  gid: number,
  pid: number,
  node: number,
  slot: number,
  position: number,
  length: number,
  bytes: Uint8Array | undefined,
  start: number,
): void {
  const kind = bytes === undefined ? QUERY_READ : QUERY_WRITE;
  const at = indexer.claimOrWait(kind, QUERY_FILE_HEADER_BYTES + (bytes === undefined ? 0 : length));
  const { u32, u8, f64 } = indexer;
  const word = at >> 2;
  u32[word] = uniqueLo;
  u32[word + 1] = uniqueHi;
  u32[word + 2] = uid;
  u32[word + 3] = gid;
  u32[word + 4] = pid;
  u32[word + 5] = node;
  u32[word + 6] = slot;
  u32[word + 7] = length;
  f64[(at + 32) >> 3] = position;
  if (bytes !== undefined) u8.set(bytes.subarray(start, start + length), at + QUERY_FILE_HEADER_BYTES);
  indexer.send();
}

/** Copies it out of the lane. */
export function readQueryFile(
  kind: number,
  u8: Uint8Array,
  u32: Uint32Array,
  f64: Float64Array,
  offset: number,
): QueryFileMessage {
  const word = offset >> 2;
  const from = offset + QUERY_FILE_HEADER_BYTES;
  const length = u32[word + 7]!;
  return {
    uniqueLo: u32[word]!,
    uniqueHi: u32[word + 1]!,
    uid: u32[word + 2]!,
    gid: u32[word + 3]!,
    pid: u32[word + 4]!,
    node: u32[word + 5]!,
    slot: u32[word + 6]!,
    length,
    position: f64[(offset + 32) >> 3]!,
    data: kind === QUERY_WRITE ? u8.slice(from, from + length) : u8.slice(0, 0),
  };
}

const QUERY_HEADER_BYTES = 44;

/** QUERY: eleven u32, the slot in the tenth and the text's length in the eleventh, then its bytes. */
export function writeQuery(
  indexer: Outbox,
  uniqueLo: number,
  uniqueHi: number,
  uid: number,
  gid: number,
  pid: number,
  kind: number,
  parentLo: number,
  parentHi: number,
  ino: number,
  slot: number,
  bytes: Uint8Array,
  start: number,
  length: number,
): void {
  const at = indexer.claimOrWait(QUERY, QUERY_HEADER_BYTES + length);
  const { u32, u8 } = indexer;
  const word = at >> 2;
  u32[word] = uniqueLo;
  u32[word + 1] = uniqueHi;
  u32[word + 2] = uid;
  u32[word + 3] = gid;
  u32[word + 4] = pid;
  u32[word + 5] = kind;
  u32[word + 6] = parentLo;
  u32[word + 7] = parentHi;
  u32[word + 8] = ino;
  u32[word + 9] = slot;
  u32[word + 10] = length;
  for (let i = 0; i < length; i++) u8[at + QUERY_HEADER_BYTES + i] = bytes[start + i]!;
  indexer.send();
}

/** Copies a QUERY out of the lane, as it is answered long after the message is released. */
export function readQuery(u8: Uint8Array, u32: Uint32Array, offset: number): QueryMessage {
  const word = offset >> 2;
  const from = offset + QUERY_HEADER_BYTES;
  return {
    uniqueLo: u32[word]!,
    uniqueHi: u32[word + 1]!,
    uid: u32[word + 2]!,
    gid: u32[word + 3]!,
    pid: u32[word + 4]!,
    kind: u32[word + 5]!,
    parentLo: u32[word + 6]!,
    parentHi: u32[word + 7]!,
    ino: u32[word + 8]!,
    slot: u32[word + 9]!,
    text: u8.slice(from, from + u32[word + 10]!),
  };
}

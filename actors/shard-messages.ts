/** How the messages to shards are written, and those of lists. The layouts are in messages.ts. */
import { copyBytes } from '../fuse/namespace/names.ts';
import type { Outbox } from '../runtime/messaging/mailbox.ts';
import { PUT_CHUNKS, PUT_VECTOR, REPLAY, SEARCH } from './messages.ts';

/** Of SEARCH and PUT_VECTOR: bytes before the vector. */
export const SEARCH_HEADER_BYTES = 24;
export const PUT_VECTOR_HEADER_BYTES = 24;
/** Of REPLAY_FILES and TEXT_MISSING. */
export const LIST_HEADER_BYTES = 8;

const ALL_FILES = new Uint32Array(0);

/** False when the lane is full; the caller may not block. `among`: inodes, if only the vectors of some files are to be found. */
export function trySearch(
  shard: Outbox,
  id: number,
  collection: number,
  k: number,
  ef: number,
  vector: Float32Array,
  among: Uint32Array = ALL_FILES,
): boolean {
  const inodes = SEARCH_HEADER_BYTES + vector.byteLength;
  const at = shard.claim(SEARCH, inodes + among.byteLength);
  if (at < 0) return false;
  const word = at >> 2;
  shard.u32[word] = id;
  shard.u32[word + 1] = collection;
  shard.u32[word + 2] = k;
  shard.u32[word + 3] = ef;
  shard.u32[word + 4] = vector.length;
  shard.u32[word + 5] = among.length;
  shard.u8.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), at + SEARCH_HEADER_BYTES);
  shard.u32.set(among, (at + inodes) >> 2);
  shard.send();
  return true;
}

/**
 * Waits for room: for threads that may block. `[start, end)` are the float32 bytes. The next search takes it in. `stamp` is
 * taken for this change (vector-order.ts).
 */
export function writePutVector(
  shard: Outbox,
  ino: number,
  generation: number,
  collection: number,
  stamp: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const at = shard.claimOrWait(PUT_VECTOR, PUT_VECTOR_HEADER_BYTES + end - start);
  fillPutVector(shard, at, ino, generation, collection, stamp, bytes, start, end);
}

/** The same; false when the lane is full. */
export function tryPutVector(
  shard: Outbox,
  ino: number,
  generation: number,
  collection: number,
  stamp: number,
  bytes: Uint8Array,
): boolean {
  const at = shard.claim(PUT_VECTOR, PUT_VECTOR_HEADER_BYTES + bytes.length);
  if (at < 0) return false;
  fillPutVector(shard, at, ino, generation, collection, stamp, bytes, 0, bytes.length);
  return true;
}

function fillPutVector(
  shard: Outbox,
  at: number,
  ino: number,
  generation: number,
  collection: number,
  stamp: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const word = at >> 2;
  shard.u32[word] = ino;
  shard.u32[word + 1] = generation;
  shard.u32[word + 2] = collection;
  shard.u32[word + 3] = (end - start) >> 2;
  shard.u32[word + 4] = stamp;
  shard.u32[word + 5] = 0;
  const to = at + PUT_VECTOR_HEADER_BYTES;
  copyBytes(shard.u8, to, bytes, start, end - start);
  shard.post();
}

/** REPLAY; false when the lane is full. */
export function tryReplay(
  shard: Outbox,
  checkpointLsn: number,
  durableLsn: number,
  incarnation: number,
  lastStamp: number,
  route: number,
): boolean {
  const at = shard.claim(REPLAY, 32);
  if (at < 0) return false;
  shard.f64[at >> 3] = checkpointLsn;
  shard.f64[(at >> 3) + 1] = durableLsn;
  shard.u32[(at >> 2) + 4] = incarnation;
  shard.u32[(at >> 2) + 5] = lastStamp;
  shard.u32[(at >> 2) + 6] = route;
  shard.u32[(at >> 2) + 7] = 0;
  shard.send();
  return true;
}

/** REPLAY_FILES and TEXT_MISSING: how many, a zero, then `words`; false when the lane is full. */
export function tryList(outbox: Outbox, kind: number, count: number, words: Uint32Array): boolean {
  const at = outbox.claim(kind, LIST_HEADER_BYTES + words.length * 4);
  if (at < 0) return false;
  outbox.u32[at >> 2] = count;
  outbox.u32[(at >> 2) + 1] = 0;
  outbox.u32.set(words, (at + LIST_HEADER_BYTES) >> 2);
  outbox.send();
  return true;
}

/** PUT_CHUNKS from the batch u8[start, end); false when the lane is full. */
export function tryPutChunks(
  shard: Outbox,
  ino: number,
  generation: number,
  u8: Uint8Array,
  start: number,
  end: number,
): boolean {
  return fillPutChunks(shard, shard.claim(PUT_CHUNKS, 8 + end - start), ino, generation, u8, start, end);
}

/** The same; waits for room. */
export function writePutChunks(
  shard: Outbox,
  ino: number,
  generation: number,
  u8: Uint8Array,
  start: number,
  end: number,
): void {
  fillPutChunks(shard, shard.claimOrWait(PUT_CHUNKS, 8 + end - start), ino, generation, u8, start, end);
}

function fillPutChunks(
  shard: Outbox,
  at: number,
  ino: number,
  generation: number,
  u8: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (at < 0) return false;
  shard.u32[at >> 2] = ino;
  shard.u32[(at >> 2) + 1] = generation;
  shard.u8.set(u8.subarray(start, end), at + 8);
  shard.send();
  return true;
}

/** REMOVE_FILE or REMOVE_VECTORS; false when the lane is full. The next search takes it in. */
export function tryRemove(
  shard: Outbox,
  kind: number,
  ino: number,
  generation: number,
  collection: number,
  stamp = 0,
): boolean {
  return fillRemove(shard, shard.claim(kind, 16), ino, generation, collection, stamp);
}

/** The same; waits for room. */
export function writeRemove(
  shard: Outbox,
  kind: number,
  ino: number,
  generation: number,
  collection: number,
  stamp = 0,
): void {
  fillRemove(shard, shard.claimOrWait(kind, 16), ino, generation, collection, stamp);
}

function fillRemove(
  shard: Outbox,
  at: number,
  ino: number,
  generation: number,
  collection: number,
  stamp: number,
): boolean {
  if (at < 0) return false;
  const word = at >> 2;
  shard.u32[word] = ino;
  shard.u32[word + 1] = generation;
  shard.u32[word + 2] = collection;
  shard.u32[word + 3] = stamp;
  shard.post();
  return true;
}

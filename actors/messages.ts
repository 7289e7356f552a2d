/**
 * Every message between actors: its number, its layout, and the functions that write it (those to shards: shard-messages.ts;
 * questions: query-messages.ts). Offsets are bytes from the start of the payload, which is 8-byte aligned; numbers are
 * little-endian u32 unless said otherwise.
 *
 * A writer that finds its lane full waits for room: messages are never dropped. That cannot end in a circle, because
 * fuse actors wait for io, shards, the indexer and main; io waits for shards and main; shards wait for main; and the
 * indexer and main never block: the indexer tries again from its event loop (`try…`), and main sends no more messages
 * than a lane holds.
 */
import type { Outbox } from '../runtime/messaging/mailbox.ts';

// ---------------------------------------------------------------- to io

/** fuse → io-0: make everything in the journal durable, then answer the kernel's request.
 * [0] unique, low · [4] unique, high · [8] slot (pending.ts) */
export const SYNC = 32;
/** fuse → io-0: a SYNC is likely to follow what was written last; its commit may begin. [0] zero */
export const SYNC_EXPECTED = 59;
/** fuse, indexer → io-(id % workers.io): bytes of an object were written. Sent before the journal record that depends on
 * them is committed. [0] object id · [4] how many, as far as known */
export const OBJECT_DIRTY = 33;
/** fuse → io-(id % workers.io): bytes of an object were written that the log has as well: so its file need not be durable
 * before the log's segment ends, or a checkpoint is made. Sent as OBJECT_DIRTY. [0] object id */
export const OBJECT_LOGGED = 58;
/** fuse, indexer → io-(id % workers.io): no inode refers to the object any more. Sent after the journal record that says so
 * was committed; the file is deleted once that record is durable. [0] object id */
export const OBJECT_DROPPED = 34;
/** main → io-0: make everything durable; answered by IO_DONE. [0] ticket */
export const FLUSH = 35;
/** main → io-0: as FLUSH, then write a checkpoint. Nobody may change the namespace until IO_DONE. [0] ticket */
export const CHECKPOINT = 36;
/** main → io-0: there is a newer checkpoint on the disk, which was not made by io-0; answered by IO_DONE once whoever asks
 * the store's status is told of it. [0] ticket */
export const CHECKPOINT_MADE = 49;
/** io-0 → other io: make your dirty objects durable. [0] question · [4] 1 = those that are logged, too */
export const FLUSH_OBJECTS = 37;
/** io → io-0: all objects known when FLUSH_OBJECTS came are durable. [0] the question · [4] 0 or errno */
export const OBJECTS_FLUSHED = 38;
/** main → io-0: as FLUSH, then make the namespace and the slab anew from checkpoint and log, because a thread ended in
 * the middle of a change. All actors that use them (fuse, indexer, pool) have ended, and start again after IO_DONE.
 * [0] ticket */
export const REBUILD = 45;
/** main → io-0, after a FLUSH: bring the successor of a shard up to date; the shard says when it is (SHARD_REPLAYED).
 * [0] number of the shard · [4] its incarnation */
export const REPLAY_SHARD = 48;

/** fuse → io: the owner of an object's durability. */
export function ioOf(objectId: number, ioWorkers: number): string {
  return `io-${objectId % ioWorkers}`;
}

export function writeSync(io: Outbox, uniqueLo: number, uniqueHi: number, slot: number): void {
  const word = io.claimOrWait(SYNC, 12) >> 2;
  io.u32[word] = uniqueLo;
  io.u32[word + 1] = uniqueHi;
  io.u32[word + 2] = slot;
  io.send();
}

/** OBJECT_DIRTY, OBJECT_LOGGED and OBJECT_DROPPED: io takes them in before each commit, so it need not be woken. */
export function postObject(io: Outbox, kind: number, objectId: number, bytes = 0): void {
  const word = io.claimOrWait(kind, 8) >> 2;
  io.u32[word] = objectId;
  io.u32[word + 1] = bytes;
  io.post();
}

/** A message of one or two u32: every kind in this section but SYNC, and IO_DONE; waits for room. */
export function writeWords(outbox: Outbox, kind: number, first: number, second = 0): void {
  const word = outbox.claimOrWait(kind, 8) >> 2;
  outbox.u32[word] = first;
  outbox.u32[word + 1] = second;
  outbox.send();
}

// ---------------------------------------------------------------- to a fuse actor

/** main → fuse-0: an object was compressed; it takes the place of the other if the file's bytes are still those. Answered by
 * PLACED. [0] ino · [4] generation · [8] version · [12] object it was made of · [16] the compressed one, the same = it is to
 * stay as it is · [20] its form (fuse/namespace/layout.ts) */
export const COMPRESSED = 176;
/** main → fuse-0: the tables are to follow the files that the kernel writes by itself. [0] 0 · [4] 0 */
export const REFRESH_PASSED = 177;

/** main → fuse-0: checksums of an object were staged (fuse/objects/staged-sums.ts); the file gets them if its bytes are still those.
 * Answered by PLACED. [0] ino · [4] generation · [8] version · [12] object · [16] how many · [20] their CRC-32 · [24] spoils */
export const SUMMED = 178;

// ---------------------------------------------------------------- to a shard

/** indexer, io, shard → shard: text chunks of one file. [0] ino · [4] generation · [8] a chunk batch (chunk-batch.ts) */
export const PUT_CHUNKS = 64;
/** fuse, indexer, io, shard → shard: the vector of a file in a collection, replacing an earlier one.
 * [0] ino · [4] generation · [8] collection · [12] dimension · [16] stamp (vector-order.ts) · [20] reserved ·
 * [24] float32 × dimension */
export const PUT_VECTOR = 65;
/** fuse, indexer, io → shard: forget a file's entry in a collection.
 * [0] ino · [4] generation · [8] collection · [12] stamp, of users' collections */
export const REMOVE_VECTORS = 66;
/** fuse, indexer, io → shard: the file is gone; forget it in every collection. [0] ino · [4] generation */
export const REMOVE_FILE = 67;
/** indexer → shard: [0] search id · [4] collection · [8] k · [12] ef · [16] dimension · [20] files · [24] float32 × dimension ·
 * u32 × files: inodes, of which alone vectors are to be found; none = of every file · ef is an effort (kernels/hnsw/effort.ts) */
export const SEARCH = 68;
/** io → shard: read the segment written with the checkpoint of this LSN. [0] f64 LSN */
export const LOAD_SEGMENT = 69;
/** main → shard: write the segment of what it holds, that belongs to this LSN. [0] f64 LSN */
export const SAVE_SEGMENT = 70;
/** indexer → shard: drop every text chunk, because all are about to be indexed again. No payload. */
export const CLEAR_TEXT = 71;
/** indexer → shard: a users' collection is no more: all its vectors have been removed, and none comes before this was taken
 * in. [0] collection · [4] 0 */
export const DROP_COLLECTION = 76;
/** io-0 → shard: start empty, read the segment of the checkpoint and the log since; what follows is what the tables say.
 * [0] f64 LSN of the checkpoint · [8] f64 LSN up to which the log is durable · [16] which incarnation of the shard is
 * meant · [20] last stamp (vector-order.ts): the tables have what was stamped until then · [24] the word (route.ts) by
 * which its files are chosen · [28] 0 */
export const REPLAY = 72;
/** io-0 → shard, after REPLAY: some of the files that exist. [0] files · [4] 0 · [8] files × FILE_BYTES:
 * ino, generation, version of the content that is indexed, chunks; 0 chunks where nothing is said of the text */
export const REPLAY_FILES = 73;
export const FILE_BYTES = 16;
/** io-0 → shard, after REPLAY: these were all files, and all users' vectors. No payload. */
export const REPLAY_DONE = 74;
/** main → shard: the files are divided differently; do what this asks for and say ROUTE_DONE. [0] the word (route.ts) ·
 * [4] 0. On the way it sends on, to other shards, what they are to hold: PUT_CHUNKS and PUT_VECTOR. */
export const ROUTE_CHANGED = 75;

/** io-0 → shard, at a mount: help to load a checkpoint (load-board.ts). [0] its number · [4] 0 */
export const LOAD_BLOCKS = 88;
/** io-0 → shard, at a mount: the tables are there; read your files' vectors in users' collections from them, and say
 * VECTORS_LOADED. [0] last stamp (vector-order.ts): the tables have what was stamped until then · [4] 0 */
export const LOAD_VECTORS = 89;

// ---------------------------------------------------------------- to the indexer

/** shard → indexer: [0] search id · [4] u16 hits · [6] u16 number of the shard that was asked: another may answer in its place ·
 * [8] hits × HIT_BYTES: ino, generation, chunk, byte offset, byte length, line, content version, f32 distance */
export const HITS = 96;
export const HIT_BYTES = 32;

/** The second word of HITS, and what is in it. */
export function hitsWord(hits: number, shard: number): number {
  return (hits | (shard << 16)) >>> 0;
}

export function hitsOf(word: number): number {
  return word & 0xffff;
}

export function askedShardOf(word: number): number {
  return word >>> 16;
}

/** fuse → indexer: the content of a file changed. [0] ino */
export const CONTENT_CHANGED = 97;
/** fuse → indexer: a search to be answered to the kernel; layout in `writeQuery` */
export const QUERY = 98;
/** fuse → indexer: bytes were written to a query file (QUERY_WRITE), or are to be read from it (QUERY_READ); the indexer
 * answers the kernel's request. [0] unique, low · [4] unique, high · [8] uid · [12] gid · [16] pid · [20] node, low ·
 * [24] slot (pending.ts) · [28] bytes · [32] f64 position · [40] of QUERY_WRITE: the bytes */
export const QUERY_WRITE = 114;
export const QUERY_READ = 115;
/** shard → indexer: files whose text the tables call indexed and the shard does not have. [0] files · [4] 0 · [8] ino × files */
export const TEXT_MISSING = 112;

// ---------------------------------------------------------------- to main

/** shard → main: segment read. [0] 1 = complete, 0 = missing or damaged */
export const SEGMENT_LOADED = 128;
/** shard → main: what LOAD_VECTORS asks for is done. [0] f64 vectors */
export const VECTORS_LOADED = 146;
/** shard → main: segment written. [0] 0 or errno */
export const SEGMENT_SAVED = 129;
/** io-0 → main: what the ticket stands for is done. Tickets are answered in rising order; one that is asked again is
 * answered again and done once. [0] ticket · [4] 0 or errno */
export const IO_DONE = 130;
/** shard → main: a successor has taken everything in and answers. [0] number of the shard · [4] its incarnation */
export const SHARD_REPLAYED = 144;
/** shard → main: what a ROUTE_CHANGED asks for is done. [0] its word · [4] number of the shard */
export const ROUTE_DONE = 145;

/** fuse-0 → main: [0] the object of a COMPRESSED that is the file's now, or was given up, or of a SUMMED · [4] 0 or errno */
export const PLACED = 158;
/** fuse → main: an object cannot be read, or is not what its checksum says. [0] f64 position in the file · [8] ino · [12] object */
export const DAMAGED = 159;

/** DAMAGED; dropped when the lane is full: who reads it again tells of it again. */
export function tryDamaged(main: Outbox, ino: number, object: number, position: number): void {
  const at = main.claim(DAMAGED, 16);
  if (at < 0) return;
  main.f64[at >> 3] = position;
  main.u32[(at >> 2) + 2] = ino;
  main.u32[(at >> 2) + 3] = object;
  main.send();
}

/** fuse, indexer → main: the kernel is to forget a name. [0] parent, low · [4] parent, high · [8] bytes of the name · [12] the name */
export const FORGET_NAME = 140;
/** fuse, indexer → main: the kernel is to forget what it caches of a node. [0] node, low · [4] node, high */
export const FORGET_INODE = 141;

export function writeForgetName(
  main: Outbox,
  parentLo: number,
  parentHi: number,
  bytes: Uint8Array,
  start: number,
  length: number,
): void {
  const at = main.claimOrWait(FORGET_NAME, 12 + length);
  main.u32[at >> 2] = parentLo;
  main.u32[(at >> 2) + 1] = parentHi;
  main.u32[(at >> 2) + 2] = length;
  for (let i = 0; i < length; i++) main.u8[at + 12 + i] = bytes[start + i]!;
  main.send();
}

/** indexer → main: everything journalled so far is to be durable (if so asked), and the kernel to have forgotten what it was
 * told to before this; answered by SETTLED. [0] ticket · [4] 1 = durable */
export const SETTLE = 147;
/** main → indexer: what the ticket stands for is done. [0] ticket · [4] 0 or errno */
export const SETTLED = 113;

/** As {@link writeForgetName}; false when the lane is full. */
export function tryForgetName(main: Outbox, parent: number, name: Uint8Array): boolean {
  const at = main.claim(FORGET_NAME, 12 + name.length);
  if (at < 0) return false;
  main.u32[at >> 2] = parent;
  main.u32[(at >> 2) + 1] = 0;
  main.u32[(at >> 2) + 2] = name.length;
  main.u8.set(name, at + 12);
  main.send();
  return true;
}

/** COMPRESSED; false when the lane is full. */
export function tryCompressed(
  fuse: Outbox,
  ino: number,
  generation: number,
  version: number,
  from: number,
  to: number,
  stored: number,
): boolean {
  const at = fuse.claim(COMPRESSED, 24);
  if (at < 0) return false;
  fuse.u32.set([ino, generation, version, from, to, stored], at >> 2);
  fuse.send();
  return true;
}

/** SUMMED; false when the lane is full. */
export function trySummed(
  fuse: Outbox,
  ino: number,
  generation: number,
  version: number,
  object: number,
  count: number,
  crc: number,
  spoils: number,
): boolean {
  const at = fuse.claim(SUMMED, 28);
  if (at < 0) return false;
  fuse.u32.set([ino, generation, version, object, count, crc, spoils], at >> 2);
  fuse.send();
  return true;
}

/** A message of two u32; false when the lane is full. */
export function tryWords(outbox: Outbox, kind: number, first: number, second: number): boolean {
  const at = outbox.claim(kind, 8);
  if (at < 0) return false;
  outbox.u32[at >> 2] = first;
  outbox.u32[(at >> 2) + 1] = second;
  outbox.send();
  return true;
}

/** A message without payload; false when the lane is full. */
export function trySignal(outbox: Outbox, kind: number): boolean {
  if (outbox.claim(kind, 0) < 0) return false;
  outbox.send();
  return true;
}

/** The indexer looks by itself often enough; ringing it for every write would cost more than the write. */
export function postContentChanged(indexer: Outbox, ino: number): void {
  indexer.u32[indexer.claimOrWait(CONTENT_CHANGED, 4) >> 2] = ino;
  indexer.post();
}

/** A message whose payload is one number (an LSN, a status); waits for room. */
export function writeNumber(outbox: Outbox, kind: number, value: number): void {
  outbox.f64[outbox.claimOrWait(kind, 8) >> 3] = value;
  outbox.send();
}

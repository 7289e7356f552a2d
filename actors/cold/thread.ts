/**
 * Entry of the thread that goes over all files once, looks after the objects of those that are at rest, and ends: cold ones are
 * compressed, those without checksums get some, and those with checksums are compared with them. It holds no lock and changes
 * no table: what it has made takes effect when fuse-0 says so (`Content.compressed`, `Content.summed`). If it ends early, main has
 * the object that was under way given up.
 *
 * It has the lowest priority, and takes no more than half of the time of a CPU.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { type ColdFile, ColdFiles } from '../../fuse/namespace/cold-files.ts';
import { isCompressed, KEPT_PLAIN } from '../../fuse/namespace/layout.ts';
import { pieceBytes } from '../../fuse/namespace/sums.ts';
import { compressObject } from '../../fuse/objects/compress.ts';
import { CompressedObjects } from '../../fuse/objects/compressed-objects.ts';
import { LastReads } from '../../fuse/objects/last-reads.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { StagedSums } from '../../fuse/objects/staged-sums.ts';
import { sumPieces, sumsOf } from '../../fuse/objects/summed-objects.ts';
import { systemClock } from '../../runtime/clock.ts';
import { COMPRESSED_FRAME_BYTES, COMPRESSED_SIZE_MIN } from '../../runtime/config/bounds.ts';
import { EEXIST, EIO, ENOENT } from '../../runtime/errno.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { dropCached, nameThread, threadId } from '../../runtime/system/libc.ts';
import type { ColdNews, ColdOrder, ColdReply } from '../cold-order.ts';

/** Longest rest between two steps, ms: a step that was held up needs none so long. */
const REST_MAX_MS = 100;
/** What was read within so many seconds stays in the page cache. */
const IN_USE_S = 3600;

const order = workerData as ColdOrder;
const main = parentPort!;
const disk = new HostDisk(order.store);
const arena = Arena.attach(order.arena);
const files = new ColdFiles(arena, new LastReads(arena, systemClock));
const staged = new StagedSums(arena);
const objects = new ObjectFiles(disk, 1);
const expanded = new CompressedObjects(objects, 0);
const pillow = new Int32Array(new SharedArrayBuffer(4));
let restedAt = performance.now();

function tell(news: ColdNews): void {
  main.postMessage(news);
}

function answered(): Promise<ColdReply> {
  return new Promise((resolve) => main.once('message', resolve));
}

/** Rests as long as it has worked. */
function rest(): boolean {
  const worked = performance.now() - restedAt;
  Atomics.wait(pillow, 0, 0, Math.min(REST_MAX_MS, worked));
  restedAt = performance.now();
  return true;
}

function secondsAgo(seconds: number): number {
  return Math.floor(systemClock.now() / 1000) - seconds;
}

/** What programs use is not to make room for what nobody does. */
function dropCachedOf(object: number): void {
  const descriptor = disk.open(objectPath(object), 'read');
  if (descriptor < 0) return;
  dropCached(descriptor);
  disk.close(descriptor);
}

/** 0 or −errno: then the next would fail as well. */
async function compress(file: ColdFile): Promise<number> {
  const { ino, generation, version, object: from, size } = file;
  // What is compressed gets checksums of its own: they are not to vouch for damage.
  if (file.hasSums && !scrub(file)) return 0;
  for (;;) {
    const id = files.takeObjectId();
    tell({ kind: 'begun', object: id, bytes: size });
    const stored = compressObject(disk, from, id, size, { goOn: rest });
    dropCachedOf(from);
    if (stored > 0) dropCachedOf(id);
    // Taken while the tables were made anew.
    if (stored === -EEXIST) continue;
    // It is gone, or it cannot be read: a scan of all files is not the place to say so.
    if (stored === -ENOENT || stored === -EIO) return 0;
    if (stored < 0) return stored;
    const to = stored === KEPT_PLAIN ? from : id;
    tell({ kind: 'compressed', ino, generation, version, from, to, stored, bytes: size });
    await answered();
    rest();
    return 0;
  }
}

async function sum({ ino, generation, version, object, size }: ColdFile): Promise<void> {
  tell({ kind: 'doing', doing: `taking checksums of ${size} bytes` });
  const { spoils } = staged;
  const sums = sumsOf(disk, object, size, rest);
  if (files.lastRead(ino) < secondsAgo(IN_USE_S)) dropCachedOf(object);
  if (sums === -EIO) tell({ kind: 'damaged', ino, object, position: 0 });
  if (typeof sums === 'number') return;
  const crc = staged.stage(sums);
  tell({ kind: 'summed', ino, generation, version, object, count: sums.length, crc, spoils });
  await answered();
  rest();
}

/** Whether it is what its checksums say, as far as can be told while others may change it. */
function scrub(file: ColdFile): boolean {
  const { ino, object, size } = file;
  tell({ kind: 'doing', doing: `comparing ${size} bytes with their checksums` });
  // What the disk has is to be read, not what was read of it once.
  dropCachedOf(object);
  const position = isCompressed(file.stored) ? damageOfCompressed(object, size) : damageOfPlain(file);
  if (files.lastRead(ino) < secondsAgo(IN_USE_S)) dropCachedOf(object);
  if (position < 0) return true;
  tell({ kind: 'damaged', ino, object, position });
  return false;
}

/** Where the first damage begins; −1 = there is none, or the file is another by now. */
function damageOfPlain(file: ColdFile): number {
  const sums = files.sumsOf(file);
  let damage = -1;
  if (sums === undefined) return damage;
  const opened = sumPieces(disk, file.object, file.size, (piece, found) => {
    rest();
    if (found !== sums[piece]) damage = piece * pieceBytes(file.size);
    return damage < 0;
  });
  if (opened < 0) damage = 0;
  return damage >= 0 && files.sumsOf(file) !== undefined ? damage : -1;
}

function damageOfCompressed(object: number, size: number): number {
  const piece = new Uint8Array(Math.min(size, COMPRESSED_FRAME_BYTES));
  let damage = -1;
  for (let at = 0; at < size && damage < 0; at += piece.length) {
    const got = expanded.read(object, size, at, Math.min(piece.length, size - at), piece, 0);
    rest();
    if (got < 0) damage = at;
  }
  objects.forget(object);
  expanded.forget(object);
  // One that is gone was of a file that has changed.
  return typeof disk.stat(objectPath(object)) === 'number' ? -1 : damage;
}

async function run(): Promise<void> {
  const { compress: cold, sumAfterSeconds, scrubs } = order;
  const options = {
    unusedSince: cold === undefined ? Number.NEGATIVE_INFINITY : secondsAgo(cold.afterSeconds),
    minBytes: COMPRESSED_SIZE_MIN,
    maxBytes: cold?.maxBytes ?? 0,
    unchangedSince: sumAfterSeconds === 0 ? Number.NEGATIVE_INFINITY : secondsAgo(sumAfterSeconds),
    scrubs,
  };
  for (let file = files.next(options); file !== undefined; file = files.next(options)) {
    if (file.work === 'sum') await sum(file);
    else if (file.work === 'scrub') scrub(file);
    else {
      const failed = await compress(file);
      if (failed < 0) return tell({ kind: 'failed', errno: -failed });
    }
  }
  tell({ kind: 'done', totals: files.totals });
}

nameThread('cold');
setPriority(constants.priority.PRIORITY_LOW);
tell({ kind: 'started', thread: threadId() });
await run();
objects.close();
main.close();

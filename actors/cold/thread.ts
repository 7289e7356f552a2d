/**
 * Entry of the thread that goes over all files once, compresses those that are cold, and ends. It holds no lock and changes
 * no table: what it has made takes effect when fuse-0 says so (`Content.compressed`). If it ends early, main has the file that
 * was under way given up.
 *
 * It has the lowest priority, and takes no more than half of the time of a CPU.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { type ColdFile, ColdFiles } from '../../fuse/namespace/cold-files.ts';
import { KEPT_PLAIN } from '../../fuse/namespace/layout.ts';
import { compressObject } from '../../fuse/objects/compress.ts';
import { LastReads } from '../../fuse/objects/last-reads.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { systemClock } from '../../runtime/clock.ts';
import { COMPRESSED_SIZE_MIN } from '../../runtime/config/bounds.ts';
import { EEXIST, EIO, ENOENT } from '../../runtime/errno.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { dropCached, nameThread, threadId } from '../../runtime/system/libc.ts';
import type { ColdNews, ColdOrder, ColdReply } from '../cold-order.ts';

/** Longest rest between two steps, ms: a step that was held up needs none so long. */
const REST_MAX_MS = 100;

const { store, arena: memory, afterSeconds, maxBytes } = workerData as ColdOrder;
const main = parentPort!;
const disk = new HostDisk(store);
const arena = Arena.attach(memory);
const files = new ColdFiles(arena, new LastReads(arena, systemClock));
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

/** Nobody has used the file for long: what programs use is not to make room for it. */
function dropCachedOf(object: number): void {
  const descriptor = disk.open(objectPath(object), 'read');
  if (descriptor < 0) return;
  dropCached(descriptor);
  disk.close(descriptor);
}

/** 0 or −errno: then the next would fail as well. */
async function compress({ ino, generation, version, object: from, size }: ColdFile): Promise<number> {
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

async function run(): Promise<void> {
  const unusedSince = Math.floor(systemClock.now() / 1000) - afterSeconds;
  const options = { unusedSince, minBytes: COMPRESSED_SIZE_MIN, maxBytes };
  for (let file = files.next(options); file !== undefined; file = files.next(options)) {
    const failed = await compress(file);
    if (failed < 0) return tell({ kind: 'failed', errno: -failed });
  }
  tell({ kind: 'done', totals: files.totals });
}

nameThread('cold');
setPriority(constants.priority.PRIORITY_LOW);
tell({ kind: 'started', thread: threadId() });
await run();
main.close();

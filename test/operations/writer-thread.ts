/** One of several threads that write into the same files: every `threads`-th piece of each, in random order. */
import { workerData } from 'node:worker_threads';
import { Namespace } from '../../fuse/namespace/namespace.ts';
import { Content } from '../../fuse/objects/content.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { StagedSums } from '../../fuse/objects/staged-sums.ts';
import { SyncHabits } from '../../fuse/objects/sync-habits.ts';
import { systemClock } from '../../runtime/clock.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { seeded } from '../seed.ts';

export interface WriterData {
  readonly buffer: SharedArrayBuffer;
  readonly store: string;
  readonly inodes: readonly number[];
  readonly inlineLimit: number;
  readonly thread: number;
  readonly threads: number;
  readonly pieces: number;
  readonly pieceBytes: number;
  readonly seed: number;
}

const data = workerData as WriterData;
const arena = Arena.attach(data.buffer);
const slab = new SlabAllocator(arena.region('slab'));
const journal = new JournalWriter(arena.region('journal'));
const options = { inlineLimit: data.inlineLimit, clock: systemClock };
const namespace = new Namespace(arena, slab, journal, options);
const objects = new ObjectFiles(new HostDisk(data.store), 8);
const ignore = {
  objectDirty: () => {},
  objectLogged: () => {},
  objectDropped: () => {},
  objectDamaged: () => {},
};
const content = new Content(namespace, objects, new DataLocks(arena), ignore, {
  habits: new SyncHabits(arena),
  staged: new StagedSums(arena),
});

const below = seeded(data.seed + data.thread);
const piece = Buffer.alloc(data.pieceBytes, data.thread + 1);
for (const ino of data.inodes) {
  const mine = Array.from({ length: data.pieces }, (_, i) => i).filter(
    (i) => i % data.threads === data.thread,
  );
  while (mine.length > 0) {
    const [i] = mine.splice(below(mine.length), 1);
    const written = content.write(ino, i! * data.pieceBytes, piece, 0, piece.length, 0);
    if (written !== piece.length) throw new Error(`write answered ${written}`);
  }
}
objects.close();

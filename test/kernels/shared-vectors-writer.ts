/** The owner of shared vectors in the race test: changes them at random until it is told to end. */
import { workerData } from 'node:worker_threads';
import { CollectionIndex } from '../../kernels/hnsw/collection-index.ts';
import { VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Random } from './random.ts';
import { COLLECTION, DIMENSION, END, recordOf, STABLE, STARTED, vectorOf } from './shared-vectors-race.ts';

const { buffer, seed } = workerData as { buffer: SharedArrayBuffer; seed: number };
const arena = Arena.attach(buffer);
const flags = arena.region('flags').i32;
const random = new Random(seed);
const options = { dimension: DIMENSION, metric: 'l2', m: 16, efConstruction: 100, seed: 1 } as const;
const collection = new CollectionIndex(
  options,
  undefined,
  undefined,
  new VectorMemory(arena.region('vectors')),
  COLLECTION,
);
for (let ino = 1; ino <= STABLE; ino++) collection.put(recordOf(ino, 0), vectorOf(ino, 0));
collection.share();
Atomics.store(flags, STARTED, 1);
Atomics.notify(flags, STARTED);
let changes = 0;
for (let step = 1; Atomics.load(flags, END) === 0; step++) {
  const ino = STABLE + 1 + random.below(2000);
  const dice = random.next();
  if (dice < 0.5) collection.put(recordOf(ino, step), vectorOf(ino, step));
  else if (dice < 0.7) collection.removeFile(ino, 1);
  else if (dice < 0.75) {
    // A stable one is replaced, as a file is that was written again: taken out and put in, in one change.
    const stable = 1 + random.below(STABLE);
    collection.beginChange();
    collection.removeFile(stable, 1);
    collection.put(recordOf(stable, step), vectorOf(stable, step));
    collection.endChange();
  }
  // Else nothing for a while, so that some scans come through.
  else Atomics.wait(flags, END, 0, 1);
  changes++;
}
Atomics.store(flags, END, changes);

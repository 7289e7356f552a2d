/** The owner of shared vectors in the race test: changes them at random until it is told to end. */
import { parentPort, workerData } from 'node:worker_threads';
import { GraphDoors } from '../../actors/graph-doors.ts';
import { CollectionIndex } from '../../kernels/hnsw/collection-index.ts';
import type { GraphAccess } from '../../kernels/hnsw/graph-access.ts';
import { SharedGraph } from '../../kernels/hnsw/shared-graph.ts';
import { VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Random } from './random.ts';
import { COLLECTION, DIMENSION, END, recordOf, STABLE, STARTED, vectorOf } from './shared-vectors-race.ts';

const { buffer, seed, hasGraph } = workerData as {
  buffer: SharedArrayBuffer;
  seed: number;
  hasGraph: boolean;
};
const arena = Arena.attach(buffer);
const flags = arena.region('flags').i32;
const random = new Random(seed);
const options = { dimension: DIMENSION, metric: 'l2', m: 16, efConstruction: 100, seed: 1 } as const;

/** As a shard has it, with one other thread. */
function accessBeside(doors: GraphDoors): GraphAccess {
  return {
    publish: ({ memory }) => {
      parentPort!.postMessage(memory);
      return 1;
    },
    withdraw() {},
    close: () => {
      doors.close();
      return !doors.isInside(1);
    },
    open: () => doors.open(),
    mark: () => doors.mark(),
    passed: (mark) => doors.hasLeft(mark, 1),
    call() {},
  };
}

const graph = hasGraph
  ? new SharedGraph(options, accessBeside(new GraphDoors(arena.region('doors'), 2, 0)))
  : undefined;
const collection = new CollectionIndex(
  options,
  graph,
  hasGraph ? 100 : undefined,
  new VectorMemory(arena.region('vectors')),
  COLLECTION,
);
for (let ino = 1; ino <= STABLE; ino++) collection.put(recordOf(ino, 0), vectorOf(ino, 0));
while (hasGraph && collection.tailSize > 0) collection.absorb(64);
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
  // What comes moves into the graph, and is removed from there.
  else if (dice < 0.85) for (let i = 0; i < 8; i++) collection.absorb(16);
  else if (dice < 0.9) collection.tidy();
  // Else nothing for a while, so that some scans come through.
  else Atomics.wait(flags, END, 0, 1);
  changes++;
}
Atomics.store(flags, END, changes);

/** Takes every request that it sees pending, as fast as it can, until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { PENDING, Pending } from '../../actors/pending.ts';
import { Arena } from '../../runtime/memory/arena.ts';

const { buffer, self, kind } = workerData as { buffer: SharedArrayBuffer; self: number; kind: number };
const arena = Arena.attach(buffer);
const pending = new Pending(arena.region(PENDING), self, () => 0);
/** How often the request with each unique was taken, by all threads. */
const taken = arena.region('taken').i32;
const stop = arena.region('stop').i32;
let mine = 0;
while (Atomics.load(stop, 0) === 0) {
  pending.each(kind, (slot, lo, hi) => {
    if (!pending.take(slot, lo, hi)) return;
    Atomics.add(taken, lo, 1);
    mine++;
    pending.answered(slot);
  });
}
parentPort!.postMessage(mine);

/** Takes and gives back lookups of one inode many times. */
import { workerData } from 'node:worker_threads';
import { World } from './world.ts';

const { buffer, ino, count } = workerData as { buffer: SharedArrayBuffer; ino: number; count: number };
const { namespace } = World.attach(buffer);
for (let i = 0; i < count; i++) {
  namespace.addLookup(ino, 2);
  namespace.forget(ino, 1);
  namespace.forget(ino, 1);
}

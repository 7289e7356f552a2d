/** Changes one file again and again until it is told to stop, and tells how long the longest call took, in milliseconds. */
import fs from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const { file, control } = workerData as { file: string; control: Int32Array };
let longest = 0;
for (let mode = 0; Atomics.load(control, 0) === 0; mode ^= 1) {
  const begin = performance.now();
  fs.chmodSync(file, 0o644 + mode);
  longest = Math.max(longest, performance.now() - begin);
}
parentPort!.postMessage(longest);

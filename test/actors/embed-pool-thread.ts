/** A thread with a pool whose task never ends. Says when it has begun. */
import { parentPort, workerData } from 'node:worker_threads';
import { EmbedPool } from '../../actors/indexer/embed-pool.ts';
import { openLog } from '../../runtime/log.ts';

// Vitest reads this file too.
if (workerData?.task !== undefined) {
  const pool = new EmbedPool({
    words: new SharedArrayBuffer(8),
    threads: 2,
    timeoutMs: 600_000,
    logger: openLog('test', 'silent', 2),
    task: workerData.task,
  });
  for (let n = 0; n < 3; n++) {
    void pool.run({ bytes: new Uint8Array(1), complete: true, title: 'hang', maxChunks: 1 });
  }
  setTimeout(() => parentPort!.postMessage('begun'), 1000);
}

/** What the stress tests and their worker threads share. */
import { Worker } from 'node:worker_threads';

/** Canaries at both ends of `length` (≥ 8) bytes, derived from `mark`. */
export function fillMessage(
  u8: Uint8Array,
  u32: Uint32Array,
  at: number,
  length: number,
  mark: number,
): void {
  u32[at / 4] = mark;
  u32[at / 4 + 1] = length;
  if (length > 8) u8[at + length - 1] = mark ^ length;
}

export function expectMessage(
  u8: Uint8Array,
  u32: Uint32Array,
  at: number,
  length: number,
  mark: number,
): void {
  const intact =
    u32[at / 4] === mark >>> 0 &&
    u32[at / 4 + 1] === length &&
    (length <= 8 || u8[at + length - 1] === ((mark ^ length) & 0xff));
  if (!intact) throw new Error(`the canaries of ${mark} are broken`);
}

const sleepWord = new Int32Array(new SharedArrayBuffer(4));

export function sleep(ms: number): void {
  Atomics.wait(sleepWord, 0, 0, ms);
}

/** Starts stress-worker.ts; resolves with what it posted once it has ended well. */
export function startWorker(workerData: object): Promise<Record<string, number>> {
  const worker = new Worker(new URL('./stress-worker.js', import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    let posted = {};
    worker.on('message', (message) => {
      posted = message;
    });
    worker.once('error', reject);
    worker.once('exit', (code) => (code === 0 ? resolve(posted) : reject(new Error(`exit code ${code}`))));
  });
}

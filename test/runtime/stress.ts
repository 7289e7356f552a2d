/** What the stress tests and their worker threads share. */
import { Worker } from 'node:worker_threads';

/** A generator of numbers in [0, 1) that a seed reproduces (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function newSeed(): number {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  return seed;
}

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

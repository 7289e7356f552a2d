import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Embedded, EmbedPool } from '../../actors/indexer/embed-pool.ts';
import { openLog } from '../../runtime/log.ts';

const task = new URL('./misbehaving-task.js', import.meta.url).href;
let pool: EmbedPool;
beforeEach(() => {
  pool = new EmbedPool({
    words: new SharedArrayBuffer(8),
    threads: 1,
    timeoutMs: 2000,
    logger: openLog('test', 'silent', 2),
    task,
  });
});
afterEach(() => pool.destroy());

function run(title: string): Promise<Embedded> {
  return pool.run({ bytes: new Uint8Array(1), complete: true, title, maxChunks: 1 });
}

test('a task that hangs times out; those behind it have their own time and another thread', async () => {
  const [hung, next, last] = await Promise.all([run('hang'), run('well'), run('well')]);
  expect(hung).toMatchObject({ failed: 'timed out' });
  expect([next, last]).toEqual([{ chunks: [] }, { chunks: [] }]);
});

test('a task whose thread ends, or throws, fails alone', async () => {
  const results = await Promise.all(['exit', 'well', 'throw', 'well'].map(run));
  expect(results).toMatchObject([
    { failed: 'thread died' },
    { chunks: [] },
    { failed: 'thread died' },
    { chunks: [] },
  ]);
});

test('a task is never loaded by require(): terminated at that moment, its thread would end the process', async () => {
  const refused = await run('require');
  expect('failed' in refused && refused.error.message).toMatch(/require\(\) of ES Module/);
});

test('when the thread that owns the pool is ended, the pool’s threads end with it, hanging or not', async () => {
  await run('well');
  const threads = (): number => readdirSync('/proc/self/task').length;
  const before = threads();
  const owner = new Worker(new URL('./embed-pool-thread.js', import.meta.url), { workerData: { task } });
  await new Promise((resolve) => owner.once('message', resolve));
  expect(threads()).toBeGreaterThan(before + 2);
  await owner.terminate();
  for (let tries = 0; threads() > before && tries < 200; tries++) {
    await new Promise((resume) => setTimeout(resume, 50));
  }
  expect(threads()).toBeLessThanOrEqual(before);
});

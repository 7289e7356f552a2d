import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { testSeed } from '../seed.ts';
import { ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';
import type { WriterData } from './writer-thread.ts';

const THREADS = 3;
const PIECES = 96;
const PIECE_BYTES = 200;
const INLINE_LIMIT = 4096;

test('threads that write into one file while it outgrows its inline place lose nothing', async () => {
  const seed = testSeed('writers of one file');
  const store = fs.mkdtempSync(path.join(os.tmpdir(), 'vexfs-operations-'));
  const h = new Harness({ disk: new HostDisk(store), inlineLimit: INLINE_LIMIT });
  try {
    const files = Array.from({ length: 30 }, (_, i) => ok(h.create(ROOT, `f${i}`)));
    const data: Omit<WriterData, 'thread'> = {
      buffer: h.arena.buffer,
      store,
      inodes: files.map(({ lo }) => lo),
      inlineLimit: INLINE_LIMIT,
      threads: THREADS,
      pieces: PIECES,
      pieceBytes: PIECE_BYTES,
      seed,
    };
    const workers = Array.from({ length: THREADS }, (_, thread) => {
      return new Worker(new URL('./writer-thread.js', import.meta.url), { workerData: { ...data, thread } });
    });
    const drain = setInterval(() => h.drainJournal(), 1);
    const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
    clearInterval(drain);
    h.drainJournal();
    expect(codes.flat()).toEqual(new Array(THREADS).fill(0));
    const expected = Buffer.concat(
      Array.from({ length: PIECES }, (_, i) => Buffer.alloc(PIECE_BYTES, (i % THREADS) + 1)),
    );
    for (const [i, file] of files.entries()) {
      const same = ok(h.read(file, 0, 2 * expected.length)).equals(expected);
      if (!same) throw new Error(`seed ${seed}: file ${i} differs`);
      expect(h.namespace.objectOf(file.lo)).toBeGreaterThan(0);
    }
  } finally {
    h.objects.close();
    fs.rmSync(store, { recursive: true });
  }
});

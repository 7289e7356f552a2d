import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import { EBADF } from '../../runtime/errno.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { FileSyncs, SYNC_FILES_MAX, waitsForSyncs } from '../../runtime/system/sync-files.ts';

const directory = fs.mkdtempSync(join(os.tmpdir(), 'vexfs-syncs-'));
const files: number[] = [];
for (let at = 0; at < 2 * SYNC_FILES_MAX + 7; at++) {
  files.push(fs.openSync(join(directory, `${at}`), 'w'));
}
afterAll(() => {
  for (const file of files) fs.closeSync(file);
  fs.rmSync(directory, { recursive: true });
});

/** A number that no open file has. */
const CLOSED = 1_000_000;

test('many files are made durable by one call, up to its limit', () => {
  const syncs = new FileSyncs();
  for (const count of [1, 2, SYNC_FILES_MAX, files.length]) {
    for (const file of files) fs.writeSync(file, 'a');
    expect(syncs.sync(files.slice(0, count))).toBe(Math.min(count, SYNC_FILES_MAX));
  }
});

test('a file that cannot be synced is left to the caller, with all that follow it', () => {
  const syncs = new FileSyncs();
  expect(syncs.sync([CLOSED])).toBe(0);
  expect(syncs.sync([files[0]!, files[1]!, CLOSED, files[2]!])).toBe(2);
  expect(syncs.sync(files.slice(0, 3))).toBe(3);
});

test('a processor whose system calls are not known has nothing of the kind', () => {
  expect(new FileSyncs('riscv64').sync(files.slice(0, 2))).toBe(0);
});

test('a disk syncs any number of files, and reports the one that fails', () => {
  const disk = new HostDisk(directory);
  expect(disk.fdatasyncAll([])).toBe(0);
  expect(disk.fdatasyncAll(files.slice(0, 1))).toBe(0);
  expect(disk.fdatasyncAll(files)).toBe(0);
  expect(disk.fdatasyncAll([...files.slice(0, 70), CLOSED, files[0]!])).toBe(-EBADF);
});

test('what failed to reach the disk is an error, not a success', () => {
  // Takes an open, but has nothing to sync.
  const device = fs.openSync('/dev/full', 'w');
  const failed = new HostDisk(directory).fdatasyncAll([files[0]!, device]);
  fs.closeSync(device);
  expect(failed).toBeLessThan(0);
});

test('a thread that waits for files to become durable is seen to wait for a disk, one that sleeps is not', async () => {
  // io_getevents for one event, of which there will be none: what a slow disk looks like.
  const program = `
    const koffi = require('koffi');
    const { parentPort, workerData } = require('node:worker_threads');
    const libc = koffi.load(null);
    const syscall = libc.func('long syscall(long n, long a, void *b, long c, void *d, void *e)');
    const context = new BigUint64Array(1);
    parentPort.postMessage(libc.func('int gettid()')());
    if (workerData.waits) {
      syscall(workerData.setup, 1, context, 0, null, null);
      const wait = libc.func('long syscall(long n, long context, long least, long most, void *events, void *timeout)');
      wait(workerData.getEvents, Number(context[0]), 1, 1, Buffer.alloc(32), BigInt64Array.of(0n, 400_000_000n));
    } else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
  `;
  const [setup, getEvents] = process.arch === 'x64' ? [206, 208] : [0, 4];
  for (const waits of [true, false]) {
    const worker = new Worker(program, { eval: true, workerData: { waits, setup, getEvents } });
    const ended = once(worker, 'exit');
    const [id] = (await once(worker, 'message')) as [number];
    const seen: boolean[] = [];
    for (let look = 0; look < 20; look++) {
      seen.push(waitsForSyncs(id));
      await new Promise((resume) => setTimeout(resume, 10));
    }
    expect(seen.includes(true)).toBe(waits);
    await ended;
  }
});

/** Telling the kernel to forget, on a real mount: served by a worker, used by other processes, told from here. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fuseUnavailable, mount } from '../../fuse/mount/mount.ts';
import { type MountOptions, parseMountOptions } from '../../fuse/mount/mount-options.ts';
import { unmount } from '../../fuse/mount/unmount.ts';
import { FUSE_GETATTR, FUSE_LOOKUP } from '../../fuse/protocol/abi.ts';
import { wantedFlags } from '../../fuse/protocol/init.ts';
import { Reply } from '../../fuse/protocol/reply.ts';
import { sendTo } from '../../fuse/session/classic-channel.ts';
import { handshake } from '../../fuse/session/handshake.ts';
import { CacheNotifier } from '../../fuse/session/notify.ts';
import { ENOENT, ENOTCONN } from '../../runtime/errno.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import { COUNTS, SHARED_WORDS, type TinyData } from './tiny-filesystem.ts';

const run = promisify(execFile);
const PATIENCE = { timeout: 20_000 };
const ROOT = 1;
const HELLO = 2;

const missing = fuseUnavailable();
const title = `a kernel that is told to forget${missing === undefined ? '' : ` (skipped: ${missing})`}`;

describe.skipIf(missing !== undefined)(title, { timeout: 30_000 }, () => {
  let scratch: string;
  let directory: string;
  let fd: number;
  let shared: Int32Array;
  let worker: Worker;
  let notifier: CacheNotifier;

  beforeEach(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'vexfs-notify-'));
    directory = join(scratch, 'mnt');
    mkdirSync(directory);
    fd = (mount(directory, join(scratch, 'store'), parseMountOptions([]) as MountOptions) as { fd: number })
      .fd;
    handshake(fd, wantedFlags({ writeback: false, dataCache: 'explicit' }));
    shared = new Int32Array(new SharedArrayBuffer(SHARED_WORDS * 4));
    const workerData: TinyData = {
      fd,
      shared,
      eventfd: eventfd(),
      spinMicroseconds: 50,
      watch: undefined,
      id: 1,
    };
    worker = new Worker(new URL('./tiny-filesystem.js', import.meta.url), { workerData });
    await once(worker, 'message');
    notifier = new CacheNotifier(fd);
  });

  afterEach(async () => {
    unmount(directory, { lazy: true });
    await worker.terminate();
    closeSync(fd);
    rmSync(scratch, { recursive: true });
  });

  const seen = (opcode: number): number => Atomics.load(shared, COUNTS + opcode);
  const look = () => run('stat', [join(directory, 'hello')], PATIENCE);

  it('a name: asks for it again, and only for that one', async () => {
    await look();
    const before = seen(FUSE_LOOKUP);
    await look();
    expect(seen(FUSE_LOOKUP)).toBe(before);
    expect(await notifier.forgetName(ROOT, 0, Buffer.from('hello'))).toBe(0);
    await look();
    expect(seen(FUSE_LOOKUP)).toBe(before + 1);
  });

  it('an inode: asks for its attributes again', async () => {
    await look();
    const first = seen(FUSE_GETATTR);
    await look();
    const before = seen(FUSE_GETATTR);
    expect(await notifier.forgetInode(HELLO, 0)).toBe(0);
    await look();
    expect(seen(FUSE_GETATTR) - before).toBe(before - first + 1);
  });

  it('what it has not cached: says so', async () => {
    expect(await notifier.forgetName(ROOT, 0, Buffer.from('never seen'))).toBe(-ENOENT);
    expect(await notifier.forgetInode(4711, 0)).toBe(-ENOENT);
  });

  it('a name in a directory that a request has locked: this thread goes on, and can answer the request', async () => {
    await look();
    const request = once(worker, 'message') as Promise<[{ uniqueLo: number; uniqueHi: number }]>;
    const made = run('mkdir', [join(directory, 'new')], PATIENCE).catch((error) => String(error.stderr));
    const [{ uniqueLo, uniqueHi }] = await request;
    let isForgotten = false;
    const forgotten = notifier.forgetName(ROOT, 0, Buffer.from('hello')).then((result) => {
      isForgotten = true;
      return result;
    });
    await sleep(300);
    expect(isForgotten).toBe(false);
    const reply = new Reply(undefined, 0, 64);
    reply.beginUnique(uniqueLo, uniqueHi);
    reply.error(-5);
    expect(sendTo(fd, reply)).toBe(0);
    expect(await made).toContain('Input/output error');
    expect(await forgotten).toBe(0);
  });

  it('after close: nothing is told any more, and what was under way is over', async () => {
    await look();
    const first = notifier.forgetName(ROOT, 0, Buffer.from('hello'));
    const second = notifier.forgetInode(HELLO, 0);
    await notifier.close();
    expect(await first).toBeLessThanOrEqual(0);
    expect(await second).toBe(-ENOTCONN);
  });
});

/** The transport end to end: a real mount, served by a worker; everything that touches it runs in other threads. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../fuse/mount/failure.ts';
import { fuseUnavailable, mount } from '../../fuse/mount/mount.ts';
import { type MountOptions, parseMountOptions } from '../../fuse/mount/mount-options.ts';
import { checkMountPoint } from '../../fuse/mount/mount-point.ts';
import { isVexfs, mountAt, readMounts } from '../../fuse/mount/mountinfo.ts';
import { unmount } from '../../fuse/mount/unmount.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { type Agreed, wantedFlags } from '../../fuse/protocol/init.ts';
import { BODY, encodeEntryOut, FOREVER, Reply } from '../../fuse/protocol/reply.ts';
import { sendTo } from '../../fuse/session/classic-channel.ts';
import { handshake } from '../../fuse/session/handshake.ts';
import { Watch } from '../../fuse/session/watch.ts';
import { Doorbell } from '../../runtime/messaging/doorbell.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import {
  COUNTS,
  DOORBELL,
  FILES,
  HELLO,
  RINGS,
  SHARED_WORDS,
  STOP,
  type TinyData,
} from './tiny-filesystem.ts';

const run = promisify(execFile);
const PATIENCE = { timeout: 10_000 };

/** A mounted tiny filesystem and the workers that serve it. */
interface Mounted {
  directory: string;
  fd: number;
  agreed: Agreed;
  workers: { shared: Int32Array; worker: Worker; last: Promise<Last>; exited: Promise<unknown[]> }[];
}
/** What a worker says when it stops serving. */
interface Last {
  ended: string;
  failures: string[];
}

/** A name that needs every kind of escaping. */
const STORE = 'store, "with" \\ blanks\tand ünïcode';

const missing = fuseUnavailable();
const title = missing === undefined ? 'a mount' : `a mount (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(title, { timeout: 30_000 }, () => {
  let scratch: string;
  let directory: string;
  const mounts: Mounted[] = [];

  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), 'vexfs-transport-'));
    directory = join(scratch, 'mnt');
    mkdirSync(directory);
  });

  afterEach(async () => {
    for (const mounted of mounts.splice(0)) {
      if (mountAt(readMounts(), mounted.directory) !== undefined) unmount(mounted.directory, { lazy: true });
      for (const { exited } of mounted.workers) await exited;
      closeSync(mounted.fd);
    }
    rmSync(scratch, { recursive: true });
  });

  async function start(text: string[] = [], workers = 1): Promise<Mounted> {
    const options = parseMountOptions(text) as MountOptions;
    const { fd } = mount(directory, join(scratch, STORE), options) as { fd: number };
    expect(fd).toBeGreaterThan(2);
    const agreed = handshake(fd, wantedFlags({ writeback: false, dataCache: 'explicit' })) as Agreed;
    const watch = new Int32Array(new SharedArrayBuffer(Watch.WORDS * 4));
    Watch.format(watch, 0, eventfd(true));
    const mounted: Mounted = { directory, fd, agreed, workers: [] };
    for (let id = 1; id <= workers; id++) {
      const shared = new Int32Array(new SharedArrayBuffer(SHARED_WORDS * 4));
      const workerData: TinyData = { fd, shared, eventfd: eventfd(), spinMicroseconds: 50, watch, id };
      const worker = new Worker(new URL('./tiny-filesystem.js', import.meta.url), { workerData });
      const last = new Promise<Last>((resolve) =>
        worker.on('message', (m) => m.ended !== undefined && resolve(m)),
      );
      mounted.workers.push({ shared, worker, last, exited: once(worker, 'exit') });
    }
    mounts.push(mounted);
    // Only then may this process touch the mount: loading a module needs libuv's thread pool, which would be waiting
    // for the very workers that are loading.
    await Promise.all(mounted.workers.map(({ worker }) => once(worker, 'message')));
    return mounted;
  }

  it('answers stat, lookup, readdir, read and statfs through the kernel, then ends as unmounted', async () => {
    const { agreed, workers } = await start();
    const { last, exited, shared } = workers[0]!;
    expect(agreed.minor).toBeGreaterThanOrEqual(31);
    expect(await readFile(join(directory, 'hello'), 'utf8')).toBe(HELLO);
    const attributes = await stat(join(directory, 'hello'), { bigint: true });
    expect(attributes.mtimeNs).toBe(1_700_000_000_123_456_789n);
    expect((await readdir(directory)).length).toBe(FILES + 2);
    const { stdout } = await run('ls', ['-l', directory], PATIENCE);
    expect(stdout.split('\n')).toHaveLength(FILES + 2 + 2);
    await expect(stat(join(directory, 'nothing'))).rejects.toThrow('ENOENT');
    expect((await statfs(directory)).bfree).toBe(500);
    expect(Atomics.load(shared, COUNTS + abi.FUSE_OPEN)).toBeLessThanOrEqual(1);
    expect(unmount(directory, { lazy: false })).toBeUndefined();
    expect((await last).ended).toBe('unmounted');
    await exited;
  });

  it('is listed under its store, whatever characters the path has, with its options', async () => {
    await start(['ro,noatime,noexec']);
    const found = readMounts().filter(({ store }) => store === join(scratch, STORE));
    expect(found.map((m) => m.mountPoint)).toEqual([directory]);
    expect(isVexfs(found[0]!)).toBe(true);
    for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'noatime'])
      expect(found[0]!.options).toContain(option);
  });

  it('answers EIO when an operation throws, and serves on', async () => {
    const { last } = (await start()).workers[0]!;
    await expect(readFile(join(directory, 'boom'))).rejects.toThrow('EIO');
    expect(await readFile(join(directory, 'hello'), 'utf8')).toBe(HELLO);
    unmount(directory, { lazy: false });
    expect((await last).failures).toContain('Error: boom');
  });

  it('lets another thread answer a request', async () => {
    const { workers, fd } = await start();
    workers[0]!.worker.on('message', (message: { uniqueLo: number; uniqueHi: number }) => {
      if (!('uniqueLo' in message)) return;
      const reply = new Reply(undefined, 0, 4096);
      const attr = Object.assign(new Attr(), { ino: 5000, mode: 0o40700, nlink: 2 });
      reply.beginUnique(message.uniqueLo, message.uniqueHi);
      reply.ok(encodeEntryOut(reply.u32, BODY, attr, FOREVER, FOREVER));
      expect(sendTo(fd, reply)).toBe(0);
    });
    await mkdir(join(directory, 'later'));
    expect((await stat(join(directory, 'later'))).ino).toBe(5000);
  });

  it('hears its doorbell within moments while parked in poll, every time', async () => {
    const { shared } = (await start()).workers[0]!;
    const doorbell = new Doorbell(shared, DOORBELL);
    await stat(directory);
    for (let i = 0; i < 50; i++) {
      // Long enough to be parked on even rounds, soon enough to catch it polling on odd ones.
      await new Promise((done) => setTimeout(done, i % 2 === 0 ? 4 : 0));
      const before = Atomics.load(shared, RINGS);
      const rung = performance.now();
      doorbell.ring();
      Atomics.wait(shared, RINGS, before, 900);
      expect(Atomics.load(shared, RINGS)).toBeGreaterThan(before);
      expect(performance.now() - rung).toBeLessThan(500);
    }
  });

  it('stops serving when told to by the doorbell, and the mount stays', async () => {
    const { shared, last } = (await start()).workers[0]!;
    await stat(directory);
    Atomics.store(shared, STOP, 1);
    new Doorbell(shared, DOORBELL).ring();
    expect((await last).ended).toBe('stopped');
    expect(mountAt(readMounts(), directory)).toBeDefined();
  });

  it('served by three threads answers many clients at once, and all three end as unmounted', async () => {
    const { workers } = await start([], 3);
    const paths = Array.from({ length: 2000 }, (_, i) =>
      join(directory, i % 2 === 0 ? 'hello' : `nothing-${i}`),
    );
    const answers = await Promise.allSettled(paths.map((path) => stat(path)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1000);
    expect(unmount(directory, { lazy: false })).toBeUndefined();
    const since = performance.now();
    for (const { last } of workers) expect((await last).ended).toBe('unmounted');
    expect(performance.now() - since).toBeLessThan(900);
  });

  it('goes on being served when the thread that watches it stops', async () => {
    const { workers } = await start([], 2);
    await stat(directory);
    const { shared, last } = workers[0]!;
    Atomics.store(shared, STOP, 1);
    new Doorbell(shared, DOORBELL).ring();
    await last;
    const since = performance.now();
    for (let i = 0; i < 20; i++)
      await expect(stat(join(directory, `nothing-${i}`))).rejects.toThrow('ENOENT');
    expect(performance.now() - since).toBeLessThan(900);
  });

  it('in use is not unmounted, the error names who holds it, and lazily it goes', async () => {
    await start();
    const file = await open(join(directory, 'hello'));
    const busy = unmount(directory, { lazy: false });
    expect(busy).toBeInstanceOf(Failure);
    expect(busy!.errno).toBe(-16);
    expect(busy!.message).toContain(`${process.pid} (`);
    expect(unmount(directory, { lazy: true })).toBeUndefined();
    await file.close();
    expect(unmount(directory, { lazy: false })!.message).toContain('nothing is mounted');
  });

  it('point: missing, a file, not empty, already mounted are refused in a sentence', async () => {
    const check = (path: string, nonempty = false) => checkMountPoint(path, { nonempty });
    expect(await check(join(scratch, 'absent'))).toMatchObject({
      errno: -2,
      message: expect.stringContaining('does not exist'),
    });
    const file = join(scratch, 'file');
    writeFileSync(file, '');
    expect(await check(file)).toMatchObject({
      errno: -20,
      message: expect.stringContaining('not a directory'),
    });
    expect(await check(scratch)).toMatchObject({ errno: -39, message: expect.stringContaining('not empty') });
    expect(await check(scratch, true)).toMatchObject({ directory: scratch, notice: undefined });
    symlinkSync(directory, join(scratch, 'link'));
    expect(await check(join(scratch, 'link'))).toMatchObject({ directory });
    await start();
    expect(await check(directory)).toMatchObject({
      errno: -16,
      message: expect.stringContaining('already has'),
    });
  });

  it('that is dead is detached with a notice, and the directory is usable again', async () => {
    const dead = mount(directory, '/some/store', parseMountOptions([]) as MountOptions) as { fd: number };
    closeSync(dead.fd);
    await expect(stat(directory)).rejects.toThrow('ENOTCONN');
    const checked = await checkMountPoint(directory, { nonempty: false });
    expect(checked).toMatchObject({
      directory,
      notice: `detached a dead mount of /some/store from ${directory}`,
    });
    expect(await readdir(directory)).toEqual([]);
  });
});

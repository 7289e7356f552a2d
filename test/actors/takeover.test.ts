/** Fuse actors that die while a mount is used, and their successors: nobody who uses it notices. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KernelCache } from '../../actors/main/kernel-cache.ts';
import { expirePending } from '../../actors/main/late-requests.ts';
import { FORGET_NAME, SYNC } from '../../actors/messages.ts';
import { openPending } from '../../actors/pending.ts';
import { FUSE_FSYNC } from '../../fuse/protocol/abi.ts';
import { NO_FUSE, titled } from '../e2e/mounted.ts';
import { randomFrom, testSeed } from '../seed.ts';
import { Place, SMALL } from './daemon.ts';
import { Served } from './served.ts';

const run = promisify(execFile);
const LOAD_MS = 8000;
/** Nothing here takes this long, unless it hangs. */
const PATIENCE_MS = 60_000;

async function load(directory: string, seed: number): Promise<{ count: number; problems: string[] }> {
  const program = new URL('./takeover-load.js', import.meta.url).pathname;
  const args = [program, directory, String(Date.now() + LOAD_MS), String(seed)];
  const { stdout } = await run(process.execPath, args, { timeout: PATIENCE_MS });
  return JSON.parse(stdout);
}

describe.skipIf(NO_FUSE)(titled('a fuse actor on a real mount', NO_FUSE), { timeout: 120_000 }, () => {
  let served: Served;
  beforeEach(async () => {
    served = await Served.start();
  });
  afterEach(() => served.dispose());

  it('that is ended at random under a load of names and data: no call fails, and the bytes are right', async () => {
    const random = randomFrom(testSeed('fuse actors that end'));
    let isOver = false;
    const loads = Promise.all([1, 2].map((seed) => load(served.directory, seed))).finally(() => {
      isOver = true;
    });
    let deaths = 0;
    for (; !isOver; deaths++) {
      await sleep(random() * 100);
      const name = `fuse-${random() < 0.5 ? 0 : 1}`;
      await served.end(name);
      await sleep(random() * 30);
      await served.start(name);
    }
    const results = await loads;
    const resumed = served
      .log()
      .filter(({ msg }) => msg.startsWith('took over'))
      .map((line) => line.resumed!);
    const kinds = Object.fromEntries(
      [...new Set(resumed)].map((k) => [k, resumed.filter((r) => r === k).length]),
    );
    console.log(`${deaths} deaths, ${results.map(({ count }) => count).join(' and ')} calls;`, kinds);
    expect(results.flatMap(({ problems }) => problems)).toEqual([]);
    expect(deaths).toBeGreaterThan(0);
    expect(openPending(served.context).waiting).toBe(0);
  });

  it('shows a sign of life every second or so, whether it waits for requests or stands by', async () => {
    const beats = (): number[] => [0, 1].map((i) => served.state(`fuse-${i}`).heartbeat);
    const before = beats();
    await sleep(3500);
    const after = beats();
    for (const i of [0, 1]) expect(after[i]! - before[i]!).toBeGreaterThanOrEqual(2);
  });

  it('what a fuse actor wants forgotten, main tells the kernel, which then asks again', async () => {
    const file = join(served.directory, 'file');
    await run('touch', [file]);
    const look = () => run('stat', [file], { timeout: PATIENCE_MS });
    await look();
    const before = served.requests('LOOKUP');
    await look();
    expect(served.requests('LOOKUP')).toBe(before);
    const u8 = Buffer.alloc(16);
    u8.writeUInt32LE(1, 0);
    u8.writeUInt32LE(4, 8);
    u8.write('file', 12);
    const u32 = new Uint32Array(Uint8Array.from(u8).buffer);
    const cache = new KernelCache(served.context);
    cache.forget(FORGET_NAME, u8, u32, 0);
    while (served.requests('LOOKUP') === before) await look();
    await cache.close();
  });

  it('a request that waits for an actor that does not answer is answered EIO when its time is over', async () => {
    await served.end('io-0');
    const program = `
      const fs = require('fs');
      const fd = fs.openSync(${JSON.stringify(served.directory)} + '/file', 'w');
      try { fs.fsyncSync(fd); console.log('done'); } catch (error) { console.log(error.code); }`;
    const synced = run(process.execPath, ['-e', program], { timeout: PATIENCE_MS });
    const pending = openPending(served.context);
    while (pending.waiting === 0) await sleep(20);
    const { clock } = served.context;
    expect(expirePending(served.context, clock.monotonic(), PATIENCE_MS)).toBe(0);
    await sleep(20);
    expect(expirePending(served.context, clock.monotonic(), 10)).toBe(1);
    expect((await synced).stdout.trim()).toBe('EIO');
    // The kernel does not know it any more, so the late answer of an io-0 that comes back is lost without harm.
    expect(pending.waiting).toBe(0);
    pending.each(SYNC, () => expect.fail('it was answered'));
    expect(pending.enter(SYNC, 1, 2, FUSE_FSYNC)).toBeGreaterThanOrEqual(0);
  });
});

describe.skipIf(NO_FUSE)(titled('fuse actors of a whole mount', NO_FUSE), { timeout: 180_000 }, () => {
  let place: Place;
  beforeEach(() => {
    place = new Place();
  });
  afterEach(() => place.dispose());

  it('that are ended at random, in the middle of changes too: no call fails, and the bytes are right', async () => {
    const daemon = await place.mount([...SMALL, 'supervision.restarts=1000', 'index.enabled=false']);
    const random = randomFrom(testSeed('fuse actors of a mount that end'));
    let isOver = false;
    const loads = Promise.all([1, 2].map((seed) => load(place.directory, seed))).finally(() => {
      isOver = true;
    });
    let deaths = 0;
    while (!isOver) {
      await sleep(random() * 400);
      const name = `fuse-${random() < 0.5 ? 0 : 1}`;
      const { state } = await daemon.describe(name);
      if (state !== 'ready' && state !== 'busy') continue;
      daemon.terminate(name);
      deaths++;
    }
    const results = await loads;
    console.log(`${deaths} deaths, ${results.map(({ count }) => count).join(' and ')} calls`);
    expect(results.flatMap(({ problems }) => problems)).toEqual([]);
    expect(deaths).toBeGreaterThan(0);
    expect(await daemon.stop()).toEqual({ stopped: true });
    expect(await daemon.end()).toBe(0);
  });
});

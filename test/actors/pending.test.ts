import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, it } from 'vitest';
import { QUERY, SYNC } from '../../actors/messages.ts';
import { openPending, PENDING, Pending, planPending } from '../../actors/pending.ts';
import { FUSE_FSYNC, FUSE_FSYNCDIR, FUSE_LOOKUP } from '../../fuse/protocol/abi.ts';
import { Arena, type Region } from '../../runtime/memory/arena.ts';
import { World } from './world.ts';

const FUSE = 9;
const IO = 1;
const MAIN = 0;

let region: Region;
let now: number;
beforeEach(() => {
  region = Arena.create([planPending()]).region(PENDING);
  now = 1000;
});

function as(actor: number): Pending {
  return new Pending(region, actor, () => now);
}

/** [unique, opcode] of the requests of a kind that wait. */
function waiting(kind: number): [number, number][] {
  const seen: [number, number][] = [];
  as(MAIN).each(kind, (_slot, lo, _hi, opcode) => seen.push([lo, opcode]));
  return seen;
}

describe('a request that waits for another actor', () => {
  it('is seen by its kind until it is taken, and is taken once', () => {
    const fuse = as(FUSE);
    const sync = fuse.enter(SYNC, 10, 7, FUSE_FSYNC);
    fuse.enter(QUERY, 12, 7, FUSE_LOOKUP);
    expect(waiting(SYNC)).toEqual([[10, FUSE_FSYNC]]);
    expect(waiting(QUERY)).toEqual([[12, FUSE_LOOKUP]]);
    expect(as(IO).take(sync, 10, 7)).toBe(true);
    expect([as(IO).take(sync, 10, 7), as(MAIN).take(sync, 10, 7)]).toEqual([false, false]);
    expect(waiting(SYNC)).toEqual([]);
    expect(fuse.waiting).toBe(2);
    as(IO).answered(sync);
    expect(fuse.waiting).toBe(1);
  });

  it('is not taken under another unique, of which only one half may differ', () => {
    const slot = as(FUSE).enter(SYNC, 10, 7, FUSE_FSYNC);
    expect([as(IO).take(slot, 10, 8), as(IO).take(slot, 11, 7)]).toEqual([false, false]);
    expect(as(IO).take(slot, 10, 7)).toBe(true);
  });

  it('is found by its unique, and no more once somebody has taken it', () => {
    const fuse = as(FUSE);
    const slot = fuse.enter(SYNC, 10, 7, FUSE_FSYNC);
    expect([fuse.find(10, 7), fuse.find(10, 6)]).toEqual([slot, -1]);
    as(IO).take(slot, 10, 7);
    expect(fuse.find(10, 7)).toBe(-1);
  });

  it('is refused when as many wait as there is room for, and accepted again after an answer', () => {
    const fuse = as(FUSE);
    let entered = 0;
    while (fuse.enter(SYNC, entered, 0, FUSE_FSYNC) >= 0) entered++;
    expect(entered).toBeGreaterThanOrEqual(1000);
    expect(fuse.waiting).toBe(entered);
    const slot = fuse.find(5, 0);
    as(IO).take(slot, 5, 0);
    expect(fuse.enter(SYNC, entered, 0, FUSE_FSYNC)).toBe(-1);
    as(IO).answered(slot);
    expect(fuse.enter(SYNC, entered, 0, FUSE_FSYNC)).toBe(slot);
  });

  it('does not stand in the way of the one that comes into its slot: a late taker gets nothing', () => {
    const fuse = as(FUSE);
    let slot = fuse.enter(SYNC, 1, 0, FUSE_FSYNC);
    const first = slot;
    for (let unique = 2; ; unique++) {
      as(IO).take(slot, unique - 1, 0);
      as(IO).answered(slot);
      slot = fuse.enter(SYNC, unique, 0, FUSE_FSYNC);
      if (slot === first) break;
    }
    expect(as(IO).take(first, 1, 0)).toBe(false);
    as(IO).answered(first);
    expect(fuse.waiting).toBe(1);
  });
});

describe('a request that waits too long', () => {
  it('is handed out to be answered, whether it was taken meanwhile or not, and the slot is free', () => {
    const fuse = as(FUSE);
    const taken = fuse.enter(SYNC, 1, 0, FUSE_FSYNC);
    const slow = as(IO);
    slow.take(taken, 1, 0);
    fuse.enter(QUERY, 2, 0, FUSE_LOOKUP);
    now = 5000;
    fuse.enter(SYNC, 3, 0, FUSE_FSYNCDIR);
    const expired: [number, number][] = [];
    as(MAIN).expire(5000, (_slot, lo, _hi, opcode) => expired.push([lo, opcode]));
    expect(expired).toEqual([
      [1, FUSE_FSYNC],
      [2, FUSE_LOOKUP],
    ]);
    slow.answered(taken);
    expect(fuse.waiting).toBe(1);
    expect(waiting(SYNC)).toEqual([[3, FUSE_FSYNCDIR]]);
  });

  it('is found late also when the clock has gone round 2^32 milliseconds', () => {
    now = 2 ** 32 - 10;
    as(FUSE).enter(SYNC, 1, 0, FUSE_FSYNC);
    const expired: number[] = [];
    as(MAIN).expire(2 ** 32 - 20, (_slot, lo) => expired.push(lo));
    expect(expired).toEqual([]);
    as(MAIN).expire(2 ** 32 + 5, (_slot, lo) => expired.push(lo));
    expect(expired).toEqual([1]);
  });
});

describe('a successor', () => {
  it('makes pending again what its predecessor took and did not answer, and leaves what others took', () => {
    const fuse = as(FUSE);
    const [a, b] = [fuse.enter(SYNC, 1, 0, FUSE_FSYNC), fuse.enter(SYNC, 2, 0, FUSE_FSYNC)];
    as(IO).take(a, 1, 0);
    as(MAIN).take(b, 2, 0);
    as(IO).adopt();
    expect(waiting(SYNC)).toEqual([[1, FUSE_FSYNC]]);
  });

  it('frees a slot that its predecessor was about to fill, and no request that waits', () => {
    const fuse = as(FUSE);
    const slot = fuse.enter(SYNC, 1, 0, FUSE_FSYNC);
    const { i32 } = region;
    const next = (slot + 1) * 8;
    i32[next] = (1 << 10) | (FUSE << 2) | 1;
    as(FUSE).adopt();
    expect(i32[next]! & 3).toBe(0);
    expect(waiting(SYNC)).toEqual([[1, FUSE_FSYNC]]);
  });

  it('does so when it opens the table, the first thread of an actor does not', () => {
    const world = new World({ shards: 1, fuse: 1, io: 1 });
    const fuse = openPending(world.actor('fuse-0'));
    const slot = fuse.enter(SYNC, 1, 0, FUSE_FSYNC);
    openPending(world.actor('io-0')).take(slot, 1, 0);
    openPending(world.actor('io-0'));
    expect(fuse.find(1, 0)).toBe(-1);
    const context = world.actor('io-0');
    openPending({ ...context, settings: { ...context.settings, incarnation: 2 } });
    expect(fuse.find(1, 0)).toBe(slot);
  });
});

it('of two threads that take everything they see, exactly one gets each request', async () => {
  const REQUESTS = 50_000;
  const arena = Arena.create([
    planPending(),
    { name: 'taken', bytes: REQUESTS * 4 },
    { name: 'stop', bytes: 8 },
  ]);
  const threads = [IO, IO + 1].map(
    (self) =>
      new Worker(new URL('./pending-thread.js', import.meta.url), {
        workerData: { buffer: arena.buffer, self, kind: SYNC },
      }),
  );
  const counts = threads.map((thread) => new Promise<number>((done) => thread.once('message', done)));
  const fuse = new Pending(arena.region(PENDING), FUSE, () => 0);
  for (let unique = 0; unique < REQUESTS; ) {
    if (fuse.enter(SYNC, unique, 0, FUSE_FSYNC) >= 0) unique++;
    else await new Promise(setImmediate);
  }
  while (fuse.waiting > 0) await new Promise(setImmediate);
  Atomics.store(arena.region('stop').i32, 0, 1);
  const [first, second] = await Promise.all(counts);
  expect(first! + second!).toBe(REQUESTS);
  expect(arena.region('taken').i32.every((times) => times === 1)).toBe(true);
});

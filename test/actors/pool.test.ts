import { beforeEach, expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { Tending } from '../../actors/pool/tending.ts';
import { PoolReport } from '../../actors/pool-report.ts';
import { poolStatus } from '../../actors/pool-status.ts';
import { METRICS, POOL_REPORT, SLAB } from '../../actors/regions.ts';
import { holders, openSlab } from '../../actors/slab.ts';
import { openTree, type Tree } from '../../actors/tree.ts';
import { Namespace } from '../../fuse/namespace/namespace.ts';
import { TAG_CONTENT, TAG_XATTRS } from '../../fuse/slab-tags.ts';
import { NodeTable } from '../../fuse/virtual/node-table.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { SlabKeeper } from '../../runtime/memory/slab-keeper.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { formatJournal } from '../../runtime/storage/journal-ring.ts';
import { releasePages } from '../../runtime/system/pages.ts';
import { World } from './world.ts';

let world: World;
let pool: Context;
let fuse: Tree;
let tending: Tending;
let now: number;

/** A pool actor's work without its thread, beside a fuse actor's. */
beforeEach(() => {
  world = new World();
  const main = world.actor('main');
  const region = main.arena.region(SLAB);
  SlabAllocator.format(region);
  formatJournal(main.arena.region('journal'), 1);
  Namespace.format(main.arena, new SlabAllocator(region), { uid: 0, gid: 0, mode: 0o755, now: 0 });
  fuse = openTree(world.actor('fuse-0'));
  now = 0;
  const context = world.actor('pool');
  pool = { ...context, clock: { now: () => now, monotonic: () => now } };
  const { slab, namespace } = openTree(pool);
  tending = new Tending({
    slab,
    namespace,
    nodes: new NodeTable(pool.arena, slab),
    keeper: new SlabKeeper(slab, releasePages),
    metrics: new MetricsBlock(pool.arena.region(METRICS), 'pool'),
    report: new PoolReport(pool.arena.region(POOL_REPORT)),
    context: pool,
  });
});

/** Seconds of the pool's life. */
function pass(seconds: number): void {
  for (let i = 0; i < seconds; i++) {
    now += 1000;
    tending.tick();
  }
}

function file(name: string, bytes: number): number {
  const u8 = Buffer.from(name);
  const ino = fuse.namespace.create(1, u8, 0, u8.length, 0o100644, 0, 0, 0);
  expect(fuse.namespace.writeInline(ino, 0, Buffer.alloc(bytes), 0, bytes)).toBe(bytes);
  return ino;
}

test('the figures say what is used for what, how old it is, and how well the caches serve', () => {
  for (let i = 0; i < 100; i++) file(`file ${i}`, 3584);
  pass(130);
  file('young', 100);
  pass(2);
  const status = poolStatus(pool);
  expect(status.tags).toEqual([
    { tag: 'small files', blocks: 101, bytes: 100 * 4096 + 128, oldestMinutes: 2 },
  ]);
  expect(status.slackBytes).toBe(100 * 512 + 32);
  expect(status).toMatchObject({ slabUsed: 100 * 4096 + 128, allocations: 101, suspects: 0, starved: 0 });
  expect(status.hitRate).toBeGreaterThan(0.8);
  expect(status.scatteredBytes).toBe(2 * MIB - status.slabUsed);
  expect(holders(pool)).toEqual([
    { tag: 'small files', actor: 'fuse-0', blocks: 101, bytes: 409_728, slack: 51_232, oldestMinutes: 2 },
  ]);
});

test('a block that nothing refers to is a suspect after two looks, with its holder, and stays what it is', () => {
  const ino = file('kept', 1000);
  const lost = openSlab(world.actor('indexer')).allocate(5000, TAG_XATTRS);
  pass(170);
  expect(poolStatus(pool).suspects).toBe(0);
  pass(130);
  const { suspects, suspectBytes, suspected } = poolStatus(pool);
  expect([suspects, suspectBytes]).toEqual([1, 6144]);
  expect(suspected).toMatchObject([{ handle: lost, tag: 'xattrs', actor: 'indexer' }]);
  expect(suspected[0]!.ageMinutes).toBeGreaterThanOrEqual(4);
  expect(fuse.namespace.readInline(ino, 0, 10, new Uint8Array(10), 0)).toBe(10);
});

test('spans that files have left become whole, and their memory goes back to the system', () => {
  const { slab } = fuse;
  const handles = Array.from({ length: 11 * 64 }, () => slab.allocate(16_384, TAG_CONTENT));
  expect(handles.every((handle) => handle !== 0)).toBe(true);
  for (const handle of handles) slab.free(handle);
  slab.flush();
  pass(12);
  const { joinedSpans, trimmedBytes, freeSpanBytes } = poolStatus(pool);
  expect(joinedSpans).toBeGreaterThanOrEqual(10);
  expect(freeSpanBytes).toBeGreaterThanOrEqual(10 * MIB);
  expect(trimmedBytes).toBeGreaterThan(5 * MIB);
});

test('whoever finds no memory has what can be put together, at once', async () => {
  const slab = openSlab(world.actor('shard-0'));
  const handles: number[] = [];
  for (let handle = slab.allocate(16_384); handle !== 0; handle = slab.allocate(16_384)) handles.push(handle);
  for (const handle of handles) slab.free(handle);
  slab.flush();
  expect(slab.allocate(MIB)).toBe(0);
  const helped = tending.helpStarving(60_000);
  slab.caches!.waitForMemory(0);
  await helped;
  expect(slab.allocate(MIB)).not.toBe(0);
}, 30_000);

test('the tree is made anew: the pool starts over and knows nothing of the old one', () => {
  for (let i = 0; i < 50; i++) file(`file ${i}`, 3000);
  pass(3);
  const { caches } = fuse.slab;
  expect(caches!.suspend(0)).toBe(true);
  pass(1);
  SlabAllocator.format(pool.arena.region(SLAB));
  caches!.resume();
  pass(2);
  const { tags, slabUsed, allocations } = poolStatus(pool);
  expect({ tags, slabUsed, allocations }).toEqual({ tags: [], slabUsed: 0, allocations: 0 });
});

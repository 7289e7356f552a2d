import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MIB } from '../../runtime/config/bounds.ts';
import { Arena, type Region } from '../../runtime/memory/arena.ts';
import { CLASS_BYTES, classOf } from '../../runtime/memory/size-classes.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { testSeed } from '../seed.ts';
import { startWorker } from './stress.ts';

function slabRegion(mib: number): Region {
  const region = Arena.create([{ name: 'slab', bytes: mib * MIB }]).region('slab');
  SlabAllocator.format(region);
  return region;
}

const size = fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: MIB }));
const operation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('allocate' as const), by: fc.nat(1), size }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('free' as const), by: fc.nat(1), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const), by: fc.nat(1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reopen' as const), mib: fc.integer({ min: 0, max: 4 }) }),
  },
);

/** The slab under test, and beside it what must be in it: each live block's fill byte. */
class Model {
  region = slabRegion(8);
  slabs = [new SlabAllocator(this.region), new SlabAllocator(this.region)];
  readonly live = new Map<number, number>();
  #fill = 0;

  allocate(by: number, bytes: number): void {
    const slab = this.slabs[by]!;
    const handle = slab.allocate(bytes);
    if (handle === 0) return;
    const capacity = slab.capacity(handle);
    expect(capacity).toBeGreaterThanOrEqual(bytes);
    for (const other of this.live.keys()) {
      const apart = other * 64 + slab.capacity(other) <= handle * 64 || handle * 64 + capacity <= other * 64;
      if (!apart) throw new Error(`blocks ${other} and ${handle} overlap`);
    }
    this.#fill = (this.#fill % 255) + 1;
    slab.u8.fill(this.#fill, handle * 64, handle * 64 + capacity);
    this.live.set(handle, this.#fill);
  }

  free(by: number, which: number): void {
    const handle = [...this.live.keys()][which % Math.max(1, this.live.size)];
    if (handle === undefined) return;
    this.checkBlock(handle);
    this.slabs[by]!.free(handle);
    this.live.delete(handle);
  }

  /** As a checkpoint and a mount do, into a region of another capacity. */
  reopen(extraMib: number): void {
    for (const slab of this.slabs) slab.flush();
    const used = this.slabs[0]!.highWater();
    const region = Arena.create([{ name: 'slab', bytes: Math.max(2 * MIB, used + extraMib * MIB) }]).region(
      'slab',
    );
    region.u8.set(this.region.u8.subarray(0, used));
    this.region = region;
    this.slabs = [new SlabAllocator(region), new SlabAllocator(region)];
  }

  checkBlock(handle: number): void {
    const slab = this.slabs[0]!;
    const bytes = slab.u8.subarray(handle * 64, handle * 64 + slab.capacity(handle));
    if (bytes.some((byte) => byte !== this.live.get(handle)))
      throw new Error(`block ${handle} was overwritten`);
  }

  checkAll(): void {
    for (const handle of this.live.keys()) this.checkBlock(handle);
    for (const slab of this.slabs) slab.flush();
    const used = [...this.live.keys()].reduce((sum, handle) => sum + this.slabs[0]!.capacity(handle), 0);
    expect(this.slabs[1]!.usedBytes).toBe(used);
  }
}

test('any sequence of allocate, free, flush and reopen keeps blocks apart and their contents', () => {
  const seed = testSeed('blocks');
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const model = new Model();
      for (const step of operations) {
        if (step.kind === 'allocate') model.allocate(step.by, step.size);
        else if (step.kind === 'free') model.free(step.by, step.which);
        else if (step.kind === 'flush') model.slabs[step.by]!.flush();
        else model.reopen(step.mib);
      }
      model.checkAll();
    }),
    { seed, numRuns: 60 },
  );
}, 60_000);

test('every size gets the smallest class that holds it', () => {
  for (let bytes = 1; bytes <= MIB; bytes += bytes < 5000 ? 1 : 997) {
    const c = classOf(bytes);
    expect(CLASS_BYTES[c]! >= bytes && (c === 0 || CLASS_BYTES[c - 1]! < bytes)).toBe(true);
  }
  expect(CLASS_BYTES).toContain(1024);
  expect(CLASS_BYTES).toContain(4096);
  expect(CLASS_BYTES).toContain(16384);
});

test.each(CLASS_BYTES.map((bytes) => [bytes]))(
  'blocks of %i bytes: all of a span, then none, then all again',
  (bytes) => {
    const slab = new SlabAllocator(slabRegion(3));
    const fill = () => {
      const handles: number[] = [];
      for (let handle = slab.allocate(bytes); handle !== 0; handle = slab.allocate(bytes))
        handles.push(handle);
      return handles;
    };
    const first = fill();
    expect(first.length).toBe(2 * Math.floor(MIB / bytes));
    expect(new Set(first).size).toBe(first.length);
    expect(slab.usedBytes).toBe(first.length * bytes);
    for (const handle of first) slab.free(handle);
    expect(slab.usedBytes).toBe(0);
    expect(fill().sort()).toEqual(first.sort());
  },
);

test('when no span is left, a larger free block serves', () => {
  const slab = new SlabAllocator(slabRegion(2));
  const handle = slab.allocate(100_000);
  slab.free(handle);
  const small = slab.allocate(64);
  expect(small).not.toBe(0);
  expect(slab.capacity(small)).toBe(128 * 1024);
});

test('a freed block of 1 MiB becomes a span for small blocks', () => {
  const slab = new SlabAllocator(slabRegion(2));
  slab.free(slab.allocate(MIB));
  const handle = slab.allocate(64);
  expect(slab.capacity(handle)).toBe(64);
  expect(slab.allocate(MIB)).toBe(0);
});

test('freeing twice, freeing the middle of a block, and writing after a free are found', () => {
  const slab = new SlabAllocator(slabRegion(2));
  const handle = slab.allocate(1000);
  expect(() => slab.free(handle + 1)).toThrow('beginning of a block');
  expect(() => slab.free(1)).toThrow('names a block');
  slab.free(handle);
  expect(() => slab.free(handle)).toThrow('freed once');
  slab.u8[handle * 64] = 1 ^ slab.u8[handle * 64]!;
  expect(() => slab.allocate(1000)).toThrow('nobody writes');
});

test('statistics count allocations, cache hits, blocks and spans', () => {
  const slab = new SlabAllocator(slabRegion(4));
  const handles = Array.from({ length: 100 }, () => slab.allocate(4096));
  for (const handle of handles.slice(0, 40)) slab.free(handle);
  slab.flush();
  const stats = slab.stats();
  expect(stats).toMatchObject({ capacityBytes: 4 * MIB, highWater: 2 * MIB, allocations: 100, frees: 40 });
  expect(stats.usedBytes).toBe(60 * 4096);
  expect(stats.cacheHits).toBeGreaterThan(80);
  expect(stats.classes.find(({ blockBytes }) => blockBytes === 4096)).toEqual({
    blockBytes: 4096,
    used: 60,
    free: 196,
    spans: 1,
  });
});

test('three threads pass blocks on and free each other’s: contents survive and nothing is lost', async () => {
  const arena = Arena.create([
    { name: 'slab', bytes: 64 * MIB },
    { name: 'slots', bytes: 4096 },
  ]);
  SlabAllocator.format(arena.region('slab'));
  const seed = testSeed('blocks');
  await Promise.all(
    [0, 1, 2].map((i) => startWorker({ role: 'slab', buffer: arena.buffer, seed: seed + i, count: 100_000 })),
  );
  const slab = new SlabAllocator(arena.region('slab'));
  for (const handle of arena.region('slots').u32) if (handle !== 0) slab.free(handle);
  slab.flush();
  expect(slab.usedBytes).toBe(0);
  const stats = slab.stats();
  expect(stats.allocations).toBe(stats.frees);
  // Every block of every span can be had again.
  const { highWater } = stats;
  for (const { blockBytes, spans } of stats.classes) {
    for (let i = 0; i < spans * Math.floor(MIB / blockBytes); i++)
      expect(slab.allocate(blockBytes)).not.toBe(0);
  }
  expect(slab.highWater()).toBe(highWater);
}, 60_000);

import { describe, expect, test, vi } from 'vitest';
import { KIB, MIB } from '../../runtime/config/bounds.ts';
import { SPAN_UNITS } from '../../runtime/memory/size-classes.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { auditSlab, scanHolders } from '../../runtime/memory/slab-audit.ts';
import { SlabKeeper, SPANS_READY } from '../../runtime/memory/slab-keeper.ts';
import { rebuildSlab } from '../../runtime/memory/slab-rebuild.ts';
import { SlabScan } from '../../runtime/memory/slab-scan.ts';
import { allocateAll, idleSpans, POOL, referring, residentKiB, SlabWorld } from './slab-world.ts';

describe('the row of a thread that died', () => {
  test('is adopted: the successor allocates from its cache, and nothing is lost', () => {
    const world = new SlabWorld(8);
    const first = world.open(0);
    const handles = allocateAll(first, 100, 4096);
    for (const handle of handles.slice(50)) first.free(handle);
    const successor = world.open(0);
    expect(successor.usedBytes).toBe(50 * 4096);
    expect(auditSlab(successor, referring(handles.slice(0, 50)))).toMatchObject({
      lost: [],
      dangling: [],
      doubled: [],
    });
    const { cacheHits } = successor.stats();
    successor.allocate(4096);
    expect(successor.stats().cacheHits).toBe(cacheHits + 1);
  });

  test('counts for everybody who looks', () => {
    const world = new SlabWorld(8);
    allocateAll(world.open(0), 10, 1024);
    allocateAll(world.open(1), 5, 64);
    const stats = world.open(undefined).stats();
    expect(stats.usedBytes).toBe(10 * 1024 + 5 * 64);
    expect(stats).toMatchObject({ allocations: 15, frees: 0 });
  });
});

describe('holders', () => {
  test('are told by tag, actor and age, and a freed block has none', () => {
    const world = new SlabWorld(8);
    const [a, b] = [world.open(0), world.open(1)];
    const names = allocateAll(a, 3, 100, 7);
    world.caches.minute = 5;
    allocateAll(b, 2, 5000, 9);
    a.free(names[0]!);
    expect(scanHolders(a, 8)).toEqual([
      { tag: 9, slot: 1, blocks: 2, bytes: 2 * 6144, slack: 2 * 1152, oldestMinutes: 3 },
      { tag: 7, slot: 0, blocks: 2, bytes: 2 * 128, slack: 2 * 32, oldestMinutes: 8 },
    ]);
  });

  test('know to a sixteenth of a block what nobody asked for', () => {
    const world = new SlabWorld(8);
    const slab = world.open(0);
    const handles = allocateAll(slab, 100, 3 * KIB + 512);
    expect(scanHolders(slab, 0)[0]!.slack).toBe(100 * 512);
    for (const handle of handles) slab.free(handle);
    expect(scanHolders(slab, 0)).toEqual([]);
  });
});

describe('an audit', () => {
  test('names blocks that nothing refers to, and those referred to that are free or twice', () => {
    const slab = new SlabWorld(8).open(0);
    const [kept, forgotten, freed] = allocateAll(slab, 3, 4096, 3);
    slab.free(freed!);
    const { lost, dangling, doubled } = auditSlab(slab, referring([kept!, kept!, freed!]));
    expect(lost).toEqual([{ handle: forgotten, bytes: 4096, tag: 3, slot: 0, minute: 0 }]);
    expect(dangling.map(({ handle }) => handle)).toEqual([freed]);
    expect(doubled.map(({ handle }) => handle)).toEqual([kept]);
  });

  test('beside the others suspects a block in its second round, once it is old', () => {
    const slab = new SlabWorld(8).open(0);
    const [kept, forgotten] = allocateAll(slab, 2, 4096, 3);
    const scan = new SlabScan(slab);
    const round = (minute: number): number[] => {
      scan.begin(true);
      scan.mark(kept!);
      while (!scan.step(1, minute));
      return scan.suspects.map(({ handle }) => handle);
    };
    expect([round(0), round(1), round(2), round(3)]).toEqual([[], [], [], [forgotten]]);
    slab.free(forgotten!);
    slab.allocate(4096, 3);
    expect(round(4)).toEqual([forgotten]);
    expect(scan.uses[3]).toEqual({ blocks: 2, bytes: 8192, slack: 0, oldest: 0 });
  });
});

describe('a rebuild', () => {
  test('keeps what is referred to, frees the rest, and makes empty spans whole', () => {
    const world = new SlabWorld(16);
    const slab = world.open(0);
    const kept = allocateAll(slab, 300, 4096);
    const forgotten = allocateAll(slab, 900, 4096);
    const small = allocateAll(slab, 20, 64);
    const large = slab.allocate(MIB);
    for (const handle of kept) slab.u8.fill(1 + (handle % 250), handle * 64, handle * 64 + 4096);
    world.caches.suspend(0);
    world.caches.resume();
    const reopened = world.open(1);
    const live = [...kept, ...small];
    expect(rebuildSlab(reopened, referring(live))).toEqual({ blocks: 320, misfits: 0, freeSpans: 3 });
    expect(reopened.usedBytes).toBe(300 * 4096 + 20 * 64);
    expect(auditSlab(reopened, referring(live))).toMatchObject({ lost: [], dangling: [], doubled: [] });
    for (const handle of kept) expect(reopened.u8[handle * 64 + 4095]).toBe(1 + (handle % 250));
    const again = allocateAll(reopened, 700, 4096);
    expect(new Set([...live, ...again]).size).toBe(1020);
    expect(forgotten.length + large).toBeGreaterThan(0);
    for (const handle of [...live, ...again]) reopened.free(handle);
    expect(reopened.usedBytes).toBe(0);
  });

  test('lowers the high water to the last span in use', () => {
    const slab = new SlabWorld(16).open(0);
    const [first] = allocateAll(slab, 10, MIB);
    rebuildSlab(slab, referring([first!]));
    expect(slab.highWater()).toBe(2 * MIB);
    expect(allocateAll(slab, 14, MIB)).toHaveLength(14);
  });

  test('counts references that name no block, and goes on', () => {
    const slab = new SlabWorld(4).open(0);
    const [handle] = allocateAll(slab, 1, 128);
    const wrong = [handle!, handle! + 1, 5, 2 ** 29, 3 * SPAN_UNITS];
    expect(rebuildSlab(slab, referring([handle!], wrong))).toMatchObject({ blocks: 1, misfits: 5 });
  });

  test('is noticed by whoever knew the slab before: another key, another epoch', () => {
    const world = new SlabWorld(8);
    const survivor = world.open(0);
    survivor.free(survivor.allocate(1000));
    expect(world.caches.suspend(0)).toBe(true);
    SlabAllocator.format(world.arena.region('slab'));
    world.caches.resume();
    const rebuilder = world.open(1);
    rebuildSlab(rebuilder, () => {});
    const handle = survivor.allocate(1000);
    expect(handle).not.toBe(0);
    survivor.free(handle);
    expect(auditSlab(survivor, () => {})).toMatchObject({ lost: [], doubled: [] });
  });
});

describe('the keeper', () => {
  test('waits outside while the slab is being replaced, and whoever replaces it waits for the keeper', () => {
    const world = new SlabWorld(4);
    const { row } = world.open(POOL).core;
    expect(row.enter()).toBe(true);
    expect(world.caches.suspend(3)).toBe(false);
    row.leave();
    expect(world.caches.suspend(0)).toBe(true);
    expect(row.enter()).toBe(false);
    world.caches.resume();
    expect(row.enter()).toBe(true);
  });

  test('has magazines ready for those who had to carve', () => {
    const world = new SlabWorld(8);
    const slab = world.open(0);
    const keeper = world.keeper();
    allocateAll(slab, 20, 4096);
    keeper.ready();
    expect(keeper.readied).toBeGreaterThan(0);
    const frontier = slab.core.frontier(slab.core.classOfBlock(slab.allocate(4096)));
    allocateAll(slab, 15, 4096);
    expect(slab.core.frontier(slab.core.classOfSpan(1))).toBe(frontier);
    expect(slab.usedBytes).toBe(36 * 4096);
  });

  test('makes spans whole, so that another class can have them', () => {
    const world = new SlabWorld(9);
    const slab = world.open(0);
    const keeper = world.keeper();
    const handles = allocateAll(slab, 8 * 256, 4096);
    expect(slab.allocate(MIB)).toBe(0);
    for (const handle of handles) slab.free(handle);
    expect(slab.allocate(MIB)).toBe(0);
    expect(keeper.join(idleSpans(slab))).toBe(7);
    const { scatteredBytes, freeSpanBytes } = slab.stats();
    expect([scatteredBytes, freeSpanBytes]).toEqual([MIB, 7 * MIB]);
    expect(allocateAll(slab, 7, MIB)).toHaveLength(7);
    expect(auditSlab(slab, () => {})).toMatchObject({ dangling: [], doubled: [] });
  });

  test('leaves a span alone of which one block is in use or in a cache', () => {
    const world = new SlabWorld(9);
    const slab = world.open(0);
    const keeper = world.keeper();
    const handles = allocateAll(slab, 4 * 256, 4096);
    for (const handle of handles.slice(1)) slab.free(handle);
    expect(keeper.join(idleSpans(slab))).toBe(2);
    expect(auditSlab(slab, referring(handles.slice(0, 1)))).toMatchObject({
      lost: [],
      dangling: [],
      doubled: [],
    });
  });

  test('gives the memory of free spans back to the system, and it can be used again', () => {
    const spans = 200;
    const world = new SlabWorld(spans + 2);
    const slab = world.open(0);
    const keeper = world.keeper();
    const handles = allocateAll(slab, spans, MIB);
    for (const handle of handles) slab.u8.fill(7, handle * 64, handle * 64 + MIB);
    const before = residentKiB();
    for (const handle of handles) slab.free(handle);
    expect(keeper.spareSpans()).toBe(spans);
    const bytes = keeper.trim();
    expect(bytes).toBeGreaterThan((spans - SPANS_READY - 1) * (MIB - 8 * KIB));
    expect(before - residentKiB()).toBeGreaterThan(((spans - SPANS_READY) * KIB) / 2);
    expect(keeper.spareSpans()).toBe(SPANS_READY);
    expect(keeper.trim()).toBe(0);
    const again = allocateAll(slab, spans, MIB);
    let zeros = 0;
    for (const handle of again) {
      if (slab.u8[handle * 64 + 500_000] === 0) zeros++;
      slab.u8.fill(9, handle * 64, handle * 64 + MIB);
    }
    expect(zeros).toBe(spans - SPANS_READY);
    expect(auditSlab(slab, referring(again))).toMatchObject({ lost: [], dangling: [], doubled: [] });
  });

  test('that died anywhere leaves everything to its successor', () => {
    for (let deadline = 1; ; deadline++) {
      const world = new SlabWorld(6);
      const slab = world.open(0);
      const kept = allocateAll(slab, 1, 16 * KIB);
      for (const handle of allocateAll(slab, 130, 16 * KIB)) slab.free(handle);
      for (const handle of allocateAll(slab, 2, MIB)) slab.free(handle);
      slab.flush();
      const idle = idleSpans(slab);
      const died = diesAt(deadline, () => {
        const keeper = world.keeper();
        keeper.ready();
        keeper.join(idle);
      });
      world.keeper().recover();
      const audit = auditSlab(slab, referring(kept));
      expect(audit, `dead at step ${deadline}`).toMatchObject({ lost: [], dangling: [], doubled: [] });
      if (!died) break;
      expect(deadline).toBeLessThan(20_000);
    }
  }, 120_000);
});

/** Runs `work`, which ends before its `step`th exchange in shared memory for ever; false when it came to its end. */
function diesAt(step: number, work: () => void): boolean {
  const { compareExchange, store } = Atomics;
  let left = step;
  const dies =
    (operation: typeof Atomics.store) =>
    (...args: Parameters<typeof Atomics.store>): unknown => {
      if (--left === 0) throw new Error('dies here');
      return operation(...args);
    };
  Reflect.set(Atomics, 'compareExchange', dies(compareExchange as never));
  Reflect.set(Atomics, 'store', dies(store));
  try {
    work();
    return false;
  } catch (error) {
    if ((error as Error).message !== 'dies here') throw error;
    return true;
  } finally {
    Object.assign(Atomics, { compareExchange, store });
  }
}

describe('when memory is used up', () => {
  test('a request asks for help once, and has the memory if there was some', () => {
    const world = new SlabWorld(3);
    const keeper = world.keeper();
    let asked = 0;
    const slab = world.open(0, {
      relieve: () => {
        asked++;
        return keeper.join(idleSpans(slab)) > 0;
      },
    });
    const handles = allocateAll(slab, 512, 4096);
    expect(asked).toBe(0);
    expect(slab.allocate(MIB)).toBe(0);
    expect(asked).toBe(1);
    for (const handle of handles) slab.free(handle);
    slab.flush();
    expect(slab.allocate(MIB)).not.toBe(0);
    expect(asked).toBe(2);
  });

  test('a request waits for the pool, and not again so soon after the pool found nothing', () => {
    const { caches } = new SlabWorld(2);
    const clock = vi.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000);
    expect(caches.waitForMemory(1)).toBe(false);
    expect(caches.asked).toBe(1);
    caches.answer(false);
    expect(caches.waitForMemory(100_000)).toBe(false);
    expect(caches.asked).toBe(1);
    clock.mockReturnValue(1_700_000_001_000);
    expect(caches.waitForMemory(1)).toBe(false);
    expect([caches.asked, caches.starved]).toEqual([2, 3]);
    clock.mockRestore();
  }, 120_000);

  test('a small block takes a large one’s place only when no span can be made whole', () => {
    const world = new SlabWorld(3);
    const keeper = world.keeper();
    const slab = world.open(0, { relieve: () => keeper.join(idleSpans(slab)) > 0 });
    const handles = allocateAll(slab, 8, 256 * KIB);
    for (const handle of handles) slab.free(handle);
    const small = allocateAll(slab, 3000, 64);
    expect(new Set(small.map((handle) => slab.capacity(handle)))).toEqual(new Set([64]));
    const large = allocateAll(slab, 4, 256 * KIB);
    expect(slab.allocate(1000)).toBe(0);
    slab.free(large[0]!);
    expect(slab.capacity(slab.allocate(1000))).toBe(256 * KIB);
  });
});

describe('in debug mode', () => {
  const debug = { tagNames: ['free', 'names', 'small files'] };

  test('a write after free is named with the block’s last use', () => {
    const slab = new SlabWorld(4).open(2, { debug });
    const [handle] = allocateAll(slab, 1, 1000, 2);
    slab.free(handle!);
    slab.u8[handle! * 64 + 900] = 1;
    expect(() => slab.allocate(1000)).toThrow(
      /small files, last held by the actor in slot 2.*after it was freed, at byte 900/,
    );
  });

  test('a write behind the end is named when the block is freed', () => {
    const slab = new SlabWorld(4).open(0, { debug });
    const [handle] = allocateAll(slab, 1, 1000, 1);
    slab.u8.fill(5, handle! * 64, handle! * 64 + 1000);
    expect(slab.capacity(handle!)).toBe(1000);
    slab.u8[handle! * 64 + 1000] = 5;
    expect(() => slab.free(handle!)).toThrow(/names, .*behind its end, at byte 1000/);
  });

  test('nothing is found where nothing is wrong, over lists, spans and a rebuild', () => {
    const world = new SlabWorld(8);
    const slab = world.open(0, { debug });
    const keeper = new SlabKeeper(world.open(POOL, { debug }), () => 0);
    for (let round = 0; round < 4; round++) {
      const handles = [64, 100, 4096, 20_000, MIB].flatMap((bytes) =>
        allocateAll(slab, bytes < MIB ? 60 : 1, bytes),
      );
      for (const handle of handles) slab.u8.fill(round, handle * 64, handle * 64 + 60);
      for (const handle of handles.slice(round)) slab.free(handle);
      keeper.ready();
      keeper.join(idleSpans(slab));
      rebuildSlab(slab, referring(handles.slice(0, round)));
      for (const handle of handles.slice(0, round)) slab.free(handle);
    }
    expect(slab.usedBytes).toBe(0);
  });
});

/** The slab and its lists. */
import { KIB, MIB } from '../../../runtime/config/bounds.ts';
import type { Region } from '../../../runtime/memory/arena.ts';
import { MagazineList, wordOf } from '../../../runtime/memory/magazine-list.ts';
import { UNIT } from '../../../runtime/memory/size-classes.ts';
import { SlabAllocator } from '../../../runtime/memory/slab.ts';
import { auditSlab } from '../../../runtime/memory/slab-audit.ts';
import { SlabCaches, slabCachesBytes } from '../../../runtime/memory/slab-caches.ts';
import { SlabKeeper } from '../../../runtime/memory/slab-keeper.ts';
import { slabTagsBytes } from '../../../runtime/memory/slab-tags.ts';
import { expect, type Scenario, SEEN } from './scenario.ts';

const LIST_HEAD = 2;
const magazineList = ({ u32, u8 }: Region): MagazineList =>
  new MagazineList(u32, new BigUint64Array(u8.buffer as SharedArrayBuffer), LIST_HEAD);

/** Every magazine 1 … 3 is in the list or was recorded as taken, once. */
function checkNothingLostOrDoubled(memory: Region): void {
  const found: number[] = [];
  for (let handle = memory.u32[LIST_HEAD]!; handle !== 0; handle = memory.u32[wordOf(handle) + 2]!) {
    found.push(handle);
    expect(found.length <= 3, 'the list is a circle');
  }
  for (let i = 0; i < 3; i++) if (memory.u32[SEEN + i] !== 0) found.push(memory.u32[SEEN + i]!);
  expect(found.sort().join() === '1,2,3', `magazines are lost or doubled: ${found.join()}`);
}

function fillList(memory: Region): void {
  const list = magazineList(memory);
  for (const handle of [3, 2, 1]) list.push(handle);
}

const popOne = (memory: Region): (() => void) => {
  const list = magazineList(memory);
  return () => {
    memory.u32[SEEN] = list.pop();
  };
};

const popTwoPushFirst = (memory: Region): (() => void) => {
  const list = magazineList(memory);
  return () => {
    const first = list.pop();
    memory.u32[SEEN + 1] = list.pop();
    if (first !== 0) list.push(first);
  };
};

/** Pops as the list does, but with an exchange of the handle alone. */
const popWithoutTag = ({ u32 }: Region): number => {
  for (;;) {
    const top = Atomics.load(u32, LIST_HEAD);
    if (top === 0) return 0;
    const next = Atomics.load(u32, wordOf(top) + 2);
    if (Atomics.compareExchange(u32, LIST_HEAD, top, next) === top) return top;
  }
};
const allocateHalfSpan =
  (place: number) =>
  (memory: Region): (() => void) => {
    const slab = new SlabAllocator(memory);
    return () => {
      memory.u32[(4 * MIB) / 4 - 1 - place] = slab.allocate(MIB / 2);
    };
  };

function checkHalfSpans(memory: Region): void {
  const slab = new SlabAllocator(memory);
  const handles = [memory.u32[(4 * MIB) / 4 - 1]!, memory.u32[(4 * MIB) / 4 - 2]!];
  for (let handle = slab.allocate(MIB / 2); handle !== 0; handle = slab.allocate(MIB / 2))
    handles.push(handle);
  const all = [1, 1.5, 2, 2.5].map((mib) => (mib * MIB) / UNIT).join();
  expect(handles.sort((a, b) => a - b).join() === all, `blocks are lost or doubled: ${handles.join()}`);
}

/** Bytes of a slab with two spans; what follows in the memory are the caches, then what the threads hold. */
const SLAB_BYTES = 3 * MIB;
const CACHES_BYTES = slabCachesBytes(2);
const TAGS_BYTES = slabTagsBytes(SLAB_BYTES);
const HELD_AT = (SLAB_BYTES + CACHES_BYTES + TAGS_BYTES) / 4;
const HELD_MAX = 8;
const MORTAL_BYTES = HELD_AT * 4 + 2 * HELD_MAX * 4;

function part({ u8 }: Region, offset: number, bytes: number): Region {
  const { buffer } = u8;
  return {
    name: 'part',
    bytes,
    offset,
    u8: new Uint8Array(buffer, offset, bytes),
    i32: new Int32Array(buffer, offset, bytes / 4),
    u32: new Uint32Array(buffer, offset, bytes / 4),
    f64: new Float64Array(buffer, offset, bytes / 8),
  };
}

function slabOf(memory: Region, slot?: number): SlabAllocator {
  const caches = new SlabCaches(part(memory, SLAB_BYTES, CACHES_BYTES));
  const { u32: tags } = part(memory, SLAB_BYTES + CACHES_BYTES, TAGS_BYTES);
  return new SlabAllocator(
    part(memory, 0, SLAB_BYTES),
    slot === undefined ? { caches, tags } : { caches, tags, slot },
  );
}

/** Allocates (> 0, bytes) and frees (≤ 0, the −nth it holds); what it holds is in the memory when it is asked after. */
const slabUser =
  (slot: number, ...steps: number[]) =>
  (memory: Region): (() => void) =>
    useSlab(memory, slabOf(memory, slot), slot, steps);

/** The mistake that rows avoid: whoever has none does not tell the others what it found. */
const slabUserWithoutRow =
  (place: number, ...steps: number[]) =>
  (memory: Region): (() => void) =>
    useSlab(memory, slabOf(memory), place, steps);

function useSlab(memory: Region, slab: SlabAllocator, place: number, steps: readonly number[]): () => void {
  const { u32 } = part(memory, HELD_AT * 4 + place * HELD_MAX * 4, HELD_MAX * 4);
  return () => {
    let held = 0;
    for (const step of steps) {
      if (step > 0) u32[held++] = slab.allocate(step);
      else {
        const handle = u32[-step]!;
        u32[-step] = 0;
        slab.free(handle);
      }
    }
  };
}

/** Leaves `count` blocks of `bytes` in the shared lists, or where freeing them left them. */
const slabWith =
  (bytes: number, count: number, isFlushed = true) =>
  (memory: Region): void => {
    SlabAllocator.format(part(memory, 0, SLAB_BYTES));
    const slab = slabOf(memory, 0);
    const handles = Array.from({ length: count }, () => slab.allocate(bytes));
    for (const handle of handles) slab.free(handle);
    if (isFlushed) slab.flush();
  };

/** Puts the spans together, as far as nobody has their blocks. */
const keepSlab =
  (...spans: number[]) =>
  (memory: Region): (() => void) => {
    const keeper = new SlabKeeper(slabOf(memory, 0), () => 0);
    return () => {
      keeper.join(spans);
    };
  };

/** A successor of the keeper takes over: every block is free or held. */
function checkKeeperSuccession(memory: Region): void {
  const successor = slabOf(memory, 0);
  new SlabKeeper(successor, () => 0).recover();
  const held = [...part(memory, HELD_AT * 4, 2 * HELD_MAX * 4).u32].filter((handle) => handle !== 0);
  const { lost, dangling, doubled } = auditSlab(successor, (visit) => {
    for (const handle of held) visit(handle, 1);
  });
  const found = JSON.stringify({ lost, dangling, doubled });
  expect(lost.length + dangling.length + doubled.length === 0, found);
}

/** A successor takes over: every block is free or held, but for the one that was between. */
function checkSuccession(memory: Region, alive: boolean): void {
  const slab = slabOf(memory, 0);
  const held = [...part(memory, HELD_AT * 4, 2 * HELD_MAX * 4).u32].filter((handle) => handle !== 0);
  const { lost, dangling, doubled } = auditSlab(slab, (visit) => {
    for (const handle of held) visit(handle, 1);
  });
  expect(dangling.length === 0, `free and held: ${JSON.stringify(dangling)}`);
  expect(doubled.length === 0, `in two places: ${JSON.stringify(doubled)}`);
  expect(lost.length <= (alive ? 0 : 1), `lost: ${JSON.stringify(lost)}`);
  for (const handle of held) slab.free(handle);
  for (const bytes of [12 * KIB, MIB]) {
    const handle = slab.allocate(bytes);
    if (handle !== 0) slab.free(handle);
  }
  slab.flush();
  expect(auditSlab(slab, () => {}).lost.length === lost.length, 'the successor loses nothing');
}

export const memory: Record<string, Scenario> = {
  'magazine list, one popped while two are popped and one comes back': {
    bytes: 4096,
    threads: [popOne, popTwoPushFirst],
    setup: fillList,
    check: checkNothingLostOrDoubled,
  },
  'magazine list without tags': {
    bytes: 4096,
    threads: [
      (memory) => () => {
        memory.u32[SEEN] = popWithoutTag(memory);
      },
      (memory) => () => {
        const first = popWithoutTag(memory);
        memory.u32[SEEN + 1] = popWithoutTag(memory);
        if (first === 0) return;
        const top = Atomics.load(memory.u32, LIST_HEAD);
        memory.u32[wordOf(first) + 2] = top;
        if (Atomics.compareExchange(memory.u32, LIST_HEAD, top, first) !== top) {
          Atomics.store(memory.u32, wordOf(first) + 2, Atomics.exchange(memory.u32, LIST_HEAD, first));
        }
      },
    ],
    setup: fillList,
    check: checkNothingLostOrDoubled,
  },
  'slab, two threads open a span for one class': {
    bytes: 4 * MIB,
    threads: [allocateHalfSpan(0), allocateHalfSpan(1)],
    // The last span is the scenario's own.
    setup: (memory) => SlabAllocator.format({ ...memory, bytes: 3 * MIB }),
    check: (memory) => checkHalfSpans({ ...memory, bytes: 3 * MIB }),
  },
  // 12 KiB: a magazine is two blocks, a cache two magazines.
  'slab, a thread dies while it allocates': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB)],
    setup: slabWith(12 * KIB, 2),
    check: checkSuccession,
  },
  'slab, a thread dies while it frees': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 12 * KIB, 0, -1, -2, -3, -4, -5)],
    setup: slabWith(12 * KIB, 4),
    check: checkSuccession,
  },
  'slab, a thread dies with blocks of whole spans': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, MIB, 0, 12 * KIB, MIB, -1, -2, MIB)],
    setup: slabWith(MIB, 1),
    check: checkSuccession,
  },
  'slab, a thread dies while another changes the same list': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [
      slabUser(0, 12 * KIB, 12 * KIB, 12 * KIB),
      slabUser(1, 12 * KIB, 12 * KIB, 12 * KIB, 0, -1, -2),
    ],
    setup: slabWith(12 * KIB, 4),
    check: checkSuccession,
  },
  'slab, a thread dies while another pops what it pushed': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 24 * KIB, 24 * KIB, 24 * KIB, 0, -1, -2), slabUser(1, 24 * KIB)],
    setup: slabWith(24 * KIB, 3, false),
    check: checkSuccession,
  },
  'slab, a thread dies while one without a row pops what it pushed': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 24 * KIB, 24 * KIB, 24 * KIB, 0, -1, -2), slabUserWithoutRow(1, 24 * KIB)],
    setup: slabWith(24 * KIB, 3, false),
    check: checkSuccession,
  },
  'slab, a thread dies while another opens a span too': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [slabUser(0, 12 * KIB), slabUser(1, 12 * KIB)],
    setup: slabWith(MIB, 1),
    check: checkSuccession,
  },
  // 256 KiB: a span is four blocks, none of them cached; 512 KiB: two.
  'slab, the keeper dies while it puts a span together': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [keepSlab(1, 2)],
    setup: slabWith(256 * KIB, 8),
    check: checkKeeperSuccession,
  },
  'slab, the keeper dies while another takes of what it puts together': {
    bytes: MORTAL_BYTES,
    mortal: 0,
    threads: [keepSlab(1), slabUser(1, 512 * KIB)],
    setup: slabWith(512 * KIB, 2),
    check: checkKeeperSuccession,
  },
};

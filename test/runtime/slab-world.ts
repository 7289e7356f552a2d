/** A slab with the rows of a few threads, for tests of what its keeper, its audit and its rebuild do. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { MIB } from '../../runtime/config/bounds.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator, type SlabOptions } from '../../runtime/memory/slab.ts';
import { SlabCaches, slabCachesBytes } from '../../runtime/memory/slab-caches.ts';
import { SlabKeeper } from '../../runtime/memory/slab-keeper.ts';
import { SlabScan } from '../../runtime/memory/slab-scan.ts';
import { slabTagsBytes } from '../../runtime/memory/slab-tags.ts';
import { releasePages } from '../../runtime/system/pages.ts';

const SLOTS = 4;
/** The row of the keeper. */
export const POOL = 3;

export class SlabWorld {
  readonly arena: Arena;
  readonly caches: SlabCaches;

  constructor(mib: number) {
    this.arena = Arena.create([
      { name: 'slab', bytes: mib * MIB },
      { name: 'caches', bytes: slabCachesBytes(SLOTS) },
      { name: 'tags', bytes: slabTagsBytes(mib * MIB) },
    ]);
    SlabAllocator.format(this.arena.region('slab'));
    this.caches = new SlabCaches(this.arena.region('caches'));
  }

  open(slot: number | undefined, options: SlabOptions = {}): SlabAllocator {
    const { arena, caches } = this;
    const tags = arena.region('tags').u32;
    const row = slot === undefined ? {} : { slot };
    return new SlabAllocator(arena.region('slab'), { caches, tags, ...row, ...options });
  }

  keeper(): SlabKeeper {
    return new SlabKeeper(this.open(POOL), releasePages);
  }
}

export function allocateAll(slab: SlabAllocator, count: number, bytes: number, tag = 1): number[] {
  return Array.from({ length: count }, () => {
    const handle = slab.allocate(bytes, tag);
    expect(handle).not.toBe(0);
    return handle;
  });
}

/** References to the blocks of some lists, as a rebuild and an audit want them. */
export const referring =
  (...lists: readonly number[][]) =>
  (visit: (handle: number, tag: number) => void): void => {
    for (const handle of lists.flat()) visit(handle, 2);
  };

export function idleSpans(slab: SlabAllocator): readonly number[] {
  const scan = new SlabScan(slab);
  scan.begin(false);
  while (!scan.step(3, 0));
  return scan.idle;
}

export function residentKiB(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]);
}

/** The slab memory in figures, read from shared memory: any thread can tell. */
import type { Context } from './context.ts';
import { PoolReport } from './pool-report.ts';
import { POOL_REPORT } from './regions.ts';
import { actorName, tagName, viewSlab } from './slab.ts';

export interface PoolStatus {
  /** Bytes of blocks in use. */
  readonly slabUsed: number;
  readonly slabBudget: number;
  /** Bytes of the spans ever used since the mount. */
  readonly slabHighWater: number;
  /** Allocations since the mount, and the share of them that a thread's own cache had the block for. */
  readonly allocations: number;
  readonly hitRate: number;
  /** Fragmentation within blocks, as of the last round: bytes nobody asked for, to a sixteenth of a block. */
  readonly slackBytes: number;
  /** Fragmentation between blocks: bytes of free blocks in spans that are cut. */
  readonly scatteredBytes: number;
  /** Bytes of whole free spans, for any class. */
  readonly freeSpanBytes: number;
  /** Bytes given back to the system since the pool actor started, whether taken again since or not. */
  readonly trimmedBytes: number;
  /** Spans put together from free blocks, and magazines carved before they were wanted. */
  readonly joinedSpans: number;
  readonly readiedMagazines: number;
  /** Requests that found no memory. */
  readonly starved: number;
  /** Blocks in use that nothing refers to, as of the last look; the first few of them. */
  readonly suspects: number;
  readonly suspectBytes: number;
  readonly suspected: readonly {
    readonly handle: number;
    readonly tag: string;
    readonly actor: string;
    readonly ageMinutes: number;
  }[];
  /** What the blocks in use are for, as of the pool actor's last round. */
  readonly tags: readonly {
    readonly tag: string;
    readonly blocks: number;
    readonly bytes: number;
    readonly oldestMinutes: number;
  }[];
  readonly classes: readonly {
    readonly blockBytes: number;
    readonly used: number;
    /** Free blocks in spans of this class, wherever they are. */
    readonly free: number;
    readonly spans: number;
  }[];
}

export function poolStatus(context: Context): PoolStatus {
  const slab = viewSlab(context);
  const stats = slab.stats();
  const report = new PoolReport(context.arena.region(POOL_REPORT));
  const numbers = report.read();
  const { trimmedBytes, joinedSpans, readiedMagazines, suspects, suspectBytes } = numbers;
  const minute = slab.caches!.minute;
  return {
    slabUsed: stats.usedBytes,
    slabBudget: stats.capacityBytes,
    slabHighWater: stats.highWater,
    allocations: stats.allocations,
    hitRate: stats.allocations === 0 ? 0 : stats.cacheHits / stats.allocations,
    slackBytes: numbers.slackBytes,
    scatteredBytes: stats.scatteredBytes,
    freeSpanBytes: stats.freeSpanBytes,
    trimmedBytes,
    joinedSpans,
    readiedMagazines,
    starved: slab.caches!.starved,
    suspects,
    suspectBytes,
    suspected: report.readSuspects().map(({ handle, tag, slot, minute: since }) => ({
      handle,
      tag: tagName(tag),
      actor: actorName(context, slot),
      ageMinutes: Math.max(0, minute - since),
    })),
    tags: report.readTags().map(({ tag, blocks, bytes, oldest }) => ({
      tag: tagName(tag),
      blocks,
      bytes,
      oldestMinutes: Math.max(0, minute - oldest),
    })),
    classes: stats.classes.filter(({ spans }) => spans > 0),
  };
}

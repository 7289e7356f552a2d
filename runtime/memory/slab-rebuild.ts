/**
 * The free half of a slab made anew from what refers to its blocks: every block that nothing refers to is free, spans
 * without a block in use are whole again. For a slab that came back from a checkpoint: whoever's blocks were not given
 * back before it was written, or were lost with a thread, has them no more.
 *
 * Contract: nobody else works in the slab meanwhile; after {@link rebuildSlab} it is as {@link SlabAllocator} says.
 */
import { CLASS_BLOCKS, CLASS_UNITS, CLASSES, SPAN_CLASS, SPAN_UNITS } from './size-classes.ts';
import type { SlabAllocator, SlabHandle } from './slab.ts';
import { EPOCH } from './slab-caches.ts';
import { spanOf } from './slab-layout.ts';
import { encodeHolder, RESTORED } from './slab-tags.ts';

/** Calls `visit` with every handle that something refers to, and what it is for. */
export type EachHandle = (visit: (handle: SlabHandle, tag: number) => void) => void;

export interface Rebuilt {
  /** Blocks in use. */
  readonly blocks: number;
  /** References that name no block, or one that another reference names. */
  readonly misfits: number;
  /** Whole free spans. */
  readonly freeSpans: number;
}

export function rebuildSlab(slab: SlabAllocator, eachHandle: EachHandle): Rebuilt {
  const { core, tags } = slab;
  const spans = core.nextSpan;
  const marks = new BlockMarks(spans);
  if (tags !== undefined && core.row.header[EPOCH]! > 0) tags.fill(0, SPAN_UNITS, spans * SPAN_UNITS);
  let misfits = 0;
  eachHandle((handle, tag) => {
    if (!namesBlock(slab, handle) || !marks.mark(handle)) misfits++;
    else if (tags !== undefined) tags[handle] = encodeHolder(tag, RESTORED, 0, 0);
  });
  const used = new Int32Array(CLASSES);
  const inUse: number[] = [];
  let freeSpans = 0;
  for (let span = 1; span < spans; span++) {
    if (marks.counts[span] === 0) continue;
    used[core.classOfSpan(span)]! += marks.counts[span]!;
    inUse.push(span);
  }
  const frontiers = tails(slab, inUse, marks);
  const end = (inUse.at(-1) ?? 0) + 1;
  slab.caches?.forget();
  core.reset(end, frontiers, used);
  // The lists are taken from their tops: the fullest spans last, so that they are filled up first.
  inUse.sort((a, b) => marks.counts[a]! - marks.counts[b]!);
  for (const span of inUse) releaseUnmarked(slab, span, frontiers[core.classOfSpan(span)]!, marks);
  for (let span = end - 1; span > 0; span--) {
    if (marks.counts[span] !== 0) continue;
    core.joinSpan(span * SPAN_UNITS);
    slab.release(span * SPAN_UNITS, SPAN_CLASS);
    freeSpans++;
  }
  core.giveAll();
  return { blocks: used.reduce((sum, n) => sum + n, 0), misfits, freeSpans };
}

/** A bit per unit of the slab. */
export class BlockMarks {
  /** Marks in each span. */
  readonly counts: Uint16Array;
  readonly #bits: Uint8Array;

  constructor(spans: number) {
    this.counts = new Uint16Array(spans);
    this.#bits = new Uint8Array((spans * SPAN_UNITS) / 8);
  }

  /** False if it was marked. */
  mark(handle: SlabHandle): boolean {
    if (this.has(handle)) return false;
    this.#bits[handle >>> 3]! |= 1 << (handle & 7);
    this.counts[spanOf(handle)]!++;
    return true;
  }

  has(handle: SlabHandle): boolean {
    return (this.#bits[handle >>> 3]! & (1 << (handle & 7))) !== 0;
  }
}

/** Whether a handle, wherever it comes from, is the beginning of a block. */
export function namesBlock({ core }: SlabAllocator, handle: SlabHandle): boolean {
  const span = spanOf(handle);
  if (span < 1 || span >= core.nextSpan) return false;
  const c = core.classOfSpan(span);
  if (c < 0) return false;
  const unit = handle & (SPAN_UNITS - 1);
  return unit % CLASS_UNITS[c]! === 0 && unit / CLASS_UNITS[c]! < CLASS_BLOCKS[c]!;
}

/**
 * Per class the beginning of the longest free end of a span, 0 = every span is full: the new frontier, so that this
 * much need not be touched.
 */
function tails({ core }: SlabAllocator, spans: readonly number[], marks: BlockMarks): Uint32Array {
  const frontiers = new Uint32Array(CLASSES);
  const longest = new Int32Array(CLASSES);
  for (const span of spans) {
    const c = core.classOfSpan(span);
    const units = CLASS_UNITS[c]!;
    let blocks = CLASS_BLOCKS[c]!;
    while (!marks.has(span * SPAN_UNITS + (blocks - 1) * units)) blocks--;
    const free = CLASS_BLOCKS[c]! - blocks;
    if (free <= longest[c]!) continue;
    longest[c] = free;
    frontiers[c] = span * SPAN_UNITS + blocks * units;
  }
  return frontiers;
}

function releaseUnmarked(slab: SlabAllocator, span: number, frontier: number, marks: BlockMarks): void {
  const c = slab.core.classOfSpan(span);
  const first = span * SPAN_UNITS;
  const blocks = spanOf(frontier) === span ? (frontier - first) / CLASS_UNITS[c]! : CLASS_BLOCKS[c]!;
  // Backwards: what is taken first lies first.
  for (let i = blocks - 1; i >= 0; i--) {
    const handle = first + i * CLASS_UNITS[c]!;
    if (!marks.has(handle)) slab.release(handle, c);
  }
}

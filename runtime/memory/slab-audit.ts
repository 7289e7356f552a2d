/**
 * Who holds what, and what nobody holds. {@link scanHolders} any thread may do at any time; {@link auditSlab} looks into
 * lists and caches, so nobody may work in the slab meanwhile. Contract: both only read.
 */
import { MAGAZINE_NEXT, MAGAZINE_OTHERS, wordOf } from './magazine-list.ts';
import {
  CLASS_BLOCKS,
  CLASS_BYTES,
  CLASS_UNITS,
  CLASSES,
  MAGAZINE_HEADER_WORDS,
  SPAN_CLASS,
  SPAN_UNITS,
} from './size-classes.ts';
import type { SlabAllocator, SlabHandle } from './slab.ts';
import { SlabCore } from './slab-core.ts';
import { spanOf } from './slab-layout.ts';
import { BlockMarks, type EachHandle, namesBlock } from './slab-rebuild.ts';
import { COLLECTED, GUARDED, isHeld, minuteOf, slackOf, slotOf, tagOf } from './slab-tags.ts';

export interface Holder {
  readonly tag: number;
  /** Of the actor; RESTORED (255) = the block was there at the mount. */
  readonly slot: number;
  readonly blocks: number;
  readonly bytes: number;
  /** Bytes of them that nobody asked for, to a sixteenth of a block. */
  readonly slack: number;
  /** Minutes since the oldest of them was allocated. */
  readonly oldestMinutes: number;
}

/** A block that no one can use. */
export interface Stray {
  readonly handle: SlabHandle;
  readonly bytes: number;
  /** Whom it was allocated for last, 0 = unknown. */
  readonly tag: number;
  readonly slot: number;
  readonly minute: number;
}

export interface Audit {
  readonly blocks: number;
  /** In use, or lost with a thread: neither free nor referred to. */
  readonly lost: readonly Stray[];
  /** Referred to, but free. */
  readonly dangling: readonly Stray[];
  /** In two places of the free ones, or referred to twice. */
  readonly doubled: readonly Stray[];
}

/** Calls `visit` with every block in use of `span`: its handle, class and holder's word. */
export function eachHeld(
  { core, tags }: SlabAllocator,
  span: number,
  visit: (handle: SlabHandle, c: number, word: number) => void,
): void {
  const c = core.classOfSpan(span);
  if (c < 0 || tags === undefined) return;
  const units = CLASS_UNITS[c]!;
  const end = span * SPAN_UNITS + CLASS_BLOCKS[c]! * units;
  for (let handle = span * SPAN_UNITS; handle < end; handle += units) {
    const word = tags[handle]!;
    if (isHeld(word)) visit(handle, c, word);
  }
}

/** Of a block in use: what nobody asked for. A guarded block says nothing of it. */
export function slackBytes(c: number, word: number): number {
  const sixteenths = slackOf(word);
  return sixteenths === GUARDED ? 0 : (sixteenths * CLASS_BYTES[c]!) / 16;
}

/** Who holds how much by tag and actor, most bytes first. Takes some 20 µs for a span of the smallest blocks. */
export function scanHolders(slab: SlabAllocator, minute: number): Holder[] {
  const found = new Map<number, { blocks: number; bytes: number; slack: number; oldest: number }>();
  const count = (_: SlabHandle, c: number, word: number): void => {
    const key = (slotOf(word) << 5) | tagOf(word);
    let sum = found.get(key);
    if (sum === undefined) {
      sum = { blocks: 0, bytes: 0, slack: 0, oldest: minute };
      found.set(key, sum);
    }
    sum.blocks++;
    sum.bytes += CLASS_BYTES[c]!;
    sum.slack += slackBytes(c, word);
    sum.oldest = Math.min(sum.oldest, minuteOf(word));
  };
  for (let span = 1; span < slab.core.nextSpan; span++) eachHeld(slab, span, count);
  return [...found]
    .map(([key, { blocks, bytes, slack, oldest }]) => ({
      tag: key & 31,
      slot: key >>> 5,
      blocks,
      bytes,
      slack,
      oldestMinutes: minute - oldest,
    }))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Every block that was ever used must be free once or referred to once. */
export function auditSlab(slab: SlabAllocator, eachHandle: EachHandle): Audit {
  const { core } = slab;
  const free = new BlockMarks(core.nextSpan);
  const referred = new BlockMarks(core.nextSpan);
  const lost: Stray[] = [];
  const dangling: Stray[] = [];
  const doubled: Stray[] = [];
  eachFree(slab, (handle) => {
    if (!free.mark(handle)) doubled.push(strayOf(slab, handle));
  });
  eachHandle((handle) => {
    if (!namesBlock(slab, handle)) dangling.push({ handle, bytes: 0, tag: 0, slot: 0, minute: 0 });
    else if (!referred.mark(handle)) doubled.push(strayOf(slab, handle));
  });
  let blocks = 0;
  for (let span = 1; span < core.nextSpan; span++) {
    const c = core.classOfSpan(span);
    if (c < 0) continue;
    const units = CLASS_UNITS[c]!;
    const frontier = core.frontier(c);
    const whole = span * SPAN_UNITS + CLASS_BLOCKS[c]! * units;
    const end = spanOf(frontier) === span ? frontier : whole;
    for (let handle = span * SPAN_UNITS; handle < end; handle += units, blocks++) {
      if (free.has(handle) === referred.has(handle)) {
        (free.has(handle) ? dangling : lost).push(strayOf(slab, handle));
      }
    }
  }
  return { blocks, lost, dangling, doubled };
}

/** Blocks in the lists, in all caches, and with the pool actor. */
function eachFree(slab: SlabAllocator, visit: (handle: SlabHandle) => void): void {
  const { core, caches, tags } = slab;
  for (let c = 0; c < CLASSES; c++) {
    for (let magazine = core.listTop(c); magazine !== 0; ) {
      visit(magazine);
      const word = wordOf(magazine);
      const others = core.u32[word + MAGAZINE_OTHERS]!;
      for (let i = 0; i < others; i++) visit(core.u32[word + MAGAZINE_HEADER_WORDS + i]!);
      magazine = core.u32[word + MAGAZINE_NEXT]!;
    }
    if (core.row.owner === 0) for (let i = 0; i < core.cached(c); i++) visit(core.cachedBlock(c, i));
  }
  for (const row of caches?.rows() ?? []) {
    for (let c = 0; c < CLASSES; c++) {
      for (let i = 0; i < SlabCore.cachedIn(row, c); i++) visit(SlabCore.cachedBlockIn(row, c, i));
    }
  }
  if (tags === undefined) return;
  for (let span = 1; span < core.nextSpan; span++) {
    const c = core.classOfSpan(span);
    const end = c < 0 ? 0 : span * SPAN_UNITS + CLASS_BLOCKS[c]! * CLASS_UNITS[c]!;
    for (let handle = span * SPAN_UNITS; handle < end; handle += CLASS_UNITS[c]!) {
      if (tagOf(tags[handle]!) === COLLECTED) visit(handle);
    }
  }
}

export function strayOf({ core, tags }: SlabAllocator, handle: SlabHandle): Stray {
  const c = core.classOfSpan(spanOf(handle));
  const word = tags?.[handle] ?? 0;
  const bytes = CLASS_BYTES[c] ?? CLASS_BYTES[SPAN_CLASS]!;
  return { handle, bytes, tag: tagOf(word), slot: slotOf(word), minute: minuteOf(word) };
}

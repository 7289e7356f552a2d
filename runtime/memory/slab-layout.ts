/** Where everything lies in span 0 of a slab, its header (slab.ts is the contract). Indexes are u32 words. */
import { assert } from '../assert.ts';
import { SHARED_LINE } from '../config/bounds.ts';
import { CLASSES, SPAN_BYTES, SPAN_UNITS } from './size-classes.ts';

export const SLAB_MAGIC = 0x42414c53; // "SLAB"
export const SLAB_VERSION = 2;
/** Differs only in words that a rebuild makes anew (slab-rebuild.ts), so a checkpoint with it can still be mounted. */
export const SLAB_VERSION_BEFORE = 1;

export const AT_MAGIC = 0;
export const AT_VERSION = 1;
/** Stamped word: the first span never used. */
export const NEXT_SPAN = 2;
/** Two random words from which canaries are made. */
export const KEY = 4;
/** u64: allocations, frees, allocations that no cache had a block for, of threads without a row. */
export const TOTALS = 8;
const CLASS_LINES = SHARED_LINE / 4;
const LINE_WORDS = SHARED_LINE / 4;
// Words of a class's line.
/** Stamped word: the top magazine. */
export const LIST = 0;
/** Stamped word: the first block never used of the span that is being carved, 0 = there is none. */
export const FRONTIER = 2;
/** Blocks in use as of the last rebuild, and of threads without a row. */
export const USED = 4;

/** u8 per span: class + 1, 0 = never used. */
export const SPAN_TABLE = 64 * 1024;
export const SPANS_MAX = 64 * 1024;
export const HEADER_BYTES = SPAN_TABLE + SPANS_MAX;

/** Numbers of the stamped words: the lists, the frontiers, then the next span. */
export const listWord = (c: number): number => c;
export const frontierWord = (c: number): number => CLASSES + c;
export const NEXT_SPAN_WORD = 2 * CLASSES;
export const STAMPED_WORDS = 2 * CLASSES + 1;

assert(4 * (CLASS_LINES + CLASSES * LINE_WORDS) <= SPAN_TABLE, 'the class lines end before the span table');
assert(HEADER_BYTES <= SPAN_BYTES, 'the header fits span 0');
assert(SPAN_UNITS === 1 << 14, 'spanOf shifts by 14');
assert(SPANS_MAX * SPAN_UNITS <= 2 ** 30, 'a handle is a small integer to the engine');

/** First word of a class's line. */
export function lineOf(c: number): number {
  return CLASS_LINES + c * LINE_WORDS;
}

export function spanOf(handle: number): number {
  return handle >>> 14;
}

/**
 * The slab's size classes: 64 B … 1 MiB in powers of two, with steps of 1.5 × between 128 B and 192 KiB (above, a step
 * would save nothing: as many blocks of it fit a span as of the next power). Rounding up wastes 14 % on average
 * with the steps, 25 % without.
 */
import { assert } from '../assert.ts';
import { KIB, MIB, SLAB_MAX, SLAB_MIN } from '../config/bounds.ts';

/** Unit of handles and of class sizes, bytes. */
export const UNIT = SLAB_MIN;
export const SPAN_BYTES = 1 * MIB;
export const SPAN_UNITS = SPAN_BYTES / UNIT;

const LARGEST_STEP = 192 * KIB;
/** A thread caches no blocks of this size and above: they go to the shared list at once. */
const UNCACHED = 64 * KIB;
/** One magazine carries at most so many bytes and blocks. */
const MAGAZINE_BYTES = 32 * KIB;
const MAGAZINE_BLOCKS = 31;
/** Words of a free block before the list of the magazine's other blocks (see magazine-list.ts). */
export const MAGAZINE_HEADER_WORDS = 4;

/** Block size of each class, bytes, ascending. */
export const CLASS_BYTES: readonly number[] = classSizes();
export const CLASSES = CLASS_BYTES.length;
/** The class whose blocks are whole spans. */
export const SPAN_CLASS = CLASSES - 1;

export const CLASS_UNITS = Int32Array.from(CLASS_BYTES, (bytes) => bytes / UNIT);
/** Blocks a span holds. */
export const CLASS_BLOCKS = Int32Array.from(CLASS_BYTES, (bytes) => Math.floor(SPAN_BYTES / bytes));
/** Most blocks of a magazine. */
export const CLASS_MAGAZINE = Int32Array.from(CLASS_BYTES, (bytes) =>
  Math.max(
    1,
    Math.min(MAGAZINE_BLOCKS, Math.floor(MAGAZINE_BYTES / bytes), bytes / 4 - MAGAZINE_HEADER_WORDS + 1),
  ),
);
/** Most blocks one thread caches: two magazines, so that alternating around one does not go to the shared list each time. */
export const CLASS_CACHE = Int32Array.from(CLASS_BYTES, (bytes, i) =>
  bytes >= UNCACHED ? 0 : 2 * CLASS_MAGAZINE[i]!,
);
/** Places of a class in a thread's cache: what it caches, and at the least one magazine on its way. */
export const CLASS_PLACES = CLASS_CACHE.map((cache, c) => Math.max(cache, CLASS_MAGAZINE[c]!));
export const LARGEST_CACHE = Math.max(...CLASS_PLACES);

const CLASS_OF_UNITS = classOfUnits();

/** The smallest class that holds `bytes` (1 … SLAB_MAX). */
export function classOf(bytes: number): number {
  return CLASS_OF_UNITS[(bytes + UNIT - 1) >>> 6]!;
}

/** Filled from the largest class down: what fits a smaller one is overwritten. */
function classOfUnits(): Uint8Array {
  const table = new Uint8Array(SPAN_UNITS + 1);
  for (let c = CLASSES - 1; c >= 0; c--) table.fill(c, 0, CLASS_UNITS[c]! + 1);
  return table;
}

function classSizes(): number[] {
  const sizes: number[] = [];
  for (let size = SLAB_MIN; size <= SLAB_MAX; size *= 2) {
    sizes.push(size);
    const step = size * 1.5;
    if (step % UNIT === 0 && step <= LARGEST_STEP) sizes.push(step);
  }
  return sizes;
}

assert(UNIT === 64, 'classOf and the free block’s layout count in units of 64 bytes');
assert(CLASS_BYTES[SPAN_CLASS] === SPAN_BYTES, 'the largest block is a span');
assert(
  CLASS_BYTES.every((bytes) => bytes % UNIT === 0),
  'every block starts at a handle',
);

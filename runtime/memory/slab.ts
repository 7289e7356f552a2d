/**
 * The slab: variable-size blocks of shared memory, allocated and freed by any thread without a lock.
 *
 * Roles: one thread formats; then every thread makes a SlabAllocator of its own over the same region. A block belongs to
 * whoever got its handle and may be passed on; any thread may free it, once.
 * Thread safety: an instance is for one thread; instances on different threads work at the same time, lock-free.
 *
 * Layout: the region is cut into spans of 1 MiB. Span 0 is the header: the words below, a line per class, the span
 * table (u8 per span: class + 1, 0 = not handed out). Every other span holds blocks of one class.
 * A free block begins with a canary of two words, derived from its handle and the region's random key; a magazine's
 * first block goes on with the magazine (magazine-list.ts).
 *
 * Invariants:
 * 1. A block is in exactly one place: with its user, in one thread's cache, in one shared magazine, or beyond its
 *    class's frontier (never used yet). Each move is one atomic exchange, or stays within one thread.
 * 2. The next-span word only grows; a span's class changes only while one thread owns the whole span, that is while it
 *    is a block of the largest class. So a frontier's value never recurs, and its exchange needs no tag.
 * 3. A free block's canary is intact. free() finding one is a double free, allocate() finding none a write after free;
 *    both are assertions. The key keeps users' data from imitating it.
 * 4. Nothing depends on where the region lies or how large it is: a raw copy of its first highWater() bytes, made while
 *    every cache is flushed, is the same slab in any region that holds it.
 *
 * A thread that dies leaks what it had cached, at most two magazines per class.
 */
import { assert } from '../assert.ts';
import { SHARED_LINE, SLAB_MAX } from '../config/bounds.ts';
import type { Region } from './arena.ts';
import { Canary } from './canary.ts';
import { MAGAZINE_OTHERS, MagazineList, wordOf } from './magazine-list.ts';
import {
  CLASS_BLOCKS,
  CLASS_BYTES,
  CLASS_CACHE,
  CLASS_MAGAZINE,
  CLASS_UNITS,
  CLASSES,
  classOf,
  LARGEST_CACHE,
  MAGAZINE_HEADER_WORDS,
  SPAN_BYTES,
  SPAN_CLASS,
  SPAN_UNITS,
} from './size-classes.ts';

/** Byte offset in the region divided by 64; 0 = none. */
export type SlabHandle = number;

export interface SlabStats {
  readonly capacityBytes: number;
  readonly highWater: number;
  /** Bytes of blocks in use; of other threads’ blocks, as of their last exchange with the shared lists. */
  readonly usedBytes: number;
  /** Since the region was formatted, as of each thread's last flush or 4,096 operations. */
  readonly allocations: number;
  readonly frees: number;
  /** Allocations served from the thread's own cache. */
  readonly cacheHits: number;
  readonly classes: readonly { readonly blockBytes: number; readonly used: number; readonly spans: number }[];
}

const MAGIC = 0x42414c53; // "SLAB"
const VERSION = 1;

// Words of the header.
const NEXT_SPAN = 2;
const KEY = 4;
const TOTALS = 8; // u64: allocations, frees, cache hits
const CLASS_LINES = SHARED_LINE / 4;
const LINE_WORDS = SHARED_LINE / 4;
// Words of a class's line.
const LIST = 0;
const FRONTIER = 2;
const USED = 3;

const SPAN_TABLE = 64 * 1024;
const SPANS_MAX = 64 * 1024;
const TOTALS_EVERY = 4096;

assert(4 * (CLASS_LINES + CLASSES * LINE_WORDS) <= SPAN_TABLE, 'the class lines end before the span table');
assert(SPAN_TABLE + SPANS_MAX <= SPAN_BYTES, 'the header fits span 0');
assert(SPAN_UNITS === 1 << 14, 'spanOf shifts by 14');
assert(SPANS_MAX * SPAN_UNITS <= 2 ** 30, 'a handle is a small integer to the engine');

export class SlabAllocator {
  readonly u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #u64: BigUint64Array;
  readonly #spanLimit: number;
  readonly #canary: Canary;
  readonly #lists: MagazineList[] = [];
  /** This thread's free blocks: LARGEST_CACHE places per class, oldest first. */
  readonly #cache = new Uint32Array(CLASSES * LARGEST_CACHE);
  readonly #cached = new Int32Array(CLASSES);
  /** What this thread did since it last added it to the shared words. */
  readonly #usedDelta = new Int32Array(CLASSES);
  #allocations = 0;
  #frees = 0;
  #cacheHits = 0;

  /** Makes the region an empty slab; whatever it held is lost. */
  static format(region: Region): void {
    assert(region.bytes >= 2 * SPAN_BYTES, 'a slab has a header span and one for blocks');
    region.u32.fill(0, 0, (SPAN_TABLE + SPANS_MAX) / 4);
    region.u32.set(crypto.getRandomValues(new Uint32Array(2)), KEY);
    region.u32[NEXT_SPAN] = 1;
    region.u32[1] = VERSION;
    Atomics.store(region.u32, 0, MAGIC);
  }

  constructor(region: Region) {
    assert(Atomics.load(region.u32, 0) === MAGIC && region.u32[1] === VERSION, 'the region is a slab');
    this.u8 = region.u8;
    this.#u32 = region.u32;
    this.#i32 = region.i32;
    this.#u64 = new BigUint64Array(region.u8.buffer, region.u8.byteOffset, SPAN_BYTES / 8);
    this.#spanLimit = Math.min(SPANS_MAX, Math.floor(region.bytes / SPAN_BYTES));
    assert(this.highWater() <= region.bytes, 'the region holds all spans handed out');
    this.#canary = new Canary(region.u32, region.u32[KEY]!, region.u32[KEY + 1]!);
    for (let c = 0; c < CLASSES; c++)
      this.#lists.push(new MagazineList(this.#u32, this.#u64, lineOf(c) + LIST));
  }

  /** A block of at least `bytes` (1 … SLAB_MAX) with undefined contents, or 0 when the region is exhausted. */
  allocate(bytes: number): SlabHandle {
    assert(bytes > 0 && bytes <= SLAB_MAX, 'a block is 1 byte to 1 MiB');
    const c = classOf(bytes);
    let handle: number;
    if (this.#cached[c]! > 0) {
      this.#cacheHits++;
      handle = this.#uncache(c);
    } else {
      handle = this.#refill(c) || this.#stealLarger(c);
      if (handle === 0) return 0;
    }
    this.#canary.remove(handle);
    const actual = this.#classOfBlock(handle);
    this.#usedDelta[actual] = this.#usedDelta[actual]! + 1;
    if ((++this.#allocations & (TOTALS_EVERY - 1)) === 0) this.#publishTotals();
    return handle;
  }

  free(handle: SlabHandle): void {
    const c = this.#classOfBlock(handle);
    this.#canary.add(handle);
    this.#usedDelta[c] = this.#usedDelta[c]! - 1;
    if ((++this.#frees & (TOTALS_EVERY - 1)) === 0) this.#publishTotals();
    const limit = CLASS_CACHE[c]!;
    if (limit === 0) {
      this.#u32[wordOf(handle) + MAGAZINE_OTHERS] = 0;
      this.#lists[c]!.push(handle);
      this.#publishUsed(c);
      return;
    }
    if (this.#cached[c] === limit) this.#pushMagazine(c, CLASS_MAGAZINE[c]!);
    this.#enterCache(c, handle);
  }

  /** Bytes the block holds: at least what was asked for. */
  capacity(handle: SlabHandle): number {
    return CLASS_BYTES[this.#classOfBlock(handle)]!;
  }

  /** Gives this thread's cached blocks to the others and brings the shared counters up to date. */
  flush(): void {
    for (let c = 0; c < CLASSES; c++) {
      while (this.#cached[c]! > 0) this.#pushMagazine(c, Math.min(this.#cached[c]!, CLASS_MAGAZINE[c]!));
      this.#publishUsed(c);
    }
    this.#publishTotals();
  }

  /** As in {@link SlabStats}. */
  get usedBytes(): number {
    let bytes = 0;
    for (let c = 0; c < CLASSES; c++) bytes += this.#used(c) * CLASS_BYTES[c]!;
    return bytes;
  }

  /** Bytes from the region's start that hold everything ever handed out: what a checkpoint copies. */
  highWater(): number {
    return Atomics.load(this.#u32, NEXT_SPAN) * SPAN_BYTES;
  }

  stats(): SlabStats {
    const spans = new Array<number>(CLASSES).fill(0);
    for (let span = 1; span < Atomics.load(this.#u32, NEXT_SPAN); span++) {
      const c = Atomics.load(this.u8, SPAN_TABLE + span) - 1;
      if (c >= 0) spans[c] = spans[c]! + 1;
    }
    return {
      capacityBytes: this.#spanLimit * SPAN_BYTES,
      highWater: this.highWater(),
      usedBytes: this.usedBytes,
      allocations: Number(Atomics.load(this.#u64, TOTALS / 2)) + this.#allocations,
      frees: Number(Atomics.load(this.#u64, TOTALS / 2 + 1)) + this.#frees,
      cacheHits: Number(Atomics.load(this.#u64, TOTALS / 2 + 2)) + this.#cacheHits,
      classes: CLASS_BYTES.map((blockBytes, c) => ({ blockBytes, used: this.#used(c), spans: spans[c]! })),
    };
  }

  /** A block of class `c` from a shared magazine, else from the frontier; the rest goes to the cache. */
  #refill(c: number): SlabHandle {
    this.#publishUsed(c);
    return this.#takeMagazine(c) || this.#carve(c);
  }

  /** With no span left, a larger block serves too, wherever one is free. */
  #stealLarger(c: number): SlabHandle {
    for (let larger = c + 1; larger < CLASSES; larger++) {
      const handle = this.#cached[larger]! > 0 ? this.#uncache(larger) : this.#refill(larger);
      if (handle !== 0) return handle;
    }
    return 0;
  }

  #takeMagazine(c: number): SlabHandle {
    const magazine = this.#lists[c]!.pop();
    if (magazine === 0) return 0;
    const others = this.#u32[wordOf(magazine) + MAGAZINE_OTHERS]!;
    assert(others < CLASS_MAGAZINE[c]!, 'a magazine in the list is whole');
    const first = wordOf(magazine) + MAGAZINE_HEADER_WORDS;
    for (let i = 0; i < others; i++) this.#enterCache(c, this.#u32[first + i]!);
    return magazine;
  }

  /** Makes the `count` oldest blocks of the cache a magazine. */
  #pushMagazine(c: number, count: number): void {
    const start = c * LARGEST_CACHE;
    const magazine = this.#cache[start]!;
    const word = wordOf(magazine);
    this.#u32[word + MAGAZINE_OTHERS] = count - 1;
    for (let i = 1; i < count; i++) this.#u32[word + MAGAZINE_HEADER_WORDS + i - 1] = this.#cache[start + i]!;
    this.#cache.copyWithin(start, start + count, start + this.#cached[c]!);
    this.#cached[c] = this.#cached[c]! - count;
    this.#lists[c]!.push(magazine);
    this.#publishUsed(c);
  }

  /** Takes up to a magazine of blocks that were never used, from the class's frontier or a new span. */
  #carve(c: number): SlabHandle {
    const at = lineOf(c) + FRONTIER;
    for (;;) {
      let first = Atomics.load(this.#u32, at);
      const known = first;
      if (first === 0) {
        first = this.#takeSpan(c);
        // Out of spans, unless another thread has just opened one for this class.
        if (first === 0 && Atomics.load(this.#u32, at) === 0) return 0;
        if (first === 0) continue;
      }
      const left = CLASS_BLOCKS[c]! - (first & (SPAN_UNITS - 1)) / CLASS_UNITS[c]!;
      const count = Math.min(left, CLASS_MAGAZINE[c]!);
      const frontier = count === left ? 0 : first + count * CLASS_UNITS[c]!;
      if (Atomics.compareExchange(this.#u32, at, known, frontier) === known)
        return this.#cacheFresh(c, first, count);
      if (known === 0) this.#returnSpan(first);
    }
  }

  /** `count` fresh blocks from `first` on: all but the first into the cache. */
  #cacheFresh(c: number, first: SlabHandle, count: number): SlabHandle {
    for (let i = count - 1; i >= 0; i--) {
      const handle = first + i * CLASS_UNITS[c]!;
      this.#canary.write(handle);
      if (i > 0) this.#enterCache(c, handle);
    }
    return first;
  }

  /** A span for class `c`: a free block of the largest class, else one never used. Its first handle, or 0. */
  #takeSpan(c: number): SlabHandle {
    let handle = this.#lists[SPAN_CLASS]!.pop();
    if (handle !== 0) this.#canary.remove(handle);
    else {
      const next = this.#nextSpan();
      if (next === 0) return 0;
      handle = next * SPAN_UNITS;
    }
    Atomics.store(this.u8, SPAN_TABLE + spanOf(handle), c + 1);
    return handle;
  }

  #nextSpan(): number {
    let span = Atomics.load(this.#u32, NEXT_SPAN);
    while (span < this.#spanLimit) {
      const found = Atomics.compareExchange(this.#u32, NEXT_SPAN, span, span + 1);
      if (found === span) return span;
      span = found;
    }
    return 0;
  }

  /** Another thread opened a span for the class first: this one becomes a free block of the largest class. */
  #returnSpan(handle: SlabHandle): void {
    Atomics.store(this.u8, SPAN_TABLE + spanOf(handle), SPAN_CLASS + 1);
    this.#canary.write(handle);
    this.#u32[wordOf(handle) + MAGAZINE_OTHERS] = 0;
    this.#lists[SPAN_CLASS]!.push(handle);
  }

  #classOfBlock(handle: SlabHandle): number {
    const c = this.u8[SPAN_TABLE + spanOf(handle)]! - 1;
    assert(c >= 0 && handle < SPANS_MAX * SPAN_UNITS, 'a handle names a block');
    assert((handle & (SPAN_UNITS - 1)) % CLASS_UNITS[c]! === 0, 'a handle names the beginning of a block');
    return c;
  }

  #uncache(c: number): SlabHandle {
    const count = this.#cached[c]! - 1;
    this.#cached[c] = count;
    return this.#cache[c * LARGEST_CACHE + count]!;
  }

  #enterCache(c: number, handle: SlabHandle): void {
    const count = this.#cached[c]!;
    this.#cache[c * LARGEST_CACHE + count] = handle;
    this.#cached[c] = count + 1;
  }

  #used(c: number): number {
    return Atomics.load(this.#i32, lineOf(c) + USED) + this.#usedDelta[c]!;
  }

  #publishUsed(c: number): void {
    if (this.#usedDelta[c] === 0) return;
    Atomics.add(this.#i32, lineOf(c) + USED, this.#usedDelta[c]!);
    this.#usedDelta[c] = 0;
  }

  #publishTotals(): void {
    Atomics.add(this.#u64, TOTALS / 2, BigInt(this.#allocations));
    Atomics.add(this.#u64, TOTALS / 2 + 1, BigInt(this.#frees));
    Atomics.add(this.#u64, TOTALS / 2 + 2, BigInt(this.#cacheHits));
    this.#allocations = 0;
    this.#frees = 0;
    this.#cacheHits = 0;
  }
}

/** First word of a class's line. */
function lineOf(c: number): number {
  return CLASS_LINES + c * LINE_WORDS;
}

function spanOf(handle: SlabHandle): number {
  return handle >>> 14;
}

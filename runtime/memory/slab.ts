/**
 * The slab: variable-size blocks of shared memory, allocated and freed by any thread without a lock.
 *
 * Roles: one thread formats; then every thread makes a SlabAllocator of its own over the same region. A block belongs to
 * whoever got its handle and may be passed on; any thread may free it, once. The pool actor keeps magazines ready, puts
 * free spans together and gives their memory back (slab-keeper.ts).
 * Thread safety: an instance is for one thread; instances on different threads work at the same time, lock-free. Where
 * threads have rows (slab-caches.ts), every thread that allocates must have one.
 *
 * Layout: the region is cut into spans of 1 MiB. Span 0 is the header (slab-layout.ts). Every other span holds blocks of
 * one class. A free block begins with a canary of two words, derived from its handle and the region's random key; a
 * magazine's first block goes on with the magazine (magazine-list.ts).
 *
 * Invariants:
 * 1. A block is in exactly one place: with its user, in one thread's cache, in one shared magazine, with the pool actor
 *    (COLLECTED), or beyond its class's frontier (never used yet). Moves of more than one block are one atomic exchange
 *    that a successor can finish; a thread that dies loses at most the one block between its cache and its user.
 * 2. A span's class changes only while one thread owns the whole span, that is while it is a block of the largest class
 *    or the pool actor has collected all its blocks.
 * 3. A free block's canary is intact. free() finding one is a double free, allocate() finding none a write after free;
 *    both are assertions. The key keeps users' data from imitating it.
 * 4. Nothing depends on where the region lies or how large it is, or on the caches: a raw copy of its first highWater()
 *    bytes, made while nobody changes what refers to blocks, is the same blocks in any region that holds it, once it is
 *    rebuilt from what refers to them (slab-rebuild.ts). While every cache is flushed it needs no rebuild.
 */
import { assert } from '../assert.ts';
import { SLAB_MAX } from '../config/bounds.ts';
import type { Region } from './arena.ts';
import {
  CLASS_BLOCKS,
  CLASS_BYTES,
  CLASS_CACHE,
  CLASS_MAGAZINE,
  CLASS_PLACES,
  CLASSES,
  classOf,
  SPAN_BYTES,
  SPAN_CLASS,
} from './size-classes.ts';
import { ALLOCATED, EPOCH, FREED, MINUTE, MISSES, type SlabCaches, SlabRow } from './slab-caches.ts';
import { SlabCore } from './slab-core.ts';
import { SlabDebug } from './slab-debug.ts';
import {
  AT_MAGIC,
  AT_VERSION,
  HEADER_BYTES,
  KEY,
  lineOf,
  NEXT_SPAN,
  SLAB_MAGIC,
  SLAB_VERSION,
  TOTALS,
  USED,
} from './slab-layout.ts';
import { encodeHolder, GUARDED, UNTAGGED } from './slab-tags.ts';

/** Byte offset in the region divided by 64; 0 = none. */
export type SlabHandle = number;

export interface SlabOptions {
  /** The rows of all threads, to see what they hold. */
  readonly caches?: SlabCaches;
  /** This thread's row; without one it must be the only thread that allocates, or none may have one. */
  readonly slot?: number;
  /** Who holds what (slab-tags.ts). */
  readonly tags?: Uint32Array;
  /** Poison and guard blocks; the names of the tags are for the messages. Needs `tags`. */
  readonly debug?: { readonly tagNames: readonly string[] } | undefined;
  /** Called when no span is left; may wait a little. Whether trying once more may help. */
  readonly relieve?: (() => boolean) | undefined;
}

export interface ClassStats {
  readonly blockBytes: number;
  readonly used: number;
  /** Free blocks of its spans, never used ones included. */
  readonly free: number;
  readonly spans: number;
}

export interface SlabStats {
  readonly capacityBytes: number;
  /** Bytes of the spans ever used since the mount. */
  readonly highWater: number;
  /** Bytes of blocks in use; of threads without a row, as of their last flush. */
  readonly usedBytes: number;
  /** Bytes of free blocks in spans that are cut: fragmentation between blocks. */
  readonly scatteredBytes: number;
  /** Bytes of whole free spans below the high water. */
  readonly freeSpanBytes: number;
  /** Since the mount. */
  readonly allocations: number;
  readonly frees: number;
  /** Allocations served from the thread's own cache. */
  readonly cacheHits: number;
  readonly classes: readonly ClassStats[];
}

/** A sixteenth of a block of each class, as a factor. */
const PER_SIXTEENTH = Float64Array.from(CLASS_BYTES, (bytes) => 16 / bytes);

export class SlabAllocator {
  readonly u8: Uint8Array;
  readonly core: SlabCore;
  readonly tags: Uint32Array | undefined;
  readonly caches: SlabCaches | undefined;
  readonly #row: SlabRow;
  readonly #f64: Float64Array;
  /** Indexes of the columns in it. */
  readonly #allocated: number;
  readonly #freed: number;
  readonly #header: Int32Array;
  readonly #slot: number;
  readonly #debug: SlabDebug | undefined;
  readonly #relieve: (() => boolean) | undefined;
  #epoch: number;

  /** Makes the region an empty slab; whatever it held is lost. */
  static format(region: Region): void {
    assert(region.bytes >= 2 * SPAN_BYTES, 'a slab has a header span and one for blocks');
    region.u32.fill(0, 0, HEADER_BYTES / 4);
    region.u32.set(crypto.getRandomValues(new Uint32Array(2)), KEY);
    region.u32[NEXT_SPAN] = 1;
    region.u32[AT_VERSION] = SLAB_VERSION;
    Atomics.store(region.u32, AT_MAGIC, SLAB_MAGIC);
  }

  constructor(region: Region, options: SlabOptions = {}) {
    const { caches, slot, tags, debug, relieve } = options;
    assert(debug === undefined || tags !== undefined, 'debugging needs the table of holders');
    this.u8 = region.u8;
    this.tags = tags;
    this.caches = caches;
    this.#slot = slot ?? 0;
    this.#row = caches !== undefined && slot !== undefined ? caches.row(slot) : SlabRow.alone();
    this.#f64 = this.#row.f64;
    this.#allocated = (this.#row.at + ALLOCATED) / 2;
    this.#freed = (this.#row.at + FREED) / 2;
    this.core = new SlabCore(region, this.#row, tags);
    this.#header = this.#row.header;
    this.#epoch = this.#header[EPOCH]!;
    this.#relieve = relieve;
    if (debug !== undefined) this.#debug = new SlabDebug(this.core, tags!, debug.tagNames);
  }

  /** A block of at least `bytes` (1 … SLAB_MAX) with undefined contents for `tag`, or 0 when memory is used up. */
  allocate(bytes: number, tag: number = UNTAGGED): SlabHandle {
    assert(bytes > 0 && bytes <= SLAB_MAX, 'a block is 1 byte to 1 MiB');
    if (this.#header[EPOCH] !== this.#epoch) this.#renew();
    const core = this.core;
    const debug = this.#debug;
    let c = debug === undefined ? classOf(bytes) : debug.classOf(bytes);
    if (core.cached(c) === 0) {
      c = this.#refill(c);
      if (c < 0) return 0;
    }
    const handle = core.top(c);
    if (debug !== undefined) debug.checkFree(handle, c);
    if (this.tags !== undefined) {
      const slack = debug?.isGuarded(c) ? GUARDED : slackFor(c, bytes);
      this.tags[handle] = encodeHolder(tag, this.#slot, this.#header[MINUTE]!, slack);
    }
    core.drop(c);
    core.canary.remove(handle);
    if (debug !== undefined) debug.guard(handle, c, bytes);
    this.#f64[this.#allocated + c]! += 1;
    return handle;
  }

  free(handle: SlabHandle): void {
    if (this.#header[EPOCH] !== this.#epoch) this.#renew();
    const core = this.core;
    const debug = this.#debug;
    const c = core.classOfBlock(handle);
    if (debug !== undefined) debug.checkGuard(handle, c);
    core.canary.add(handle);
    if (debug !== undefined) debug.poison(handle, c);
    this.#f64[this.#freed + c]! += 1;
    if (core.cached(c) === CLASS_PLACES[c]) core.give(c, CLASS_MAGAZINE[c]!);
    core.enter(c, handle);
    if (this.tags !== undefined) {
      this.tags[handle] = debug === undefined ? 0 : debug.lastHolder(this.tags[handle]!);
    }
    if (CLASS_CACHE[c] === 0) core.give(c, 1);
  }

  /** Bytes the block holds: at least what was asked for. */
  capacity(handle: SlabHandle): number {
    const c = this.core.classOfBlock(handle);
    return this.#debug === undefined ? CLASS_BYTES[c]! : this.#debug.capacity(handle, c);
  }

  /** Makes a block free that is nobody's: in a rebuild, or one the pool actor had collected. */
  release(handle: SlabHandle, c: number): void {
    const { core, tags } = this;
    core.canary.write(handle);
    this.#debug?.poison(handle, c);
    if (core.cached(c) === CLASS_PLACES[c]) core.give(c, CLASS_MAGAZINE[c]!);
    core.enter(c, handle);
    if (tags !== undefined) tags[handle] = 0;
    if (CLASS_CACHE[c] === 0) core.give(c, 1);
  }

  /** Gives this thread's cached blocks to the others; without a row, brings the shared counts up to date. */
  flush(): void {
    this.core.giveAll();
    if (this.#row.owner === 0) this.#publish();
  }

  /** As in {@link SlabStats}. */
  get usedBytes(): number {
    const rows = this.#rows();
    let bytes = 0;
    for (let c = 0; c < CLASSES; c++) bytes += this.#used(c, rows) * CLASS_BYTES[c]!;
    return bytes;
  }

  /** Bytes from the region's start that hold everything ever handed out: what a checkpoint copies. */
  highWater(): number {
    return this.core.nextSpan * SPAN_BYTES;
  }

  stats(): SlabStats {
    const { core } = this;
    const rows = this.#rows();
    const spans = new Array<number>(CLASSES).fill(0);
    for (let span = 1; span < core.nextSpan; span++) {
      const c = core.classOfSpan(span);
      if (c >= 0) spans[c] = spans[c]! + 1;
    }
    const classes = CLASS_BYTES.map((blockBytes, c) => {
      const used = this.#used(c, rows);
      return { blockBytes, used, free: Math.max(0, spans[c]! * CLASS_BLOCKS[c]! - used), spans: spans[c]! };
    });
    const allocations = this.#total(rows, ALLOCATED, 0);
    const freeBytes = ({ free, blockBytes }: ClassStats): number => free * blockBytes;
    return {
      capacityBytes: core.spanLimit * SPAN_BYTES,
      highWater: this.highWater(),
      usedBytes: classes.reduce((sum, { blockBytes, used }) => sum + blockBytes * used, 0),
      scatteredBytes: classes.slice(0, SPAN_CLASS).reduce((sum, stats) => sum + freeBytes(stats), 0),
      freeSpanBytes: freeBytes(classes[SPAN_CLASS]!),
      allocations,
      frees: this.#total(rows, FREED, 1),
      cacheHits: allocations - this.#misses(rows),
      classes,
    };
  }

  /**
   * A class from `wanted` on that then has a block in the cache, −1 = memory is used up. A larger block serves too, but
   * only when no span can be had for the class: small blocks must not use up the large ones.
   */
  #refill(wanted: number): number {
    const { core } = this;
    this.#f64[(this.#row.at + MISSES) / 2]! += 1;
    if (core.fill(wanted) || (this.#isRelieved() && core.fill(wanted))) return wanted;
    for (let c = wanted + 1; c < CLASSES; c++) if (core.cached(c) > 0 || core.fill(c)) return c;
    return -1;
  }

  /** No span is left: what this thread has in reserve of other classes may make one whole. */
  #isRelieved(): boolean {
    if (this.#relieve === undefined) return false;
    this.core.giveAll();
    return this.#relieve();
  }

  /** There is another slab in the region than the one this instance knows. */
  #renew(): void {
    this.#epoch = this.#header[EPOCH]!;
    this.core.readKey();
  }

  /** Whose counts make the whole, beside those in the header. */
  #rows(): readonly SlabRow[] {
    return this.caches === undefined ? [this.#row] : this.caches.rows();
  }

  #used(c: number, rows: readonly SlabRow[]): number {
    let used = Atomics.load(this.core.u32, lineOf(c) + USED);
    for (const { f64, at } of rows) used += f64[(at + ALLOCATED) / 2 + c]! - f64[(at + FREED) / 2 + c]!;
    return used;
  }

  /** Of a column over all classes; `which` is its place in the header. */
  #total(rows: readonly SlabRow[], column: number, which: number): number {
    const before = Number(Atomics.load(this.core.u64, TOTALS / 2 + which));
    return rows.reduce((sum, row) => sum + countedIn(row, column), before);
  }

  #misses(rows: readonly SlabRow[]): number {
    const before = Number(Atomics.load(this.core.u64, TOTALS / 2 + 2));
    return rows.reduce((sum, { f64, at }) => sum + f64[(at + MISSES) / 2]!, before);
  }

  #publish(): void {
    const { f64, at } = this.#row;
    const { u32, u64 } = this.core;
    for (const [which, column] of [ALLOCATED, FREED].entries()) {
      Atomics.add(u64, TOTALS / 2 + which, BigInt(countedIn(this.#row, column)));
    }
    Atomics.add(u64, TOTALS / 2 + 2, BigInt(f64[(at + MISSES) / 2]!));
    for (let c = 0; c < CLASSES; c++) {
      Atomics.add(u32, lineOf(c) + USED, f64[(at + ALLOCATED) / 2 + c]! - f64[(at + FREED) / 2 + c]!);
    }
    f64.fill(0, (at + ALLOCATED) / 2, (at + MISSES) / 2 + 1);
  }
}

/** Of a column of a row, over all classes. */
function countedIn({ f64, at }: SlabRow, column: number): number {
  let sum = 0;
  for (let c = 0; c < CLASSES; c++) sum += f64[(at + column) / 2 + c]!;
  return sum;
}

/** What nobody asked for in a block for `bytes`, in sixteenths of it. */
function slackFor(c: number, bytes: number): number {
  const sixteenths = ((CLASS_BYTES[c]! - bytes) * PER_SIXTEENTH[c]! + 0.5) | 0;
  return sixteenths < GUARDED ? sixteenths : GUARDED - 1;
}

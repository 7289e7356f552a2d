/**
 * One thread's hand on the slab's shared structures: blocks between its cache, the shared lists and the frontiers.
 * Contracts: slab.ts (the whole), slab-caches.ts (the row), stamped-word.ts (the exchanges).
 */
import { assert } from '../assert.ts';
import type { Region } from './arena.ts';
import { Canary } from './canary.ts';
import { MAGAZINE_OTHERS, MagazineList, wordOf } from './magazine-list.ts';
import {
  CLASS_BLOCKS,
  CLASS_MAGAZINE,
  CLASS_PLACES,
  CLASS_UNITS,
  CLASSES,
  MAGAZINE_HEADER_WORDS,
  SPAN_BYTES,
  SPAN_CLASS,
  SPAN_UNITS,
} from './size-classes.ts';
import { CARVE, CARVED, EPOCH, NOTHING, OPEN_SPAN, POP, PUSH, type SlabRow, STATE } from './slab-caches.ts';
import {
  AT_MAGIC,
  AT_VERSION,
  FRONTIER,
  frontierWord,
  KEY,
  LIST,
  lineOf,
  listWord,
  NEXT_SPAN,
  NEXT_SPAN_WORD,
  SLAB_MAGIC,
  SLAB_VERSION,
  SLAB_VERSION_BEFORE,
  SPAN_TABLE,
  SPANS_MAX,
  spanOf,
  TOTALS,
  USED,
} from './slab-layout.ts';
import { OWNER_MASK, StampedWord } from './stamped-word.ts';

const COUNT_BITS = 8;
const COUNT_MASK = 2 ** COUNT_BITS - 1;

export class SlabCore {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  readonly row: SlabRow;
  /** Spans beyond this one have no memory. */
  readonly spanLimit: number;
  canary: Canary;
  /** Called for each fresh block in debug mode. */
  onCarved: ((handle: number, c: number) => void) | undefined;
  /** Called for a magazine's first block once its words are only a free block's again. */
  onUnpacked: ((handle: number, c: number) => void) | undefined;
  readonly #lists: MagazineList[] = [];
  readonly #frontiers: StampedWord[] = [];
  readonly #next: StampedWord;
  readonly #words: Uint32Array;
  readonly #states: number;
  readonly #tags: Uint32Array | undefined;

  constructor(region: Region, row: SlabRow, tags: Uint32Array | undefined) {
    this.#tags = tags;
    this.u8 = region.u8;
    this.u32 = region.u32;
    this.u64 = new BigUint64Array(region.u8.buffer, region.u8.byteOffset, SPAN_BYTES / 8);
    this.row = row;
    this.#words = row.u32;
    this.#states = row.at + STATE;
    const version = region.u32[AT_VERSION]!;
    assert(
      Atomics.load(region.u32, AT_MAGIC) === SLAB_MAGIC &&
        (version === SLAB_VERSION || version === SLAB_VERSION_BEFORE),
      'the region is a slab',
    );
    this.spanLimit = Math.min(SPANS_MAX, Math.floor(region.bytes / SPAN_BYTES));
    this.#next = new StampedWord(this.u32, this.u64, NEXT_SPAN, NEXT_SPAN_WORD, row);
    assert(this.nextSpan <= this.spanLimit, 'the region holds all spans handed out');
    this.canary = new Canary(region.u32, region.u32[KEY]!, region.u32[KEY + 1]!);
    for (let c = 0; c < CLASSES; c++) {
      const line = lineOf(c);
      this.#lists.push(new MagazineList(this.u32, this.u64, line + LIST, listWord(c), row));
      this.#frontiers.push(new StampedWord(this.u32, this.u64, line + FRONTIER, frontierWord(c), row));
    }
    if (row.owner !== 0) this.#adopt();
  }

  /** The first span never used. */
  get nextSpan(): number {
    return this.#next.value();
  }

  /** A rebuilt slab has another key. */
  readKey(): void {
    this.canary = new Canary(this.u32, this.u32[KEY]!, this.u32[KEY + 1]!);
  }

  /** Blocks of the class in any row's cache; a moment's truth while its thread runs. */
  static cachedIn(row: SlabRow, c: number): number {
    return row.u32[row.at + STATE + c]! & COUNT_MASK;
  }

  /** The `i`th oldest of them. */
  static cachedBlockIn(row: SlabRow, c: number, i: number): number {
    const start = row.u32[row.at + STATE + c]! >>> COUNT_BITS;
    return row.u32[row.place(c, placeOf(c, start + i))]!;
  }

  /** Blocks of the class in the cache. */
  cached(c: number): number {
    return this.#words[this.#states + c]! & COUNT_MASK;
  }

  /** The block that {@link drop} takes out of the cache next; there is one. */
  top(c: number): number {
    const state = this.#words[this.#states + c]!;
    return this.#words[this.row.place(c, placeOf(c, (state >>> COUNT_BITS) + (state & COUNT_MASK) - 1))]!;
  }

  /** The `i`th oldest block in the cache. */
  cachedBlock(c: number, i: number): number {
    return SlabCore.cachedBlockIn(this.row, c, i);
  }

  drop(c: number): void {
    const at = this.#states + c;
    this.#words[at] = this.#words[at]! - 1;
  }

  /** There is a place free. */
  enter(c: number, handle: number): void {
    const at = this.#states + c;
    const state = this.#words[at]!;
    this.#words[this.row.place(c, placeOf(c, (state >>> COUNT_BITS) + (state & COUNT_MASK)))] = handle;
    this.#words[at] = state + 1;
  }

  /** Fills the empty cache of a class from a ready magazine, else with fresh blocks; false when memory is used up. */
  fill(c: number): boolean {
    return this.fillFromList(c) || (c === SPAN_CLASS ? this.#openSpan() : this.carve(c));
  }

  fillFromList(c: number): boolean {
    const magazine = this.#lists[c]!.pop();
    if (magazine === 0) return false;
    this.#popped(c, magazine);
    this.row.finish();
    this.onUnpacked?.(magazine, c);
    return true;
  }

  /** Makes the `count` oldest blocks of the cache a magazine for others. */
  give(c: number, count: number): void {
    const at = this.#states + c;
    const state = this.#words[at]!;
    const start = state >>> COUNT_BITS;
    const magazine = this.cachedBlock(c, 0);
    const word = wordOf(magazine);
    this.u32[word + MAGAZINE_OTHERS] = count - 1;
    for (let i = 1; i < count; i++) {
      this.u32[word + MAGAZINE_HEADER_WORDS + i - 1] = this.cachedBlock(c, i);
    }
    const left = (placeOf(c, start + count) << COUNT_BITS) | ((state & COUNT_MASK) - count);
    this.#lists[c]!.push(magazine, left);
    this.#words[at] = left;
    this.row.finish();
  }

  /** Gives all cached blocks to the others. */
  giveAll(): void {
    for (let c = 0; c < CLASSES; c++) {
      for (let left = this.cached(c); left > 0; left = this.cached(c)) {
        this.give(c, Math.min(left, CLASS_MAGAZINE[c]!));
      }
    }
  }

  /** Takes up to a magazine of blocks that were never used into the empty cache, from the frontier or a new span. */
  carve(c: number): boolean {
    const frontier = this.#frontiers[c]!;
    const { row } = this;
    for (;;) {
      const known = frontier.value();
      const stamp = frontier.stamp();
      let first = known;
      if (known === 0) {
        first = this.#takeSpan(c);
        // Out of spans, unless another thread has just opened one for this class.
        if (first === 0 && frontier.value() === 0) return false;
        if (first === 0) continue;
      }
      const left = CLASS_BLOCKS[c]! - (first & (SPAN_UNITS - 1)) / CLASS_UNITS[c]!;
      const count = Math.min(left, CLASS_MAGAZINE[c]!);
      const next = count === left ? 0 : first + count * CLASS_UNITS[c]!;
      row.announce(CARVE, frontier.number, frontier.after(stamp), first, count, known === 0 ? 1 : 0);
      if (frontier.replace(known, stamp, next)) {
        this.#carved(c, first, count, known === 0);
        row.finish();
        row.u32[row.at + CARVED + c]!++;
        return true;
      }
      row.finish();
      if (known === 0) this.#returnSpan(first);
    }
  }

  /** The class a span is cut for; −1 = it was never used. */
  classOfSpan(span: number): number {
    return Atomics.load(this.u8, SPAN_TABLE + span) - 1;
  }

  classOfBlock(handle: number): number {
    const c = this.u8[SPAN_TABLE + spanOf(handle)]! - 1;
    assert(c >= 0 && handle < SPANS_MAX * SPAN_UNITS, 'a handle names a block');
    assert((handle & (SPAN_UNITS - 1)) % CLASS_UNITS[c]! === 0, 'a handle names the beginning of a block');
    return c;
  }

  /** The first block of the class that was never used, 0 = every block of its spans was. */
  frontier(c: number): number {
    return this.#frontiers[c]!.value();
  }

  /** The top of the class's list; to be walked only while nobody else works in the slab. */
  listTop(c: number): number {
    return this.#lists[c]!.head.value();
  }

  /** For whoever owns the whole span: it is one block of the largest class from now on. */
  joinSpan(handle: number): void {
    Atomics.store(this.u8, SPAN_TABLE + spanOf(handle), SPAN_CLASS + 1);
    this.canary.write(handle);
    this.onCarved?.(handle, SPAN_CLASS);
  }

  /** While nobody else works in the slab: all lists and frontiers are empty but for these frontiers, and what is used is. */
  reset(nextSpan: number, frontiers: ArrayLike<number>, used: ArrayLike<number>): void {
    const { u32 } = this;
    this.u8.fill(0, SPAN_TABLE + nextSpan, SPAN_TABLE + SPANS_MAX);
    putStamped(u32, NEXT_SPAN, nextSpan);
    for (let c = 0; c < CLASSES; c++) {
      putStamped(u32, lineOf(c) + LIST, 0);
      putStamped(u32, lineOf(c) + FRONTIER, frontiers[c]!);
      u32[lineOf(c) + USED] = used[c]!;
      this.#words[this.#states + c] = 0;
    }
    this.u64.fill(0n, TOTALS / 2, TOTALS / 2 + 3);
    u32[AT_VERSION] = SLAB_VERSION;
  }

  /** Finishes or takes back what this row's last thread was at. */
  #adopt(): void {
    const { row } = this;
    const { kind, word, first, count, span } = row;
    if (kind !== NOTHING && row.happened(this.#stampOf(word))) {
      if (kind === POP) this.#popped(word, first);
      else if (kind === PUSH) this.#words[this.#states + word] = count;
      else if (kind === CARVE) this.#carved(word - CLASSES, first, count, span);
      else if (kind === OPEN_SPAN) this.#spanOpened(first);
    }
    row.finish();
    row.leave();
    // A span it had taken to cut it, and did not.
    if (this.cached(SPAN_CLASS) > 0) {
      Atomics.store(this.u8, SPAN_TABLE + spanOf(this.top(SPAN_CLASS)), SPAN_CLASS + 1);
    }
  }

  #stampOf(word: number): number {
    if (word === NEXT_SPAN_WORD) return this.#next.stamp();
    return word < CLASSES ? this.#lists[word]!.head.stamp() : this.#frontiers[word - CLASSES]!.stamp();
  }

  #popped(c: number, magazine: number): void {
    const word = wordOf(magazine);
    const others = this.u32[word + MAGAZINE_OTHERS]!;
    assert(others < CLASS_MAGAZINE[c]!, 'a magazine in the list is whole');
    for (let i = 0; i < others; i++) {
      this.#words[this.row.place(c, i)] = this.u32[word + MAGAZINE_HEADER_WORDS + i]!;
    }
    this.#words[this.row.place(c, others)] = magazine;
    this.#words[this.#states + c] = others + 1;
  }

  #carved(c: number, first: number, count: number, span: boolean): void {
    for (let i = 0; i < count; i++) {
      const handle = first + i * CLASS_UNITS[c]!;
      this.canary.write(handle);
      this.onCarved?.(handle, c);
      this.#words[this.row.place(c, count - 1 - i)] = handle;
    }
    this.#words[this.#states + c] = count;
    if (span) this.#words[this.#states + SPAN_CLASS] = 0;
  }

  #spanOpened(handle: number): void {
    // In this process the region held another slab, in which the span was used.
    if (this.row.header[EPOCH]! > 0) this.#tags?.fill(0, handle, handle + SPAN_UNITS);
    Atomics.store(this.u8, SPAN_TABLE + spanOf(handle), SPAN_CLASS + 1);
    this.canary.write(handle);
    this.onCarved?.(handle, SPAN_CLASS);
    this.#words[this.row.place(SPAN_CLASS, 0)] = handle;
    this.#words[this.#states + SPAN_CLASS] = 1;
  }

  /** A span for class `c`, which stays in the cache of the largest class until it is cut. Its first handle, or 0. */
  #takeSpan(c: number): number {
    if (this.cached(SPAN_CLASS) === 0 && !this.fill(SPAN_CLASS)) return 0;
    const handle = this.top(SPAN_CLASS);
    assert(this.canary.isAt(handle), 'nobody writes to a free block');
    Atomics.store(this.u8, SPAN_TABLE + spanOf(handle), c + 1);
    return handle;
  }

  /** A span never used becomes the one block of the largest class in the cache. */
  #openSpan(): boolean {
    const { row } = this;
    for (;;) {
      const span = this.#next.value();
      if (span >= this.spanLimit) {
        row.finish();
        return false;
      }
      const stamp = this.#next.stamp();
      row.announce(OPEN_SPAN, NEXT_SPAN_WORD, this.#next.after(stamp), span * SPAN_UNITS, 0, 0);
      if (!this.#next.replace(span, stamp, span + 1)) continue;
      this.#spanOpened(span * SPAN_UNITS);
      row.finish();
      return true;
    }
  }

  /** Another thread opened a span for the class first: this one is a free block of the largest class again. */
  #returnSpan(handle: number): void {
    Atomics.store(this.u8, SPAN_TABLE + spanOf(handle), SPAN_CLASS + 1);
    this.give(SPAN_CLASS, 1);
  }
}

/** A value that nobody is about to replace, with a stamp that no exchange of before expects. */
function putStamped(u32: Uint32Array, at: number, value: number): void {
  u32[at] = value;
  u32[at + 1] = (u32[at + 1]! | OWNER_MASK) + 1;
}

function placeOf(c: number, i: number): number {
  const places = CLASS_PLACES[c]!;
  return i < places ? i : i - places;
}

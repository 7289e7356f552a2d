/**
 * What each thread keeps of the slab for itself: its cache of free blocks, its counts, and a note of the change to the
 * shared words that it is at. It lies in shared memory so that the successor of a thread that died takes it over.
 *
 * Roles: a row has one thread at a time, that of the actor in this slot; the next one begins after the last has ended.
 * Other threads read counts, and clear PENDING words (stamped-word.ts, invariant 3). All-zero memory is valid.
 *
 * Layout: a header of HEADER_WORDS, then rows of ROW_WORDS. Of each class a row has a ring of CLASS_PLACES places;
 * STATE is where it starts (above) and how many blocks are in it (below, 8 bits).
 *
 * Invariants:
 * 1. A thread may end before or after any store. A block enters a cache by the store to STATE, after its place was
 *    written, and leaves it by a store to STATE. Between its cache and its user a block is in nobody's books: the one
 *    that is lost with the thread.
 * 2. Whole magazines and spans change hands by an exchange on a stamped word. INTENT says which one is under way and
 *    FIRST, COUNT, SPAN what follows from it. They are written before the exchange; what follows is written by plain
 *    stores of values that do not depend on the cache, so doing it again changes nothing; then INTENT is cleared.
 *    A successor finds out whether the exchange happened, and if so does what follows (slab-core.ts, adopt).
 * 3. EPOCH is even while the slab can be used and odd while somebody puts another one into its place. Threads that live
 *    meanwhile touch the slab only between enter() and leave(): INSIDE is stored before EPOCH is read, and EPOCH before
 *    the INSIDE words are read, so one of the two sees the other.
 *
 * A row's stores are plain: what they must be ordered with is an exchange that comes after them.
 */
import { assert } from '../assert.ts';
import { SHARED_LINE } from '../config/bounds.ts';
import type { Region } from './arena.ts';
import { CLASSES, LARGEST_CACHE } from './size-classes.ts';
import { STAMPED_WORDS } from './slab-layout.ts';
import { OWNER_MASK } from './stamped-word.ts';

const HEADER_WORDS = SHARED_LINE / 4;
/** Words of the header. */
export const EPOCH = 0;
/** Bumped and notified for the pool actor by who asks for memory, and for them when it has done what it could. */
const ASKED = 1;
const ANSWERED = 2;
/** Minutes since the slab was formatted or mounted, kept by the pool actor. */
export const MINUTE = 3;
/** When the pool actor last found nothing, ms, modulo 2^32. */
const IN_VAIN = 4;
/** Requests that found no memory. */
const STARVED = 5;
/** Nobody asks again so soon after, ms: requests must not wait for nothing, one after the other. */
const IN_VAIN_MS = 200;

/** Words of a row. */
const INTENT = 0;
const FIRST = 1;
const COUNT = 2;
const SPAN = 3;
const INSIDE = 4;
const PENDING = 8;
const COLUMNS = 64;
const COLUMN = 32;
/** Columns with a word per class. */
export const STATE = COLUMNS;
/** Magazines that this thread had to carve because no ready one was there. */
export const CARVED = COLUMNS + COLUMN;
/** Columns with an f64 per class: blocks this thread allocated, and freed. */
export const ALLOCATED = COLUMNS + 2 * COLUMN;
export const FREED = COLUMNS + 4 * COLUMN;
/** f64: allocations that the cache had no block for. */
export const MISSES = COLUMNS + 6 * COLUMN;
const PLACES = COLUMNS + 7 * COLUMN;
const ROW_WORDS = Math.ceil((PLACES + CLASSES * LARGEST_CACHE) / HEADER_WORDS) * HEADER_WORDS;

assert(PENDING + STAMPED_WORDS <= COLUMNS && CLASSES <= COLUMN, 'the columns of a row do not overlap');

/** What is under way. */
export const NOTHING = 0;
/** The magazine FIRST leaves its list and becomes the cache of the class. */
export const POP = 1;
/** A magazine joins its list; STATE of the class becomes COUNT. */
export const PUSH = 2;
/** COUNT blocks from FIRST on leave the frontier and become the cache; with SPAN, the span's place in the cache is empty. */
export const CARVE = 3;
/** The span at FIRST, never used before, becomes the one block of the largest class in the cache. */
export const OPEN_SPAN = 4;

const WORD_BITS = 8;

export class SlabRow {
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** First word of the row. */
  readonly at: number;
  /** Slot + 1; 0 = a row that no other thread knows. */
  readonly owner: number;
  /** The header's words. */
  readonly header: Int32Array;

  constructor(buffer: ArrayBufferLike, offset: number, at: number, owner: number) {
    const words = (buffer.byteLength - offset) >>> 2;
    this.header = new Int32Array(buffer, offset, HEADER_WORDS);
    this.u32 = new Uint32Array(buffer, offset, words);
    this.i32 = new Int32Array(buffer, offset, words);
    this.f64 = new Float64Array(buffer, offset, words >>> 1);
    this.at = at;
    this.owner = owner;
  }

  /** For a thread without a row: nobody can take over what it has. */
  static alone(): SlabRow {
    return new SlabRow(new ArrayBuffer((HEADER_WORDS + ROW_WORDS) * 4), 0, HEADER_WORDS, 0);
  }

  /** Word index of class `c`'s place `i`. */
  place(c: number, i: number): number {
    return this.at + PLACES + c * LARGEST_CACHE + i;
  }

  /** An exchange that will put `stamp` into stamped word `word` is about to be tried. */
  announce(kind: number, word: number, stamp: number, first: number, count: number, span: number): void {
    const { u32, at } = this;
    u32[at + FIRST] = first;
    u32[at + COUNT] = count;
    u32[at + SPAN] = span;
    u32[at + PENDING + word] = stamp;
    u32[at + INTENT] = (kind << WORD_BITS) | word;
  }

  /** What follows from the exchange is done, or it will not be tried again. */
  finish(): void {
    this.u32[this.at + INTENT] = NOTHING;
  }

  /** Whoever is about to replace `stamp` in word `word`: it was there, should its thread not know it any more. */
  confirm(word: number, stamp: number): void {
    const owner = stamp & OWNER_MASK;
    if (owner === 0 || owner === this.owner || this.owner === 0) return;
    const at = HEADER_WORDS + (owner - 1) * ROW_WORDS + PENDING + word;
    if (this.u32[at] === stamp) Atomics.compareExchange(this.u32, at, stamp, 0);
  }

  /** Whether the announced exchange is one that happened; `stamp` is what is in the word, loaded before. */
  happened(stamp: number): boolean {
    const pending = Atomics.load(this.u32, this.at + PENDING + this.word);
    return pending === 0 || pending === stamp;
  }

  get kind(): number {
    return this.u32[this.at + INTENT]! >>> WORD_BITS;
  }
  get word(): number {
    return this.u32[this.at + INTENT]! & (2 ** WORD_BITS - 1);
  }
  get first(): number {
    return this.u32[this.at + FIRST]!;
  }
  get count(): number {
    return this.u32[this.at + COUNT]!;
  }
  get span(): boolean {
    return this.u32[this.at + SPAN] !== 0;
  }

  /** Before work in a slab that may be replaced meanwhile; false: not now. */
  enter(): boolean {
    Atomics.store(this.u32, this.at + INSIDE, 1);
    if ((Atomics.load(this.header, EPOCH) & 1) === 0) return true;
    this.leave();
    return false;
  }

  leave(): void {
    Atomics.store(this.u32, this.at + INSIDE, 0);
  }
}

export function slabCachesBytes(slots: number): number {
  assert(slots < OWNER_MASK, 'a slot fits a stamp');
  return (HEADER_WORDS + slots * ROW_WORDS) * 4;
}

export class SlabCaches {
  readonly slots: number;
  readonly #u8: Uint8Array;
  readonly #header: Int32Array;
  readonly #u32: Uint32Array;
  #rows: readonly SlabRow[] | undefined;

  constructor(region: Region) {
    this.#u8 = region.u8;
    this.#header = region.i32;
    this.#u32 = region.u32;
    this.slots = Math.floor((region.bytes / 4 - HEADER_WORDS) / ROW_WORDS);
  }

  row(slot: number): SlabRow {
    assert(slot >= 0 && slot < this.slots, 'every actor has a row');
    const { buffer, byteOffset } = this.#u8;
    return new SlabRow(buffer, byteOffset, HEADER_WORDS + slot * ROW_WORDS, slot + 1);
  }

  rows(): readonly SlabRow[] {
    this.#rows ??= Array.from({ length: this.slots }, (_, slot) => this.row(slot));
    return this.#rows;
  }

  /**
   * From now until {@link resume} nobody works in the slab but the caller: the threads that allocate have ended, and the
   * pool actor is waited for, at most `timeoutMs`. Whether it is out: if not, end it and ask again. What the rows know of
   * the old slab is forgotten.
   */
  suspend(timeoutMs: number): boolean {
    if ((this.epoch & 1) === 0) Atomics.add(this.#header, EPOCH, 1);
    const seen = this.epoch;
    for (let left = timeoutMs; left > 0 && this.#isEntered(); left--)
      Atomics.wait(this.#header, EPOCH, seen, 1);
    if (this.#isEntered()) return false;
    this.forget();
    return true;
  }

  /** The other slab is there, and what refers to it. */
  resume(): void {
    if ((this.epoch & 1) !== 0) Atomics.add(this.#header, EPOCH, 1);
  }

  /** Nobody works in the slab, and no block is in any cache. */
  forget(): void {
    this.#u32.fill(0, HEADER_WORDS, HEADER_WORDS + this.slots * ROW_WORDS);
    Atomics.store(this.#header, MINUTE, 0);
  }

  /** Even: the slab can be used; another number, another slab. */
  get epoch(): number {
    return Atomics.load(this.#header, EPOCH);
  }

  get minute(): number {
    return Atomics.load(this.#header, MINUTE);
  }

  set minute(minutes: number) {
    Atomics.store(this.#header, MINUTE, minutes);
  }

  /** How often a request found no memory, modulo 2^32. */
  get starved(): number {
    return Atomics.load(this.#header, STARVED) >>> 0;
  }

  /** A request found no memory: the pool actor is woken and given `ms` milliseconds. Whether trying again may help. */
  waitForMemory(ms: number): boolean {
    Atomics.add(this.#header, STARVED, 1);
    const since = (Date.now() - Atomics.load(this.#header, IN_VAIN)) | 0;
    if (since >= 0 && since < IN_VAIN_MS) return false;
    const seen = Atomics.load(this.#header, ANSWERED);
    Atomics.add(this.#header, ASKED, 1);
    Atomics.notify(this.#header, ASKED);
    return Atomics.wait(this.#header, ANSWERED, seen, ms) !== 'timed-out';
  }

  /** For the pool actor: how often it was asked. */
  get asked(): number {
    return Atomics.load(this.#header, ASKED);
  }

  /** Resolves once {@link asked} is no longer `seen`, or after `ms` milliseconds. */
  async askedSince(seen: number, ms: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#header, ASKED, seen, ms);
    if (waiting.async) await waiting.value;
  }

  /** The pool actor has done what it could: whoever waits may try again. */
  answer(found: boolean): void {
    if (!found) Atomics.store(this.#header, IN_VAIN, Date.now() | 0);
    Atomics.add(this.#header, ANSWERED, 1);
    Atomics.notify(this.#header, ANSWERED);
  }

  /** Ends a wait of {@link askedSince}. */
  wake(): void {
    Atomics.notify(this.#header, ASKED);
  }

  #isEntered(): boolean {
    for (let slot = 0; slot < this.slots; slot++) {
      if (Atomics.load(this.#u32, HEADER_WORDS + slot * ROW_WORDS + INSIDE) !== 0) return true;
    }
    return false;
  }
}

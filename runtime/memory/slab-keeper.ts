/**
 * What the pool actor does for the slab behind everybody's back: magazines ready before they are wanted, free blocks of
 * one span put together so that any class can have the span, and whole free spans given back to the system.
 *
 * Roles: the pool actor's thread, with a row of its own; everybody else goes on meanwhile.
 *
 * Invariants:
 * 1. The blocks it takes out of the lists are its own like any other thread's. From its row's cache, where magazines
 *    arrive, a block leaves only after its holder's word says COLLECTED, and it enters it before that word is cleared.
 *    So a successor finds all of them, in the cache or by that word ({@link SlabKeeper.recover}).
 * 2. A span changes its class when all its blocks are COLLECTED. The first one stays so until the span is in the cache
 *    as one block, so a successor finds the span by it, under its old class or its new one.
 * 3. Between enter() and leave() no one replaces the slab (slab-caches.ts, invariant 3); what was found out about it
 *    before is worth nothing after the epoch has changed.
 */
import { KIB } from '../config/bounds.ts';
import {
  CLASS_BLOCKS,
  CLASS_BYTES,
  CLASS_MAGAZINE,
  CLASS_UNITS,
  CLASSES,
  SPAN_BYTES,
  SPAN_CLASS,
  SPAN_UNITS,
  UNIT,
} from './size-classes.ts';
import type { SlabAllocator, SlabHandle } from './slab.ts';
import { CARVED, type SlabCaches } from './slab-caches.ts';
import { spanOf } from './slab-layout.ts';
import { COLLECTED, isHeld, TRIMMED, tagOf } from './slab-tags.ts';

/** Most magazines carved ahead for one class at a time, and most bytes. */
const READY_MAGAZINES = 8;
const READY_BYTES = 256 * KIB;
/** Most magazines taken out of one list at a time: while it is empty others carve fresh blocks. */
const COLLECT_MAGAZINES = 16_384;
/** Whole free spans that keep their memory, for whoever needs one next. */
export const SPANS_READY = 4;
/** First bytes of a span that keep their memory: a free block's own words. */
const OWN_BYTES = UNIT;

export class SlabKeeper {
  readonly #slab: SlabAllocator;
  readonly #tags: Uint32Array;
  readonly #caches: SlabCaches;
  readonly #release: (u8: Uint8Array, start: number, end: number) => number;
  readonly #carved = new Float64Array(CLASSES);
  /** Bytes given back to the system since this keeper began. */
  trimmedBytes = 0;
  /** Spans put together. */
  joinedSpans = 0;
  /** Magazines carved ahead. */
  readied = 0;

  /** `release` gives the pages of a range back and says how many bytes that were, or −errno. */
  constructor(slab: SlabAllocator, release: (u8: Uint8Array, start: number, end: number) => number) {
    const { tags, caches } = slab;
    if (tags === undefined || caches === undefined) throw new Error('a keeper needs the tables of the slab');
    this.#slab = slab;
    this.#tags = tags;
    this.#caches = caches;
    this.#release = release;
  }

  /** Takes over what a keeper that died had in its hands. Blocks recovered. */
  recover(): number {
    const { core } = this.#slab;
    let recovered = 0;
    for (let c = 0; c < CLASSES; c++) {
      for (let i = 0; i < core.cached(c); i++) this.#tags[core.cachedBlock(c, i)] = 0;
      recovered += core.cached(c);
    }
    core.giveAll();
    for (let span = 1; span < core.nextSpan; span++) {
      const c = core.classOfSpan(span);
      if (c < 0) continue;
      const first = span * SPAN_UNITS;
      if (c === SPAN_CLASS && tagOf(this.#tags[first]!) === COLLECTED) {
        this.#tags.fill(0, first + 1, first + SPAN_UNITS);
      }
      for (let i = 0; i < CLASS_BLOCKS[c]!; i++) {
        const handle = first + i * CLASS_UNITS[c]!;
        if (tagOf(this.#tags[handle]!) !== COLLECTED) continue;
        this.#slab.release(handle, c);
        recovered++;
      }
    }
    core.giveAll();
    return recovered;
  }

  /** Carves magazines for the classes whose threads had to do it themselves since the last call. */
  ready(): void {
    const { core } = this.#slab;
    for (let c = 0; c < SPAN_CLASS; c++) {
      let carved = 0;
      for (const row of this.#caches.rows()) carved += row.u32[row.at + CARVED + c]!;
      const wanted = carved - this.#carved[c]!;
      const bytes = CLASS_MAGAZINE[c]! * CLASS_BYTES[c]!;
      const most = Math.min(wanted, READY_MAGAZINES, Math.max(1, Math.floor(READY_BYTES / bytes)));
      // Not from a span of its own: whether one is worth it the next request decides.
      const isDry = core.listTop(c) === 0;
      for (let n = 0; n < most && isDry && core.frontier(c) !== 0; n++) {
        if (!core.carve(c)) break;
        core.give(c, core.cached(c));
        this.readied++;
        carved++;
      }
      this.#carved[c] = carved;
    }
  }

  /** Whether the span is one of a class smaller than a span and none of its blocks is in use. */
  isIdle(span: number): boolean {
    const { core } = this.#slab;
    const c = core.classOfSpan(span);
    if (c < 0 || c === SPAN_CLASS || spanOf(core.frontier(c)) === span) return false;
    const units = CLASS_UNITS[c]!;
    const end = span * SPAN_UNITS + CLASS_BLOCKS[c]! * units;
    for (let handle = span * SPAN_UNITS; handle < end; handle += units) {
      if (isHeld(this.#tags[handle]!)) return false;
    }
    return true;
  }

  /** Makes whole free spans of idle ones, as far as no other thread has their blocks in its cache. Spans joined. */
  join(idle: readonly number[]): number {
    const { core } = this.#slab;
    const byClass = new Map<number, Set<number>>();
    for (const span of idle) {
      if (!this.isIdle(span)) continue;
      const c = core.classOfSpan(span);
      byClass.set(c, (byClass.get(c) ?? new Set()).add(span));
    }
    let joined = 0;
    for (const [c, spans] of byClass) joined += this.#joinOfClass(c, spans);
    this.joinedSpans += joined;
    return joined;
  }

  /** Whole free spans that have their memory still. */
  spareSpans(): number {
    const { core } = this.#slab;
    let spare = 0;
    for (let span = 1; span < core.nextSpan; span++) {
      if (core.classOfSpan(span) === SPAN_CLASS && tagOf(this.#tags[span * SPAN_UNITS]!) === 0) spare++;
    }
    return spare;
  }

  /** Gives the memory of whole free spans back to the system, but for SPANS_READY of them. Bytes given back. */
  trim(): number {
    const { core, u8 } = this.#slab;
    let left = this.spareSpans() - SPANS_READY;
    if (left <= 0) return 0;
    let bytes = 0;
    const trimmed: SlabHandle[] = [];
    const ready: SlabHandle[] = [];
    while (core.fillFromList(SPAN_CLASS)) {
      const handle = core.top(SPAN_CLASS);
      const isTrimmed = tagOf(this.#tags[handle]!) === TRIMMED;
      this.#collect(SPAN_CLASS);
      (isTrimmed || left > 0 ? trimmed : ready).push(handle);
      if (isTrimmed || left-- <= 0) continue;
      bytes += Math.max(0, this.#release(u8, handle * UNIT + OWN_BYTES, handle * UNIT + SPAN_BYTES));
    }
    // What has its memory still is to be taken first.
    for (const handle of trimmed) this.#giveSpan(handle, TRIMMED);
    for (const handle of ready) this.#giveSpan(handle, 0);
    this.trimmedBytes += bytes;
    return bytes;
  }

  #joinOfClass(c: number, spans: ReadonlySet<number>): number {
    const { core } = this.#slab;
    const mine = new Map<number, SlabHandle[]>();
    const others: SlabHandle[] = [];
    for (let n = 0; n < COLLECT_MAGAZINES && core.fillFromList(c); n++) {
      while (core.cached(c) > 0) {
        const handle = this.#collect(c);
        const span = spanOf(handle);
        if (!spans.has(span)) others.push(handle);
        else if (mine.has(span)) mine.get(span)!.push(handle);
        else mine.set(span, [handle]);
      }
    }
    for (const handle of others) this.#slab.release(handle, c);
    let joined = 0;
    for (const [span, handles] of mine) {
      if (handles.length === CLASS_BLOCKS[c]) {
        this.#joinSpan(span);
        joined++;
      } else for (const handle of handles) this.#slab.release(handle, c);
    }
    core.giveAll();
    return joined;
  }

  /** The newest block of the cache leaves it, to be known by its word alone. */
  #collect(c: number): SlabHandle {
    const { core } = this.#slab;
    const handle = core.top(c);
    this.#tags[handle] = COLLECTED;
    core.drop(c);
    return handle;
  }

  /** All blocks of the span are collected. */
  #joinSpan(span: number): void {
    const first = span * SPAN_UNITS;
    const { core } = this.#slab;
    this.#tags[first] = COLLECTED;
    core.joinSpan(first);
    this.#tags.fill(0, first + 1, first + SPAN_UNITS);
    this.#giveSpan(first, 0);
  }

  #giveSpan(handle: SlabHandle, tag: number): void {
    const { core } = this.#slab;
    core.enter(SPAN_CLASS, handle);
    this.#tags[handle] = tag;
    core.give(SPAN_CLASS, 1);
  }
}

/**
 * What `memory.debug` adds to the slab: free blocks are filled with a pattern that is looked at before they are given
 * out again, so a write after a free is found wherever it went; and what lies behind the asked length is filled with
 * another one that is looked at when the block is freed. A block is then as long as was asked for, no longer.
 *
 * A guarded block ends with its asked length; its holder's word says GUARDED, so blocks from before the mount, or from
 * one without debugging, are left alone. Blocks of the largest class have no room for it.
 *
 * Contract: called by the block's only owner of the moment (slab.ts); plain stores.
 */
import { assert, InvariantViolation } from '../assert.ts';
import { wordOf } from './magazine-list.ts';
import { CLASS_BYTES, CLASSES, classOf, SPAN_CLASS, UNIT } from './size-classes.ts';
import type { SlabCore } from './slab-core.ts';
import { GUARDED, slackOf, slotOf, tagOf } from './slab-tags.ts';

const POISON = 0xdeadbeef;
const GUARD = 0xfd;
const CANARY_WORDS = 2;
const LENGTH_BYTES = 4;
/** Of a free block's word: the slot where it always is, the tag above it. */
const LAST_TAG_SHIFT = 13;

/** Somebody wrote to memory that was not theirs; the message says to whose. */
export class SlabDebugError extends InvariantViolation {
  override name = 'SlabDebugError';
}

export class SlabDebug {
  readonly #core: SlabCore;
  readonly #tags: Uint32Array;
  readonly #tagNames: readonly string[];

  constructor(core: SlabCore, tags: Uint32Array, tagNames: readonly string[]) {
    this.#core = core;
    this.#tags = tags;
    this.#tagNames = tagNames;
    core.onCarved = (handle, c) => this.poison(handle, c);
    core.onUnpacked = (handle, c) => this.poison(handle, c);
    for (let c = 0; c < CLASSES; c++) {
      for (let i = 0; i < core.cached(c); i++) this.poison(core.cachedBlock(c, i), c);
    }
  }

  /** The class that holds `bytes` and a guard. */
  classOf(bytes: number): number {
    return classOf(Math.min(bytes + LENGTH_BYTES + 1, CLASS_BYTES[SPAN_CLASS]!));
  }

  isGuarded(c: number): boolean {
    return c !== SPAN_CLASS;
  }

  /** Fills a free block behind its canary. */
  poison(handle: number, c: number): void {
    const word = wordOf(handle);
    this.#core.u32.fill(POISON, word + CANARY_WORDS, word + CLASS_BYTES[c]! / 4);
  }

  /** Before a block is given out. */
  checkFree(handle: number, c: number): void {
    const { u32, canary } = this.#core;
    const word = wordOf(handle);
    if (!canary.isAt(handle)) throw this.#error('was written to after it was freed', handle, c, 0);
    for (let i = CANARY_WORDS; i < CLASS_BYTES[c]! / 4; i++) {
      if (u32[word + i] !== POISON) throw this.#error('was written to after it was freed', handle, c, i * 4);
    }
  }

  guard(handle: number, c: number, asked: number): void {
    if (!this.isGuarded(c)) return;
    const at = handle * UNIT;
    const end = at + CLASS_BYTES[c]!;
    this.#core.u8.fill(GUARD, at + asked, end - LENGTH_BYTES);
    this.#core.u32[end / 4 - 1] = asked;
  }

  /** Before a block is freed. */
  checkGuard(handle: number, c: number): void {
    if (!this.#hasGuard(handle)) return;
    const asked = this.capacity(handle, c);
    const { u8 } = this.#core;
    const end = CLASS_BYTES[c]! - LENGTH_BYTES;
    if (asked > end) throw this.#error('was written to behind its end', handle, c, end);
    for (let i = asked; i < end; i++) {
      if (u8[handle * UNIT + i] !== GUARD) throw this.#error('was written to behind its end', handle, c, i);
    }
  }

  /** What was asked for. */
  capacity(handle: number, c: number): number {
    const bytes = CLASS_BYTES[c]!;
    return this.#hasGuard(handle) ? this.#core.u32[(handle * UNIT + bytes) / 4 - 1]! : bytes;
  }

  /** What a block's word is while it is free. */
  lastHolder(word: number): number {
    return (tagOf(word) << LAST_TAG_SHIFT) | (word & (255 << 5));
  }

  #hasGuard(handle: number): boolean {
    return slackOf(this.#tags[handle]!) === GUARDED;
  }

  #error(what: string, handle: number, c: number, at: number): SlabDebugError {
    const word = this.#tags[handle]!;
    const tag = tagOf(word) === 0 ? (word >>> LAST_TAG_SHIFT) & 31 : tagOf(word);
    const name = this.#tagNames[tag] ?? `tag ${tag}`;
    return new SlabDebugError(
      `block ${handle} of ${CLASS_BYTES[c]} bytes (${name}, last held by the actor in slot ${slotOf(word)}) ${what}, at byte ${at}`,
    );
  }
}

assert(LENGTH_BYTES + 1 < CLASS_BYTES[0]!, 'the smallest block has room for its guard');

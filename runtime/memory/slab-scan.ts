/**
 * A walk over all blocks in use, some spans at a time, beside everybody's work: what is held by tag, which spans have
 * no block in use, and which blocks nothing refers to.
 *
 * Contract: any thread, with an instance of its own; only reads. A block that was in use and referred to all through a
 * round is marked in that round, because whoever marks meets every reference that lasts. So a block that is in use and
 * unmarked in two rounds running, under the same holder's word and older than a minute, is nobody's: a suspect. It is
 * reported, never freed: a doubt is worth less than a file.
 */
import { CLASS_BYTES } from './size-classes.ts';
import type { SlabAllocator, SlabHandle } from './slab.ts';
import { eachHeld, type Stray, slackBytes, strayOf } from './slab-audit.ts';
import { spanOf } from './slab-layout.ts';
import { BlockMarks } from './slab-rebuild.ts';
import { minuteOf, tagOf, UNTAGGED } from './slab-tags.ts';

const OLD_MINUTES = 2;
/** Most suspects remembered: enough to see a pattern. */
const SUSPECTS_MAX = 1000;

export interface TagUse {
  blocks: number;
  bytes: number;
  /** Bytes of them that nobody asked for, to a sixteenth of a block. */
  slack: number;
  /** Minute of the oldest block's allocation, −1 = there is none. */
  oldest: number;
}

export class SlabScan {
  /** By tag, of the last whole round. */
  uses: readonly TagUse[] = noUses();
  /** Spans with no block in use, as of the last whole round. */
  idle: readonly number[] = [];
  /** Blocks in use that nothing refers to. */
  suspects: readonly Stray[] = [];
  readonly #slab: SlabAllocator;
  #marks: BlockMarks | undefined;
  #span = 0;
  #uses = noUses();
  #idle: number[] = [];
  #suspects: Stray[] = [];
  /** Blocks unmarked in the last round with marks, and their words. */
  #unmarkedBefore = new Map<SlabHandle, number>();
  #unmarked = new Map<SlabHandle, number>();

  constructor(slab: SlabAllocator) {
    this.#slab = slab;
  }

  /** Begins a round: with `marking`, {@link mark} is to be called for every reference before the first step. */
  begin(marking: boolean): void {
    this.#span = 1;
    this.#uses = noUses();
    this.#idle = [];
    this.#suspects = [];
    this.#unmarked = new Map();
    this.#marks = marking ? new BlockMarks(this.#slab.core.nextSpan) : undefined;
  }

  readonly mark = (handle: SlabHandle): void => {
    const marks = this.#marks!;
    if (spanOf(handle) < marks.counts.length) marks.mark(handle);
  };

  /** Walks over the next `spans` spans; `minute` is now. Whether the round is over. */
  step(spans: number, minute: number): boolean {
    const { core } = this.#slab;
    const end = Math.min(
      core.nextSpan,
      this.#span + spans,
      this.#marks?.counts.length ?? Number.POSITIVE_INFINITY,
    );
    for (; this.#span < end; this.#span++) {
      let held = 0;
      eachHeld(this.#slab, this.#span, (handle, c, word) => {
        held++;
        this.#count(c, word);
        if (this.#marks !== undefined && !this.#marks.has(handle)) this.#foundUnmarked(handle, word, minute);
      });
      if (held === 0) this.#idle.push(this.#span);
    }
    if (this.#span < core.nextSpan && this.#span < (this.#marks?.counts.length ?? core.nextSpan))
      return false;
    this.#end();
    return true;
  }

  /** The slab is another one: what was found out is worth nothing. */
  forget(): void {
    this.begin(false);
    this.#unmarkedBefore = new Map();
    this.#end();
  }

  #count(c: number, word: number): void {
    const use = this.#uses[tagOf(word)]!;
    use.blocks++;
    use.bytes += CLASS_BYTES[c]!;
    use.slack += slackBytes(c, word);
    const minute = minuteOf(word);
    if (use.oldest < 0 || minute < use.oldest) use.oldest = minute;
  }

  #foundUnmarked(handle: SlabHandle, word: number, minute: number): void {
    if (minute - minuteOf(word) < OLD_MINUTES || this.#unmarked.size >= SUSPECTS_MAX) return;
    this.#unmarked.set(handle, word);
    if (this.#unmarkedBefore.get(handle) === word) this.#suspects.push(strayOf(this.#slab, handle));
  }

  #end(): void {
    this.uses = this.#uses;
    this.idle = this.#idle;
    if (this.#marks === undefined) return;
    this.suspects = this.#suspects;
    this.#unmarkedBefore = this.#unmarked;
    this.#marks = undefined;
  }
}

function noUses(): TagUse[] {
  return Array.from({ length: UNTAGGED + 1 }, () => ({ blocks: 0, bytes: 0, slack: 0, oldest: -1 }));
}

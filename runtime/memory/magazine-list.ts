/**
 * A lock-free stack of magazines (batches of free blocks) in shared memory.
 * After R. K. Treiber, "Systems Programming: Coping with Parallelism" (IBM RJ 5118, 1986), with a tag against ABA.
 *
 * Roles: any thread pushes a magazine that it owns whole, and pops one that it then owns whole.
 * Thread safety: lock-free; a thread that stops anywhere blocks nobody, and its successor can tell what it owns.
 *
 * A magazine is named by its first block's handle. Words of that block: 0, 1 belong to the allocator; 2 next magazine
 * (0 = none); 3 how many other blocks; 4 … their handles.
 *
 * Invariants:
 * 1. The head is a stamped word (stamped-word.ts): the top magazine's handle, 0 = empty. What a popper reads as `next`
 *    after the stamp belongs to the top if its exchange succeeds.
 * 2. A popper may read `next` from a block that another thread has taken meanwhile and writes to; the value is unused,
 *    since then the exchange fails.
 * 3. push's exchange publishes the magazine's words, pop's receives them.
 * 4. The row announces each exchange. The caller does what follows from it and then calls the row's finish().
 */
import { assert } from '../assert.ts';
import { MAGAZINE_HEADER_WORDS, UNIT } from './size-classes.ts';
import { POP, PUSH, SlabRow } from './slab-caches.ts';
import { StampedWord } from './stamped-word.ts';

/** Words of a magazine's first block. */
export const MAGAZINE_NEXT = 2;
export const MAGAZINE_OTHERS = 3;

const WORDS_PER_UNIT = UNIT / 4;
assert(MAGAZINE_OTHERS < MAGAZINE_HEADER_WORDS, 'the header holds the link and the count');

/** Word index of a handle's block. */
export function wordOf(handle: number): number {
  return handle * WORDS_PER_UNIT;
}

export class MagazineList {
  readonly head: StampedWord;
  readonly #row: SlabRow;
  readonly #u32: Uint32Array;

  /**
   * `u32` and `u64` start at the same byte, that of handle 0; `headWord` is the even index of the head in `u32`,
   * `number` the head's among the stamped words.
   */
  constructor(
    u32: Uint32Array,
    u64: BigUint64Array,
    headWord: number,
    number = 0,
    row: SlabRow = SlabRow.alone(),
  ) {
    assert(headWord % 2 === 0, 'the head is 8-aligned');
    this.#u32 = u32;
    this.#row = row;
    this.head = new StampedWord(u32, u64, headWord, number, row);
  }

  /** `state`: what the cache's state is once the magazine has left it. */
  push(magazine: number, state = 0): void {
    for (;;) {
      const top = this.head.value();
      const stamp = this.head.stamp();
      this.#u32[wordOf(magazine) + MAGAZINE_NEXT] = top;
      this.#row.announce(PUSH, this.head.number, this.head.after(stamp), magazine, state, 0);
      if (this.head.replace(top, stamp, magazine)) return;
    }
  }

  /** The magazine's handle, 0 when the list is empty. */
  pop(): number {
    for (;;) {
      const top = this.head.value();
      if (top === 0) {
        this.#row.finish();
        return 0;
      }
      const stamp = this.head.stamp();
      const next = Atomics.load(this.#u32, wordOf(top) + MAGAZINE_NEXT);
      this.#row.announce(POP, this.head.number, this.head.after(stamp), top, 0, 0);
      if (this.head.replace(top, stamp, next)) return top;
    }
  }
}

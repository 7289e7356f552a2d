/**
 * A lock-free stack of magazines (batches of free blocks) in shared memory.
 * After R. K. Treiber, "Systems Programming: Coping with Parallelism" (IBM RJ 5118, 1986), with a tag against ABA.
 *
 * Roles: any thread pushes a magazine that it owns whole, and pops one that it then owns whole.
 * Thread safety: lock-free; a thread that stops anywhere blocks nobody and loses at most what it owned.
 *
 * A magazine is named by its first block's handle. Words of that block: 0, 1 belong to the allocator; 2 next magazine
 * (0 = none); 3 how many other blocks; 4 … their handles.
 * The head is one aligned u64: low word the top magazine's handle (0 = empty), high word the tag.
 *
 * Invariants:
 * 1. The head changes only by a 64-bit compare-and-exchange that adds 1 to the tag, so no value of the head recurs
 *    before 2^32 changes. A thread would have to stand between its load and its exchange for exactly a multiple of
 *    that: minutes at millions of changes a second, and a change comes only once per magazine.
 * 2. The two halves are loaded one by one. If a pair that was never the head is put together, the exchange fails; if it
 *    succeeds, the head was the same since the tag was loaded, so `next`, read after it, belongs to the top.
 * 3. A popper may read `next` from a block that another thread has taken meanwhile and writes to; the value is unused,
 *    since then the exchange fails.
 * 4. push's exchange publishes the magazine's words, pop's receives them.
 */
import { assert } from '../assert.ts';
import { MAGAZINE_HEADER_WORDS, UNIT } from './size-classes.ts';

const NEXT = 2;
export const MAGAZINE_OTHERS = 3;

const WORDS_PER_UNIT = UNIT / 4;
assert(MAGAZINE_OTHERS < MAGAZINE_HEADER_WORDS, 'the header holds the link and the count');

/** Word index of a handle's block. */
export function wordOf(handle: number): number {
  return handle * WORDS_PER_UNIT;
}

export class MagazineList {
  readonly #u32: Uint32Array;
  readonly #u64: BigUint64Array;
  readonly #head: number;
  // Two u32 seen as one u64: how a value for the exchange is put together in either byte order.
  readonly #halves = new Uint32Array(4);
  readonly #wholes = new BigUint64Array(this.#halves.buffer);

  /** `u32` and `u64` start at the same byte, that of handle 0; `headWord` is the even index of the head in `u32`. */
  constructor(u32: Uint32Array, u64: BigUint64Array, headWord: number) {
    assert(headWord % 2 === 0, 'the head is 8-aligned');
    this.#u32 = u32;
    this.#u64 = u64;
    this.#head = headWord;
  }

  push(magazine: number): void {
    let top: number;
    let tag: number;
    do {
      top = Atomics.load(this.#u32, this.#head);
      tag = Atomics.load(this.#u32, this.#head + 1);
      this.#u32[wordOf(magazine) + NEXT] = top;
    } while (!this.#exchange(top, tag, magazine));
  }

  /** The magazine's handle, 0 when the list is empty. */
  pop(): number {
    for (;;) {
      const top = Atomics.load(this.#u32, this.#head);
      if (top === 0) return 0;
      const tag = Atomics.load(this.#u32, this.#head + 1);
      const next = Atomics.load(this.#u32, wordOf(top) + NEXT);
      if (this.#exchange(top, tag, next)) return top;
    }
  }

  #exchange(top: number, tag: number, newTop: number): boolean {
    this.#halves[0] = top;
    this.#halves[1] = tag;
    this.#halves[2] = newTop;
    this.#halves[3] = tag + 1;
    const expected = this.#wholes[0]!;
    return Atomics.compareExchange(this.#u64, this.#head / 2, expected, this.#wholes[1]!) === expected;
  }
}

/**
 * The mark in the first two words of every free slab block: it tells a block that is freed twice, or written after it
 * was freed. It is derived from the block's handle and a random key of the region, so that no user's data can imitate it.
 *
 * Thread safety: called by the block's only owner of the moment; plain loads and stores, ordered by whatever passed
 * the block on.
 */
import { assert } from '../assert.ts';
import { wordOf } from './magazine-list.ts';

export class Canary {
  readonly #u32: Uint32Array;
  readonly #keyLow: number;
  readonly #keyHigh: number;

  constructor(u32: Uint32Array, keyLow: number, keyHigh: number) {
    this.#u32 = u32;
    this.#keyLow = keyLow;
    this.#keyHigh = keyHigh;
  }

  /** Marks a block that was never used. */
  write(handle: number): void {
    const word = wordOf(handle);
    this.#u32[word] = this.#keyLow ^ handle;
    this.#u32[word + 1] = this.#keyHigh;
  }

  /** Marks a block that its user gives back. */
  add(handle: number): void {
    assert(!this.isAt(handle), 'a block is freed once');
    this.write(handle);
  }

  /** Unmarks a block that is given out. */
  remove(handle: number): void {
    assert(this.isAt(handle), 'nobody writes to a free block');
    const word = wordOf(handle);
    this.#u32[word] = 0;
    this.#u32[word + 1] = 0;
  }

  isAt(handle: number): boolean {
    const word = wordOf(handle);
    return this.#u32[word] === (this.#keyLow ^ handle) >>> 0 && this.#u32[word + 1] === this.#keyHigh;
  }
}

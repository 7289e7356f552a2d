/**
 * Who reads which block of the checkpoint that a mount is loaded from. io-0 reads it, and the shards, which have nothing
 * to do until it is there, help.
 *
 * Roles: io-0 opens the board once in a process, takes blocks, and waits until all are done; shards take blocks.
 * Region 'load-board': word 0 SEQUENCE, the checkpoint's number (0 = not open); from word 16 on, a word for each block of
 * all its parts (CheckpointReader).
 *
 * Invariants:
 * 1. A block's word is FREE, then the number of who took it (from 1 on), then DONE or FAILED, and nothing after that. It is
 *    taken by exchange, so by one.
 * 2. SEQUENCE is stored when all words are FREE, and cleared when none is: who comes late finds nothing to take, and
 *    nobody writes to a block's memory once io-0 has seen that all words are DONE or FAILED.
 * 3. A thread that ends while it has a block ends the mount, as nothing is revived before a mount is usable.
 *
 * What each store publishes: DONE the bytes of the block, SEQUENCE that there is something to do.
 */
import { assert } from '../runtime/assert.ts';
import type { Region } from '../runtime/memory/arena.ts';
import { BLOCK_BYTES, type Manifest } from './checkpoint-manifest.ts';

const SEQUENCE = 0;
const FIRST_BLOCK = 16;
const FREE = 0;
const DONE = -1;
const FAILED = -2;
/** A block takes a millisecond, or as long as the disk does. */
const SLICE_MS = 100;

/** For checkpoints of regions with `bytes` in all, in `parts` parts. */
export function loadBoardBytes(bytes: number, parts: number): number {
  return (FIRST_BLOCK + Math.ceil(bytes / BLOCK_BYTES) + parts) * 4;
}

export function blocksOf({ parts }: Manifest): number {
  return parts.reduce((sum, { blocks }) => sum + blocks.length, 0);
}

export class LoadBoard {
  readonly #i32: Int32Array;
  /** No block before this one is free. */
  #next = 0;

  constructor(region: Pick<Region, 'i32'>) {
    this.#i32 = region.i32;
  }

  /** How many blocks there is room for. */
  get room(): number {
    return this.#i32.length - FIRST_BLOCK;
  }

  /** The checkpoint that is being loaded, 0 = none. */
  get sequence(): number {
    return Atomics.load(this.#i32, SEQUENCE);
  }

  /** Whether a checkpoint was loaded by it before, or is. */
  get wasUsed(): boolean {
    return this.sequence !== 0 || Atomics.load(this.#i32, FIRST_BLOCK) !== FREE;
  }

  /** All blocks are free to take. */
  open(sequence: number): void {
    assert(!this.wasUsed, 'a board is used once');
    Atomics.store(this.#i32, SEQUENCE, sequence);
  }

  /** Takes the next free block of the first `blocks` for `taker` (from 1 on); −1 when there is none. */
  take(taker: number, blocks: number): number {
    for (; this.#next < blocks; this.#next++) {
      const at = FIRST_BLOCK + this.#next;
      if (Atomics.compareExchange(this.#i32, at, FREE, taker) === FREE) return this.#next++;
    }
    return -1;
  }

  done(block: number, isRight: boolean): void {
    Atomics.store(this.#i32, FIRST_BLOCK + block, isRight ? DONE : FAILED);
    Atomics.notify(this.#i32, FIRST_BLOCK + block);
  }

  /** Waits until whoever took it is done with it; whether it is right. */
  isRight(block: number): boolean {
    const at = FIRST_BLOCK + block;
    let word = Atomics.load(this.#i32, at);
    assert(word !== FREE, 'a block that is waited for was taken');
    for (; word > FREE; word = Atomics.load(this.#i32, at)) Atomics.wait(this.#i32, at, word, SLICE_MS);
    return word === DONE;
  }

  close(): void {
    Atomics.store(this.#i32, SEQUENCE, 0);
  }
}

/**
 * The files whose vectors are on their way from the journal to a shard. The journal has them first, so that a shard that
 * dies gets them from the log; an indexer that dies in between leaves a file that the tables call indexed and whose
 * vectors no shard has. Its successor finds it here and indexes it again.
 *
 * Roles: the indexer's thread writes; its successor reads what it left. Region 'index-transit', two words a slot:
 * 0 ino (0 = free), 1 generation.
 *
 * Invariants:
 * 1. A file is in a slot from before its first record is journalled until its last message is in the shard's lane.
 *    What is in a lane is not lost: whoever takes it is the shard, or finds it in the log (shard/replay.ts).
 * 2. Word 1 is written before word 0, whose store publishes it.
 */
import { assert } from '../../runtime/assert.ts';
import type { Region, RegionPlan } from '../../runtime/memory/arena.ts';

export const INDEX_TRANSIT = 'index-transit';

/** Small files that are handed to a thread together: a hand-over costs more than embedding one of them. */
export const FILES_PER_TASK = 16;

const SLOT_WORDS = 2;
const GENERATION = 1;

/** Files that the indexer works on at once, with this many threads that embed: one batch waits for each that is embedded. */
export function filesAtOnce(tasks: number): number {
  return tasks * 2 * FILES_PER_TASK;
}

export function planTransit(files: number): RegionPlan {
  return { name: INDEX_TRANSIT, bytes: files * SLOT_WORDS * 4 };
}

export class Transit {
  readonly #words: Int32Array;
  readonly #slots: number;

  constructor(region: Region, files: number) {
    this.#words = region.i32;
    this.#slots = files;
  }

  /** Returns the slot for {@link leave}. */
  enter(ino: number, generation: number): number {
    let slot = 0;
    while (slot < this.#slots && this.#words[slot * SLOT_WORDS] !== 0) slot++;
    assert(slot < this.#slots, 'no more files are in transit than are worked on');
    Atomics.store(this.#words, slot * SLOT_WORDS + GENERATION, generation | 0);
    Atomics.store(this.#words, slot * SLOT_WORDS, ino);
    return slot;
  }

  leave(slot: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS, 0);
  }

  /** What a predecessor left. The visitor leaves the slot once nothing can be lost any more. */
  each(visit: (slot: number, ino: number, generation: number) => void): void {
    for (let slot = 0; slot < this.#slots; slot++) {
      const ino = Atomics.load(this.#words, slot * SLOT_WORDS);
      if (ino !== 0) visit(slot, ino, Atomics.load(this.#words, slot * SLOT_WORDS + GENERATION) >>> 0);
    }
  }
}

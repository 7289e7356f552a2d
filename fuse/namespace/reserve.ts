/**
 * Memory for a transaction of several changes, taken before the first of them: then none can fail for want of it when
 * others have happened already. One instance per thread, used with the namespace's lock held.
 */
import type { SlabAllocator, SlabHandle } from '../../runtime/memory/slab.ts';

export class ReservedBlocks {
  readonly #slab: SlabAllocator;
  readonly #blocks: { readonly block: SlabHandle; readonly tag: number }[] = [];

  constructor(slab: SlabAllocator) {
    this.#slab = slab;
  }

  /** False when there is no memory; what was reserved before stays reserved. */
  reserve(bytes: number, tag: number): boolean {
    const block = this.#slab.allocate(bytes, tag);
    if (block === 0) return false;
    this.#blocks.push({ block, tag });
    return true;
  }

  /**
   * The smallest block for `tag` with room for `bytes`, which is the caller's then; 0 = there is none. The smallest, so
   * that whoever was to have it finds one that is as large.
   */
  take(bytes: number, tag: number): SlabHandle {
    let best = -1;
    let capacity = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#blocks.length; i++) {
      const { block, tag: own } = this.#blocks[i]!;
      const room = own === tag ? this.#slab.capacity(block) : 0;
      if (room < bytes || room >= capacity) continue;
      best = i;
      capacity = room;
    }
    return best < 0 ? 0 : this.#blocks.splice(best, 1)[0]!.block;
  }

  /** Gives back what nobody took. */
  release(): void {
    for (const { block } of this.#blocks.splice(0)) this.#slab.free(block);
  }
}

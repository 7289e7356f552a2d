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

  /** The first block for `tag` with room for `bytes`, which is the caller's then; 0 = there is none. */
  take(bytes: number, tag: number): SlabHandle {
    if (this.#blocks.length === 0) return 0;
    const at = this.#blocks.findIndex((b) => b.tag === tag && this.#slab.capacity(b.block) >= bytes);
    return at < 0 ? 0 : this.#blocks.splice(at, 1)[0]!.block;
  }

  /** Gives back what nobody took. */
  release(): void {
    for (const { block } of this.#blocks.splice(0)) this.#slab.free(block);
  }
}

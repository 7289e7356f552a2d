/**
 * Blocks compressed one by one with Zstandard (RFC 8878), each a frame of its own, so that any can be read without the
 * others. Synchronous native code: for threads that nobody waits for, and for loading.
 */
import { createRequire } from 'node:module';
import type binding from 'zstd-napi/binding.js';

// Not imported: where it was not built, Node.js 20 would end the process, beside rejecting the import of this module.
const loaded = createRequire(import.meta.url)('zstd-napi/binding.js') as typeof binding;
const { CCtx, CParameter, compressBound, DCtx } = loaded;

/**
 * Negative levels leave out the entropy coding, which is what takes time when a checkpoint is loaded. 32 MiB of inode
 * records: level −1 0.31 of the size, expanded at 2.0 GB/s; level 1 0.21 at 1.4 GB/s. Of 93 MiB of tables with a vector for
 * each file, level −1 is loaded in two thirds of the time of level 1.
 */
const LEVEL = -1;

export class BlockCompressor {
  /** The last block's frame begins here. */
  readonly frame: Uint8Array;
  readonly #context = new CCtx();

  /**
   * `blockBytes`: length of the longest block. `checksum`: each frame ends with one of the block (RFC 8878 3.1.1), which
   * {@link expandBlock} looks at.
   */
  constructor(blockBytes: number, level = LEVEL, checksum = false) {
    this.frame = new Uint8Array(frameBound(blockBytes));
    this.#context.setParameter(CParameter.compressionLevel, level);
    this.#context.setParameter(CParameter.checksumFlag, checksum ? 1 : 0);
  }

  /** Bytes of the frame, which may be more than the block has. */
  compress(block: Uint8Array): number {
    return this.#context.compress2(this.frame, block);
  }
}

/** Bytes of the longest frame that a block of `blockBytes` may become. */
export function frameBound(blockBytes: number): number {
  return compressBound(blockBytes);
}

const decompressor = new DCtx();

/** Expands one whole frame into `target`; false when it is none, or has not exactly as many bytes as `target`. */
export function expandBlock(frame: Uint8Array, target: Uint8Array): boolean {
  try {
    return decompressor.decompress(target, frame) === target.length;
  } catch {
    return false;
  }
}

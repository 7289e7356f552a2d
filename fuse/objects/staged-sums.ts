/**
 * Checksums on their way from the thread that took them to the fuse actor that puts them into the tables, in region 'staged-sums'.
 *
 * Roles: one thread at a time stages, one fuse actor takes; any thread that may have left an object's bytes changed without a
 * record spoils. Words: 0 how often that was (atomic); from FIRST on the checksums.
 *
 * 1. What is taken is what was staged for the same file: the CRC-32 of the checksums goes along in the message, and what does
 *    not agree with it (the next file's, by a fuse actor that was late) is refused.
 * 2. A write that fails, or whose thread ends, may leave bytes of which no record tells, so the version of the file says nothing of
 *    them. Checksums that were taken before that count as of other bytes: whoever takes them sees that word 0 has changed.
 */
import { crc32 } from 'node:zlib';
import { CACHE_LINE, SUMS_MAX } from '../../runtime/config/bounds.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';

const NAME = 'staged-sums';
const FIRST = CACHE_LINE / 4;

export function planStagedSums(): RegionPlan {
  return { name: NAME, bytes: CACHE_LINE + SUMS_MAX * 4 };
}

export class StagedSums {
  readonly #u32: Uint32Array;
  readonly #u8: Uint8Array;

  constructor(arena: Arena) {
    const { u8, u32 } = arena.region(NAME);
    this.#u32 = u32;
    this.#u8 = u8;
  }

  /** Changes whenever bytes may have changed without a record. */
  get spoils(): number {
    return Atomics.load(this.#u32, 0);
  }

  spoil(): void {
    Atomics.add(this.#u32, 0, 1);
  }

  /** Their CRC-32, for {@link take}. */
  stage(sums: Uint32Array): number {
    this.#u32.set(sums, FIRST);
    return crc32(new Uint8Array(sums.buffer, sums.byteOffset, sums.byteLength));
  }

  /** What was staged, `count` checksums as bytes; undefined when it is something else by now. */
  take(count: number, crc: number): Uint8Array | undefined {
    if (count > SUMS_MAX) return undefined;
    const bytes = this.#u8.slice(FIRST * 4, (FIRST + count) * 4);
    return crc32(bytes) === crc ? bytes : undefined;
  }
}

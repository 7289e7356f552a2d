/**
 * What the pool actor found out about the slab, for whoever shows it.
 *
 * Contract: the pool actor writes, any thread reads. f64 words: the numbers of {@link PoolNumbers} in the order of
 * NUMBERS, from SUSPECTS_AT on pairs of handle and holder's word, from TAGS_AT on blocks, bytes and minute of the oldest
 * by tag (−1 = none).
 * 1. Each number is stored whole; nothing publishes several together.
 */
import type { Region } from '../runtime/memory/arena.ts';

const NUMBERS = [
  'minute',
  'trimmedBytes',
  'joinedSpans',
  'readiedMagazines',
  'rounds',
  'audits',
  'suspects',
  'suspectBytes',
  'slackBytes',
] as const;

export type PoolNumbers = Readonly<Record<(typeof NUMBERS)[number], number>>;

export interface TagNumbers {
  readonly tag: number;
  readonly blocks: number;
  readonly bytes: number;
  /** Minutes since the mount at which the oldest of them was allocated. */
  readonly oldest: number;
}

const SUSPECTS_AT = 16;
/** Suspects that the report names. */
const SUSPECTS_SHOWN = 16;
const TAGS_AT = SUSPECTS_AT + 2 * SUSPECTS_SHOWN;
const TAGS = 32;

export const POOL_REPORT_BYTES = (TAGS_AT + 3 * TAGS) * 8;

export class PoolReport {
  readonly #f64: Float64Array;

  constructor(region: Region) {
    this.#f64 = region.f64;
  }

  write(numbers: PoolNumbers): void {
    NUMBERS.forEach((name, i) => {
      this.#f64[i] = numbers[name];
    });
  }

  read(): PoolNumbers {
    return Object.fromEntries(NUMBERS.map((name, i) => [name, this.#f64[i]!])) as PoolNumbers;
  }

  writeTags(uses: readonly { blocks: number; bytes: number; oldest: number }[]): void {
    uses.forEach(({ blocks, bytes, oldest }, tag) => {
      this.#f64.set([blocks, bytes, oldest], TAGS_AT + 3 * tag);
    });
  }

  /** The tags that hold something. */
  readTags(): TagNumbers[] {
    const all = Array.from({ length: TAGS }, (_, tag) => {
      const [blocks, bytes, oldest] = this.#f64.subarray(TAGS_AT + 3 * tag, TAGS_AT + 3 * tag + 3);
      return { tag, blocks: blocks!, bytes: bytes!, oldest: oldest! };
    });
    return all.filter(({ blocks }) => blocks > 0);
  }

  writeSuspects(suspects: readonly { handle: number; tag: number; slot: number; minute: number }[]): void {
    this.#f64.fill(0, SUSPECTS_AT, TAGS_AT);
    suspects.slice(0, SUSPECTS_SHOWN).forEach(({ handle, tag, slot, minute }, i) => {
      this.#f64.set([handle, tag + 32 * (slot + 256 * minute)], SUSPECTS_AT + 2 * i);
    });
  }

  readSuspects(): { handle: number; tag: number; slot: number; minute: number }[] {
    const all = Array.from({ length: SUSPECTS_SHOWN }, (_, i) => {
      const [handle, whose] = this.#f64.subarray(SUSPECTS_AT + 2 * i, SUSPECTS_AT + 2 * i + 2);
      return {
        handle: handle!,
        tag: whose! % 32,
        slot: Math.floor(whose! / 32) % 256,
        minute: Math.floor(whose! / 8192),
      };
    });
    return all.filter(({ handle }) => handle !== 0);
  }
}

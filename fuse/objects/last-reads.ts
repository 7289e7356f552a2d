/**
 * When the object of each file was read last, in region 'last-reads': a word for each inode number, seconds since the epoch.
 * It tells files that are used from those that lie there (compression of cold data), and is lost with the mount.
 *
 * Roles: any thread that reads stores; whoever looks for cold files loads. Plain stores.
 * 1. A word is what some reader stored, or 0. Which of two readers of a second was the later does not matter, and a word
 *    may be of a file that had the number before: it is only ever a reason to leave a file alone for a while.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';

const NAME = 'last-reads';

export function planLastReads(maxInodes: number): RegionPlan {
  return { name: NAME, bytes: (maxInodes + 1) * 4 };
}

export class LastReads {
  readonly #seconds: Uint32Array;
  readonly #clock: Clock;

  constructor(arena: Arena, clock: Clock) {
    this.#seconds = arena.region(NAME).u32;
    this.#clock = clock;
  }

  /** The file is being read. */
  note(ino: number): void {
    this.#seconds[ino] = Math.floor(this.#clock.now() / 1000);
  }

  /** Seconds since the epoch; 0 = not since the mount. */
  of(ino: number): number {
    return this.#seconds[ino]!;
  }
}

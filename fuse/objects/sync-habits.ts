/**
 * Which files are made durable again and again, in the region 'sync-habits': small writes to them go into the log with their
 * bytes, so that an fsync has one thing to wait for instead of two, one after the other (content.ts).
 *
 * Who writes so many times before each fsync is expected to sync again after as many writes: the commit begins then, and the
 * fsync finds it under way.
 *
 * Roles: any thread that syncs or writes a file. Inode n has row n modulo ROWS. Words of a row: 0 the inode, 1 the bytes that may
 * be logged until its next fsync, 2 writes since the last fsync, 3 writes before that one, 4 writes before it if they were as
 * many before the one before, else 0.
 *
 * 1. Every answer is right: what is here decides how much work a write and the fsync after it are, and nothing else. So the
 *    words are loaded and stored plainly, and of two files with the same row the one that was synced last has it.
 * 2. A write that is too large for what is left takes all of it: its object has to be synced anyway, so logging what
 *    follows would only be more work. A file that is written to and never synced is logged at most once.
 */
import { LOGGED_PER_SYNC } from '../../runtime/config/bounds.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';

const NAME = 'sync-habits';
const ROWS = 1024;
const ROW_WORDS = 8;
const BYTES_LEFT = 1;
const WRITES = 2;
const LAST_WRITES = 3;
const EXPECTED = 4;

export function planSyncHabits(): RegionPlan {
  return { name: NAME, bytes: ROWS * ROW_WORDS * 4 };
}

export class SyncHabits {
  readonly #words: Uint32Array;
  readonly #perSync: number;

  /** `perSync`: bytes that are logged between two fsyncs of a file, at most. */
  constructor(arena: Arena, perSync = LOGGED_PER_SYNC) {
    this.#words = arena.region(NAME).u32;
    this.#perSync = perSync;
  }

  /** The file was synced: what is written to it next may be logged. */
  synced(ino: number): void {
    const words = this.#words;
    const at = (ino % ROWS) * ROW_WORDS;
    if (words[at] !== ino) words.fill(0, at, at + ROW_WORDS);
    words[at] = ino;
    words[at + BYTES_LEFT] = this.#perSync;
    const writes = words[at + WRITES]!;
    words[at + EXPECTED] = writes === words[at + LAST_WRITES] ? writes : 0;
    words[at + LAST_WRITES] = writes;
    words[at + WRITES] = 0;
  }

  /** The file was written to. Whether an fsync is expected next. */
  wrote(ino: number): boolean {
    const words = this.#words;
    const at = (ino % ROWS) * ROW_WORDS;
    if (words[at] !== ino) return false;
    words[at + WRITES]!++;
    return words[at + WRITES] === words[at + EXPECTED];
  }

  /** Whether a write of so many bytes is to be logged. */
  take(ino: number, bytes: number): boolean {
    const words = this.#words;
    const at = (ino % ROWS) * ROW_WORDS;
    if (words[at] !== ino) return false;
    const left = words[at + BYTES_LEFT]! - bytes;
    words[at + BYTES_LEFT] = Math.max(0, left);
    return left >= 0;
  }
}

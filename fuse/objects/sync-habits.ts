/**
 * Which files are made durable again and again, in the region 'sync-habits': small writes to them go into the log with their
 * bytes, so that an fsync has one thing to wait for instead of two, one after the other (content.ts).
 *
 * Roles: any thread that syncs or writes a file. Words: SLOTS pairs of the inode's number and the bytes that may be logged
 * until its next fsync. Inode n has pair n modulo SLOTS.
 *
 * 1. Every answer is right: what is here decides how much work a write and the fsync after it are, and nothing else. So the
 *    words are loaded and stored plainly, and of two files with the same pair the one that was synced last has it.
 * 2. A write that is too large for what is left takes all of it: its object has to be synced anyway, so logging what
 *    follows would only be more work. A file that is written to and never synced is logged at most once.
 */
import { LOGGED_PER_SYNC } from '../../runtime/config/bounds.ts';
import type { Arena, RegionPlan } from '../../runtime/memory/arena.ts';

const NAME = 'sync-habits';
const SLOTS = 1024;
const BYTES_LEFT = 1;

export function planSyncHabits(): RegionPlan {
  return { name: NAME, bytes: SLOTS * 8 };
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
    const at = (ino % SLOTS) * 2;
    this.#words[at] = ino;
    this.#words[at + BYTES_LEFT] = this.#perSync;
  }

  /** Whether a write of so many bytes is to be logged. */
  take(ino: number, bytes: number): boolean {
    const words = this.#words;
    const at = (ino % SLOTS) * 2;
    if (words[at] !== ino) return false;
    const left = words[at + BYTES_LEFT]! - bytes;
    words[at + BYTES_LEFT] = Math.max(0, left);
    return left >= 0;
  }
}

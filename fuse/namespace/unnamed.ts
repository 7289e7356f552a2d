/**
 * Inodes that have lost their last name. They live on while somebody has them open, and that they end then is in no record; so the
 * tables that replaying makes beside a mount have them all, with their bytes, until it is asked which of them have ended.
 *
 * Inodes are named by pairs: number, generation.
 */
import type { Arena } from '../../runtime/memory/arena.ts';
import { give } from './inodes.ts';
import { H_INODES_END, I_GENERATION, I_MODE, I_NLINK, INODE_WORDS } from './layout.ts';
import type { ReplayObserver } from './records.ts';
import type { Tables } from './tables.ts';

/** Those of tables that nobody else changes. */
export function unnamedInodes(t: Tables): Uint32Array {
  const pairs: number[] = [];
  for (let ino = 1; ino < t.header[H_INODES_END]!; ino++) {
    const at = ino * INODE_WORDS;
    if (t.inode[at + I_MODE] !== 0 && t.inode[at + I_NLINK] === 0)
      pairs.push(ino, t.inode[at + I_GENERATION]!);
  }
  return Uint32Array.from(pairs);
}

/** Which of them are no more in the tables in use, which are whole. Any thread, without a lock: single words tell it. */
export function endedOf(arena: Arena, unnamed: Uint32Array): Uint32Array {
  const inodes = arena.region('inodes').u32;
  const pairs: number[] = [];
  for (let i = 0; i + 1 < unnamed.length; i += 2) {
    const [ino, generation] = [unnamed[i]!, unnamed[i + 1]!];
    const at = ino * INODE_WORDS;
    const isThere = inodes[at + I_GENERATION] === generation && Atomics.load(inodes, at + I_MODE) !== 0;
    if (!isThere) pairs.push(ino, generation);
  }
  return Uint32Array.from(pairs);
}

/** Frees them in tables that nobody else changes, unless they have a name again, or are others by now. */
export function freeUnnamed(t: Tables, pairs: Uint32Array, observer: ReplayObserver): void {
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const [ino, generation] = [pairs[i]!, pairs[i + 1]!];
    const at = ino * INODE_WORDS;
    if (t.inode[at + I_MODE] === 0 || t.inode[at + I_NLINK] !== 0) continue;
    if (t.inode[at + I_GENERATION] !== generation) continue;
    observer.inodeFreed?.(ino, generation);
    give(t, ino);
  }
}

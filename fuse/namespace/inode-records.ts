/**
 * Records of the log for what Linux has beside POSIX; records.ts has the rules and the other ones.
 *
 * type            words from 3 on
 * 20 UNNAMED      directory, ino, generation, mode, uid, gid, is linkable (0, 1)
 * 21 FLAGS        ino, flags, zero
 */
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { createUnnamed } from './creation.ts';
import { setFlags } from './inode-flags.ts';
import { isLive } from './inodes.ts';
import { I_GENERATION, INODE_WORDS } from './layout.ts';
import { beginRecord, type Payload } from './payload.ts';
import type { ReplayObserver } from './records.ts';
import type { Tables } from './tables.ts';

export const UNNAMED = 20;
export const FLAGS = 21;

export const UNNAMED_BYTES = 40;
export const FLAGS_BYTES = 24;

export function encodeUnnamed(
  journal: JournalWriter,
  t: Tables,
  directory: number,
  ino: number,
  generation: number,
  mode: number,
  uid: number,
  gid: number,
  linkable: boolean,
): void {
  const w = beginRecord(journal, t, UNNAMED, UNNAMED_BYTES) >> 2;
  journal.u32[w + 3] = directory;
  journal.u32[w + 4] = ino;
  journal.u32[w + 5] = generation;
  journal.u32[w + 6] = mode;
  journal.u32[w + 7] = uid;
  journal.u32[w + 8] = gid;
  journal.u32[w + 9] = linkable ? 1 : 0;
}

export function applyUnnamed(t: Tables, p: Payload, observer: ReplayObserver): number {
  p.tail(UNNAMED_BYTES, 0);
  const ino = p.word(4);
  if (isLive(t, ino)) observer.inodeFreed?.(ino, t.inode[ino * INODE_WORDS + I_GENERATION]!);
  return createUnnamed(t, p.word(3), ino, p.word(5), p.word(6), p.word(7), p.word(8), p.word(9) === 1);
}

export function encodeFlags(journal: JournalWriter, t: Tables, ino: number, flags: number): void {
  const w = beginRecord(journal, t, FLAGS, FLAGS_BYTES) >> 2;
  journal.u32[w + 3] = ino;
  journal.u32[w + 4] = flags;
  journal.u32[w + 5] = 0;
}

export function applyFlags(t: Tables, p: Payload): number {
  p.tail(FLAGS_BYTES, 0);
  return setFlags(t, p.word(3), p.word(4));
}

/**
 * Files that the kernel writes past us (passthrough). Their object's own length and modification time are the file's: flag
 * OWN_LENGTH of the inode says so, in the tables and in the log, before the first byte goes past us. What the tables have is as of
 * the last look at the object; after a crash the object is looked at instead (actors/io/tree-state.ts). The rules of mutations.ts.
 *
 * type            words from 3 on
 * 23 PASSED       ino; f64 @16 size @24 mtime; word 8 ns of mtime, 9 how
 */
import { FILE_SIZE_MAX } from '../../runtime/config/bounds.ts';
import { EFBIG, EINVAL, ESTALE } from '../../runtime/errno.ts';
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { OWN_LENGTH } from './inode-flags.ts';
import * as inodes from './inodes.ts';
import {
  I_CTIME,
  I_CTIME_NS,
  I_FLAGS,
  I_MTIME,
  I_MTIME_NS,
  I_OBJECT,
  I_STORED,
  INODE_WORDS,
  isCompressed,
} from './layout.ts';
import { beginRecord, type Payload, RecordError } from './payload.ts';
import { killPrivileges } from './privileges.ts';
import type { ReplayObserver } from './records.ts';
import { bytesChanged } from './stored.ts';
import { dropSums } from './sums.ts';
import type { Tables } from './tables.ts';

export const PASSED = 23;
export const PASSED_BYTES = 40;

/** From now on the object's length is the file's; without it, the size that is given, or the one that is known. */
export const LENGTH_COUNTS = 1;
/** The bytes have changed: the size is to be taken over. */
export const BYTES_CHANGED = 2;
/** By somebody from whose changes set-user-ID and capabilities are to go. */
export const PRIVILEGES_END = 4;
/** And so is the time. */
export const TIME_CHANGED = 8;
const ALL = LENGTH_COUNTS | BYTES_CHANGED | PRIVILEGES_END | TIME_CHANGED;

/** 0 or −errno: ESTALE no such file, EINVAL its bytes are in no plain object. */
export function passed(
  t: Tables,
  ino: number,
  size: number,
  seconds: number,
  nanoseconds: number,
  how: number,
): number {
  if (!inodes.isLive(t, ino) || !inodes.isRegular(t, ino)) return -ESTALE;
  if (size > FILE_SIZE_MAX) return -EFBIG;
  const at = ino * INODE_WORDS;
  if (t.inode[at + I_OBJECT] === 0 || isCompressed(t.inode[at + I_STORED]!)) return -EINVAL;

  t.sequence.writeBegin();
  dropSums(t, ino);
  if ((how & LENGTH_COUNTS) !== 0) t.inode[at + I_FLAGS]! |= OWN_LENGTH;
  else t.inode[at + I_FLAGS]! &= ~OWN_LENGTH;
  if ((how & BYTES_CHANGED) !== 0) {
    inodes.setSize(t, ino, size);
    inodes.bumpVersion(t, ino);
    bytesChanged(t, ino);
  }
  if ((how & TIME_CHANGED) !== 0) {
    for (const [whole, part] of [
      [I_MTIME, I_MTIME_NS],
      [I_CTIME, I_CTIME_NS],
    ] as const) {
      t.inodeF64[(at + whole) / 2] = seconds;
      t.inode[at + part] = nanoseconds;
    }
  }
  if ((how & PRIVILEGES_END) !== 0) killPrivileges(t, ino);
  t.sequence.writeEnd();
  return 0;
}

export function encodePassed(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  size: number,
  seconds: number,
  nanoseconds: number,
  how: number,
): void {
  const at = beginRecord(journal, t, PASSED, PASSED_BYTES);
  const w = at >> 2;
  journal.u32[w + 3] = ino;
  journal.f64[(at + 16) >> 3] = size;
  journal.f64[(at + 24) >> 3] = seconds;
  journal.u32[w + 8] = nanoseconds;
  journal.u32[w + 9] = how;
}

/** The object was made durable before this record: what the log has of it from before is not to be written again. */
export function applyPassed(t: Tables, p: Payload, observer: ReplayObserver): number {
  p.tail(PASSED_BYTES, 0);
  const ino = p.word(3);
  const how = p.word(9);
  if ((how & ~ALL) !== 0) throw new RecordError('a change past us of an unknown kind');
  const result = passed(t, ino, p.size(16), p.seconds(24), p.nanoseconds(8), how);
  if (result === 0) observer.objectFlushed?.(t.inode[ino * INODE_WORDS + I_OBJECT]!);
  return result;
}

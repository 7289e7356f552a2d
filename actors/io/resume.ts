/**
 * How a successor of io-0 goes on with the log: the tree in shared memory is whole and stays, what is unknown is how
 * far the thread before it had come between the journal and the disk.
 *
 * The predecessor takes these steps in this order, and may have ended after any of them:
 *   1. a new segment: `.tmp` made, header written and synced, renamed, its directory synced
 *   2. whole transactions written to the segment (one write, or several when the disk takes less)
 *   3. their bytes in the ring released
 *   4. the segment synced; 5. the position noted as durable; 6. the answers
 * So at its end the log holds all that was released, maybe one batch more (2 without 3), maybe part of one (within 2).
 *
 * 1. Unfinished segments are deleted. The last one is cut after its last whole transaction and synced, and never
 *    appended to again: what follows goes to a new one, as after a mount.
 * 2. Records in the ring with an LSN that the log has are stepped over; the first that is left is the next to be written.
 *    So every transaction is in the log once.
 * 3. Nothing is acknowledged on the strength of what is found: the durable position stays where the predecessor left
 *    it until a commit of the successor, which makes everything durable first.
 */
import type { Disk } from '../../runtime/storage/disk.ts';
import type { JournalReader } from '../../runtime/storage/journal-ring.ts';
import { endLog, findLogEnd } from './log-recovery.ts';
import { removeUnfinishedSegments } from './recovery.ts';

export interface Resumed {
  /** LSN of the last record in the log. */
  readonly lastLsn: number;
  /** Number of the next segment. */
  readonly nextSequence: number;
  /** Bytes of a batch that was not written whole. */
  readonly tornBytes: number;
}

/** Makes log and ring fit each other; or a sentence that says why they do not. Writers may be at work. */
export function resumeLog(disk: Disk, uuid: Uint8Array, journal: JournalReader): Resumed | string {
  const removed = removeUnfinishedSegments(disk);
  if (removed < 0) return `an unfinished segment cannot be removed (errno ${-removed})`;
  const end = findLogEnd(disk, uuid);
  if (typeof end === 'number') return `the log cannot be read (errno ${-end})`;
  if (end === undefined) return { lastLsn: journal.nextLsnToRead() - 1, nextSequence: 1, tornBytes: 0 };
  if ('reason' in end) return `the log is damaged: ${end.file} at byte ${end.offset}: ${end.reason}`;
  const ended = endLog(disk, end);
  if (ended < 0) return `the log cannot be completed (errno ${-ended})`;
  const first = journal.skipThrough(end.lastLsn);
  if (first !== 0 && first !== end.lastLsn + 1) {
    return `the log ends with record ${end.lastLsn}, the next one to be written is ${first}`;
  }
  return end;
}

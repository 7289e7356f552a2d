/**
 * What the log says of text vectors since a checkpoint, read from its files while io-0 goes on writing them. A segment is
 * held in memory whole while it is read, one a step.
 */

import { INDEXED, INDEXED_BYTES } from '../../fuse/namespace/records.ts';
import { type SegmentHeader, SegmentScanner } from '../../kernels/codec/log-format.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { type Damage, listSegments, neededHeaders, readWhole, segmentPath } from '../log-files.ts';

/** A file was indexed: a chunk batch in u8[offset, offset + length); of length 0: there is no text in it. */
export type VisitIndexed = (
  ino: number,
  generation: number,
  u8: Uint8Array,
  offset: number,
  length: number,
) => void;

export class LogTail {
  /** LSN of the last record read, whole transactions only. */
  lastLsn: number;
  readonly #disk: Disk;
  readonly #headers: (SegmentHeader | Damage)[];

  constructor(disk: Disk, uuid: Uint8Array, afterLsn: number) {
    this.#disk = disk;
    this.lastLsn = afterLsn;
    const sequences = listSegments(disk);
    this.#headers = typeof sequences === 'number' ? [] : neededHeaders(disk, uuid, sequences, afterLsn);
  }

  /** Reads the next segment; false when that was the last one, or what follows cannot be read. */
  step(visit: VisitIndexed): boolean {
    const header = this.#headers.shift();
    if (header === undefined || 'reason' in header || header.firstLsn > this.lastLsn + 1) return false;
    const bytes = readWhole(this.#disk, segmentPath(header.sequence));
    if (typeof bytes === 'number') return false;
    this.#visit(new SegmentScanner(bytes, header), visit);
    return this.#headers.length > 0;
  }

  #visit(scanner: SegmentScanner, visit: VisitIndexed): void {
    const after = this.lastLsn;
    const { u8, u32 } = scanner;
    /** Offsets and lengths of the records of the transaction that has not ended yet. */
    const pending: number[] = [];
    while (scanner.next()) {
      if (scanner.lsn > after && scanner.type === INDEXED) pending.push(scanner.offset, scanner.length);
      if (!scanner.committed) continue;
      for (let at = 0; at < pending.length; at += 2) {
        const offset = pending[at]!;
        const word = offset >> 2;
        visit(u32[word + 3]!, u32[word + 4]!, u8, offset + INDEXED_BYTES, pending[at + 1]! - INDEXED_BYTES);
      }
      pending.length = 0;
      this.lastLsn = Math.max(after, scanner.lsn);
    }
  }
}

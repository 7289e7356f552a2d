/**
 * The log on disk: segments `log/NNNNNNNN.log`, appended to by io-0 alone.
 *
 * 1. A segment appears under its name only when its header is durable (written as `.tmp`, synced, renamed).
 * 2. Everything before it is durable by then. So only the last segment may have a torn tail, and recovery
 *    cuts that off before anything is appended after it.
 * 3. After an error nothing more is written: what the kernel did with the bytes of a failed write or
 *    fdatasync is unknown.
 * 4. Before a segment is followed by another, what it alone had of objects is durable in them (commit-actor.ts). So only the
 *    last one is needed for that.
 * 5. A segment may end in zeros, which are no records: small writes find their place already there, so that an
 *    fdatasync has no metadata to write. A finished segment is cut, but nobody waits for that: a crash may bring the
 *    zeros back, and what is missing then the next segment's first LSN says.
 */
import {
  encodeSegmentHeader,
  SEGMENT_HEADER,
  sealRecord,
  segmentSalt,
} from '../../kernels/codec/log-format.ts';
import { assert } from '../../runtime/assert.ts';
import { ENOSPC } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { JournalReader } from '../../runtime/storage/journal-ring.ts';
import { COMMIT, FLAGS_AT, LSN_AT, TYPE_AT } from '../../runtime/storage/record-header.ts';
import { LOG_DIRECTORY, segmentPath } from '../log-files.ts';

export { LOG_DIRECTORY, segmentPath } from '../log-files.ts';

/** Longest run of records handed to the disk at once, bytes; a transaction is never divided. */
const WRITE_BYTES = 4 * 1024 * 1024;
/** A write that is at least this fraction (one of so many) of the zeros brings none with it. */
const AHEAD_SHARE = 4;
/**
 * Zeros are written page by page: one large write would make large folios in the page cache, of which the host accounts
 * every byte as written again with each small commit in them.
 */
const PAGE = 4096;
const ZEROS = new Uint8Array(PAGE);

export interface LogOptions {
  readonly uuid: Uint8Array;
  /** A segment that has reached this many bytes is followed by a new one. */
  readonly segmentBytes: number;
  /** Number of the first segment to create. */
  readonly nextSequence: number;
  /** LSN of the last record that is durable already. */
  readonly lastLsn: number;
  /** Small writes at the end of a segment bring so many bytes of zeros with them; 0 = none. */
  readonly aheadBytes?: number;
}

export class LogWriter {
  /** LSN of the last record written, and of the last that is durable. */
  writtenLsn: number;
  durableLsn: number;
  /** Number of the segment being written; 0 before the first. Its bytes so far. */
  segment = 0;
  segmentBytes = 0;
  /** Totals since the start. */
  records = 0;
  bytes = 0;
  syncs = 0;
  readonly #disk: Disk;
  readonly #options: LogOptions;
  #nextSequence: number;
  #descriptor = -1;
  #salt = 0;
  #parts: Uint8Array[] = [];
  /** Length of the segment's file, zeros included. */
  #fileBytes = 0;

  constructor(disk: Disk, options: LogOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#nextSequence = options.nextSequence;
    this.writtenLsn = options.lastLsn;
    this.durableLsn = options.lastLsn;
  }

  /** Bytes of records after which the segment is followed by another. */
  get bytesLeft(): number {
    const { segmentBytes: most } = this.#options;
    return most - (this.#descriptor >= 0 ? this.segmentBytes : SEGMENT_HEADER);
  }

  /** Whether {@link sync} has anything to do. */
  get unsynced(): boolean {
    return this.writtenLsn !== this.durableLsn;
  }

  /**
   * Seals and writes the journal's records up to the position `limit`, and releases them. 0 or −errno; after
   * an error the log must not be used any more.
   */
  append(journal: JournalReader, limit: number): number {
    while (journal.position !== limit) {
      const failed = this.#roll();
      if (failed < 0) return failed;
      const bytes = this.#gather(journal, limit);
      const wrote = this.#disk.writev(this.#descriptor, this.#parts, this.segmentBytes);
      this.#parts.length = 0;
      if (wrote < 0) return wrote;
      journal.release();
      this.segmentBytes += bytes;
      this.bytes += bytes;
      const behind = this.#goAhead(bytes);
      if (behind < 0) return behind;
    }
    return 0;
  }

  /** Makes everything appended durable. 0 or −errno, as {@link append}. */
  sync(): number {
    if (!this.unsynced) return 0;
    const failed = this.#disk.fdatasync(this.#descriptor);
    if (failed < 0) return failed;
    this.syncs++;
    this.durableLsn = this.writtenLsn;
    return 0;
  }

  /** Makes the log end here: the next record begins a new segment, so that this one can be deleted whole. */
  finishSegment(): number {
    let failed = this.sync();
    if (failed === 0 && this.#fileBytes > this.segmentBytes) {
      failed = this.#disk.truncate(this.#descriptor, this.segmentBytes);
    }
    if (failed < 0) return failed;
    this.close();
    return 0;
  }

  close(): void {
    if (this.#descriptor >= 0) this.#disk.close(this.#descriptor);
    this.#descriptor = -1;
    this.#fileBytes = 0;
  }

  /**
   * Adds zeros when a write of `bytes` has come to the file's end. Not to a large one, which bears the cost of the metadata:
   * zeros cost a write of their own. A full disk is no failure here: the next record may still find room. 0 or −errno.
   */
  #goAhead(bytes: number): number {
    const { aheadBytes = 0, segmentBytes: most } = this.#options;
    const start = this.segmentBytes;
    if (start <= this.#fileBytes) return 0;
    this.#fileBytes = start;
    if (bytes * AHEAD_SHARE > aheadBytes || start >= most) return 0;
    while (this.#fileBytes < start + aheadBytes) {
      const length = PAGE - (this.#fileBytes % PAGE);
      const wrote = this.#disk.pwrite(this.#descriptor, ZEROS, 0, length, this.#fileBytes);
      if (wrote < 0) return wrote === -ENOSPC ? 0 : wrote;
      this.#fileBytes += length;
    }
    return 0;
  }

  /** Sets `#parts` to the bytes of whole transactions, sealed: as many as one write should carry. */
  #gather(journal: JournalReader, limit: number): number {
    const { u8, u32, f64 } = journal;
    let start = -1;
    let end = -1;
    let bytes = 0;
    while (journal.next(limit)) {
      const { offset, length } = journal;
      assert(f64[(offset + LSN_AT) >> 3] === this.writtenLsn + 1, 'the journal has consecutive LSNs');
      sealRecord(u8, u32, f64, offset, length, this.durableLsn, this.#salt);
      if (offset !== end) {
        if (start >= 0) this.#parts.push(u8.subarray(start, end));
        start = offset;
      }
      end = offset + length;
      bytes += length;
      this.writtenLsn++;
      this.records++;
      const committed = ((u32[(offset + TYPE_AT) >> 2]! >>> ((FLAGS_AT - TYPE_AT) * 8)) & COMMIT) !== 0;
      if (committed && (bytes >= WRITE_BYTES || this.segmentBytes + bytes >= this.#options.segmentBytes))
        break;
    }
    this.#parts.push(u8.subarray(start, end));
    return bytes;
  }

  /** Opens a new segment when there is none, or the current one is full. */
  #roll(): number {
    if (this.#descriptor >= 0) {
      if (this.segmentBytes < this.#options.segmentBytes) return 0;
      const failed = this.finishSegment();
      if (failed < 0) return failed;
    }
    const sequence = this.#nextSequence;
    const { uuid } = this.#options;
    const descriptor = createSegment(this.#disk, sequence, uuid, this.writtenLsn + 1);
    if (descriptor < 0) return descriptor;
    this.#nextSequence++;
    this.#descriptor = descriptor;
    this.#salt = segmentSalt(uuid, sequence);
    this.segment = sequence;
    this.segmentBytes = SEGMENT_HEADER;
    this.#fileBytes = SEGMENT_HEADER;
    this.bytes += SEGMENT_HEADER;
    return 0;
  }
}

function createSegment(disk: Disk, sequence: number, uuid: Uint8Array, firstLsn: number): number {
  const path = segmentPath(sequence);
  const descriptor = disk.open(`${path}.tmp`, 'create');
  if (descriptor < 0) return descriptor;
  const wrote = disk.pwrite(
    descriptor,
    encodeSegmentHeader({ sequence, firstLsn, uuid }),
    0,
    SEGMENT_HEADER,
    0,
  );
  const failed =
    Math.min(wrote, 0) ||
    disk.fdatasync(descriptor) ||
    disk.rename(`${path}.tmp`, path) ||
    disk.syncDirectory(LOG_DIRECTORY);
  if (failed === 0) return descriptor;
  disk.close(descriptor);
  return failed;
}

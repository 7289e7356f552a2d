/**
 * The log on disk: segments `log/NNNNNNNN.log`, appended to by whoever has the lock of its state (log-state.ts): io-0, or for a
 * small commit the fuse actor that was asked for it.
 *
 * 1. A segment appears under its name only when its header is durable (written as `.tmp`, synced, renamed).
 * 2. Everything before it is durable by then. So only the last segment may have a torn tail, and recovery
 *    cuts that off before anything is appended after it.
 * 3. After an error nothing more is written: what the kernel did with the bytes of a failed write or
 *    fdatasync is unknown. Want of space is no such error: nothing was released or counted, and io-0 writes the same records once
 *    more, to the same place, or to a segment made of the reserve (log-reserve.ts); before that is named, what was torn is cut durably.
 * 4. Before a segment is followed by another, what it alone had of objects is durable in them (commit-actor.ts). So only the
 *    last one is needed for that.
 * 5. A segment may end in zeros, which are no records: small writes find their place already there, so that an
 *    fdatasync has no metadata to write. A finished segment is cut, but nobody waits for that: a crash may bring the
 *    zeros back, and what is missing then the next segment's first LSN says.
 */
import { encodeSegmentHeader, SEGMENT_HEADER, sealRecord, segmentSalt } from '../kernels/codec/log-format.ts';
import { assert } from '../runtime/assert.ts';
import type { Clock } from '../runtime/clock.ts';
import { EIO, ENOENT, ENOSPC } from '../runtime/errno.ts';
import type { Disk } from '../runtime/storage/disk.ts';
import { type JournalReader, reached } from '../runtime/storage/journal-ring.ts';
import { COMMIT, FLAGS_AT, LSN_AT, TYPE_AT } from '../runtime/storage/record-header.ts';
import { LOG_DIRECTORY, segmentPath } from './log-files.ts';
import { RESERVE_FILE, reserveBytes } from './log-reserve.ts';
import {
  BYTES,
  COMMITS,
  DURABLE_LSN,
  FILE_BYTES,
  IS_STUCK,
  LogState,
  NEXT_SEGMENT,
  RECORDS,
  SEGMENT,
  SEGMENT_BYTES,
  SYNC_MS,
  SYNCS,
  WRITTEN_LSN,
} from './log-state.ts';

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
  /** Where the log is, if others write it, too. */
  readonly state?: LogState;
  /** Number of the first segment to create, and LSN of the last record that is durable already; without them, `state` says so. */
  readonly nextSequence?: number;
  readonly lastLsn?: number;
  /** Small writes at the end of a segment bring so many bytes of zeros with them; 0 = none. */
  readonly aheadBytes?: number;
  /** Without it, nobody wants to know how long an fdatasync takes. */
  readonly clock?: Clock;
}

/** What changes is called with the lock of `state`, where others write the log, too. */
export class LogWriter {
  readonly state: LogState;
  readonly #numbers: Float64Array;
  readonly #disk: Disk;
  readonly #options: LogOptions;
  /** The segment's file, and which one it is. */
  #descriptor = -1;
  #opened = 0;
  #salt = 0;
  #parts: Uint8Array[] = [];

  constructor(disk: Disk, options: LogOptions) {
    this.#disk = disk;
    this.#options = options;
    this.state = options.state ?? LogState.alone();
    this.#numbers = this.state.numbers;
    if (options.lastLsn !== undefined) this.goOn(options.lastLsn, options.nextSequence ?? 1);
  }

  /** LSN of the last record written, and of the last that is durable. */
  get writtenLsn(): number {
    return this.#numbers[WRITTEN_LSN]!;
  }

  get durableLsn(): number {
    return this.#numbers[DURABLE_LSN]!;
  }

  /** Number of the segment being written; 0 = there is none. Its bytes so far. */
  get segment(): number {
    return this.#numbers[SEGMENT]!;
  }

  get segmentBytes(): number {
    return this.#numbers[SEGMENT_BYTES]!;
  }

  /** Totals since the start. */
  get commits(): number {
    return this.#numbers[COMMITS]!;
  }

  get records(): number {
    return this.#numbers[RECORDS]!;
  }

  get bytes(): number {
    return this.#numbers[BYTES]!;
  }

  get syncs(): number {
    return this.#numbers[SYNCS]!;
  }

  /** What the last fdatasync took, milliseconds. */
  get syncMs(): number {
    return this.#numbers[SYNC_MS]!;
  }

  /** Bytes of records after which the segment is followed by another; 0 = there is none, or it has no room. */
  get bytesLeft(): number {
    if (this.segment === 0 || this.#numbers[IS_STUCK] === 1) return 0;
    return Math.max(0, this.#options.segmentBytes - this.segmentBytes);
  }

  /** Whether a full disk still has room for what is in the journal. */
  get hasReserve(): boolean {
    return reserveBytes(this.#disk) > 0;
  }

  /** The log ends with record `lastLsn`, which is durable; what follows goes to a new segment of this number. */
  goOn(lastLsn: number, nextSequence: number): void {
    this.close();
    this.#numbers[WRITTEN_LSN] = lastLsn;
    this.#numbers[DURABLE_LSN] = lastLsn;
    this.#numbers[NEXT_SEGMENT] = nextSequence;
  }

  /**
   * Writes the journal's records up to the position `limit`, and has the disk begin with them: a commit that comes a little later has
   * less to wait for. 0 or −errno, as {@link commit}.
   */
  begin(journal: JournalReader, limit: number): number {
    journal.resume();
    const start = this.segmentBytes;
    const failed = reached(journal.position, limit) ? 0 : this.append(journal, limit);
    if (failed < 0 || this.segmentBytes === start) return failed;
    return this.#disk.startWriting?.(this.#descriptor, start, this.segmentBytes - start) ?? 0;
  }

  /**
   * Makes the journal's records up to the position `limit` durable, unless another thread has, and notes that. 0 or −errno; after
   * an error other than ENOSPC the log must not be used any more.
   */
  commit(journal: JournalReader, limit: number, written?: () => void): number {
    journal.resume();
    const failed = reached(journal.position, limit) ? 0 : this.append(journal, limit);
    if (failed < 0) return failed;
    written?.();
    const synced = this.sync();
    if (synced < 0) return synced;
    journal.setDurable(journal.position);
    this.#numbers[COMMITS]!++;
    return 0;
  }

  /**
   * Seals and writes the journal's records up to the position `limit`, and releases them. 0 or −errno; after
   * an error other than ENOSPC the log must not be used any more. After that, io-0 may call this again.
   */
  append(journal: JournalReader, limit: number): number {
    while (journal.position !== limit) {
      const failed = this.#roll();
      if (failed < 0) return failed;
      const before = this.writtenLsn;
      const bytes = this.#gather(journal, limit);
      const wrote = this.#disk.writev(this.#descriptor, this.#parts, this.segmentBytes);
      this.#parts.length = 0;
      if (wrote === -ENOSPC) this.#putBack(journal, before);
      if (wrote < 0) return wrote;
      this.#numbers[IS_STUCK] = 0;
      journal.release();
      this.#numbers[SEGMENT_BYTES]! += bytes;
      this.#numbers[BYTES]! += bytes;
      const behind = this.#goAhead(bytes);
      if (behind < 0) return behind;
    }
    return 0;
  }

  /** Makes everything appended durable. 0 or −errno, as {@link append}. */
  sync(): number {
    if (this.writtenLsn === this.durableLsn) return 0;
    const { clock } = this.#options;
    const began = clock?.monotonic() ?? 0;
    const failed = this.#open() || this.#disk.fdatasync(this.#descriptor);
    // What was written has found no room after all: it is lost.
    if (failed < 0) return failed === -ENOSPC ? -EIO : failed;
    this.#numbers[SYNC_MS] = (clock?.monotonic() ?? 0) - began;
    this.#numbers[SYNCS]!++;
    this.#numbers[DURABLE_LSN] = this.writtenLsn;
    return 0;
  }

  /** Makes the log end here: the next record begins a new segment, so that this one can be deleted whole. */
  finishSegment(): number {
    if (this.segment === 0) return 0;
    const isStuck = this.#numbers[IS_STUCK] === 1;
    let failed = this.sync() || this.#open();
    if (failed === 0 && (isStuck || this.#numbers[FILE_BYTES]! > this.segmentBytes)) {
      failed = this.#disk.truncate(this.#descriptor, this.segmentBytes);
    }
    if (failed === 0 && isStuck) failed = this.#disk.fdatasync(this.#descriptor);
    if (failed < 0) return failed;
    this.close();
    return 0;
  }

  /** Begins a new segment now, unless there is nothing in this one: all before it can be deleted once a checkpoint has it. */
  nextSegment(): number {
    if (this.segment !== 0 && this.segmentBytes === SEGMENT_HEADER) return 0;
    return this.finishSegment() || this.#begin(false);
  }

  /** There is no segment to append to any more. */
  close(): void {
    this.#closeFile();
    this.#numbers[SEGMENT] = 0;
    this.#numbers[FILE_BYTES] = 0;
    this.#numbers[IS_STUCK] = 0;
  }

  #closeFile(): void {
    if (this.#descriptor >= 0) this.#disk.close(this.#descriptor);
    this.#descriptor = -1;
    this.#opened = 0;
  }

  /**
   * Adds zeros when a write of `bytes` has come to the file's end. Not to a large one, which bears the cost of the metadata:
   * zeros cost a write of their own. A full disk is no failure here: the next record may still find room. 0 or −errno.
   */
  #goAhead(bytes: number): number {
    const { aheadBytes = 0, segmentBytes: most } = this.#options;
    const start = this.segmentBytes;
    let end = this.#numbers[FILE_BYTES]!;
    if (start <= end) return 0;
    end = start;
    if (bytes * AHEAD_SHARE <= aheadBytes && start < most) {
      while (end < start + aheadBytes) {
        const length = PAGE - (end % PAGE);
        const wrote = this.#disk.pwrite(this.#descriptor, ZEROS, 0, length, end);
        if (wrote < 0 && wrote !== -ENOSPC) return wrote;
        if (wrote < 0) break;
        end += length;
      }
    }
    this.#numbers[FILE_BYTES] = end;
    return 0;
  }

  /** Sets `#parts` to the bytes of whole transactions, sealed: as many as one write should carry. */
  #gather(journal: JournalReader, limit: number): number {
    const { u8, u32, f64 } = journal;
    const { durableLsn, segmentBytes } = this;
    const first = this.writtenLsn + 1;
    let lsn = first;
    let start = -1;
    let end = -1;
    let bytes = 0;
    while (journal.next(limit)) {
      const { offset, length } = journal;
      assert(f64[(offset + LSN_AT) >> 3] === lsn, 'the journal has consecutive LSNs');
      sealRecord(u8, u32, f64, offset, length, durableLsn, this.#salt);
      if (offset !== end) {
        if (start >= 0) this.#parts.push(u8.subarray(start, end));
        start = offset;
      }
      end = offset + length;
      bytes += length;
      lsn++;
      const committed = ((u32[(offset + TYPE_AT) >> 2]! >>> ((FLAGS_AT - TYPE_AT) * 8)) & COMMIT) !== 0;
      if (committed && (bytes >= WRITE_BYTES || segmentBytes + bytes >= this.#options.segmentBytes)) break;
    }
    this.#parts.push(u8.subarray(start, end));
    this.#numbers[WRITTEN_LSN] = lsn - 1;
    this.#numbers[RECORDS]! += lsn - first;
    return bytes;
  }

  /** The records after `lsn`, which were gathered, have not been written. */
  #putBack(journal: JournalReader, lsn: number): void {
    this.#numbers[RECORDS]! -= this.writtenLsn - lsn;
    this.#numbers[WRITTEN_LSN] = lsn;
    this.#numbers[IS_STUCK] = 1;
    journal.resume();
  }

  /** Opens a new segment when there is none, or the current one is full, or has no room and there is a reserve. */
  #roll(): number {
    const isStuck = this.#numbers[IS_STUCK] === 1 && this.hasReserve;
    if (this.segment !== 0) {
      if (this.segmentBytes < this.#options.segmentBytes && !isStuck) return this.#open();
      const failed = this.finishSegment();
      if (failed < 0) return failed;
    }
    return this.#begin(isStuck);
  }

  /** Begins the next segment: of the reserve, if so wanted or there is no other room. */
  #begin(fromReserve: boolean): number {
    const sequence = this.#numbers[NEXT_SEGMENT]!;
    const { uuid } = this.#options;
    const header = encodeSegmentHeader({ sequence, firstLsn: this.writtenLsn + 1, uuid });
    let fileBytes = SEGMENT_HEADER;
    let descriptor = fromReserve ? -ENOSPC : createSegment(this.#disk, sequence, header);
    if (descriptor === -ENOSPC && this.hasReserve) {
      fileBytes = reserveBytes(this.#disk);
      const reserve = this.#disk.open(RESERVE_FILE, 'write');
      descriptor = nameSegment(this.#disk, reserve, RESERVE_FILE, sequence, header);
      // A checkpoint has taken it meanwhile.
      if (descriptor === -ENOENT) descriptor = -ENOSPC;
    }
    if (descriptor < 0) return descriptor;
    this.#use(descriptor, sequence);
    this.#numbers[NEXT_SEGMENT]!++;
    this.#numbers[SEGMENT] = sequence;
    this.#numbers[SEGMENT_BYTES] = SEGMENT_HEADER;
    this.#numbers[FILE_BYTES] = fileBytes;
    this.#numbers[BYTES]! += SEGMENT_HEADER;
    return 0;
  }

  /** This thread's descriptor of the segment that another one has made: those of a thread go with it. 0 or −errno. */
  #open(): number {
    const { segment } = this;
    if (this.#opened === segment) return 0;
    this.#closeFile();
    const descriptor = this.#disk.open(segmentPath(segment), 'write');
    if (descriptor < 0) return descriptor;
    this.#use(descriptor, segment);
    return 0;
  }

  #use(descriptor: number, sequence: number): void {
    this.#closeFile();
    this.#descriptor = descriptor;
    this.#opened = sequence;
    this.#salt = segmentSalt(this.#options.uuid, sequence);
  }
}

/** Its descriptor, or −errno: then nothing is left of it. */
function createSegment(disk: Disk, sequence: number, header: Uint8Array): number {
  const path = `${segmentPath(sequence)}.tmp`;
  const descriptor = nameSegment(disk, disk.open(path, 'create'), path, sequence, header);
  if (descriptor === -ENOSPC) disk.unlink(path);
  return descriptor;
}

/** The open file at `path` becomes a segment: its descriptor, or −errno. */
function nameSegment(
  disk: Disk,
  descriptor: number,
  path: string,
  sequence: number,
  header: Uint8Array,
): number {
  if (descriptor < 0) return descriptor;
  const failed =
    Math.min(0, disk.pwrite(descriptor, header, 0, SEGMENT_HEADER, 0)) ||
    disk.fdatasync(descriptor) ||
    disk.rename(path, segmentPath(sequence)) ||
    disk.syncDirectory(LOG_DIRECTORY);
  if (failed === 0) return descriptor;
  disk.close(descriptor);
  return failed;
}

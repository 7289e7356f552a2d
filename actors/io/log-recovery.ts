/**
 * Reading the log back at mount: every committed transaction after a checkpoint, in order, and a verdict on
 * where and why the log ends.
 */
import { type SegmentHeader, SegmentScanner } from '../../kernels/codec/log-format.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import {
  LENGTH_AT,
  RECORD_HEADER,
  RECORD_MOUNTED,
  recordBytes,
  TYPE_AT,
} from '../../runtime/storage/record-header.ts';
import {
  type Damage,
  LOG_DIRECTORY,
  listSegments,
  neededHeaders,
  readSegmentHeader,
  readWhole,
  segmentPath,
} from '../log-files.ts';
import type { ObjectRedo } from './object-redo.ts';

export { type Damage, listSegments, readSegmentHeader } from '../log-files.ts';

/** Of the word at TYPE_AT, whose other half are flags. */
const TYPE_MASK = 0xffff;

/** One committed record; `offset` is 8-aligned in all three views, which are valid during the call only. */
export type RecordVisitor = (
  type: number,
  u8: Uint8Array,
  u32: Uint32Array,
  f64: Float64Array,
  offset: number,
  length: number,
) => void;

export interface LogOutcome {
  /** LSN of the last committed record, or of the checkpoint when nothing follows it. */
  lastLsn: number;
  /** Number for the next segment: no file has it. */
  nextSequence: number;
  transactions: number;
  records: number;
  /** Bytes after the last committed transaction, without zeros at the end: unfinished, never acknowledged, cut off. */
  tornBytes: number;
  /** Set when the log could not be read to its end: what follows this place is lost or unknown. */
  damage: Damage | undefined;
  /** The last segment, for {@link endLog}. */
  tail: LogTail | undefined;
}

export interface LogTail {
  readonly file: string;
  /** Its length up to the last committed transaction, and with all that follows. */
  readonly bytes: number;
  readonly fileBytes: number;
}

/**
 * Gives `visit` the committed records with an LSN above `afterLsn`. Reads only: see {@link endLog}. A segment
 * is held in memory whole while it is read, in the memory of the one before it if it fits. Returns −errno when the log's
 * directory cannot be read.
 *
 * `untilLsn`, the last record of a transaction that is durable: nothing after it is looked at, so the log may be
 * written meanwhile. Whether it was reached, `lastLsn` says. `segmentBegins` is called before the records of each segment.
 */
export function replayLog(
  disk: Disk,
  uuid: Uint8Array,
  afterLsn: number,
  visit: RecordVisitor,
  untilLsn = Number.POSITIVE_INFINITY,
  segmentBegins = (): void => {},
): LogOutcome | number {
  const sequences = listSegments(disk);
  if (typeof sequences === 'number') return sequences;
  const outcome: LogOutcome = {
    lastLsn: afterLsn,
    nextSequence: (sequences.at(-1) ?? 0) + 1,
    transactions: 0,
    records: 0,
    tornBytes: 0,
    damage: undefined,
    tail: undefined,
  };
  const headers = neededHeaders(disk, uuid, sequences, afterLsn);
  const range = { after: afterLsn, until: untilLsn };
  let memory: Uint8Array<ArrayBuffer> | undefined;
  for (const [at, header] of headers.entries()) {
    if (outcome.lastLsn >= untilLsn) break;
    segmentBegins();
    if ('reason' in header) outcome.damage = header;
    else if (at > 0 ? header.firstLsn !== outcome.lastLsn + 1 : header.firstLsn > afterLsn + 1) {
      outcome.damage = {
        file: segmentPath(header.sequence),
        offset: 24,
        reason: `begins with record ${header.firstLsn}, but the log before it ends with ${outcome.lastLsn}`,
      };
    } else memory = replaySegment(disk, header, headers[at + 1], range, outcome, visit, memory);
    if (outcome.damage !== undefined) break;
  }
  return outcome;
}

/** What records are replayed into. */
export interface Replayable {
  /** Replays one record. Throws when it cannot be applied: that is damage with a place. */
  apply: RecordVisitor;
  /** Clean-up that a mount does; replayed at the same place of the log by every later recovery. */
  afterRecovery(): void;
  /** Told by {@link apply} of bytes of objects, if they are of interest. */
  readonly redo?: ObjectRedo;
}

/** {@link replayLog} as a recovery does it. */
export function replayInto(
  target: Replayable,
  disk: Disk,
  uuid: Uint8Array,
  afterLsn: number,
  untilLsn?: number,
): LogOutcome | number {
  return replayLog(
    disk,
    uuid,
    afterLsn,
    (type, u8, u32, f64, offset, length) => {
      if (type === RECORD_MOUNTED) target.afterRecovery();
      else target.apply(type, u8, u32, f64, offset, length);
    },
    untilLsn,
    () => target.redo?.segmentBegins(),
  );
}

/** Why the log does not lead to record `lastLsn`, or what it says up to there. */
export function wholeLog(outcome: LogOutcome | number, lastLsn: number): LogOutcome | string {
  if (typeof outcome === 'number') return `the log cannot be read (errno ${-outcome})`;
  if (outcome.damage !== undefined) {
    const { file, offset, reason } = outcome.damage;
    return `the log is damaged: ${file} at byte ${offset}: ${reason}`;
  }
  return outcome.lastLsn === lastLsn
    ? outcome
    : `the log leads to record ${outcome.lastLsn}, not to ${lastLsn}, which is durable`;
}

interface LsnRange {
  /** Records up to this one are passed over. */
  readonly after: number;
  /** No transaction after the one that ends with this record is visited. */
  readonly until: number;
}

/** Returns memory for the next segment. */
function replaySegment(
  disk: Disk,
  header: SegmentHeader,
  next: SegmentHeader | Damage | undefined,
  range: LsnRange,
  outcome: LogOutcome,
  visit: RecordVisitor,
  memory: Uint8Array<ArrayBuffer> | undefined,
): Uint8Array<ArrayBuffer> | undefined {
  const file = segmentPath(header.sequence);
  const bytes = readWhole(disk, file, memory);
  if (typeof bytes === 'number') {
    outcome.damage = { file, offset: 0, reason: `cannot be read (errno ${-bytes})` };
    return memory;
  }
  const scanner = new SegmentScanner(bytes, header);
  const committed = visitTransactions(scanner, file, range, outcome, visit);
  if (outcome.damage === undefined && outcome.lastLsn < range.until)
    judgeEnd(scanner, file, committed, next, outcome);
  return new Uint8Array(bytes.buffer);
}

/** What follows the last transaction of a segment, once that was visited. */
function judgeEnd(
  scanner: SegmentScanner,
  file: string,
  committed: number,
  next: SegmentHeader | Damage | undefined,
  outcome: LogOutcome,
): void {
  const bytes = scanner.u8;
  const end = scanner.end();
  if (end.kind === 'corrupt') {
    outcome.damage = { file, offset: end.offset, reason: end.reason };
  } else if (next === undefined) {
    outcome.tornBytes = endOfData(bytes, committed) - committed;
    outcome.tail = { file, bytes: committed, fileBytes: bytes.length };
  } else if (committed !== bytes.length && !endsInZeros(bytes, committed, scanner.expected, next)) {
    outcome.damage = {
      file,
      offset: end.offset,
      reason: 'the segment ends early, though a later one follows',
    };
  }
}

/** Where the zeros begin that a segment may end in; not before `from`. Records, their padding included, end at a multiple of 8. */
function endOfData(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end--;
  return Math.min(Math.ceil(end / 8) * 8, bytes.length);
}

/** Whether a finished segment kept its zeros, and not lost records to them: the next one begins where this one ends. */
function endsInZeros(
  bytes: Uint8Array,
  committed: number,
  expected: number,
  next: SegmentHeader | Damage,
): boolean {
  if (endOfData(bytes, committed) > committed) return false;
  return !('firstLsn' in next) || next.firstLsn === expected;
}

/**
 * Visits whole transactions only; returns the offset after the last one. A transaction is walked once up to its mark, and
 * once more to visit it: so nothing needs to be noted of its records.
 */
function visitTransactions(
  scanner: SegmentScanner,
  file: string,
  { after, until }: LsnRange,
  outcome: LogOutcome,
  visit: RecordVisitor,
): number {
  let committed = scanner.position;
  let firstLsn = scanner.expected;
  while (outcome.lastLsn < until && scanner.next()) {
    if (!scanner.committed) continue;
    if (scanner.lsn > after) {
      const skipped = Math.max(0, after + 1 - firstLsn);
      outcome.damage = visitTransaction(scanner, file, committed, skipped, visit);
      if (outcome.damage !== undefined) return committed;
      outcome.transactions++;
      outcome.records += scanner.lsn + 1 - firstLsn - skipped;
      outcome.lastLsn = scanner.lsn;
    }
    committed = scanner.position;
    firstLsn = scanner.expected;
  }
  return committed;
}

/** The records from `at` to the scanner's position but the first `skipped`; they were found valid. */
function visitTransaction(
  scanner: SegmentScanner,
  file: string,
  at: number,
  skipped: number,
  visit: RecordVisitor,
): Damage | undefined {
  const { u8, u32, f64, position } = scanner;
  let left = skipped;
  let next = at;
  let type = 0;
  try {
    for (let record = at; record < position; record = next) {
      const length = u32[(record + LENGTH_AT) >> 2]!;
      type = u32[(record + TYPE_AT) >> 2]! & TYPE_MASK;
      next = record + recordBytes(length);
      if (left-- <= 0) visit(type, u8, u32, f64, record + RECORD_HEADER, length);
      at = next;
    }
    return undefined;
  } catch (error) {
    // It checks and cannot be applied: it was written wrong, which is damage of another kind, with a place as well.
    const reason = `a record of type ${type} cannot be applied: ${error instanceof Error ? error.message : error}`;
    return { file, offset: at, reason };
  }
}

/** The end of the log, without replaying it. */
export interface LogEnd {
  readonly lastLsn: number;
  readonly nextSequence: number;
  readonly tornBytes: number;
  readonly tail: LogTail;
}

/** Reads the last segment only. Undefined when there is none; −errno; or the damage that keeps the end from being found. */
export function findLogEnd(disk: Disk, uuid: Uint8Array): LogEnd | Damage | number | undefined {
  const sequences = listSegments(disk);
  if (typeof sequences === 'number') return sequences;
  const sequence = sequences.at(-1);
  if (sequence === undefined) return undefined;
  const header = readSegmentHeader(disk, sequence, uuid);
  if ('reason' in header) return header;
  const file = segmentPath(sequence);
  const bytes = readWhole(disk, file);
  if (typeof bytes === 'number') return bytes;
  const scanner = new SegmentScanner(bytes, header);
  let lastLsn = header.firstLsn - 1;
  let committed = scanner.position;
  while (scanner.next()) {
    if (!scanner.committed) continue;
    lastLsn = scanner.lsn;
    committed = scanner.position;
  }
  const end = scanner.end();
  if (end.kind === 'corrupt') return { file, offset: end.offset, reason: end.reason };
  const tail = { file, bytes: committed, fileBytes: bytes.length };
  const tornBytes = endOfData(bytes, committed) - committed;
  return { lastLsn, nextSequence: sequence + 1, tornBytes, tail };
}

/**
 * Cuts off what follows the last transaction and makes what was replayed durable: a process that was killed may have left records
 * in the page cache only. Afterwards a new segment may follow. 0 or −errno.
 */
export function endLog(disk: Disk, { tail }: Pick<LogOutcome, 'tail'>): number {
  if (tail === undefined) return 0;
  const descriptor = disk.open(tail.file, 'write');
  if (descriptor < 0) return descriptor;
  const cut = tail.fileBytes > tail.bytes ? disk.truncate(descriptor, tail.bytes) : 0;
  const failed = cut || disk.fdatasync(descriptor);
  disk.close(descriptor);
  return failed;
}

/** Deletes the segments that hold only records up to `lsn`, oldest first. 0 or −errno. */
export function cutLog(disk: Disk, uuid: Uint8Array, lsn: number): number {
  const sequences = listSegments(disk);
  if (typeof sequences === 'number') return sequences;
  const opened: number[] = [];
  let failed = 0;
  for (let at = 0; failed === 0 && at + 1 < sequences.length; at++) {
    const next = readSegmentHeader(disk, sequences[at + 1]!, uuid);
    if ('reason' in next || next.firstLsn > lsn + 1) break;
    const descriptor = disk.open(segmentPath(sequences[at]!), 'write');
    if (descriptor >= 0) opened.push(descriptor);
    failed = disk.unlink(segmentPath(sequences[at]!));
  }
  giveBack(disk, opened);
  return failed;
}

/**
 * Threads that have written to deleted segments may have them open for as long as nobody writes, so what these take of the disk is given
 * back here. Not before their names are gone for good: a segment that is cut short would be damage.
 */
function giveBack(disk: Disk, opened: readonly number[]): void {
  const isGone = opened.length > 0 && disk.syncDirectory(LOG_DIRECTORY) === 0;
  for (const descriptor of opened) {
    if (isGone) disk.truncate(descriptor, 0);
    disk.close(descriptor);
  }
}

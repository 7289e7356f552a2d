/** A log of small transactions whose records follow from their LSN, for tests. */

import { type LogOutcome, replayLog } from '../../actors/io/log-recovery.ts';
import { LogWriter } from '../../actors/log-writer.ts';
import {
  formatJournal,
  JournalReader,
  JournalWriter,
  journalRegionBytes,
} from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { sharedRegion } from './views.ts';

export const uuid = Uint8Array.from({ length: 16 }, (_, i) => i * 11 + 1);

export function payloadOf(lsn: number): string {
  return `record ${lsn} ${'x'.repeat((lsn * 7) % 23)}`;
}

export class SampleLog {
  readonly disk: FaultyDisk;
  readonly writer: JournalWriter;
  readonly reader: JournalReader;
  readonly log: LogWriter;

  constructor(
    options: {
      disk?: FaultyDisk;
      segmentBytes?: number;
      lastLsn?: number;
      nextSequence?: number;
      aheadBytes?: number;
    } = {},
  ) {
    this.disk = options.disk ?? new FaultyDisk();
    if (typeof this.disk.stat('log') === 'number') {
      this.disk.mkdir('log');
      this.disk.syncDirectory('.');
    }
    const region = sharedRegion(journalRegionBytes(16 * 1024));
    const lastLsn = options.lastLsn ?? 0;
    formatJournal(region, lastLsn + 1);
    this.writer = new JournalWriter(region);
    this.reader = new JournalReader(region);
    const { segmentBytes = 1 << 20, nextSequence = 1, aheadBytes = 0 } = options;
    this.log = new LogWriter(this.disk, { uuid, segmentBytes, nextSequence, lastLsn, aheadBytes });
  }

  /** One transaction of `records` records. */
  transaction(records: number): void {
    const bytes = records * recordBytes(64);
    if (!this.writer.hasRoom(bytes)) throw new Error('the sample journal is full');
    for (let i = 0; i < records; i++) {
      const lsn = this.writer.lastLsn + 1 + i;
      const text = new TextEncoder().encode(payloadOf(lsn));
      this.writer.u8.set(text, this.writer.append(1 + (lsn % 50), text.length));
    }
    this.writer.commit();
  }

  /** Writes and syncs what the journal holds. */
  commit(): number {
    return this.log.append(this.reader, this.reader.published()) || this.log.sync();
  }
}

/** Replays and checks that exactly the records afterLsn + 1 … lastLsn are given, each right. */
export function replayed(disk: FaultyDisk, afterLsn = 0): LogOutcome {
  let expected = afterLsn + 1;
  const outcome = replayLog(disk, uuid, afterLsn, (type, u8, u32, f64, offset, length) => {
    const text = new TextDecoder().decode(u8.subarray(offset, offset + length));
    if (text !== payloadOf(expected)) throw new Error(`record ${expected} came back as "${text}"`);
    if (type !== 1 + (expected % 50)) throw new Error(`record ${expected} has type ${type}`);
    if (offset % 8 !== 0 || u32.byteOffset !== u8.byteOffset || f64.byteOffset !== u8.byteOffset) {
      throw new Error('the views must agree and the payload be aligned');
    }
    expected++;
  });
  if (typeof outcome === 'number') throw new Error(`errno ${-outcome}`);
  if (outcome.lastLsn !== expected - 1)
    throw new Error(`lastLsn ${outcome.lastLsn} after record ${expected - 1}`);
  return outcome;
}

/** The payload of a log record: how it begins, and as untrusted bytes of which every field is checked before it is used. */
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import type { Tables } from './tables.ts';

/** A record that cannot be what a namespace wrote, or that does not fit the tables it is applied to. */
export class RecordError extends Error {
  override name = 'RecordError';
}

/** A record's payload while it is applied. Every access is checked against its length. */
export class Payload {
  u8: Uint8Array = new Uint8Array(0);
  u32: Uint32Array = new Uint32Array(0);
  f64: Float64Array = new Float64Array(0);
  at = 0;
  length = 0;

  word(index: number): number {
    if (index * 4 + 4 > this.length) throw new RecordError('the record is too short');
    return this.u32[(this.at >> 2) + index]!;
  }

  double(byte: number): number {
    if (byte + 8 > this.length) throw new RecordError('the record is too short');
    return this.f64[(this.at + byte) >> 3]!;
  }

  size(byte: number): number {
    const value = this.double(byte);
    if (!Number.isSafeInteger(value) || value < 0) throw new RecordError(`${value} is not a file size`);
    return value;
  }

  seconds(byte: number): number {
    const value = this.double(byte);
    if (!Number.isFinite(value)) throw new RecordError(`${value} is not a time`);
    return value;
  }

  nanoseconds(index: number): number {
    const value = this.word(index);
    if (value >= 1e9) throw new RecordError(`${value} is not a fraction of a second in nanoseconds`);
    return value;
  }

  /** Checks that exactly `bytes` follow the fixed part; returns where they start. */
  tail(fixed: number, bytes: number): number {
    if (fixed + bytes !== this.length) throw new RecordError('the record is not as long as its parts');
    return this.at + fixed;
  }
}

/** Starts a record with the time of the mutation: the payload's byte offset in the journal. */
export function beginRecord(journal: JournalWriter, t: Tables, type: number, bytes: number): number {
  const at = journal.append(type, bytes);
  journal.f64[at >> 3] = t.seconds;
  journal.u32[(at >> 2) + 2] = t.nanoseconds;
  return at;
}

/**
 * The on-disk format of the log, shared by writer, reader and tests. A segment is a 64-byte header and then
 * records (see `record-header.ts`) end to end:
 *
 *   0  u8[8] magic "VEXFSLOG"
 *   8  u32 format version (1)
 *  12  u32 salt        seeds the CRC of every record, so that bytes of another segment never pass for this one's
 *  16  f64 sequence    the number in the file's name
 *  24  f64 firstLsn    LSN of the first record
 *  32  u8[16] uuid of the store
 *  48  zero
 *  60  u32 CRC-32C of bytes [0, 60)
 *
 * A segment may end in zeros, written ahead of the records that will take their place.
 *
 * Torn or corrupt. A record that does not check, at a place where LSN e was due, is *corrupt* if a valid
 * record further on says that e had been durable when it was written, else *torn*: the end of the log, made
 * of bytes that no fsync had covered and that the disk was free to write in any order or not at all.
 */
import {
  COMMIT,
  CRC_AT,
  FLAGS_AT,
  LENGTH_AT,
  LSN_AT,
  RECORD_HEADER,
  recordBytes,
  TYPE_AT,
  UNSYNCED_AT,
} from '../../runtime/storage/record-header.ts';
import { crc32c } from './crc32c.ts';

const LOG_FORMAT = 1;
export const SEGMENT_HEADER = 64;
/** No record is longer (a transaction is shorter still): a bigger length is a damaged one. */
const RECORD_MAX = 64 * 1024 * 1024;

const MAGIC = new TextEncoder().encode('VEXFSLOG');
const HEADER_CRC_AT = 60;

export interface SegmentHeader {
  readonly sequence: number;
  readonly firstLsn: number;
  readonly uuid: Uint8Array;
}

/** The salt of a segment: differs between stores and between the segments of one. */
export function segmentSalt(uuid: Uint8Array, sequence: number): number {
  const bytes = new Uint8Array(24);
  bytes.set(uuid);
  new DataView(bytes.buffer).setFloat64(16, sequence, true);
  return crc32c(bytes, 0, 24);
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, LOG_FORMAT, true);
  view.setUint32(12, segmentSalt(header.uuid, header.sequence), true);
  view.setFloat64(16, header.sequence, true);
  view.setFloat64(24, header.firstLsn, true);
  bytes.set(header.uuid, 32);
  view.setUint32(HEADER_CRC_AT, crc32c(bytes, 0, HEADER_CRC_AT), true);
  return bytes;
}

/** The header, or what is wrong with it in a few words. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | string {
  if (bytes.length < SEGMENT_HEADER) return 'the file ends inside its header';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (MAGIC.some((byte, at) => bytes[at] !== byte)) return 'not a log segment (wrong magic)';
  if (view.getUint32(HEADER_CRC_AT, true) !== crc32c(bytes, 0, HEADER_CRC_AT)) return 'bad header checksum';
  const version = view.getUint32(8, true);
  if (version !== LOG_FORMAT) return `format ${version}, this program knows ${LOG_FORMAT}`;
  return {
    sequence: view.getFloat64(16, true),
    firstLsn: view.getFloat64(24, true),
    uuid: bytes.slice(32, 48),
  };
}

/** Completes the record of `length` bytes (header and padding included) at the 8-aligned `offset`. */
export function sealRecord(
  u8: Uint8Array,
  u32: Uint32Array,
  f64: Float64Array,
  offset: number,
  length: number,
  durableLsn: number,
  salt: number,
): void {
  u32[(offset + UNSYNCED_AT) >> 2] = f64[(offset + LSN_AT) >> 3]! - durableLsn;
  u32[(offset + CRC_AT) >> 2] = crcOfRecord(u8, offset, length, salt);
}

function crcOfRecord(u8: Uint8Array, offset: number, length: number, salt: number): number {
  return crc32c(u8, offset + LSN_AT, offset + length, crc32c(u8, offset + LENGTH_AT, offset + 4, salt));
}

/** Why the scan of a segment ended. `offset` is where the record that ended it begins. */
export type ScanEnd =
  | { readonly kind: 'end'; readonly offset: number }
  | { readonly kind: 'torn'; readonly offset: number }
  | { readonly kind: 'corrupt'; readonly offset: number; readonly reason: string };

/** Walks the records of one segment held in memory. `bytes` must start at a multiple of 8 in its buffer. */
export class SegmentScanner {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  /** The current record: payload as a byte offset and length, and the header's fields. */
  offset = 0;
  length = 0;
  type = 0;
  lsn = 0;
  committed = false;
  /** Offset after the current record, that is of the next. */
  position = SEGMENT_HEADER;
  /** The LSN that is due next. */
  expected: number;
  readonly #salt: number;

  constructor(bytes: Uint8Array, header: SegmentHeader) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.u8 = bytes;
    this.u32 = new Uint32Array(buffer, byteOffset, byteLength >>> 2);
    this.f64 = new Float64Array(buffer, byteOffset, byteLength >>> 3);
    this.expected = header.firstLsn;
    this.#salt = segmentSalt(header.uuid, header.sequence);
  }

  /** Moves to the next record if a valid one with the LSN that is due begins here. */
  next(): boolean {
    const at = this.position;
    if (!this.#validAt(at) || this.f64[(at + LSN_AT) >> 3] !== this.expected) return false;
    const word = this.u32[(at + TYPE_AT) >> 2]!;
    this.offset = at + RECORD_HEADER;
    this.length = this.u32[(at + LENGTH_AT) >> 2]!;
    this.type = word & 0xffff;
    this.committed = ((word >>> ((FLAGS_AT - TYPE_AT) * 8)) & COMMIT) !== 0;
    this.lsn = this.expected++;
    this.position = at + recordBytes(this.length);
    return true;
  }

  /** Call once {@link next} is false: the verdict on what stands at `position`. */
  end(): ScanEnd {
    const offset = this.position;
    if (offset === this.u8.length) return { kind: 'end', offset };
    for (let at = offset; at + RECORD_HEADER <= this.u8.length; at += 8) {
      const lsn = this.f64[(at + LSN_AT) >> 3]!;
      const durable = lsn - this.u32[(at + UNSYNCED_AT) >> 2]!;
      if (durable >= this.expected && Number.isSafeInteger(lsn) && this.#validAt(at)) {
        return {
          kind: 'corrupt',
          offset,
          reason: `record ${this.expected} is damaged; record ${lsn} at byte ${at} shows that it was durable`,
        };
      }
    }
    return { kind: 'torn', offset };
  }

  #validAt(at: number): boolean {
    const room = this.u8.length - at;
    if (room < RECORD_HEADER) return false;
    const payload = this.u32[(at + LENGTH_AT) >> 2]!;
    if (payload > RECORD_MAX || recordBytes(payload) > room) return false;
    return this.u32[(at + CRC_AT) >> 2] === crcOfRecord(this.u8, at, recordBytes(payload), this.#salt);
  }
}

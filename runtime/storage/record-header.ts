/**
 * The header of one log record: the same bytes in the journal ring and in a log segment, so that io writes
 * what the namespace encoded without touching it again.
 *
 *   0  u32 length    payload bytes, without padding
 *   4  u32 crc       CRC-32C of bytes [0, 4) and [8, end of padding); filled in by io
 *   8  f64 lsn       log sequence number: 1 for the first record of a store, then one more for each
 *  16  u16 type
 *  18  u16 flags     COMMIT on the last record of a transaction
 *  20  u32 unsynced  lsn − the newest LSN known to be durable when this record was written; filled in by io
 *  24  payload, zero-padded to a multiple of 8
 *
 * Little-endian, as is every machine that runs Node.js on Linux today. `unsynced` lets recovery tell a torn
 * tail from corruption: a record that says "everything up to n was durable" convicts a bad record ≤ n.
 */
export const RECORD_HEADER = 24;
export const LENGTH_AT = 0;
export const CRC_AT = 4;
export const LSN_AT = 8;
export const TYPE_AT = 16;
export const FLAGS_AT = 18;
export const UNSYNCED_AT = 20;

export const COMMIT = 1;

/** Written by the store itself at each mount: replay runs the same clean-up there that the mount ran. */
export const RECORD_MOUNTED = 0xfffe;

/** Bytes that a record with `payload` bytes takes in the ring and in the log. */
export function recordBytes(payload: number): number {
  return RECORD_HEADER + ((payload + 7) & ~7);
}

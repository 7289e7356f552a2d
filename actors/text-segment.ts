/**
 * A shard's text vectors as a file, so that a mount need not embed every file again. It is a cache: whatever does
 * not check out is not used, and the files concerned are indexed anew.
 *
 * `vectors/LSN-SHARD.seg`: a header of 64 bytes, then one record per batch of chunks, then a record of length 0.
 * Header: 8 bytes magic, f64 LSN, u32 shard, u32 shards. Record: u32 length of what follows, u32 CRC-32C of it, u32 ino,
 * u32 generation, a chunk batch (chunk-batch.ts). Everything little-endian and 8-byte aligned.
 */
import { crc32c } from '../kernels/codec/crc32c.ts';
import { MIB } from '../runtime/config/bounds.ts';
import type { Disk } from '../runtime/storage/disk.ts';

const MAGIC = new TextEncoder().encode('VXVECS01');
const HEADER_BYTES = 64;
const RECORD_HEADER_BYTES = 8;
const WRITE_BUFFER_BYTES = 4 * MIB;
const DIRECTORY = 'vectors';
const NAME = /^([0-9a-f]{14})-(\d+)\.seg(\.tmp)?$/;

function pathOf(lsn: number, shard: number): string {
  return `${DIRECTORY}/${lsn.toString(16).padStart(14, '0')}-${shard}.seg`;
}

/** Writes one segment; durable under its name only when `finish` returned 0. */
export class SegmentWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #buffer = new Uint8Array(WRITE_BUFFER_BYTES);
  readonly #descriptor: number;
  #filled = 0;
  #position = 0;
  #status = 0;

  constructor(disk: Disk, lsn: number, shard: number, shards: number) {
    this.#disk = disk;
    this.#path = pathOf(lsn, shard);
    disk.mkdir(DIRECTORY);
    disk.unlink(`${this.#path}.tmp`);
    this.#descriptor = disk.open(`${this.#path}.tmp`, 'create');
    if (this.#descriptor < 0) this.#status = this.#descriptor;
    const header = new Uint8Array(HEADER_BYTES);
    header.set(MAGIC);
    new Float64Array(header.buffer)[1] = lsn;
    new Uint32Array(header.buffer).set([shard, shards], 4);
    this.#append(header);
  }

  add(ino: number, generation: number, batch: Uint8Array): void {
    const record = new Uint8Array(RECORD_HEADER_BYTES + 8 + align(batch.length));
    const words = new Uint32Array(record.buffer);
    record.set(batch, RECORD_HEADER_BYTES + 8);
    words[2] = ino;
    words[3] = generation;
    words[0] = record.length - RECORD_HEADER_BYTES;
    words[1] = crc32c(record, RECORD_HEADER_BYTES, record.length);
    this.#append(record);
  }

  /** 0 or −errno. */
  finish(): number {
    this.#append(new Uint8Array(RECORD_HEADER_BYTES));
    this.#flush();
    if (this.#descriptor >= 0) {
      if (this.#status === 0) this.#status = this.#disk.fdatasync(this.#descriptor);
      this.#disk.close(this.#descriptor);
    }
    if (this.#status === 0) this.#status = this.#disk.rename(`${this.#path}.tmp`, this.#path);
    if (this.#status === 0) this.#status = this.#disk.syncDirectory(DIRECTORY);
    return this.#status;
  }

  #append(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > this.#buffer.length) this.#flush();
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  #flush(): void {
    if (this.#status === 0) {
      const written = this.#disk.pwrite(this.#descriptor, this.#buffer, 0, this.#filled, this.#position);
      if (written < 0) this.#status = written;
    }
    this.#position += this.#filled;
    this.#filled = 0;
  }
}

export type VisitBatch = (
  ino: number,
  generation: number,
  u8: Uint8Array,
  offset: number,
  length: number,
) => void;

/**
 * Reads the segments of a checkpoint: its own when the number of shards is still the same, else all of them, and the
 * visitor keeps what is its own. False when any is missing or damaged; what was visited before is still right.
 */
export function readSegments(
  disk: Disk,
  lsn: number,
  shard: number,
  shards: number,
  visit: VisitBatch,
): boolean {
  const own = readSegment(disk, pathOf(lsn, shard), lsn, shards, visit);
  return own === 'other shard count' ? readAllSegments(disk, lsn, visit) : own === 'complete';
}

/** Reads the segments of all shards of a checkpoint, however many they were; one is held in memory at a time. */
export function readAllSegments(disk: Disk, lsn: number, visit: VisitBatch): boolean {
  for (let shard = 0, written = 1; shard < written; shard++) {
    const u8 = readWhole(disk, pathOf(lsn, shard));
    if (!u8 || !headerMatches(u8, lsn)) return false;
    written = new Uint32Array(u8.buffer)[5]!;
    if (!visitRecords(u8, visit)) return false;
  }
  return true;
}

type SegmentEnd = 'complete' | 'damaged' | 'other shard count';

function readSegment(disk: Disk, path: string, lsn: number, shards: number, visit: VisitBatch): SegmentEnd {
  const u8 = readWhole(disk, path);
  // More shards than before: this one has no file of its own, but the first has.
  if (!u8) return typeof disk.stat(pathOf(lsn, 0)) === 'number' ? 'damaged' : 'other shard count';
  if (!headerMatches(u8, lsn)) return 'damaged';
  if (new Uint32Array(u8.buffer)[5] !== shards) return 'other shard count';
  return visitRecords(u8, visit) ? 'complete' : 'damaged';
}

function headerMatches(u8: Uint8Array<ArrayBuffer>, lsn: number): boolean {
  if (u8.length < HEADER_BYTES || MAGIC.some((byte, i) => u8[i] !== byte)) return false;
  return new Float64Array(u8.buffer, 0, 2)[1] === lsn;
}

function visitRecords(u8: Uint8Array<ArrayBuffer>, visit: VisitBatch): boolean {
  const words = new Uint32Array(u8.buffer, 0, u8.length >> 2);
  for (let at = HEADER_BYTES; at + RECORD_HEADER_BYTES <= u8.length; ) {
    const length = words[at >> 2]!;
    // The end, or a damaged length in the midst.
    if (length === 0) return at + RECORD_HEADER_BYTES === u8.length;
    const start = at + RECORD_HEADER_BYTES;
    if (length % 8 !== 0 || length < 8 || start + length > u8.length) return false;
    if (crc32c(u8, start, start + length) !== words[(at >> 2) + 1]) return false;
    visit(words[start >> 2]!, words[(start >> 2) + 1]!, u8, start + 8, length - 8);
    at = start + length;
  }
  return false;
}

function readWhole(disk: Disk, path: string): Uint8Array<ArrayBuffer> | undefined {
  const status = disk.stat(path);
  if (typeof status === 'number') return undefined;
  const descriptor = disk.open(path, 'read');
  if (descriptor < 0) return undefined;
  const u8 = new Uint8Array(align(status.bytes));
  const got = disk.pread(descriptor, u8, 0, status.bytes, 0);
  disk.close(descriptor);
  return got === status.bytes ? u8 : undefined;
}

/** Bytes of the segments of a checkpoint on the disk. */
export function segmentBytes(disk: Disk, lsn: number): number {
  let sum = 0;
  for (let shard = 0; ; shard++) {
    const status = disk.stat(pathOf(lsn, shard));
    if (typeof status === 'number') return sum;
    sum += status.bytes;
  }
}

/** Deletes the segments of all LSNs but those in `keep`, and unfinished ones. Only while none is being written. */
export function deleteSegments(disk: Disk, keep: ReadonlySet<number>): void {
  const names = disk.list(DIRECTORY);
  if (typeof names === 'number') return;
  for (const name of names) {
    const match = NAME.exec(name);
    if (!match) continue;
    const isUnfinished = match[3] !== undefined;
    if (isUnfinished || !keep.has(Number.parseInt(match[1]!, 16))) disk.unlink(`${DIRECTORY}/${name}`);
  }
}

function align(bytes: number): number {
  return (bytes + 7) & ~7;
}

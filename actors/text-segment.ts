/**
 * A shard's text vectors as a file, so that a mount need not embed every file again. It is a cache: whatever does
 * not check out is not used, and the files concerned are indexed anew.
 *
 * `vectors/LSN-SHARD.seg`: a header of 64 bytes, records, a mark for the end. Everything little-endian and 8-byte aligned.
 *
 * Header: 8 bytes magic, f64 LSN, u32 shard, u32 shards, zeros, and at 60 u32 CRC-32C of bytes [0, 60).
 * Record: u32 length of what follows, u32 CRC-32C of it, chunks of any number of files (text-segment-block.ts).
 * End: u32 0, u32 number of records.
 *
 * Version 1, which is still read, had another magic, no checksum of the header, a record for each batch of chunks: u32 ino,
 * u32 generation, and the batch as in chunk-batch.ts: and 8 zero bytes at the end.
 */
import { crc32c } from '../kernels/codec/crc32c.ts';
import type { VectorForm } from '../kernels/codec/vector-block.ts';
import { assert } from '../runtime/assert.ts';
import { MIB } from '../runtime/config/bounds.ts';
import type { Disk } from '../runtime/storage/disk.ts';
import { ChunkBatch } from './chunk-batch.ts';
import {
  SegmentBlock,
  SegmentBlockReader,
  SegmentBlockTable,
  type VisitBatch,
} from './text-segment-block.ts';
import { SegmentRecords } from './text-segment-records.ts';

export type { VisitBatch } from './text-segment-block.ts';

const encoder = new TextEncoder();
/** By version − 1. */
const MAGICS = [encoder.encode('VXVECS01'), encoder.encode('VXVECS02')];
const HEADER_BYTES = 64;
const HEADER_CRC_AT = 60;
const RECORD_HEADER_BYTES = 8;
const WRITE_BUFFER_BYTES = 4 * MIB;
const DIRECTORY = 'vectors';
const NAME = /^([0-9a-f]{14})-(\d+)\.seg(\.tmp)?$/;

function pathOf(lsn: number, shard: number): string {
  return `${DIRECTORY}/${lsn.toString(16).padStart(14, '0')}-${shard}.seg`;
}

/** Whether a block, whose bytes and checksum these are, was taken as it is: its batches are not visited then. */
export type TakeBlock = (
  table: SegmentBlockTable,
  u8: Uint8Array,
  start: number,
  end: number,
  crc: number,
) => boolean;

/** Writes one segment; durable under its name only when `finish` returned 0. */
export class SegmentWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #form: VectorForm;
  readonly #buffer = new Uint8Array(WRITE_BUFFER_BYTES);
  readonly #words = new Uint32Array(this.#buffer.buffer);
  readonly #descriptor: number;
  readonly #batch = new ChunkBatch();
  #block: SegmentBlock | undefined;
  #records = 0;
  #filled = 0;
  #position = 0;
  #status = 0;

  constructor(disk: Disk, lsn: number, shard: number, shards: number, form: VectorForm = 'exact') {
    this.#disk = disk;
    this.#path = pathOf(lsn, shard);
    this.#form = form;
    disk.mkdir(DIRECTORY);
    disk.unlink(`${this.#path}.tmp`);
    this.#descriptor = disk.open(`${this.#path}.tmp`, 'create');
    if (this.#descriptor < 0) this.#status = this.#descriptor;
    this.#buffer.set(MAGICS[1]!);
    new Float64Array(this.#buffer.buffer)[1] = lsn;
    this.#words.set([shard, shards], 4);
    this.#words[HEADER_CRC_AT >> 2] = crc32c(this.#buffer, 0, HEADER_CRC_AT);
    this.#filled = HEADER_BYTES;
  }

  /** Takes a batch of chunks (chunk-batch.ts), which must be one. */
  add(ino: number, generation: number, batch: Uint8Array): void {
    assert(this.#batch.read(batch, 0, batch.length), 'a segment is written of batches');
    const { count, dimension } = this.#batch;
    if (this.#block?.dimension !== dimension) {
      this.#writeBlock();
      this.#block = new SegmentBlock(dimension, this.#form);
    }
    for (let next = 0; next < count; ) {
      next = this.#block.add(ino, generation, this.#batch, next);
      if (this.#block.isFull) this.#writeBlock();
    }
  }

  /** Takes a block of another segment, compressed as it is, after all that was added before. */
  addBlock(u8: Uint8Array, start: number, end: number, crc: number): void {
    this.#writeBlock();
    this.#makeRoom(RECORD_HEADER_BYTES + end - start);
    this.#words[this.#filled >> 2] = end - start;
    this.#words[(this.#filled >> 2) + 1] = crc;
    this.#buffer.set(u8.subarray(start, end), this.#filled + RECORD_HEADER_BYTES);
    this.#filled += RECORD_HEADER_BYTES + end - start;
    this.#records++;
  }

  /** 0 or −errno. */
  finish(): number {
    this.#writeBlock();
    this.#makeRoom(RECORD_HEADER_BYTES);
    this.#words[this.#filled >> 2] = 0;
    this.#words[(this.#filled >> 2) + 1] = this.#records;
    this.#filled += RECORD_HEADER_BYTES;
    this.#flush();
    if (this.#descriptor >= 0) this.#disk.close(this.#descriptor);
    if (this.#status === 0) this.#status = this.#disk.rename(`${this.#path}.tmp`, this.#path);
    if (this.#status === 0) this.#status = this.#disk.syncDirectory(DIRECTORY);
    return this.#status;
  }

  #writeBlock(): void {
    const block = this.#block;
    if (block === undefined || block.isEmpty) return;
    this.#makeRoom(RECORD_HEADER_BYTES + block.bytesMax);
    const start = this.#filled + RECORD_HEADER_BYTES;
    const end = block.encode(this.#buffer, start);
    this.#words[this.#filled >> 2] = end - start;
    this.#words[(this.#filled >> 2) + 1] = crc32c(this.#buffer, start, end);
    this.#filled = end;
    this.#records++;
  }

  #makeRoom(bytes: number): void {
    assert(bytes <= WRITE_BUFFER_BYTES, 'a record fits the buffer');
    if (this.#filled + bytes > WRITE_BUFFER_BYTES) this.#flush();
  }

  /** Durable at once: an fsync of the log is not to wait for a whole segment. */
  #flush(): void {
    if (this.#status === 0) {
      const written = this.#disk.pwrite(this.#descriptor, this.#buffer, 0, this.#filled, this.#position);
      this.#status = Math.min(0, written) || this.#disk.fdatasync(this.#descriptor);
    }
    this.#position += this.#filled;
    this.#filled = 0;
  }
}

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
  const own = readSegment(disk, lsn, shard, visit, shards);
  // More shards than before: this one has no file of its own, but the first has.
  if (own === 'missing')
    return typeof disk.stat(pathOf(lsn, 0)) !== 'number' && readAllSegments(disk, lsn, visit);
  return own === 'other shard count' ? readAllSegments(disk, lsn, visit) : own !== 'damaged';
}

/** Reads the segments of all shards of a checkpoint, however many they were. `take` is asked for each block first. */
export function readAllSegments(disk: Disk, lsn: number, visit: VisitBatch, take?: TakeBlock): boolean {
  for (let shard = 0, written = 1; shard < written; shard++) {
    const read = readSegment(disk, lsn, shard, visit, undefined, take);
    if (typeof read !== 'number') return false;
    written = read;
  }
  return true;
}

/** The number of shards at the time when it was written, if the whole segment was right; `only` that number is read. */
function readSegment(
  disk: Disk,
  lsn: number,
  shard: number,
  visit: VisitBatch,
  only?: number,
  take?: TakeBlock,
): number | 'missing' | 'damaged' | 'other shard count' {
  const records = SegmentRecords.open(disk, pathOf(lsn, shard), HEADER_BYTES);
  if (records === undefined) return 'missing';
  try {
    const version = versionOf(records.u8, lsn);
    if (version === 0) return 'damaged';
    const shards = new Uint32Array(records.u8.buffer, 0, HEADER_BYTES / 4)[5]!;
    if (only !== undefined && shards !== only) return 'other shard count';
    return visitRecords(records, version, visit, take) ? shards : 'damaged';
  } finally {
    records.close();
  }
}

/** 0 when the header is not one of a segment of that LSN. */
function versionOf(u8: Uint8Array<ArrayBuffer>, lsn: number): number {
  if (new Float64Array(u8.buffer, 0, 2)[1] !== lsn) return 0;
  const version = MAGICS.findIndex((magic) => magic.every((byte, i) => u8[i] === byte)) + 1;
  const crc = new Uint32Array(u8.buffer, 0, HEADER_BYTES / 4)[HEADER_CRC_AT >> 2];
  return version > 1 && crc !== crc32c(u8, 0, HEADER_CRC_AT) ? 0 : version;
}

function visitRecords(
  records: SegmentRecords,
  version: number,
  visit: VisitBatch,
  take?: TakeBlock,
): boolean {
  const blocks = new SegmentBlockReader();
  const table = new SegmentBlockTable();
  const words = new Uint32Array(records.u8.buffer);
  for (let count = 0; ; count++) {
    const found = records.next();
    if (found === 'damaged') return false;
    if (found === 'end') return version === 1 || records.mark === count;
    const { u8, start, end, position } = records;
    if (version > 1) {
      if (take && table.read(u8, start, end) && take(table, u8, start, end, records.mark)) continue;
      if (!blocks.visit(u8, start, end, position, visit)) return false;
    } else {
      const word = start >> 2;
      visit(words[word]!, words[word + 1]!, u8, start + 8, end - start - 8, position);
    }
  }
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

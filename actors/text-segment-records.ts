/**
 * The records of a segment file, one after the other, through a window: a segment may be larger than what a mount
 * wants to have in memory twice.
 */
import { crc32c } from '../kernels/codec/crc32c.ts';
import { MIB } from '../runtime/config/bounds.ts';
import type { Disk } from '../runtime/storage/disk.ts';

/** Longer than any record: the largest, of version 1, has 64 chunks of 8,192 dimensions. */
const WINDOW_BYTES = 4 * MIB;
const RECORD_HEADER_BYTES = 8;

export class SegmentRecords {
  /** What is read lies here; records begin at multiples of 8. */
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array;
  readonly #disk: Disk;
  readonly #descriptor: number;
  readonly #bytes: number;
  /** Where in the file the window's first byte is, how much of the window is filled, and where in it the next record begins. */
  #position = 0;
  #filled = 0;
  #next = 0;
  /** The record that was read last: where its payload lies in {@link u8}, or at the end the mark's second word. */
  start = 0;
  end = 0;
  mark = 0;

  /** Undefined when there is no such file, or not enough of it for a header of `headerBytes`; else {@link close} it. */
  static open(disk: Disk, path: string, headerBytes: number): SegmentRecords | undefined {
    const status = disk.stat(path);
    if (typeof status === 'number') return undefined;
    const descriptor = disk.open(path, 'read');
    if (descriptor < 0) return undefined;
    const records = new SegmentRecords(disk, descriptor, status.bytes, headerBytes);
    if (records.#has(0, headerBytes)) return records;
    records.close();
    return undefined;
  }

  private constructor(disk: Disk, descriptor: number, bytes: number, headerBytes: number) {
    this.#disk = disk;
    this.#descriptor = descriptor;
    this.#bytes = bytes;
    this.#next = headerBytes;
    this.u8 = new Uint8Array(Math.min(WINDOW_BYTES, Math.max(headerBytes, Math.ceil(bytes / 8) * 8)));
    this.#words = new Uint32Array(this.u8.buffer);
  }

  close(): void {
    this.#disk.close(this.#descriptor);
  }

  /** Where in the file the record that was read last ends. */
  get position(): number {
    return this.#position + this.#next;
  }

  /** 'end' only when nothing follows it. */
  next(): 'record' | 'end' | 'damaged' {
    if (!this.#has(this.#next, RECORD_HEADER_BYTES)) return 'damaged';
    const length = this.#words[this.#next >> 2]!;
    this.mark = this.#words[(this.#next >> 2) + 1]!;
    if (length === 0) {
      const isLast = this.#position + this.#next + RECORD_HEADER_BYTES === this.#bytes;
      return isLast ? 'end' : 'damaged';
    }
    if (length % 8 !== 0 || length > this.u8.length - RECORD_HEADER_BYTES) return 'damaged';
    if (!this.#has(this.#next, RECORD_HEADER_BYTES + length)) return 'damaged';
    this.start = this.#next + RECORD_HEADER_BYTES;
    this.end = this.start + length;
    if (crc32c(this.u8, this.start, this.end) !== this.mark) return 'damaged';
    this.#next = this.end;
    return 'record';
  }

  /** Whether `length` bytes from `at` in the window are in it, or could be read; what is before `at` may move out. */
  #has(at: number, length: number): boolean {
    if (at + length <= this.#filled) return true;
    this.u8.copyWithin(0, at, this.#filled);
    this.#position += at;
    this.#filled = Math.max(0, this.#filled - at);
    this.#next = this.#next - at;
    const room = Math.min(this.u8.length - this.#filled, this.#bytes - this.#position - this.#filled);
    const got = this.#disk.pread(
      this.#descriptor,
      this.u8,
      this.#filled,
      room,
      this.#position + this.#filled,
    );
    if (got !== room) return false;
    this.#filled += room;
    return length <= this.#filled;
  }
}

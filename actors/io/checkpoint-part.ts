/**
 * Writing one part of a checkpoint as a file: its blocks one after the other, as the manifest describes them. What the
 * bytes mean is not known here. Reading: actors/checkpoint-files.ts.
 */
import { crc32c } from '../../kernels/codec/crc32c.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { BlockCompressor } from '../../runtime/storage/zstd-block.ts';
import { isZero } from '../checkpoint-files.ts';
import { BLOCK_BYTES, type StoredBlock } from '../checkpoint-manifest.ts';

/** Handed to the disk at once and made durable, bytes: so long an fsync of the log may have to wait. */
const WRITE_BYTES = BLOCK_BYTES;
/** A frame is worth keeping when it has at most this share of the block: loading is faster without. */
const WORTHWHILE = 7 / 8;
/** Blocks after one that does not get smaller that are not tried, once there were as many in a row. */
const SKIPPED_MAX = 7;

/** One a thread, made when it is needed: it has megabytes. */
let compressor: BlockCompressor | undefined;

/** Writes a new file and makes it durable, but for its name. Returns its blocks, or −errno. */
export function writePart(disk: Disk, path: string, bytes: Uint8Array): StoredBlock[] | number {
  const descriptor = disk.open(path, 'create');
  if (descriptor < 0) return descriptor;
  const file = new PartFile(disk, descriptor, Math.min(bytes.length, WRITE_BYTES + BLOCK_BYTES));
  const blocks: StoredBlock[] = [];
  for (let at = 0; at < bytes.length && file.errno === 0; at += BLOCK_BYTES) {
    blocks.push(file.add(bytes.subarray(at, Math.min(at + BLOCK_BYTES, bytes.length))));
  }
  const failed = file.finish();
  disk.close(descriptor);
  return failed < 0 ? failed : blocks;
}

class PartFile {
  /** −errno of the first call that failed, or 0. */
  errno = 0;
  readonly #disk: Disk;
  readonly #descriptor: number;
  readonly #buffer: Uint8Array;
  #filled = 0;
  #position = 0;
  /** Blocks in a row that did not get smaller, and how many are yet to be taken as they are. */
  #stubborn = 0;
  #skip = 0;

  constructor(disk: Disk, descriptor: number, bufferBytes: number) {
    this.#disk = disk;
    this.#descriptor = descriptor;
    this.#buffer = new Uint8Array(bufferBytes);
  }

  add(block: Uint8Array): StoredBlock {
    if (isZero(block)) return [0, 0];
    const stored = this.#smaller(block) ?? block;
    const start = this.#filled;
    this.#buffer.set(stored, start);
    this.#filled += stored.length;
    const crc = crc32c(this.#buffer, start, this.#filled);
    if (this.#filled >= WRITE_BYTES) this.#flush();
    return [stored.length, crc];
  }

  /** 0 or −errno. */
  finish(): number {
    this.#flush();
    return this.errno;
  }

  #smaller(block: Uint8Array): Uint8Array | undefined {
    if (this.#skip > 0) {
      this.#skip--;
      return undefined;
    }
    compressor ??= new BlockCompressor(BLOCK_BYTES);
    const bytes = compressor.compress(block);
    if (bytes <= block.length * WORTHWHILE) {
      this.#stubborn = 0;
      return compressor.frame.subarray(0, bytes);
    }
    this.#stubborn++;
    this.#skip = Math.min(this.#stubborn, SKIPPED_MAX);
    return undefined;
  }

  #flush(): void {
    if (this.errno !== 0) return;
    const wrote = this.#disk.pwrite(this.#descriptor, this.#buffer, 0, this.#filled, this.#position);
    this.errno = Math.min(0, wrote) || this.#disk.fdatasync(this.#descriptor);
    this.#position += this.#filled;
    this.#filled = 0;
  }
}

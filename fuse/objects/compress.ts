/**
 * Makes the compressed form of a plain object: a new object, written once, durable but for its name when it is done, and
 * nothing refers to it until a record says so (`Content.compressed`). Whatever ends this in between leaves a file that
 * belongs to nobody, which the next mount deletes.
 *
 * It may run beside writers of the plain object: what it has made then is refused, because the file's version is another.
 */
import { COMPRESSED_FRAME_BYTES, MIB } from '../../runtime/config/bounds.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { BlockCompressor } from '../../runtime/storage/zstd-block.ts';
import { KEPT_PLAIN, STORED_BLOCK } from '../namespace/layout.ts';
import { encodeIndex, indexBytes } from './compressed-format.ts';
import { objectDirectory, objectPath } from './object-path.ts';

/** Sources, in frames of 64 KiB: 0.29 of the size; level 1 has 0.31 at 1.2 times the speed, 6 has 0.27 at a third of it. */
const LEVEL = 3;
/** Handed to the disk at once, and written before it is made durable: an fsync of the log must not wait for all of it. */
const WRITE_BYTES = MIB;
const SYNC_BYTES = 32 * MIB;
/** It is worth it when at most this share of the space is left. */
const WORTHWHILE = 7 / 8;
/** Of a longer file so many frames are tried first, from all over it. */
const SAMPLES = 8;

export interface CompressOptions {
  /** Of Zstandard. */
  readonly level?: number;
  /** Bytes of the file in a frame. */
  readonly frameBytes?: number;
  /** Space is counted in blocks of so many bytes. */
  readonly blockBytes?: number;
  /** Called after each mebibyte; false ends it. */
  readonly goOn?: () => boolean;
}

/** Which object was compressed, and what it was of. */
export interface Compressed {
  readonly ino: number;
  readonly generation: number;
  readonly version: number;
  readonly from: number;
  /** The compressed object; `from` when it is to stay as it is. */
  readonly to: number;
  /** Its form (namespace/layout.ts, I_STORED). */
  readonly stored: number;
}

/** It was told to end. */
const ENDED = -20_001;

/** One a thread and level, made when it is needed: it has megabytes. */
const compressors = new Map<number, BlockCompressor>();

function compressorOf(level: number): BlockCompressor {
  const known = compressors.get(level) ?? new BlockCompressor(COMPRESSED_FRAME_BYTES, level, true);
  compressors.set(level, known);
  return known;
}

/**
 * The first `size` bytes of object `from` as object `to`, of which there is no file yet. The space it takes, in blocks;
 * KEPT_PLAIN when that would be too little less; ENDED, or −errno. Only of the first there is a file afterwards.
 */
export function compressObject(
  disk: Disk,
  from: number,
  to: number,
  size: number,
  options: CompressOptions = {},
): number {
  const source = disk.open(objectPath(from), 'read');
  if (source < 0) return source;
  const target = createObject(disk, to);
  let result = target;
  if (target >= 0) {
    const status = disk.stat(objectPath(from));
    const allocated = typeof status === 'number' ? size : (status.allocated ?? size);
    result = new Compression(disk, source, target, size, allocated, options).run(to);
    disk.close(target);
    if (result < 0 || result === KEPT_PLAIN) disk.unlink(objectPath(to));
  }
  disk.close(source);
  return result;
}

function createObject(disk: Disk, id: number): number {
  disk.mkdir(objectDirectory(id));
  return disk.open(objectPath(id), 'create');
}

class Compression {
  readonly #compressor: BlockCompressor;
  readonly #disk: Disk;
  readonly #source: number;
  readonly #target: number;
  readonly #size: number;
  readonly #allocated: number;
  readonly #frameBytes: number;
  readonly #blockBytes: number;
  readonly #goOn: () => boolean;
  readonly #piece: Uint8Array;
  readonly #buffer: Uint8Array;
  readonly #lengths: number[] = [];
  #filled = 0;
  #position = 0;
  #unsynced = 0;

  constructor(
    disk: Disk,
    source: number,
    target: number,
    size: number,
    allocated: number,
    options: CompressOptions,
  ) {
    this.#compressor = compressorOf(options.level ?? LEVEL);
    this.#disk = disk;
    this.#source = source;
    this.#target = target;
    this.#size = size;
    this.#allocated = allocated;
    this.#frameBytes = options.frameBytes ?? COMPRESSED_FRAME_BYTES;
    this.#blockBytes = options.blockBytes ?? STORED_BLOCK;
    this.#goOn = options.goOn ?? (() => true);
    this.#piece = new Uint8Array(this.#frameBytes);
    this.#buffer = new Uint8Array(Math.min(size, WRITE_BYTES) + this.#compressor.frame.length);
  }

  /** The space it takes, in blocks, KEPT_PLAIN, ENDED or −errno. */
  run(id: number): number {
    const frames = Math.ceil(this.#size / this.#frameBytes);
    const share = frames > 2 * SAMPLES ? this.#sample(frames) : 0;
    if (share < 0) return share;
    if (share > WORTHWHILE) return KEPT_PLAIN;
    for (let frame = 0; frame < frames; frame++) {
      const failed = this.#add(frame);
      if (failed < 0) return failed;
    }
    const bytes = this.#position + this.#filled + indexBytes(frames);
    const blocks = Math.ceil(bytes / this.#blockBytes);
    if (blocks > this.#plainBlocks() * WORTHWHILE) return KEPT_PLAIN;
    return this.#finish(encodeIndex(id, this.#size, this.#frameBytes, this.#lengths)) || blocks;
  }

  /** Blocks that the bytes take as they are: less than the size says where there are holes. */
  #plainBlocks(): number {
    return Math.ceil(Math.min(this.#size, this.#allocated) / this.#blockBytes);
  }

  /** What share of their size some frames have, or −errno. */
  #sample(frames: number): number {
    let before = 0;
    let after = 0;
    for (let i = 0; i < SAMPLES; i++) {
      const piece = this.#read(Math.floor((i * frames) / SAMPLES));
      if (typeof piece === 'number') return piece;
      before += piece.length;
      after += this.#compressor.compress(piece);
    }
    return after / before;
  }

  #add(frame: number): number {
    const piece = this.#read(frame);
    if (typeof piece === 'number') return piece;
    const bytes = this.#compressor.compress(piece);
    this.#buffer.set(this.#compressor.frame.subarray(0, bytes), this.#filled);
    this.#filled += bytes;
    this.#lengths.push(bytes);
    const failed = this.#filled < WRITE_BYTES ? 0 : this.#flush();
    if (failed < 0) return failed;
    const isDue = ((frame + 1) * this.#frameBytes) % WRITE_BYTES === 0;
    return isDue && !this.#goOn() ? ENDED : 0;
  }

  /** A piece of the file; what the host file lacks are zeros. */
  #read(frame: number): Uint8Array | number {
    const position = frame * this.#frameBytes;
    const piece = this.#piece.subarray(0, Math.min(this.#frameBytes, this.#size - position));
    const got = this.#disk.pread(this.#source, piece, 0, piece.length, position);
    if (got < 0) return got;
    return piece.fill(0, got);
  }

  #flush(): number {
    const wrote = this.#disk.pwrite(this.#target, this.#buffer, 0, this.#filled, this.#position);
    if (wrote < 0) return wrote;
    this.#position += this.#filled;
    this.#unsynced += this.#filled;
    this.#filled = 0;
    if (this.#unsynced < SYNC_BYTES) return 0;
    this.#unsynced = 0;
    return this.#disk.fdatasync(this.#target);
  }

  #finish(index: Uint8Array): number {
    const failed = this.#filled > 0 ? this.#flush() : 0;
    if (failed < 0) return failed;
    const wrote = this.#disk.pwrite(this.#target, index, 0, index.length, this.#position);
    return wrote < 0 ? wrote : this.#disk.fdatasync(this.#target);
  }
}

/**
 * Reading compressed objects (compressed-format.ts) at any offset. One instance per thread. The pieces that were read last
 * are kept expanded, as are the indexes; both are bounded, and nothing is taken before the first read. What is read whole is
 * expanded into its place and not kept: the kernel has it now.
 *
 * Results are ≥ 0 or −errno. What does not agree with its checksum is EIO.
 */
import { assert } from '../../runtime/assert.ts';
import {
  COMPRESSED_FRAME_BYTES,
  COMPRESSED_FRAMES_MAX,
  COMPRESSED_INDEX_FRAMES,
} from '../../runtime/config/bounds.ts';
import { EIO } from '../../runtime/errno.ts';
import { expandBlock, frameBound } from '../../runtime/storage/zstd-block.ts';
import { decodeIndex, END_BYTES, type FrameIndex, indexBytesOf } from './compressed-format.ts';
import type { ObjectFiles } from './object-files.ts';

const NOTHING_BUT_ZEROS = new Uint8Array(COMPRESSED_FRAME_BYTES);

export class CompressedObjects {
  /** Totals since the start: pieces that were found expanded, and those that were not. */
  hits = 0;
  misses = 0;
  readonly #objects: ObjectFiles;
  readonly #capacity: number;
  /** Expanded pieces by object and frame, with their slots; evicted by the CLOCK algorithm. */
  readonly #slots = new Map<number, number>();
  readonly #keys: Float64Array;
  readonly #used: Uint8Array;
  #hand = 0;
  #pieces: Uint8Array | undefined;
  #frame: Uint8Array | undefined;
  /** The one used last is the last. */
  readonly #indexes = new Map<number, FrameIndex>();
  #indexFrames = 0;

  /** `cacheBytes`: of expanded pieces. */
  constructor(objects: ObjectFiles, cacheBytes: number) {
    this.#objects = objects;
    this.#capacity = Math.max(1, Math.floor(cacheBytes / COMPRESSED_FRAME_BYTES));
    this.#keys = new Float64Array(this.#capacity).fill(-1);
    this.#used = new Uint8Array(this.#capacity);
  }

  /** Fills exactly `length` bytes at `u8[at]`, which lie within the file's `size` bytes. */
  read(id: number, size: number, position: number, length: number, u8: Uint8Array, at: number): number {
    const index = this.#indexOf(id);
    if (typeof index === 'number') return index;
    if (index.size !== size) return -EIO;
    for (let done = 0; done < length; ) {
      const frame = Math.floor((position + done) / index.frameBytes);
      const from = position + done - frame * index.frameBytes;
      const piece = index.lengthOf(frame);
      const count = Math.min(piece - from, length - done);
      const failed =
        count === piece && !this.#slots.has(keyOf(id, frame))
          ? this.expand(id, frame, u8.subarray(at + done, at + done + count))
          : this.#copy(id, index, frame, from, count, u8, at + done);
      if (failed < 0) return failed;
      done += count;
    }
    return length;
  }

  /** Expands a frame into `target`, which is as long as its piece. 0 or −errno. */
  expand(id: number, frame: number, target: Uint8Array): number {
    const index = this.#indexOf(id);
    if (typeof index === 'number') return index;
    const start = index.starts[frame]!;
    const bytes = index.starts[frame + 1]! - start;
    this.#frame ??= new Uint8Array(frameBound(COMPRESSED_FRAME_BYTES));
    this.misses++;
    if (bytes > this.#frame.length) return -EIO;
    const got = this.#objects.readStored(id, start, bytes, this.#frame, 0);
    if (got < 0) return got;
    return got === bytes && expandBlock(this.#frame.subarray(0, bytes), target) ? 0 : -EIO;
  }

  /** Writes all of the file that object `from` has to object `to`, but for what is zero. 0 or −errno. */
  writeTo(from: number, size: number, to: number): number {
    const index = this.#indexOf(from);
    if (typeof index === 'number') return index;
    const bytes = index.frameBytes;
    const piece = new Uint8Array(bytes);
    for (let position = 0; position < size; position += bytes) {
      const length = Math.min(bytes, size - position);
      const got = this.read(from, size, position, length, piece, 0);
      if (got < 0) return got;
      if (isZero(piece.subarray(0, length))) continue;
      const written = this.#objects.write(to, position, piece, 0, length);
      if (written < 0) return written;
    }
    return 0;
  }

  /** What is known of an object that is gone. */
  forget(id: number): void {
    const index = this.#indexes.get(id);
    if (index === undefined) return;
    this.#indexes.delete(id);
    this.#indexFrames -= index.frames;
  }

  #copy(
    id: number,
    index: FrameIndex,
    frame: number,
    from: number,
    count: number,
    u8: Uint8Array,
    at: number,
  ): number {
    const key = keyOf(id, frame);
    let slot = this.#slots.get(key);
    this.#pieces ??= new Uint8Array(this.#capacity * COMPRESSED_FRAME_BYTES);
    if (slot === undefined) {
      slot = this.#freeSlot();
      const start = slot * COMPRESSED_FRAME_BYTES;
      const failed = this.expand(id, frame, this.#pieces.subarray(start, start + index.lengthOf(frame)));
      if (failed < 0) return failed;
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
    } else {
      this.hits++;
    }
    this.#used[slot] = 1;
    const start = slot * COMPRESSED_FRAME_BYTES + from;
    u8.set(this.#pieces.subarray(start, start + count), at);
    return 0;
  }

  #freeSlot(): number {
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#capacity;
      if (this.#used[slot] === 0) {
        this.#slots.delete(this.#keys[slot]!);
        this.#keys[slot] = -1;
        return slot;
      }
      this.#used[slot] = 0;
    }
  }

  #indexOf(id: number): FrameIndex | number {
    const known = this.#indexes.get(id);
    if (known !== undefined) {
      this.#indexes.delete(id);
      this.#indexes.set(id, known);
      return known;
    }
    const index = this.#readIndex(id);
    if (typeof index === 'number') return index;
    this.#indexes.set(id, index);
    this.#indexFrames += index.frames;
    for (const oldest of this.#indexes.keys()) {
      if (this.#indexFrames <= COMPRESSED_INDEX_FRAMES || oldest === id) break;
      this.forget(oldest);
    }
    return index;
  }

  #readIndex(id: number): FrameIndex | number {
    const bytes = this.#objects.storedBytes(id);
    if (bytes < 0) return bytes;
    const index = readFrameIndex(id, bytes, (position, length, u8) =>
      this.#objects.readStored(id, position, length, u8, 0),
    );
    return typeof index === 'string' ? -EIO : index;
  }
}

/** Reads exactly so many bytes from a position on into the beginning of `u8`; fewer, or −errno, when it cannot. */
export type ReadAt = (position: number, length: number, u8: Uint8Array) => number;

/** The index of an object that has `objectBytes` bytes; −errno, or what is wrong with it. */
export function readFrameIndex(id: number, objectBytes: number, read: ReadAt): FrameIndex | number | string {
  if (objectBytes < END_BYTES) return 'it is too short for a compressed object';
  const end = new Uint8Array(END_BYTES);
  const got = read(objectBytes - END_BYTES, END_BYTES, end);
  if (got < END_BYTES) return got < 0 ? got : 'its end cannot be read';
  const bytes = indexBytesOf(end, id, objectBytes);
  if (typeof bytes === 'string') return bytes;
  const index = new Uint8Array(bytes);
  const all = read(objectBytes - bytes, bytes, index);
  if (all < bytes) return all < 0 ? all : 'its index cannot be read';
  return decodeIndex(index, objectBytes);
}

function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, NOTHING_BUT_ZEROS.subarray(0, bytes.length)) === 0;
}

function keyOf(id: number, frame: number): number {
  return id * COMPRESSED_FRAMES_MAX + frame;
}

assert(
  0xffff_ffff * COMPRESSED_FRAMES_MAX <= Number.MAX_SAFE_INTEGER,
  'a frame of any object has a key of its own',
);

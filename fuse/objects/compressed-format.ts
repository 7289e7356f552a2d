/**
 * A compressed object: the file's bytes in pieces of `frameBytes`, the last one shorter, each a Zstandard frame of its own
 * with a checksum of the piece; then an index, in what Zstandard calls a skippable frame. So `zstd -dc` reads it as well.
 *
 *   frames   one after the other
 *   index    u32 magic 0x184D2A5C, u32 bytes that follow           RFC 8878 3.1.2
 *            u32 for each frame: its bytes
 *            the end: f64 size of the file · u32 object · u32 frames · u32 frameBytes · u32 version ·
 *            u32 CRC-32 of what is between the first entry and here · u32 magic 'VXCO'
 *
 * Little-endian. An object is written once and never changed.
 */
import { crc32 } from 'node:zlib';
import {
  COMPRESSED_FRAME_BYTES,
  COMPRESSED_FRAMES_MAX,
  COMPRESSED_SIZE_MAX,
} from '../../runtime/config/bounds.ts';

export const END_BYTES = 32;
const SKIPPABLE_MAGIC = 0x184d2a5c;
const HEADER_BYTES = 8;
const END_MAGIC = 0x4f435856;
const VERSION = 1;

// Words of the end.
const E_OBJECT = 2;
const E_FRAMES = 3;
const E_FRAME_BYTES = 4;
const E_VERSION = 5;
const E_CRC = 6;
const E_MAGIC = 7;

/** Where the frames of one object are. */
export class FrameIndex {
  readonly size: number;
  readonly frameBytes: number;
  /** Frame `f` has the bytes of the file from `f * frameBytes` on, and those of the object in [starts[f], starts[f + 1]). */
  readonly starts: Float64Array;

  constructor(size: number, frameBytes: number, starts: Float64Array) {
    this.size = size;
    this.frameBytes = frameBytes;
    this.starts = starts;
  }

  get frames(): number {
    return this.starts.length - 1;
  }

  /** Bytes of the file in frame `frame`. */
  lengthOf(frame: number): number {
    return Math.min(this.frameBytes, this.size - frame * this.frameBytes);
  }
}

/** Bytes of the index of so many frames. */
export function indexBytes(frames: number): number {
  return HEADER_BYTES + frames * 4 + END_BYTES;
}

/** `lengths`: bytes of each frame. */
export function encodeIndex(
  object: number,
  size: number,
  frameBytes: number,
  lengths: readonly number[],
): Uint8Array {
  const u8 = new Uint8Array(indexBytes(lengths.length));
  const view = new DataView(u8.buffer);
  view.setUint32(0, SKIPPABLE_MAGIC, true);
  view.setUint32(4, u8.length - HEADER_BYTES, true);
  for (const [i, length] of lengths.entries()) view.setUint32(HEADER_BYTES + i * 4, length, true);
  const end = u8.length - END_BYTES;
  view.setFloat64(end, size, true);
  view.setUint32(end + E_OBJECT * 4, object, true);
  view.setUint32(end + E_FRAMES * 4, lengths.length, true);
  view.setUint32(end + E_FRAME_BYTES * 4, frameBytes, true);
  view.setUint32(end + E_VERSION * 4, VERSION, true);
  view.setUint32(end + E_CRC * 4, crc32(u8.subarray(HEADER_BYTES, end + E_CRC * 4)), true);
  view.setUint32(end + E_MAGIC * 4, END_MAGIC, true);
  return u8;
}

/** Bytes of the index that ends with `end`, or what is wrong with it. */
export function indexBytesOf(end: Uint8Array, object: number, objectBytes: number): number | string {
  const view = new DataView(end.buffer, end.byteOffset, END_BYTES);
  if (view.getUint32(E_MAGIC * 4, true) !== END_MAGIC) return 'it does not end as a compressed object does';
  const version = view.getUint32(E_VERSION * 4, true);
  if (version !== VERSION) return `it is of version ${version}, which is not known`;
  const named = view.getUint32(E_OBJECT * 4, true);
  if (named !== object) return `it says that it is object ${named}`;
  const bytes = indexBytes(view.getUint32(E_FRAMES * 4, true));
  return bytes <= objectBytes ? bytes : 'its index would be longer than all of it';
}

/** `u8`: the whole index, of an object of `objectBytes`. Or what is wrong with it. */
export function decodeIndex(u8: Uint8Array, objectBytes: number): FrameIndex | string {
  const view = new DataView(u8.buffer, u8.byteOffset, u8.length);
  const end = u8.length - END_BYTES;
  const crc = crc32(u8.subarray(HEADER_BYTES, end + E_CRC * 4));
  if (view.getUint32(end + E_CRC * 4, true) !== crc) return 'bad checksum of its index';
  const isSkippable =
    view.getUint32(0, true) === SKIPPABLE_MAGIC && view.getUint32(4, true) === u8.length - HEADER_BYTES;
  if (!isSkippable) return 'its index does not begin as one';
  const size = view.getFloat64(end, true);
  const frames = view.getUint32(end + E_FRAMES * 4, true);
  const frameBytes = view.getUint32(end + E_FRAME_BYTES * 4, true);
  const isSize = Number.isInteger(size) && size >= 1 && size <= COMPRESSED_SIZE_MAX;
  const areFrames =
    frameBytes >= 1 && frameBytes <= COMPRESSED_FRAME_BYTES && frames <= COMPRESSED_FRAMES_MAX;
  if (!isSize || !areFrames || frames !== Math.ceil(size / frameBytes))
    return `its index is of ${frames} frames of ${frameBytes} bytes for ${size} bytes`;
  const starts = new Float64Array(frames + 1);
  for (let i = 0; i < frames; i++) starts[i + 1] = starts[i]! + view.getUint32(HEADER_BYTES + i * 4, true);
  if (starts[frames] !== objectBytes - u8.length) return 'its frames do not end where its index begins';
  return new FrameIndex(size, frameBytes, starts);
}

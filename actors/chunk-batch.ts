/**
 * A batch of text chunks of one file with their vectors: the same bytes in the journal (INDEXED), in the message to
 * a shard (PUT_CHUNKS) and in a shard's segment file. All numbers little-endian, the start 8-byte aligned.
 *
 * | at | what |
 * | --- | --- |
 * | 0 | u32 version of the file's content that was indexed |
 * | 4 | u32 number of the first chunk; 0 replaces whatever the shard has of the file |
 * | 8 | u32 chunks in this batch |
 * | 12 | u32 dimension |
 * | 16 | per chunk 16 bytes: u32 byte offset, u32 byte length, u32 line (1-based), u32 reserved |
 * | … | per chunk `dimension` float32 |
 */
import { VECTOR_DIMENSION_MAX } from '../runtime/config/bounds.ts';

const HEADER_BYTES = 16;
const CHUNK_BYTES = 16;

/** Most chunks one batch carries, so that it fits a transaction and a message at any usual dimension. */
export const CHUNKS_PER_BATCH = 64;

export interface TextChunk {
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly line: number;
  readonly vector: Float32Array;
}

export function chunkBatchBytes(count: number, dimension: number): number {
  return HEADER_BYTES + count * (CHUNK_BYTES + dimension * 4);
}

/** Returns the bytes of one batch, in a buffer of their own. */
export function encodeChunkBatch(
  version: number,
  firstChunk: number,
  chunks: readonly TextChunk[],
  dimension: number,
): Uint8Array {
  const bytes = new Uint8Array(chunkBatchBytes(chunks.length, dimension));
  const u32 = new Uint32Array(bytes.buffer);
  u32[0] = version;
  u32[1] = firstChunk;
  u32[2] = chunks.length;
  u32[3] = dimension;
  const vectors = new Float32Array(bytes.buffer, HEADER_BYTES + chunks.length * CHUNK_BYTES);
  chunks.forEach((chunk, i) => {
    const at = (HEADER_BYTES + i * CHUNK_BYTES) >> 2;
    u32[at] = chunk.byteOffset;
    u32[at + 1] = chunk.byteLength;
    u32[at + 2] = chunk.line;
    vectors.set(chunk.vector, i * dimension);
  });
  return bytes;
}

/**
 * Writes a batch to the beginning of `out`: `chunks` has byte offset, byte length and line of each, `vectors` their vectors.
 * `out` is 8-byte aligned and has room for {@link chunkBatchBytes}.
 */
export function writeChunkBatch(
  out: Uint8Array,
  version: number,
  firstChunk: number,
  chunks: Uint32Array,
  vectors: Float32Array,
  dimension: number,
): void {
  const count = chunks.length / 3;
  const u32 = new Uint32Array(out.buffer, out.byteOffset, (HEADER_BYTES + count * CHUNK_BYTES) / 4);
  u32[0] = version;
  u32[1] = firstChunk;
  u32[2] = count;
  u32[3] = dimension;
  for (let from = 0, to = HEADER_BYTES / 4; from < chunks.length; from += 3, to += CHUNK_BYTES / 4) {
    u32[to] = chunks[from]!;
    u32[to + 1] = chunks[from + 1]!;
    u32[to + 2] = chunks[from + 2]!;
    u32[to + 3] = 0;
  }
  new Float32Array(out.buffer, out.byteOffset + u32.byteLength, vectors.length).set(vectors);
}

/** A view of a batch in place; `read` checks every length before anything is used. */
export class ChunkBatch {
  version = 0;
  firstChunk = 0;
  count = 0;
  dimension = 0;
  #u32: Uint32Array = new Uint32Array(0);
  #table = 0;
  #vectors: Float32Array = new Float32Array(0);

  /** False when the bytes are no batch. `offset` must be 8-byte aligned in `u8.buffer`. */
  read(u8: Uint8Array, offset: number, length: number): boolean {
    if (length < HEADER_BYTES) return false;
    const start = u8.byteOffset + offset;
    this.#u32 = new Uint32Array(u8.buffer, start, length >> 2);
    this.version = this.#u32[0]!;
    this.firstChunk = this.#u32[1]!;
    this.count = this.#u32[2]!;
    this.dimension = this.#u32[3]!;
    if (this.count > CHUNKS_PER_BATCH || this.dimension === 0 || this.dimension > VECTOR_DIMENSION_MAX)
      return false;
    if (chunkBatchBytes(this.count, this.dimension) > length) return false;
    this.#table = HEADER_BYTES >> 2;
    const vectorsAt = start + HEADER_BYTES + this.count * CHUNK_BYTES;
    this.#vectors = new Float32Array(u8.buffer, vectorsAt, this.count * this.dimension);
    return true;
  }

  byteOffset(i: number): number {
    return this.#u32[this.#table + i * 4]!;
  }

  byteLength(i: number): number {
    return this.#u32[this.#table + i * 4 + 1]!;
  }

  line(i: number): number {
    return this.#u32[this.#table + i * 4 + 2]!;
  }

  /** A view into the batch's own bytes: copy it before the message is released. */
  vector(i: number): Float32Array {
    return this.#vectors.subarray(i * this.dimension, (i + 1) * this.dimension);
  }
}

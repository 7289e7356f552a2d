/**
 * Some of a segment's chunks as one record: what is known of them in columns, then their vectors, compressed together.
 *
 *   0  u32 batches, u32 chunks of all of them
 *   8  per batch 5 u32: ino, generation, version, number of the first chunk, chunks
 *   …  per chunk 3 u32: byte offset, byte length, line
 *   …  padding to a multiple of 8
 *   …  the vectors of all chunks, in that order (kernels/codec/vector-block.ts)
 *
 * Everything little-endian and 8-byte aligned. A batch that was put in may come out as several.
 */
import {
  blockBytesMax,
  VectorBlockDecoder,
  VectorBlockEncoder,
  type VectorForm,
  vectorsPerBlock,
} from '../kernels/codec/vector-block.ts';
import { assert } from '../runtime/assert.ts';
import { CHUNKS_PER_BATCH, type ChunkBatch, chunkBatchBytes, writeChunkBatch } from './chunk-batch.ts';

const HEADER_BYTES = 8;
const BATCH_WORDS = 5;
const CHUNK_WORDS = 3;
/** Of a block of vectors: form, vectors, dimension, bytes (kernels/codec/vector-block.ts). */
const VECTOR_HEADER_BYTES = 16;

/** The bytes are the visitor's until it returns. `position`: where in the file the record ends that the batch was in. */
export type VisitBatch = (
  ino: number,
  generation: number,
  u8: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => void;

function vectorsAt(batches: number, chunks: number): number {
  return (HEADER_BYTES + (batches * BATCH_WORDS + chunks * CHUNK_WORDS) * 4 + 7) & ~7;
}

/** Collects chunks of one dimension until there are enough for a block. */
export class SegmentBlock {
  readonly dimension: number;
  readonly #form: VectorForm;
  readonly #capacity: number;
  readonly #encoder = new VectorBlockEncoder();
  readonly #batches: Uint32Array;
  readonly #chunks: Uint32Array;
  readonly #vectors: Float32Array;
  #batchCount = 0;
  #chunkCount = 0;

  constructor(dimension: number, form: VectorForm) {
    this.dimension = dimension;
    this.#form = form;
    this.#capacity = vectorsPerBlock(dimension);
    this.#batches = new Uint32Array(this.#capacity * BATCH_WORDS);
    this.#chunks = new Uint32Array(this.#capacity * CHUNK_WORDS);
    this.#vectors = new Float32Array(this.#capacity * dimension);
  }

  get isEmpty(): boolean {
    return this.#chunkCount === 0;
  }

  /** Most bytes that {@link encode} writes. */
  get bytesMax(): number {
    return vectorsAt(this.#capacity, this.#capacity) + blockBytesMax(this.#capacity, this.dimension);
  }

  get isFull(): boolean {
    return this.#chunkCount === this.#capacity;
  }

  /** Takes chunks of a batch from number `from` on, as many as fit; returns the number of the first that did not. */
  add(ino: number, generation: number, batch: ChunkBatch, from: number): number {
    assert(batch.dimension === this.dimension && !this.isFull, 'a block has one dimension, and an end');
    const end = Math.min(batch.count, from + this.#capacity - this.#chunkCount);
    const { version, firstChunk } = batch;
    this.#batches.set(
      [ino, generation, version, firstChunk + from, end - from],
      this.#batchCount++ * BATCH_WORDS,
    );
    for (let i = from; i < end; i++) this.#addChunk(batch, i);
    return end;
  }

  /** Writes what was collected at `at` (8-byte aligned) in `out` and is empty again; returns where it ends. */
  encode(out: Uint8Array, at: number): number {
    const batches = this.#batchCount;
    const chunks = this.#chunkCount;
    const vectors = at + vectorsAt(batches, chunks);
    const words = new Uint32Array(out.buffer, out.byteOffset + at, (vectors - at) / 4);
    words.fill(0);
    words[0] = batches;
    words[1] = chunks;
    words.set(this.#batches.subarray(0, batches * BATCH_WORDS), HEADER_BYTES / 4);
    words.set(this.#chunks.subarray(0, chunks * CHUNK_WORDS), HEADER_BYTES / 4 + batches * BATCH_WORDS);
    this.#batchCount = 0;
    this.#chunkCount = 0;
    return this.#encoder.encode(this.#vectors, chunks, this.dimension, this.#form, out, vectors);
  }

  #addChunk(batch: ChunkBatch, i: number): void {
    const at = this.#chunkCount * CHUNK_WORDS;
    this.#chunks[at] = batch.byteOffset(i);
    this.#chunks[at + 1] = batch.byteLength(i);
    this.#chunks[at + 2] = batch.line(i);
    this.#vectors.set(batch.vector(i), this.#chunkCount++ * this.dimension);
  }
}

export class SegmentBlockReader {
  readonly #decoder = new VectorBlockDecoder();
  #batch = new Uint8Array(0);

  /**
   * Visits the batches of the block in u8[at, end), whose bytes are overwritten by the next one. False, and nothing visited,
   * when that is no block.
   */
  visit(u8: Uint8Array, at: number, end: number, position: number, visit: VisitBatch): boolean {
    if (at + HEADER_BYTES > end) return false;
    const words = new Uint32Array(u8.buffer, u8.byteOffset + at, (end - at) >> 2);
    const batches = words[0]!;
    const chunks = words[1]!;
    if ((batches * BATCH_WORDS + chunks * CHUNK_WORDS) * 4 + HEADER_BYTES > end - at) return false;
    const decoder = this.#decoder;
    if (decoder.read(u8, at + vectorsAt(batches, chunks), end) !== end || decoder.count !== chunks)
      return false;
    if (!isComplete(words, batches, chunks)) return false;
    const { dimension, vectors } = decoder;
    this.#reserve(dimension);
    let chunkWord = HEADER_BYTES / 4 + batches * BATCH_WORDS;
    for (let i = 0, first = 0; i < batches; i++) {
      const word = HEADER_BYTES / 4 + i * BATCH_WORDS;
      const count = words[word + 4]!;
      const table = words.subarray(chunkWord, chunkWord + count * CHUNK_WORDS);
      const part = vectors.subarray(first * dimension, (first + count) * dimension);
      writeChunkBatch(this.#batch, words[word + 2]!, words[word + 3]!, table, part, dimension);
      visit(words[word]!, words[word + 1]!, this.#batch, 0, chunkBatchBytes(count, dimension), position);
      chunkWord += count * CHUNK_WORDS;
      first += count;
    }
    return true;
  }

  #reserve(dimension: number): void {
    const bytes = chunkBatchBytes(CHUNKS_PER_BATCH, dimension);
    if (this.#batch.length < bytes) this.#batch = new Uint8Array(bytes);
  }
}

/** What a block says of its batches, without their vectors. */
export class SegmentBlockTable {
  batches = 0;
  chunks = 0;
  dimension = 0;
  #words: Uint32Array = new Uint32Array(0);

  /** False when that is no block. Of the vectors, only how many there are is looked at. */
  read(u8: Uint8Array, at: number, end: number): boolean {
    if (at + HEADER_BYTES > end) return false;
    const words = new Uint32Array(u8.buffer, u8.byteOffset + at, (end - at) >> 2);
    const [batches, chunks] = [words[0]!, words[1]!];
    const vectors = vectorsAt(batches, chunks);
    if (vectors + VECTOR_HEADER_BYTES > end - at || !isComplete(words, batches, chunks)) return false;
    this.#words = words;
    this.batches = batches;
    this.chunks = chunks;
    this.dimension = words[(vectors >> 2) + 2]!;
    return words[(vectors >> 2) + 1] === chunks && this.dimension > 0;
  }

  /** Whether it has at least half of the vectors that a block has room for. */
  get isHalfFull(): boolean {
    return this.chunks * 2 >= vectorsPerBlock(this.dimension);
  }

  ino(batch: number): number {
    return this.#word(batch, 0);
  }

  generation(batch: number): number {
    return this.#word(batch, 1);
  }

  version(batch: number): number {
    return this.#word(batch, 2);
  }

  firstChunk(batch: number): number {
    return this.#word(batch, 3);
  }

  count(batch: number): number {
    return this.#word(batch, 4);
  }

  #word(batch: number, column: number): number {
    return this.#words[HEADER_BYTES / 4 + batch * BATCH_WORDS + column]!;
  }
}

/** Whether the batches have as many chunks as there are, and none too many. */
function isComplete(words: Uint32Array, batches: number, chunks: number): boolean {
  let sum = 0;
  for (let i = 0; i < batches; i++) {
    const count = words[HEADER_BYTES / 4 + i * BATCH_WORDS + 4]!;
    if (count === 0 || count > CHUNKS_PER_BATCH) return false;
    sum += count;
  }
  return sum === chunks;
}

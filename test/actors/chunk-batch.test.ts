import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CHUNKS_PER_BATCH,
  ChunkBatch,
  chunkBatchBytes,
  encodeChunkBatch,
  type TextChunk,
} from '../../actors/chunk-batch.ts';

const u32 = fc.nat({ max: 0xffff_ffff });
const chunks = (dimension: number, min: number) =>
  fc.array(
    fc.record({
      byteOffset: u32,
      byteLength: u32,
      line: u32,
      vector: fc.float32Array({ minLength: dimension, maxLength: dimension, noNaN: true }),
    }),
    { minLength: min, maxLength: CHUNKS_PER_BATCH },
  );
const batches = fc
  .integer({ min: 1, max: 20 })
  .chain((dimension) =>
    fc.record({ dimension: fc.constant(dimension), chunks: chunks(dimension, 1), version: u32, first: u32 }),
  );

/** The bytes at an 8-byte aligned place within other bytes, as in a lane. */
function within(bytes: Uint8Array, offset: number, after = 0): Uint8Array {
  const u8 = new Uint8Array(offset + bytes.length + after).fill(0xee);
  u8.set(bytes, offset);
  return u8;
}

function decode(batch: ChunkBatch): TextChunk[] {
  return Array.from({ length: batch.count }, (_, i) => ({
    byteOffset: batch.byteOffset(i),
    byteLength: batch.byteLength(i),
    line: batch.line(i),
    vector: batch.vector(i).slice(),
  }));
}

test('any batch that was encoded is read back, wherever it lies', () => {
  fc.assert(
    fc.property(batches, fc.nat({ max: 5 }), ({ dimension, chunks, version, first }, words) => {
      const bytes = encodeChunkBatch(version, first, chunks, dimension);
      expect(bytes.length).toBe(chunkBatchBytes(chunks.length, dimension));
      const batch = new ChunkBatch();
      expect(batch.read(within(bytes, words * 8), words * 8, bytes.length)).toBe(true);
      expect([batch.version, batch.firstChunk, batch.count, batch.dimension]).toEqual([
        version,
        first,
        chunks.length,
        dimension,
      ]);
      expect(decode(batch)).toEqual(chunks);
    }),
  );
});

test('a batch cut anywhere is no batch', () => {
  const vector = new Float32Array(7);
  const bytes = encodeChunkBatch(1, 0, [{ byteOffset: 1, byteLength: 2, line: 3, vector }], 7);
  for (let length = 0; length < bytes.length; length++) {
    expect(new ChunkBatch().read(bytes, 0, length)).toBe(false);
  }
});

test('any bytes at all are refused or read within their bounds', () => {
  const damaged = fc.tuple(
    batches,
    fc.array(fc.tuple(fc.nat({ max: 31 }), fc.nat({ max: 255 })), { maxLength: 6 }),
  );
  fc.assert(
    fc.property(damaged, fc.nat(), ([{ dimension, chunks, version, first }, edits], cut) => {
      const bytes = encodeChunkBatch(version, first, chunks, dimension);
      for (const [at, value] of edits) bytes[at] = value;
      const length = cut % (bytes.length + 1);
      const u8 = within(bytes.subarray(0, length), 8);
      const batch = new ChunkBatch();
      if (!batch.read(u8, 8, length)) return;
      for (const { vector } of decode(batch)) expect(vector.length).toBe(batch.dimension);
      expect(chunkBatchBytes(batch.count, batch.dimension)).toBeLessThanOrEqual(length);
    }),
    { numRuns: 2000 },
  );
});

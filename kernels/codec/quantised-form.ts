/**
 * float32 vectors as int8 with a scale each, and a residual of 0, 8 or 16 bits that makes them finer: a fixed-point number of
 * 8, 16 or 24 bits whose uppermost byte, rounded, can be used by itself. Restored values differ from the original by at most
 * half a step, largest magnitude / 127 / 2^residual bits / 2, and by the rounding to float32.
 *
 *   0  per vector f32: what one unit of the int8 is worth (largest magnitude / 127)
 *   …  per value the residual, i8 or i16, if there is one
 *   …  table and codes of one symbol per value (prefix-code.ts): the int8 + 128
 *
 * Everything little-endian. The form is 8-byte aligned. −0 is restored as 0.
 */
import { assert } from '../../runtime/assert.ts';
import { PrefixDecoder, PrefixEncoder, SYMBOLS, streamBytesMax, TABLE_BYTES_MAX } from './prefix-code.ts';

export type ResidualBits = 0 | 8 | 16;

const BIAS = 128;
const STEPS = 127;
/** Beyond these a scale would lose digits, or a restored value become infinite. */
const MAGNITUDE_MIN = 1e-30;
const MAGNITUDE_MAX = 1e30;

/** Most bytes of `count` vectors. */
export function quantisedBytesMax(count: number, dimension: number, residualBits: ResidualBits): number {
  const values = count * dimension;
  return count * 4 + values * (residualBits / 8) + TABLE_BYTES_MAX + streamBytesMax(values);
}

/** Whether the form can say all of the vectors: finite, and none has a largest magnitude out of all measure. */
export function isQuantisable(vectors: Float32Array, count: number, dimension: number): boolean {
  for (let i = 0; i < count; i++) {
    const largest = largestMagnitude(vectors, i * dimension, dimension);
    if (!(largest === 0 || (largest >= MAGNITUDE_MIN && largest <= MAGNITUDE_MAX))) return false;
  }
  return true;
}

/** NaN if there is one among the values. */
function largestMagnitude(vectors: Float32Array, from: number, dimension: number): number {
  let largest = 0;
  for (let i = from; i < from + dimension; i++) largest = Math.max(largest, Math.abs(vectors[i]!));
  return largest;
}

function residualsOf(
  u8: Uint8Array,
  at: number,
  values: number,
  bits: ResidualBits,
): Int8Array | Int16Array | undefined {
  if (bits === 0) return undefined;
  const start = u8.byteOffset + at;
  return bits === 8 ? new Int8Array(u8.buffer, start, values) : new Int16Array(u8.buffer, start, values);
}

export class QuantisedEncoder {
  readonly #prefix = new PrefixEncoder();
  readonly #counts = new Uint32Array(SYMBOLS);
  #symbols = new Uint16Array(0);

  /**
   * Writes `count` vectors, which must be {@link isQuantisable}, at `at` (8-byte aligned) in `out`, with room for
   * {@link quantisedBytesMax}; returns where they end.
   */
  encode(
    vectors: Float32Array,
    count: number,
    dimension: number,
    residualBits: ResidualBits,
    out: Uint8Array,
    at: number,
  ): number {
    const values = count * dimension;
    assert(vectors.length >= values && values > 0, 'there are as many values as said');
    assert(
      out.length >= at + quantisedBytesMax(count, dimension, residualBits),
      'there is room for the worst case',
    );
    if (this.#symbols.length < values) this.#symbols = new Uint16Array(values);
    this.#counts.fill(0);
    const scales = new Float32Array(out.buffer, out.byteOffset + at, count);
    const residuals = residualsOf(out, at + count * 4, values, residualBits);
    for (let i = 0; i < count; i++) {
      scales[i] = largestMagnitude(vectors, i * dimension, dimension) / STEPS;
      this.#quantise(vectors, i * dimension, dimension, scales[i]!, residualBits, residuals);
    }
    this.#prefix.build(this.#counts);
    const codes = this.#prefix.writeTable(out, at + count * 4 + values * (residualBits / 8));
    return this.#prefix.write(this.#symbols, values, out, codes);
  }

  #quantise(
    vectors: Float32Array,
    from: number,
    dimension: number,
    scale: number,
    residualBits: ResidualBits,
    residuals: Int8Array | Int16Array | undefined,
  ): void {
    const factor = scale === 0 ? 0 : 2 ** residualBits / scale;
    const half = residualBits === 0 ? 0 : 1 << (residualBits - 1);
    for (let i = from; i < from + dimension; i++) {
      const fixed = Math.round(vectors[i]! * factor);
      const code = (fixed + half) >> residualBits;
      if (residuals) residuals[i] = fixed - (code << residualBits);
      this.#symbols[i] = code + BIAS;
      this.#counts[code + BIAS]!++;
    }
  }
}

export class QuantisedDecoder {
  readonly #prefix = new PrefixDecoder();
  #symbols = new Uint16Array(0);

  /**
   * Restores `count` vectors from u8[at, limit) to `vectors`; `at` must be 8-byte aligned in its buffer. False when the
   * bytes are not such vectors: `vectors` then holds anything.
   */
  decode(
    u8: Uint8Array,
    at: number,
    limit: number,
    vectors: Float32Array,
    count: number,
    dimension: number,
    residualBits: ResidualBits,
  ): boolean {
    const values = count * dimension;
    const table = at + count * 4 + values * (residualBits / 8);
    if (table > limit) return false;
    if (this.#symbols.length <= values) this.#symbols = new Uint16Array(values + 1);
    const codes = this.#prefix.readTable(u8, table, limit);
    if (codes < 0 || !this.#prefix.read(u8, codes, limit, this.#symbols, values)) return false;
    const scales = new Float32Array(u8.buffer, u8.byteOffset + at, count);
    const residuals = residualsOf(u8, at + count * 4, values, residualBits);
    for (let i = 0; i < count; i++) {
      this.#restore(
        vectors,
        i * dimension,
        dimension,
        scales[i]! / 2 ** residualBits,
        residualBits,
        residuals,
      );
    }
    return true;
  }

  #restore(
    vectors: Float32Array,
    from: number,
    dimension: number,
    step: number,
    residualBits: ResidualBits,
    residuals: Int8Array | Int16Array | undefined,
  ): void {
    const symbols = this.#symbols;
    for (let i = from; i < from + dimension; i++) {
      const coarse = (symbols[i]! - BIAS) << residualBits;
      vectors[i] = (residuals ? coarse + residuals[i]! : coarse) * step;
    }
  }
}

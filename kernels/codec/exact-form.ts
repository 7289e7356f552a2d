/**
 * float32 vectors without the loss of a bit (infinities, NaN payloads and −0 included).
 *
 * Sign and mantissa of a measured or learned number are noise that no compressor gets below 24 bits; its exponent carries
 * about 2.6 bits. So exponents are entropy-coded, and the rest is stored in planes. What an embedding has besides are zeros
 * and, where it is made by hashing, the same magnitude in several places of a vector: those cost a symbol, and a short
 * back reference.
 *
 *   0  u32 literals: values that are neither zero nor a repetition
 *   4  u32 bytes of table and codes
 *   8  u32 bytes of back references
 *  12  u32 zero
 *  16  per literal u16: bits 0 … 15
 *   …  per literal u8: bits 16 … 22, and the sign
 *   …  table and codes of one symbol per value (prefix-code.ts): its exponent, ZERO or REPEAT
 *   …  per repetition: sign, and which literal of the same vector, in as few bits as its literals so far need
 *
 * Everything little-endian. Offsets are from the beginning of the form, which is 8-byte aligned.
 */
import { assert } from '../../runtime/assert.ts';
import { BIT_STREAM_SLACK, BitReader, BitWriter } from './bit-stream.ts';
import { PrefixDecoder, PrefixEncoder, SYMBOLS, streamBytesMax, TABLE_BYTES_MAX } from './prefix-code.ts';

/** +0: no mantissa. */
const ZERO = 256;
const REPEAT = 257;
export const HEADER_BYTES = 16;
const MAGNITUDE = 0x7fffffff;
/** Slots that remember where a magnitude was last seen: a multiple of what a usual vector has. */
const SEEN_BITS = 12;
/** In so many first vectors there must be a repetition, or none is looked for. */
export const PROBED_VECTORS = 8;
/** A back reference: a sign and an index below VECTOR_DIMENSION_MAX. */
const REFERENCE_BITS_MAX = 14;

/** Most bytes of `values` values. */
export function exactBytesMax(values: number): number {
  const references = Math.ceil((values * REFERENCE_BITS_MAX) / 8) + BIT_STREAM_SLACK;
  return HEADER_BYTES + values * 3 + TABLE_BYTES_MAX + streamBytesMax(values) + references;
}

/** Bits in which an index below `count` fits. */
function widthOf(count: number): number {
  return 32 - Math.clz32(count - 1);
}

export class ExactEncoder {
  readonly #prefix = new PrefixEncoder();
  readonly #references = new BitWriter();
  readonly #counts = new Uint32Array(SYMBOLS);
  readonly #seen = new Int32Array(1 << SEEN_BITS);
  #symbols = new Uint16Array(0);
  #low = new Uint16Array(0);
  #high = new Uint8Array(0);
  #magnitudes = new Int32Array(0);
  #referenceBytes = new Uint8Array(0);
  #literals = 0;

  /** Writes `count` vectors at `at` (8-byte aligned) in `out`, with room for {@link exactBytesMax}; returns where they end. */
  encode(words: Int32Array, count: number, dimension: number, out: Uint8Array, at: number): number {
    const values = count * dimension;
    assert(words.length >= values && values > 0, 'there are as many values as said');
    assert(out.length >= at + exactBytesMax(values), 'there is room for the worst case');
    this.#reserve(values);
    this.#counts.fill(0);
    this.#literals = 0;
    this.#references.begin(this.#referenceBytes, 0);
    if (hasRepetition(words, Math.min(count, PROBED_VECTORS), dimension)) {
      this.#seen.fill(-1);
      for (let i = 0; i < count; i++) this.#sortOutRepeating(words, i * dimension, dimension);
    } else this.#sortOut(words, values);
    return this.#assemble(values, out, at);
  }

  /** Splits values into symbols, planes and nothing else. */
  #sortOut(words: Int32Array, values: number): void {
    const symbols = this.#symbols;
    const low = this.#low;
    const high = this.#high;
    const counts = this.#counts;
    let literal = 0;
    for (let i = 0; i < values; i++) {
      const word = words[i]!;
      low[literal] = word;
      high[literal] = ((word >>> 16) & 0x7f) | ((word >>> 24) & 0x80);
      const symbol = word === 0 ? ZERO : (word >>> 23) & 0xff;
      literal += word === 0 ? 0 : 1;
      symbols[i] = symbol;
      counts[symbol]!++;
    }
    this.#literals = literal;
  }

  /** The same, one vector, with references back to magnitudes that it has had. */
  #sortOutRepeating(words: Int32Array, from: number, dimension: number): void {
    const seen = this.#seen;
    const magnitudes = this.#magnitudes;
    const first = this.#literals;
    let literal = first;
    for (let i = from; i < from + dimension; i++) {
      const word = words[i]!;
      const magnitude = word & MAGNITUDE;
      let symbol = ZERO;
      if (word !== 0) {
        const slot = slotOf(magnitude);
        const earlier = seen[slot]!;
        if (earlier >= first && magnitudes[earlier] === magnitude) {
          symbol = REPEAT;
          this.#references.write(((earlier - first) << 1) | (word >>> 31), widthOf(literal - first) + 1);
        } else {
          symbol = magnitude >>> 23;
          seen[slot] = literal;
          magnitudes[literal] = magnitude;
          this.#low[literal] = word;
          this.#high[literal] = ((word >>> 16) & 0x7f) | ((word >>> 24) & 0x80);
          literal++;
        }
      }
      this.#symbols[i] = symbol;
      this.#counts[symbol]!++;
    }
    this.#literals = literal;
  }

  #assemble(values: number, out: Uint8Array, at: number): number {
    const literals = this.#literals;
    const planes = at + HEADER_BYTES;
    new Uint16Array(out.buffer, out.byteOffset + planes, literals).set(this.#low.subarray(0, literals));
    out.set(this.#high.subarray(0, literals), planes + literals * 2);
    const table = planes + literals * 3;
    this.#prefix.build(this.#counts);
    const codes = this.#prefix.writeTable(out, table);
    const references = this.#prefix.write(this.#symbols, values, out, codes);
    const referenceBytes = this.#references.end();
    out.set(this.#referenceBytes.subarray(0, referenceBytes), references);
    const header = new Uint32Array(out.buffer, out.byteOffset + at, HEADER_BYTES / 4);
    header[0] = literals;
    header[1] = references - table;
    header[2] = referenceBytes;
    header[3] = 0;
    return references + referenceBytes;
  }

  #reserve(values: number): void {
    if (this.#symbols.length >= values) return;
    this.#symbols = new Uint16Array(values);
    // One more: a zero is written where the next literal will be.
    this.#low = new Uint16Array(values + 1);
    this.#high = new Uint8Array(values + 1);
    this.#magnitudes = new Int32Array(values);
    this.#referenceBytes = new Uint8Array(Math.ceil((values * REFERENCE_BITS_MAX) / 8) + BIT_STREAM_SLACK);
  }
}

const probed = new Int32Array(1 << SEEN_BITS);

/** Whether a magnitude other than zero occurs twice in one of the vectors; a single such pair may escape. */
export function hasRepetition(words: Int32Array, count: number, dimension: number): boolean {
  for (let from = 0; from < count * dimension; from += dimension) {
    probed.fill(0);
    for (let i = from; i < from + dimension; i++) {
      const magnitude = words[i]! & MAGNITUDE;
      const slot = slotOf(magnitude);
      if (probed[slot] === magnitude && magnitude !== 0) return true;
      probed[slot] = magnitude;
    }
  }
  return false;
}

function slotOf(magnitude: number): number {
  return Math.imul(magnitude, 0x9e3779b1) >>> (32 - SEEN_BITS);
}

export class ExactDecoder {
  readonly #prefix = new PrefixDecoder();
  readonly #references = new BitReader();
  #symbols = new Uint16Array(0);
  #literals = new Int32Array(0);

  /**
   * Restores `count` vectors from u8[at, limit) to `words`; `at` must be 8-byte aligned in its buffer. False when the bytes
   * are not such vectors: `words` then holds anything.
   */
  decode(
    u8: Uint8Array,
    at: number,
    limit: number,
    words: Int32Array,
    count: number,
    dimension: number,
  ): boolean {
    const values = count * dimension;
    if (at + HEADER_BYTES > limit) return false;
    const header = new Uint32Array(u8.buffer, u8.byteOffset + at, HEADER_BYTES / 4);
    const literals = header[0]!;
    const table = at + HEADER_BYTES + literals * 3;
    const references = table + header[1]!;
    const end = references + header[2]!;
    if (literals > values || end > limit) return false;
    if (this.#symbols.length <= values) {
      this.#symbols = new Uint16Array(values + 1);
      this.#literals = new Int32Array(values);
    }
    const codes = this.#prefix.readTable(u8, table, references);
    if (codes < 0 || !this.#prefix.read(u8, codes, references, this.#symbols, values)) return false;
    const low = new Uint16Array(u8.buffer, u8.byteOffset + at + HEADER_BYTES, literals);
    const high = u8.subarray(at + HEADER_BYTES + literals * 2, table);
    this.#references.begin(u8, references, end);
    const restored = this.#restore(low, high, words, count, dimension);
    return restored === literals && !this.#references.isShort;
  }

  /** Returns how many literals were used, or −1. */
  #restore(low: Uint16Array, high: Uint8Array, words: Int32Array, count: number, dimension: number): number {
    const symbols = this.#symbols;
    const known = this.#literals;
    const literals = low.length;
    let literal = 0;
    for (let vector = 0, i = 0; vector < count; vector++) {
      const first = literal;
      for (const last = i + dimension; i < last; i++) {
        const symbol = symbols[i]!;
        if (symbol < ZERO) {
          if (literal === literals) return -1;
          const top = high[literal]!;
          const word = ((top & 0x80) << 24) | (symbol << 23) | ((top & 0x7f) << 16) | low[literal]!;
          known[literal++] = word;
          words[i] = word;
        } else if (symbol === ZERO) words[i] = 0;
        else {
          if (literal === first) return -1;
          const reference = this.#references.read(widthOf(literal - first) + 1);
          const earlier = first + (reference >>> 1);
          if (earlier >= literal) return -1;
          words[i] = (known[earlier]! & MAGNITUDE) | (reference << 31);
        }
      }
    }
    return literal;
  }
}

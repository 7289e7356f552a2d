/**
 * A block of float32 vectors of one dimension in bytes that say by themselves how they are to be read:
 *
 *   0  u8 form: 0 plain, 1 exact (exact-form.ts), 2, 3 and 4 int8 with a residual of 0, 8, 16 bits (quantised-form.ts)
 *   1  u8[3] zero
 *   4  u32 vectors
 *   8  u32 dimension
 *  12  u32 bytes of what follows, without the padding to a multiple of 8
 *  16  the vectors in that form
 *
 * All little-endian. There is no checksum: whoever stores blocks has one for the whole record. The decoder trusts nothing all the
 * same; bytes that are no block are refused, or restored as some vectors, never read or written beyond.
 */
import { assert } from '../../runtime/assert.ts';
import { VECTOR_DIMENSION_MAX } from '../../runtime/config/bounds.ts';
import { BLOCK_VALUES_MAX } from '../assembly/codec-layout.ts';
import { ExactDecoder, ExactEncoder, exactBytesMax } from './exact-form.ts';
import { loadExactLoops } from './exact-module.ts';
import { NativeExactDecoder, NativeExactEncoder } from './exact-native.ts';
import {
  isQuantisable,
  QuantisedDecoder,
  QuantisedEncoder,
  quantisedBytesMax,
  type ResidualBits,
} from './quantised-form.ts';

/** 'plain' and 'exact' restore every bit; the others by what quantised-form.ts says. */
export type VectorForm = 'plain' | 'exact' | 'int8' | 'int8+8' | 'int8+16';

const FORMS: readonly VectorForm[] = ['plain', 'exact', 'int8', 'int8+8', 'int8+16'];
const PLAIN = 0;
const EXACT = 1;
const INT8 = 2;
const RESIDUALS: readonly ResidualBits[] = [0, 8, 16];
const HEADER_BYTES = 16;
/** Values a block should have: enough that its table does not weigh, few enough to stay in the cache. */
const VALUES_PER_BLOCK = 32 * 1024;
/** Most values that are taken for a block: anything more is a damaged header. */
const VALUES_MAX = VALUES_PER_BLOCK + VECTOR_DIMENSION_MAX;

assert(VALUES_MAX <= BLOCK_VALUES_MAX, 'a block fits the memory of the compiled loops');

/** Vectors of a block of the usual size. */
export function vectorsPerBlock(dimension: number): number {
  return Math.max(1, Math.floor(VALUES_PER_BLOCK / dimension));
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Most bytes of a block, in whatever form. */
export function blockBytesMax(count: number, dimension: number): number {
  const values = count * dimension;
  return HEADER_BYTES + padded(Math.max(exactBytesMax(values), quantisedBytesMax(count, dimension, 16)));
}

export class VectorBlockEncoder {
  readonly #exact: Pick<ExactEncoder, 'encode'>;
  readonly #quantised = new QuantisedEncoder();

  /** Not compiled, everything is done in JavaScript, with the same result. */
  constructor(isCompiled = true) {
    const loops = isCompiled ? loadExactLoops() : undefined;
    this.#exact = loops ? new NativeExactEncoder(loops) : new ExactEncoder();
  }

  /**
   * Writes the first `count` vectors of `vectors` at `at` (a multiple of 8) in `out`, with room for {@link blockBytesMax};
   * returns where the block ends, a multiple of 8. What does not shrink is stored plain; what has values that `form` cannot say,
   * exactly.
   */
  encode(
    vectors: Float32Array,
    count: number,
    dimension: number,
    form: VectorForm,
    out: Uint8Array,
    at: number,
  ): number {
    assert(count > 0 && count * dimension <= VALUES_MAX, 'a block has 1 to VALUES_MAX values');
    assert((out.byteOffset + at) % 8 === 0, 'a block is 8-byte aligned');
    const body = at + HEADER_BYTES;
    let number = FORMS.indexOf(form);
    let end = body;
    if (number >= INT8 && !isQuantisable(vectors, count, dimension)) number = EXACT;
    if (number >= INT8) {
      end = this.#quantised.encode(vectors, count, dimension, RESIDUALS[number - INT8]!, out, body);
    } else if (number === EXACT) {
      const words = new Int32Array(vectors.buffer, vectors.byteOffset, count * dimension);
      end = this.#exact.encode(words, count, dimension, out, body);
    }
    const plainBytes = count * dimension * 4;
    if (number === PLAIN || end - body >= plainBytes) {
      number = PLAIN;
      end = body + plainBytes;
      out.set(new Uint8Array(vectors.buffer, vectors.byteOffset, plainBytes), body);
    }
    const header = new Uint32Array(out.buffer, out.byteOffset + at, HEADER_BYTES / 4);
    header[0] = number;
    header[1] = count;
    header[2] = dimension;
    header[3] = end - body;
    out.fill(0, end, at + padded(end - at));
    return at + padded(end - at);
  }
}

/** A view of the block that was read last: all of it belongs to the decoder and is overwritten by the next one. */
export class VectorBlockDecoder {
  count = 0;
  dimension = 0;
  form: VectorForm = 'plain';
  readonly #exact: Pick<ExactDecoder, 'decode'>;
  readonly #quantised = new QuantisedDecoder();
  #vectors = new Float32Array(0);

  /** Not compiled, everything is done in JavaScript, with the same result. */
  constructor(isCompiled = true) {
    const loops = isCompiled ? loadExactLoops() : undefined;
    this.#exact = loops ? new NativeExactDecoder(loops) : new ExactDecoder();
  }

  /** `count` vectors, one after the other. */
  get vectors(): Float32Array {
    return this.#vectors.subarray(0, this.count * this.dimension);
  }

  /** Reads the block in u8[at, limit); returns where it ends, or −1 when it is none. `at` is a multiple of 8 in the buffer. */
  read(u8: Uint8Array, at: number, limit: number): number {
    assert((u8.byteOffset + at) % 8 === 0, 'a block is 8-byte aligned');
    this.count = 0;
    if (at + HEADER_BYTES > limit || limit > u8.length) return -1;
    const header = new Uint32Array(u8.buffer, u8.byteOffset + at, HEADER_BYTES / 4);
    const number = header[0]!;
    const count = header[1]!;
    const dimension = header[2]!;
    const body = at + HEADER_BYTES;
    // Before anything is added up in 32 bits.
    if (number >= FORMS.length || header[3]! > limit - body) return -1;
    const end = body + header[3]!;
    if (at + padded(end - at) > limit) return -1;
    if (dimension < 1 || dimension > VECTOR_DIMENSION_MAX || count < 1 || count * dimension > VALUES_MAX)
      return -1;
    if (this.#vectors.length < count * dimension) this.#vectors = new Float32Array(VALUES_MAX);
    if (!this.#decode(number, u8, body, end, count, dimension)) return -1;
    this.form = FORMS[number]!;
    this.count = count;
    this.dimension = dimension;
    return at + padded(end - at);
  }

  #decode(
    number: number,
    u8: Uint8Array,
    body: number,
    end: number,
    count: number,
    dimension: number,
  ): boolean {
    const values = count * dimension;
    if (number >= INT8) {
      const residualBits = RESIDUALS[number - INT8]!;
      return this.#quantised.decode(u8, body, end, this.#vectors, count, dimension, residualBits);
    }
    const words = new Int32Array(this.#vectors.buffer, 0, values);
    if (number === EXACT) return this.#exact.decode(u8, body, end, words, count, dimension);
    if (end - body !== values * 4) return false;
    words.set(new Int32Array(u8.buffer, u8.byteOffset + body, values));
    return true;
  }
}

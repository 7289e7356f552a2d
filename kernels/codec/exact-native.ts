/**
 * The exact form (exact-form.ts, which is the oracle) with its loops compiled: the same bytes, faster. For blocks of up to
 * BLOCK_VALUES_MAX values.
 */
import { assert } from '../../runtime/assert.ts';
import {
  BLOCK_VALUES_MAX,
  CODE_SYMBOLS,
  CODES,
  COUNTS,
  HIGH,
  LOW,
  REFERENCE_BYTES_MAX,
  REFERENCES,
  STREAM,
  STREAM_BYTES_MAX,
  WORDS,
} from '../assembly/codec-layout.ts';
import { exactBytesMax, HEADER_BYTES, hasRepetition, PROBED_VECTORS } from './exact-form.ts';
import type { ExactLoops } from './exact-module.ts';
import { PrefixDecoder, PrefixEncoder, STREAM_SLACK_BYTES } from './prefix-code.ts';

export class NativeExactEncoder {
  readonly #loops: ExactLoops;
  readonly #prefix = new PrefixEncoder();
  readonly #u8: Uint8Array;
  readonly #words: Int32Array;
  readonly #counts: Uint32Array;
  readonly #codes: Uint32Array;

  constructor(loops: ExactLoops) {
    const { buffer } = loops.memory;
    this.#loops = loops;
    this.#u8 = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer, WORDS, BLOCK_VALUES_MAX);
    this.#counts = new Uint32Array(buffer, COUNTS, CODE_SYMBOLS);
    this.#codes = new Uint32Array(buffer, CODES, CODE_SYMBOLS);
  }

  /** As that of ExactEncoder. */
  encode(words: Int32Array, count: number, dimension: number, out: Uint8Array, at: number): number {
    const values = count * dimension;
    assert(words.length >= values && values > 0, 'there are as many values as said');
    assert(values <= BLOCK_VALUES_MAX, 'a block fits the memory of the module');
    assert(out.length >= at + exactBytesMax(values), 'there is room for the worst case');
    this.#words.set(words.length === values ? words : words.subarray(0, values));
    this.#counts.fill(0);
    const isRepeating = hasRepetition(words, Math.min(count, PROBED_VECTORS), dimension);
    const literals = isRepeating
      ? this.#loops.sortOutRepeating(count, dimension)
      : this.#loops.sortOut(values);
    const table = this.#copy(LOW, literals * 2, out, at + HEADER_BYTES);
    const tableAt = this.#copy(HIGH, literals, out, table);
    this.#prefix.build(this.#counts);
    const codes = this.#prefix.writeTable(out, tableAt);
    this.#prefix.copyCodes(this.#codes);
    const slack = this.#copy(STREAM, this.#loops.writeCodes(values), out, codes);
    const references = slack + STREAM_SLACK_BYTES;
    out.fill(0, slack, references);
    const end = this.#copyReferences(isRepeating, out, references);
    const header = new Uint32Array(out.buffer, out.byteOffset + at, HEADER_BYTES / 4);
    header[0] = literals;
    header[1] = references - tableAt;
    header[2] = end - references;
    header[3] = 0;
    return end;
  }

  /** Without references: a stream without a bit. */
  #copyReferences(isRepeating: boolean, out: Uint8Array, at: number): number {
    if (isRepeating) return this.#copy(REFERENCES, this.#loops.endReferences(), out, at);
    out.fill(0, at, at + 2);
    return at + 2;
  }

  #copy(from: number, bytes: number, out: Uint8Array, at: number): number {
    out.set(this.#u8.subarray(from, from + bytes), at);
    return at + bytes;
  }
}

export class NativeExactDecoder {
  readonly #loops: ExactLoops;
  readonly #prefix = new PrefixDecoder();
  readonly #u8: Uint8Array;
  readonly #words: Int32Array;
  readonly #codes: Uint32Array;

  constructor(loops: ExactLoops) {
    const { buffer } = loops.memory;
    this.#loops = loops;
    this.#u8 = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer, WORDS, BLOCK_VALUES_MAX);
    this.#codes = new Uint32Array(buffer, CODES, CODE_SYMBOLS);
  }

  /** As that of ExactDecoder. */
  decode(
    u8: Uint8Array,
    at: number,
    limit: number,
    words: Int32Array,
    count: number,
    dimension: number,
  ): boolean {
    const values = count * dimension;
    if (values > BLOCK_VALUES_MAX || at + HEADER_BYTES > limit) return false;
    const header = new Uint32Array(u8.buffer, u8.byteOffset + at, HEADER_BYTES / 4);
    const literals = header[0]!;
    const planes = at + HEADER_BYTES;
    const table = planes + literals * 3;
    const references = table + header[1]!;
    const end = references + header[2]!;
    if (literals > values || end > limit) return false;
    const codes = this.#prefix.readTable(u8, table, references);
    if (codes < 0) return false;
    if (references - codes > STREAM_BYTES_MAX || end - references > REFERENCE_BYTES_MAX) return false;
    this.#u8.set(u8.subarray(planes, planes + literals * 2), LOW);
    this.#u8.set(u8.subarray(planes + literals * 2, table), HIGH);
    this.#u8.set(u8.subarray(codes, references), STREAM);
    this.#u8.set(u8.subarray(references, end), REFERENCES);
    const { tableBits } = this.#prefix;
    this.#prefix.copyCodes(this.#codes);
    this.#loops.fillTable(tableBits);
    if (this.#loops.readCodes(references - codes, tableBits, values) === 0) return false;
    if (this.#loops.restore(count, dimension, end - references) !== literals) return false;
    words.set(this.#words.subarray(0, values));
    return true;
  }
}

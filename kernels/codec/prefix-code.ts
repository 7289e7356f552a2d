/**
 * Canonical prefix codes (Huffman 1952; canonical as in RFC 1951, section 3.2.2) for symbols below {@link SYMBOLS}, no code
 * longer than {@link CODE_BITS_MAX}. Bits are packed from the least significant on.
 *
 * A table in bytes: u16 number of symbols in use, then for each of them, ascending, u16 symbol × 16 + length of its code.
 */
import { assert } from '../../runtime/assert.ts';

export const SYMBOLS = 258;
/** Longest table. */
export const TABLE_BYTES_MAX = 2 + SYMBOLS * 2;

/** Longer codes would save less than 0.1 % and make the decoder's table spill out of the nearest cache. */
const CODE_BITS_MAX = 11;
const ENTRY_COUNT_SHIFT = 18;
const ENTRY_BITS_SHIFT = 20;
const SYMBOL_MASK = 511;
/** A decoder reads two bytes at a time, and looks ahead. */
export const STREAM_SLACK_BYTES = 4;

/** Most bytes that `symbols` symbols take. */
export function streamBytesMax(symbols: number): number {
  return ((symbols * CODE_BITS_MAX) >>> 3) + 2 + STREAM_SLACK_BYTES;
}

export class PrefixEncoder {
  readonly #lengths = new Uint8Array(SYMBOLS);
  readonly #codes = new Uint16Array(SYMBOLS);

  /** Prepares the best code for symbols that occur so often; at least one must occur. */
  build(counts: Uint32Array): void {
    assert(counts.length === SYMBOLS, 'a count for each symbol');
    findLengths(counts, this.#lengths);
    assignCodes(this.#lengths, this.#codes);
  }

  /** Per symbol its code, and from bit 16 on the length of that. */
  copyCodes(to: Uint32Array): void {
    copyCodes(this.#codes, this.#lengths, to);
  }

  /** Writes the table at `at`; returns where it ends. */
  writeTable(u8: Uint8Array, at: number): number {
    let end = at + 2;
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      const length = this.#lengths[symbol]!;
      if (length === 0) continue;
      const entry = symbol * 16 + length;
      u8[end] = entry;
      u8[end + 1] = entry >>> 8;
      end += 2;
    }
    const used = (end - at - 2) / 2;
    u8[at] = used;
    u8[at + 1] = used >>> 8;
    return end;
  }

  /** Writes the codes of `count` symbols at `at`; returns where they end. Room: {@link streamBytesMax}. */
  write(symbols: Uint16Array, count: number, u8: Uint8Array, at: number): number {
    const lengths = this.#lengths;
    const codes = this.#codes;
    let end = at;
    let bits = 0;
    let filled = 0;
    for (let i = 0; i < count; i++) {
      const symbol = symbols[i]!;
      bits |= codes[symbol]! << filled;
      filled += lengths[symbol]!;
      if (filled >= 16) {
        u8[end] = bits;
        u8[end + 1] = bits >>> 8;
        end += 2;
        bits >>>= 16;
        filled -= 16;
      }
    }
    u8[end] = bits;
    u8[end + 1] = bits >>> 8;
    u8.fill(0, end + 2, end + 2 + STREAM_SLACK_BYTES);
    return end + 2 + STREAM_SLACK_BYTES;
  }
}

export class PrefixDecoder {
  readonly #lengths = new Uint8Array(SYMBOLS);
  readonly #codes = new Uint16Array(SYMBOLS);
  /** By the next bits: one or two symbols, how many, and how long their codes are together; 0 = no code. */
  readonly #pairs = new Int32Array(1 << CODE_BITS_MAX);
  #bits = 0;
  #isFilled = false;

  /** Length of the longest code of the table that was read. */
  get tableBits(): number {
    return this.#bits;
  }

  /** As {@link PrefixEncoder.copyCodes}, of the table that was read. */
  copyCodes(to: Uint32Array): void {
    assignCodes(this.#lengths, this.#codes);
    copyCodes(this.#codes, this.#lengths, to);
  }

  /** Takes the table at `at`; returns where it ends, or −1 when it is none. */
  readTable(u8: Uint8Array, at: number, limit: number): number {
    if (at + 2 > limit) return -1;
    const used = u8[at]! | (u8[at + 1]! << 8);
    const end = at + 2 + used * 2;
    if (used === 0 || used > SYMBOLS || end > limit) return -1;
    this.#lengths.fill(0);
    this.#bits = 0;
    let before = -1;
    // How much of all bit strings the codes take up, in strings of the longest length.
    let taken = 0;
    for (let entry = at + 2; entry < end; entry += 2) {
      const value = u8[entry]! | (u8[entry + 1]! << 8);
      const symbol = value >>> 4;
      const length = value & 15;
      if (symbol <= before || symbol >= SYMBOLS || length === 0 || length > CODE_BITS_MAX) return -1;
      before = symbol;
      this.#lengths[symbol] = length;
      taken += 1 << (CODE_BITS_MAX - length);
      if (length > this.#bits) this.#bits = length;
    }
    if (taken > 1 << CODE_BITS_MAX) return -1;
    this.#isFilled = false;
    return end;
  }

  /**
   * Reads `count` symbols from u8[at, limit) into `symbols`, which must have room for one more. False when the bytes do
   * not hold so many.
   */
  read(u8: Uint8Array, at: number, limit: number, symbols: Uint16Array, count: number): boolean {
    assert(symbols.length > count, 'room for a symbol read along');
    if (!this.#isFilled) this.#fillPairs();
    const pairs = this.#pairs;
    const mask = (1 << this.#bits) - 1;
    let bits = 0;
    let filled = 0;
    let from = at;
    for (let i = 0; i < count; ) {
      if (filled < 16) {
        if (from + 2 > limit) return false;
        bits |= (u8[from]! | (u8[from + 1]! << 8)) << filled;
        from += 2;
        filled += 16;
      }
      const entry = pairs[bits & mask]!;
      if (entry === 0) return false;
      symbols[i] = entry & SYMBOL_MASK;
      symbols[i + 1] = (entry >>> 9) & SYMBOL_MASK;
      i += (entry >>> ENTRY_COUNT_SHIFT) & 3;
      bits >>>= entry >>> ENTRY_BITS_SHIFT;
      filled -= entry >>> ENTRY_BITS_SHIFT;
    }
    return true;
  }

  #fillPairs(): void {
    const lengths = this.#lengths;
    const pairs = this.#pairs;
    const size = 1 << this.#bits;
    assignCodes(lengths, this.#codes);
    pairs.fill(0, 0, size);
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      const length = lengths[symbol]!;
      if (length === 0) continue;
      const entry = symbol | (1 << ENTRY_COUNT_SHIFT) | (length << ENTRY_BITS_SHIFT);
      for (let bits = this.#codes[symbol]!; bits < size; bits += 1 << length) pairs[bits] = entry;
    }
    // From the top: what a pair is made of, at a lower index, must still be single.
    for (let bits = size - 1; bits >= 0; bits--) this.#addSecond(bits);
    this.#isFilled = true;
  }

  #addSecond(bits: number): void {
    const pairs = this.#pairs;
    const first = pairs[bits]!;
    if (first === 0) return;
    const length = first >>> ENTRY_BITS_SHIFT;
    const second = pairs[bits >>> length]!;
    const both = length + this.#lengths[second & SYMBOL_MASK]!;
    // Bits beyond those that are known are not to be relied on; index 0 is its own successor and comes last.
    if (second === 0 || both > this.#bits) return;
    pairs[bits] =
      (first & SYMBOL_MASK) |
      ((second & SYMBOL_MASK) << 9) |
      (2 << ENTRY_COUNT_SHIFT) |
      (both << ENTRY_BITS_SHIFT);
  }
}

/** Code lengths by Huffman's method; while one is too long, rarer symbols are taken for more frequent than they are. */
function findLengths(counts: Uint32Array, lengths: Uint8Array): void {
  const used: number[] = [];
  for (let symbol = 0; symbol < SYMBOLS; symbol++) if (counts[symbol]! > 0) used.push(symbol);
  assert(used.length > 0, 'a code is for something that occurs');
  used.sort((a, b) => counts[a]! - counts[b]! || a - b);
  let weights = used.map((symbol) => counts[symbol]!);
  let depths = depthsOf(weights);
  while (depths[0]! > CODE_BITS_MAX) {
    weights = weights.map((weight) => (weight >>> 1) + 1);
    depths = depthsOf(weights);
  }
  lengths.fill(0);
  used.forEach((symbol, i) => {
    lengths[symbol] = depths[i]!;
  });
}

/** Depth of each leaf in the Huffman tree over ascending weights: the two-queue method of van Leeuwen (1976). */
function depthsOf(weights: readonly number[]): number[] {
  const leaves = weights.length;
  if (leaves === 1) return [1];
  const nodes = [...weights];
  const parents: number[] = [];
  let leaf = 0;
  let inner = leaves;
  const lightest = (): number =>
    inner >= nodes.length || (leaf < leaves && nodes[leaf]! <= nodes[inner]!) ? leaf++ : inner++;
  while (nodes.length < 2 * leaves - 1) {
    const left = lightest();
    const right = lightest();
    parents[left] = nodes.length;
    parents[right] = nodes.length;
    nodes.push(nodes[left]! + nodes[right]!);
  }
  const depths = new Array<number>(nodes.length).fill(0);
  for (let node = nodes.length - 2; node >= 0; node--) depths[node] = depths[parents[node]!]! + 1;
  return depths.slice(0, leaves);
}

function copyCodes(codes: Uint16Array, lengths: Uint8Array, to: Uint32Array): void {
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    to[symbol] = lengths[symbol] === 0 ? 0 : codes[symbol]! | (lengths[symbol]! << 16);
  }
}

/** Codes ascend with length, then symbol; here with their bits in the order in which they are packed. */
function assignCodes(lengths: Uint8Array, codes: Uint16Array): void {
  let code = 0;
  for (let length = 1; length <= CODE_BITS_MAX; length++) {
    code <<= 1;
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      if (lengths[symbol] === length) codes[symbol] = reversed(code++, length);
    }
  }
}

function reversed(code: number, length: number): number {
  let result = 0;
  for (let bit = 0; bit < length; bit++) result |= ((code >>> bit) & 1) << (length - 1 - bit);
  return result;
}

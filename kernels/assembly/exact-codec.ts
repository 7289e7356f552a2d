// The loops of kernels/codec/exact-form.ts over every value, which is where the format is described. One thread's own memory,
// laid out by codec-layout.ts; the caller has checked that everything fits, the decoder that nothing is read beyond.
import {
  CODE_SYMBOLS,
  CODES,
  COUNTS,
  HIGH,
  KNOWN,
  LOW,
  REFERENCES,
  SEEN,
  SEEN_SLOTS,
  SINGLES,
  STREAM,
  SYMBOLS_AT,
  TABLE,
  WORDS,
} from './codec-layout';

const ZERO: u32 = 256;
const REPEAT: u32 = 257;
const MAGNITUDE: u32 = 0x7fffffff;
const HASH: u32 = 0x9e3779b1;
const HASH_SHIFT: u32 = 20;
const CODE_MASK: u64 = 0xffff;
const LENGTH_SHIFT: u64 = 16;
const COUNT_SHIFT: u64 = 48;
const USED_SHIFT: u64 = 56;

let referenceBits: u64 = 0;
let referenceFilled: u32 = 0;
let referencesEnd: usize = REFERENCES;

function storeLiteral(literal: u32, word: u32): void {
  store<u16>(LOW + (literal << 1), <u16>word);
  store<u8>(HIGH + literal, <u8>(((word >>> 16) & 0x7f) | ((word >>> 24) & 0x80)));
}

function storeSymbol(at: u32, symbol: u32): void {
  store<u16>(SYMBOLS_AT + (at << 1), <u16>symbol);
  const count: usize = COUNTS + (symbol << 2);
  store<u32>(count, load<u32>(count) + 1);
}

export function sortOut(values: u32): u32 {
  let literal: u32 = 0;
  for (let i: u32 = 0; i < values; i++) {
    const word = load<u32>(WORDS + (i << 2));
    storeLiteral(literal, word);
    storeSymbol(i, select<u32>(ZERO, (word >>> 23) & 0xff, word === 0));
    literal += <u32>(word !== 0);
  }
  return literal;
}

export function sortOutRepeating(vectors: u32, dimension: u32): u32 {
  memory.fill(SEEN, 0xff, SEEN_SLOTS * 4);
  referenceBits = 0;
  referenceFilled = 0;
  referencesEnd = REFERENCES;
  let literal: u32 = 0;
  for (let i: u32 = 0; i < vectors * dimension; i += dimension)
    literal = sortOutVector(i, dimension, literal);
  return literal;
}

/** Zeros come without rule, so nothing branches on them: what is stored for one, the next literal overwrites. */
function sortOutVector(from: u32, dimension: u32, first: u32): u32 {
  let literal = first;
  for (let i = from; i < from + dimension; i++) {
    const word = load<u32>(WORDS + (i << 2));
    const magnitude = word & MAGNITUDE;
    const slot: usize = SEEN + (((magnitude * HASH) >>> HASH_SHIFT) << 2);
    const earlier = load<i32>(slot);
    if (earlier >= <i32>first && word !== 0 && load<u32>(KNOWN + (earlier << 2)) === magnitude) {
      storeSymbol(i, REPEAT);
      writeReference(((<u32>earlier - first) << 1) | (word >>> 31), widthOf(literal - first) + 1);
      continue;
    }
    store<u32>(slot, select<u32>(earlier, literal, word === 0));
    store<u32>(KNOWN + (literal << 2), magnitude);
    storeLiteral(literal, word);
    storeSymbol(i, select<u32>(ZERO, magnitude >>> 23, word === 0));
    literal += <u32>(word !== 0);
  }
  return literal;
}

function widthOf(count: u32): u32 {
  return 32 - clz<u32>(count - 1);
}

function writeReference(value: u32, width: u32): void {
  referenceBits |= (<u64>value) << referenceFilled;
  referenceFilled += width;
  if (referenceFilled < 16) return;
  store<u16>(referencesEnd, <u16>referenceBits);
  referencesEnd += 2;
  referenceBits >>= 16;
  referenceFilled -= 16;
}

/** Bytes of the references since sortOutRepeating; only after that. */
export function endReferences(): u32 {
  store<u16>(referencesEnd, <u16>referenceBits);
  return <u32>(referencesEnd + 2 - REFERENCES);
}

function codeOf(symbol: u64): u64 {
  return load<u32>(CODES + ((<u32>symbol & 0xffff) << 2));
}

/** The codes of two symbols as one. */
function joined(first: u64, second: u64): u64 {
  return (first & CODE_MASK) | ((second & CODE_MASK) << (first >> LENGTH_SHIFT));
}

/** Bytes of the codes, without slack: as many as if it were written two bytes at a time. Four symbols are at most 44 bits. */
export function writeCodes(values: u32): u32 {
  let bits: u64 = 0;
  let filled: u64 = 0;
  let end: usize = STREAM;
  let i: u32 = 0;
  for (; i + 4 <= values; i += 4) {
    const symbols = load<u64>(SYMBOLS_AT + (i << 1));
    const a = codeOf(symbols);
    const b = codeOf(symbols >> 16);
    const c = codeOf(symbols >> 32);
    const d = codeOf(symbols >> 48);
    const half = (a >> LENGTH_SHIFT) + (b >> LENGTH_SHIFT);
    bits |= (joined(a, b) | (joined(c, d) << half)) << filled;
    filled += half + (c >> LENGTH_SHIFT) + (d >> LENGTH_SHIFT);
    store<u64>(end, bits);
    end += <usize>(filled >> 3);
    bits >>= filled & 0x38;
    filled &= 7;
  }
  for (; i < values; i++) {
    const code = codeOf(load<u16>(SYMBOLS_AT + (i << 1)));
    bits |= (code & CODE_MASK) << filled;
    filled += code >> LENGTH_SHIFT;
  }
  store<u64>(end, bits);
  const total = ((<u64>(end - STREAM)) << 3) + filled;
  return ((<u32>(total >> 4)) << 1) + 2;
}

/** Makes the decoder's table of the codes. */
export function fillTable(tableBits: u32): void {
  const size: u32 = 1 << tableBits;
  memory.fill(SINGLES, 0, size << 2);
  for (let symbol: u32 = 0; symbol < <u32>CODE_SYMBOLS; symbol++) {
    const code = load<u32>(CODES + (symbol << 2));
    const length = code >>> 16;
    if (length === 0) continue;
    for (let bits = code & 0xffff; bits < size; bits += 1 << length) {
      store<u32>(SINGLES + (bits << 2), symbol | (length << 16));
    }
  }
  for (let bits: u32 = 0; bits < size; bits++) store<u64>(TABLE + (bits << 3), entryOf(bits, tableBits));
}

/** As many symbols, up to three, as the bits that are known say. */
function entryOf(bits: u32, tableBits: u32): u64 {
  let entry: u64 = 0;
  let used: u32 = 0;
  let count: u32 = 0;
  for (; count < 3; count++) {
    const single = load<u32>(SINGLES + ((bits >>> used) << 2));
    const length = single >>> 16;
    if (single === 0 || used + length > tableBits) break;
    entry |= (<u64>(single & 0xffff)) << (count << 4);
    used += length;
  }
  return entry | ((<u64>count) << COUNT_SHIFT) | ((<u64>used) << USED_SHIFT);
}

/** Whether the `bytes` of the stream hold so many symbols. Two lookups after each refill: 22 of at least 32 bits. */
export function readCodes(bytes: u32, tableBits: u32, count: u32): bool {
  const mask: u64 = (1 << tableBits) - 1;
  const last: usize = SYMBOLS_AT + (count << 1);
  let bits: u64 = 0;
  let filled: u64 = 0;
  let from: usize = STREAM;
  let to: usize = SYMBOLS_AT;
  // What a lookup beyond the last symbol takes does not count.
  let before: u64 = 0;
  while (to < last) {
    if (filled < 32) {
      bits |= (<u64>load<u32>(from)) << filled;
      from += 4;
      filled += 32;
    }
    const first = load<u64>(TABLE + ((<u32>(bits & mask)) << 3));
    store<u64>(to, first);
    to += (<usize>((first >> COUNT_SHIFT) & 3)) << 1;
    bits >>= first >> USED_SHIFT;
    const second = load<u64>(TABLE + ((<u32>(bits & mask)) << 3));
    store<u64>(to, second);
    to += (<usize>((second >> COUNT_SHIFT) & 3)) << 1;
    bits >>= second >> USED_SHIFT;
    if (first === 0 || second === 0) return false;
    before = filled;
    filled -= (first >> USED_SHIFT) + (second >> USED_SHIFT);
  }
  return (<u64>(from - STREAM)) << 3 <= ((<u64>bytes) << 3) + before;
}

/**
 * How many literals the words from symbols, planes and `bytes` of references take, or −1. More than there are make words of
 * what lies behind; the caller compares. Nothing branches on zeros, as above.
 */
export function restore(vectors: u32, dimension: u32, bytes: u32): i32 {
  let literal: u32 = 0;
  let bits: u64 = 0;
  let filled: u32 = 0;
  let from: usize = REFERENCES;
  for (let i: u32 = 0; i < vectors * dimension; ) {
    const first = literal;
    for (const last = i + dimension; i < last; i++) {
      const symbol = <u32>load<u16>(SYMBOLS_AT + (i << 1));
      if (symbol === REPEAT) {
        if (literal === first) return -1;
        const width = widthOf(literal - first) + 1;
        if (filled < width) {
          bits |= (<u64>load<u32>(from)) << filled;
          from += 4;
          filled += 32;
        }
        const reference = <u32>bits & ((1 << width) - 1);
        bits >>= width;
        filled -= width;
        const earlier = first + (reference >>> 1);
        if (earlier >= literal) return -1;
        store<u32>(WORDS + (i << 2), (load<u32>(KNOWN + (earlier << 2)) & MAGNITUDE) | (reference << 31));
      } else {
        const top = <u32>load<u8>(HIGH + literal);
        const low = <u32>load<u16>(LOW + (literal << 1));
        const word = ((top & 0x80) << 24) | (symbol << 23) | ((top & 0x7f) << 16) | low;
        store<u32>(KNOWN + (literal << 2), word);
        store<u32>(WORDS + (i << 2), select<u32>(0, word, symbol === ZERO));
        literal += <u32>(symbol !== ZERO);
      }
    }
  }
  return (<u32>(from - REFERENCES)) << 3 <= (bytes << 3) + filled ? <i32>literal : -1;
}

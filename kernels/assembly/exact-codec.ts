// The loops of kernels/codec/exact-form.ts over every value, which is where the format is described. One thread's own memory,
// laid out by codec-layout.ts; the caller has checked that everything fits, the decoder that nothing is read beyond.
import {
  CODES,
  COUNTS,
  HIGH,
  KNOWN,
  LOW,
  PAIRS,
  REFERENCES,
  SEEN,
  SEEN_SLOTS,
  STREAM,
  SYMBOLS_AT,
  WORDS,
} from './codec-layout';

const ZERO: u32 = 256;
const REPEAT: u32 = 257;
const MAGNITUDE: u32 = 0x7fffffff;
const HASH: u32 = 0x9e3779b1;
const HASH_SHIFT: u32 = 20;
const SYMBOL_MASK: u32 = 511;

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

function sortOutVector(from: u32, dimension: u32, first: u32): u32 {
  let literal = first;
  for (let i = from; i < from + dimension; i++) {
    const word = load<u32>(WORDS + (i << 2));
    if (word === 0) {
      storeSymbol(i, ZERO);
      continue;
    }
    const magnitude = word & MAGNITUDE;
    const slot: usize = SEEN + (((magnitude * HASH) >>> HASH_SHIFT) << 2);
    const earlier = load<i32>(slot);
    if (earlier >= <i32>first && load<u32>(KNOWN + (earlier << 2)) === magnitude) {
      storeSymbol(i, REPEAT);
      writeReference(((<u32>earlier - first) << 1) | (word >>> 31), widthOf(literal - first) + 1);
      continue;
    }
    store<u32>(slot, literal);
    store<u32>(KNOWN + (literal << 2), magnitude);
    storeLiteral(literal, word);
    storeSymbol(i, magnitude >>> 23);
    literal++;
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

/** Bytes of the codes, without slack: as many as if it were written two bytes at a time. */
export function writeCodes(values: u32): u32 {
  let bits: u64 = 0;
  let filled: u32 = 0;
  let end: usize = STREAM;
  for (let i: u32 = 0; i < values; i++) {
    const code = load<u32>(CODES + ((<u32>load<u16>(SYMBOLS_AT + (i << 1))) << 2));
    bits |= (<u64>(code & 0xffff)) << filled;
    filled += code >>> 16;
    if (filled >= 48) {
      store<u64>(end, bits);
      end += 6;
      bits >>= 48;
      filled -= 48;
    }
  }
  store<u64>(end, bits);
  return <u32>(end - STREAM) + ((filled >>> 4) << 1) + 2;
}

/** Whether the `bytes` of the stream hold so many symbols. Two lookups after each refill: 22 of at least 32 bits. */
export function readCodes(bytes: u32, tableBits: u32, count: u32): bool {
  const mask: u32 = (1 << tableBits) - 1;
  const last: usize = SYMBOLS_AT + (count << 1);
  let bits: u64 = 0;
  let filled: u32 = 0;
  let from: usize = STREAM;
  let to: usize = SYMBOLS_AT;
  // What a lookup beyond the last symbol takes does not count.
  let before: u32 = 0;
  while (to < last) {
    if (filled < 32) {
      bits |= (<u64>load<u32>(from)) << filled;
      from += 4;
      filled += 32;
    }
    const first = load<u32>(PAIRS + ((<u32>bits & mask) << 2));
    bits >>= first >>> 20;
    const second = load<u32>(PAIRS + ((<u32>bits & mask) << 2));
    bits >>= second >>> 20;
    if (first === 0 || second === 0) return false;
    store<u32>(to, (first & SYMBOL_MASK) | (((first >>> 9) & SYMBOL_MASK) << 16));
    to += ((first >>> 18) & 3) << 1;
    store<u32>(to, (second & SYMBOL_MASK) | (((second >>> 9) & SYMBOL_MASK) << 16));
    to += ((second >>> 18) & 3) << 1;
    before = filled;
    filled -= (first >>> 20) + (second >>> 20);
  }
  return (<u32>(from - STREAM)) << 3 <= (bytes << 3) + before;
}

/** Literals used, or −1: the words from symbols, planes and `bytes` of references. */
export function restore(vectors: u32, dimension: u32, literals: u32, bytes: u32): i32 {
  let literal: u32 = 0;
  let bits: u64 = 0;
  let filled: u32 = 0;
  let from: usize = REFERENCES;
  for (let i: u32 = 0; i < vectors * dimension; ) {
    const first = literal;
    for (const last = i + dimension; i < last; i++) {
      const symbol = <u32>load<u16>(SYMBOLS_AT + (i << 1));
      if (symbol < ZERO) {
        if (literal === literals) return -1;
        const top = <u32>load<u8>(HIGH + literal);
        const word =
          ((top & 0x80) << 24) | (symbol << 23) | ((top & 0x7f) << 16) | <u32>load<u16>(LOW + (literal << 1));
        store<u32>(KNOWN + (literal << 2), word);
        store<u32>(WORDS + (i << 2), word);
        literal++;
      } else if (symbol === ZERO) {
        store<u32>(WORDS + (i << 2), 0);
      } else {
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
      }
    }
  }
  return ((<u32>(from - REFERENCES)) << 3) - filled <= bytes << 3 ? <i32>literal : -1;
}

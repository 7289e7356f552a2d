/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720 appendix B.4), slicing-by-8 after
 * Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC Generators".
 */
const POLYNOMIAL = 0x82f63b78;

/** T[k * 256 + b]: the CRC of byte b followed by k zero bytes. */
const T = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  T[byte] = crc;
}
for (let k = 1; k < 8; k++) {
  for (let byte = 0; byte < 256; byte++) {
    const previous = T[(k - 1) * 256 + byte]!;
    T[k * 256 + byte] = T[previous & 255]! ^ (previous >>> 8);
  }
}

/** The last buffer summed, as words: a view costs more than a short sum, and nearly all sums are of one arena. */
let words: Int32Array = new Int32Array(0);

/** Words of the longest typed array; an arena may be larger, and is then seen through a window of this size. */
const WORDS_MAX = 2 ** 32;
/** A window begins at a multiple of this, so that any range of 8 GiB lies in one. */
const WINDOW_STEP = 8 * 2 ** 30;

/** Words of `buffer` with the byte at `from` and at least 8 GiB behind it among them, as far as there are. */
function wordsAround(buffer: ArrayBufferLike, from: number): Int32Array {
  const isWhole = buffer.byteLength / 4 <= WORDS_MAX;
  const start = isWhole ? 0 : from - (from % WINDOW_STEP);
  if (words.buffer !== buffer || words.byteOffset !== start) {
    // Not with a shift: a buffer has more bytes than 32 bits can say.
    const length = Math.min(Math.floor((buffer.byteLength - start) / 4), WORDS_MAX);
    words = new Int32Array(buffer, start, length);
  }
  return words;
}

/**
 * CRC-32C of `u8[start, end)` as an unsigned 32-bit number. `seed` is the CRC of the bytes before it, so
 * crc(a ++ b) = crc(b, crc(a)). `u8` may lie over shared memory; nobody may write the range meanwhile.
 */
export function crc32c(u8: Uint8Array, start: number, end: number, seed = 0): number {
  let crc = ~seed;
  let at = start;
  if (end - start >= 32) {
    while (((u8.byteOffset + at) & 3) !== 0) crc = T[(crc ^ u8[at++]!) & 255]! ^ (crc >>> 8);
    const pairs = (end - at) >>> 3;
    const from = u8.byteOffset + at;
    const i32 = wordsAround(u8.buffer, from);
    crc = crcOfWords(i32, (from - i32.byteOffset) / 4, pairs, crc);
    at += pairs * 8;
  }
  while (at < end) crc = T[(crc ^ u8[at++]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function crcOfWords(i32: Int32Array, index: number, pairs: number, seed: number): number {
  let crc = seed;
  for (let at = index, last = index + pairs * 2; at < last; at += 2) {
    crc ^= i32[at]!;
    const next = i32[at + 1]!;
    crc =
      T[1792 + (crc & 255)]! ^
      T[1536 + ((crc >>> 8) & 255)]! ^
      T[1280 + ((crc >>> 16) & 255)]! ^
      T[1024 + (crc >>> 24)]! ^
      T[768 + (next & 255)]! ^
      T[512 + ((next >>> 8) & 255)]! ^
      T[256 + ((next >>> 16) & 255)]! ^
      T[next >>> 24]!;
  }
  return crc;
}

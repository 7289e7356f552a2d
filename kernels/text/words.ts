/**
 * The word table: what each known word means and how much it says.
 *
 * One read-only buffer, written at build time by `build-words.ts` and shared by all threads (it may be a
 * SharedArrayBuffer: nothing is ever stored into it after loading). All numbers are little-endian.
 *
 *   header   u32 × 8: MAGIC, VERSION, words, dimension, slots, 0, 0, 0
 *   slots    u32 × 2 × slots: fingerprint of the word, index of the word + 1 (0 = free); open addressing, linear probing
 *   scales   f32 × words: factor that turns a word's int8 row into a unit vector
 *   rarity   f32 × words: how much the word says, 0 (the most frequent) … 1 (the rarest kept): its information
 *            content −log p, p estimated from its frequency rank, scaled to this range
 *   rows     i8 × words × dimension
 *
 * Words themselves are not stored: two independent 32-bit hashes (slot and fingerprint) tell them apart, so
 * an unknown word is mistaken for a known one about once in 2^32 probes.
 */
import { assert } from '../../runtime/assert.ts';

export const WORDS_MAGIC = 0x57565856; // "VXVW"
export const WORDS_VERSION = 1;
export const WORDS_HEADER_BYTES = 32;

/** Index of a word that is not in the table. */
export const UNKNOWN_WORD = -1;

/** Two 32-bit hashes of a string (MurmurHash3's finaliser over two multiplicative streams); results in {@link hashes}. */
export const hashes = { slot: 0, fingerprint: 0 };
export function hashWord(word: string, seed = 0): void {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x85ebca6b ^ seed;
  for (let i = 0; i < word.length; i++) {
    const unit = word.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul((b ^ unit) + (b << 7), 0x2c1b3c6d);
  }
  hashes.slot = mix(a);
  hashes.fingerprint = mix(b ^ word.length);
}

/** MurmurHash3's 32-bit finaliser: every input bit moves every output bit. */
export function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export class WordTable {
  readonly count: number;
  readonly dimension: number;
  readonly scales: Float32Array;
  readonly rarity: Float32Array;
  readonly rows: Int8Array;
  private readonly slots: Uint32Array;
  private readonly mask: number;

  constructor(buffer: ArrayBufferLike) {
    const header = new Uint32Array(buffer, 0, WORDS_HEADER_BYTES / 4);
    this.count = header[2]!;
    this.dimension = header[3]!;
    const slots = header[4]!;
    this.mask = slots - 1;
    let at = WORDS_HEADER_BYTES;
    this.slots = new Uint32Array(buffer, at, slots * 2);
    at += slots * 8;
    this.scales = new Float32Array(buffer, at, this.count);
    at += this.count * 4;
    this.rarity = new Float32Array(buffer, at, this.count);
    at += this.count * 4;
    this.rows = new Int8Array(buffer, at, this.count * this.dimension);
  }

  /** Index of a lower-case word, or {@link UNKNOWN_WORD}. */
  find(word: string): number {
    hashWord(word);
    const { slot, fingerprint } = hashes;
    const { slots, mask } = this;
    for (let s = slot & mask; ; s = (s + 1) & mask) {
      const index = slots[s * 2 + 1]!;
      if (index === 0) return UNKNOWN_WORD;
      if (slots[s * 2] === fingerprint) return index - 1;
    }
  }

  /** Cosine of two words' vectors. */
  cosine(a: number, b: number): number {
    const { rows, dimension, scales } = this;
    let sum = 0;
    for (let i = 0; i < dimension; i++) sum += rows[a * dimension + i]! * rows[b * dimension + i]!;
    return sum * scales[a]! * scales[b]!;
  }
}

/** Bytes of a table with these counts. */
export function wordTableBytes(words: number, dimension: number, slots: number): number {
  return WORDS_HEADER_BYTES + slots * 8 + words * 8 + words * dimension;
}

/**
 * Opens a word table. The buffer is used in place and never written.
 * @throws Error that says how to build the table, when the buffer is not one or is of another version.
 */
export function loadWords(buffer: ArrayBufferLike): WordTable {
  const remedy = 'run `npm run build` to make it';
  if (buffer.byteLength < WORDS_HEADER_BYTES)
    throw new Error(`The word table is empty or cut short: ${remedy}.`);
  const header = new Uint32Array(buffer, 0, WORDS_HEADER_BYTES / 4);
  if (header[0] !== WORDS_MAGIC) throw new Error(`The word table is not one: ${remedy}.`);
  if (header[1] !== WORDS_VERSION) {
    throw new Error(
      `The word table has version ${header[1]}, this program needs ${WORDS_VERSION}: ${remedy}.`,
    );
  }
  const slots = header[4]!;
  if (buffer.byteLength !== wordTableBytes(header[2]!, header[3]!, slots)) {
    throw new Error(`The word table is cut short: ${remedy}.`);
  }
  assert((slots & (slots - 1)) === 0 && slots > header[2]!, 'the word hash table must have free slots');
  return new WordTable(buffer);
}

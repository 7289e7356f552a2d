/**
 * The built-in embedder: text → unit vector, without a network or a model to download.
 *
 * The vector has two parts. The semantic part is the weighted mean of the word vectors (as in Arora, Liang, Ma
 * 2017, "A simple but tough-to-beat baseline for sentence embeddings", the common directions having been removed
 * from the words at build time): texts about the same thing are near each other even without a word in
 * common. The lexical part is a random projection of the stemmed words, identifiers and numbers (sparse signs,
 * one per block: Kane and Nelson 2014, "Sparser Johnson–Lindenstrauss transforms"): names and rare words that no
 * vector knows match exactly.
 *
 * Deterministic: equal texts give equal vectors, on every thread and machine. Not thread-safe: one per thread.
 */
import { assert } from '../../runtime/assert.ts';
import { Lexicon, type Stem, type Term } from './lexicon.ts';
import { Tokenizer } from './tokenize.ts';
import { mix, UNKNOWN_WORD, type WordTable } from './words.ts';

export const EMBEDDING_DIMENSION = 384;
/** Name of the vectors' kind. Vectors of different models cannot be compared: change it with any change of them. */
export const EMBEDDING_MODEL = 'vexfs-words-1';

/** Places at which a stem is entered in the lexical part, each in a block of its own. */
const PLACES = 8;
/** Share of the semantic part in a similarity. */
const SEMANTIC_SHARE = 0.45;
/** A word of the title counts like this many in the text. */
export const TITLE_COUNT = 2;

export interface EmbedOptions {
  /** File name or heading, mixed in. */
  readonly title?: string;
  /** Of the text, what is between these: the whole if left out. */
  readonly start?: number;
  readonly end?: number;
}

export class Embedder {
  readonly dimension = EMBEDDING_DIMENSION;
  readonly model = EMBEDDING_MODEL;
  readonly lexicon: Lexicon;
  private readonly words: WordTable;
  private readonly tokenizer = new Tokenizer();
  private readonly sums = new Float64Array(EMBEDDING_DIMENSION);
  private readonly terms: Term[] = [];
  private readonly stems: Stem[] = [];
  /** Where each block of the lexical part begins, and where the last ends. */
  private readonly blocks: Int32Array;

  constructor(words: WordTable) {
    const first = words.dimension;
    assert(first < EMBEDDING_DIMENSION, 'the lexical part needs room');
    const room = EMBEDDING_DIMENSION - first;
    this.blocks = Int32Array.from({ length: PLACES + 1 }, (_, i) => first + Math.floor((room * i) / PLACES));
    this.words = words;
    this.lexicon = new Lexicon(words);
  }

  /** A unit vector; all zeros when there is nothing in the text to go by (see {@link embedInto}). */
  embed(text: string, options: EmbedOptions = {}): Float32Array {
    const out = new Float32Array(EMBEDDING_DIMENSION);
    this.embedInto(text, options, out);
    return out;
  }

  /**
   * Writes the unit vector of the text to `out`. Returns false, and zeros, when text and title hold no
   * letter, digit or emoji: such a text has no meaning to be found by.
   */
  embedInto(text: string, options: EmbedOptions, out: Float32Array): boolean {
    assert(out.length === EMBEDDING_DIMENSION, 'out must have the dimension of the embedder');
    this.lexicon.trim();
    this.terms.length = 0;
    const { title, start = 0, end = text.length } = options;
    if (title !== undefined) this.count(title, 0, title.length, TITLE_COUNT);
    this.count(text, start, end, 1);
    this.sums.fill(0);
    this.addMeanings();
    this.addStems();
    return this.writeUnit(out);
  }

  private count(text: string, start: number, end: number, times: number): void {
    const { tokenizer, lexicon, terms } = this;
    const count = tokenizer.scan(text, start, end);
    for (let i = 0; i < count; i++) {
      const term = lexicon.term(tokenizer.tokens[i]!, tokenizer.kinds[i]!);
      if (term.count === 0) terms.push(term);
      term.count += times;
    }
  }

  private addMeanings(): void {
    const { sums, words } = this;
    const { rows, dimension, scales } = words;
    for (const term of this.terms) {
      if (term.word === UNKNOWN_WORD) continue;
      const weight = Math.sqrt(term.count) * term.semantic * scales[term.word]!;
      const row = term.word * dimension;
      for (let i = 0; i < dimension; i++) sums[i]! += weight * rows[row + i]!;
    }
  }

  /** Each stem counts by the root of its frequency: the tenth mention says less than the first. */
  private addStems(): void {
    const { terms, stems } = this;
    stems.length = 0;
    for (const term of terms) {
      if (term.stem.sum === 0) stems.push(term.stem);
      term.stem.sum += term.count * term.lexical * term.lexical;
      term.count = 0;
    }
    for (const entry of stems) {
      this.scatter(entry.hash, Math.sqrt(entry.sum));
      entry.sum = 0;
    }
  }

  private scatter(hash: number, weight: number): void {
    const { sums, blocks } = this;
    for (let place = 0; place < PLACES; place++) {
      const bits = mix(hash + Math.imul(place, 0x9e3779b9));
      const from = blocks[place]!;
      const at = from + ((bits >>> 1) % (blocks[place + 1]! - from));
      sums[at]! += bits & 1 ? weight : -weight;
    }
  }

  /** Both parts brought to their share; a text that has only one of them is all that one. */
  private writeUnit(out: Float32Array): boolean {
    const { sums } = this;
    const split = this.words.dimension;
    const semantic = squaredLength(sums, 0, split);
    const lexical = squaredLength(sums, split, sums.length);
    if (semantic === 0 && lexical === 0) {
      out.fill(0);
      return false;
    }
    const share = lexical === 0 ? 1 : semantic === 0 ? 0 : SEMANTIC_SHARE;
    const left = semantic === 0 ? 0 : Math.sqrt(share / semantic);
    const right = lexical === 0 ? 0 : Math.sqrt((1 - share) / lexical);
    for (let i = 0; i < split; i++) out[i] = sums[i]! * left;
    for (let i = split; i < sums.length; i++) out[i] = sums[i]! * right;
    return true;
  }
}

function squaredLength(values: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += values[i]! * values[i]!;
  return sum;
}

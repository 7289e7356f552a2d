/**
 * What a token is worth: its word vector, its weights, its stem. Looked up once and cached, so that running
 * text costs one map look-up per token.
 */
import { stem } from './stem.ts';
import { IDENTIFIER, NUMBER, PAIR, SYMBOL, WORD } from './tokenize.ts';
import { hashes, hashWord, UNKNOWN_WORD, type WordTable } from './words.ts';

/** A key under which the forms of a word match exactly. */
export interface Stem {
  readonly key: string;
  readonly hash: number;
  /** Sum over the text at hand of count × weight²; 0 between texts. */
  sum: number;
}

export interface Term {
  readonly stem: Stem;
  /** Index in the word table, or UNKNOWN_WORD. */
  readonly word: number;
  /** Weight of an exact match, 0 … 1. */
  readonly lexical: number;
  /** Weight of the meaning, 0 … 1; 0 without a word vector. */
  readonly semantic: number;
  /** Occurrences in the text at hand; 0 between texts. */
  count: number;
}

/** A frequent word says little about what a text is about: rarity to these powers. Tuned on Cranfield (bench/search). */
const SEMANTIC_POWER = 2;
const LEXICAL_POWER = 0.8;
/** Words at least this frequent (about the first 150) count almost nothing, unless there is nothing else. */
const STOP_RARITY = 0.38;
const STOP_WEIGHT = 0.01;
/** What is not in the table is rare, but often a slip or noise. */
const UNKNOWN_WEIGHT = 0.8;
const IDENTIFIER_WEIGHT = 0.8;
const SINGLE_LETTER_WEIGHT = 0.15;

/** Terms kept before the cache starts again: bounds memory on texts full of distinct tokens. */
const TERMS_MAX = 1 << 16;

export class Lexicon {
  readonly words: WordTable;
  private readonly terms = new Map<string, Term>();
  /** Apart from the others: `parseThings` is taken verbatim, and the word `parsethings` by its stem. */
  private readonly identifiers = new Map<string, Term>();
  private readonly stems = new Map<string, Stem>();

  constructor(words: WordTable) {
    this.words = words;
  }

  /** The term of a token of the given kind. Valid until {@link trim}. */
  term(token: string, kind: number): Term {
    const terms = kind === IDENTIFIER ? this.identifiers : this.terms;
    const known = terms.get(token);
    if (known !== undefined) return known;
    const term = this.makeTerm(token, kind);
    terms.set(token, term);
    return term;
  }

  /** To be called between texts. */
  trim(): void {
    if (this.terms.size + this.identifiers.size < TERMS_MAX) return;
    this.terms.clear();
    this.identifiers.clear();
    this.stems.clear();
  }

  private makeTerm(token: string, kind: number): Term {
    const verbatim = kind === NUMBER || kind === PAIR || kind === SYMBOL || kind === IDENTIFIER;
    const key = verbatim ? token : stem(token);
    const meaningless = kind === NUMBER || kind === SYMBOL || token.length === 1;
    const word = meaningless ? UNKNOWN_WORD : this.findWord(token, key);
    const entry = this.stemOf(key);
    if (word === UNKNOWN_WORD) {
      return { stem: entry, word, lexical: unknownWeight(token, kind), semantic: 0, count: 0 };
    }
    const rarity = this.words.rarity[word]!;
    const stop = rarity < STOP_RARITY ? STOP_WEIGHT : 1;
    const lexical = stop * rarity ** LEXICAL_POWER;
    return { stem: entry, word, lexical, semantic: stop * rarity ** SEMANTIC_POWER, count: 0 };
  }

  /** The word itself, or for a form that is not in the table the form it comes from. */
  private findWord(token: string, key: string): number {
    const exact = this.words.find(token);
    if (exact !== UNKNOWN_WORD || key === token) return exact;
    const stemmed = this.words.find(key);
    return stemmed !== UNKNOWN_WORD ? stemmed : this.words.find(`${key}e`);
  }

  private stemOf(key: string): Stem {
    const known = this.stems.get(key);
    if (known !== undefined) return known;
    hashWord(key, STEM_SEED);
    const made = { key, hash: hashes.slot, sum: 0 };
    this.stems.set(key, made);
    return made;
  }
}

const STEM_SEED = 0x7f4a7c15;

function unknownWeight(token: string, kind: number): number {
  if (token.length === 1 && kind === WORD) return SINGLE_LETTER_WEIGHT;
  if (kind === NUMBER) return Math.min(UNKNOWN_WEIGHT, 0.2 + 0.1 * token.length);
  return kind === IDENTIFIER ? IDENTIFIER_WEIGHT : UNKNOWN_WEIGHT;
}

/**
 * How well a text answers a query, word by word: finer than the distance of two vectors, so good for putting
 * the first few dozen candidates of a vector search in order, and for choosing the line to show.
 *
 * BM25 (Robertson and Zaragoza 2009) in which a query word is also met by a word of like meaning, for less:
 * each takes its best match in the text. Weights come from the word table, so no statistics of a collection
 * are needed; among candidates, words that tell them apart count more (Robertson and Spärck Jones 1976).
 */
import { TITLE_COUNT } from './embedder.ts';
import type { Lexicon, Term } from './lexicon.ts';
import { Tokenizer } from './tokenize.ts';
import { UNKNOWN_WORD } from './words.ts';

/** BM25's saturation and length normalisation, and a usual length of a chunk in counted words. */
const K1 = 1.5;
const B = 0.75;
const USUAL_LENGTH = 90;
/** Cosine of two word vectors below which they mean different things, and what the same meaning is worth at most. */
const LIKE_MIN = 0.3;
const LIKE_WORTH = 0.6;
/** Words below this weight are not looked for, unless the query has no others. */
const WEIGHT_MIN = 0.01;
/** What the distance of the vectors still counts for beside the words. */
const SIMILARITY_WORTH = 0.75;
/** So many candidates with a word and without it are taken for granted: of a few, none says much about a word. */
const SMOOTHING = 10;
/** Similarity that a text without any of the words may have by chance: the most of a million of random ones. */
const CHANCE = 0.2;
/** Words of a long query that are looked for: the weightiest. */
const WANTED_MAX = 64;
/** Distinct words of the texts whose likeness to the query is remembered. */
const REMEMBERED_MAX = 8192;

interface Wanted {
  readonly key: string;
  readonly word: number;
  weight: number;
}

/** One query. Shares the lexicon of an embedder, so it belongs to that embedder's thread. */
export class Relevance {
  private readonly lexicon: Lexicon;
  private readonly tokenizer = new Tokenizer();
  private readonly wanted: Wanted[] = [];
  /** Of the wanted words, and their sum. */
  private readonly weights: Float64Array;
  private weightSum: number;
  private readonly best: Float64Array;
  private readonly terms: Term[] = [];
  private readonly likeness = new Map<number, Float32Array>();

  constructor(lexicon: Lexicon, query: string) {
    this.lexicon = lexicon;
    this.readQuery(query);
    this.best = new Float64Array(this.wanted.length);
    this.weights = Float64Array.from(this.wanted, ({ weight }) => weight);
    this.weightSum = sum(this.weights);
  }

  private readQuery(query: string): void {
    const byKey = new Map<string, Wanted>();
    const count = this.tokenizer.scan(query);
    for (let i = 0; i < count; i++) {
      const term = this.lexicon.term(this.tokenizer.tokens[i]!, this.tokenizer.kinds[i]!);
      const weight = term.lexical * term.lexical;
      const known = byKey.get(term.stem.key);
      if (known !== undefined) known.weight += weight;
      else byKey.set(term.stem.key, { key: term.stem.key, word: term.word, weight });
    }
    const all = Array.from(byKey.values());
    const telling = all.filter(({ weight }) => weight >= WEIGHT_MIN);
    const chosen = telling.length > 0 ? telling : all;
    this.wanted.push(...chosen.sort((a, b) => b.weight - a.weight).slice(0, WANTED_MAX));
  }

  /** 0 (nothing in common) … 1. */
  score(text: string, from = 0, to = text.length): number {
    this.meet(this.count(text, from, to, 1));
    return this.worth(this.best);
  }

  /** How well the text, with the name of its file or heading, meets each word that is looked for, 0 … 1. */
  matches(text: string, title = ''): Float64Array {
    const length = this.count(title, 0, title.length, TITLE_COUNT);
    this.meet(length + this.count(text, 0, text.length, 1));
    return this.best.slice();
  }

  /**
   * From now on words that many of the candidates meet count less: they say little about which of them is meant. Of each
   * candidate the {@link matches} of its passages.
   */
  weigh(candidates: readonly (readonly Float64Array[])[]): void {
    const { weights, wanted } = this;
    for (let q = 0; q < weights.length; q++) {
      let met = 0;
      for (const passages of candidates) met += passages.reduce((most, of) => Math.max(most, of[q]!), 0);
      const telling = Math.log(1 + (candidates.length - met + SMOOTHING) / (met + SMOOTHING));
      weights[q] = wanted[q]!.weight * telling;
    }
    this.weightSum = sum(weights);
  }

  /**
   * Score to order candidates by, 0 … 1, from the {@link matches} of a text and the cosine similarity of the vectors
   * (−1 … 1): words alone go wrong where the text says it all with other words. 0 for what may be alike by chance.
   */
  combined(matches: Float64Array, similarity: number): number {
    const words = this.worth(matches);
    if (words === 0 && similarity < CHANCE) return 0;
    return (words + SIMILARITY_WORTH * Math.max(0, similarity)) / (1 + SIMILARITY_WORTH);
  }

  private worth(matches: Float64Array): number {
    if (this.weightSum === 0) return 0;
    let score = 0;
    for (let q = 0; q < matches.length; q++) score += this.weights[q]! * matches[q]!;
    return score / this.weightSum;
  }

  /** Leaves in `best` how well each wanted word is met by what was counted, which is forgotten. */
  private meet(length: number): void {
    const damping = K1 * (1 - B + (B * length) / USUAL_LENGTH);
    this.best.fill(0);
    for (const term of this.terms) {
      const strength = term.stem.sum / (term.stem.sum + damping);
      this.match(term, strength);
    }
    for (const term of this.terms) term.stem.sum = term.count = 0;
    this.terms.length = 0;
  }

  /** Adds the terms of a text, with the occurrences of each stem in `sum`; returns the number of counted words. */
  private count(text: string, from: number, to: number, times: number): number {
    const { tokenizer, terms } = this;
    let length = 0;
    if (terms.length === 0) this.lexicon.trim();
    const count = tokenizer.scan(text, from, to);
    for (let i = 0; i < count; i++) {
      const term = this.lexicon.term(tokenizer.tokens[i]!, tokenizer.kinds[i]!);
      if (term.count++ === 0) terms.push(term);
      term.stem.sum += times;
      if (term.lexical * term.lexical >= WEIGHT_MIN) length += times;
    }
    return length;
  }

  private match(term: Term, strength: number): void {
    const { wanted, best } = this;
    const like =
      term.word === UNKNOWN_WORD || term.semantic < WEIGHT_MIN ? undefined : this.likenessOf(term.word);
    for (let q = 0; q < wanted.length; q++) {
      const worth = wanted[q]!.key === term.stem.key ? 1 : (like?.[q] ?? 0);
      if (worth * strength > best[q]!) best[q] = worth * strength;
    }
  }

  private likenessOf(word: number): Float32Array {
    const known = this.likeness.get(word);
    if (known !== undefined) return known;
    const { words } = this.lexicon;
    const made = Float32Array.from(this.wanted, (wanted) => {
      if (wanted.word === UNKNOWN_WORD) return 0;
      return LIKE_WORTH * Math.max(0, (words.cosine(word, wanted.word) - LIKE_MIN) / (1 - LIKE_MIN));
    });
    if (this.likeness.size >= REMEMBERED_MAX) this.likeness.clear();
    this.likeness.set(word, made);
    return made;
  }
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/**
 * Text → tokens, in one pass without regular expressions. Words are lower-cased and, where not ASCII,
 * normalised (NFKC). An identifier gives its parts and itself: `parseHttpRequest` and `parse_http_request`
 * both give parse, http, request, parsehttprequest. Numbers keep inner points: 3.14, 1.20.3. Scripts without spaces
 * give pairs of neighbouring characters; emoji give themselves.
 */
import {
  APOSTROPHE,
  CASELESS,
  characterClasses,
  DIGIT,
  LOWER,
  OTHER,
  SURROGATE,
  UNDERSCORE,
  UNSPACED,
  UPPER,
} from './characters.ts';

/** What a token is. */
export const WORD = 0;
/** Part of an identifier. */
export const PART = 1;
/** A whole identifier of several parts. */
export const IDENTIFIER = 2;
export const NUMBER = 3;
/** Pair of characters, or a single one standing alone, of a script without spaces. */
export const PAIR = 4;
export const SYMBOL = 5;

/** Longer runs (keys, hashes, encoded data) are one token: their first TOKEN_MAX units, without parts. */
export const TOKEN_MAX = 64;

/** Tokens kept for when they come again: running text has few that did not come before. A power of two. */
const KEPT = 1 << 14;

/** Reusable: each {@link scan} replaces the tokens of the one before. */
export class Tokenizer {
  readonly tokens: string[] = [];
  readonly kinds: number[] = [];
  count = 0;
  private readonly classes = characterClasses();
  /** By a hash of their units: a token that is here needs no new string, and no hash of it, to be looked up by. */
  private readonly kept = new Array<string>(KEPT).fill('');
  /** The token at hand, in lower case, and how many units of it there are. */
  private readonly units = new Uint16Array(TOKEN_MAX);
  private length = 0;
  private text = '';
  private end = 0;

  /** Tokens of `text[from … to)`; returns how many. */
  scan(text: string, from = 0, to = text.length): number {
    this.text = text;
    this.end = to;
    this.count = 0;
    let at = from;
    while (at < to) {
      const kind = this.classes[text.charCodeAt(at)]!;
      if (kind === OTHER || kind === APOSTROPHE) at++;
      else if (kind === UNSPACED || kind === SURROGATE) at = this.scanUnspaced(at);
      else if (kind === DIGIT) at = this.scanNumber(at);
      else at = this.scanWord(at);
    }
    return this.count;
  }

  private emit(token: string, kind: number): void {
    this.tokens[this.count] = token;
    this.kinds[this.count++] = kind;
  }

  /** `text[from … to)` in lower case, ASCII only. */
  private ascii(from: number, to: number): string {
    this.length = 0;
    this.addAscii(from, to);
    return this.keep();
  }

  private addAscii(from: number, to: number): void {
    const { text, units } = this;
    let length = this.length;
    for (let at = from; at < to; at++) {
      const unit = text.charCodeAt(at);
      units[length++] = unit >= 0x41 && unit <= 0x5a ? unit | 0x20 : unit;
    }
    this.length = length;
  }

  /** The token of the units at hand: the string that was made of them before, if it is still there. */
  private keep(): string {
    const { units, length, kept } = this;
    let hash = length;
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ units[i]!, 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (KEPT - 1);
    const token = kept[slot]!;
    if (this.isAtHand(token)) return token;
    // Not a slice, which would keep the whole text in memory.
    const made = String.fromCharCode.apply(null, units.subarray(0, length) as unknown as number[]);
    kept[slot] = made;
    return made;
  }

  private isAtHand(token: string): boolean {
    const { units, length } = this;
    if (token.length !== length) return false;
    for (let i = 0; i < length; i++) if (token.charCodeAt(i) !== units[i]) return false;
    return true;
  }

  private fold(from: number, to: number, ascii: boolean): string {
    return ascii ? this.ascii(from, to) : folded(this.text.slice(from, to));
  }

  private classAt(at: number): number {
    return at < this.end ? this.classes[this.text.charCodeAt(at)]! : OTHER;
  }

  /** Digits with inner points or commas; with letters attached (3d, 2nd, 0x1f) it is a word. */
  private scanNumber(start: number): number {
    let at = start;
    for (;;) {
      while (this.classAt(at) === DIGIT) at++;
      const unit = this.text.charCodeAt(at);
      if ((unit === 0x2e || unit === 0x2c) && this.classAt(at + 1) === DIGIT) at++;
      else break;
    }
    if (isWordClass(this.classAt(at))) return this.scanWord(start);
    this.emit(folded(this.text.slice(start, Math.min(at, start + TOKEN_MAX))), NUMBER);
    return at;
  }

  private scanWord(start: number): number {
    let at = start;
    let borders = 0;
    let ascii = true;
    let previous = OTHER;
    for (; ; at++) {
      const kind = this.classAt(at);
      if (kind === APOSTROPHE && isLetter(previous) && isLetter(this.classAt(at + 1))) break;
      if (!isWordClass(kind)) break;
      if (at > start && this.isPartBorder(previous, kind, at)) borders++;
      if (this.text.charCodeAt(at) >= 0x80) ascii = false;
      previous = kind;
    }
    if (at - start > TOKEN_MAX) this.emit(this.fold(start, start + TOKEN_MAX, ascii), WORD);
    else if (borders > 0) this.emitIdentifier(start, at, ascii);
    else if (previous !== UNDERSCORE) this.emit(this.fold(start, at, ascii), WORD);
    return this.skipContraction(at);
  }

  /** The tail of "author's", "don't", "we'll" says nothing of its own: at most two letters after the apostrophe. */
  private skipContraction(at: number): number {
    if (this.classAt(at) !== APOSTROPHE) return at;
    let after = at + 1;
    while (isLetter(this.classAt(after))) after++;
    return after - at <= 3 && !isWordClass(this.classAt(after)) ? after : at + 1;
  }

  private isPartBorder(previous: number, kind: number, at: number): boolean {
    if (kind === UNDERSCORE || previous === UNDERSCORE) return kind !== previous;
    if (kind === DIGIT || previous === DIGIT) return kind !== previous;
    if (kind !== UPPER) return false;
    // aB, and the last capital of an acronym: HTTPServer is HTTP Server.
    return previous === LOWER || (previous === UPPER && this.classAt(at + 1) === LOWER);
  }

  private emitIdentifier(start: number, end: number, ascii: boolean): void {
    let whole = '';
    let parts = 0;
    let from = start;
    for (let at = start + 1; at <= end; at++) {
      const previous = this.classAt(at - 1);
      if (at < end && !this.isPartBorder(previous, this.classAt(at), at)) continue;
      if (previous !== UNDERSCORE) {
        const part = this.fold(from, at, ascii);
        // Single letters are noise, except as the only part: _x.
        if (part.length > 1 || previous === DIGIT) this.emit(part, previous === DIGIT ? NUMBER : PART);
        whole += part;
        parts++;
      }
      from = at;
    }
    if (parts > 1) this.emit(whole, IDENTIFIER);
    else if (whole.length === 1) this.emit(whole, WORD);
  }

  /** A run of characters of scripts without spaces, by code points; others of the upper planes count too. */
  private scanUnspaced(start: number): number {
    let at = start;
    let previous = '';
    let paired = false;
    while (at < this.end) {
      const kind = this.classAt(at);
      if (kind !== UNSPACED && kind !== SURROGATE) break;
      const character = String.fromCodePoint(this.text.codePointAt(at)!);
      if (kind === SURROGATE && !UPPER_PLANE_LETTER.test(character)) {
        if (previous !== '') break;
        // Half of a pair alone is a broken character, and no token.
        if (character.length === 2) this.emit(character, SYMBOL);
        return at + character.length;
      }
      at += character.length;
      if (previous !== '') {
        this.emit(folded(previous + character), PAIR);
        paired = true;
      }
      previous = character;
    }
    if (previous !== '' && !paired) this.emit(folded(previous), PAIR);
    return at;
  }
}

const UPPER_PLANE_LETTER = /[\p{L}\p{M}\p{N}]/u;

function isLetter(kind: number): boolean {
  return kind === LOWER || kind === UPPER || kind === CASELESS;
}

function isWordClass(kind: number): boolean {
  return isLetter(kind) || kind === DIGIT || kind === UNDERSCORE;
}

function folded(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}

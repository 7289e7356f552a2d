/** What kind of character a UTF-16 unit is, for the tokenizer: one table look-up per unit. */

export const OTHER = 0;
export const LOWER = 1;
export const UPPER = 2;
/** Letters without case, and marks that belong to the letter before. */
export const CASELESS = 3;
export const DIGIT = 4;
export const UNDERSCORE = 5;
export const APOSTROPHE = 6;
/** Scripts written without spaces, or that glue words together: indexed by pairs of characters. */
export const UNSPACED = 7;
export const SURROGATE = 8;

let classes: Uint8Array | undefined;

/** Class of each of the 65,536 units; made on first use (about 20 ms) and kept. */
export function characterClasses(): Uint8Array {
  classes ??= makeClasses();
  return classes;
}

const SCRIPTS_WITHOUT_SPACES =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Bopomofo}]/u;

function makeClasses(): Uint8Array {
  const table = new Uint8Array(0x10000);
  for (let unit = 0; unit < 0x10000; unit++) table[unit] = classify(unit);
  return table;
}

function classify(unit: number): number {
  if (unit >= 0xd800 && unit <= 0xdfff) return SURROGATE;
  if (unit === 0x5f) return UNDERSCORE;
  if (unit === 0x27 || unit === 0x2019) return APOSTROPHE;
  const character = String.fromCharCode(unit);
  if (!/[\p{L}\p{M}\p{N}]/u.test(character)) return OTHER;
  if (SCRIPTS_WITHOUT_SPACES.test(character)) return UNSPACED;
  if (/\p{N}/u.test(character)) return DIGIT;
  if (/\p{Lu}/u.test(character)) return UPPER;
  return /\p{Ll}/u.test(character) ? LOWER : CASELESS;
}

/**
 * Light English stemming: brings the forms of a word to one key, which need not be a word itself
 * (rotate, rotates, rotated, rotating, rotation, rotations → rotat). The inflections of Porter's algorithm
 * (M. Porter 1980, "An algorithm for suffix stripping", step 1) and the commonest derivations, without its long tail.
 */

interface Rule {
  readonly suffix: string;
  /** Letters that must remain, a vowel among them. */
  readonly least: number;
  readonly replacement: string;
}

function rules(least: number, suffixes: string): Rule[] {
  return suffixes.split(' ').map((rule) => {
    const [suffix, replacement] = rule.split('>');
    return { suffix: suffix!, least, replacement: replacement! };
  });
}

/** Compound suffixes, brought to a simple one. Of those that share an end, the longest comes first. */
const COMPOUND = [
  ...rules(3, 'ization>ize isation>ize ational>ate fulness>ful ousness>ous iveness>ive tional>tion'),
  ...rules(3, 'ation>ate ator>ate ability>able ibility>ible ically>ic ical>ic ness> ably>able ibly>ible'),
  ...rules(4, 'ment> ally>al ly> ise>ize'),
];

/** Simple suffixes that are dropped. */
const SIMPLE = [
  ...rules(4, 'ative> ate> able> ible> ive> ous> ity> sion>s tion>t'),
  ...rules(5, 'ize> ic> al>'),
];

/** Stem of a lower-case token. Anything but plain a–z of more than three letters is returned as it is. */
export function stem(word: string): string {
  if (word.length <= 3 || !isPlain(word)) return word;
  let key = withoutPlural(word);
  key = withoutParticiple(key);
  key = replaced(replaced(key, COMPOUND), SIMPLE);
  if (key.length > 3 && key.endsWith('e')) key = key.slice(0, -1);
  else if (key.length > 3 && key.endsWith('y') && !isVowel(key, key.length - 2)) key = `${key.slice(0, -1)}i`;
  return key;
}

function isPlain(word: string): boolean {
  for (let i = 0; i < word.length; i++) {
    const unit = word.charCodeAt(i);
    if (unit < 0x61 || unit > 0x7a) return false;
  }
  return true;
}

function withoutPlural(word: string): string {
  if (!word.endsWith('s') || word.endsWith('ss') || word.endsWith('us') || word.endsWith('is')) return word;
  if (word.endsWith('ies')) return word.length > 4 ? `${word.slice(0, -3)}y` : word.slice(0, -1);
  if (word.endsWith('sses') || word.endsWith('xes') || word.endsWith('ches') || word.endsWith('shes')) {
    return word.slice(0, -2);
  }
  return word.slice(0, -1);
}

/** rotating, rotated → rotate; running → run; falling → fall. */
function withoutParticiple(word: string): string {
  let root = word;
  if (word.endsWith('ied') && word.length > 4) return `${word.slice(0, -3)}y`;
  if (word.endsWith('eed')) return word;
  if (word.endsWith('ed')) root = word.slice(0, -2);
  else if (word.endsWith('ing')) root = word.slice(0, -3);
  if (root === word || root.length < 2 || !hasVowel(root, root.length)) return word;
  if (root.length === 2) return isVowel(root, 1) ? root : `${root}e`;
  const last = root.charCodeAt(root.length - 1);
  const doubled = last === root.charCodeAt(root.length - 2) && !'lsz'.includes(root.at(-1)!);
  if (doubled && !isVowel(root, root.length - 1)) return root.slice(0, -1);
  // Endings the later rules know only with their e; every other final e is dropped anyway.
  return root.endsWith('at') || root.endsWith('iz') || root.endsWith('bl') ? `${root}e` : root;
}

/** Applies the first rule whose suffix the word has. */
function replaced(word: string, list: readonly Rule[]): string {
  for (const { suffix, least, replacement } of list) {
    if (!word.endsWith(suffix)) continue;
    const root = word.length - suffix.length;
    return root >= least && hasVowel(word, root) ? word.slice(0, root) + replacement : word;
  }
  return word;
}

function hasVowel(word: string, end: number): boolean {
  for (let i = 0; i < end; i++) if (isVowel(word, i)) return true;
  return false;
}

/** y is a vowel after a consonant. */
function isVowel(word: string, at: number): boolean {
  const letter = word[at]!;
  return 'aeiou'.includes(letter) || (letter === 'y' && at > 0 && !isVowel(word, at - 1));
}

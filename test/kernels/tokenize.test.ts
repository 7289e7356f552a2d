import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stem } from '../../kernels/text/stem.ts';
import { TOKEN_MAX, Tokenizer } from '../../kernels/text/tokenize.ts';
import { Random } from './random.ts';

const tokenizer = new Tokenizer();
function tokens(text: string): string[] {
  const count = tokenizer.scan(text);
  return tokenizer.tokens.slice(0, count);
}

describe('tokenize', () => {
  test.each([
    ['Plain words, lower-cased.', ['plain', 'words', 'lower', 'cased']],
    ['parseHttpRequest', ['parse', 'http', 'request', 'parsehttprequest']],
    ['parse_http_request', ['parse', 'http', 'request', 'parsehttprequest']],
    ['HTTPServer', ['http', 'server', 'httpserver']],
    ['MAX_SIZE', ['max', 'size', 'maxsize']],
    ['_private __init__', ['private', 'init']],
    ['sha256', ['sha', '256', 'sha256']],
    ['x2', ['2', 'x2']],
    ['3.14 1.20.3 10,000 404.', ['3.14', '1.20.3', '10,000', '404']],
    ["author's don't we'll 'quoted'", ['author', 'don', 'we', 'quoted']],
    ["O'Reilly", ['o', 'reilly']],
    ['Größe café ΣΊΣΥΦΟΣ', ['größe', 'café', 'σίσυφος']],
    ['cafe\u0301', ['café']],
    ['日本語 検', ['日本', '本語', '検']],
    ['한국어', ['한국', '국어']],
    ['𠮷野家', ['𠮷野', '野家']],
    ['שלום العربية', ['שלום', 'العربية']],
    ['🚀 launch 👩‍🚀', ['🚀', 'launch', '👩', '🚀']],
    ['日🚀本', ['日', '🚀', '本']],
    ['\u0000\u0001 a\tb', ['a', 'b']],
    ['\ud800x \udc00', ['x']],
    ["_ __ '", []],
    ['', []],
  ])('%j', (text, expected) => {
    expect(tokens(text)).toEqual(expected);
  });

  test('a very long run of letters is one token of bounded length', () => {
    const [only, ...rest] = tokens('aB3'.repeat(100_000));
    expect(only).toHaveLength(TOKEN_MAX);
    expect(rest).toEqual([]);
  });

  test('any text gives non-empty tokens without spaces, in lower case, and the same ones every time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const first = tokens(text);
        expect(tokens(text)).toEqual(first);
        for (const token of first) {
          expect(token.length).toBeGreaterThan(0);
          expect(token).not.toMatch(/^\s|\s$/);
          expect(token.toLowerCase()).toBe(token);
        }
      }),
      { seed: 31 },
    );
  });

  test('more words than are kept, in any case, come out as they are, also inside a longer text', () => {
    const seed = 17;
    const random = new Random(seed);
    for (let run = 0; run < 30_000; run++) {
      const word = (0x10000 + random.below(1 << 30)).toString(36).replaceAll(/[0-9]/g, 'Q');
      const upper = run % 3 === 0 ? word.toUpperCase() : word.toLowerCase();
      tokenizer.scan(`.${upper}.`, 1, 1 + word.length);
      if (tokenizer.tokens[0] !== word.toLowerCase()) expect.fail(`seed ${seed}, run ${run}: ${word}`);
    }
  });
});

describe('stem', () => {
  test.each([
    ['rotate rotates rotated rotating rotation rotations'],
    ['key keys'],
    ['policy policies'],
    ['run running'],
    ['use uses used using'],
    ['compute computes computing computation computational'],
    ['encrypt encrypted encryption encrypts'],
    ['move moving moved movement'],
    ['cache caches cached caching'],
    ['optimise optimize optimization optimisation'],
    ['remove removal removing'],
  ])('%s have one stem', (family) => {
    expect(new Set(family.split(' ').map(stem)).size).toBe(1);
  });

  test('words that only look related, or are not English, keep apart', () => {
    for (const [a, b] of [
      ['bus', 'bush'],
      ['red', 'reed'],
      ['string', 'strong'],
      ['universe', 'underverse'],
    ] as const) {
      expect(stem(a)).not.toBe(stem(b));
    }
    expect(stem('größen')).toBe('größen');
    expect(stem('is')).toBe('is');
  });
});

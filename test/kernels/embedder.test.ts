import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkText } from '../../kernels/text/chunk.ts';
import { Embedder } from '../../kernels/text/embedder.ts';
import { Relevance } from '../../kernels/text/relevance.ts';
import { snippet } from '../../kernels/text/snippet.ts';
import { loadWords } from '../../kernels/text/words.ts';
import { readWords } from '../../kernels/text/words-file.ts';
import { builtEmbedder, builtWords, similarity } from './words-table.ts';

const embedder = builtEmbedder();
const norm = (v: Float32Array) => Math.sqrt(similarity(v, v));

const NOTES = {
  keys: 'Rotating credentials. Every ninety days the signing keys are replaced. Generate a new pair, publish the public half, wait until all servers trust it, then revoke the old one.',
  bread:
    'Sourdough: mix flour, water and salt, let the dough ferment overnight, shape the loaf and bake it in a hot oven until the crust is dark.',
  cat: 'Our kitten was sick last week. The veterinarian prescribed antibiotics and told us to keep her away from other animals.',
  trip: 'We flew to Lisbon in March, stayed at a small hotel near the harbour and took the tram up the hills.',
  backup:
    'Nightly copies of the database are written to a second disk and kept for thirty days. To recover, stop the service, unpack the newest archive and start it again.',
  heart:
    'The patient suffered a myocardial infarction and underwent coronary surgery; beta blockers were given afterwards.',
  car: 'The engine overheats because the radiator leaks. Replace the hose, refill the coolant and check the thermostat.',
  code: 'export function parseHttpRequest(buffer: Uint8Array): Request { const header = readHeader(buffer); return new Request(header.method, header.path); }',
};

function bestNote(query: string): string {
  const wanted = embedder.embed(query);
  const scored = Object.entries(NOTES).map(
    ([name, text]) => [similarity(embedder.embed(text), wanted), name] as const,
  );
  return scored.sort((a, b) => b[0] - a[0])[0]![1];
}

describe('embedder', () => {
  test.each([
    ['how do I rotate the keys', 'keys'],
    ['replacing old certificates', 'keys'],
    ['recover the data after a crash', 'backup'],
    ['engine gets too warm', 'car'],
    ['hotel by the sea', 'trip'],
    ['parse_http_request', 'code'],
  ])('%j, which shares a word with it, finds the %s note', (query, expected) => {
    expect(bestNote(query)).toBe(expected);
  });

  test.each([
    ['making homemade pizza', 'bread'],
    ['ill pet medicine', 'cat'],
    ['vacation in Portugal', 'trip'],
    ['cardiac arrest treatment', 'heart'],
    ['automobile repair', 'car'],
  ])('%j, which shares no word with it, finds the %s note', (query, expected) => {
    expect(bestNote(query)).toBe(expected);
  });

  test('any text gives a unit vector, or zeros when it has nothing to go by', () => {
    const out = new Float32Array(embedder.dimension);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        if (embedder.embedInto(text, {}, out)) expect(norm(out)).toBeCloseTo(1, 5);
        else expect(norm(out)).toBe(0);
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  test.each([
    ['words', 'a plain sentence about rivers'],
    ['only stop words', 'to be or not to be'],
    ['only unknown words', 'xqzzvy blorptang'],
    ['one letter', 'x'],
    ['only numbers', '3.14 42'],
    ['Chinese', '数据库备份'],
    ['Hebrew', 'שלום עולם'],
    ['emoji', '🚀🚀'],
  ])('%s: unit length, and most similar to itself', (_, text) => {
    const vector = embedder.embed(text);
    expect(norm(vector)).toBeCloseTo(1, 5);
    expect(similarity(vector, embedder.embed('an unrelated remark on gardening'))).toBeLessThan(0.6);
  });

  test.each(['', '   \n', '\u0000\u0001', '--- *** ///'])('%j has no meaning: all zeros', (text) => {
    expect(embedder.embedInto(text, {}, new Float32Array(embedder.dimension))).toBe(false);
    expect(norm(embedder.embed(text))).toBe(0);
  });

  test('equal texts give equal vectors, whatever was embedded before and by whichever embedder', () => {
    const first = embedder.embed(NOTES.cat);
    embedder.embed(Array.from({ length: 25_000 }, (_, i) => `word${i}`).join(' '));
    expect(embedder.embed(NOTES.cat)).toEqual(first);
    const other = new Embedder(builtWords());
    other.embed('Prescribing antibiotic weeks, animal; veterinarians');
    expect(other.embed(NOTES.cat)).toEqual(first);
  });

  test('an identifier and the same letters as a word: neither has the weight of the other because it came first', () => {
    const [first, second] = [new Embedder(builtWords()), new Embedder(builtWords())];
    const expected = [first.embed('parseThings'), first.embed('parsethings')];
    expect([second.embed('parsethings'), second.embed('parseThings')].reverse()).toEqual(expected);
  });

  test('near duplicates are nearer than the same subject, and that nearer than another', () => {
    const original = embedder.embed(NOTES.bread);
    const edited = similarity(
      original,
      embedder.embed(NOTES.bread.replace('dark', 'brown').replace('salt', 'yeast')),
    );
    const related = similarity(
      original,
      embedder.embed('Knead the dough and bake bread rolls for breakfast.'),
    );
    const unrelated = similarity(original, embedder.embed(NOTES.code));
    expect(edited).toBeGreaterThan(0.9);
    expect(edited).toBeGreaterThan(related);
    expect(related).toBeGreaterThan(unrelated + 0.1);
  });

  test('an identifier in camel case is found in snake case, and by its words', () => {
    const camel = embedder.embed('maxRetryCount');
    expect(similarity(camel, embedder.embed('max_retry_count'))).toBeCloseTo(1, 5);
    expect(similarity(camel, embedder.embed('max retry count'))).toBeGreaterThan(0.5);
  });

  test('Chinese text is found by a part of it', () => {
    const text = embedder.embed('数据库每天晚上自动备份');
    expect(similarity(text, embedder.embed('数据库备份'))).toBeGreaterThan(0.4);
    expect(similarity(text, embedder.embed('今天天气很好'))).toBeLessThan(0.2);
  });

  test('the title is mixed in', () => {
    const query = embedder.embed('invoice');
    const plain = similarity(query, embedder.embed(NOTES.trip));
    expect(similarity(query, embedder.embed(NOTES.trip, { title: 'invoice-2024.txt' }))).toBeGreaterThan(
      plain + 0.1,
    );
  });

  test('a 1 MB line is embedded', () => {
    expect(norm(embedder.embed('lorem ipsum dolor 🚀 文字 '.repeat(50_000)))).toBeCloseTo(1, 5);
    expect(norm(embedder.embed('x'.repeat(1_000_000)))).toBeCloseTo(1, 5);
  });
});

describe('loadWords', () => {
  test.each([
    ['an empty buffer', new ArrayBuffer(0), /cut short/],
    ['another file', Uint8Array.from({ length: 64 }, (_, i) => i).buffer, /not one/],
    ['a later version', new Uint32Array([0x57565856, 99, 0, 0, 0, 0, 0, 0]).buffer, /version 99/],
    ['a cut file', new Uint32Array([0x57565856, 1, 10, 100, 16, 0, 0, 0]).buffer, /cut short/],
  ])('%s is refused, and the message says how to build the table', (_, buffer, problem) => {
    expect(() => loadWords(buffer)).toThrow(problem);
    expect(() => loadWords(buffer)).toThrow(/npm run build/);
  });

  test('a missing file is named, and the message says how to build it', () => {
    expect(() => readWords('/nowhere/words.bin')).toThrow(/\/nowhere\/words.bin .*npm run build/);
  });

  test('synonyms are near, unrelated words are not, unknown ones are absent', () => {
    const words = builtWords();
    const cosine = (a: string, b: string) => words.cosine(words.find(a), words.find(b));
    expect(cosine('car', 'automobile')).toBeGreaterThan(0.5);
    expect(cosine('car', 'theology')).toBeLessThan(0.2);
    expect(words.find('xqzzvy')).toBe(-1);
  });
});

describe('relevance', () => {
  test('a text with all words of the query beats one with a part, and that one with none', () => {
    const relevance = new Relevance(embedder.lexicon, 'recover the database archive');
    const all = relevance.score(NOTES.backup);
    const part = relevance.score('The database is slow today.');
    expect(all).toBeGreaterThan(part);
    expect(part).toBeGreaterThan(relevance.score(NOTES.bread));
  });

  test('words of like meaning count, but less than the same words', () => {
    const relevance = new Relevance(embedder.lexicon, 'automobile');
    const same = relevance.score('An automobile.');
    const like = relevance.score('A car.');
    expect(like).toBeGreaterThan(0.1);
    expect(same).toBeGreaterThan(like);
    expect(relevance.score('A sonnet.')).toBe(0);
  });

  test('scores stay within 0 … 1; an empty query scores nothing', () => {
    const relevance = new Relevance(embedder.lexicon, 'bread');
    expect(relevance.combined(relevance.matches('bread '.repeat(1000)), 1)).toBeLessThanOrEqual(1);
    expect(new Relevance(embedder.lexicon, ' ').score('bread')).toBe(0);
    expect(new Relevance(embedder.lexicon, 'to be or not').score('to be or not')).toBeGreaterThan(0);
  });

  test('among candidates that all have a word, the other words decide', () => {
    const relevance = new Relevance(embedder.lexicon, 'archive recover');
    const [often, both] = [
      'The archive, the archive, the archive.',
      'An archive that one may recover once from.',
    ];
    const others = Array.from({ length: 40 }, (_, i) => `Archive number ${i} of the archive.`);
    const candidates = [often, both, ...others].map((text) => [relevance.matches(text)]);
    const lead = (): number =>
      relevance.combined(candidates[1]![0]!, 0.5) - relevance.combined(candidates[0]![0]!, 0.5);
    const before = lead();
    relevance.weigh(candidates);
    expect(lead()).toBeGreaterThan(before);
    relevance.weigh([]);
    expect(lead()).toBeCloseTo(before, 10);
  });

  test('words of the name count as they would in the text, twice', () => {
    const relevance = new Relevance(embedder.lexicon, 'sourdough');
    const named = relevance.matches('Mix and wait.', 'sourdough.md')[0]!;
    expect(named).toBeGreaterThan(relevance.matches('Sourdough. Mix and wait.')[0]!);
    expect(relevance.matches('Mix and wait.', 'notes.md')[0]).toBe(0);
  });

  test('a text that is alike by chance, without one word that is meant, is no answer', () => {
    const relevance = new Relevance(embedder.lexicon, 'xqzzv');
    const none = relevance.matches(NOTES.bread);
    expect(relevance.combined(none, 0.11)).toBe(0);
    expect(relevance.combined(none, 0.5)).toBeGreaterThan(0);
    expect(relevance.combined(relevance.matches('xqzzv'), 0.11)).toBeGreaterThan(0);
  });

  test('a query of 100 KB is answered', () => {
    const query = Array.from({ length: 15_000 }, (_, i) => `bread${i}`).join(' ');
    expect(new Relevance(embedder.lexicon, query).score(NOTES.bread)).toBeLessThanOrEqual(1);
  });

  test('using it leaves the embedder as it was', () => {
    const before = embedder.embed(NOTES.car);
    new Relevance(embedder.lexicon, 'engine').score(NOTES.car);
    expect(embedder.embed(NOTES.car)).toEqual(before);
  });
});

describe('snippet', () => {
  const of = (text: string, query: string, length?: number) =>
    snippet(text, new Relevance(embedder.lexicon, query), length);

  test('shows the line that answers the query, and says which it is', () => {
    const text =
      '# Operations\n\nIntroduction and scope.\n\nRotate the keys every ninety days.\n\nFurther reading.\n';
    expect(of(text, 'how to rotate keys')).toEqual({
      text: 'Rotate the keys every ninety days.',
      line: 4,
      start: 39,
    });
  });

  test('begins earlier in the paragraph where the line that answers ends it', () => {
    const text = 'Title\n\nThe pump was checked on Monday and the old\nradiator\nleaks.\n\nend';
    expect(of(text, 'leaks')).toEqual({
      text: 'The pump was checked on Monday and the old radiator leaks.',
      line: 2,
      start: 7,
    });
    expect(of(text, 'leaks', 20)).toEqual({ text: 'radiator leaks.', line: 3, start: 50 });
  });

  test('goes on into the following lines of the paragraph, on one line', () => {
    expect(of('intro\n\nthe radiator\n\tleaks   badly\n\nend', 'radiator').text).toBe(
      'the radiator leaks badly',
    );
  });

  test('finds the place inside one very long line', () => {
    const text = `${'filler words go on '.repeat(3000)}the radiator leaks ${'and on and on '.repeat(3000)}`;
    const found = of(text, 'radiator');
    expect(found.text).toContain('radiator');
    expect(found.text.length).toBeLessThanOrEqual(160);
    expect(found.line).toBe(0);
  });

  test('without a match shows the first line that is not blank', () => {
    expect(of('\n \nfirst words\nsecond', 'xqzzvy')).toEqual({
      text: 'first words second',
      line: 2,
      start: 3,
    });
    expect(of('', 'x')).toEqual({ text: '', line: 0, start: 0 });
  });

  test('control and direction characters are not passed on', () => {
    expect(of('a\u001b[31mred\u0007\u202e key', 'key').text).toBe('a [31mred key');
  });

  test('any text: at most the length asked for, one line, whole characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
        for (const { start, end } of chunkText(text)) {
          const shown = of(text.slice(start, end), 'key', 40).text;
          expect(Array.from(shown).length).toBeLessThanOrEqual(40);
          expect(shown).not.toMatch(/[\n\r\t]/);
        }
      }),
      { seed: 8 },
    );
  });
});

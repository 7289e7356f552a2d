import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHUNK_MAX, CHUNK_OVERLAP, chunkText } from '../../kernels/text/chunk.ts';
import { decodeText, type Encoding } from '../../kernels/text/decode.ts';

function encode(text: string, encoding: Encoding): Uint8Array {
  if (encoding === 'utf-8') return Buffer.from(text, 'utf8');
  const bytes = Buffer.from(text, 'utf16le');
  return encoding === 'utf-16be' ? bytes.swap16() : bytes;
}

/** Pieces whose mixture has paragraphs, long lines, and characters of one to four bytes. */
const piece = fc.oneof(
  fc.lorem({ maxCount: 30 }),
  fc.constantFrom('\n', '\n\n', ' \n\t\n', '\r\n', '. ', '。', ' ', '🚀', 'é', '文字化け', 'ß'),
  fc.string({ unit: 'grapheme', minLength: 100, maxLength: 1000 }),
);
const anyText = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));

describe('chunkText', () => {
  test.each(['utf-8', 'utf-16le', 'utf-16be'] as const)(
    '%s: chunks cover the whole text, and their bytes and lines are where they say',
    (encoding) => {
      fc.assert(
        fc.property(anyText, (text) => {
          const bytes = encode(text, encoding);
          const chunks = chunkText(text, { encoding });
          fc.pre(text.trim() !== '');
          expect(chunks[0]!.start).toBe(0);
          expect(chunks.at(-1)!.end).toBe(text.length);
          chunks.forEach((chunk, i) => {
            const next = chunks[i + 1];
            expect(chunk.end - chunk.start).toBeLessThanOrEqual(CHUNK_MAX);
            if (next !== undefined) {
              expect(next.start).toBeLessThanOrEqual(chunk.end);
              expect(next.start).toBeGreaterThanOrEqual(chunk.end - CHUNK_OVERLAP);
            }
            const own = bytes.subarray(chunk.byteOffset, chunk.byteOffset + chunk.byteLength);
            expect(new TextDecoder(encoding, { ignoreBOM: true }).decode(own)).toBe(
              text.slice(chunk.start, chunk.end),
            );
            expect(chunk.line).toBe(text.slice(0, chunk.start).split('\n').length);
          });
        }),
        { seed: 77, numRuns: 60 },
      );
    },
  );

  test('a short text is one chunk', () => {
    expect(chunkText('one\ntwo')).toEqual([{ start: 0, end: 7, byteOffset: 0, byteLength: 7, line: 1 }]);
  });

  test('a blank text has no chunks', () => {
    expect(chunkText('')).toEqual([]);
    expect(chunkText(' \n\t\n')).toEqual([]);
  });

  test('paragraphs are not torn apart, and do not overlap', () => {
    const paragraph = `${'A sentence of a paragraph. '.repeat(18)}\n\n`;
    for (const { start, end } of chunkText(paragraph.repeat(10))) {
      expect(start % paragraph.length).toBe(0);
      expect(end % paragraph.length).toBe(0);
    }
  });

  test('where there are only lines, cuts are at lines and chunks overlap', () => {
    const chunks = chunkText('const value = compute(input);\n'.repeat(200));
    for (const { start } of chunks) expect(start % 30).toBe(0);
    expect(chunks[1]!.start).toBeLessThan(chunks[0]!.end);
  });

  test('a 10 MB line without a space is cut quickly, within the bound on chunks', () => {
    const chunks = chunkText('x'.repeat(10_000_000), { maxChunks: 500 });
    expect(chunks).toHaveLength(500);
    expect(chunks.at(-1)!.byteOffset).toBe(499 * CHUNK_MAX);
  });

  test('a surrogate pair is never cut', () => {
    for (const { start, end } of chunkText(`a${'🚀'.repeat(5000)}`)) {
      expect((start === 0 ? 1 : start) % 2).toBe(1);
      expect(end % 2).toBe(1);
    }
  });

  test('with a byte order mark offsets are those of the file', () => {
    const file = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('héllo')]);
    const { text, encoding, start } = decodeText(file)!;
    expect(chunkText(text, { encoding, start })).toEqual([
      { start: 0, end: 5, byteOffset: 3, byteLength: 6, line: 1 },
    ]);
  });
});

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeText, isBinary } from '../../kernels/text/decode.ts';
import { Random } from './random.ts';

const utf8 = (text: string) => Uint8Array.from(Buffer.from(text, 'utf8'));

describe('decodeText', () => {
  test('UTF-8 with and without a byte order mark', () => {
    expect(decodeText(utf8('naïve 文字'))).toEqual({ text: 'naïve 文字', encoding: 'utf-8', start: 0 });
    expect(decodeText(utf8('\ufeffnaïve'))).toEqual({ text: 'naïve', encoding: 'utf-8', start: 3 });
  });

  test('UTF-16 of both orders, with a byte order mark', () => {
    const le = Buffer.from('\ufeffhé文🚀', 'utf16le');
    expect(decodeText(le)).toEqual({ text: 'hé文🚀', encoding: 'utf-16le', start: 2 });
    expect(decodeText(Buffer.from(le).swap16())).toEqual({ text: 'hé文🚀', encoding: 'utf-16be', start: 2 });
  });

  test('UTF-16 without a mark is known by its NULs', () => {
    const le = Buffer.from('plain words', 'utf16le');
    expect(decodeText(le)?.encoding).toBe('utf-16le');
    expect(decodeText(Buffer.from(le).swap16())).toEqual({
      text: 'plain words',
      encoding: 'utf-16be',
      start: 0,
    });
  });

  test('what is not UTF-8 is read as Windows-1252, one byte a character', () => {
    const bytes = Uint8Array.from(Buffer.from('Stra\xdfe, \x80 5, caf\xe9', 'latin1'));
    expect(decodeText(bytes)).toEqual({ text: 'Straße, € 5, café', encoding: 'windows-1252', start: 0 });
  });

  test('an empty file is empty text', () => {
    expect(decodeText(new Uint8Array(0))?.text).toBe('');
  });

  test('terminal colours and form feeds are still text', () => {
    expect(decodeText(utf8('\u001b[31merror\u001b[0m\f'))).toBeDefined();
  });

  test('programs, compressed data, PDF and random bytes are not text', () => {
    expect(decodeText(readFileSync(process.execPath).subarray(0, 100_000), false)).toBeUndefined();
    expect(decodeText(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13))).toBeUndefined();
    expect(decodeText(Buffer.from('%PDF-1.7\nall of this looks like text'))).toBeUndefined();
    const random = new Random(3);
    expect(decodeText(Uint8Array.from({ length: 4000 }, () => 1 + random.below(255)))).toBeUndefined();
    expect(decodeText(utf8('text, then a \0 byte'))).toBeUndefined();
  });

  test('a prefix that ends inside a character loses just that character', () => {
    const bytes = utf8('aé文🚀');
    const ends = Array.from(bytes, (_, i) => decodeText(bytes.subarray(0, i + 1), false)!.text);
    expect(ends).toEqual(['a', 'a', 'aé', 'aé', 'aé', 'aé文', 'aé文', 'aé文', 'aé文', 'aé文🚀']);
    const units = Buffer.from('\ufeffa🚀', 'utf16le');
    expect(decodeText(units.subarray(0, 6), false)?.text).toBe('a');
    expect(decodeText(units.subarray(0, 5), false)?.text).toBe('a');
  });

  test('a cut character at the end of a whole file is no UTF-8', () => {
    expect(decodeText(utf8('words é').subarray(0, 7))?.encoding).toBe('windows-1252');
  });

  test('bytes in shared memory are accepted', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(5));
    shared.set(utf8('hello'));
    expect(decodeText(shared)?.text).toBe('hello');
  });

  test('any bytes, cut anywhere, give text or not, but never an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, complete) => {
        const decoded = decodeText(bytes, complete);
        if (decoded !== undefined) expect(decoded.text).not.toContain('\0');
      }),
      { seed: 99, numRuns: 1000 },
    );
  });

  test('what is called binary from its beginning is no text as a whole', () => {
    const seed = 4711;
    const random = new Random(seed);
    let binaries = 0;
    for (let run = 0; run < 600; run++) {
      // Of few values, so that one or the other kind of text comes about, and NULs on one side alone.
      const odd = [0, 0x41, 0x80, 1, random.below(256)][random.below(5)]!;
      const even = [0, 0x41, 0xc3, 2][random.below(4)]!;
      const share = [0, 1, 30, 100][random.below(4)]!;
      const bytes = Uint8Array.from({ length: random.below(2000) }, (_, i) => {
        if (random.below(100) < share) return random.below(256);
        return (i & 1) === 0 ? even : odd;
      });
      const cut = random.below(bytes.length + 1);
      for (const [begins, complete] of [
        [bytes, true],
        [bytes.subarray(0, cut), cut === bytes.length],
      ] as const) {
        if (!isBinary(begins, complete)) continue;
        binaries++;
        expect(decodeText(bytes), `seed ${seed}, run ${run}`).toBeUndefined();
      }
    }
    expect(binaries).toBeGreaterThan(150);
  });

  test('programs, pictures and random bytes are seen to be binary', () => {
    const random = new Random(3);
    expect(isBinary(readFileSync(process.execPath).subarray(0, 100_000), false)).toBe(true);
    expect(isBinary(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13), true)).toBe(true);
    expect(isBinary(Buffer.from('%PDF-1.7\nall of this'), true)).toBe(true);
    expect(
      isBinary(
        Uint8Array.from({ length: 1024 }, () => random.below(256)),
        true,
      ),
    ).toBe(true);
  });

  test('any string survives UTF-8, whole and as a prefix', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }), fc.nat(), (text, cut) => {
        const decoded = decodeText(utf8(text));
        fc.pre(decoded !== undefined);
        expect(decoded?.text).toBe(text.replace(/^\ufeff/, ''));
        const prefix = decodeText(utf8(text).subarray(0, cut % text.length), false);
        if (prefix !== undefined) expect(decoded!.text.startsWith(prefix.text)).toBe(true);
      }),
      { seed: 12 },
    );
  });
});

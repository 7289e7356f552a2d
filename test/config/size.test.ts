import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GIB, KIB, MIB } from '../../runtime/config/bounds.ts';
import { formatSize, parseSize, roundSize } from '../../runtime/config/size.ts';

test('units of 1,024, plain numbers, fractions and underscores are read as bytes', () => {
  expect(parseSize('16KiB')).toBe(16 * KIB);
  expect(parseSize('1GiB')).toBe(GIB);
  expect(parseSize('1.5 MiB')).toBe(1.5 * MIB);
  expect(parseSize('2tib')).toBe(2048 * GIB);
  expect(parseSize(' 1_000 ')).toBe(1000);
  expect(parseSize('12B')).toBe(12);
  expect(parseSize(4096)).toBe(4096);
});

test.each(['', '16KB', '1G', '-1', '1e3', '0x10', 'KiB', '1..5KiB', '0.3KiB', '99999999TiB', '1 2'])(
  'a text that is no whole number of bytes is refused: %j',
  (text) => {
    expect(parseSize(text)).toBeUndefined();
  },
);

test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('%d is not a size', (value) => {
  expect(parseSize(value)).toBeUndefined();
});

test('every size is printed as a text that reads back as the same bytes', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.constantFrom(1, KIB, MIB, GIB), (count, unit) => {
      const bytes = count * unit;
      fc.pre(Number.isSafeInteger(bytes));
      expect(parseSize(formatSize(bytes))).toBe(bytes);
    }),
  );
});

test('sizes for people have three digits and a unit', () => {
  expect(roundSize(0)).toBe('0 B');
  expect(roundSize(1023)).toBe('1023 B');
  expect(roundSize(1536)).toBe('1.50 KiB');
  expect(roundSize(1000 * KIB)).toBe('1000 KiB');
  expect(roundSize(5.25 * GIB)).toBe('5.25 GiB');
});

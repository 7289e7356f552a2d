import { expect, test } from 'vitest';
import { crc32c } from '../../kernels/codec/crc32c.ts';
import { seeded } from '../seed.ts';

test('the check values of RFC 3720 and the catalogue of CRCs', () => {
  const bytes = (make: (i: number) => number) => Uint8Array.from({ length: 32 }, (_, i) => make(i));
  expect(crc32c(new TextEncoder().encode('123456789'), 0, 9)).toBe(0xe3069283);
  expect(
    crc32c(
      bytes(() => 0),
      0,
      32,
    ),
  ).toBe(0x8a9136aa);
  expect(
    crc32c(
      bytes(() => 255),
      0,
      32,
    ),
  ).toBe(0x62a8ab43);
  expect(
    crc32c(
      bytes((i) => i),
      0,
      32,
    ),
  ).toBe(0x46dd794e);
  expect(
    crc32c(
      bytes((i) => 31 - i),
      0,
      32,
    ),
  ).toBe(0x113fdb5c);
  expect(
    crc32c(
      bytes((i) => i),
      5,
      5,
    ),
  ).toBe(0);
});

test('cut anywhere, the seed continues the sum', () => {
  const random = seeded(1);
  const bytes = Uint8Array.from({ length: 100 }, () => random(256));
  const whole = crc32c(bytes, 3, 97);
  for (let cut = 3; cut <= 97; cut++) expect(crc32c(bytes, cut, 97, crc32c(bytes, 3, cut))).toBe(whole);
});

test.each([5, 18])('bytes anywhere in a buffer of %d GiB sum up as elsewhere', (gib) => {
  let buffer: SharedArrayBuffer;
  try {
    buffer = new SharedArrayBuffer(gib * 2 ** 30);
  } catch {
    // No machine for it: then no arena of this size either.
    return;
  }
  const sample = Uint8Array.from({ length: 1000 }, (_, i) => (i * 31) & 255);
  const expected = crc32c(sample, 0, sample.length);
  for (let from = 0; from < gib; from += 1) {
    const u8 = new Uint8Array(buffer, from * 2 ** 30, 1024);
    u8.set(sample, 3);
    expect(crc32c(u8, 3, 1003), `${from} GiB`).toBe(expected);
  }
});

import { describe, expect, test } from 'vitest';
import { loadExactLoops } from '../../kernels/codec/exact-module.ts';
import {
  blockBytesMax,
  VectorBlockDecoder,
  VectorBlockEncoder,
  type VectorForm,
  vectorsPerBlock,
} from '../../kernels/codec/vector-block.ts';
import { testSeed } from '../seed.ts';
import { Random } from './random.ts';

const FORMS: readonly VectorForm[] = ['plain', 'exact', 'int8', 'int8+8', 'int8+16'];
const SEED = testSeed('blocks of vectors', 20);
const encoder = new VectorBlockEncoder();
const decoder = new VectorBlockDecoder();
const inJavaScript = { encoder: new VectorBlockEncoder(false), decoder: new VectorBlockDecoder(false) };

function encode(vectors: Float32Array, dimension: number, form: VectorForm): Uint8Array {
  const count = vectors.length / dimension;
  const out = new Uint8Array(blockBytesMax(count, dimension) + 8).fill(0xee);
  const end = encoder.encode(vectors, count, dimension, form, out, 8);
  expect(out.subarray(0, 8)).toEqual(new Uint8Array(8).fill(0xee));
  return out.slice(8, end);
}

function decode(block: Uint8Array): Float32Array | undefined {
  return decoder.read(block, 0, block.length) === block.length ? decoder.vectors.slice() : undefined;
}

/** As words: NaN is not equal to itself, and 0 is equal to −0. */
function bits(vectors: Float32Array | undefined): Int32Array | undefined {
  return vectors && new Int32Array(vectors.buffer, vectors.byteOffset, vectors.length);
}

const SPECIAL = [0, -0, Number.NaN, 1 / 0, -1 / 0, 1e-45, -1e-45, 1e-40, 3.4e38, -3.4e38, 1];
const chosen = new Int32Array(1);
const asFloat = new Float32Array(chosen.buffer);

const KINDS: Record<string, (random: Random) => number> = {
  'standard normal': (random) => random.normal(),
  'any number': (random) => {
    chosen[0] = random.below(2 ** 32);
    return asFloat[0]!;
  },
  'half of them zero': (random) => (random.below(2) ? random.normal() : 0),
  'few magnitudes of either sign': (random) => (random.below(20) - 10) / 7,
  'all the same': () => 0.25,
  'all zero': () => 0,
  'whole numbers': (random) => random.below(256),
  'special values': (random) => SPECIAL[random.below(SPECIAL.length)]!,
};

function vectorsOf(kind: string, random: Random, count: number, dimension: number): Float32Array {
  return Float32Array.from({ length: count * dimension }, () => KINDS[kind]!(random));
}

describe.each(Object.keys(KINDS))('vectors: %s', (kind) => {
  test('plain and exact restore every bit, whatever dimension and number', () => {
    const random = new Random(11);
    for (const dimension of [1, 2, 3, 7, 64, 384, 1000, 8192]) {
      for (const count of new Set([1, 2, 9, vectorsPerBlock(dimension)])) {
        if (count * dimension > 40_000) continue;
        const vectors = vectorsOf(kind, random, count, dimension);
        for (const form of ['plain', 'exact'] as const) {
          const restored = decode(encode(vectors, dimension, form));
          expect(Buffer.from(bits(restored)!.buffer).equals(Buffer.from(vectors.buffer))).toBe(true);
          expect([decoder.count, decoder.dimension]).toEqual([count, dimension]);
        }
      }
    }
  });

  test('compiled and in JavaScript, the same vectors give the same bytes and the same bytes the same vectors', () => {
    expect(loadExactLoops(), 'the module was built').toBeDefined();
    const random = new Random(12);
    for (const dimension of [1, 5, 384, 1024]) {
      for (const count of [1, 3, vectorsPerBlock(dimension)]) {
        const vectors = vectorsOf(kind, random, count, dimension);
        const out = new Uint8Array(blockBytesMax(count, dimension));
        const end = inJavaScript.encoder.encode(vectors, count, dimension, 'exact', out, 0);
        expect(Buffer.compare(encode(vectors, dimension, 'exact'), out.subarray(0, end))).toBe(0);
        expect(inJavaScript.decoder.read(out, 0, end)).toBe(end);
        expect(
          Buffer.from(inJavaScript.decoder.vectors.slice().buffer).equals(Buffer.from(vectors.buffer)),
        ).toBe(true);
      }
    }
  });

  test('no block is longer than plain', () => {
    const vectors = vectorsOf(kind, new Random(3), 40, 96);
    for (const form of FORMS) {
      expect(encode(vectors, 96, form).length).toBeLessThanOrEqual(encode(vectors, 96, 'plain').length);
    }
  });
});

test('int8 with a residual restores values to within half a step; the coarse value is the nearest int8', () => {
  const random = new Random(5);
  for (const [form, residualBits] of [
    ['int8', 0],
    ['int8+8', 8],
    ['int8+16', 16],
  ] as const) {
    for (const scale of [1e-29, 1e-3, 1, 1e20]) {
      const vectors = vectorsOf('standard normal', random, 20, 100).map((x) => x * scale);
      const restored = decode(encode(vectors, 100, form))!;
      expect(decoder.form).toBe(form);
      for (let i = 0; i < 20; i++) {
        const row = vectors.subarray(i * 100, (i + 1) * 100);
        const largest = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const tolerance = largest / 127 / 2 ** residualBits / 2 + largest * 2 ** -23;
        row.forEach((x, k) => {
          expect(Math.abs(x - restored[i * 100 + k]!)).toBeLessThanOrEqual(tolerance);
        });
      }
    }
  }
});

test.each(['special values', 'any number'])(
  'what int8 cannot say is stored so that every bit is restored: %s',
  (kind) => {
    const vectors = vectorsOf(kind, new Random(9), 30, 64);
    const restored = decode(encode(vectors, 64, 'int8+8'));
    expect(bits(restored)).toEqual(bits(vectors));
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, 1e-38, 3e38]) {
      const one = new Float32Array([odd, 0, 0]);
      expect(bits(decode(encode(one, 3, 'int8+16')))).toEqual(bits(one));
    }
  },
);

test('the payload of a NaN is kept', () => {
  const vectors = new Float32Array(64);
  bits(vectors)!.forEach((_, i, words) => {
    words[i] = 0x7f800001 + i * 0x1357 + (i % 2) * 0x80000000;
  });
  for (const form of FORMS) expect(bits(decode(encode(vectors, 16, form)))).toEqual(bits(vectors));
});

test('equal vectors give equal bytes, whatever was encoded before', () => {
  const vectors = vectorsOf('few magnitudes of either sign', new Random(1), 20, 50);
  for (const form of FORMS) {
    const first = encode(vectors, 50, form);
    encode(vectorsOf('any number', new Random(2), 60, 90), 90, form);
    expect(encode(vectors, 50, form)).toEqual(first);
  }
});

/** Reads what may be anything: refused, or some vectors; never beyond its end, never an exception. */
function readAnything(bytes: Uint8Array): void {
  for (const reader of [decoder, inJavaScript.decoder]) readGuarded(reader, bytes);
}

function readGuarded(decoder: VectorBlockDecoder, bytes: Uint8Array): void {
  const guarded = new Uint8Array(bytes.length + 64).fill(0xaa);
  guarded.set(bytes);
  const end = decoder.read(guarded, 0, bytes.length);
  expect(end === -1 || (end > 0 && end <= bytes.length)).toBe(true);
  if (end === -1) expect(decoder.count).toBe(0);
  expect(guarded.subarray(bytes.length).every((byte) => byte === 0xaa)).toBe(true);
}

test('a block that ends early anywhere is refused', () => {
  for (const form of FORMS) {
    const block = encode(vectorsOf('half of them zero', new Random(4), 5, 24), 24, form);
    for (let cut = 0; cut < block.length; cut += 8) {
      const bytes = block.slice(0, cut);
      readAnything(bytes);
      expect(decode(bytes)).toBeUndefined();
    }
  }
});

test(`flipped bits, bytes of chance and headers of chance never do more than give other vectors (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const blocks = FORMS.flatMap((form) =>
    Object.keys(KINDS).map((kind) => encode(vectorsOf(kind, random, 6, 40), 40, form)),
  );
  for (let round = 0; round < 8000; round++) {
    const bytes = blocks[random.below(blocks.length)]!.slice();
    const changes = 1 + random.below(4);
    for (let i = 0; i < changes; i++) {
      // Lengths and tables stand in front: look there more often.
      const at = random.below(random.below(2) ? bytes.length : Math.min(bytes.length, 64));
      bytes[at] = random.below(2) ? bytes[at]! ^ (1 << random.below(8)) : random.below(256);
    }
    readAnything(bytes);
  }
  for (let round = 0; round < 5000; round++) {
    const bytes = Uint8Array.from({ length: 8 * random.below(40) }, () => random.below(256));
    if (bytes.length >= 16) {
      const header = new Uint32Array(bytes.buffer);
      header[0] = random.below(5);
      header[1] = random.below(20);
      header[2] = random.below(30);
      header[3] = random.below(bytes.length);
    }
    readAnything(bytes);
  }
});

import { expect, test } from 'vitest';
import {
  PrefixDecoder,
  PrefixEncoder,
  SYMBOLS,
  streamBytesMax,
  TABLE_BYTES_MAX,
} from '../../kernels/codec/prefix-code.ts';
import { Random } from './random.ts';

/** Table and codes of the symbols, and what a decoder makes of them. */
function throughCode(symbols: Uint16Array): { bytes: number; tableBytes: number; restored: Uint16Array } {
  const counts = new Uint32Array(SYMBOLS);
  for (const symbol of symbols) counts[symbol]!++;
  const encoder = new PrefixEncoder();
  encoder.build(counts);
  const u8 = new Uint8Array(TABLE_BYTES_MAX + streamBytesMax(symbols.length));
  const table = encoder.writeTable(u8, 0);
  const end = encoder.write(symbols, symbols.length, u8, table);
  expect(end).toBeLessThanOrEqual(u8.length);
  const decoder = new PrefixDecoder();
  const restored = new Uint16Array(symbols.length + 1);
  expect(decoder.readTable(u8, 0, end)).toBe(table);
  expect(decoder.read(u8, table, end, restored, symbols.length)).toBe(true);
  return { bytes: end, tableBytes: table, restored: restored.subarray(0, symbols.length) };
}

function entropyBits(symbols: Uint16Array): number {
  const counts = new Map<number, number>();
  for (const symbol of symbols) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= count * Math.log2(count / symbols.length);
  return bits;
}

/** Symbols around 128, more or less spread. */
function normalSymbols(random: Random, count: number, spread: number): Uint16Array {
  return Uint16Array.from({ length: count }, () =>
    Math.max(0, Math.min(SYMBOLS - 1, Math.round(128 + spread * random.normal()))),
  );
}

test('symbols of any distribution are restored, from little more bits than their entropy', () => {
  const random = new Random(7);
  for (const spread of [0, 0.3, 1, 2, 10, 50, 1000]) {
    for (const count of [1, 2, 3, 17, 1000, 30_000]) {
      const symbols = normalSymbols(random, count, spread);
      const { bytes, tableBytes, restored } = throughCode(symbols);
      expect(restored, `spread ${spread}, ${count} symbols`).toEqual(symbols);
      const atLeastABit = Math.max(entropyBits(symbols), count);
      expect((bytes - tableBytes - 6) * 8).toBeLessThanOrEqual(atLeastABit * 1.2 + 16);
    }
  }
});

test('one symbol alone, all symbols alike, and weights that want very long codes', () => {
  expect(throughCode(new Uint16Array(100).fill(257)).restored).toEqual(new Uint16Array(100).fill(257));
  const all = Uint16Array.from({ length: SYMBOLS * 3 }, (_, i) => i % SYMBOLS);
  expect(throughCode(all).restored).toEqual(all);
  const fibonacci: number[] = [];
  for (let symbol = 0, a = 1, b = 1; symbol < 20; symbol++, [a, b] = [b, a + b]) {
    for (let i = 0; i < a; i++) fibonacci.push(symbol);
  }
  expect(throughCode(Uint16Array.from(fibonacci)).restored).toEqual(Uint16Array.from(fibonacci));
});

test('codes that end early are refused', () => {
  const symbols = normalSymbols(new Random(1), 1000, 5);
  const counts = new Uint32Array(SYMBOLS);
  for (const symbol of symbols) counts[symbol]!++;
  const encoder = new PrefixEncoder();
  encoder.build(counts);
  const u8 = new Uint8Array(TABLE_BYTES_MAX + streamBytesMax(symbols.length));
  const table = encoder.writeTable(u8, 0);
  const end = encoder.write(symbols, symbols.length, u8, table);
  const decoder = new PrefixDecoder();
  for (let cut = 0; cut < table; cut++) expect(decoder.readTable(u8, 0, cut)).toBe(-1);
  expect(decoder.readTable(u8, 0, end)).toBe(table);
  const restored = new Uint16Array(symbols.length + 1);
  // The slack at the end and a word that is not full may go.
  for (let cut = table; cut < end - 8; cut++)
    expect(decoder.read(u8, table, cut, restored, symbols.length)).toBe(false);
});

test('tables that say too much are refused', () => {
  const table = (entries: readonly (readonly [number, number])[]): Uint8Array =>
    new Uint8Array(
      Uint16Array.from([entries.length, ...entries.map(([symbol, length]) => symbol * 16 + length)]).buffer,
    );
  const decoder = new PrefixDecoder();
  const read = (u8: Uint8Array): number => decoder.readTable(u8, 0, u8.length);
  expect(
    read(
      table([
        [1, 1],
        [2, 2],
        [3, 2],
      ]),
    ),
  ).toBe(8);
  expect(read(table([])), 'empty').toBe(-1);
  expect(read(table([[258, 1]])), 'no such symbol').toBe(-1);
  expect(read(table([[1, 0]])), 'no length').toBe(-1);
  expect(read(table([[1, 12]])), 'too long').toBe(-1);
  const overfull = [1, 2, 3].map((symbol) => [symbol, 1] as const);
  expect(read(table(overfull)), 'more codes than there are').toBe(-1);
  const twice = [2, 2].map((symbol) => [symbol, 2] as const);
  expect(read(table(twice)), 'not ascending').toBe(-1);
});

/** Sizes as people write them: a plain number of bytes, or a number with a unit of 1,024 ("16KiB", "1.5GiB"). */
import { GIB, KIB, MIB } from './bounds.ts';

const UNITS: Readonly<Record<string, number>> = { b: 1, kib: KIB, mib: MIB, gib: GIB, tib: 1024 * GIB };

/** What {@link parseSize} accepts as text; also the pattern in the JSON Schema. */
export const SIZE_PATTERN = /^\s*\d[\d_]*(\.\d+)?\s*([Bb]|[KkMmGgTt][Ii][Bb])?\s*$/;

/** Bytes, or undefined unless `value` is a whole number of bytes ≥ 0 that is exact in a double. */
export function parseSize(value: number | string): number | undefined {
  let bytes = value;
  if (typeof bytes === 'string') {
    if (!SIZE_PATTERN.test(bytes)) return undefined;
    const text = bytes.trim().toLowerCase();
    const unit = /[a-z]+$/.exec(text)?.[0] ?? 'b';
    bytes = Number(text.replace(/[a-z]+$/, '').replaceAll('_', '')) * UNITS[unit]!;
  }
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}

/** The shortest text that {@link parseSize} reads back as exactly `bytes`: "16KiB", "1GiB", "1000". */
export function formatSize(bytes: number): string {
  for (const [unit, factor] of [
    ['TiB', UNITS.tib!],
    ['GiB', GIB],
    ['MiB', MIB],
    ['KiB', KIB],
  ] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** About `bytes`, for people: three digits and a unit ("1.42 GiB"). */
export function roundSize(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${unit === 'B' ? value : value.toPrecision(value >= 1000 ? 4 : 3)} ${unit}`;
}

/** What the files of the crash test hold: sizes on both sides of the inline limit, bytes that tell files apart. */
const SIZES = [200, 5_000, 16_384, 40_000, 300_000];
export const DIMENSION = 4;

/** Begins with `i`, so that a document that was replaced says which of them it is. */
export function contentOf(i: number): Buffer {
  const bytes = Buffer.alloc(SIZES[i % SIZES.length]!);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (i * 31 + at * 7 + (at >> 8)) & 0xff;
  bytes.writeUInt32LE(i, 0);
  return bytes;
}

export function vectorOf(i: number): Float32Array {
  return Float32Array.of(1, i, i / 3, -i);
}

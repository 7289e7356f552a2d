/** What file `i` of the crash test holds: sizes on both sides of the inline limit, bytes that tell files apart. */
export function contentOf(i: number): Buffer {
  const bytes = Buffer.alloc([200, 5_000, 16_384, 40_000, 300_000][i % 5]!);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (i * 31 + at * 7 + (at >> 8)) & 0xff;
  return bytes;
}

// Equal rows, of vectors or of codes: what makes a node the twin of another. Their length is a multiple of 16.

const MIX: u64 = 0x9e3779b97f4a7c15;

/** Of the bits of the row at `row`. */
export function hashRow(row: usize, bytes: usize): u32 {
  let a: u64 = MIX;
  let b: u64 = ~MIX;
  for (let at: usize = 0; at < bytes; at += 16) {
    a = rotl<u64>((a ^ load<u64>(row + at)) * MIX, 29);
    b = rotl<u64>((b ^ load<u64>(row + at, 8)) * MIX, 31);
  }
  const both = (a ^ rotl<u64>(b, 17)) * MIX;
  return <u32>(both >> 32);
}

export function isSameRow(a: usize, b: usize, bytes: usize): bool {
  for (let at: usize = 0; at < bytes; at += 16) {
    if (v128.any_true(v128.xor(v128.load(a + at), v128.load(b + at)))) return false;
  }
  return true;
}

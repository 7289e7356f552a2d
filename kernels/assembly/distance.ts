// Sums over rows. A row is padded with zeros to its stride, so there is no tail: float32 rows are whole cache lines, int8 rows
// multiples of 16. Each has a plain reference in kernels/hnsw/distance.ts. Four rows a call read the query once and
// keep four chains of additions going.

@inline
function sumF32(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) +
    f32x4.extract_lane(v, 1) +
    (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** Lane i of the result is the sum of the lanes of the i-th argument. */
@inline
function sumsF32(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 1, 4, 5), v128.shuffle<f32>(a, b, 2, 3, 6, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 1, 4, 5), v128.shuffle<f32>(c, d, 2, 3, 6, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

@inline
function sumsI32(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 1, 4, 5), v128.shuffle<i32>(a, b, 2, 3, 6, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 1, 4, 5), v128.shuffle<i32>(c, d, 2, 3, 6, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7));
}

/** Squared Euclidean distance; `bytes` is a multiple of 64. */
export function squaredF32(a: usize, b: usize, bytes: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let end = a + bytes; a < end; a += 64, b += 64) {
    const d0 = f32x4.sub(v128.load(a), v128.load(b));
    const d1 = f32x4.sub(v128.load(a, 16), v128.load(b, 16));
    const d2 = f32x4.sub(v128.load(a, 32), v128.load(b, 32));
    const d3 = f32x4.sub(v128.load(a, 48), v128.load(b, 48));
    s0 = f32x4.add(s0, f32x4.mul(d0, d0));
    s1 = f32x4.add(s1, f32x4.mul(d1, d1));
    s2 = f32x4.add(s2, f32x4.mul(d2, d2));
    s3 = f32x4.add(s3, f32x4.mul(d3, d3));
  }
  return sumF32(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

/** Inner product; `bytes` is a multiple of 64. */
export function dotF32(a: usize, b: usize, bytes: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let end = a + bytes; a < end; a += 64, b += 64) {
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a), v128.load(b)));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a, 16), v128.load(b, 16)));
    s2 = f32x4.add(s2, f32x4.mul(v128.load(a, 32), v128.load(b, 32)));
    s3 = f32x4.add(s3, f32x4.mul(v128.load(a, 48), v128.load(b, 48)));
  }
  return sumF32(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

/** Squared distances of one row to four. */
export function squaredF32x4(q: usize, a: usize, b: usize, c: usize, d: usize, bytes: usize): v128 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let end = q + bytes; q < end; q += 32, a += 32, b += 32, c += 32, d += 32) {
    let v = v128.load(q);
    let x0 = f32x4.sub(v, v128.load(a));
    let x1 = f32x4.sub(v, v128.load(b));
    let x2 = f32x4.sub(v, v128.load(c));
    let x3 = f32x4.sub(v, v128.load(d));
    s0 = f32x4.add(s0, f32x4.mul(x0, x0));
    s1 = f32x4.add(s1, f32x4.mul(x1, x1));
    s2 = f32x4.add(s2, f32x4.mul(x2, x2));
    s3 = f32x4.add(s3, f32x4.mul(x3, x3));
    v = v128.load(q, 16);
    x0 = f32x4.sub(v, v128.load(a, 16));
    x1 = f32x4.sub(v, v128.load(b, 16));
    x2 = f32x4.sub(v, v128.load(c, 16));
    x3 = f32x4.sub(v, v128.load(d, 16));
    s0 = f32x4.add(s0, f32x4.mul(x0, x0));
    s1 = f32x4.add(s1, f32x4.mul(x1, x1));
    s2 = f32x4.add(s2, f32x4.mul(x2, x2));
    s3 = f32x4.add(s3, f32x4.mul(x3, x3));
  }
  return sumsF32(s0, s1, s2, s3);
}

/** Inner products of one row with four. */
export function dotF32x4(q: usize, a: usize, b: usize, c: usize, d: usize, bytes: usize): v128 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let end = q + bytes; q < end; q += 32, a += 32, b += 32, c += 32, d += 32) {
    let v = v128.load(q);
    s0 = f32x4.add(s0, f32x4.mul(v, v128.load(a)));
    s1 = f32x4.add(s1, f32x4.mul(v, v128.load(b)));
    s2 = f32x4.add(s2, f32x4.mul(v, v128.load(c)));
    s3 = f32x4.add(s3, f32x4.mul(v, v128.load(d)));
    v = v128.load(q, 16);
    s0 = f32x4.add(s0, f32x4.mul(v, v128.load(a, 16)));
    s1 = f32x4.add(s1, f32x4.mul(v, v128.load(b, 16)));
    s2 = f32x4.add(s2, f32x4.mul(v, v128.load(c, 16)));
    s3 = f32x4.add(s3, f32x4.mul(v, v128.load(d, 16)));
  }
  return sumsF32(s0, s1, s2, s3);
}

/** Inner product of an int16 row with an int8 row of `length` components, a multiple of 16. The caller bounds the sum (quantise.ts). */
export function dotI8(q: usize, a: usize, length: usize): i32 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  for (let end = a + length; a < end; a += 16, q += 32) {
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load(q), v128.load_ext<i8>(a)));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load(q, 16), v128.load_ext<i8>(a, 8)));
  }
  const s = i32x4.add(s0, s1);
  return (
    i32x4.extract_lane(s, 0) + i32x4.extract_lane(s, 1) + (i32x4.extract_lane(s, 2) + i32x4.extract_lane(s, 3))
  );
}

/** Inner products of an int16 row with four int8 rows. Part of whoever calls it: a call takes as long as a tenth of it. */
@inline
export function dotI8x4(q: usize, a: usize, b: usize, c: usize, d: usize, length: usize): v128 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let end = a + length; a < end; q += 32, a += 16, b += 16, c += 16, d += 16) {
    let v = v128.load(q);
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(a)));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(b)));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(c)));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(d)));
    v = v128.load(q, 16);
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(a, 8)));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(b, 8)));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(c, 8)));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(d, 8)));
  }
  return sumsI32(s0, s1, s2, s3);
}

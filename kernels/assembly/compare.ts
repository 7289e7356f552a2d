// Distances from a vector, in the form it is compared in, to nodes.
import { dotF32, dotF32x4, dotI8, dotI8x4, squaredF32, squaredF32x4 } from './distance';
import { codeLength, codeOf, isDot, isQuantised, normOf, vectorBytes, vectorOf } from './memory';

@inline
function norms(a: u32, b: u32, c: u32, d: u32): v128 {
  let v = v128.load32_zero(normOf(a));
  v = v128.load_lane<f32>(normOf(b), v, 1);
  v = v128.load_lane<f32>(normOf(c), v, 2);
  return v128.load_lane<f32>(normOf(d), v, 3);
}

/** `form` is a query form (with its factor and offset) or, in a graph of float32, a vector. */
@inline
export function compare(form: usize, factor: f32, offset: f32, node: u32): f32 {
  if (isQuantised) {
    const product = <f32>dotI8(form, codeOf(node), codeLength);
    return load<f32>(normOf(node)) + offset + product * factor;
  }
  const vector = vectorOf(node);
  return isDot ? -dotF32(form, vector, vectorBytes) : squaredF32(form, vector, vectorBytes);
}

@inline
export function compare4(
  form: usize,
  factor: f32,
  offset: f32,
  a: u32,
  b: u32,
  c: u32,
  d: u32,
): v128 {
  if (isQuantised) {
    const products = f32x4.convert_i32x4_s(
      dotI8x4(form, codeOf(a), codeOf(b), codeOf(c), codeOf(d), codeLength),
    );
    const constant = f32x4.add(norms(a, b, c, d), f32x4.splat(offset));
    return f32x4.add(constant, f32x4.mul(products, f32x4.splat(factor)));
  }
  if (isDot) {
    const products = dotF32x4(form, vectorOf(a), vectorOf(b), vectorOf(c), vectorOf(d), vectorBytes);
    return f32x4.neg(products);
  }
  return squaredF32x4(form, vectorOf(a), vectorOf(b), vectorOf(c), vectorOf(d), vectorBytes);
}

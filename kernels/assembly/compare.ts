// Distances from a vector, in the form it is compared in, to nodes, as int32 that sort like the distances.
import { dotF32, dotF32x4, dotI8, dotI8x4, squaredF32, squaredF32x4 } from './distance';
import { codeLength, codeOf, isDot, isQuantised, normOf, vectorBytes, vectorOf } from './memory';

/** The bits of a float32 as an integer with the same order: those of negative numbers count downwards. */
@inline
export function sortable(distance: f32): i32 {
  const bits = reinterpret<i32>(distance);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

@inline
export function fromSortable(order: i32): f32 {
  return reinterpret<f32>(order ^ ((order >> 31) & 0x7fffffff));
}

@inline
export function sortables(distances: v128): v128 {
  return v128.xor(distances, v128.and(i32x4.shr_s(distances, 31), i32x4.splat(0x7fffffff)));
}

@inline
function norms(a: u32, b: u32, c: u32, d: u32): v128 {
  let v = v128.load32_zero(normOf(a));
  v = v128.load_lane<f32>(normOf(b), v, 1);
  v = v128.load_lane<f32>(normOf(c), v, 2);
  return v128.load_lane<f32>(normOf(d), v, 3);
}

/** `form` is a query form (with its factor and offset) or, in a graph of float32, a vector. */
@inline
export function compare(form: usize, factor: f32, offset: f32, node: u32): i32 {
  if (isQuantised) {
    const product = <f32>dotI8(form, codeOf(node), codeLength);
    return sortable(load<f32>(normOf(node)) + offset + product * factor);
  }
  const vector = vectorOf(node);
  return sortable(isDot ? -dotF32(form, vector, vectorBytes) : squaredF32(form, vector, vectorBytes));
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
    return sortables(f32x4.add(constant, f32x4.mul(products, f32x4.splat(factor))));
  }
  if (isDot) {
    const products = dotF32x4(form, vectorOf(a), vectorOf(b), vectorOf(c), vectorOf(d), vectorBytes);
    return sortables(f32x4.neg(products));
  }
  return sortables(squaredF32x4(form, vectorOf(a), vectorOf(b), vectorOf(c), vectorOf(d), vectorBytes));
}

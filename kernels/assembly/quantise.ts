// int8 codes with a centre and a step per dimension, and the form of a vector that is compared with codes.
//
// Of a component x (times UNIT) the code is round((x − centre) / step). A query keeps int16 precision: its form is
// (q − centre) × step, in multiples of a factor of its own, so that one inner product form · code serves every metric:
//   squared distance = |q − centre|² + |code × step|² − 2 × factor × (form · code)
//   −(inner product) = −q · centre − centre · (code × step) − factor × (form · code)
// The middle term belongs to the node and is stored (NORMS), the first belongs to the query.
// The factor is chosen so that no sum of 8,192 products overflows an int32.
import { CENTRE_SQUARED, CODED, HEADER, OUTSIDE, UNIT, WEIGHT_UNIT } from './layout';
import {
  centres,
  codeLength,
  codeOf,
  inverses,
  isDot,
  normOf,
  queryForm,
  steps,
  weights,
} from './memory';

/** Multiplies form · code, and is added to it, for the form last made by prepareQuery(). */
export let queryFactor: f32 = 0;
export let queryOffset: f32 = 0;

@inline
function headerF32(word: i32): f32 {
  return load<f32>(HEADER + (word << 2));
}

@inline
function total(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3)
  );
}

/** (x − centre) of four components from `at`. */
@inline
function centred(vector: usize, at: usize, unit: v128): v128 {
  return f32x4.sub(f32x4.mul(v128.load(vector + at), unit), v128.load(centres + at));
}

@inline
function rounded(v: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(v));
}

/** A code beyond this, before it is cut to 127, is far outside the range that the quantiser was trained for. */
const FAR: f32 = 190;

/** Writes a node's code and norm from the vector at `vector`. */
export function encode(node: u32, vector: usize): void {
  const code = codeOf(node);
  const unit = f32x4.splat(headerF32(UNIT));
  let largest = f32x4.splat(0);
  for (let i: usize = 0; i < codeLength; i += 16) {
    const at = i << 2;
    const a = f32x4.mul(centred(vector, at, unit), v128.load(inverses + at));
    const b = f32x4.mul(centred(vector, at + 16, unit), v128.load(inverses + at + 16));
    const c = f32x4.mul(centred(vector, at + 32, unit), v128.load(inverses + at + 32));
    const d = f32x4.mul(centred(vector, at + 48, unit), v128.load(inverses + at + 48));
    largest = f32x4.max(largest, f32x4.max(f32x4.abs(a), f32x4.abs(b)));
    largest = f32x4.max(largest, f32x4.max(f32x4.abs(c), f32x4.abs(d)));
    const low = i16x8.narrow_i32x4_s(rounded(a), rounded(b));
    v128.store(code + i, i8x16.narrow_i16x8_s(low, i16x8.narrow_i32x4_s(rounded(c), rounded(d))));
  }
  store<f32>(normOf(node), normOfCode(code));
  atomic.add<u32>(HEADER + CODED * 4, 1);
  if (largestLane(largest) > FAR) atomic.add<u32>(HEADER + OUTSIDE * 4, 1);
}

function normOfCode(code: usize): f32 {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < codeLength; i += 4) {
    const at = i << 2;
    const integers = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(code + i)));
    const value = f32x4.mul(f32x4.convert_i32x4_s(integers), v128.load(steps + at));
    sum = f32x4.add(sum, f32x4.mul(value, isDot ? v128.load(centres + at) : value));
  }
  return isDot ? -total(sum) : total(sum);
}

/** Makes the query form of the vector at `vector`. */
export function prepareQuery(vector: usize): void {
  const unit = f32x4.splat(headerF32(UNIT));
  let largest = f32x4.splat(0);
  let absolute = largest;
  let offset = largest;
  for (let at: usize = 0; at < codeLength << 2; at += 16) {
    const difference = centred(vector, at, unit);
    const weighted = f32x4.abs(f32x4.mul(difference, v128.load(steps + at)));
    largest = f32x4.max(largest, weighted);
    absolute = f32x4.add(absolute, weighted);
    const other = isDot ? v128.load(centres + at) : difference;
    offset = f32x4.add(offset, f32x4.mul(difference, other));
  }
  const factor = max(largestLane(largest) / 32767, (total(absolute) * 128) / 2147480000);
  const inverse: f32 = factor > 0 ? 1 / factor : 0;
  // 1 / factor of a denormal is infinite, and infinity times zero no number; such a query is as good as its centre.
  makeForm(vector, unit, inverse < <f32>3e38 ? inverse : 0);
  queryFactor = isDot ? -factor : -2 * factor;
  queryOffset = isDot ? -headerF32(CENTRE_SQUARED) - total(offset) : total(offset);
}

function makeForm(vector: usize, unit: v128, inverse: f32): void {
  const scale = f32x4.splat(inverse);
  for (let i: usize = 0; i < codeLength; i += 8) {
    const at = i << 2;
    const low = f32x4.mul(f32x4.mul(centred(vector, at, unit), v128.load(steps + at)), scale);
    const high = f32x4.mul(f32x4.mul(centred(vector, at + 16, unit), v128.load(steps + at + 16)), scale);
    v128.store(queryForm + (i << 1), i16x8.narrow_i32x4_s(rounded(low), rounded(high)));
  }
}

function largestLane(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/** Makes the query form of a node out of its code, in steps of a common factor: coarser, and many times cheaper. */
export function formOfCode(node: u32, form: usize): void {
  const code = codeOf(node);
  for (let i: usize = 0; i < codeLength; i += 16) {
    const at = i << 1;
    v128.store(form + at, i16x8.mul(v128.load_ext<i8>(code + i), v128.load(weights + at)));
    v128.store(form + at + 16, i16x8.mul(v128.load_ext<i8>(code + i, 8), v128.load(weights + at + 16)));
  }
}

@inline
export function codeFactor(): f32 {
  return isDot ? -headerF32(WEIGHT_UNIT) : -2 * headerF32(WEIGHT_UNIT);
}

@inline
export function codeOffset(node: u32): f32 {
  return isDot ? load<f32>(normOf(node)) - headerF32(CENTRE_SQUARED) : load<f32>(normOf(node));
}

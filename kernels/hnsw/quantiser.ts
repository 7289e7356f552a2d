/**
 * Training of the int8 quantiser: a centre and a step for each dimension, from a sample. How they are used is in
 * kernels/assembly/quantise.ts.
 */
import { assert } from '../../runtime/assert.ts';

export interface Quantiser {
  /** Components are multiplied with this first; brings the largest step to 1, so that squares neither over- nor underflow. */
  readonly unit: number;
  /** In units. */
  readonly centres: Float32Array;
  /** In units, each √(weightUnit × weight), so that inner products of codes are exact. */
  readonly steps: Float32Array;
  /** 1 … 255, for the query form of a code. */
  readonly weights: Int16Array;
  readonly weightUnit: number;
}

const CODE_MAX = 127;
const INT32_MAX = 2 ** 31 - 1;
/** The largest weight whose product with a code is an int16. */
const WEIGHT_MAX = 255;
/** Components farther from the centre than this many standard deviations are cut rather than making all codes coarser. */
const DEVIATIONS_MAX = 6;
/** The unit of tiny vectors stays a finite float32. */
const UNIT_MAX = 1e30;

/** From `rows` vectors, row r at `at(r)` of `f32`. */
export function trainQuantiser(
  f32: Float32Array,
  rows: number,
  dimension: number,
  at: (row: number) => number,
): Quantiser {
  assert(rows > 0, 'a quantiser is trained with vectors');
  const { means, ranges } = spread(f32, rows, dimension, at);
  const largest = ranges.reduce((most, range) => Math.max(most, range), 0);
  const magnitude = means.reduce((most, mean) => Math.max(most, Math.abs(mean)), 0);
  const range = largest > magnitude * 1e-6 ? largest : Math.max(magnitude, 1e-30);
  const unit = Math.min(CODE_MAX / range, UNIT_MAX);
  const squares = ranges.map((each) => ((each / CODE_MAX) * unit) ** 2);
  const sum = squares.reduce((total, square) => total + square, 0);
  // a weight may be one unit larger than asked for, hence the dimension
  const weightUnit = Math.max(1 / WEIGHT_MAX, ((sum + dimension / WEIGHT_MAX) * 128 * 128) / INT32_MAX);
  const weights = Int16Array.from(squares, (square) =>
    Math.max(1, Math.min(WEIGHT_MAX, Math.ceil(square / weightUnit))),
  );
  return {
    unit,
    centres: Float32Array.from(means, (mean) => mean * unit),
    steps: Float32Array.from(weights, (weight) => Math.sqrt(weight * weightUnit)),
    weights,
    weightUnit,
  };
}

/** Per dimension the mean, and the largest distance from it that shall have a code. */
function spread(f32: Float32Array, rows: number, dimension: number, at: (row: number) => number) {
  const means = new Float64Array(dimension);
  for (let row = 0; row < rows; row++) {
    const first = at(row);
    for (let d = 0; d < dimension; d++) means[d]! += f32[first + d]! / rows;
  }
  const ranges = new Float64Array(dimension);
  const variances = new Float64Array(dimension);
  for (let row = 0; row < rows; row++) {
    const first = at(row);
    for (let d = 0; d < dimension; d++) {
      const distance = Math.abs(f32[first + d]! - means[d]!);
      variances[d]! += (distance * distance) / rows;
      if (distance > ranges[d]!) ranges[d] = distance;
    }
  }
  for (let d = 0; d < dimension; d++) {
    ranges[d] = Math.min(ranges[d]!, DEVIATIONS_MAX * Math.sqrt(variances[d]!));
  }
  return { means, ranges };
}

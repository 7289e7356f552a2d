import { Random } from '../../test/kernels/random.ts';

/** Embeddings have far fewer degrees of freedom than dimensions. */
const INTRINSIC = 24;
const NOISE = 0.1;

/** `n` vectors, one after the other; those of the same `seed` lie in the same space, and differ by `skip`. */
export function makeVectors(n: number, dimension: number, seed: number, skip = 0): Float32Array {
  const space = new Random(seed);
  const basis = Array.from({ length: INTRINSIC }, () => space.vector(dimension));
  const random = new Random(seed + 1 + skip);
  const all = new Float32Array(n * dimension);
  for (let i = 0; i < n; i++) {
    const vector = all.subarray(i * dimension, (i + 1) * dimension);
    for (const direction of basis) {
      const weight = random.next() + random.next() + random.next() - 1.5;
      for (let d = 0; d < dimension; d++) vector[d]! += direction[d]! * weight;
    }
    for (let d = 0; d < dimension; d++) vector[d]! += NOISE * (random.next() - 0.5);
  }
  return all;
}

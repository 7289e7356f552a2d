/** The distance kernels of kernels/assembly/distance.ts in plain words: their oracle in tests, and what they are measured against. */

/** Squared Euclidean distance. */
export function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!;
    sum += difference * difference;
  }
  return sum;
}

export function innerProduct(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** 1 − cosine of the angle; 1 when either is zero. */
export function cosineDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const lengths = Math.sqrt(innerProduct(a, a) * innerProduct(b, b));
  return lengths === 0 ? 1 : 1 - innerProduct(a, b) / lengths;
}

/** Seeded random numbers and vectors for tests and benchmarks: the same seed gives the same data everywhere. */
import { randomFrom } from '../seed.ts';

export class Random {
  /** Uniform in [0, 1). */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = randomFrom(seed);
  }

  /** Whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** Standard normal (Box–Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  vector(dimension: number): Float32Array {
    return Float32Array.from({ length: dimension }, () => this.normal());
  }
}

/** `count` vectors around `centres` random centres. */
export function clusteredVectors(
  random: Random,
  count: number,
  dimension: number,
  centres: number,
): Float32Array[] {
  const middles = Array.from({ length: centres }, () => random.vector(dimension));
  return Array.from({ length: count }, () => {
    const middle = middles[random.below(centres)]!;
    return middle.map((x) => x + 0.5 * random.normal());
  });
}

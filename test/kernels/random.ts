/** Seeded random numbers for tests and benchmarks (mulberry32): the same seed gives the same data everywhere. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
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

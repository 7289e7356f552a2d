/**
 * A latency histogram in shared memory, log-linear as HdrHistogram's: each power of two is cut into 32 equal buckets,
 * so a quantile is off by at most 1/64 of its value. 0 … 2^40 ns (18 minutes); longer times count as the longest.
 *
 * Roles: one writer thread records; any thread reads.
 * Layout: f64 sum (ns), f64 largest (ns), then a u32 count per bucket (modulo 2^32).
 *
 * Invariants:
 * 1. Only the writer stores. A bucket is an aligned u32 and the two doubles are aligned, so no reader sees half a store.
 * 2. Nothing publishes: a reader sees each word as of some moment, so the sum and the counts may differ by the few
 *    records written meanwhile.
 */
import { assert } from '../assert.ts';

const STEP_BITS = 5;
const STEPS = 1 << STEP_BITS;
const MAX_BITS = 40;
const BUCKETS = (MAX_BITS - STEP_BITS + 1) * STEPS;
const LONGEST = 2 ** MAX_BITS - 1;
const HEADER_WORDS = 4;

export interface HistogramMemory {
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
}

export class Histogram {
  /** u32 words it takes; it starts at an even one. */
  static readonly WORDS = HEADER_WORDS + BUCKETS;
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #sum: number;
  readonly #counts: number;

  /** `index` is an even u32 index, the first of WORDS zeroed words. */
  constructor(memory: HistogramMemory, index: number) {
    assert(index % 2 === 0, 'a histogram is 8-aligned');
    this.#u32 = memory.u32;
    this.#f64 = memory.f64;
    this.#sum = index / 2;
    this.#counts = index + HEADER_WORDS;
  }

  /** Writer: counts one time of `ns` nanoseconds (fractions are dropped, negative counts as 0). */
  record(ns: number): void {
    const value = ns > 0 ? Math.min(ns, LONGEST) : 0;
    const at = this.#counts + bucketOf(value);
    this.#u32[at] = this.#u32[at]! + 1;
    this.#f64[this.#sum] = this.#f64[this.#sum]! + value;
    if (value > this.#f64[this.#sum + 1]!) this.#f64[this.#sum + 1] = value;
  }

  /** Any thread: a copy to ask questions of. */
  snapshot(): HistogramSnapshot {
    return new HistogramSnapshot().merge(this);
  }

  /** Adds this histogram's counts to `counts`; returns its sum. */
  addTo(counts: Float64Array): number {
    for (let i = 0; i < BUCKETS; i++) counts[i] = counts[i]! + this.#u32[this.#counts + i]!;
    return this.#f64[this.#sum]!;
  }

  get largest(): number {
    return this.#f64[this.#sum + 1]!;
  }
}

/** Counts of one or more histograms at a moment, or of the time between two moments. */
export class HistogramSnapshot {
  readonly counts = new Float64Array(BUCKETS);
  sum = 0;
  /** Longest time ever recorded, ns; since the beginning, also after subtract(). */
  largest = 0;

  merge(histogram: Histogram): this {
    this.sum += histogram.addTo(this.counts);
    this.largest = Math.max(this.largest, histogram.largest);
    return this;
  }

  /** Leaves what came after `earlier`, a snapshot of the same histograms. */
  subtract(earlier: HistogramSnapshot): this {
    for (let i = 0; i < BUCKETS; i++) {
      const difference = this.counts[i]! - earlier.counts[i]!;
      this.counts[i] = difference < 0 ? difference + 2 ** 32 : difference;
    }
    this.sum -= earlier.sum;
    return this;
  }

  get count(): number {
    let total = 0;
    for (let i = 0; i < BUCKETS; i++) total += this.counts[i]!;
    return total;
  }

  /** Arithmetic mean in ns, 0 when empty. */
  get mean(): number {
    const count = this.count;
    return count === 0 ? 0 : this.sum / count;
  }

  /** The time that a share `q` (0 … 1) of the records did not exceed, ns: the middle of its bucket, but no more than the
   * largest. 0 when empty. */
  quantile(q: number): number {
    assert(q >= 0 && q <= 1, 'a quantile is between 0 and 1');
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.counts[i]!;
      if (seen >= rank) return Math.min((lowestOf(i) + lowestOf(i + 1) - 1) / 2, this.largest);
    }
    return 0;
  }
}

/** Values below STEPS have a bucket each; above, the leading STEP_BITS + 1 bits choose it. */
function bucketOf(value: number): number {
  if (value < STEPS) return value | 0;
  // Above 31 bits the low 16 cannot matter: STEP_BITS + 1 leading bits are kept.
  const wide = value >= 2 ** 31;
  const word = wide ? (value / 65536) | 0 : value | 0;
  const shift = 31 - Math.clz32(word) - STEP_BITS;
  const exponent = wide ? shift + 16 : shift;
  return exponent * STEPS + (word >> shift);
}

/** Smallest value of a bucket; the one after the last is the end of the range. */
function lowestOf(bucket: number): number {
  if (bucket < 2 * STEPS) return bucket;
  const exponent = Math.floor(bucket / STEPS) - 1;
  return (STEPS + (bucket % STEPS)) * 2 ** exponent;
}

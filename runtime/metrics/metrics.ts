/**
 * Named counters and histograms of every actor, in one region that any thread can read.
 *
 * Roles: format() runs once, before other threads see the region. Each block has one writer thread, which holds the
 * MetricsBlock; any thread reads (readMetrics, or a MetricsBlock it does not write to).
 *
 * Layout: u32 length of the directory, the directory as JSON (written once), then each block from a cache line of its
 * own: its counters (f64 each), then its histograms.
 *
 * Invariants:
 * 1. Only a block's writer stores to it, with plain stores of aligned doubles and words, so no reader sees half a store.
 * 2. Nothing publishes: a reader sees each counter as of some moment, not all as of the same one.
 */
import { assert } from '../assert.ts';
import { SHARED_LINE } from '../config/bounds.ts';
import type { Region } from '../memory/arena.ts';
import { Histogram } from './histogram.ts';

export interface MetricsPlan {
  /** Unique; the actor's name. */
  readonly block: string;
  readonly counters: readonly string[];
  readonly histograms: readonly string[];
}

/** Region bytes for these blocks. */
export function planMetrics(blocks: readonly MetricsPlan[]): number {
  return blocks.reduce((end, block) => end + blockBytes(block), directoryBytes(encode(blocks)));
}

export function formatMetrics(region: Region, blocks: readonly MetricsPlan[]): void {
  assert(planMetrics(blocks) <= region.bytes, 'the metrics fit their region');
  assert(new Set(blocks.map(({ block }) => block)).size === blocks.length, 'block names are unique');
  const directory = encode(blocks);
  region.u8.set(directory, 4);
  Atomics.store(region.u32, 0, directory.length);
  directories.delete(region);
}

/** A block and the byte at which it starts. */
interface Located {
  readonly plan: MetricsPlan;
  readonly start: number;
}

/** By name, in the order of the region. Decoded once in each thread: with many actors it is long. */
const directories = new WeakMap<Region, ReadonlyMap<string, Located>>();

function directoryOf(region: Region): ReadonlyMap<string, Located> {
  let directory = directories.get(region);
  if (directory === undefined) {
    directory = locate(decode(region));
    directories.set(region, directory);
  }
  return directory;
}

function decode(region: Region): MetricsPlan[] {
  // A copy, because TextDecoder refuses shared memory.
  const length = Atomics.load(region.u32, 0);
  return JSON.parse(new TextDecoder().decode(region.u8.slice(4, 4 + length)));
}

function locate(plans: readonly MetricsPlan[]): ReadonlyMap<string, Located> {
  let start = planMetrics(plans) - plans.reduce((sum, plan) => sum + blockBytes(plan), 0);
  const directory = new Map<string, Located>();
  for (const plan of plans) {
    directory.set(plan.block, { plan, start });
    start += blockBytes(plan);
  }
  return directory;
}

export class MetricsBlock {
  readonly plan: MetricsPlan;
  /** In the order of plan.histograms. */
  readonly histograms: readonly Histogram[];
  readonly #f64: Float64Array;
  readonly #at: number;

  constructor(region: Region, name: string) {
    const located = directoryOf(region).get(name);
    assert(located !== undefined, `no metrics block "${name}"`);
    const { plan, start } = located;
    this.plan = plan;
    this.#f64 = region.f64;
    this.#at = start / 8;
    const words = start / 4 + 2 * plan.counters.length;
    this.histograms = plan.histograms.map((_, i) => new Histogram(region, words + i * Histogram.WORDS));
  }

  /** Number of a counter, to be looked up once. A name that was not planned is a bug. */
  counter(name: string): number {
    const index = this.plan.counters.indexOf(name);
    assert(index >= 0, `no counter "${name}"`);
    return index;
  }

  histogram(name: string): Histogram {
    const histogram = this.histograms[this.plan.histograms.indexOf(name)];
    assert(histogram !== undefined, `no histogram "${name}"`);
    return histogram;
  }

  /** Writer. Exact up to 2^53. */
  add(counter: number, amount: number): void {
    this.#f64[this.#at + counter] = this.#f64[this.#at + counter]! + amount;
  }

  /** Writer: for gauges. */
  set(counter: number, value: number): void {
    this.#f64[this.#at + counter] = value;
  }

  get(counter: number): number {
    return this.#f64[this.#at + counter]!;
  }
}

/** Any thread: every counter of every block, by name. */
export function readCounters(region: Region): Record<string, Record<string, number>> {
  return Object.fromEntries(
    [...directoryOf(region)].map(([name, { plan, start }]) => {
      const counters = plan.counters.map((counter, i) => [counter, region.f64[start / 8 + i]!]);
      return [name, Object.fromEntries(counters)];
    }),
  );
}

function encode(blocks: readonly MetricsPlan[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(blocks));
}

function directoryBytes(directory: Uint8Array): number {
  return align(4 + directory.length);
}

function blockBytes(plan: MetricsPlan): number {
  return align(8 * plan.counters.length + 4 * Histogram.WORDS * plan.histograms.length);
}

function align(bytes: number): number {
  return Math.ceil(bytes / SHARED_LINE) * SHARED_LINE;
}

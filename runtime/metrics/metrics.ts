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
}

/** The blocks that the region was formatted with. */
export function metricsDirectory(region: Region): MetricsPlan[] {
  // A copy, because TextDecoder refuses shared memory.
  const length = Atomics.load(region.u32, 0);
  return JSON.parse(new TextDecoder().decode(region.u8.slice(4, 4 + length)));
}

export class MetricsBlock {
  readonly plan: MetricsPlan;
  /** In the order of plan.histograms. */
  readonly histograms: readonly Histogram[];
  readonly #f64: Float64Array;
  readonly #at: number;

  constructor(region: Region, name: string) {
    const directory = metricsDirectory(region);
    const index = directory.findIndex(({ block }) => block === name);
    const plan = directory[index];
    assert(plan !== undefined, `no metrics block "${name}"`);
    const start =
      planMetrics(directory) - directory.slice(index).reduce((sum, block) => sum + blockBytes(block), 0);
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
    metricsDirectory(region).map(({ block: name }) => {
      const block = new MetricsBlock(region, name);
      return [name, Object.fromEntries(block.plan.counters.map((counter, i) => [counter, block.get(i)]))];
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

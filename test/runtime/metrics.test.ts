import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena } from '../../runtime/memory/arena.ts';
import { Histogram } from '../../runtime/metrics/histogram.ts';
import { formatMetrics, MetricsBlock, planMetrics, readCounters } from '../../runtime/metrics/metrics.ts';
import { testSeed } from '../seed.ts';

function histogram(): Histogram {
  const { u32, f64 } = Arena.create([{ name: 'h', bytes: Histogram.WORDS * 4 }]).region('h');
  return new Histogram({ u32, f64 }, 0);
}

test('quantiles are within 1/64 of the exact ones, count and mean are exact', () => {
  const times = fc.array(fc.oneof(fc.nat(100), fc.nat(1_000_000), fc.nat(2 ** 31 - 1), fc.maxSafeNat()), {
    minLength: 1,
  });
  fc.assert(
    fc.property(times, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
      const h = histogram();
      const clipped = values.map((ns) => Math.min(ns % 2 ** 41, 2 ** 40 - 1));
      for (const ns of values) h.record(ns % 2 ** 41);
      const snapshot = h.snapshot();
      clipped.sort((a, b) => a - b);
      const exact = clipped[Math.max(1, Math.ceil(q * clipped.length)) - 1]!;
      expect(Math.abs(snapshot.quantile(q) - exact)).toBeLessThanOrEqual(exact / 64 + 1e-9);
      expect(snapshot.count).toBe(values.length);
      expect(snapshot.mean).toBeCloseTo(clipped.reduce((a, b) => a + b) / clipped.length, 3);
      expect(snapshot.largest).toBe(clipped.at(-1));
    }),
    { seed: testSeed('histograms') },
  );
});

test('an empty histogram answers 0; odd times count as the nearest that can be', () => {
  const h = histogram();
  expect([h.snapshot().count, h.snapshot().mean, h.snapshot().quantile(0.5)]).toEqual([0, 0, 0]);
  for (const ns of [-5, Number.NaN, 0.5, Number.POSITIVE_INFINITY]) h.record(ns);
  expect(h.snapshot().count).toBe(4);
  expect(h.snapshot().quantile(0.5)).toBe(0);
});

test('snapshots of several histograms add up, and what came after an earlier one is left by subtract', () => {
  const [a, b] = [histogram(), histogram()];
  a.record(100);
  b.record(1000);
  const earlier = a.snapshot().merge(b);
  b.record(5000);
  const later = a.snapshot().merge(b).subtract(earlier);
  expect(earlier.count).toBe(2);
  expect(earlier.mean).toBe(550);
  expect(later.count).toBe(1);
  expect(later.mean).toBe(5000);
});

test('blocks of counters are found by name, apart from each other', () => {
  const plan = [
    { block: 'fuse-0', counters: ['requests', 'bytes'], histograms: ['lookup', 'read'] },
    { block: 'io-0', counters: ['syncs'], histograms: [] },
    { block: 'stats', counters: [], histograms: ['lag'] },
  ];
  const arena = Arena.create([{ name: 'metrics', bytes: planMetrics(plan) }]);
  formatMetrics(arena.region('metrics'), plan);
  const region = Arena.attach(arena.buffer).region('metrics');
  const fuse = new MetricsBlock(region, 'fuse-0');
  const io = new MetricsBlock(region, 'io-0');
  fuse.add(fuse.counter('bytes'), 2 ** 40);
  fuse.add(fuse.counter('bytes'), 1);
  io.set(io.counter('syncs'), 3);
  fuse.histogram('read').record(50);
  new MetricsBlock(region, 'stats').histogram('lag').record(60);
  expect(readCounters(region)).toEqual({
    'fuse-0': { requests: 0, bytes: 2 ** 40 + 1 },
    'io-0': { syncs: 3 },
    stats: {},
  });
  expect(new MetricsBlock(region, 'fuse-0').histogram('read').snapshot().mean).toBe(50);
  expect(fuse.histogram('lookup').snapshot().count).toBe(0);
  expect(() => fuse.counter('nothing')).toThrow('no counter');
  expect(() => new MetricsBlock(region, 'nobody')).toThrow('no metrics block');
});

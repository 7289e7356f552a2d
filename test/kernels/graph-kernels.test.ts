/** The WASM kernels against their plain references. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as layout from '../../kernels/assembly/layout.ts';
import { cosineDistance, innerProduct, squaredDistance } from '../../kernels/hnsw/distance.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { type ElementType, headerWord } from '../../kernels/hnsw/graph-memory.ts';
import { compileGraph, LAYOUT_SECTION } from '../../kernels/hnsw/graph-module.ts';
import { GraphOwner } from '../../kernels/hnsw/graph-owner.ts';
import { NativeIndex } from '../../kernels/hnsw/native.ts';
import { trainQuantiser } from '../../kernels/hnsw/quantiser.ts';
import { type Metric, SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { Random } from './random.ts';

const SEED = 20261122;
const DIMENSIONS = [1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 384, 768, 1536, 8191, 8192];

function ownerOf(dimension: number, metric: Metric = 'l2', element: ElementType = 'i8'): GraphOwner {
  return new GraphOwner({ dimension, metric, m: 8, efConstruction: 50, seed: 1 }, element, 64);
}

/** Vectors that are near each other in some dimensions and far apart, and off the middle, in others. */
function uneven(random: Random, dimension: number, count: number): Float32Array[] {
  const shift = random.vector(dimension);
  const spread = random.vector(dimension).map((x) => 10 ** (x / 2));
  return Array.from({ length: count }, () =>
    random.vector(dimension).map((x, d) => x * spread[d]! + 5 * shift[d]!),
  );
}

test('links that were chosen together: none is clearly nearer to another that is nearer to the node', () => {
  const random = new Random(SEED);
  const make = NativeIndex.load();
  const index = make({ dimension: 8, metric: 'l2', m: 6, efConstruction: 60, seed: 1, element: 'f32' });
  for (let label = 0; label < 1500; label++) {
    index.add(label, random.vector(8));
    if (label > 300 && label % 3 === 0) index.remove(Math.floor(random.next() * label));
  }
  const { owner } = index;
  const { f32, u32 } = owner.graph;
  const vectorOf = (node: number) => f32.subarray(owner.vectorAt(node), owner.vectorAt(node) + 8);
  const distance = (a: number, b: number) => squaredDistance(vectorOf(a), vectorOf(b));
  let compared = 0;
  let wrong = 0;
  for (let node = 0; node < owner.nodes; node++) {
    if (!owner.isLive(node)) continue;
    const together = u32[owner.header(layout.STATES) / 4 + node]! >>> layout.SETTLED_SHIFT;
    const first = owner.header(layout.LINKS) / 4 + node * 12;
    const links = [...u32.subarray(first, first + together)].sort(
      (a, b) => distance(node, a) - distance(node, b),
    );
    for (const [i, far] of links.entries()) {
      for (const near of links.slice(0, i)) {
        compared++;
        if (distance(near, far) < distance(node, far) * 0.8999) wrong++;
      }
    }
  }
  expect(compared).toBeGreaterThan(10_000);
  expect(wrong).toBe(0);
});

describe.each(DIMENSIONS)('dimension %i', (dimension) => {
  const random = new Random(SEED + dimension);
  const vectors = uneven(random, dimension, 6);

  test('float32 distances, one and four at a time, are those of the reference', () => {
    const owner = ownerOf(dimension, 'l2', 'f32');
    vectors.forEach((v, i) => {
      owner.place(i, v);
    });
    const { exports, graph } = owner;
    const bytes = owner.header(layout.VECTOR_BYTES);
    const at = vectors.map((_, node) => owner.vectorAt(node) * 4) as [number, number, number, number, number];
    const to = exports.resultsAt() >>> 0;
    const out = graph.f32.subarray(to / 4, to / 4 + 4);
    const size = innerProduct(vectors[0]!.map(Math.abs), vectors[0]!.map(Math.abs));
    const close = (value: number, truth: number) =>
      expect(Math.abs(value - truth), `seed ${SEED}`).toBeLessThan(4e-6 * (Math.abs(truth) + 10 * size));
    close(exports.squaredF32(at[0], at[1], bytes), squaredDistance(vectors[0]!, vectors[1]!));
    close(exports.dotF32(at[0], at[1], bytes), innerProduct(vectors[0]!, vectors[1]!));
    exports.squaredF32To4(at[0], at[1], at[2], at[3], at[4], bytes, to);
    out.forEach((value, i) => {
      close(value, squaredDistance(vectors[0]!, vectors[i + 1]!));
    });
    exports.dotF32To4(at[0], at[1], at[2], at[3], at[4], bytes, to);
    out.forEach((value, i) => {
      close(value, innerProduct(vectors[0]!, vectors[i + 1]!));
    });
  });

  test('int8 inner products are exact, at the largest components too', () => {
    const owner = ownerOf(dimension);
    const { exports, graph } = owner;
    for (let node = 0; node < 4; node++) owner.place(node, vectors[node]!);
    const length = owner.header(layout.CODE_LENGTH);
    const stride = owner.header(layout.CODE_BYTES);
    const codes = owner.header(layout.CODES);
    const form = exports.queryFormAt() >>> 0;
    const i8 = new Int8Array(graph.memory.buffer, codes, 4 * stride);
    const i16 = new Int16Array(graph.memory.buffer, form, length);
    // the sum of absolute values that prepareQuery() allows
    const most = Math.min(32767, Math.floor(2147480000 / 128 / dimension));
    for (let d = 0; d < dimension; d++) {
      i16[d] = d % 3 === 0 ? most : -random.below(most + 1);
      for (let node = 0; node < 4; node++)
        i8[node * stride + d] = d % 2 === 0 ? -128 : random.below(256) - 128;
    }
    const truth = [0, 1, 2, 3].map((node) =>
      innerProduct(i16, i8.subarray(node * stride, node * stride + length)),
    );
    expect(exports.dotI8(form, codes, length)).toBe(truth[0]);
    const to = exports.resultsAt() >>> 0;
    exports.dotI8To4(form, codes, codes + stride, codes + 2 * stride, codes + 3 * stride, length, to);
    expect(Array.from(graph.i32.subarray(to / 4, to / 4 + 4))).toEqual(truth);
  });

  test.each(['l2', 'dot', 'cosine'] as const)('%s from codes is that of the vectors, nearly', (metric) => {
    const owner = ownerOf(dimension, metric);
    const sample = uneven(new Random(SEED - dimension), dimension, 50);
    sample.forEach((v, i) => {
      owner.place(i, v);
    });
    owner.train();
    const { exports, graph } = owner;
    const { f32, u32 } = graph;
    const length = owner.header(layout.CODE_LENGTH);
    const stride = owner.header(layout.CODE_BYTES);
    const rowOf = (node: number) => f32.slice(owner.vectorAt(node), owner.vectorAt(node) + dimension);
    const unit = f32[headerWord(layout.UNIT)]!;
    exports.makeQueryForm(owner.vectorAt(0) * 4);
    let worst = 0;
    let spread = 0;
    for (let i = 1; i < 50; i++) {
      const node = owner.twins.firstOf(i);
      const product = exports.dotI8(
        exports.queryFormAt() >>> 0,
        owner.header(layout.CODES) + node * stride,
        length,
      );
      const norm = f32[u32[headerWord(layout.NORMS)]! / 4 + node]!;
      const walked = (norm + exports.offsetOfQuery() + product * exports.factorOfQuery()) / unit ** 2;
      const truth =
        metric === 'l2' ? squaredDistance(rowOf(0), rowOf(node)) : -innerProduct(rowOf(0), rowOf(node));
      worst = Math.max(worst, Math.abs(walked - truth));
      spread = Math.max(spread, squaredDistance(rowOf(0), rowOf(node)));
    }
    expect(worst, `seed ${SEED}`).toBeLessThan(0.06 * spread + 1e-6 * innerProduct(rowOf(0), rowOf(0)));
  });
});

test('cosine distance is 1 beside a zero vector and 0 along the same direction', () => {
  expect(cosineDistance([0, 0], [1, 2])).toBe(1);
  expect(cosineDistance([1, 2], [2, 4])).toBeCloseTo(0);
  expect(cosineDistance([1, 0], [0, 3])).toBe(1);
});

test('a quantiser has a step for a constant component, for tiny and for huge vectors', () => {
  for (const scale of [0, 1e-42, 1e-20, 1, 1e17]) {
    const rows = Float32Array.from([1, 5, 2, 5, 3, 5, 4, 5], (x) => x * scale);
    const { unit, centres, steps, weights, weightUnit } = trainQuantiser(rows, 4, 2, (row) => row * 2);
    for (const value of [unit, weightUnit, ...centres, ...steps]) expect(Number.isFinite(value)).toBe(true);
    for (const weight of weights) expect(weight >= 1 && weight <= 255).toBe(true);
    steps.forEach((step, d) => {
      expect(step ** 2).toBeCloseTo(weights[d]! * weightUnit);
    });
  }
});

test.each(['l2', 'dot', 'cosine'] as const)('%s: the exact scan finds what the oracle finds', (metric) => {
  const random = new Random(SEED);
  for (const [dimension, count] of [
    [5, 3],
    [33, 100],
    [100, 255],
  ] as const) {
    const options = { dimension, metric, m: 8, efConstruction: 50, seed: 1 };
    const index = NativeIndex.load()(options);
    const oracle = new ExactIndex(options);
    const vectors = uneven(random, dimension, count);
    vectors.forEach((v, label) => {
      index.add(label, v);
      oracle.add(label, v);
    });
    for (let label = 0; label < count; label += 3) {
      index.remove(label);
      oracle.remove(label);
    }
    const ours = new SearchHits(count);
    const theirs = new SearchHits(count);
    for (const k of [1, 10, count]) {
      const query = uneven(random, dimension, 1)[0]!;
      index.search(query, Math.min(k, count), 16, ours);
      oracle.search(query, Math.min(k, count), 16, theirs);
      expect(ours.count).toBe(theirs.count);
      for (let i = 0; i < ours.count; i++) {
        expect(ours.distances[i], `seed ${SEED}`).toBeCloseTo(
          theirs.distances[i]!,
          3 - Math.ceil(Math.log10(Math.abs(theirs.distances[i]!) + 1)),
        );
      }
    }
  }
});

test('a module that was built with another layout, or before there was a mark of it, is refused with what to do', () => {
  const bytes = readFileSync(new URL('../../kernels/hnsw/graph-i8.wasm', import.meta.url));
  expect(() => compileGraph(bytes, 'graph-i8.wasm')).not.toThrow();
  const at = bytes.indexOf('["NONE",4294967295]');
  const other = Buffer.from(bytes);
  other.write('4', at + '["NONE",429496729'.length);
  const unmarked = bytes.subarray(0, bytes.lastIndexOf(LAYOUT_SECTION) - 4);
  for (const old of [other, unmarked]) {
    expect(() => compileGraph(old, 'graph-i8.wasm')).toThrow(/graph-i8.wasm was built .*npm run build/);
  }
});

test('where the processor has no SIMD, graphs say that they cannot run', () => {
  const module = new URL('../../kernels/hnsw/graph-module.js', import.meta.url).href;
  const script = `const { canRunGraphs } = await import('${module}'); console.log(canRunGraphs());`;
  const say = (...flags: string[]) =>
    spawnSync(process.execPath, [...flags, '--input-type=module', '-e', script], {
      encoding: 'utf8',
    }).stdout.trim();
  expect(say()).toBe('true');
  if (process.arch === 'x64') expect(say('--no-enable-sse4-1')).toBe('false');
});

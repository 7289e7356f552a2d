/** Nanoseconds of one distance: the WASM kernels beside plain JavaScript, on vectors that are in the first cache. */
import * as layout from '../../kernels/assembly/layout.ts';
import { innerProduct, squaredDistance } from '../../kernels/hnsw/distance.ts';
import { GraphOwner } from '../../kernels/hnsw/graph-owner.ts';
import { Random } from '../../test/kernels/random.ts';
import { median } from './compare.ts';

export interface KernelRow {
  readonly kernel: 'squared f32' | 'dot f32' | 'dot i8';
  readonly dim: number;
  /** Nanoseconds a distance: plain JavaScript, one call for each, one call for four. */
  readonly plain: number;
  readonly one: number;
  readonly four: number;
}

const ROUNDS = 9;
const CALLS = 20_000;

/** Nanoseconds of processor time of one call: the median over rounds. */
function timeOf(call: () => void): number {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < CALLS; i++) call();
    const { user, system } = process.cpuUsage(before);
    times.push(((user + system) * 1000) / CALLS);
  }
  return median(times);
}

export function measureKernels(dim: number): KernelRow[] {
  const random = new Random(dim);
  const owner = new GraphOwner({ dimension: dim, metric: 'l2', m: 8, efConstruction: 50, seed: 1 }, 'i8', 64);
  const vectors = Array.from({ length: 5 }, () => random.vector(dim));
  for (const [label, vector] of vectors.entries()) owner.place(label, vector);
  owner.train();
  const { exports, graph } = owner;
  const bytes = owner.header(layout.VECTOR_BYTES);
  const rows = [0, 1, 2, 3, 4].map((node) => owner.vectorAt(node) * 4) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const codeBytes = owner.header(layout.CODE_BYTES);
  const length = owner.header(layout.CODE_LENGTH);
  const code = (node: number) => owner.header(layout.CODES) + node * codeBytes;
  const codes = [0, 1, 2, 3, 4].map(code) as [number, number, number, number, number];
  exports.makeQueryForm(rows[0]);
  const form = exports.queryFormAt() >>> 0;
  const to = exports.resultsAt() >>> 0;
  const form16 = new Int16Array(graph.memory.buffer, form, dim);
  const code8 = new Int8Array(graph.memory.buffer, codes[1], dim);
  const [a, b] = [vectors[0]!, vectors[1]!];
  const [, r1, r2, r3, r4] = rows;
  const [, c1, c2, c3, c4] = codes;
  let sink = 0;
  const plainOf = (call: () => number) =>
    timeOf(() => {
      sink += call();
    });
  const result: KernelRow[] = [
    {
      kernel: 'squared f32',
      dim,
      plain: plainOf(() => squaredDistance(a, b)),
      one: plainOf(() => exports.squaredF32(rows[0], r1, bytes)),
      four: timeOf(() => exports.squaredF32To4(rows[0], r1, r2, r3, r4, bytes, to)) / 4,
    },
    {
      kernel: 'dot f32',
      dim,
      plain: plainOf(() => innerProduct(a, b)),
      one: plainOf(() => exports.dotF32(rows[0], r1, bytes)),
      four: timeOf(() => exports.dotF32To4(rows[0], r1, r2, r3, r4, bytes, to)) / 4,
    },
    {
      kernel: 'dot i8',
      dim,
      plain: plainOf(() => innerProduct(form16, code8)),
      one: plainOf(() => exports.dotI8(form, c1, length)),
      four: timeOf(() => exports.dotI8To4(form, c1, c2, c3, c4, length, to)) / 4,
    },
  ];
  return Number.isNaN(sink) ? [] : result;
}

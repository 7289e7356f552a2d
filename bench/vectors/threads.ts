/** Graphs that are built and searched by one thread and by two, in turns: how much the second one adds. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ElementType } from '../../kernels/hnsw/graph-memory.ts';
import { GraphOwner } from '../../kernels/hnsw/graph-owner.ts';
import { adviseHugePages } from '../../runtime/system/pages.ts';
import { median } from './compare.ts';
import type { Dataset } from './data.ts';
import { EF_CONSTRUCTION, M } from './engines.ts';

/** Words of the control. */
export const PHASE = 0;
export const READY = 1;
export const SEARCHED = 2;
/** Phases of the second thread. */
export const IDLE = 0;
export const INSERT = 1;
export const SEARCH = 2;
export const END = 3;

export interface SecondThread {
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array;
  /** One after the other. */
  readonly queries: Float32Array;
  readonly dimension: number;
  readonly ef: number;
}

export interface ThreadsRow {
  readonly elementType: ElementType;
  readonly dim: number;
  readonly n: number;
  readonly ef: number;
  /** By the clock; [one thread, two threads], medians over the turns. */
  readonly qps: readonly [number, number];
  readonly buildPerSecond: readonly [number, number];
  /** Medians of the ratios of neighbouring turns. */
  readonly searchGain: number;
  readonly buildGain: number;
}

const EF = 64;
const SEARCH_TURNS = 8;
const SEARCH_MS = 300;
/** Of the vectors a tenth is there before anything is measured; the rest are inserted in so many turns. */
const BUILD_TURNS = 9;

export async function measureThreads(data: Dataset, elementType: ElementType): Promise<ThreadsRow> {
  const { dimension, vectors } = data;
  const [alone, shared] = [filled(data, elementType), filled(data, elementType)];
  const control = new Int32Array(new SharedArrayBuffer(12));
  const queries = new Float32Array(data.queries.length * dimension);
  for (const [i, query] of data.queries.entries()) queries.set(query, i * dimension);
  const workerData: SecondThread = { memory: shared.graph.memory, control, queries, dimension, ef: EF };
  const worker = new Worker(new URL('./thread.js', import.meta.url), { workerData });
  while (Atomics.load(control, READY) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const enter = (phase: number) => {
    Atomics.store(control, PHASE, phase);
    Atomics.notify(control, PHASE);
  };
  const built = build(alone, shared, vectors.length, enter);
  const found = search(shared, queries, dimension, control, enter);
  enter(END);
  await once(worker, 'exit');
  const row = { elementType, dim: dimension, n: vectors.length, ef: EF };
  return {
    ...row,
    ...summary('searchGain', 'qps', found),
    ...summary('buildGain', 'buildPerSecond', built),
  } as ThreadsRow;
}

/** A graph in which all vectors are placed, and none is linked. */
function filled({ dimension, vectors }: Dataset, elementType: ElementType): GraphOwner {
  const options = {
    dimension,
    metric: 'l2',
    m: M,
    efConstruction: EF_CONSTRUCTION,
    seed: 1,
    onRows: adviseHugePages,
  } as const;
  const owner = new GraphOwner(options, elementType, vectors.length);
  for (const [label, vector] of vectors.entries()) owner.place(label, vector);
  if (owner.wantsTraining) owner.train();
  return owner;
}

/** Rates by the number of threads, of turns that alternate. */
type Rates = readonly [one: number[], two: number[]];

function summary(gain: string, rate: string, [one, two]: Rates) {
  return { [gain]: median(one.map((each, i) => two[i]! / each)), [rate]: [median(one), median(two)] };
}

/** The same vectors into a graph by one thread, and into another by two: each turn of both finds graphs of the same size. */
function build(alone: GraphOwner, shared: GraphOwner, n: number, enter: (phase: number) => void): Rates {
  const rates: Rates = [[], []];
  const insert = (owner: GraphOwner, from: number, to: number, phase: number) => {
    owner.openBatch(from, to);
    const start = performance.now();
    enter(phase);
    owner.finishBatch();
    enter(IDLE);
    return ((to - from) * 1000) / (performance.now() - start);
  };
  const first = Math.floor(n / 10);
  insert(alone, 0, first, IDLE);
  insert(shared, 0, first, INSERT);
  const at = (turn: number) => first + Math.floor(((n - first) * turn) / BUILD_TURNS);
  for (let turn = 0; turn < BUILD_TURNS; turn++) {
    rates[0].push(insert(alone, at(turn), at(turn + 1), IDLE));
    rates[1].push(insert(shared, at(turn), at(turn + 1), INSERT));
  }
  return rates;
}

function search(
  owner: GraphOwner,
  queries: Float32Array,
  dimension: number,
  control: Int32Array,
  enter: (phase: number) => void,
): Rates {
  const rates: Rates = [[], []];
  const { exports, graph } = owner;
  const query = (exports.queryAt() >>> 0) / 4;
  let q = 0;
  for (let turn = 0; turn < 2 * SEARCH_TURNS; turn++) {
    let own = 0;
    const start = performance.now();
    const before = Atomics.load(control, SEARCHED);
    enter(turn % 2 === 0 ? IDLE : SEARCH);
    for (; performance.now() - start < SEARCH_MS; own++, q++) {
      const at = (q * dimension) % queries.length;
      graph.f32.set(queries.subarray(at, at + dimension), query);
      exports.search(10, EF, 20);
    }
    const seconds = (performance.now() - start) / 1000;
    enter(IDLE);
    rates[turn & 1]!.push((own + Atomics.load(control, SEARCHED) - before) / seconds);
  }
  return rates;
}

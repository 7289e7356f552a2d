/** A thread of graph-race.test.ts: inserts what is in the batch, and searches all the time. */
import { parentPort, workerData } from 'node:worker_threads';
import * as layout from '../../kernels/assembly/layout.ts';
import { headerWord, viewsOfGraph } from '../../kernels/hnsw/graph-memory.ts';
import { attachGraph } from '../../kernels/hnsw/graph-module.ts';
import { type RaceReport, type RaceThread, TWIN_KINDS, twinComponent } from './graph-race-twins.ts';
import { Random } from './random.ts';

const { memory, slot, dimension, control, labels } = workerData as RaceThread;
const graph = viewsOfGraph(memory);
const exports = attachGraph(graph, slot);
const random = new Random(slot);
const query = (exports.queryAt() >>> 0) / 4;
const results = (exports.resultsAt() >>> 0) / 4;
Atomics.add(control, 1, 1);
let inserted = 0;
let searched = 0;
let wrong = 0;
while (Atomics.load(control, 0) === 0) {
  inserted += exports.insertBatch(4);
  const vector = random.vector(dimension);
  if (searched % 4 === 0) vector.fill(twinComponent(random.below(TWIN_KINDS)));
  graph.f32.set(vector, query);
  const found = exports.search(10, 48, 20);
  searched++;
  const seen = new Set<number>();
  for (let i = 0; i < found; i++) {
    const distance = graph.f32[results + 2 * i]!;
    const isAscending = i === 0 || distance >= graph.f32[results + 2 * i - 2]!;
    const label = graph.u32[results + 2 * i + 1]!;
    if (!(distance >= 0) || !isAscending || label >= labels || seen.has(label)) wrong++;
    seen.add(label);
  }
}
if (graph.u32[headerWord(layout.MAGIC_WORD)] !== layout.MAGIC) wrong++;
parentPort?.postMessage({ inserted, searched, wrong } satisfies RaceReport);

/** The second thread of threads.ts: does what the control says, and counts its searches. */
import { workerData } from 'node:worker_threads';
import { viewsOfGraph } from '../../kernels/hnsw/graph-memory.ts';
import { attachGraph, type GraphExports } from '../../kernels/hnsw/graph-module.ts';
import { END, IDLE, INSERT, PHASE, READY, SEARCH, SEARCHED, type SecondThread } from './threads.ts';

const { memory, control, queries, dimension, ef } = workerData as SecondThread;
const graph = viewsOfGraph(memory);
const exports: GraphExports = attachGraph(graph, 1);
const query = (exports.queryAt() >>> 0) / 4;
const count = queries.length / dimension;
Atomics.store(control, READY, 1);
let q = 0;
for (let phase = IDLE; phase !== END; phase = Atomics.load(control, PHASE)) {
  if (phase === INSERT) {
    if (exports.insertBatch(16) < 16) Atomics.wait(control, PHASE, INSERT, 1);
  } else if (phase === SEARCH) {
    const at = (q++ % count) * dimension;
    graph.f32.set(queries.subarray(at, at + dimension), query);
    exports.search(10, ef, 20);
    Atomics.add(control, SEARCHED, 1);
  } else {
    Atomics.wait(control, PHASE, IDLE, 50);
  }
}

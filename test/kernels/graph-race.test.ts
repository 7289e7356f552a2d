/** Several threads insert, delete and search in one graph; afterwards it keeps all rules and finds what a fresh one finds. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import * as layout from '../../kernels/assembly/layout.ts';
import { auditGraph } from '../../kernels/hnsw/graph-audit.ts';
import type { ElementType } from '../../kernels/hnsw/graph-memory.ts';
import { GraphOwner } from '../../kernels/hnsw/graph-owner.ts';
import { SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { type RaceReport, type RaceThread, TWIN_KINDS, twinComponent } from './graph-race-twins.ts';
import { clusteredVectors, Random } from './random.ts';

const SECONDS = Number(process.env.VEXFS_RACE_SECONDS ?? 8);
const DIMENSION = 24;
const THREADS = 3;
const POOL = 20_000;
const OPTIONS = { dimension: DIMENSION, metric: 'l2', m: 12, efConstruction: 60, seed: 7 } as const;

function threadsOn(owner: GraphOwner, control: Int32Array): Worker[] {
  return Array.from({ length: THREADS }, (_, i) => {
    const workerData: RaceThread = {
      memory: owner.graph.memory,
      slot: i + 1,
      dimension: DIMENSION,
      control,
      labels: POOL,
    };
    return new Worker(new URL('./graph-race-thread.js', import.meta.url), { workerData });
  });
}

/** Of the nearest 10 among `vectors` to each query, the share that `search` finds. */
function recallOf(
  search: (query: Float32Array, out: SearchHits) => void,
  exact: (query: Float32Array, out: SearchHits) => void,
  queries: Float32Array[],
): number {
  const found = new SearchHits(10);
  const truth = new SearchHits(10);
  let shared = 0;
  for (const query of queries) {
    search(query, found);
    exact(query, truth);
    const labels = new Set(truth.labels.subarray(0, truth.count));
    for (const label of found.labels.subarray(0, found.count)) if (labels.has(label)) shared++;
  }
  return shared / (queries.length * 10);
}

/** Searches of the owner: by a walk, or exactly. */
function searchOf(owner: GraphOwner, isExact: boolean): (query: Float32Array, out: SearchHits) => void {
  const { exports, graph } = owner;
  const results = (exports.resultsAt() >>> 0) / 4;
  // deleted nodes take room in the list of a walk
  const ef = Math.ceil((64 * owner.nodes) / (owner.nodes - owner.header(layout.DELETED_COUNT)));
  return (query, out) => {
    graph.f32.set(query, (exports.queryAt() >>> 0) / 4);
    const found = isExact ? exports.scan(10) : exports.search(10, ef, 20);
    out.begin(10);
    for (let i = 0; i < found; i++) out.offer(graph.u32[results + 2 * i + 1]!, graph.f32[results + 2 * i]!);
  };
}

test.each(['i8', 'f32'] as ElementType[])(
  `%s: after ${SECONDS / 2} s of inserting, deleting and searching by ${THREADS + 1} threads the graph is whole and as good as a fresh one`,
  async (element) => {
    const seed = 4711;
    const random = new Random(seed);
    const vectors = Array.from({ length: POOL + 1000 }, () => random.vector(DIMENSION));
    // one in eight is one of a few that lie apart, so that nodes have twins
    for (let label = 0; label < POOL; label += 8)
      vectors[label]!.fill(twinComponent(random.below(TWIN_KINDS)));
    const owner = new GraphOwner(OPTIONS, element, POOL * 4);
    const nodeOf = new Map<number, number>();
    for (let label = 0; label < 2000; label++) nodeOf.set(label, owner.place(label, vectors[label]!));
    if (owner.wantsTraining) owner.train();
    owner.openBatch(0, owner.nodes);
    owner.finishBatch();
    const control = new Int32Array(new SharedArrayBuffer(8));
    const workers = threadsOn(owner, control);
    const reports = workers.map(async (worker) => (await once(worker, 'message'))[0] as RaceReport);
    while (Atomics.load(control, 1) < THREADS) await new Promise((resolve) => setTimeout(resolve, 5));
    const end = performance.now() + SECONDS * 500;
    let deletions = 0;
    let reused = 0;
    while (performance.now() < end) {
      const first = owner.nodes;
      for (let i = 0; i < 256; i++) {
        const label = random.below(POOL);
        const old = nodeOf.get(label);
        if (old !== undefined) {
          owner.remove(old);
          nodeOf.delete(label);
          deletions++;
        }
        if (random.next() < 0.4) continue;
        const node = owner.place(label, vectors[label]!);
        if (node < 0) continue;
        nodeOf.set(label, node);
        if (node < first && owner.isPlaced(node)) {
          owner.exports.insert(node);
          reused++;
        }
      }
      owner.openBatch(first, owner.nodes);
      owner.finishBatch();
      for (let i = 0; i < 64; i++) owner.tidy();
    }
    Atomics.store(control, 0, 1);
    const results = await Promise.all(reports);
    await Promise.all(workers.map((worker) => worker.terminate()));
    const sum = (name: keyof RaceReport) => results.reduce((total, report) => total + report[name], 0);
    console.log(
      `${element}: ${sum('inserted')} inserted, ${nodeOf.size - owner.twins.distinct} twins, ${sum('searched')} searched by others; ${deletions} deleted, ${reused} nodes used again, ${nodeOf.size} live`,
    );
    expect(sum('wrong'), `seed ${seed}`).toBe(0);
    expect(sum('searched')).toBeGreaterThan(0);
    expect(deletions).toBeGreaterThan(0);

    // The links of nodes that wait to be freed are not counted any more.
    while (owner.tidy());
    const audit = auditGraph(owner.graph);
    expect(audit.faults, `seed ${seed}`).toEqual([]);
    expect(audit.live).toBe(nodeOf.size);
    expect(audit.miscounted).toBe(0);
    expect(audit.unreachable, `seed ${seed}`).toEqual([]);

    const fresh = new GraphOwner(OPTIONS, element, POOL * 4);
    for (const label of nodeOf.keys()) fresh.place(label, vectors[label]!);
    if (fresh.wantsTraining) fresh.train();
    fresh.openBatch(0, fresh.nodes);
    fresh.finishBatch();
    const queries = vectors.slice(POOL);
    const exact = searchOf(fresh, true);
    const raced = recallOf(searchOf(owner, false), exact, queries);
    const built = recallOf(searchOf(fresh, false), exact, queries);
    console.log(`${element}: recall@10 ${raced.toFixed(4)}, of a fresh graph ${built.toFixed(4)}`);
    expect(raced, `seed ${seed}`).toBeGreaterThan(built - 0.01);
  },
  SECONDS * 1000 + 120_000,
);

test('a node locked by a thread that is gone delays an insertion beside it and hangs nothing; its lock can be freed', () => {
  const random = new Random(3);
  const owner = new GraphOwner(OPTIONS, 'i8', 1000);
  const vectors = clusteredVectors(random, 400, DIMENSION, 1);
  for (let label = 0; label < 300; label++) owner.place(label, vectors[label]!);
  owner.train();
  for (let node = 0; node < 300; node++) owner.exports.insert(node);
  const locks = owner.header(layout.LOCKS) / 4;
  const dead = 5;
  for (let node = 0; node < 300; node += 60) owner.graph.u32[locks + node] = dead + 1;
  const frozen = Array.from(owner.graph.u32.subarray(locks, locks + 300));
  for (let label = 300; label < 310; label++) owner.exports.insert(owner.place(label, vectors[label]!));
  const holders = owner.graph.u32.slice(locks, locks + 300).map((word) => word & ~layout.AWAITED);
  expect(Array.from(holders)).toEqual(frozen);
  const hits = new SearchHits(10);
  searchOf(owner, false)(vectors[305]!, hits);
  expect(hits.labels[0]).toBe(305);
  expect(owner.reclaim(dead)).toBe(-1);
  const audit = auditGraph(owner.graph);
  expect(audit.faults).toEqual([]);
  expect(audit.unreachable).toEqual([]);
});

test('threads that are ended in the middle of their insertions leave a graph that can be completed', async () => {
  const random = new Random(11);
  const vectors = clusteredVectors(random, 6000, DIMENSION, 20);
  const owner = new GraphOwner(OPTIONS, 'i8', 8000);
  for (let label = 0; label < 6000; label++) owner.place(label, vectors[label]!);
  owner.train();
  owner.openBatch(0, 0);
  const control = new Int32Array(new SharedArrayBuffer(8));
  let interrupted = 0;
  for (let round = 0; round < 6; round++) {
    const workers = threadsOn(owner, control);
    await Promise.all(workers.map((worker) => once(worker, 'online')));
    owner.openBatch(round * 1000, (round + 1) * 1000);
    while (owner.header(layout.BATCH_NEXT) < round * 1000 + 100) await new Promise(setImmediate);
    await Promise.all(workers.map((worker) => worker.terminate()));
    for (let slot = 1; slot <= THREADS; slot++) {
      const node = owner.reclaim(slot);
      if (node < 0) continue;
      interrupted++;
      owner.exports.insert(node);
    }
    owner.finishBatch();
  }
  console.log(`${interrupted} insertions were interrupted`);
  const audit = auditGraph(owner.graph);
  expect(audit.faults).toEqual([]);
  expect(audit.live).toBe(6000);
  expect(audit.unreachable.length).toBeLessThanOrEqual(interrupted);
  const search = searchOf(owner, false);
  expect(recallOf(search, searchOf(owner, true), vectors.slice(0, 200))).toBeGreaterThan(0.97);
});

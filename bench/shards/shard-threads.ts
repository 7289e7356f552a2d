/** The threads of some shards and nobody else: this one is whoever writes to them, asks them, and tells them to stop. */
import fs from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Context } from '../../actors/context.ts';
import { graphFilePath, listGraphFiles } from '../../actors/graph-file.ts';
import { type Hit, ScatterGather } from '../../actors/indexer/scatter-gather.ts';
import { HITS, SAVE_SEGMENT, SEGMENT_SAVED, writeNumber } from '../../actors/messages.ts';
import { ACTOR_STATES, vectorsRegion } from '../../actors/regions.ts';
import { Route, settledRoute } from '../../actors/route.ts';
import { writePutVector } from '../../actors/shard-messages.ts';
import { shardOf } from '../../actors/topology.ts';
import { VectorOrder } from '../../actors/vector-order.ts';
import { ExactIndex } from '../../kernels/hnsw/exact.ts';
import { type IndexOptions, SearchHits } from '../../kernels/hnsw/vector-index.ts';
import { type CollectionFigures, figuresOf } from '../../kernels/hnsw/vector-memory.ts';
import { ActorState, READY } from '../../runtime/scheduling/actor-state.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { World } from '../../test/actors/world.ts';

export const COLLECTION = 1;
const K = 10;
const EF = 64;
const FIRST_INO = 1;

export interface Latencies {
  readonly perSecond: number;
  readonly p50ms: number;
  readonly p99ms: number;
  readonly longestMs: number;
}

export interface Filling {
  readonly putPerSecond: number;
  /** From the first put until every vector is in a graph. */
  readonly caughtUpPerSecond: number;
  /** Of processor time of all threads but the one that puts and asks, microseconds. */
  readonly cpuOfVector: number;
  /** What the shards' threads do if nothing takes a processor from them: by that time. */
  readonly perSecondByCpu: number;
  /** One search after the other meanwhile. */
  readonly searchesMeanwhile?: Latencies;
}

export function optionsFor(dimension: number): IndexOptions {
  return { dimension, metric: 'cosine', m: 16, efConstruction: 100, seed: 1 };
}

export class ShardThreads {
  readonly disk: HostDisk;
  readonly #world: World;
  readonly #shards: number;
  readonly #dimension: number;
  readonly #isOneOwner: boolean;
  readonly #indexer: Context;
  readonly #gather: ScatterGather;
  readonly #workers: Worker[] = [];
  #isEnding = false;

  /** `isOneOwner`: the first shard has every vector. */
  constructor(
    store: string,
    shards: number,
    dimension: number,
    options: { steal: boolean; isOneOwner: boolean },
  ) {
    this.#dimension = dimension;
    fs.mkdirSync(store, { recursive: true });
    this.disk = new HostDisk(store);
    this.#shards = shards;
    this.#isOneOwner = options.isOneOwner;
    const vectors = { engine: 'native', exact_max: 1000, shared: '4GiB' };
    this.#world = new World({ shards, fuse: 1, steal: options.steal }, store, vectors);
    this.#indexer = this.#world.actor('indexer');
    if (options.isOneOwner) new Route(this.#indexer.arena).word = settledRoute(1);
    this.#gather = new ScatterGather(this.#indexer, () => 60_000);
  }

  async start(): Promise<void> {
    const { arena, topology } = this.#indexer;
    for (let index = 0; index < this.#shards; index++) {
      const state = new ActorState(arena.region(ACTOR_STATES), topology.actor(`shard-${index}`).slot);
      state.incarnation = 1;
      const workerData = this.#world.dataOf(`shard-${index}`);
      this.#workers.push(new Worker(new URL('../../actors/thread.js', import.meta.url), { workerData }));
      await state.reached(READY, 60_000);
    }
    void this.#listen();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    for (const worker of this.#workers) await worker.terminate();
  }

  /** Puts the vectors `from` … `count` − 1 and waits until all are in graphs; meanwhile asks one question after the other. */
  async fill(vectors: Float32Array, count: number, queries?: Float32Array, from = 0): Promise<Filling> {
    const dimension = this.#dimension;
    const fuse = this.#world.actor('fuse-0');
    const order = new VectorOrder(fuse.arena);
    const lanes = Array.from({ length: this.#shards }, (_, index) => fuse.outbox(`shard-${index}`));
    const bytes = new Uint8Array(vectors.buffer);
    const cpu = cpuOfOthers();
    const started = performance.now();
    for (let i = from; i < count; i++) {
      const ino = FIRST_INO + i;
      const lane = lanes[this.#isOneOwner ? 0 : shardOf(ino, this.#shards)]!;
      const at = i * dimension * 4;
      writePutVector(lane, ino, 1, COLLECTION, order.next(), bytes, at, at + dimension * 4);
    }
    // as a batch of the public API ends (actors/indexer/changes.ts)
    for (const lane of lanes) lane.send();
    const put = performance.now();
    const latencies: number[] = [];
    for (let asked = 0; this.#inGraph < count; asked++) {
      if (queries === undefined) await new Promise((resume) => setTimeout(resume, 5));
      else latencies.push(await this.#ask(queries, asked));
    }
    const end = performance.now();
    const cpuOfVector = (cpuOfOthers() - cpu) / (count - from);
    return {
      putPerSecond: rate(count - from, put - started),
      caughtUpPerSecond: rate(count - from, end - started),
      cpuOfVector: Math.round(cpuOfVector * 10) / 10,
      perSecondByCpu: Math.round((this.#shards * 1e6) / cpuOfVector),
      ...(queries === undefined ? {} : { searchesMeanwhile: summary(latencies, end - put) }),
    };
  }

  /** All of `queries`, `depth` at a time. */
  async search(queries: Float32Array, depth: number): Promise<Latencies> {
    const dimension = this.#dimension;
    const latencies: number[] = [];
    const count = queries.length / dimension;
    let next = 0;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: depth }, async () => {
        while (next < count) latencies.push(await this.#ask(queries, next++));
      }),
    );
    return summary(latencies, performance.now() - started);
  }

  answers(queries: Float32Array, count: number): Promise<Hit[][]> {
    const dimension = this.#dimension;
    return Promise.all(
      Array.from({ length: count }, (_, i) =>
        this.#gather.search(COLLECTION, queries.slice(i * dimension, (i + 1) * dimension), K, EF),
      ),
    );
  }

  /** Of the nearest 10 of the first `count` vectors, the share that is among the answers. */
  recall(vectors: Float32Array, count: number, queries: Float32Array, answers: readonly Hit[][]): number {
    const dimension = this.#dimension;
    const oracle = new ExactIndex(optionsFor(dimension));
    for (let i = 0; i < count; i++) {
      oracle.add(FIRST_INO + i, vectors.subarray(i * dimension, (i + 1) * dimension));
    }
    const hits = new SearchHits(K);
    let shared = 0;
    answers.forEach((answer, i) => {
      oracle.search(queries.subarray(i * dimension, (i + 1) * dimension), K, 0, hits);
      const found = new Set(answer.slice(0, K).map(({ ino }) => ino));
      for (const ino of hits.labels.subarray(0, hits.count)) if (found.has(ino)) shared++;
    });
    return Math.round((1000 * shared) / (answers.length * K)) / 1000;
  }

  get bytesPerVector(): number {
    return Math.round(this.#sum(({ bytes }) => bytes) / this.#sum(({ vectors }) => vectors));
  }

  /** Has the shards write what they keep; seconds. */
  async save(): Promise<number> {
    const started = performance.now();
    const main = this.#world.actor('main');
    for (let index = 0; index < this.#shards; index++) {
      writeNumber(main.outbox(`shard-${index}`), SAVE_SEGMENT, 1);
    }
    let saved = 0;
    const counter = {
      onMessage(kind: number): void {
        if (kind === SEGMENT_SAVED) saved++;
      },
    };
    while (saved < this.#shards) {
      main.mailbox.drain(counter, 32);
      await new Promise((resume) => setTimeout(resume, 1));
    }
    return Math.round(performance.now() - started) / 1000;
  }

  get snapshotBytes(): number {
    return listGraphFiles(this.disk).reduce((sum, name) => {
      const status = this.disk.stat(graphFilePath(name));
      return sum + (typeof status === 'number' ? 0 : status.bytes);
    }, 0);
  }

  get #inGraph(): number {
    return this.#sum(({ inGraph }) => inGraph);
  }

  #sum(of: (figures: CollectionFigures) => number): number {
    const { arena, topology } = this.#indexer;
    return topology.ofKind('shard').reduce((sum, { name }) => {
      const figures = figuresOf({ i32: arena.region(vectorsRegion(name)).i32 }, COLLECTION);
      return sum + (figures === undefined ? 0 : of(figures));
    }, 0);
  }

  async #ask(queries: Float32Array, i: number): Promise<number> {
    const dimension = this.#dimension;
    const at = (i * dimension) % queries.length;
    const started = performance.now();
    await this.#gather.search(COLLECTION, queries.slice(at, at + dimension), K, EF);
    return performance.now() - started;
  }

  /** Takes answers in, as the indexer's loop does. */
  async #listen(): Promise<void> {
    const { mailbox } = this.#indexer;
    const handler = {
      onMessage: (
        kind: number,
        _u8: Uint8Array,
        u32: Uint32Array,
        _f64: Float64Array,
        offset: number,
      ): void => {
        if (kind === HITS) this.#gather.gather(u32, offset);
      },
    };
    while (!this.#isEnding) {
      const seen = mailbox.doorbell.seen();
      if (mailbox.drain(handler, 32) === 0) await mailbox.doorbell.waitAsync(seen, 20);
      else await new Promise(setImmediate);
    }
  }
}

/** Processor time of all threads of this process but the main one, microseconds. */
function cpuOfOthers(): number {
  let nanoseconds = 0;
  for (const task of fs.readdirSync('/proc/self/task')) {
    if (Number(task) === process.pid) continue;
    try {
      nanoseconds += Number(fs.readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // The thread has ended.
    }
  }
  return nanoseconds / 1000;
}

function rate(count: number, ms: number): number {
  return Math.round((count / ms) * 1000);
}

function summary(latencies: number[], ms: number): Latencies {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 1000) / 1000;
  return { perSecond: rate(sorted.length, ms), p50ms: at(0.5), p99ms: at(0.99), longestMs: at(1) };
}

/** Searches on a skewed load, by real shard threads that help each other or not. This thread is their indexer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { encodeChunkBatch } from '../../actors/chunk-batch.ts';
import { attachContext, type Context, type ThreadData } from '../../actors/context.ts';
import { reserveMemory } from '../../actors/main/memory.ts';
import { askedShardOf, HITS } from '../../actors/messages.ts';
import { trySearch, writePutChunks } from '../../actors/shard-messages.ts';
import { TEXT_COLLECTION } from '../../actors/text-collection.ts';
import { Topology } from '../../actors/topology.ts';
import { DECLARED, LIVE_KEYS } from '../../runtime/config/fields.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import type { MessageHandler } from '../../runtime/messaging/mailbox.ts';
import { STOP } from '../../runtime/scheduling/actor.ts';
import { type Effort, inRounds, type Measurement, type Part } from './measure.ts';

const SHARDS = 2;
/** That of the built-in embedder. */
const DIMENSION = 384;
const CHUNKS = 50;
/** Searches under way: enough that a busy shard has a queue. */
const UNDER_WAY = 16;
const K = 10;
/** Of the vectors, on the first shard. */
const SKEW = 0.9;
/** What a closed loop with this skew can gain: all of the work on one of two, against half of it on each. */
const LEAST = 1.7;

function randomVector(): Float32Array {
  return Float32Array.from({ length: DIMENSION }, () => Math.random() - 0.5);
}

class Shards implements MessageHandler {
  readonly #store = mkdtempSync(join(tmpdir(), 'vexfs-bench-'));
  readonly #workers: readonly Worker[];
  readonly #indexer: Context;
  readonly #main: Context;
  readonly #names: readonly string[];
  /** Shards that have not answered, by search. */
  readonly #missing = new Map<number, Set<number>>();
  readonly #begun = new Map<number, number>();
  readonly #times: number[] = [];
  #nextId = 1;

  constructor(steal: boolean, vectors: number) {
    const config = configSchema.parse({
      workers: { shards: SHARDS, fuse: 1, steal },
      memory: { budget: '16MiB', max_files: 1000 },
      vectors: { engine: 'exact' },
      log: { level: 'error' },
    });
    const topology = new Topology(config);
    const data: Omit<ThreadData, 'name'> = {
      arena: reserveMemory(config, topology).buffer,
      config,
      store: this.#store,
      identity: { uuid: '', bytes: new Uint8Array(16), created: '' },
      log: 2,
      eventfds: [],
      words: new SharedArrayBuffer(8),
      onlyUid: undefined,
      accessTimes: true,
      isReadOnly: false,
      incarnation: 1,
      cpus: [],
      liveKeys: LIVE_KEYS,
      declared: DECLARED,
    };
    this.#indexer = attachContext({ ...data, name: 'indexer' });
    this.#main = attachContext({ ...data, name: 'main' });
    this.#names = topology.ofKind('shard').map(({ name }) => name);
    this.#workers = this.#names.map(
      (name) =>
        new Worker(new URL('../../actors/thread.js', import.meta.url), { workerData: { ...data, name } }),
    );
    this.#fill(0, Math.round(vectors * SKEW));
    this.#fill(1, vectors - Math.round(vectors * SKEW));
  }

  #fill(shard: number, vectors: number): void {
    const outbox = this.#indexer.outbox(this.#names[shard]!);
    for (let file = 1; file <= Math.ceil(vectors / CHUNKS); file++) {
      const chunks = Array.from({ length: CHUNKS }, () => ({
        byteOffset: 0,
        byteLength: 1,
        line: 1,
        vector: randomVector(),
      }));
      const batch = encodeChunkBatch(1, 0, chunks, DIMENSION);
      writePutChunks(outbox, file, 1, batch, 0, batch.length);
    }
  }

  onMessage(kind: number, _u8: Uint8Array, u32: Uint32Array, _f64: Float64Array, offset: number): void {
    if (kind !== HITS) return;
    const id = u32[offset >> 2]!;
    const missing = this.#missing.get(id);
    if (!missing?.delete(askedShardOf(u32[(offset >> 2) + 1]!)) || missing.size > 0) return;
    this.#missing.delete(id);
    this.#times.push(performance.now() - this.#begun.get(id)!);
    this.#begun.delete(id);
  }

  #ask(): void {
    const id = this.#nextId++;
    this.#missing.set(id, new Set(this.#names.keys()));
    this.#begun.set(id, performance.now());
    const query = randomVector();
    for (const name of this.#names) {
      while (!trySearch(this.#indexer.outbox(name), id, TEXT_COLLECTION, K, 64, query));
    }
  }

  /** As many searches as are answered in `ms`, and the time each took, milliseconds. */
  async searches(ms: number): Promise<{ perSecond: number; times: number[] }> {
    const { mailbox } = this.#indexer;
    this.#times.length = 0;
    const begin = performance.now();
    while (performance.now() - begin < ms || this.#times.length === 0) {
      const seen = mailbox.doorbell.seen();
      while (this.#missing.size < UNDER_WAY) this.#ask();
      if (mailbox.drain(this, 32) === 0) await mailbox.doorbell.waitAsync(seen, 10);
    }
    const perSecond = (this.#times.length / (performance.now() - begin)) * 1000;
    const times = [...this.#times];
    while (this.#missing.size > 0) {
      const seen = mailbox.doorbell.seen();
      if (mailbox.drain(this, 32) === 0) await mailbox.doorbell.waitAsync(seen, 10);
    }
    return { perSecond, times };
  }

  async close(): Promise<void> {
    for (const name of this.#names) {
      const outbox = this.#main.outbox(name);
      outbox.claimOrWait(STOP, 0);
      outbox.send();
    }
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    rmSync(this.#store, { recursive: true });
  }
}

function quantile(times: readonly number[], q: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) * q)] ?? 0) * 1000;
}

const RATE = 'searches';
const P50 = 'search, half take at most';
const P99 = 'search, 99 % take at most';

export async function stealing(effort: Effort): Promise<Part> {
  const vectors = effort.quick ? 500 : 10_000;
  const peers = ['stealing', 'no stealing'] as const;
  const shards = { stealing: new Shards(true, vectors), 'no stealing': new Shards(false, vectors) };
  try {
    // Whatever was put is taken in, and the code compiled.
    for (const peer of peers) await shards[peer].searches(effort.quick ? 10 : 500);
    const times = new Map<string, number[]>();
    const measurements = peers.map(
      (peer): Measurement => ({
        row: RATE,
        peer,
        run: async () => {
          const { perSecond, times: took } = await shards[peer].searches(effort.milliseconds);
          times.set(peer, [...(times.get(peer) ?? []), ...took]);
          return perSecond;
        },
      }),
    );
    const samples = await inRounds('stealing', measurements, effort);
    const latencies = peers.flatMap((peer) =>
      [
        { row: P50, value: quantile(times.get(peer)!, 0.5) },
        { row: P99, value: quantile(times.get(peer)!, 0.99) },
      ].map(({ row, value }) => ({ round: 0, row, peer, value })),
    );
    const subject = 'stealing';
    return {
      name: 'stealing',
      rows: [
        { name: RATE, unit: '/s', subject, peers, targets: { 'no stealing': LEAST } },
        { name: P50, unit: 'µs', subject, peers },
        { name: P99, unit: 'µs', subject, peers },
      ],
      notes: [
        `${SHARDS} shard threads, ${vectors.toLocaleString('en')} vectors of ${DIMENSION} float32, ${SKEW * 100} % of them on one shard, exact search, ${UNDER_WAY} searches under way, each of both shards. Perfect sharing gives ${(SKEW * 2).toFixed(1)} ×.`,
      ],
      samples: [...samples, ...latencies],
    };
  } finally {
    for (const peer of peers) await shards[peer].close();
  }
}

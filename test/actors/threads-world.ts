/** Real threads of shards, io-0 and the indexer over a store; the test's own thread is main and the fuse actors. */
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Remote, releaseProxy, wrap } from 'comlink';
import { nodeEndpoint } from '../../actors/comlink-endpoint.ts';
import { setConnection } from '../../actors/connection.ts';
import { attachContext, type Context, type ThreadData } from '../../actors/context.ts';
import type { IndexerRemote } from '../../actors/indexer-remote.ts';
import { reserveMemory } from '../../actors/main/memory.ts';
import { MainRequests } from '../../actors/main/requests.ts';
import { ACTOR_STATES, SLAB } from '../../actors/regions.ts';
import { Topology } from '../../actors/topology.ts';
import { Tables } from '../../fuse/namespace/tables.ts';
import { readWords } from '../../kernels/text/words-file.ts';
import { DECLARED, LIVE_KEYS } from '../../runtime/config/fields.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { ABSENT, ActorState, READY } from '../../runtime/scheduling/actor-state.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import { type OpenStore, openStore } from '../../runtime/storage/store.ts';
import { THREAD } from '../bundle.ts';

const START_TIMEOUT_MS = 30_000;

export class ThreadsWorld {
  readonly #root = mkdtempSync(join(tmpdir(), 'vexfs-threads-'));
  readonly #store: OpenStore;
  readonly #data: ThreadData;
  readonly topology: Topology;
  readonly main: Context;
  readonly requests: MainRequests;
  /** What the kernel would have been answered. */
  readonly replies = join(this.#root, 'replies');
  indexer: Remote<IndexerRemote> | undefined;
  readonly #workers = new Map<string, Worker>();
  #openTables: Tables | undefined;
  #ending: Promise<void> = Promise.resolve();
  readonly #ended = new AbortController();
  readonly #loop: Promise<void>;

  constructor(shards: number) {
    const store = openStore(join(this.#root, 'store'), { create: true });
    if ('kind' in store) throw new Error(store.message);
    this.#store = store;
    const config = configSchema.parse({
      workers: { shards, fuse: 2, tasks: 1 },
      memory: { budget: '64MiB', max_files: 10_000 },
      store: { log_segment: '1MiB', commit_interval_ms: 200 },
      vectors: { engine: 'native', exact_max: 30 },
      index: { settle_ms: 1 },
      log: { level: process.env.VEXFS_LOG ?? 'silent' },
    });
    this.topology = new Topology(config);
    const arena = reserveMemory(config, this.topology);
    this.#data = {
      name: 'main',
      arena: arena.buffer,
      config,
      store: store.path,
      identity: store.identity,
      log: 2,
      eventfds: [],
      words: readWords(),
      onlyUid: undefined,
      accessTimes: true,
      isReadOnly: false,
      incarnation: 1,
      cpus: [],
      liveKeys: LIVE_KEYS,
      declared: DECLARED,
      shardDistances: [],
    };
    this.main = this.actor('main');
    this.requests = new MainRequests(this.main);
    setConnection(arena, { descriptor: openSync(this.replies, 'a'), flags: 0, standBy: 0 });
    this.#loop = runOnEventLoop(this.main, this.requests, { stop: this.#ended.signal });
  }

  actor(name: string): Context {
    return attachContext({ ...this.#data, name });
  }

  async start(...names: string[]): Promise<void> {
    for (const name of names) this.#start(name, 1);
    for (const name of names) await this.#ready(name);
  }

  /**
   * Ends the thread wherever it is, but for the midst of a change of the tables (what that takes is not looked at here),
   * and starts a successor. Resolves when that is ready.
   */
  async restart(name: string): Promise<void> {
    // One after the other: this thread has the lock once.
    this.#ending = this.#ending.then(() => this.#end(name));
    await this.#ending;
    this.#start(name, this.stateOf(name).incarnation + 1);
    await this.#ready(name);
  }

  async #end(name: string): Promise<void> {
    this.#tables.lock();
    await this.#workers.get(name)!.terminate();
    this.#tables.unlock();
    if (name === 'io-0') this.requests.repeat();
  }

  /** Once io-0 is ready. */
  get #tables(): Tables {
    const { arena } = this.main;
    this.#openTables ??= new Tables(arena, new SlabAllocator(arena.region(SLAB)));
    return this.#openTables;
  }

  stateOf(name: string): ActorState {
    return new ActorState(this.main.arena.region(ACTOR_STATES), this.topology.actor(name).slot);
  }

  async dispose(): Promise<void> {
    this.indexer?.[releaseProxy]();
    for (const worker of this.#workers.values()) await worker.terminate();
    this.#ended.abort();
    await this.#loop;
    this.#store.release();
    rmSync(this.#root, { recursive: true });
  }

  #start(name: string, incarnation: number): void {
    const state = this.stateOf(name);
    state.set(ABSENT);
    state.incarnation = incarnation;
    const worker = new Worker(THREAD, {
      workerData: { ...this.#data, name, incarnation },
      name,
    });
    worker.on('error', (error) => {
      throw error;
    });
    this.#workers.set(name, worker);
    if (name === 'indexer') this.indexer = wrap<IndexerRemote>(nodeEndpoint(worker));
  }

  async #ready(name: string): Promise<void> {
    const reached = await this.stateOf(name).reached(READY, START_TIMEOUT_MS);
    if (reached !== READY) throw new Error(`${name} is not ready but ${this.stateOf(name).label}`);
  }
}

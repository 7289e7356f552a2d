/**
 * A mount served by the real fuse, io and shard actors, without the main actor: threads are started, ended and started
 * again from here.
 */
import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { setConnection } from '../../actors/connection.ts';
import { attachContext, type Context, type ThreadData } from '../../actors/context.ts';
import { LOG_STATE, LogState } from '../../actors/log-state.ts';
import { reserveMemory } from '../../actors/main/memory.ts';
import { ACTOR_STATES, METRICS } from '../../actors/regions.ts';
import { mailboxRegion, Topology } from '../../actors/topology.ts';
import { mount } from '../../fuse/mount/mount.ts';
import { type MountOptions, parseMountOptions } from '../../fuse/mount/mount-options.ts';
import { mountAt, readMounts } from '../../fuse/mount/mountinfo.ts';
import { unmount } from '../../fuse/mount/unmount.ts';
import { H_MUTEX } from '../../fuse/namespace/layout.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { wantedFlags } from '../../fuse/protocol/init.ts';
import { handshake } from '../../fuse/session/handshake.ts';
import { DECLARED, LIVE_KEYS } from '../../runtime/config/fields.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import { doorbellOf } from '../../runtime/messaging/mailbox.ts';
import { Histogram } from '../../runtime/metrics/histogram.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { ABSENT, ActorState, READY } from '../../runtime/scheduling/actor-state.ts';
import { openStore } from '../../runtime/storage/store.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import { THREAD } from '../bundle.ts';

const START_TIMEOUT_MS = 30_000;
/** As many as there are locks on files' data. */
const DATA_LOCKS = 256;

export class Served {
  readonly root = mkdtempSync(join(tmpdir(), 'vexfs-served-'));
  readonly directory = join(this.root, 'mnt');
  readonly context: Context;
  readonly descriptor: number;
  readonly #arena: Arena;
  readonly #data: ThreadData;
  readonly #release: () => void;
  readonly #workers = new Map<string, { worker: Worker; exited: Promise<unknown> }>();
  readonly #incarnations = new Map<string, number>();
  readonly #standBy = eventfd(true);

  private constructor() {
    mkdirSync(this.directory);
    const config = configSchema.parse({
      workers: { fuse: 2, io: 1, shards: 1 },
      memory: { budget: '64MiB', max_files: 20_000 },
      index: { enabled: false },
      log: { level: 'warn' },
    });
    const store = openStore(join(this.root, 'store'), { create: true });
    if ('kind' in store) throw new Error(store.message);
    this.#release = () => store.release();
    const topology = new Topology(config);
    this.#arena = reserveMemory(config, topology);
    this.#data = {
      name: 'main',
      arena: this.#arena.buffer,
      config,
      store: store.path,
      identity: store.identity,
      log: join(this.root, 'log'),
      eventfds: [eventfd(), eventfd()],
      words: new SharedArrayBuffer(8),
      onlyUid: undefined,
      accessTimes: true,
      isReadOnly: false,
      incarnation: 1,
      cpus: [],
      liveKeys: LIVE_KEYS,
      declared: DECLARED,
      shardDistances: [],
    };
    this.context = attachContext(this.#data);
    const options = parseMountOptions([]) as MountOptions;
    const mounted = mount(this.directory, store.path, options);
    if (!('fd' in mounted)) throw new Error(mounted.message);
    this.descriptor = mounted.fd;
    const agreed = handshake(mounted.fd, wantedFlags({ writeback: false, dataCache: 'explicit' }));
    if (typeof agreed === 'string') throw new Error(agreed);
    const connection = { descriptor: mounted.fd, flags: agreed.flags, standBy: this.#standBy };
    setConnection(this.#arena, connection);
  }

  static async start(): Promise<Served> {
    const served = new Served();
    for (const name of ['shard-0', 'io-0', 'fuse-0', 'fuse-1']) await served.start(name);
    return served;
  }

  state(name: string): ActorState {
    return new ActorState(this.#arena.region(ACTOR_STATES), this.context.topology.actor(name).slot);
  }

  /** Starts the actor, after an earlier thread of it as its successor. */
  async start(name: string): Promise<void> {
    const incarnation = (this.#incarnations.get(name) ?? 0) + 1;
    this.#incarnations.set(name, incarnation);
    const state = this.state(name);
    state.set(ABSENT);
    const worker = new Worker(THREAD, { workerData: { ...this.#data, name, incarnation }, name });
    worker.on('error', (error) => console.error(name, error));
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    this.#workers.set(name, { worker, exited });
    if ((await state.reached(READY, START_TIMEOUT_MS)) !== READY) throw new Error(`${name} did not start`);
  }

  /**
   * Ends the actor's thread wherever it is, but for the locks of files and tables: they are taken before, so that it
   * holds none. The log's it may hold.
   */
  async end(name: string): Promise<void> {
    const locks = new DataLocks(this.#arena);
    const mutex = new Mutex(this.#arena.region('namespace').i32, H_MUTEX);
    for (let ino = 0; ino < DATA_LOCKS; ino++) locks.lock(ino);
    mutex.lock();
    try {
      const { worker, exited } = this.#workers.get(name)!;
      const { threadId } = worker;
      const ending = worker.terminate();
      // A thread in poll(2) ends when that returns.
      doorbellOf(this.#arena.region(mailboxRegion(name))).ring();
      await ending;
      await exited;
      new LogState(this.#arena.region(LOG_STATE)).breakFor(threadId);
    } finally {
      mutex.unlock();
      for (let ino = 0; ino < DATA_LOCKS; ino++) locks.unlock(ino);
    }
  }

  /** How many requests of this opcode the fuse actors have answered. */
  requests(opcode: string): number {
    const counts = new Float64Array(Histogram.WORDS);
    for (const { name } of this.context.topology.ofKind('fuse')) {
      new MetricsBlock(this.#arena.region(METRICS), name).histogram(opcode).addTo(counts);
    }
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The lines that the actors have logged, as objects. */
  log(): { msg: string; resumed?: string }[] {
    const text = readFileSync(this.#data.log, 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  async dispose(): Promise<void> {
    if (mountAt(readMounts(), this.directory) !== undefined) unmount(this.directory, { lazy: true });
    for (const { worker } of this.#workers.values()) await worker.terminate();
    for (const descriptor of [this.descriptor, this.#standBy, ...this.#data.eventfds]) closeSync(descriptor);
    this.#release();
    rmSync(this.root, { recursive: true });
  }
}

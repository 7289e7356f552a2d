import { closeSync } from 'node:fs';
import type { MountOptions } from '../../fuse/mount/mount-options.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import { STARTING } from '../../runtime/scheduling/actor-state.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { OpenStore } from '../../runtime/storage/store.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { MountChart } from '../../runtime/supervision/chart.ts';
import { threadId } from '../../runtime/system/libc.ts';
import { readMachine } from '../../runtime/system/topology.ts';
import { ringActor } from '../connection.ts';
import { attachContext, type Context, type ThreadData } from '../context.ts';
import { logBytesAfter } from '../log-files.ts';
import { presentActors } from '../presence.ts';
import { STORE_STATUS } from '../regions.ts';
import { type ActorKind, type ActorPlan, Topology } from '../topology.ts';
import { version } from '../version.ts';
import { actorPorts } from './actor-ports.ts';
import { Checkpoints } from './checkpoints.ts';
import { ColdData } from './cold-data.ts';
import { type ControlSocket, listenOnControlSocket } from './control-socket.ts';
import { FuseWorkers } from './fuse-workers.ts';
import { IndexerLink } from './indexer-link.ts';
import { KernelMount } from './kernel-mount.ts';
import { reserveMemory } from './memory.ts';
import { controlMethods } from './methods.ts';
import { PassedThrough } from './passed-through.ts';
import { type PlacementPlan, planPlacement, shardDistances } from './placement.ts';
import { type ReloadReport, Reloads } from './reload.ts';
import { Remotes } from './remotes.ts';
import { MainRequests } from './requests.ts';
import { withReserves } from './reserve.ts';
import { ShardWorkers } from './shard-workers.ts';
import { Supervisor } from './supervisor.ts';
import type { SupervisorPort } from './supervisor-port.ts';
import { threadData } from './thread-data.ts';
import { withinMs } from './threads.ts';

/** After a failure, how long what is left may take to make changes durable. */
const LAST_FLUSH_MS = 10_000;
/** A detached mount ends at once unless programs still use it: this long tells. */
const DETACH_WAIT_MS = 2000;
/** So much of a mount is spent waiting for text vectors: to say if they are missing, not to have them. */
const TEXT_MS = 50;
/** How long the kernel may take to forget what it is being told to forget; its locks end with the connection. */
const LAST_NOTICE_MS = 1000;

/**
 * A store from the start of its first thread to the end of its last. Lives in the main actor.
 *
 * The way up is `start`: recover, mount, listen. The way down is `#live`, from the end of the connection on: drain,
 * checkpoint, stop. Actors that fail in between are started again by the supervisor. Every wait on either way also ends
 * when it gives one up (Supervisor.failure), and then, as when any step fails, everything is taken down at once
 * (`#abandon`): the log has what was acknowledged.
 */
export class MountedStore {
  /** The exit code, once nothing is mounted or running any more. */
  readonly finished: Promise<number>;
  #finish: (exitCode: number) => void = () => {};
  /** Everything that will be durable is: undefined, or what went wrong. */
  readonly #settled: Promise<string | undefined>;
  #settle: (problem?: string) => void = () => {};
  readonly #store: OpenStore;
  readonly #directory: string;
  readonly #notice: (text: string) => void;
  readonly #topology: Topology;
  readonly #arena: Arena;
  readonly #placement: PlacementPlan;
  readonly #reloads: Reloads;
  readonly #shards: ShardWorkers;
  readonly #data: ThreadData;
  readonly #context: Context;
  readonly #requests: MainRequests;
  readonly #remotes: Remotes;
  readonly #supervisor: Supervisor;
  readonly #checkpoints: Checkpoints;
  readonly #cold: ColdData;
  readonly #passed: PassedThrough;
  readonly #kernel: KernelMount;
  readonly #indexer = new IndexerLink();
  readonly #chart = new MountChart();
  readonly #startedAt = performance.now();
  readonly #ended = new AbortController();
  /** The shards have the text vectors, or the log says that they are to be made again. */
  #textComplete: Promise<void> = Promise.resolve();
  /** Of the log, that no checkpoint had when the mount began to serve. */
  #uncoveredBytes = 0;
  #socket: ControlSocket | undefined;
  /** Fuse actors neither come nor go any more. */
  #isEnding = false;

  constructor(
    store: OpenStore,
    directory: string,
    options: MountOptions,
    asConfigured: Config,
    notice: (text: string) => void,
    /** The configuration as a mount would have it now. */
    readConfig: () => Config,
  ) {
    const machine = readMachine();
    const config = withReserves(asConfigured, machine, diskBytes(store.disk));
    this.#store = store;
    this.#directory = directory;
    this.#notice = notice;
    this.#topology = new Topology(config);
    this.#arena = reserveMemory(config, this.#topology);
    this.#placement = planPlacement(config, this.#topology, machine);
    const placement = new Map(this.#placement.actors.map(({ actor, cpus }) => [actor, cpus]));
    this.#data = {
      ...threadData(store, config, options, this.#topology),
      arena: this.#arena.buffer,
      shardDistances: shardDistances(this.#placement, machine),
    };
    this.#context = attachContext(this.#data);
    this.#requests = new MainRequests(this.#context);
    this.#remotes = new Remotes(this.#context);
    this.#checkpoints = new Checkpoints(this.#context, this.#requests);
    this.#cold = new ColdData(this.#context, this.#requests);
    this.#passed = new PassedThrough(this.#context);
    this.#kernel = new KernelMount(this.#context, directory, options, this.#passed);
    this.#supervisor = new Supervisor(
      this.#topology.actors,
      this.#context.settings.config.supervision,
      actorPorts({
        arena: this.#arena,
        data: this.#data,
        context: this.#context,
        requests: this.#requests,
        indexer: this.#indexer,
        chart: this.#chart,
        placement,
      }),
      this.#context.clock,
      this.#context.logger,
    );
    const obstacle = (): string | undefined => this.#obstacle;
    const fuse = new FuseWorkers(this.#context, this.#supervisor, obstacle);
    this.#shards = new ShardWorkers(this.#context, this.#supervisor, this.#requests, obstacle);
    this.#reloads = new Reloads(this.#context, readConfig, { fuse, shards: this.#shards });
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Recovers, mounts, serves. Rejects with a UserError, and leaves nothing behind. */
  async start(): Promise<void> {
    this.#chart.send({ type: 'start' });
    this.#runMain();
    try {
      const { segments, building } = await this.#recover();
      this.#chart.send({ type: 'recovered', damaged: this.#storeStatus.errno !== 0 });
      this.#kernel.connect();
      await building;
      await this.#orFailure(this.#kernel.answers());
      this.#textComplete = this.#completeText(segments);
      this.#textComplete.catch(() => {}); // Whoever waits for it hears of a failure.
      await withinMs(TEXT_MS, this.#textComplete);
      this.#socket = await this.#listen();
    } catch (error) {
      this.#chart.send({ type: 'fail' });
      await this.#abandon();
      throw error;
    }
    const isDamaged = this.#storeStatus.errno !== 0;
    if (isDamaged) this.#notice('the store is damaged: it can only be read (see vexfs.log)');
    this.#chart.send({ type: 'usable' });
    this.#supervisor.arm();
    if (!isDamaged) this.#checkpoints.start(this.#uncoveredBytes);
    if (!isDamaged) this.#cold.start();
    void this.#live(isDamaged);
  }

  /** What may be done to its actors while it runs. */
  get supervisor(): SupervisorPort {
    return this.#supervisor;
  }

  /**
   * Unmounts, and resolves when everything is durable, or with what kept it from becoming so; rejects with a UserError
   * when somebody uses the mount. Lazy: detaches it without waiting for those who use it; once more, takes it from them.
   */
  async stop(lazy: boolean): Promise<string | undefined> {
    if (this.#kernel.isAttached) this.#kernel.detach(lazy);
    else if (lazy) void this.#stopServing().catch(() => {});
    return lazy ? withinMs(DETACH_WAIT_MS, this.#settled) : this.#settled;
  }

  /** Reads the configuration again. @throws {UserError} if it has a mistake; then nothing changes. */
  reload(): Promise<ReloadReport> {
    return this.#reloads.reload();
  }

  /** Why neither fuse actors nor shards can come or go now. */
  get #obstacle(): string | undefined {
    if (this.#isEnding) return 'the mount ends';
    const { state } = this.#chart;
    return state === 'serving' || state === 'read-only'
      ? undefined
      : `the mount is ${state}; try again later`;
  }

  /** Of a mount that was detached and is still in use. */
  async #stopServing(): Promise<void> {
    this.#isEnding = true;
    await this.#reloads.idle();
    await this.#supervisor.stop(this.#actors('fuse'));
  }

  get #storeStatus(): StoreStatus {
    return new StoreStatus(this.#arena.region(STORE_STATUS));
  }

  /** `promise`, or the failure of an actor: whatever is asked of one that is given up is never answered. */
  async #orFailure<T>(promise: T): Promise<Awaited<T>> {
    return await Promise.race([promise, this.#supervisor.failure]);
  }

  #actors(...kinds: ActorKind[]): ActorPlan[] {
    return kinds.flatMap((kind) => presentActors(this.#context, kind));
  }

  #runMain(): void {
    const { state } = this.#context;
    state.thread = threadId();
    state.nodeThread = 0;
    state.set(STARTING);
    const signals = { stop: this.#ended.signal, answered: this.#remotes.answered };
    const over = runOnEventLoop(this.#context, this.#requests, signals);
    over.catch((error: Error) => this.#supervisor.mainFailed(error));
  }

  /**
   * The tables are what they were. `segments` resolves to whether all vectors of the text index are there, once the shards know;
   * `building` when those are ready that build on the tables, which load their code meanwhile and wait for the mount.
   */
  async #recover(): Promise<{ readonly segments: Promise<boolean>; readonly building: Promise<void> }> {
    const segments = this.#orFailure(this.#requests.segmentsLoaded());
    segments.catch(() => {}); // Heard of by whoever waits for it, if the start gets so far.
    void this.#requests.vectorsLoaded();
    // What io-0 sends before a shard is ready waits in that shard's mailbox.
    const recovering = this.#supervisor.start(this.#actors('io', 'stats'));
    recovering.catch(() => {}); // Reported below.
    await this.#supervisor.start(this.#actors('shard'));
    const building = this.#supervisor.start(this.#actors('pool', 'indexer', 'fuse'));
    building.catch(() => {}); // Reported by whoever awaits it, unless something fails before.
    await recovering;
    const { checkpointLsn, replayedTransactions, tornBytes } = this.#storeStatus.read();
    if (replayedTransactions > 1) {
      const torn = tornBytes > 0 ? `, ${tornBytes} unfinished bytes dropped` : '';
      this.#notice(`recovered ${replayedTransactions} transactions from the log${torn}`);
      const replayed = logBytesAfter(this.#store.disk, this.#store.identity.bytes, checkpointLsn);
      // So much need not be replayed again; nobody but io-0 works on the tables yet. Less can wait for its turn.
      const isMuch = replayed >= this.#data.config.store.checkpoint_bytes;
      if (isMuch && this.#storeStatus.errno === 0 && (await segments)) await this.#checkpoint();
      else this.#uncoveredBytes = replayed;
    }
    return { segments, building };
  }

  /** The shards read their segments beside whoever uses the mount; searches wait for it. */
  async #completeText(segments: Promise<boolean>): Promise<void> {
    if (await segments) return;
    this.#notice('the vectors of the text index are missing or damaged: files are being indexed again');
    if (this.#storeStatus.errno === 0) await this.#orFailure(this.#indexer.rebuild('/'));
  }

  #listen(): Promise<ControlSocket> {
    const facts = {
      version: version(),
      store: this.#store.path,
      directory: this.#directory,
      startedAt: this.#startedAt,
      state: () => this.#chart.state,
      supervisor: this.#supervisor,
      placement: this.#placement,
      channel: () => this.#kernel.channel,
      checkpoints: this.#checkpoints,
      cold: this.#cold,
      passed: this.#passed,
      reload: () => this.reload(),
      flush: () => this.#orFailure(this.#requests.flush()),
      stop: (lazy: boolean) => this.stop(lazy),
    };
    const methods = controlMethods(this.#context, facts, this.#indexer, this.#remotes);
    return listenOnControlSocket(this.#store.path, methods, this.#context.logger);
  }

  /** From serving to the end. Whoever unmounts, this process or another: the connection ends, then everything does. */
  async #live(isDamaged: boolean): Promise<void> {
    let problem: string | undefined;
    try {
      await this.#supervisor.stopped(this.#topology.ofKind('fuse')[0]!);
      this.#isEnding = true;
      await this.#reloads.idle();
      await this.#shards.stop();
      for (const { name } of this.#actors('fuse')) ringActor(this.#context, name);
      for (const actor of this.#actors('fuse')) await this.#supervisor.stopped(actor);
      this.#kernel.gone();
      problem = await this.#drain(isDamaged);
    } catch (error) {
      problem = `${(error as Error).message}: the mount ends; see ${this.#data.log}`;
      this.#context.logger.fatal({ err: error }, 'the mount ends');
      await this.#saveWhatCanBeSaved();
    }
    this.#chart.send({ type: problem === undefined ? 'drained' : 'fail' });
    if (problem !== undefined) this.#notice(problem);
    this.#settle(problem);
    // Whoever asked for this over the control socket is answered before the socket closes.
    await new Promise(setImmediate);
    await this.#abandon();
    this.#finish(problem === undefined ? 0 : 1);
  }

  /** Nobody asks for anything any more: what is under way is finished and written. Undefined, or what went wrong. */
  async #drain(isDamaged: boolean): Promise<string | undefined> {
    this.#chart.send({ type: 'disconnected' });
    await this.#checkpoints.stop();
    await this.#cold.stop();
    // What is missing must be in the log as missing: the next mount takes the segments for all there is.
    await this.#textComplete;
    await this.#supervisor.stop(this.#actors('indexer'));
    const errno = isDamaged ? 0 : this.#storeStatus.errno || (await this.#checkpoint());
    await this.#supervisor.stop(this.#actors('shard', 'io', 'pool', 'stats'));
    if (errno === 0) return undefined;
    return `the store could not be written (errno ${errno}): changes that no fsync confirmed may be lost; see ${this.#data.log}`;
  }

  /**
   * Makes everything durable, then the vector segments, then the checkpoint they belong to. A crash in between leaves
   * the older checkpoint with its own segments. 0, or an errno: not everything is durable. Without the checkpoint, it is in the log.
   * Only while nobody changes the tables.
   */
  async #checkpoint(): Promise<number> {
    const flushed = await this.#orFailure(this.#requests.flush());
    if (flushed !== 0) return flushed;
    await this.#orFailure(this.#requests.saveSegments(this.#storeStatus.read().durableLsn));
    const failed = await this.#orFailure(this.#requests.checkpoint());
    if (failed !== 0)
      this.#context.logger.error({ errno: failed }, 'no checkpoint was written: the log has everything');
    return this.#storeStatus.errno;
  }

  /** An actor was given up. Nothing more is acknowledged; what was done reaches the log if the io actors still can. */
  async #saveWhatCanBeSaved(): Promise<void> {
    this.#chart.send({ type: 'fail' });
    await this.#supervisor.terminate(this.#actors('fuse', 'indexer'));
    const canFlush = this.#actors('io').every((actor) => this.#supervisor.isRunning(actor));
    if (canFlush) await withinMs(LAST_FLUSH_MS, this.#requests.flush());
  }

  /**
   * Ends whatever is left, at any point of the way up or down. The threads first, as none may write to a descriptor
   * whose number is somebody else's by then; then the connection.
   */
  async #abandon(): Promise<void> {
    void this.#shards.stop();
    await this.#checkpoints.stop();
    await this.#cold.stop();
    await this.#supervisor.terminate(this.#topology.actors);
    await withinMs(LAST_NOTICE_MS, this.#requests.kernelCache.close());
    this.#kernel.close();
    await this.#socket?.close();
    this.#ended.abort();
    for (const descriptor of this.#data.eventfds) closeSync(descriptor);
  }
}

function diskBytes(disk: Disk): number {
  const space = disk.space();
  return typeof space === 'number' ? Number.POSITIVE_INFINITY : space.bytes;
}

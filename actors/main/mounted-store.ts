import { closeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Remote, wrap } from 'comlink';
import { Failure } from '../../fuse/mount/failure.ts';
import { mount, raiseReadAhead } from '../../fuse/mount/mount.ts';
import type { MountOptions } from '../../fuse/mount/mount-options.ts';
import { unmount } from '../../fuse/mount/unmount.ts';
import { wantedFlags } from '../../fuse/protocol/init.ts';
import { handshake } from '../../fuse/session/handshake.ts';
import { readWords } from '../../kernels/text/words-file.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import { FAILED, READY, STARTING, STOPPED } from '../../runtime/scheduling/actor-state.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import type { OpenStore } from '../../runtime/storage/store.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { eventfd, threadId } from '../../runtime/system/libc.ts';
import { UserError } from '../../runtime/user-error.ts';
import { nodeEndpoint } from '../comlink-endpoint.ts';
import { setConnection } from '../connection.ts';
import { attachContext, type Context, type ThreadData } from '../context.ts';
import type { IndexerRemote } from '../indexer-remote.ts';
import { STORE_STATUS } from '../regions.ts';
import { type ActorKind, Topology } from '../topology.ts';
import { version } from '../version.ts';
import { type ControlSocket, listenOnControlSocket } from './control-socket.ts';
import { reserveMemory } from './memory.ts';
import { controlMethods } from './methods.ts';
import { allowedCpus, planPlacement } from './placement.ts';
import { MainRequests } from './requests.ts';
import { Threads } from './threads.ts';

/** What the kernel reads ahead of a sequential reader. */
const READ_AHEAD_KIB = 1024;
/** How long a mount may take from its first thread to its first answer. */
const USABLE_TIMEOUT_MS = 30_000;
/** After a failure, how long what is left may take to make acknowledged changes durable. */
const LAST_FLUSH_MS = 10_000;

type State = 'recovering' | 'mounting' | 'serving' | 'read-only' | 'draining' | 'unmounted' | 'failed';

/** A store from the start of its first thread to the end of its last. Lives in the main actor. */
export class MountedStore {
  readonly finished: Promise<number>;
  readonly #store: OpenStore;
  readonly #directory: string;
  readonly #options: MountOptions;
  readonly #topology: Topology;
  readonly #arena: Arena;
  readonly #context: Context;
  readonly #threads: Threads;
  readonly #requests: MainRequests;
  readonly #placement: ReadonlyMap<string, number>;
  readonly #data: ThreadData;
  readonly #notice: (text: string) => void;
  readonly #startedAt = performance.now();
  readonly #ended = new AbortController();
  #state: State = 'recovering';
  #finish: (exitCode: number) => void = () => {};
  /** Everything that will be durable is. */
  readonly #settled: Promise<void>;
  #settle: () => void = () => {};
  #socket: ControlSocket | undefined;
  #indexer: Remote<IndexerRemote> | undefined;
  /** A semaphore: one token wakes one of the fuse actors that stand by. */
  readonly #standBy = eventfd(true);
  #descriptor = -1;
  #isMounted = false;
  #ending: Promise<void> | undefined;

  constructor(
    store: OpenStore,
    directory: string,
    options: MountOptions,
    config: Config,
    notice: (text: string) => void,
  ) {
    this.#store = store;
    this.#directory = directory;
    this.#options = options;
    this.#notice = notice;
    this.#topology = new Topology(config);
    this.#arena = reserveMemory(config, this.#topology);
    this.#placement = planPlacement(config.placement, this.#topology, allowedCpus());
    this.#data = {
      name: 'main',
      arena: this.#arena.buffer,
      config,
      store: store.path,
      identity: store.identity,
      log: join(store.path, 'vexfs.log'),
      eventfds: this.#topology.ofKind('fuse').map(() => eventfd()),
      words: readWords(),
      onlyUid: options.allowRoot ? process.getuid!() : undefined,
      cpu: -1,
    };
    this.#context = attachContext(this.#data);
    this.#requests = new MainRequests(this.#context);
    this.#threads = new Threads(this.#arena, this.#context.logger, (actor, error) =>
      this.#fail(actor, error),
    );
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Recovers, mounts, serves. Rejects with a UserError, and leaves nothing behind. */
  async start(): Promise<void> {
    const { state } = this.#context;
    state.thread = threadId();
    state.set(STARTING);
    void runOnEventLoop(this.#context, this.#requests, { stop: this.#ended.signal });
    state.set(READY);
    try {
      await this.#recover();
      this.#state = 'mounting';
      await this.#mount();
      this.#socket = await this.#listen();
      this.#state = this.#storeStatus.errno === 0 ? 'serving' : 'read-only';
      if (this.#state === 'read-only')
        this.#notice('the store is damaged: it can only be read (see vexfs.log)');
      void this.#watchConnection();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
  }

  /**
   * Unmounts; rejects with a UserError when somebody uses the mount, unless `lazy`: then it is detached, and goes on for
   * those who use it. Resolves when everything is durable; of a mount that goes on, everything so far.
   */
  async stop(lazy: boolean): Promise<void> {
    const refused = this.#isMounted ? unmount(this.#directory, { lazy: false }) : undefined;
    if (refused === undefined || !this.#isMounted) {
      await this.#settled;
      return;
    }
    const failed = lazy ? unmount(this.#directory, { lazy: true }) : refused;
    if (failed) throw new UserError(failed.message);
    this.#isMounted = false;
    await Promise.race([this.#settled, this.#requests.flush()]);
  }

  /** Ends under those who use the mount: they get errors from now on. Resolves when everything is durable. */
  async endNow(): Promise<void> {
    this.#ending ??= this.#endAtOnce();
    await this.#settled;
  }

  get #storeStatus(): StoreStatus {
    return new StoreStatus(this.#arena.region(STORE_STATUS));
  }

  async #recover(): Promise<void> {
    const segments = this.#requests.segmentsLoaded();
    await this.#startActors('shard');
    await this.#startActors('io');
    await this.#startActors('pool', 'stats', 'indexer');
    const { replayedTransactions, tornBytes } = this.#storeStatus.read();
    if (replayedTransactions > 1) {
      const torn = tornBytes > 0 ? `, ${tornBytes} unfinished bytes dropped` : '';
      this.#notice(`recovered ${replayedTransactions} transactions from the log${torn}`);
    }
    if (!(await segments)) {
      this.#notice('the vectors of the text index are missing or damaged: files are being indexed again');
      await this.#indexer!.rebuild('/');
    }
    // What was replayed need not be replayed again.
    if (replayedTransactions > 1 && this.#storeStatus.errno === 0) await this.#checkpoint();
  }

  async #startActors(...kinds: ActorKind[]): Promise<void> {
    const actors = kinds.flatMap((kind) => this.#topology.ofKind(kind));
    for (const actor of actors) {
      const cpu = this.#placement.get(actor.name) ?? -1;
      const worker = this.#threads.start(actor, { ...this.#data, name: actor.name, cpu });
      if (actor.kind === 'indexer') this.#indexer = wrap<IndexerRemote>(nodeEndpoint(worker));
    }
    for (const actor of actors) await this.#threads.ready(actor);
  }

  async #mount(): Promise<void> {
    const mounted = mount(this.#directory, this.#store.path, this.#options);
    if (mounted instanceof Failure) throw new UserError(mounted.message);
    this.#isMounted = true;
    this.#descriptor = mounted.fd;
    // Files change through this mount alone, so only their own writes make cached pages stale.
    const { writeback } = this.#data.config.fuse;
    const agreed = handshake(mounted.fd, wantedFlags({ writeback, dataCache: 'explicit' }));
    if (typeof agreed === 'string') throw new UserError(agreed);
    this.#context.logger.info(agreed, 'the kernel agreed on a protocol');
    setConnection(this.#arena, { descriptor: mounted.fd, flags: agreed.flags, standBy: this.#standBy });
    await this.#startActors('fuse');
    await this.#usable();
    raiseReadAhead(this.#directory, READ_AHEAD_KIB);
  }

  /** The first answer through the kernel. stat(2) runs in the thread pool, so a mount that hangs can be given up. */
  async #usable(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const text = `${this.#directory} was mounted but does not answer`;
      timer = setTimeout(() => reject(new UserError(text)), USABLE_TIMEOUT_MS);
    });
    try {
      await Promise.race([stat(this.#directory), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #listen(): Promise<ControlSocket> {
    const facts = {
      version: version(),
      store: this.#store.path,
      directory: this.#directory,
      startedAt: this.#startedAt,
      state: () => (this.#state === 'serving' && this.#storeStatus.errno !== 0 ? 'read-only' : this.#state),
      stop: (lazy: boolean) => this.stop(lazy),
    };
    const methods = controlMethods(this.#context, facts, this.#indexer!);
    return listenOnControlSocket(this.#store.path, methods, this.#context.logger);
  }

  /** Whoever unmounts, this process or another: the fuse actors' connection ends, and then everything else does. */
  async #watchConnection(): Promise<void> {
    for (const actor of this.#topology.ofKind('fuse')) {
      await this.#threads.stateOf(actor).reached(STOPPED, Number.MAX_SAFE_INTEGER);
    }
    this.#isMounted = false;
    this.#ending ??= this.#drain();
  }

  async #drain(): Promise<void> {
    this.#state = 'draining';
    const kinds = (...names: ActorKind[]) => names.flatMap((kind) => this.#topology.ofKind(kind));
    await this.#threads.stop(this.#context, kinds('fuse', 'indexer'));
    const failed = this.#storeStatus.errno || (await this.#checkpoint());
    await this.#threads.stop(this.#context, kinds('shard', 'io', 'pool', 'stats'));
    this.#state = failed === 0 ? 'unmounted' : 'failed';
    this.#settle();
    // Whoever asked for this over the control socket is answered before the socket closes.
    await new Promise(setImmediate);
    await this.#release();
    this.#finish(failed === 0 ? 0 : 1);
  }

  /** Makes everything durable, then the vector segments, then the checkpoint they belong to. 0 or an errno. */
  async #checkpoint(): Promise<number> {
    const flushed = await this.#requests.flush();
    if (flushed !== 0) return flushed;
    await this.#requests.saveSegments(this.#storeStatus.read().durableLsn);
    const failed = await this.#requests.checkpoint();
    if (failed !== 0) this.#context.logger.error({ errno: failed }, 'the checkpoint could not be written');
    return failed;
  }

  /** An actor died. What was acknowledged is made durable if io still can; the log has the rest. */
  #fail(actor: string, error: Error): void {
    if (this.#ending || this.#state === 'recovering' || this.#state === 'mounting') return;
    this.#notice(`actor ${actor} failed (${error.message}): the mount ends; see ${this.#data.log}`);
    this.#ending = this.#endAtOnce();
  }

  async #endAtOnce(): Promise<void> {
    this.#state = 'failed';
    if (this.#isMounted) unmount(this.#directory, { lazy: true });
    this.#isMounted = false;
    const io = this.#topology.actor('io-0');
    if (this.#threads.stateOf(io).get() !== FAILED) {
      await Promise.race([this.#requests.flush(), new Promise((late) => setTimeout(late, LAST_FLUSH_MS))]);
    }
    this.#settle();
    await this.#abandon();
    this.#finish(1);
  }

  async #abandon(): Promise<void> {
    if (this.#isMounted) unmount(this.#directory, { lazy: true });
    this.#isMounted = false;
    await this.#threads.terminateAll();
    await this.#release();
  }

  async #release(): Promise<void> {
    await this.#socket?.close();
    this.#ended.abort();
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    for (const descriptor of [...this.#data.eventfds, this.#standBy]) closeSync(descriptor);
    this.#store.release();
  }
}

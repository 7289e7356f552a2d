/** The indexer: keeps the text index up to date and answers searches. */
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import type { Namespace } from '../../fuse/namespace/namespace.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { OpenFiles } from '../../fuse/objects/open-files.ts';
import { ABSENT_NAMES, AbsentNames } from '../../fuse/session/absent-names.ts';
import { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { Embedder } from '../../kernels/text/embedder.ts';
import { loadWords } from '../../kernels/text/words.ts';
import { assert } from '../../runtime/assert.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { EventLoopActor } from '../../runtime/scheduling/actor.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { learntEffort } from '../collection-status.ts';
import { nodeEndpoint } from '../comlink-endpoint.ts';
import { connectionOf } from '../connection.ts';
import type { Context } from '../context.ts';
import { lateReplies } from '../late-reply.ts';
import { LOG_STATE, LogState } from '../log-state.ts';
import { CONTENT_CHANGED, HITS, QUERY, QUERY_READ, QUERY_WRITE, SETTLED, TEXT_MISSING } from '../messages.ts';
import { openPending, type Pending } from '../pending.ts';
import { presentActors } from '../presence.ts';
import { readQuery, readQueryFile } from '../query-messages.ts';
import { ACTOR_STATES, METRICS } from '../regions.ts';
import { Route } from '../route.ts';
import { LIST_HEADER_BYTES } from '../shard-messages.ts';
import type { ActorKind } from '../topology.ts';
import { shardTotal } from '../totals.ts';
import { openTree } from '../tree.ts';
import { virtualText } from '../virtual-text.ts';
import { Answers } from './answers.ts';
import { IndexerApi } from './api.ts';
import { Backlog } from './backlog.ts';
import { StoreChanges } from './changes.ts';
import { Collections } from './collections.ts';
import { EmbedPool } from './embed-pool.ts';
import { FileContent } from './file-content.ts';
import { FileIndexer } from './index-file.ts';
import { CHANGE_INTENT, Intent } from './intent.ts';
import { MountUse } from './mount-use.ts';
import { Queries } from './queries.ts';
import { QueryConversations } from './query-files.ts';
import { ScatterGather } from './scatter-gather.ts';
import { Search } from './search.ts';
import { filesAtOnce, INDEX_TRANSIT, Transit } from './transit.ts';

/** Messages that were posted quietly wait no longer than this. */
const LOOK_MS = 100;
const METRICS_MS = 250;
/** Objects that transactions have made and that are still open. */
const OPEN_OBJECTS = 16;
/** How often is looked for query files that are gone, ms. */
const TIDY_MS = 10_000;
/** By then a message that was about to be sent when this thread started is in its lane, milliseconds. */
const LANES_SEEN_MS = 1000;

interface Parts {
  readonly backlog: Backlog;
  readonly gather: ScatterGather;
  readonly answers: Answers;
  readonly files: FileIndexer;
  readonly changes: StoreChanges;
  readonly conversations: QueryConversations;
  /** Whether files are indexed at all. */
  readonly enabled: boolean;
  start(drain: () => void): void;
  /** After the last answer: gives back what the thread holds. */
  end(): Promise<void>;
}

class IndexerActor implements EventLoopActor {
  readonly #parts: Parts;
  /** Answers under way. */
  readonly #answering = new Set<Promise<void>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(drain: () => void): void {
    this.#parts.start(drain);
  }

  onMessage(kind: number, u8: Uint8Array, u32: Uint32Array, f64: Float64Array, offset: number): void {
    const { backlog, gather, changes, conversations, enabled } = this.#parts;
    if (kind === HITS) gather.gather(u32, offset);
    else if (kind === TEXT_MISSING) this.#indexAgain(u32, offset);
    else if (kind === CONTENT_CHANGED) {
      if (enabled) backlog.changed(u32[offset >> 2]!);
    } else if (kind === QUERY) this.#answer(this.#parts.answers.answer(readQuery(u8, u32, offset)));
    else if (kind === QUERY_WRITE)
      this.#answer(conversations.write(readQueryFile(kind, u8, u32, f64, offset)));
    else if (kind === QUERY_READ) conversations.read(readQueryFile(kind, u8, u32, f64, offset));
    else if (kind === SETTLED) changes.settled(u32[offset >> 2]!, u32[(offset >> 2) + 1]!);
    else assert(false, 'the indexer knows this kind of message');
  }

  async stop(): Promise<void> {
    const { backlog, gather, end } = this.#parts;
    await backlog.stop();
    await Promise.all(this.#answering);
    // Then no shard is at a search whose answer nobody takes.
    await gather.idle();
    await end();
  }

  /** The journal has it first: what is not done in this mount is done in the next. */
  #indexAgain(u32: Uint32Array, offset: number): void {
    const { backlog, files, enabled } = this.#parts;
    const first = (offset + LIST_HEADER_BYTES) >> 2;
    for (let i = 0; i < u32[offset >> 2]!; i++) {
      const ino = u32[first + i]!;
      files.forget(ino);
      if (enabled) backlog.changed(ino);
    }
  }

  #answer(answer: Promise<void>): void {
    this.#answering.add(answer);
    void answer.finally(() => this.#answering.delete(answer));
  }
}

function openChanges(
  context: Context,
  namespace: Namespace,
  virtual: VirtualTree,
  shardsSettled: () => Promise<void>,
  contentChanged: (ino: number) => void,
): StoreChanges {
  const { arena, topology, settings } = context;
  const { config, store, incarnation } = settings;
  const outboxes = (kind: ActorKind): Outbox[] =>
    topology.ofKind(kind).map(({ name }) => context.outbox(name));
  const parts = {
    namespace,
    virtual,
    intent: new Intent(arena.region(CHANGE_INTENT)),
    absent: new AbsentNames(arena.region(ABSENT_NAMES)),
    locks: new DataLocks(arena),
    openFiles: new OpenFiles(arena),
    objects: new ObjectFiles(new HostDisk(store), OPEN_OBJECTS),
    inlineLimit: config.store.inline_limit,
    shards: outboxes('shard'),
    route: new Route(arena),
    io: outboxes('io'),
    log: new LogState(arena.region(LOG_STATE)),
    main: context.outbox('main'),
    shardsSettled,
    contentChanged,
  };
  return new StoreChanges(parts, incarnation);
}

function fuseStates({ arena, topology }: Context): ActorState[] {
  const region = arena.region(ACTOR_STATES);
  return topology.ofKind('fuse').map(({ slot }) => new ActorState(region, slot));
}

/** A fuse actor that ended may have changed a file and not said so: its successor's start is when to look for such files. */
function lookAfterFuseActors(context: Context, scan: () => void): NodeJS.Timeout {
  const states = fuseStates(context);
  const restarts = (): number => states.reduce((sum, { incarnation }) => sum + incarnation, 0);
  let known = restarts();
  return setInterval(() => {
    if (restarts() === known) return;
    known = restarts();
    scan();
  }, METRICS_MS);
}

/** Answers what a predecessor had taken in and did not live to answer. */
function answerOrphans(pending: Pending, answers: Answers): NodeJS.Timeout {
  const left: [number, number, number][] = [];
  for (const kind of [QUERY, QUERY_WRITE, QUERY_READ])
    pending.each(kind, (slot, uniqueLo, uniqueHi) => left.push([slot, uniqueLo, uniqueHi]));
  return setTimeout(() => {
    for (const [slot, uniqueLo, uniqueHi] of left) answers.orphaned(slot, uniqueLo, uniqueHi);
    answers.startedUp();
  }, LANES_SEEN_MS);
}

export async function run(context: Context): Promise<void> {
  const { config, words, store, incarnation } = context.settings;
  const { enabled } = config.index;
  const { slab, namespace } = openTree(context);
  const virtual = new VirtualTree(context.arena, slab, namespace, virtualText(context), context.clock);
  const shards = context.topology.ofKind('shard').map(({ name }) => context.outbox(name));
  const gather = new ScatterGather(context, () => config.supervision.request_deadline_s * 1000);
  const content = new FileContent(namespace, store);
  const { logger } = context;
  const threads = config.workers.tasks;
  const tasks = new EmbedPool({ words, threads, timeoutMs: config.index.task_timeout_s * 1000, logger });
  const parallel = filesAtOnce(threads);
  const transit = new Transit(context.arena.region(INDEX_TRANSIT), parallel);
  const files = new FileIndexer({
    namespace,
    content,
    tasks,
    transit,
    shards,
    route: new Route(context.arena),
    virtual,
    config: config.index,
    logger,
    largeAtOnce: threads * 2,
  });
  const use = new MountUse(fuseStates(context), context.clock.monotonic);
  const backlog = new Backlog({
    index: (ino) => files.index(ino),
    isPostponed: () => namespace.isLowOnSpace,
    settleMs: () => config.index.settle_ms,
    parallel,
    isInUse: () => use.isInUse(),
    now: context.clock.monotonic,
    logger,
  });
  const search = new Search(
    namespace,
    gather,
    new Embedder(loadWords(words)),
    content,
    config.vectors,
    (collection) => learntEffort(context, collection),
  );
  const connection = (): number => connectionOf(context);
  const sendLate = lateReplies(context);
  const pending = openPending(context);
  const metrics = new MetricsBlock(context.arena.region(METRICS), context.name);
  const answers = new Answers({
    namespace,
    virtual,
    search,
    logger,
    limits: config.index,
    pending,
    sendLate,
    trace: context.trace,
    metrics,
  });
  const contentChanged = (ino: number): void => {
    if (enabled) backlog.changed(ino);
  };
  const changes = openChanges(context, namespace, virtual, () => gather.settled(), contentChanged);
  const collections = new Collections(context, namespace, changes);
  let drainMailbox = (): void => {};
  const queries = new Queries({
    namespace,
    search,
    changes,
    collections,
    isReadOnly: context.settings.isReadOnly,
    drain: () => drainMailbox(),
  });
  const conversations = new QueryConversations({
    virtual,
    queries,
    pending,
    connection,
    sendLate,
    logger,
    trace: context.trace,
  });
  const chunks = (): number => shardTotal(context, 'chunks');
  const settled = (): Promise<void> => gather.settled();
  const presentShards = (): Outbox[] =>
    presentActors(context, 'shard').map(({ name }) => context.outbox(name));
  const parts = {
    namespace,
    search,
    backlog,
    files,
    shards: presentShards,
    enabled,
    settled,
    metrics,
    chunks,
    queries,
  };
  const scan = (): void => namespace.scanUnindexed((ino) => backlog.changed(ino));
  const timers: NodeJS.Timeout[] = [];
  if (incarnation > 1) {
    await files.takeOver();
    await changes.takeOver();
  }
  const actor = new IndexerActor({
    backlog,
    gather,
    answers,
    files,
    changes,
    conversations,
    enabled,
    start(drain) {
      drainMailbox = drain;
      const api = new IndexerApi(parts, drain);
      expose(api, nodeEndpoint(parentPort!));
      timers.push(setInterval(() => api.publishMetrics(), METRICS_MS));
      timers.push(setInterval(() => conversations.tidy(), TIDY_MS));
      if (enabled) timers.push(lookAfterFuseActors(context, scan));
      if (incarnation > 1) timers.push(answerOrphans(pending, answers));
      else answers.startedUp();
      if (enabled) scan();
      collections.start(config.vectors.collections, logger);
    },
    async end() {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([tasks.destroy(), conversations.close()]);
      // What this thread kept in reserve is for those who still run.
      slab.flush();
    },
  });
  await runOnEventLoop(context, actor, { maxSleepMs: LOOK_MS });
  parentPort!.close();
}

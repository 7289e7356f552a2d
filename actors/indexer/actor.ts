/** The indexer: keeps the text index up to date and answers searches. */
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import { Piscina } from 'piscina';
import { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { Embedder } from '../../kernels/text/embedder.ts';
import { loadWords } from '../../kernels/text/words.ts';
import { assert } from '../../runtime/assert.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { EventLoopActor } from '../../runtime/scheduling/actor.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import { nodeEndpoint } from '../comlink-endpoint.ts';
import { connectionOf } from '../connection.ts';
import type { Context } from '../context.ts';
import { CONTENT_CHANGED, HITS, QUERY, type QueryMessage, readQuery } from '../messages.ts';
import { METRICS } from '../regions.ts';
import { openTree } from '../tree.ts';
import { virtualText } from '../virtual-text.ts';
import { Answers } from './answers.ts';
import { IndexerApi } from './api.ts';
import { Backlog } from './backlog.ts';
import type { EmbedResult, EmbedTask } from './embed-task.ts';
import { FileContent } from './file-content.ts';
import { FileIndexer } from './index-file.ts';
import { ScatterGather } from './scatter-gather.ts';
import { Search } from './search.ts';

/** Messages that were posted quietly wait no longer than this. */
const LOOK_MS = 100;
const METRICS_MS = 250;

interface Parts {
  readonly backlog: Backlog;
  readonly gather: ScatterGather;
  readonly answers: Answers;
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

  onMessage(kind: number, u8: Uint8Array, u32: Uint32Array, _f64: Float64Array, offset: number): void {
    const { backlog, gather, enabled } = this.#parts;
    if (kind === HITS) gather.gather(u32, offset);
    else if (kind === CONTENT_CHANGED) {
      if (enabled) backlog.changed(u32[offset >> 2]!);
    } else if (kind === QUERY) this.#answer(readQuery(u8, u32, offset));
    else assert(false, 'the indexer knows this kind of message');
  }

  async stop(): Promise<void> {
    const { backlog, gather, end } = this.#parts;
    await backlog.stop();
    await Promise.all(this.#answering);
    // A shard with an answer that nobody takes would wait for ever.
    await gather.idle();
    await end();
  }

  #answer(query: QueryMessage): void {
    const answer = this.#parts.answers.answer(query);
    this.#answering.add(answer);
    void answer.finally(() => this.#answering.delete(answer));
  }
}

function openTasks(context: Context): Piscina<EmbedTask, EmbedResult> {
  const { config, words } = context.settings;
  const tasks = new Piscina<EmbedTask, EmbedResult>({
    filename: new URL('./embed-task.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: config.workers.tasks,
    workerData: { words },
  });
  // A thread that died between two tasks is replaced; one that died in a task fails that task as well.
  tasks.on('error', (error) => context.logger.error({ err: error }, 'a task thread failed'));
  return tasks;
}

/** Text chunks that the shards hold, as of their last turn. */
function textChunks(context: Context): number {
  const region = context.arena.region(METRICS);
  return context.topology
    .ofKind('shard')
    .map(({ name }) => new MetricsBlock(region, name))
    .reduce((sum, block) => sum + block.get(block.counter('chunks')), 0);
}

export async function run(context: Context): Promise<void> {
  const { config, words, store } = context.settings;
  const { enabled } = config.index;
  const { slab, namespace } = openTree(context);
  const virtual = new VirtualTree(context.arena, slab, namespace, virtualText(context), context.clock);
  const shards = context.topology.ofKind('shard').map(({ name }) => context.outbox(name));
  const gather = new ScatterGather(shards, context.trace);
  const content = new FileContent(namespace, store);
  const tasks = openTasks(context);
  const files = new FileIndexer({ namespace, content, tasks, shards, virtual, config: config.index });
  const backlog = new Backlog({
    index: (ino) => files.index(ino),
    settleMs: config.index.settle_ms,
    parallel: config.workers.tasks * 2,
    now: context.clock.monotonic,
    logger: context.logger,
  });
  const search = new Search(namespace, gather, new Embedder(loadWords(words)), content, config.vectors.ef);
  const connection = (): number => connectionOf(context);
  const answers = new Answers({
    namespace,
    virtual,
    search,
    logger: context.logger,
    connection,
    trace: context.trace,
  });
  const metrics = new MetricsBlock(context.arena.region(METRICS), context.name);
  const chunks = (): number => textChunks(context);
  const settled = (): Promise<void> => gather.settled();
  const parts = { namespace, search, backlog, files, shards, enabled, settled, metrics, chunks };
  let timer: NodeJS.Timeout | undefined;
  const actor = new IndexerActor({
    backlog,
    gather,
    answers,
    enabled,
    start(drain) {
      const api = new IndexerApi(parts, drain);
      expose(api, nodeEndpoint(parentPort!));
      timer = setInterval(() => api.publishMetrics(), METRICS_MS);
      if (enabled) namespace.scanUnindexed((ino) => backlog.changed(ino));
    },
    async end() {
      clearInterval(timer);
      await tasks.destroy();
      // A checkpoint copies the slab as it lies: what this thread keeps in reserve would be lost to it.
      slab.flush();
    },
  });
  await runOnEventLoop(context, actor, { maxSleepMs: LOOK_MS });
  parentPort!.close();
}

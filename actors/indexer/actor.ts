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
import { CONTENT_CHANGED, HITS, QUERY, readQuery } from '../messages.ts';
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

class IndexerActor implements EventLoopActor {
  readonly #backlog: Backlog;
  readonly #gather: ScatterGather;
  readonly #answers: Answers;
  readonly #enabled: boolean;

  constructor(backlog: Backlog, gather: ScatterGather, answers: Answers, enabled: boolean) {
    this.#backlog = backlog;
    this.#gather = gather;
    this.#answers = answers;
    this.#enabled = enabled;
  }

  onMessage(kind: number, u8: Uint8Array, u32: Uint32Array, _f64: Float64Array, offset: number): void {
    if (kind === HITS) this.#gather.gather(u32, offset);
    else if (kind === CONTENT_CHANGED) {
      if (this.#enabled) this.#backlog.changed(u32[offset >> 2]!);
    } else if (kind === QUERY) void this.#answers.answer(readQuery(u8, u32, offset));
    else assert(false, 'the indexer knows this kind of message');
  }

  stop(): Promise<void> {
    return this.#backlog.stop();
  }
}

function openTasks(context: Context): Piscina<EmbedTask, EmbedResult> {
  const { config, words } = context.settings;
  return new Piscina({
    filename: new URL('./embed-task.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: config.workers.tasks,
    workerData: { words },
  });
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
  const { slab, namespace } = openTree(context);
  const virtual = new VirtualTree(context.arena, slab, namespace, virtualText(context), context.clock);
  const shards = context.topology.ofKind('shard').map(({ name }) => context.outbox(name));
  const gather = new ScatterGather(shards);
  const content = new FileContent(namespace, store);
  const tasks = openTasks(context);
  const fileIndexer = new FileIndexer({ namespace, content, tasks, shards, virtual, config: config.index });
  const parallel = config.workers.tasks * 2;
  const backlog = new Backlog(
    fileIndexer,
    config.index.settle_ms,
    parallel,
    context.clock.monotonic,
    context.logger,
  );
  const search = new Search(namespace, gather, new Embedder(loadWords(words)), content, config.vectors.ef);
  const connection = (): number => connectionOf(context);
  const answers = new Answers({ namespace, virtual, search, logger: context.logger, connection });
  const actor = new IndexerActor(backlog, gather, answers, config.index.enabled);
  const metrics = new MetricsBlock(context.arena.region(METRICS), context.name);
  const drain = (): void => {
    while (context.mailbox.drain(actor, 64) > 0);
  };
  const api = new IndexerApi({
    namespace,
    search,
    backlog,
    shards,
    drain,
    settled: () => gather.settled(),
    metrics,
    chunks: () => textChunks(context),
  });
  expose(api, nodeEndpoint(parentPort!));
  const timer = setInterval(() => api.publishMetrics(), METRICS_MS);
  if (config.index.enabled) namespace.scanUnindexed((ino) => backlog.changed(ino));
  await runOnEventLoop(context, actor, { maxSleepMs: LOOK_MS });
  clearInterval(timer);
  await tasks.destroy();
  slab.flush();
  parentPort!.close();
}

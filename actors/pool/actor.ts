/**
 * Tends the slab memory. Allocation itself is lock-free in the caller and needs nobody; what this actor does is keep
 * magazines ready, put free spans together, give memory back to the system, look for blocks that nobody holds, and help
 * whoever finds no memory.
 */
import { NodeTable } from '../../fuse/virtual/node-table.ts';
import { SlabKeeper } from '../../runtime/memory/slab-keeper.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import { releasePages } from '../../runtime/system/pages.ts';
import type { Context } from '../context.ts';
import { PoolReport } from '../pool-report.ts';
import { METRICS, POOL_REPORT } from '../regions.ts';
import { openTree } from '../tree.ts';
import { Tending } from './tending.ts';

const PERIOD_MS = 1000;

export async function run(context: Context): Promise<void> {
  const { arena, logger, settings } = context;
  const { slab, namespace } = openTree(context);
  const { trim, debug } = settings.config.memory;
  const tending = new Tending({
    slab,
    namespace,
    nodes: new NodeTable(arena, slab),
    // Poison is looked for in all of a free block.
    keeper: new SlabKeeper(slab, trim && !debug ? releasePages : () => 0),
    metrics: new MetricsBlock(arena.region(METRICS), context.name),
    report: new PoolReport(arena.region(POOL_REPORT)),
    context,
  });
  if (settings.incarnation > 1)
    logger.info({ blocks: tending.recover() }, 'took over the blocks of an earlier thread');
  const timer = setInterval(() => tending.tick(), PERIOD_MS);
  let stopped = false;
  const helping = (async () => {
    while (!stopped) await tending.helpStarving(PERIOD_MS);
  })();
  await runOnEventLoop(context, {
    onMessage: (kind) => logger.error({ kind }, 'a message that the pool does not know'),
    async stop() {
      stopped = true;
      clearInterval(timer);
      slab.caches!.wake();
      await helping;
      slab.flush();
    },
  });
}

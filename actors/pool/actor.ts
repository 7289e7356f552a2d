/** Keeps the books of the slab memory: allocation itself is lock-free in the caller and needs nobody. */
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { runOnEventLoop } from '../../runtime/scheduling/run-loop.ts';
import type { Context } from '../context.ts';
import { METRICS, SLAB } from '../regions.ts';

const PERIOD_MS = 1000;
/** Above this share of the budget the log says so, once, until it is below again: new files then become objects. */
const FULL = 0.9;

export async function run(context: Context): Promise<void> {
  const metrics = new MetricsBlock(context.arena.region(METRICS), context.name);
  const slab = new SlabAllocator(context.arena.region(SLAB));
  let warned = false;
  const timer = setInterval(() => {
    const { usedBytes, capacityBytes, highWater, allocations, frees, cacheHits } = slab.stats();
    const values = { usedBytes, capacityBytes, highWaterBytes: highWater, allocations, frees, cacheHits };
    for (const [name, value] of Object.entries(values)) metrics.set(metrics.counter(name), value);
    const full = usedBytes > capacityBytes * FULL;
    if (full && !warned) {
      const text = 'the memory budget is nearly used up: small files go to disk; raise memory.budget';
      context.logger.warn({ usedBytes, capacityBytes }, text);
    }
    warned = full;
  }, PERIOD_MS);
  await runOnEventLoop(context, {
    onMessage: (kind) => context.logger.error({ kind }, 'a message that the pool does not know'),
    stop: () => clearInterval(timer),
  });
}

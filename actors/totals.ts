/** Figures of all actors of a kind together, read from shared memory: any thread can tell. */
import { OPCODES, opcodeName } from '../fuse/protocol/abi.ts';
import { HistogramSnapshot } from '../runtime/metrics/histogram.ts';
import { MetricsBlock } from '../runtime/metrics/metrics.ts';
import type { Context } from './context.ts';
import { errorsOf } from './metrics.ts';
import { presentActors, startedActors } from './presence.ts';
import { METRICS } from './regions.ts';

export interface OpcodeTotals {
  readonly latencies: HistogramSnapshot;
  readonly errors: number;
}

/** Requests since the mount by the name of their opcode, in the order of opcodes; those that nobody has asked for are left out. */
export function opcodeTotals(context: Context): Map<string, OpcodeTotals> {
  const region = context.arena.region(METRICS);
  const blocks = startedActors(context, 'fuse').map(({ name }) => new MetricsBlock(region, name));
  const totals = new Map<string, OpcodeTotals>();
  for (let opcode = 0; opcode < OPCODES; opcode++) {
    const name = opcodeName(opcode);
    const latencies = new HistogramSnapshot();
    let errors = 0;
    for (const block of blocks) {
      latencies.merge(block.histogram(name));
      errors += block.get(block.counter(errorsOf(name)));
    }
    if (latencies.count > 0) totals.set(name, { latencies, errors });
  }
  return totals;
}

/** A counter of the shards that are there, as of their last turn. */
export function shardTotal(context: Context, counter: 'chunks' | 'moving'): number {
  const region = context.arena.region(METRICS);
  return presentActors(context, 'shard')
    .map(({ name }) => new MetricsBlock(region, name))
    .reduce((sum, block) => sum + block.get(block.counter(counter)), 0);
}

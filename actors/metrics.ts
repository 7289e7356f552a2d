/** Names of every counter and histogram, per actor. The layout in shared memory follows from these lists alone. */
import { OPCODES, opcodeName } from '../fuse/protocol/abi.ts';
import type { MetricsPlan } from '../runtime/metrics/metrics.ts';
import type { ActorKind, Topology } from './topology.ts';

/** Requests of one opcode by a fuse actor: `<NAME>.errors`; the count is that of the histogram of the same name. */
export function errorsOf(opcodeName: string): string {
  return `${opcodeName}.errors`;
}

const OPCODE_NAMES = Array.from({ length: OPCODES }, (_, opcode) => opcodeName(opcode));

const COUNTERS: Record<ActorKind, readonly string[]> = {
  main: [],
  io: [],
  shard: ['vectors', 'chunks', 'tail', 'puts', 'removes', 'searches', 'stolen', 'moving', 'helped'],
  pool: ['usedBytes', 'capacityBytes', 'highWaterBytes', 'allocations', 'frees', 'cacheHits'],
  stats: ['requestsPerSecond', 'searchesPerSecond', 'messagesPerSecond', 'indexedPerSecond'],
  indexer: ['pending', 'indexed', 'passedOver', 'failed', 'searches'],
  fuse: ['polled', 'parked', 'handlerFailures', ...OPCODE_NAMES.map(errorsOf)],
};

const HISTOGRAMS: Record<ActorKind, readonly string[]> = {
  main: [],
  io: [],
  shard: ['search'],
  pool: [],
  stats: [],
  indexer: ['search'],
  fuse: OPCODE_NAMES,
};

export function metricsPlan(topology: Topology): MetricsPlan[] {
  return topology.actors.map(({ name, kind }) => ({
    block: name,
    counters: COUNTERS[kind],
    histograms: HISTOGRAMS[kind],
  }));
}

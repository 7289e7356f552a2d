/** The regions of the arena: their names, sizes and who formats them. */
import { type NamespaceCapacity, planNamespace } from '../fuse/namespace/layout.ts';
import { planDataLocks } from '../fuse/objects/data-locks.ts';
import { planLastReads } from '../fuse/objects/last-reads.ts';
import { planOpenFiles } from '../fuse/objects/open-files.ts';
import { planStagedSums } from '../fuse/objects/staged-sums.ts';
import { planSyncHabits } from '../fuse/objects/sync-habits.ts';
import { planAbsentNames } from '../fuse/session/absent-names.ts';
import { flightBytes } from '../fuse/session/flight.ts';
import { planUring } from '../fuse/session/uring-memory.ts';
import { planVirtual } from '../fuse/virtual/node-table.ts';
import { VECTOR_MEMORY_MIN } from '../kernels/hnsw/vector-memory.ts';
import { CACHE_LINE, KIB, REGION_MAX, VECTOR_DIMENSION_MAX } from '../runtime/config/bounds.ts';
import { LIVE_BYTES } from '../runtime/config/live.ts';
import type { Config } from '../runtime/config/schema.ts';
import type { RegionPlan } from '../runtime/memory/arena.ts';
import { slabCachesBytes } from '../runtime/memory/slab-caches.ts';
import { slabTagsBytes } from '../runtime/memory/slab-tags.ts';
import { planMailbox } from '../runtime/messaging/mailbox.ts';
import { planMetrics } from '../runtime/metrics/metrics.ts';
import { actorStateBytes } from '../runtime/scheduling/actor-state.ts';
import { planBoard } from '../runtime/scheduling/board-layout.ts';
import { tapsBytes } from '../runtime/scheduling/tap.ts';
import { journalRegionBytes } from '../runtime/storage/journal-ring.ts';
import { STORE_STATUS_BYTES } from '../runtime/storage/store-status.ts';
import { possibleCpus } from '../runtime/system/cpu-list.ts';
import { planDoors } from './graph-doors.ts';
import { planIntent } from './indexer/intent.ts';
import { filesAtOnce, planTransit } from './indexer/transit.ts';
import { loadBoardBytes } from './load-board.ts';
import { planLogState } from './log-state.ts';
import { metricsPlan } from './metrics.ts';
import { planPending } from './pending.ts';
import { POOL_REPORT_BYTES } from './pool-report.ts';
import { SEARCH_HEADER_BYTES } from './shard-messages.ts';
import { type ActorPlan, isConfigured, mailboxRegion, type Topology } from './topology.ts';
import { tracesBytes } from './trace.ts';

export const ACTOR_STATES = 'actors';
export const SLAB = 'slab';
/** What each actor's thread keeps of the slab: not part of a checkpoint. */
export const SLAB_CACHES = 'slab-caches';
/** Who holds which block of the slab. */
export const SLAB_TAGS = 'slab-tags';
/** What the pool actor found out. */
export const POOL_REPORT = 'pool-report';
export const JOURNAL = 'journal';
export const STORE_STATUS = 'store-status';
export const CONNECTION = 'connection';
export const METRICS = 'metrics';
/** Values of the configuration that can change (runtime/config/live.ts). */
export const LIVE = 'live';
export const TAPS = 'taps';
export const TRACES = 'traces';
export const FLIGHTS = 'flights';
export const VECTOR_ORDER = 'vector-order';
/** Which shard has which file (route.ts). */
export const ROUTE = 'route';

/** Which thread reads which block of a checkpoint (load-board.ts). */
export const LOAD_BOARD = 'load-board';

/** Searches that the shards do for each other: a board of tasks, each as its SEARCH message. */
export const TASKS = 'tasks';
export const SEARCH_TASK_BYTES = SEARCH_HEADER_BYTES + VECTOR_DIMENSION_MAX * 4;

/** The vectors of one shard that other threads may search. */
export function vectorsRegion(shard: string): string {
  return `vectors:${shard}`;
}

/** Who is in whose graphs (graph-doors.ts). */
export const GRAPH_DOORS = 'graph-doors';

/** Directory entries outnumber inodes only by hard links. */
const DENTRIES_PER_INODE = 1.25;

/**
 * Among how many shards the shared vector memory is divided, for this one: those that come later get what they would have if
 * all had come, so that room for them does not ask for several times the memory.
 */
function sharers({ workers }: Config, topology: Topology, shard: ActorPlan): number {
  return isConfigured(workers, shard) ? workers.shards : topology.ofKind('shard').length;
}

/** The table and room for vectors, which together are one region at most. */
function vectorBytes(shared: number): number {
  return Math.min(REGION_MAX, VECTOR_MEMORY_MIN + Math.floor(shared));
}

/** Room of the tables for so many files. */
export function namespaceCapacity(maxInodes: number): NamespaceCapacity {
  return { maxInodes, maxDentries: Math.ceil(maxInodes * DENTRIES_PER_INODE) };
}

export function planRegions(config: Config, topology: Topology): RegionPlan[] {
  const tables = planNamespace(namespaceCapacity(config.memory.max_files));
  const tableBytes = tables.reduce((sum, { bytes }) => sum + bytes, config.memory.budget);
  return [
    { name: ACTOR_STATES, bytes: actorStateBytes(topology.actors.length) },
    { name: CONNECTION, bytes: 4 * KIB },
    { name: LIVE, bytes: LIVE_BYTES },
    { name: STORE_STATUS, bytes: STORE_STATUS_BYTES },
    ...topology.actors.map(({ name, senders, laneBytes }) => ({
      name: mailboxRegion(name),
      bytes: planMailbox(senders.length, laneBytes),
    })),
    { name: TAPS, bytes: tapsBytes(topology.actors.length) },
    { name: TRACES, bytes: tracesBytes(topology.actors.length) },
    { name: METRICS, bytes: planMetrics(metricsPlan(topology)) },
    { name: JOURNAL, bytes: journalRegionBytes(config.store.journal_buffer) },
    planLogState(),
    { name: TASKS, bytes: planBoard(topology.ofKind('shard').length, SEARCH_TASK_BYTES) },
    ...topology.ofKind('shard').map((shard) => ({
      name: vectorsRegion(shard.name),
      bytes: vectorBytes(config.vectors.shared / sharers(config, topology, shard)),
    })),
    { name: GRAPH_DOORS, bytes: planDoors(topology.ofKind('shard').length) },
    { name: SLAB, bytes: config.memory.budget },
    { name: SLAB_CACHES, bytes: slabCachesBytes(topology.actors.length) },
    { name: SLAB_TAGS, bytes: slabTagsBytes(config.memory.budget) },
    { name: POOL_REPORT, bytes: POOL_REPORT_BYTES },
    ...tables,
    { name: LOAD_BOARD, bytes: loadBoardBytes(tableBytes, tables.length + 1) },
    planVirtual(config.memory.max_results),
    planDataLocks(),
    planSyncHabits(),
    planStagedSums(),
    planLastReads(config.memory.max_files),
    ...planOpenFiles(config.memory.max_files),
    planPending(),
    ...(config.fuse.channel === 'classic' ? [] : [planUring(possibleCpus(), topology.ofKind('fuse').length)]),
    { name: FLIGHTS, bytes: flightBytes(topology.ofKind('fuse').length) },
    { name: VECTOR_ORDER, bytes: CACHE_LINE },
    { name: ROUTE, bytes: CACHE_LINE },
    planTransit(filesAtOnce(config.workers.tasks)),
    planIntent(),
    planAbsentNames(),
  ];
}

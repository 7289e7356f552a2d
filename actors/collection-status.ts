/** The vectors of a mount in figures, collection by collection, read from shared memory: nobody has to be asked. */
import { collectionNames } from '../fuse/namespace/collections.ts';
import { METRICS as VECTOR_METRICS } from '../kernels/hnsw/scan.ts';
import { figuresOf, IS_FULL, WALKS_CODES, WALKS_FLOATS } from '../kernels/hnsw/vector-memory.ts';
import { GRAPHS_MAX } from '../runtime/config/bounds.ts';
import type { Context } from './context.ts';
import { presentActors } from './presence.ts';
import { vectorsRegion } from './regions.ts';
import { TEXT_COLLECTION } from './text-collection.ts';

export interface CollectionStatus {
  /** "" for the passages of text. */
  readonly name: string;
  readonly dimension: number;
  readonly metric: string;
  readonly engine: string;
  readonly vectors: number;
  /** Vectors that a search compares one by one: they wait for their place in a graph, or there is none. */
  readonly tail: number;
  /** Vectors in graphs. */
  readonly graph: number;
  /** What graphs are walked over: "int8", "float32", "int8 and float32", or "" when there are none. */
  readonly walked: string;
  /** How many graphs that is. A shard begins another when the memory of one is full (`vectors.graph_memory`). */
  readonly graphs: number;
  /** The most that there can be, of all shards together. */
  readonly graphsMax: number;
  /** Shards whose graphs have no room for more: what comes to them stays in the tail. */
  readonly full: number;
  /** Memory, of all shards together. */
  readonly bytes: number;
  readonly bytesPerVector: number;
}

/** Any thread may ask. */
export function collectionsStatus(context: Context): CollectionStatus[] {
  const names = ['', ...collectionNames(context.arena)];
  return names
    .map((name, id) => collectionStatus(context, name, id))
    .filter((status) => status !== undefined);
}

/** Of one collection; undefined as long as no shard has anything of it. */
export function collectionStatus(context: Context, name: string, id: number): CollectionStatus | undefined {
  const shards = presentActors(context, 'shard')
    .map((shard) => figuresOf(context.arena.region(vectorsRegion(shard.name)), id))
    .filter((figures) => figures !== undefined);
  if (shards.length === 0) return undefined;
  const sum = (of: (shard: (typeof shards)[number]) => number): number =>
    shards.reduce((total, shard) => total + of(shard), 0);
  const vectors = sum((shard) => shard.vectors);
  const graph = sum((shard) => shard.inGraph);
  const bytes = sum((shard) => shard.bytes);
  const walks = (bit: number, what: string): string[] =>
    shards.some(({ form }) => (form & bit) !== 0) ? [what] : [];
  return {
    name: id === TEXT_COLLECTION ? '' : name,
    dimension: shards[0]!.dimension,
    metric: VECTOR_METRICS[shards[0]!.metric] ?? '',
    engine: context.settings.config.vectors.engine,
    vectors,
    tail: vectors - graph,
    graph,
    graphs: sum((shard) => shard.graphs),
    graphsMax: GRAPHS_MAX * shards.length,
    walked: [...walks(WALKS_CODES, 'int8'), ...walks(WALKS_FLOATS, 'float32')].join(' and '),
    full: shards.filter(({ form }) => (form & IS_FULL) !== 0).length,
    bytes,
    bytesPerVector: vectors === 0 ? 0 : Math.round(bytes / vectors),
  };
}

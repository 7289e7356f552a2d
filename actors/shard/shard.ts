import type { CollectionElement, CollectionOptions } from '../../fuse/namespace/collections.ts';
import type { ChunkRecord } from '../../kernels/hnsw/chunk-table.ts';
import { CollectionIndex, emptyRecord } from '../../kernels/hnsw/collection-index.ts';
import { GrowingGraph } from '../../kernels/hnsw/growing-graph.ts';
import type { TailGraph } from '../../kernels/hnsw/tail-graph.ts';
import { type IndexOptions, SearchHits, type VectorIndex } from '../../kernels/hnsw/vector-index.ts';
import { IS_FULL, type VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { CHUNKS_PER_BATCH, ChunkBatch, encodeChunkBatch, type TextChunk } from '../chunk-batch.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { KeptGraph } from './snapshots.ts';

const SEED = 1;
const AS_CONFIGURED: CollectionOptions = {
  metric: 'cosine',
  element: 'int8',
  m: 0,
  efConstruction: 0,
};

export interface GraphOptions extends IndexOptions {
  /** What it is to be walked over, by an engine that has a choice. */
  readonly element: CollectionElement;
}

/** Makes the graph of a collection, which finds nothing yet. */
export type OpenGraph = (options: GraphOptions, collection: number) => VectorIndex | TailGraph;

/** Called for each that a search has found, nearest first. */
export type Visit = (record: Readonly<ChunkRecord>, distance: number) => void;

/** Of a collection whose graphs are full. */
export interface FullFigures {
  readonly collection: number;
  readonly dimension: number;
  readonly inGraphs: number;
  readonly exactly: number;
}

/** The vectors of one shard, by collection. Knows nothing of messages or files. */
export class Shard {
  readonly #collections = new Map<number, CollectionIndex>();
  readonly #openGraph: OpenGraph | undefined;
  readonly #config: Config['vectors'];
  readonly #batch = new ChunkBatch();
  readonly #record = emptyRecord();
  readonly #memory: VectorMemory | undefined;
  #hits = new SearchHits(256);
  /** How the vectors of a users' collection are compared and linked; by cosine and as configured, if nobody says. */
  optionsOf: (collection: number) => CollectionOptions = () => AS_CONFIGURED;

  /** Without `openGraph` every search is exact. What is in `memory` can be searched by other threads. */
  constructor(config: Config['vectors'], openGraph: OpenGraph | undefined, memory?: VectorMemory) {
    this.#config = config;
    this.#openGraph = openGraph;
    this.#memory = memory;
  }

  get vectors(): number {
    let sum = 0;
    for (const collection of this.#collections.values()) sum += collection.size;
    return sum;
  }

  /** Chunks of text among them. */
  get chunks(): number {
    return this.#collections.get(TEXT_COLLECTION)?.size ?? 0;
  }

  /** Vectors that still wait to be taken into a graph. */
  get tail(): number {
    let sum = 0;
    for (const collection of this.#collections.values()) sum += collection.tailSize;
    return sum;
  }

  /** False when the bytes are no batch. The first batch of a file replaces whatever was known of the file's text. */
  putChunks(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): boolean {
    const batch = this.#batch;
    if (!batch.read(u8, offset, length)) return false;
    const collection = this.#collection(TEXT_COLLECTION, batch.dimension);
    if (collection.dimension !== batch.dimension) return false;
    const isReplaced = batch.firstChunk === 0 && collection.has(ino);
    if (isReplaced) collection.beginChange();
    if (isReplaced) collection.removeFile(ino, generation);
    const record = this.#record;
    record.ino = ino;
    record.generation = generation;
    record.version = batch.version;
    for (let i = 0; i < batch.count; i++) {
      record.chunk = batch.firstChunk + i;
      record.byteOffset = batch.byteOffset(i);
      record.byteLength = batch.byteLength(i);
      record.line = batch.line(i);
      collection.put(record, batch.vector(i));
    }
    if (isReplaced) collection.endChange();
    return true;
  }

  putVector(ino: number, generation: number, collectionId: number, vector: Float32Array): boolean {
    const collection = this.#collection(collectionId, vector.length);
    if (collection.dimension !== vector.length) return false;
    const record = Object.assign(this.#record, emptyRecord(), { ino, generation });
    collection.put(record, vector);
    return true;
  }

  remove(ino: number, generation: number, collection: number): void {
    this.#collections.get(collection)?.removeFile(ino, generation);
  }

  removeFile(ino: number, generation: number): void {
    for (const collection of this.#collections.values()) collection.removeFile(ino, generation);
  }

  clear(collection: number): void {
    this.#collections.get(collection)?.release();
    this.#collections.delete(collection);
  }

  clearAll(): void {
    for (const collection of this.#collections.values()) collection.release();
    this.#collections.clear();
  }

  /** Hands a collection out: whether another thread can search it in this one's place. It notices when that changes. */
  share(collection: number): boolean {
    return this.#collections.get(collection)?.share() ?? false;
  }

  /** Calls `visit` for each of the nearest, nearest first; returns how many. A query of another dimension finds none. */
  search(collectionId: number, query: Float32Array, k: number, ef: number, visit: Visit): number {
    return this.#visitFound(collectionId, query, k, visit, (collection) =>
      collection.search(query, k, ef, this.#hits),
    );
  }

  /** The same among the vectors of some files; inodes that there is nothing of are ignored. */
  searchAmong(
    collectionId: number,
    query: Float32Array,
    k: number,
    ef: number,
    inodes: Uint32Array,
    visit: Visit,
  ): number {
    return this.#visitFound(collectionId, query, k, visit, (collection) =>
      collection.searchAmong(query, k, ef, inodes, this.#hits),
    );
  }

  #visitFound(
    collectionId: number,
    query: Float32Array,
    k: number,
    visit: Visit,
    search: (collection: CollectionIndex) => number,
  ): number {
    const collection = this.#collections.get(collectionId);
    if (!collection || collection.dimension !== query.length) return 0;
    if (this.#hits.capacity < k) this.#hits = new SearchHits(k);
    const found = search(collection);
    for (let i = 0; i < found; i++) {
      collection.record(this.#hits.labels[i]!, this.#record);
      visit(this.#record, this.#hits.distances[i]!);
    }
    return found;
  }

  /** Moves up to `budget` vectors into graphs; returns how many. */
  absorb(budget: number): number {
    let moved = 0;
    for (const collection of this.#collections.values()) {
      if (moved < budget) moved += collection.absorb(budget - moved);
    }
    return moved;
  }

  /** Writes down for other threads how much there is of each collection. */
  report(): void {
    for (const collection of this.#collections.values()) collection.report();
  }

  /** The graphs that can be kept on the disk. */
  keptGraphs(): KeptGraph[] {
    const kept: KeptGraph[] = [];
    for (const [collection, { graph: graphs, dimension, tailSize: waiting }] of this.#collections) {
      if (!(graphs instanceof GrowingGraph)) continue;
      for (const [number, graph] of graphs.parts.entries()) {
        kept.push({ collection, number, dimension, graph, waiting });
      }
    }
    return kept;
  }

  /** The collections that have graphs. */
  *withGraphs(): Generator<CollectionIndex> {
    for (const collection of this.#collections.values()) if (collection.graphSize > 0) yield collection;
  }

  /** Visits the collections whose graphs have no room for more. */
  eachFull(visit: (graph: TailGraph, figures: FullFigures) => void): void {
    for (const [collection, { graph, dimension, tailSize: exactly }] of this.#collections) {
      if (graph === undefined || (graph.form & IS_FULL) === 0) continue;
      visit(graph, { collection, dimension, inGraphs: graph.size, exactly });
    }
  }

  /** Whether a batch is on its way into a graph, so that there will be something to do soon. */
  get isBuilding(): boolean {
    for (const { graph } of this.#collections.values()) if (graph?.isOpen) return true;
    return false;
  }

  /** A bounded part of what removals have left to do in graphs; true when there is more to do at once. */
  tidy(): boolean {
    let isMore = false;
    for (const collection of this.#collections.values()) if (collection.tidy()) isMore = true;
    return isMore;
  }

  /** Numbers of the collections that there is something of. */
  collections(): number[] {
    return [...this.#collections.keys()];
  }

  /** How many files there is something of in the collection. */
  files(collection: number): number {
    return this.#collections.get(collection)?.files ?? 0;
  }

  /** Their inodes. The collection may change meanwhile: those that were there and still are come first. */
  inodes(collection: number): Iterator<number> {
    return (this.#collections.get(collection)?.inodes() ?? [].values()) as Iterator<number>;
  }

  /** Forgets a file in one collection, whatever its generation. */
  drop(collection: number, ino: number): void {
    this.#collections.get(collection)?.removeAllOf(ino);
  }

  /** A file's vector in a users' collection. The argument is reused from call to call. */
  vectorsOf(
    collection: number,
    ino: number,
    visit: (generation: number, vector: Float32Array) => void,
  ): void {
    this.#collections.get(collection)?.forEachOf(ino, ({ generation }, vector) => visit(generation, vector));
  }

  /** All text chunks as batches in the format of the segment file, file by file. */
  eachTextBatch(visit: (ino: number, generation: number, batch: Uint8Array) => void): void {
    for (const ino of this.#collections.get(TEXT_COLLECTION)?.inodes() ?? []) {
      this.textBatchesOf(ino, (generation, batch) => visit(ino, generation, batch));
    }
  }

  /** The text chunks of a file as batches, from the first chunk on; one generation after another. */
  textBatchesOf(ino: number, visit: (generation: number, batch: Uint8Array) => void): void {
    const collection = this.#collections.get(TEXT_COLLECTION);
    const files = new Map<number, { version: number; chunks: (TextChunk & { chunk: number })[] }>();
    collection?.forEachOf(ino, (record, vector) => {
      const { generation, version, chunk, byteOffset, byteLength, line } = record;
      const file = files.get(generation) ?? { version, chunks: [] };
      files.set(generation, file);
      file.chunks.push({ chunk, byteOffset, byteLength, line, vector: vector.slice() });
    });
    for (const [generation, { version, chunks }] of files) {
      chunks.sort((a, b) => a.chunk - b.chunk);
      for (let first = 0; first < chunks.length; first += CHUNKS_PER_BATCH) {
        const part = chunks.slice(first, first + CHUNKS_PER_BATCH);
        visit(generation, encodeChunkBatch(version, first, part, collection!.dimension));
      }
    }
  }

  #collection(id: number, dimension: number): CollectionIndex {
    let collection = this.#collections.get(id);
    if (!collection) {
      const { metric, element, m, efConstruction } =
        id === TEXT_COLLECTION ? AS_CONFIGURED : this.optionsOf(id);
      const options = {
        dimension,
        metric,
        element,
        m: m || this.#config.m,
        efConstruction: efConstruction || this.#config.ef_construction,
        seed: SEED,
      };
      collection = new CollectionIndex(
        options,
        this.#openGraph?.(options, id),
        this.#config.exact_max,
        this.#memory,
        id,
      );
      this.#collections.set(id, collection);
    }
    return collection;
  }
}

import { constants, setPriority } from 'node:os';
import { sharedOptions } from '../../fuse/namespace/collections.ts';
import { VectorMemory } from '../../kernels/hnsw/vector-memory.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { DoorbellActor } from '../../runtime/scheduling/actor.ts';
import { runOnDoorbell } from '../../runtime/scheduling/run-loop.ts';
import { type Disk, HostDisk } from '../../runtime/storage/disk.ts';
import type { Context } from '../context.ts';
import { helpToLoad } from '../load-blocks.ts';
import {
  CLEAR_TEXT,
  DROP_COLLECTION,
  LOAD_BLOCKS,
  LOAD_SEGMENT,
  LOAD_VECTORS,
  PUT_CHUNKS,
  PUT_VECTOR,
  REMOVE_FILE,
  REMOVE_VECTORS,
  REPLAY,
  REPLAY_DONE,
  REPLAY_FILES,
  ROUTE_CHANGED,
  SAVE_SEGMENT,
  SEARCH,
  SEGMENT_LOADED,
  SEGMENT_SAVED,
  writeNumber,
} from '../messages.ts';
import { METRICS, vectorsRegion } from '../regions.ts';
import { COPYING, holders, phaseOf, Route } from '../route.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { ActorKind } from '../topology.ts';
import { Building } from './building.ts';
import { graphMaker } from './graph-maker.ts';
import { Graphs } from './graphs.ts';
import { Intake } from './intake.ts';
import { Moving } from './moving.ts';
import { Recent } from './recent.ts';
import { FULL_LANE_MS, Searches } from './searches.ts';
import { loadSegment, saveSegment } from './segments.ts';
import { Shard } from './shard.ts';
import { Snapshots } from './snapshots.ts';
import { Succession } from './succession.ts';
import { TableVectors } from './table-vectors.ts';

/** Searches before building has its turn: it is late by a few searches then, and a search by one slice. */
const SEARCHES_PER_SLICE = 8;
/** Batches of messages before files that move, and vectors that graphs wait for, have their turn, however many messages there are. */
const BATCHES_PER_SLICE = 8;
/** Reading a segment, or writing it and graphs, may take this long, milliseconds: gigabytes from a slow disk. */
const SEGMENT_PATIENCE_MS = 600_000;

export class ShardActor implements DoorbellActor {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #disk: Disk;
  readonly #index: number;
  readonly #route: Route;
  readonly #graphs: Graphs;
  readonly #snapshots: Snapshots;
  /** Kind of the actor behind each lane. */
  readonly #senders: readonly ActorKind[];
  readonly #searches: Searches;
  readonly #building: Building;
  readonly #recent = new Recent();
  readonly #succession: Succession;
  readonly #intake: Intake;
  readonly #moving: Moving;
  readonly #tables: TableVectors;
  /** The route as of the last time that the mailbox was empty. */
  #seenRoute: number;
  /** Since the mailbox was empty, or before. */
  #batches = 0;
  /** Since building last had its turn. */
  #searched = 0;
  /** LSN of the segment that is to be written; −1 = none. */
  #saveAsOf = -1;
  readonly #metrics: MetricsBlock;
  readonly #counter: Record<'vectors' | 'chunks' | 'tail', number>;

  constructor(context: Context, shard: Shard, graphs = new Graphs(context)) {
    this.#graphs = graphs;
    this.#context = context;
    this.#shard = shard;
    this.#disk = new HostDisk(context.settings.store);
    this.#snapshots = new Snapshots(context, this.#disk);
    this.#index = context.topology.actor(context.name).index;
    this.#route = new Route(context.arena);
    this.#seenRoute = this.#route.word;
    const { senders } = context.topology.actor(context.name);
    this.#senders = senders.map((name) => context.topology.actor(name).kind);
    this.#succession = new Succession(context, this.#disk, shard, this.#recent);
    const metrics = new MetricsBlock(context.arena.region(METRICS), context.name);
    this.#metrics = metrics;
    this.#intake = new Intake(context, shard, this.#route, this.#recent, this.#succession, metrics);
    this.#searches = new Searches(context, shard, graphs, metrics);
    this.#building = new Building(context, shard, graphs, this.#snapshots, metrics);
    this.#moving = new Moving(context, shard, this.#route, metrics);
    this.#tables = new TableVectors(context, shard, this.#recent);
    this.#counter = {
      vectors: metrics.counter('vectors'),
      chunks: metrics.counter('chunks'),
      tail: metrics.counter('tail'),
    };
  }

  onMessage(
    kind: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
    lane: number,
  ): void {
    const from = this.#senders[lane]!;
    if (this.#succession.defers(from)) this.#succession.defer(kind, u8, offset, length, lane);
    else this.#take(kind, u8, u32, f64, offset, length, from);
  }

  /** Changes of what it holds, and searches. */
  #take(
    kind: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
    from: ActorKind,
  ): void {
    const word = offset >> 2;
    switch (kind) {
      case PUT_CHUNKS:
        if (from === 'shard')
          this.#intake.takeSentText(u32[word]!, u32[word + 1]!, u8, offset + 8, length - 8);
        else this.#intake.putChunks(u32[word]!, u32[word + 1]!, u8, offset + 8, length - 8);
        break;
      case PUT_VECTOR:
        this.#intake.putVector(u8, u32, offset, from);
        break;
      case REMOVE_VECTORS:
        this.#intake.removeVectors(u32[word]!, u32[word + 1]!, u32[word + 2]!, u32[word + 3]!);
        break;
      case REMOVE_FILE:
        this.#intake.removeFile(u32[word]!, u32[word + 1]!);
        break;
      case CLEAR_TEXT:
        this.#shard.clear(TEXT_COLLECTION);
        break;
      case DROP_COLLECTION:
        this.#shard.clear(u32[word]!);
        break;
      case SEARCH:
        this.#searches.take(u8, u32, offset);
        break;
      default:
        this.#obey(kind, u32, f64, offset);
    }
  }

  /** What io-0 and main ask for, so that the shard holds what it should. */
  #obey(kind: number, u32: Uint32Array, f64: Float64Array, offset: number): void {
    const word = offset >> 2;
    switch (kind) {
      case LOAD_SEGMENT:
        this.#patiently(() => this.#load(f64[offset >> 3]!));
        break;
      case LOAD_BLOCKS:
        this.#patiently(() => helpToLoad(this.#context, this.#disk, u32[word]!));
        break;
      case LOAD_VECTORS:
        this.#tables.begin();
        break;
      case REPLAY:
        this.#beginReplay(
          f64[offset >> 3]!,
          f64[(offset >> 3) + 1]!,
          u32[word + 4]!,
          u32[word + 5]!,
          u32[word + 6]!,
        );
        break;
      case REPLAY_FILES:
        this.#succession.files(u32, offset);
        break;
      case REPLAY_DONE:
        this.#succession.allListed();
        break;
      case ROUTE_CHANGED:
        this.#moving.begin(u32[word]!);
        break;
      case SAVE_SEGMENT:
        // Not at once: what other lanes hold belongs into the segment.
        this.#saveAsOf = f64[offset >> 3]!;
        break;
      default:
        this.#context.logger.error({ kind }, 'a message that a shard does not know');
    }
  }

  /** Messages keep coming: a search waits for those before it, not for all. */
  afterBatch(): void {
    if (this.#succession.isUnderWay || this.#tables.isUnderWay) return;
    this.#releaseSearches();
    if (this.#searches.serve()) this.#building.searched();
    if (++this.#batches % BATCHES_PER_SLICE !== 0) return;
    this.#moving.step();
    // Whoever has time builds what this thread has none for.
    this.#shard.absorb(1);
  }

  idle(): number {
    this.#graphs.listen();
    if (this.#succession.isUnderWay) return this.#stepReplay();
    if (this.#tables.isUnderWay) return this.#stepTables();
    // The mailbox is empty: nothing that was sent before what was taken in is still to come.
    this.#forget();
    const isReported = this.#succession.reportMissing();
    this.#releaseSearches();
    this.#saveIfAsked();
    if (this.#searches.serve()) {
      this.#building.searched();
      if (++this.#searched < SEARCHES_PER_SLICE) return 0;
    }
    const isBusy = this.#searched === SEARCHES_PER_SLICE;
    this.#searched = 0;
    const progress = this.#moving.step();
    const isBuilt = this.#building.step();
    this.#metrics.set(this.#counter.tail, this.#shard.tail);
    this.#shard.report();
    if (isBuilt || isBusy || progress === 'more') return 0;
    const isWaiting = !isReported || progress !== 'nothing to do' || this.#shard.isBuilding;
    return isWaiting ? Math.min(FULL_LANE_MS, this.#searches.sleepMs) : this.#searches.sleepMs;
  }

  stop(): void {
    this.#searches.finish();
    this.#succession.reportMissing();
    this.#saveIfAsked();
    this.#graphs.end();
  }

  #beginReplay(
    checkpointLsn: number,
    durableLsn: number,
    incarnation: number,
    lastStamp: number,
    route: number,
  ): void {
    if (!this.#succession.begin(checkpointLsn, durableLsn, incarnation, lastStamp, route)) return;
    this.#tables.cancel();
    this.#takeDeferred();
  }

  #stepReplay(): number {
    if (this.#patiently(() => this.#succession.step())) return 0;
    if (!this.#succession.complete()) return Number.POSITIVE_INFINITY;
    this.#takeDeferred();
    this.#succession.announce();
    return 0;
  }

  /** A segment that is asked for need not wait: what the tables have is not part of it. */
  #stepTables(): number {
    this.#saveIfAsked();
    return this.#tables.step();
  }

  #takeDeferred(): void {
    this.#succession.takeDeferred(this.onMessage.bind(this));
  }

  /** What was sent on comes late; it has come when the mailbox has been empty since the files were copied. */
  #forget(): void {
    const { word } = this.#route;
    if (phaseOf(word) !== COPYING && phaseOf(this.#seenRoute) !== COPYING) this.#recent.forget();
    this.#seenRoute = word;
  }

  /** A step in which this thread does not beat. */
  #patiently<T>(work: () => T): T {
    const { state } = this.#context;
    state.patience = SEGMENT_PATIENCE_MS;
    const result = work();
    state.patience = 0;
    return result;
  }

  #releaseSearches(): void {
    // Before the answers: who got one sees in the counters what it was found among.
    this.#metrics.set(this.#counter.vectors, this.#shard.vectors);
    this.#metrics.set(this.#counter.chunks, this.#shard.chunks);
    this.#searches.release();
  }

  /** The mailbox is empty: what was sent before a segment was asked for has been taken in. */
  #saveIfAsked(): void {
    if (this.#saveAsOf < 0) return;
    this.#patiently(() => this.#save(this.#saveAsOf));
    this.#saveAsOf = -1;
  }

  #load(lsn: number): void {
    const put = this.#intake.putChunks.bind(this.#intake);
    const complete = loadSegment(this.#disk, lsn, this.#index, this.#route.word, put);
    if (!complete) this.#shard.clear(TEXT_COLLECTION);
    writeNumber(this.#context.outbox('main'), SEGMENT_LOADED, complete ? 1 : 0);
  }

  #save(lsn: number): void {
    const status = saveSegment(this.#disk, lsn, this.#index, this.#route.word, this.#shard);
    this.#snapshots.finish(this.#shard.keptGraphs(), holders(this.#route.word));
    if (status !== 0)
      this.#context.logger.error({ errno: -status }, 'the vector segment could not be written');
    writeNumber(this.#context.outbox('main'), SEGMENT_SAVED, Math.abs(status));
  }
}

/**
 * Below those that answer the kernel, and those that a mount is yet to start: building graphs and reading vectors takes the
 * time that they leave (nice(2) of this thread).
 */
const PRIORITY = constants.priority.PRIORITY_BELOW_NORMAL;

export async function run(context: Context): Promise<void> {
  setPriority(PRIORITY);
  const { vectors } = context.settings.config;
  const graphs = new Graphs(context);
  const openGraph = await graphMaker(context, graphs);
  const memory = new VectorMemory(context.arena.region(vectorsRegion(context.name)));
  const shard = new Shard(vectors, openGraph, memory);
  const namespace = context.arena.region('namespace');
  shard.optionsOf = (collection) => sharedOptions(namespace, collection);
  runOnDoorbell(context, new ShardActor(context, shard, graphs));
}

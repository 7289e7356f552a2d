import { constants, setPriority } from 'node:os';
import { loadEngine } from '../../kernels/hnsw/open-engine.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { DoorbellActor } from '../../runtime/scheduling/actor.ts';
import { runOnDoorbell } from '../../runtime/scheduling/run-loop.ts';
import { type Disk, HostDisk } from '../../runtime/storage/disk.ts';
import type { Context } from '../context.ts';
import {
  CLEAR_TEXT,
  HIT_BYTES,
  HITS,
  LOAD_SEGMENT,
  PUT_CHUNKS,
  PUT_VECTOR,
  PUT_VECTOR_HEADER_BYTES,
  REMOVE_FILE,
  REMOVE_VECTORS,
  REPLAY,
  REPLAY_DONE,
  REPLAY_FILES,
  SAVE_SEGMENT,
  SEARCH,
  SEARCH_HEADER_BYTES,
  SEGMENT_LOADED,
  SEGMENT_SAVED,
  SHARD_REPLAYED,
  TEXT_MISSING,
  tryList,
  writeNumber,
  writeWords,
} from '../messages.ts';
import { METRICS } from '../regions.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import { type ActorKind, shardOf } from '../topology.ts';
import { SEARCHED } from '../trace.ts';
import { Deferred } from './deferred.ts';
import { Recent } from './recent.ts';
import { Replay } from './replay.ts';
import { deleteSegments, readSegments, SegmentWriter } from './segment.ts';
import { Shard } from './shard.ts';

/** Vectors taken into a graph between two looks at the mailbox: about a millisecond. */
const ABSORB_SLICE = 4;
/** Reading or writing a segment may take this long, milliseconds: gigabytes from a slow disk. */
const SEGMENT_PATIENCE_MS = 600_000;
/** How soon a full lane is looked at again, milliseconds. */
const FULL_LANE_MS = 2;
/** Files named in one TEXT_MISSING. */
const MISSING_BATCH = 4096;

interface WaitingSearch {
  readonly id: number;
  readonly collection: number;
  readonly k: number;
  readonly ef: number;
  readonly query: Float32Array;
}

/** What a search found: {@link HIT_BYTES} for each hit, as the message has them. */
interface Answer {
  readonly id: number;
  readonly hits: Uint32Array;
}

/**
 * A successor (incarnation > 1) starts empty. Until io-0 says REPLAY it takes in nothing; from then on what fuse actors
 * say, because those must not wait for long; and what the indexer says, searches among it, once the replay is complete.
 */
export class ShardActor implements DoorbellActor {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #disk: Disk;
  readonly #index: number;
  readonly #shards: number;
  /** Kind of the actor behind each lane. */
  readonly #senders: readonly ActorKind[];
  readonly #indexer: Outbox;
  readonly #waiting: WaitingSearch[] = [];
  /** Answers that the indexer's lane had no room for. */
  #unsent: Answer[] = [];
  readonly #recent = new Recent();
  readonly #deferred = new Deferred();
  #isAwaitingReplay: boolean;
  #replay: Replay | undefined;
  /** Files that the indexer is yet to be told are missing, but for those that it says something of before. */
  readonly #missing = new Set<number>();
  /** LSN of the segment that is to be written; −1 = none. */
  #saveAsOf = -1;
  /**
   * LSNs whose segments are kept: of the checkpoint that was loaded, and of those written since. A crash may leave
   * others, whose checkpoint was never written.
   */
  readonly #segments = new Set<number>();
  /** A float32 and its bits. */
  readonly #distance = new Float32Array(1);
  readonly #distanceBits = new Uint32Array(this.#distance.buffer);
  readonly #metrics: MetricsBlock;
  readonly #counter: Record<'vectors' | 'chunks' | 'tail' | 'puts' | 'removes' | 'searches', number>;

  constructor(context: Context, shard: Shard) {
    this.#context = context;
    this.#shard = shard;
    this.#disk = new HostDisk(context.settings.store);
    this.#index = context.topology.actor(context.name).index;
    this.#shards = context.settings.config.workers.shards;
    const { senders } = context.topology.actor(context.name);
    this.#senders = senders.map((name) => context.topology.actor(name).kind);
    this.#indexer = context.outbox('indexer');
    this.#isAwaitingReplay = context.settings.incarnation > 1;
    const metrics = new MetricsBlock(context.arena.region(METRICS), context.name);
    this.#metrics = metrics;
    this.#counter = {
      vectors: metrics.counter('vectors'),
      chunks: metrics.counter('chunks'),
      tail: metrics.counter('tail'),
      puts: metrics.counter('puts'),
      removes: metrics.counter('removes'),
      searches: metrics.counter('searches'),
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
    if (this.#isEarly(lane)) this.#deferred.add(kind, u8, offset, length, lane);
    else this.#take(kind, u8, u32, f64, offset, length, lane);
  }

  /** Whether the message has to wait for the replay, or for its beginning. */
  #isEarly(lane: number): boolean {
    if (!this.#isAwaitingReplay && this.#replay === undefined) return false;
    const from = this.#senders[lane];
    return from === 'indexer' || (from === 'fuse' && this.#isAwaitingReplay);
  }

  #take(
    kind: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
    lane: number,
  ): void {
    const word = offset >> 2;
    const isFromIo = this.#senders[lane] === 'io';
    // What io-0 had sent of a replay that an earlier incarnation did not live to complete.
    if (isFromIo && this.#isAwaitingReplay && kind !== REPLAY) return;
    switch (kind) {
      case PUT_CHUNKS:
        this.#missing.delete(u32[word]!);
        this.#putChunks(u32[word]!, u32[word + 1]!, u8, offset + 8, length - 8);
        break;
      case PUT_VECTOR:
        this.#putVector(u8, u32, offset, isFromIo);
        break;
      case REMOVE_VECTORS:
        this.#removeVectors(u32[word]!, u32[word + 1]!, u32[word + 2]!, u32[word + 3]!);
        break;
      case REMOVE_FILE:
        this.#recent.gone(u32[word]!, u32[word + 1]!);
        this.#shard.removeFile(u32[word]!, u32[word + 1]!);
        this.#metrics.add(this.#counter.removes, 1);
        break;
      case REPLAY:
        this.#beginReplay(f64[offset >> 3]!, f64[(offset >> 3) + 1]!, u32[word + 4]!, u32[word + 5]!);
        break;
      case REPLAY_FILES:
        this.#replay?.files(u32, offset);
        break;
      case REPLAY_DONE:
        this.#replay?.allListed();
        break;
      case CLEAR_TEXT:
        this.#shard.clear(TEXT_COLLECTION);
        break;
      case SEARCH:
        // Not answered at once: what other lanes hold was put before the search and must be found by it.
        this.#waiting.push(copySearch(u8, u32, offset));
        break;
      case LOAD_SEGMENT:
        this.#patiently(() => this.#load(f64[offset >> 3]!));
        break;
      case SAVE_SEGMENT:
        // As a search: what other lanes hold belongs into the segment.
        this.#saveAsOf = f64[offset >> 3]!;
        break;
      default:
        this.#context.logger.error({ kind }, 'a message that a shard does not know');
    }
  }

  idle(): number {
    if (this.#isAwaitingReplay) return Number.POSITIVE_INFINITY;
    if (this.#replay !== undefined) return this.#stepReplay(this.#replay);
    // The mailbox is empty: nothing that was sent before what was taken in is still to come.
    this.#recent.forget();
    // Before the answers: who got one sees in the counters what it was found among.
    this.#metrics.set(this.#counter.vectors, this.#shard.vectors);
    this.#metrics.set(this.#counter.chunks, this.#shard.chunks);
    this.#answerWaiting();
    const moved = this.#shard.absorb(ABSORB_SLICE);
    this.#metrics.set(this.#counter.tail, this.#shard.tail);
    if (moved > 0) return 0;
    return this.#unsent.length + this.#missing.size > 0 ? FULL_LANE_MS : Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.#answerWaiting();
  }

  #beginReplay(checkpointLsn: number, durableLsn: number, incarnation: number, lastStamp: number): void {
    const { settings } = this.#context;
    if (incarnation !== settings.incarnation) return;
    this.#isAwaitingReplay = false;
    this.#shard.clearAll();
    this.#segments.add(checkpointLsn);
    this.#recent.cover(lastStamp);
    this.#replay = new Replay({
      disk: this.#disk,
      shard: this.#shard,
      recent: this.#recent,
      index: this.#index,
      shards: this.#shards,
      uuid: settings.identity.bytes,
      checkpointLsn,
      durableLsn,
    });
    this.#takeDeferred();
  }

  /** A step in which this thread does not beat. */
  #patiently<T>(work: () => T): T {
    const { state } = this.#context;
    state.patience = SEGMENT_PATIENCE_MS;
    const result = work();
    state.patience = 0;
    return result;
  }

  /** What was put off; of it, what is still early is put off again. */
  #takeDeferred(): void {
    this.#deferred.takeAll((kind, u8, u32, f64, offset, length, lane) =>
      this.onMessage(kind, u8, u32, f64, offset, length, lane),
    );
  }

  #stepReplay(replay: Replay): number {
    const { logger, settings } = this.#context;
    if (this.#patiently(() => replay.step())) return 0;
    if (!replay.isComplete) return Number.POSITIVE_INFINITY;
    for (const ino of replay.finish()) this.#missing.add(ino);
    this.#replay = undefined;
    if (!replay.wasWhole) logger.warn('a segment or a part of the log could not be read');
    this.#takeDeferred();
    writeWords(this.#context.outbox('main'), SHARD_REPLAYED, this.#index, settings.incarnation);
    return 0;
  }

  #removeVectors(ino: number, generation: number, collection: number, stamp: number): void {
    this.#metrics.add(this.#counter.removes, 1);
    if (collection === TEXT_COLLECTION) this.#missing.delete(ino);
    if (collection !== TEXT_COLLECTION && !this.#recent.isLatest(ino, collection, stamp)) return;
    this.#shard.remove(ino, generation, collection);
  }

  /** The mailbox is empty: what was sent before a search, or before a segment was asked for, has been taken in. */
  #answerWaiting(): void {
    for (const search of this.#waiting.splice(0)) this.#unsent.push(this.#find(search));
    while (this.#unsent.length > 0 && this.#trySend(this.#unsent[0]!)) this.#unsent.shift();
    this.#reportMissing();
    if (this.#saveAsOf < 0) return;
    this.#patiently(() => this.#save(this.#saveAsOf));
    this.#saveAsOf = -1;
  }

  #putChunks(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void {
    this.#metrics.add(this.#counter.puts, 1);
    if (this.#recent.isGone(ino, generation)) return;
    if (!this.#shard.putChunks(ino, generation, u8, offset, length)) {
      this.#context.logger.error({ ino, generation, length }, 'a batch of chunks does not parse');
    }
  }

  #putVector(u8: Uint8Array, u32: Uint32Array, offset: number, isFromTables: boolean): void {
    const word = offset >> 2;
    const ino = u32[word]!;
    const generation = u32[word + 1]!;
    const collection = u32[word + 2]!;
    const stamp = u32[word + 4]!;
    this.#metrics.add(this.#counter.puts, 1);
    const isLatest = isFromTables
      ? this.#recent.isNoOlder(ino, collection, stamp)
      : this.#recent.isLatest(ino, collection, stamp);
    if (!isLatest || this.#recent.isGone(ino, generation)) return;
    const bytes = u8.byteOffset + offset + PUT_VECTOR_HEADER_BYTES;
    const vector = new Float32Array(u8.buffer, bytes, u32[word + 3]!);
    if (!this.#shard.putVector(ino, generation, collection, vector)) {
      this.#context.logger.error({ collection, dimension: vector.length }, 'a vector of another dimension');
    }
  }

  #find({ id, collection, k, ef, query }: WaitingSearch): Answer {
    const started = performance.now();
    const found: number[] = [];
    this.#shard.search(collection, query, k, ef, (record, distance) => {
      const { ino, generation, chunk, byteOffset, byteLength, line, version } = record;
      this.#distance[0] = distance;
      found.push(ino, generation, chunk, byteOffset, byteLength, line, version, this.#distanceBits[0]!);
    });
    this.#metrics.add(this.#counter.searches, 1);
    this.#metrics.histogram('search').record((performance.now() - started) * 1e6);
    this.#context.trace.record(SEARCHED, id, 0, (found.length * 4) / HIT_BYTES);
    return { id, hits: Uint32Array.from(found) };
  }

  /** False when the indexer's lane is full. It may be one that died: waiting for it would look as if this thread hung. */
  #trySend({ id, hits }: Answer): boolean {
    const at = this.#indexer.claim(HITS, 8 + hits.byteLength);
    if (at < 0) return false;
    const { u32 } = this.#indexer;
    u32[at >> 2] = id;
    u32[(at >> 2) + 1] = hits.byteLength / HIT_BYTES;
    u32.set(hits, (at + 8) >> 2);
    this.#indexer.send();
    return true;
  }

  #reportMissing(): void {
    const { logger } = this.#context;
    while (this.#missing.size > 0) {
      const batch = Uint32Array.from([...this.#missing].slice(0, MISSING_BATCH));
      if (!tryList(this.#indexer, TEXT_MISSING, batch.length, batch)) return;
      for (const ino of batch) this.#missing.delete(ino);
      logger.warn({ files: batch.length }, 'files whose text is missing are to be indexed again');
    }
  }

  #load(lsn: number): void {
    this.#segments.add(lsn);
    // LSN 0: a new store, of which nothing has been written yet.
    const complete =
      lsn === 0 ||
      readSegments(this.#disk, lsn, this.#index, this.#shards, (ino, generation, u8, offset, length) => {
        if (shardOf(ino, this.#shards) === this.#index) this.#putChunks(ino, generation, u8, offset, length);
      });
    if (!complete) this.#shard.clear(TEXT_COLLECTION);
    writeNumber(this.#context.outbox('main'), SEGMENT_LOADED, complete ? 1 : 0);
  }

  #save(lsn: number): void {
    const writer = new SegmentWriter(this.#disk, lsn, this.#index, this.#shards);
    this.#shard.eachTextBatch((ino, generation, batch) => writer.add(ino, generation, batch));
    const status = writer.finish();
    this.#segments.add(lsn);
    if (status === 0) deleteSegments(this.#disk, this.#index, this.#shards, this.#segments);
    else this.#context.logger.error({ errno: -status }, 'the vector segment could not be written');
    writeNumber(this.#context.outbox('main'), SEGMENT_SAVED, Math.abs(status));
  }
}

function copySearch(u8: Uint8Array, u32: Uint32Array, offset: number): WaitingSearch {
  const word = offset >> 2;
  const bytes = u8.byteOffset + offset + SEARCH_HEADER_BYTES;
  return {
    id: u32[word]!,
    collection: u32[word + 1]!,
    k: u32[word + 2]!,
    ef: u32[word + 3]!,
    query: new Float32Array(u8.buffer, bytes, u32[word + 4]!).slice(),
  };
}

/** Below those that answer the kernel: building graphs takes the time that requests leave (nice(2) of this thread). */
const PRIORITY = constants.priority.PRIORITY_BELOW_NORMAL;

export async function run(context: Context): Promise<void> {
  setPriority(PRIORITY);
  const { vectors } = context.settings.config;
  const openGraph = vectors.engine === 'exact' ? undefined : await loadEngine(vectors.engine);
  runOnDoorbell(context, new ShardActor(context, new Shard(vectors, openGraph)));
}

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
  SAVE_SEGMENT,
  SEARCH,
  SEARCH_HEADER_BYTES,
  SEGMENT_LOADED,
  SEGMENT_SAVED,
  writeNumber,
} from '../messages.ts';
import { METRICS } from '../regions.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import { shardOf } from '../topology.ts';
import { SEARCHED } from '../trace.ts';
import { deleteSegments, readSegments, SegmentWriter } from './segment.ts';
import { Shard } from './shard.ts';

/** Vectors taken into a graph between two looks at the mailbox: about a millisecond. */
const ABSORB_SLICE = 4;

interface WaitingSearch {
  readonly id: number;
  readonly collection: number;
  readonly k: number;
  readonly ef: number;
  readonly query: Float32Array;
}

export class ShardActor implements DoorbellActor {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #disk: Disk;
  readonly #index: number;
  readonly #shards: number;
  readonly #indexer: Outbox;
  readonly #waiting: WaitingSearch[] = [];
  /** LSN of the segment that is to be written; −1 = none. */
  #saveAsOf = -1;
  /**
   * LSNs whose segments are kept: of the checkpoint that was loaded, and of those written since. A crash may leave
   * others, whose checkpoint was never written.
   */
  readonly #segments = new Set<number>();
  readonly #metrics: MetricsBlock;
  readonly #counter: Record<'vectors' | 'chunks' | 'tail' | 'puts' | 'removes' | 'searches', number>;

  constructor(context: Context, shard: Shard) {
    this.#context = context;
    this.#shard = shard;
    this.#disk = new HostDisk(context.settings.store);
    this.#index = context.topology.actor(context.name).index;
    this.#shards = context.settings.config.workers.shards;
    this.#indexer = context.outbox('indexer');
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
  ): void {
    const word = offset >> 2;
    switch (kind) {
      case PUT_CHUNKS:
        this.#putChunks(u32[word]!, u32[word + 1]!, u8, offset + 8, length - 8);
        break;
      case PUT_VECTOR:
        this.#putVector(u8, u32, offset);
        break;
      case REMOVE_VECTORS:
        this.#shard.remove(u32[word]!, u32[word + 1]!, u32[word + 2]!);
        this.#metrics.add(this.#counter.removes, 1);
        break;
      case REMOVE_FILE:
        this.#shard.removeFile(u32[word]!, u32[word + 1]!);
        this.#metrics.add(this.#counter.removes, 1);
        break;
      case CLEAR_TEXT:
        this.#shard.clear(TEXT_COLLECTION);
        break;
      case SEARCH:
        // Not answered at once: what other lanes hold was put before the search and must be found by it.
        this.#waiting.push(copySearch(u8, u32, offset));
        break;
      case LOAD_SEGMENT:
        this.#load(f64[offset >> 3]!);
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
    // Before the answers: who got one sees in the counters what it was found among.
    this.#metrics.set(this.#counter.vectors, this.#shard.vectors);
    this.#metrics.set(this.#counter.chunks, this.#shard.chunks);
    this.#answerWaiting();
    const moved = this.#shard.absorb(ABSORB_SLICE);
    this.#metrics.set(this.#counter.tail, this.#shard.tail);
    return moved > 0 ? 0 : Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.#answerWaiting();
  }

  /** The mailbox is empty: what was sent before a search, or before a segment was asked for, has been taken in. */
  #answerWaiting(): void {
    for (const search of this.#waiting.splice(0)) this.#answer(search);
    if (this.#saveAsOf < 0) return;
    this.#save(this.#saveAsOf);
    this.#saveAsOf = -1;
  }

  #putChunks(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void {
    this.#metrics.add(this.#counter.puts, 1);
    if (!this.#shard.putChunks(ino, generation, u8, offset, length)) {
      this.#context.logger.error({ ino, generation, length }, 'a batch of chunks does not parse');
    }
  }

  #putVector(u8: Uint8Array, u32: Uint32Array, offset: number): void {
    const word = offset >> 2;
    const bytes = u8.byteOffset + offset + PUT_VECTOR_HEADER_BYTES;
    const vector = new Float32Array(u8.buffer, bytes, u32[word + 3]!);
    this.#metrics.add(this.#counter.puts, 1);
    if (!this.#shard.putVector(u32[word]!, u32[word + 1]!, u32[word + 2]!, vector)) {
      this.#context.logger.error(
        { collection: u32[word + 2], dimension: vector.length },
        'a vector of another dimension',
      );
    }
  }

  #answer({ id, collection, k, ef, query }: WaitingSearch): void {
    const started = performance.now();
    const found: number[] = [];
    const distances: number[] = [];
    this.#shard.search(collection, query, k, ef, (record, distance) => {
      const { ino, generation, chunk, byteOffset, byteLength, line, version } = record;
      found.push(ino, generation, chunk, byteOffset, byteLength, line, version);
      distances.push(distance);
    });
    this.#context.trace.record(SEARCHED, id, 0, distances.length);
    const at = this.#indexer.claimOrWait(HITS, 8 + distances.length * HIT_BYTES);
    const { u32, u8 } = this.#indexer;
    const f32 = new Float32Array(u8.buffer, u8.byteOffset, u32.length);
    u32[at >> 2] = id;
    u32[(at >> 2) + 1] = distances.length;
    distances.forEach((distance, i) => {
      const hit = (at + 8 + i * HIT_BYTES) >> 2;
      for (let column = 0; column < 7; column++) u32[hit + column] = found[i * 7 + column]!;
      f32[hit + 7] = distance;
    });
    this.#indexer.send();
    this.#metrics.add(this.#counter.searches, 1);
    this.#metrics.histogram('search').record((performance.now() - started) * 1e6);
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

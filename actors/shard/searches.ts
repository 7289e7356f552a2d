/**
 * The searches that a shard was asked for, and those of other shards that it answers when it has none: who has much to do
 * gets help. A search that any thread can do becomes a task on the board; one that needs the thread's own memory waits in a
 * queue of its own.
 */
import { ASK_OWNER, SharedVectors } from '../../kernels/hnsw/shared-vectors.ts';
import { doorbellOf, type Outbox } from '../../runtime/messaging/mailbox.ts';
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { victimsOf } from '../../runtime/scheduling/steal-policy.ts';
import { TaskBoard } from '../../runtime/scheduling/task-board.ts';
import type { Context } from '../context.ts';
import { HIT_BYTES, HITS, hitsWord, SEARCH } from '../messages.ts';
import { ACTOR_STATES, TASKS, vectorsRegion } from '../regions.ts';
import { SEARCH_HEADER_BYTES } from '../shard-messages.ts';
import { mailboxRegion } from '../topology.ts';
import { SEARCHED } from '../trace.ts';
import type { Graphs } from './graphs.ts';
import type { Shard, Visit } from './shard.ts';

/** A SEARCH message, copied. */
interface Search {
  readonly id: number;
  readonly collection: number;
  readonly k: number;
  readonly ef: number;
  readonly query: Float32Array;
  /** Inodes of the files that may be found; none = all. */
  readonly among: Uint32Array;
}

interface WaitingSearch extends Search {
  /** What had been sent to this shard when the search came, and must be taken in before. */
  readonly mark: Int32Array;
}

/** What a search found: HIT_BYTES for each hit, as the message has them. */
interface Answer {
  readonly id: number;
  readonly hits: Uint32Array;
}

/** How soon a full lane is looked at again, milliseconds. */
export const FULL_LANE_MS = 2;

export class Searches {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #self: number;
  readonly #board: TaskBoard;
  readonly #indexer: Outbox;
  /** Of every shard, its own too. */
  readonly #vectors: readonly SharedVectors[];
  readonly #metrics: MetricsBlock;
  readonly #searches: number;
  readonly #stolen: number;
  /** For what was sent before them to be taken in. */
  readonly #waiting: WaitingSearch[] = [];
  /** For a place on the board. */
  readonly #ready: Search[] = [];
  /** For this thread's time, and nobody else's. */
  readonly #own: Search[] = [];
  #isOwnNext = false;
  /** Answers that the indexer's lane had no room for. */
  readonly #unsent: Answer[] = [];
  /** A float32 and its bits. */
  readonly #distance = new Float32Array(1);
  readonly #distanceBits = new Uint32Array(this.#distance.buffer);

  constructor(context: Context, shard: Shard, graphs: Graphs, metrics: MetricsBlock) {
    this.#context = context;
    this.#shard = shard;
    this.#indexer = context.outbox('indexer');
    this.#metrics = metrics;
    this.#searches = metrics.counter('searches');
    this.#stolen = metrics.counter('stolen');
    const { arena, topology, settings } = context;
    const shards = topology.ofKind('shard');
    const bells = shards.map(({ name }) => doorbellOf(arena.region(mailboxRegion(name))));
    this.#self = topology.actor(context.name).index;
    this.#vectors = shards.map(
      ({ name, index }) => new SharedVectors(arena.region(vectorsRegion(name)), graphs.doorOf(index)),
    );
    this.#board = new TaskBoard(arena.region(TASKS), {
      self: this.#self,
      victims: victimsOf(this.#self, shards.length, settings.shardDistances),
      states: shards.map(({ slot }) => new ActorState(arena.region(ACTOR_STATES), slot)),
      ring: (worker) => bells[worker]!.ring(),
      now: context.clock.monotonic,
    });
  }

  /** A SEARCH message. Not answered at once: what other lanes hold was put before the search and must be found by it. */
  take(u8: Uint8Array, u32: Uint32Array, offset: number): void {
    this.#waiting.push({ ...readSearch(u8, u32, offset), mark: this.#context.mailbox.mark() });
  }

  /** Searches whose time has come become tasks, for whoever has time. */
  release(): void {
    const { mailbox } = this.#context;
    let released = 0;
    while (released < this.#waiting.length && mailbox.passed(this.#waiting[released]!.mark)) released++;
    if (released > 0) this.#ready.push(...this.#waiting.splice(0, released));
    this.#postReady();
  }

  /** Does one search; of others only when there is none of its own. False when there is nothing to do. */
  serve(): boolean {
    this.#sendUnsent();
    this.#postReady();
    this.#isOwnNext = !this.#isOwnNext;
    if (this.#isOwnNext && this.#own.length > 0) this.#answer(this.#own.shift()!);
    else if (this.#board.next(this.#own.length === 0)) this.#runTask();
    else if (this.#own.length > 0) this.#answer(this.#own.shift()!);
    else return false;
    return true;
  }

  /** Answers everything that is still this shard's to answer. */
  finish(): void {
    this.release();
    while (this.#board.next(false)) this.#runTask();
    for (const search of [...this.#own.splice(0), ...this.#ready.splice(0)]) this.#answer(search);
    this.#sendUnsent();
  }

  /** How long the thread may sleep when serve() has said false, milliseconds. */
  get sleepMs(): number {
    return this.#unsent.length > 0 ? FULL_LANE_MS : this.#board.sleepMs;
  }

  /** As many as the board has room for. Those that nobody else can do go their own way. */
  #postReady(): void {
    // Read where it is used: it may change while the store is mounted.
    const { steal } = this.#context.settings.config.workers;
    this.#board.stealing = steal;
    let posted = 0;
    let taken = 0;
    for (; taken < this.#ready.length; taken++) {
      const search = this.#ready[taken]!;
      const isForAll = steal && search.among.length === 0 && this.#shard.share(search.collection);
      if (!isForAll) this.#own.push(search);
      else if (this.#post(search)) posted++;
      else break;
    }
    if (taken > 0) this.#ready.splice(0, taken);
    if (posted > 0) this.#board.wake();
  }

  /** False when the board is full. */
  #post({ id, collection, k, ef, query }: Search): boolean {
    const at = this.#board.claim(SEARCH, SEARCH_HEADER_BYTES + query.byteLength);
    if (at < 0) return false;
    const { u8, u32 } = this.#board;
    u32.set([id, collection, k, ef, query.length, 0], at >> 2);
    u8.set(new Uint8Array(query.buffer, query.byteOffset, query.byteLength), at + SEARCH_HEADER_BYTES);
    this.#board.post();
    return true;
  }

  #runTask(): void {
    const board = this.#board;
    const search = readSearch(board.u8, board.u32, board.offset);
    if (board.isOwn) this.#answer(search);
    else if (!this.#answerFor(board.owner, search)) {
      board.giveBack();
      return;
    }
    board.done();
  }

  #answer({ id, collection, k, ef, query, among }: Search): void {
    const started = performance.now();
    const hits: number[] = [];
    const visit: Visit = (record, distance) => {
      const { ino, generation, chunk, byteOffset, byteLength, line, version } = record;
      this.#distance[0] = distance;
      hits.push(ino, generation, chunk, byteOffset, byteLength, line, version, this.#distanceBits[0]!);
    };
    if (among.length === 0) this.#shard.search(collection, query, k, ef, visit);
    else this.#shard.searchAmong(collection, query, k, ef, among, visit);
    this.#context.trace.record(SEARCHED, id, 0, (hits.length * 4) / HIT_BYTES);
    this.#unsent.push({ id, hits: Uint32Array.from(hits) });
    this.#sendUnsent();
    this.#count(started);
  }

  /**
   * A search of another shard, in its memory. False when only that shard can do it, or the answer finds no room: if this
   * thread died before there is some, nobody would ask again.
   */
  #answerFor(owner: number, { id, collection, k, ef, query }: Search): boolean {
    const started = performance.now();
    const vectors = this.#vectors[owner]!;
    const found = vectors.search(collection, query, k, ef);
    if (found === ASK_OWNER || !this.#trySend(owner, id, vectors.hits, found)) return false;
    this.#context.trace.record(SEARCHED, id, 0, found);
    this.#metrics.add(this.#stolen, 1);
    this.#count(started);
    return true;
  }

  #count(started: number): void {
    this.#metrics.add(this.#searches, 1);
    this.#metrics.histogram('search').record((performance.now() - started) * 1e6);
  }

  #sendUnsent(): void {
    while (this.#unsent.length > 0) {
      const { id, hits } = this.#unsent[0]!;
      if (!this.#trySend(this.#self, id, hits, (hits.length * 4) / HIT_BYTES)) return;
      this.#unsent.shift();
    }
  }

  /** False when the indexer's lane is full. It may be one that died: waiting for it would look as if this thread hung. */
  #trySend(shard: number, id: number, hits: Uint32Array, count: number): boolean {
    const words = (count * HIT_BYTES) / 4;
    const at = this.#indexer.claim(HITS, 8 + words * 4);
    if (at < 0) return false;
    const { u32 } = this.#indexer;
    u32[at >> 2] = id;
    u32[(at >> 2) + 1] = hitsWord(count, shard);
    u32.set(hits.length === words ? hits : hits.subarray(0, words), (at + 8) >> 2);
    this.#indexer.send();
    return true;
  }
}

/** A copy of what a SEARCH message, or a task made from one, says. */
function readSearch(u8: Uint8Array, u32: Uint32Array, offset: number): Search {
  const word = offset >> 2;
  const bytes = u8.byteOffset + offset + SEARCH_HEADER_BYTES;
  return {
    id: u32[word]!,
    collection: u32[word + 1]!,
    k: u32[word + 2]!,
    ef: u32[word + 3]!,
    query: new Float32Array(u8.buffer, bytes, u32[word + 4]!).slice(),
    among: new Uint32Array(u8.buffer, bytes + u32[word + 4]! * 4, u32[word + 5]!).slice(),
  };
}

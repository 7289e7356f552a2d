import { assert } from '../../runtime/assert.ts';
import { peekMailbox } from '../../runtime/messaging/mailbox.ts';
import type { EventLoopActor } from '../../runtime/scheduling/actor.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import type { Context } from '../context.ts';
import {
  CHECKPOINT,
  CHECKPOINT_MADE,
  DAMAGED,
  FLUSH,
  FORGET_INODE,
  FORGET_NAME,
  IO_DONE,
  PLACED,
  REBUILD,
  ROUTE_DONE,
  SAVE_SEGMENT,
  SEGMENT_LOADED,
  SEGMENT_SAVED,
  SETTLE,
  SETTLED,
  SHARD_REPLAYED,
  VECTORS_LOADED,
  writeNumber,
  writeWords,
} from '../messages.ts';
import { ACTOR_STATES } from '../regions.ts';
import { holders, Route } from '../route.ts';
import { mailboxRegion } from '../topology.ts';
import { KernelCache } from './kernel-cache.ts';
import { ReplayRequests } from './replay-requests.ts';

const FIRST = 'io-0';
/** What each shard says once, when it has done what it was asked for. */
const GATHERED: ReadonlySet<number> = new Set([SEGMENT_LOADED, VECTORS_LOADED, SEGMENT_SAVED]);

/** A question to io-0 that has not been answered. */
interface Question {
  readonly kind: number;
  /** Messages that had been sent to io-0 with it, modulo 2^32. */
  readonly sent: number;
  readonly answered: (errno: number) => void;
}

interface Gathering {
  /** Lanes of the shards that have not answered. */
  readonly missing: Set<number>;
  readonly values: number[];
  readonly done: (values: number[]) => void;
}

/** What main asks other actors by message, as promises. What dies with a thread is asked again of its successor. */
export class MainRequests implements EventLoopActor {
  readonly #context: Context;
  /** By their tickets, oldest first. Tickets rise in the order of the messages. */
  readonly #questions = new Map<number, Question>();
  /** Lanes of the shards that there is room for, by number. */
  readonly #shards: readonly number[];
  readonly #replays: ReplayRequests;
  readonly #route: Route;
  /** LSN of the segments that are being saved. */
  #savedAsOf = 0;
  readonly #gatherings = new Map<number, Gathering>();
  /** What the kernel is told to forget. */
  readonly kernelCache: KernelCache;
  /** Told of each PLACED. */
  placed: (object: number, errno: number) => void = () => {};
  /** Told of each DAMAGED. */
  damaged: (ino: number, object: number, position: number) => void = () => {};
  /** Told of each ROUTE_DONE. */
  routeDone: (word: number, shard: number) => void = () => {};
  #drain: () => void = () => {};
  #nextTicket = 1;

  constructor(context: Context) {
    this.#context = context;
    this.kernelCache = new KernelCache(context);
    const { senders } = context.topology.actor('main');
    this.#shards = context.topology.ofKind('shard').map(({ name }) => senders.indexOf(name));
    this.#route = new Route(context.arena);
    this.#replays = new ReplayRequests(context, () => this.flush());
  }

  start(drain: () => void): void {
    this.#drain = drain;
  }

  onMessage(
    kind: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    _length: number,
    lane: number,
  ): void {
    const word = offset >> 2;
    if (kind === IO_DONE) this.#answered(u32[word]!, u32[word + 1]!);
    else if (GATHERED.has(kind)) this.#gather(kind, lane, f64[offset >> 3]!);
    else if (kind === FORGET_NAME || kind === FORGET_INODE) this.kernelCache.forget(kind, u8, u32, offset);
    else if (kind === SHARD_REPLAYED) this.#replays.replayed(u32[word]!, u32[word + 1]!);
    else if (kind === PLACED) this.placed(u32[word]!, u32[word + 1]!);
    else if (kind === DAMAGED) this.damaged(u32[word + 2]!, u32[word + 3]!, f64[offset >> 3]!);
    else if (kind === ROUTE_DONE) this.routeDone(u32[word]!, u32[word + 1]!);
    else if (kind === SETTLE) void this.#settle(u32[word]!, u32[word + 1] === 1);
    else assert(false, 'main knows this kind of message');
  }

  stop(): void {}

  /** Makes everything durable; 0 or an errno. */
  flush(): Promise<number> {
    return this.#ask(FLUSH);
  }

  /** Writes a checkpoint; nobody may change the tree meanwhile. 0 or an errno. */
  checkpoint(): Promise<number> {
    return this.#ask(CHECKPOINT);
  }

  /** There is a newer checkpoint on the disk: once this resolves to 0, everybody who asks is told of it. */
  checkpointMade(): Promise<number> {
    return this.#ask(CHECKPOINT_MADE);
  }

  /** Whether somebody reads, or is about to read, the files of the newest checkpoint and the log since. */
  get isReadingStore(): boolean {
    if (this.#replays.isUnderWay || this.#gatherings.has(SEGMENT_LOADED)) return true;
    for (const { kind } of this.#questions.values()) if (kind === REBUILD) return true;
    return false;
  }

  /**
   * Makes the namespace and the slab anew from checkpoint and log; nobody may use them meanwhile: no fuse actor, no
   * indexer, no pool actor runs. 0 or an errno: then the store cannot go on.
   */
  rebuild(): Promise<number> {
    return this.#ask(REBUILD);
  }

  /** Whether every shard had a complete segment for the checkpoint that was loaded. To be called before io-0 starts. */
  async segmentsLoaded(): Promise<boolean> {
    const answers = await this.#fromShards(SEGMENT_LOADED);
    return answers.every((complete) => complete === 1);
  }

  /** When every shard has users' vectors. To be called before io-0 starts; how many there are. */
  async vectorsLoaded(): Promise<number> {
    const answers = await this.#fromShards(VECTORS_LOADED);
    return answers.reduce((sum, vectors) => sum + vectors, 0);
  }

  /** 0, or the errno of a shard that could not write its segment: its files will be indexed again. */
  async saveSegments(lsn: number): Promise<number> {
    const answers = this.#fromShards(SEGMENT_SAVED);
    this.#savedAsOf = lsn;
    for (let index = 0; index < holders(this.#route.word); index++) this.#saveSegment(index);
    return (await answers).find((errno) => errno !== 0) ?? 0;
  }

  /**
   * Brings the successor of a shard, once it is READY, to what its predecessor held; searches wait for it. True when it
   * is there; false when it has died as well: its own successor is to be asked for. May take as long as a mount.
   */
  async replayShard(index: number): Promise<boolean> {
    const isThrough = await this.#replays.replay(index);
    if (!isThrough) return false;
    const lane = this.#shards[index]!;
    // It has all that its predecessor was yet to load, and has told the indexer what is missing.
    this.#gather(SEGMENT_LOADED, lane, 1);
    this.#gather(VECTORS_LOADED, lane, 0);
    if (this.#gatherings.get(SEGMENT_SAVED)?.missing.has(lane)) this.#saveSegment(index);
    return true;
  }

  /** A shard that was added: resolves when it is as its row says, should that have been another's before. */
  async toldAgain(index: number): Promise<void> {
    const { arena, topology } = this.#context;
    const state = new ActorState(arena.region(ACTOR_STATES), topology.actor(`shard-${index}`).slot);
    // False: it has died, and its successor is told in its turn.
    if (state.incarnation > 1) await this.replayShard(index);
  }

  /** Whether shards load, are told what predecessors held, or write segments: by the route of now, all of them. */
  get holdsRoute(): boolean {
    return this.#replays.isUnderWay || this.#gatherings.size > 0;
  }

  /**
   * The thread of io-0 has ended and no other runs yet. What it took out of its mailbox and did not answer is asked again,
   * as new questions; what it did not take is still there, and is not to be done twice.
   */
  repeat(): void {
    // What it has answered may still wait here.
    this.#drain();
    const { received } = this.#lane();
    for (const [ticket, { kind, sent, answered }] of [...this.#questions]) {
      if (((received - sent) | 0) < 0) continue;
      this.#questions.delete(ticket);
      this.#send(kind, answered);
    }
  }

  /** The indexer never has more open than its lane has room for answers to. */
  async #settle(ticket: number, isDurable: boolean): Promise<void> {
    const [errno] = await Promise.all([isDurable ? this.flush() : 0, this.kernelCache.settled()]);
    writeWords(this.#context.outbox('indexer'), SETTLED, ticket, errno);
  }

  #saveSegment(index: number): void {
    writeNumber(this.#context.outbox(`shard-${index}`), SAVE_SEGMENT, this.#savedAsOf);
  }

  #ask(kind: number): Promise<number> {
    return new Promise((answered) => this.#send(kind, answered));
  }

  #send(kind: number, answered: (errno: number) => void): void {
    const ticket = this.#nextTicket++;
    writeWords(this.#context.outbox(FIRST), kind, ticket);
    this.#questions.set(ticket, { kind, sent: this.#lane().sent, answered });
  }

  #answered(ticket: number, errno: number): void {
    this.#questions.get(ticket)?.answered(errno);
    this.#questions.delete(ticket);
  }

  /** From here to io-0. */
  #lane(): { readonly sent: number; readonly received: number } {
    const { arena, topology } = this.#context;
    const lane = topology.actor(FIRST).senders.indexOf('main');
    return peekMailbox(arena.region(mailboxRegion(FIRST)))[lane]!;
  }

  #fromShards(kind: number): Promise<number[]> {
    return new Promise((done) => {
      // The others have no segment, or hold nothing that belongs into one.
      const missing = new Set(this.#shards.slice(0, holders(this.#route.word)));
      this.#gatherings.set(kind, { missing, values: [], done });
    });
  }

  #gather(kind: number, lane: number, value: number): void {
    const gathering = this.#gatherings.get(kind);
    // A second answer: of a shard that was asked again after a restart, and had been asked in time.
    if (!gathering?.missing.delete(lane)) return;
    gathering.values.push(value);
    if (gathering.missing.size > 0) return;
    this.#gatherings.delete(kind);
    gathering.done(gathering.values);
  }
}

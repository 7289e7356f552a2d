/**
 * The graphs that shards share. A graph lies in WASM memory of its own, which is not part of the arena: its owner hands it to the
 * other shards' threads, which attach to it, search it in the owner's place, and help to build it when they have nothing to do.
 *
 * Memory goes from thread to thread through a BroadcastChannel, which needs no event loop: a thread takes in what has come when it
 * looks, and is rung for it. Every offer is for one incarnation of one shard, and has a block of the graph with it that nobody else has:
 * a thread that begins says so (hello), the owner frees what its predecessor had locked, and only then offers anew. So a block is
 * never two threads' at a time.
 */
import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { SLOTS_MAX } from '../../kernels/assembly/layout.ts';
import type { GraphAccess } from '../../kernels/hnsw/graph-access.ts';
import { type GraphMemory, viewsOfGraph } from '../../kernels/hnsw/graph-memory.ts';
import { GraphReader, hasBatch } from '../../kernels/hnsw/graph-reader.ts';
import type { GraphDoor } from '../../kernels/hnsw/shared-vectors.ts';
import { doorbellOf } from '../../runtime/messaging/mailbox.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { victimsOf } from '../../runtime/scheduling/steal-policy.ts';
import type { Context } from '../context.ts';
import { GraphDoors } from '../graph-doors.ts';
import { ACTOR_STATES, GRAPH_DOORS } from '../regions.ts';
import { mailboxRegion } from '../topology.ts';

/** What goes through the channel. `memory` makes it an offer, `hello` a greeting; with neither the graph is withdrawn. */
interface News {
  readonly from: number;
  readonly incarnation: number;
  readonly hello?: true;
  readonly number?: number;
  readonly memory?: WebAssembly.Memory;
  /** Of an offer. */
  readonly to?: number;
  readonly toIncarnation?: number;
}

interface OwnGraph {
  readonly memory: WebAssembly.Memory;
  readonly reclaim: (slot: number) => void;
  /** By shard: the incarnation that it was offered to; 0 = to none. */
  readonly attached: Int32Array;
}

interface OtherGraph {
  readonly graph: GraphMemory;
  readonly incarnation: number;
  /** Once it was needed. */
  reader: GraphReader | undefined;
}

/** Numbers of graphs differ from one incarnation to the next. */
const NUMBERS = 2 ** 20;
const INCARNATIONS = 2 ** 10;

export class Graphs implements GraphAccess {
  /** Whether searches put what they find in order by exact distances. */
  readonly isReranked: boolean;
  readonly #self: number;
  readonly #incarnation: number;
  readonly #doors: GraphDoors;
  readonly #channel: BroadcastChannel;
  /** What came while this thread was in an event loop. */
  readonly #received: News[] = [];
  readonly #states: readonly ActorState[];
  readonly #bells: readonly { ring(): void; readonly isAsleep: boolean }[];
  readonly #nearestFirst: readonly number[];
  readonly #own = new Map<number, OwnGraph>();
  /** Of each other shard, by number. */
  readonly #others: readonly Map<number, OtherGraph>[];
  #published = 0;

  constructor(context: Context) {
    const { arena, topology, settings } = context;
    const shards = topology.ofKind('shard');
    this.#self = topology.actor(context.name).index;
    this.#incarnation = settings.incarnation;
    this.isReranked = settings.config.vectors.rerank !== 'off';
    this.#doors = new GraphDoors(arena.region(GRAPH_DOORS), shards.length, this.#self);
    this.#states = shards.map(({ slot }) => new ActorState(arena.region(ACTOR_STATES), slot));
    this.#bells = shards.map(({ name }) => doorbellOf(arena.region(mailboxRegion(name))));
    this.#nearestFirst = victimsOf(this.#self, shards.length, settings.shardDistances);
    this.#others = shards.map(() => new Map());
    this.#channel = new BroadcastChannel(this.#doors.channelName);
    this.#channel.onmessage = (event) => {
      this.#received.push((event as { data: News }).data);
    };
    this.#channel.unref();
    this.#tell({ hello: true });
    for (const other of this.#nearestFirst) this.#bells[other]!.ring();
  }

  end(): void {
    this.#channel.close();
  }

  /** The way into the graphs of shard `owner`. */
  doorOf(owner: number): GraphDoor {
    return {
      enter: (number) => this.#enter(owner, number),
      leave: () => this.#doors.leave(owner),
    };
  }

  /** Takes in what other threads have said. */
  listen(): void {
    for (;;) {
      const news = this.#received.shift() ?? this.#next();
      if (news === undefined) return;
      this.#hear(news);
    }
  }

  #next(): News | undefined {
    // A channel will do as well as a port (worker_threads.receiveMessageOnPort); its type does not say so.
    const channel = this.#channel as unknown as MessagePort;
    return receiveMessageOnPort(channel)?.message as News | undefined;
  }

  /** What threads that ended have left in this shard's graphs is made proper. */
  lookForEnded(): void {
    if (this.#own.size === 0) return;
    for (const other of this.#nearestFirst) this.#reclaim(other);
  }

  /** Inserts up to `budget` vectors into another shard's graph, the nearest that wants help; returns how many. */
  help(budget: number): number {
    for (const owner of this.#nearestFirst) {
      for (const other of this.#others[owner]!.values()) {
        if (!hasBatch(other.graph) || !this.#doors.enter(owner)) continue;
        const done = this.#readerOf(other).exports.insertBatch(budget);
        this.#doors.leave(owner);
        // An owner that has come to the end of a batch waits for this.
        if (!hasBatch(other.graph) && this.#bells[owner]!.isAsleep) this.#bells[owner]!.ring();
        if (done > 0) return done;
      }
    }
    return 0;
  }

  publish(graph: GraphMemory, reclaim: (slot: number) => void): number {
    const number = (this.#incarnation % INCARNATIONS) * NUMBERS + (++this.#published % NUMBERS);
    const { memory } = graph;
    this.#own.set(number, { memory, reclaim, attached: new Int32Array(this.#states.length) });
    for (const other of this.#nearestFirst) this.#offer(other, number);
    return number;
  }

  withdraw(number: number): void {
    if (this.#own.delete(number)) this.#tell({ number });
  }

  close(): boolean {
    this.#doors.close();
    this.lookForEnded();
    return this.#nearestFirst.every((other) => !this.#doors.isInside(other) || this.#isAbsent(other));
  }

  open(): void {
    this.#doors.open();
  }

  mark(): Int32Array {
    return this.#doors.mark();
  }

  passed(mark: Int32Array): boolean {
    this.lookForEnded();
    return this.#nearestFirst.every((other) => this.#doors.hasLeft(mark, other) || this.#isAbsent(other));
  }

  call(): void {
    for (const other of this.#nearestFirst) if (this.#bells[other]!.isAsleep) this.#bells[other]!.ring();
  }

  /** Nobody runs there, and what ran there has ended. */
  #isAbsent(other: number): boolean {
    return this.#states[other]!.isReserved;
  }

  #enter(owner: number, number: number): GraphReader | undefined {
    if (!this.#others[owner]!.has(number)) this.listen();
    const other = this.#others[owner]!.get(number);
    return other !== undefined && this.#doors.enter(owner) ? this.#readerOf(other) : undefined;
  }

  #readerOf(other: OtherGraph): GraphReader {
    other.reader ??= GraphReader.attach(other.graph, blockOf(this.#self), this.isReranked);
    return other.reader;
  }

  #hear(news: News): void {
    const { from, number, memory } = news;
    if (news.hello) this.#greeted(from);
    else if (memory === undefined) this.#others[from]!.delete(number!);
    else if (news.to === this.#self && news.toIncarnation === this.#incarnation) {
      const graphs = this.#others[from]!;
      if (!graphs.has(number!))
        graphs.set(number!, {
          graph: viewsOfGraph(memory),
          incarnation: news.incarnation,
          reader: undefined,
        });
    }
  }

  /** By a thread that begins. Graphs of its predecessor are nobody's any more. */
  #greeted(other: number): void {
    const graphs = this.#others[other]!;
    const { incarnation } = this.#states[other]!;
    for (const [number, graph] of graphs) if (graph.incarnation !== incarnation) graphs.delete(number);
    this.#reclaim(other);
    for (const number of this.#own.keys()) this.#offer(other, number);
  }

  /** Takes the blocks back that an earlier thread of that shard had, or its last one. */
  #reclaim(other: number): void {
    const state = this.#states[other]!;
    const { incarnation } = state;
    const isAbsent = state.isReserved;
    for (const graph of this.#own.values()) {
      const had = graph.attached[other]!;
      if (had === 0 || (had === incarnation && !isAbsent)) continue;
      graph.reclaim(blockOf(other));
      graph.attached[other] = 0;
    }
  }

  #offer(other: number, number: number): void {
    const state = this.#states[other]!;
    const graph = this.#own.get(number)!;
    const { incarnation } = state;
    if (blockOf(other) >= SLOTS_MAX || state.isReserved || incarnation === 0) return;
    // Once more to one that may not have been listening yet.
    graph.attached[other] = incarnation;
    this.#tell({ number, memory: graph.memory, to: other, toIncarnation: incarnation });
    this.#bells[other]!.ring();
  }

  #tell(news: Omit<News, 'from' | 'incarnation'>): void {
    this.#channel.postMessage({ ...news, from: this.#self, incarnation: this.#incarnation } satisfies News);
  }
}

/** The block that a shard's thread has in the graphs of others; block 0 is the owner's. */
function blockOf(shard: number): number {
  return shard + 1;
}

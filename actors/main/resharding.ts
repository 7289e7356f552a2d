import { ActorState, READY } from '../../runtime/scheduling/actor-state.ts';
import type { Context } from '../context.ts';
import { ROUTE_CHANGED, writeWords } from '../messages.ts';
import { isPresent } from '../presence.ts';
import { ACTOR_STATES } from '../regions.ts';
import { nextRoute, Route, shardsAfter } from '../route.ts';

/** How often is looked whether a shard that was told has died, milliseconds. */
const LOOK_MS = 50;

export interface ReshardingPorts {
  /** Starts the shard and what is there of it; rejects when that cannot be done. It holds nothing and is empty then. */
  start(index: number): Promise<void>;
  /** Ends a shard that holds nothing. */
  retire(index: number): Promise<void>;
  /** Whether all shards go by the route of now: it may not change. */
  isHeld(): boolean;
}

interface Asked {
  readonly word: number;
  /** Shards that have not said that it is done, and which incarnation was told. */
  readonly missing: Map<number, number>;
  readonly done: () => void;
}

/**
 * Divides the files among another number of shards while they are searched and change (actors/route.ts). One move after
 * another; the number asked for last counts. Lives in main.
 */
export class Resharding {
  readonly #context: Context;
  readonly #ports: ReshardingPorts;
  readonly #route: Route;
  #wanted: number;
  /** The move that is under way, until nothing is left to do. */
  #running: Promise<void> | undefined;
  /** Shards are being started or retired. */
  #staffing: Promise<void> = Promise.resolve();
  #asked: Asked | undefined;
  /** Who waits for the shards that a move takes. */
  readonly #begun: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(context: Context, ports: ReshardingPorts) {
    this.#context = context;
    this.#ports = ports;
    this.#route = new Route(context.arena);
    this.#wanted = shardsAfter(this.#route.word);
  }

  /** How many there are to be. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Resolves when there are as many shards, or as many as were asked for later. Rejects when some cannot be started. */
  to(shards: number): Promise<void> {
    this.#wanted = shards;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** As {@link to}, but resolves when the shards that it takes run, or another move has to be completed before. */
  async begin(shards: number): Promise<void> {
    const isFirst = this.#running === undefined;
    const moved = this.to(shards);
    if (!isFirst) return;
    // Whatever goes wrong later is in the log.
    moved.catch(() => {});
    await Promise.race([moved, new Promise<void>((resolve) => this.#begun.push(resolve))]);
  }

  /** A ROUTE_DONE. */
  done(word: number, shard: number): void {
    const asked = this.#asked;
    if (asked?.word !== word) return;
    asked.missing.delete(shard);
    if (asked.missing.size === 0) asked.done();
  }

  /** Nothing is moved any more: the holders of now have everything. Resolves when no shard is being started or retired. */
  async stop(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#timer);
    await this.#staffing.catch(() => {});
  }

  async #run(): Promise<void> {
    const { logger } = this.#context;
    while (!this.#isOver && this.#wanted !== shardsAfter(this.#route.word)) {
      const [from, to] = [shardsAfter(this.#route.word), this.#wanted];
      const started = performance.now();
      try {
        await this.#move(from, to);
      } catch (error) {
        if (this.#wanted === to) this.#wanted = from;
        logger.error({ err: error, from, to }, 'the number of shards could not be changed');
        throw error;
      }
      const milliseconds = Math.round(performance.now() - started);
      logger.info({ from, to, milliseconds }, 'the files are divided among another number of shards');
    }
  }

  async #move(from: number, to: number): Promise<void> {
    const there = numbers(0, Math.max(from, to));
    await this.#staffed(() => this.#start(from, to));
    for (const resolve of this.#begun.splice(0)) resolve();
    // What a retired shard left in its mailbox, and what nobody holds, goes before it could pass for something new.
    await this.#advance(there, to);
    await this.#advance(there, to);
    await this.#advance(numbers(0, to), to);
    await this.#staffed(() => this.#retire(to, from));
  }

  async #staffed(change: () => Promise<void>): Promise<void> {
    if (this.#isOver) return;
    this.#staffing = change();
    await this.#staffing;
  }

  async #start(from: number, to: number): Promise<void> {
    try {
      for (const index of numbers(from, to)) await this.#ports.start(index);
    } catch (error) {
      await this.#retire(from, to);
      throw error;
    }
  }

  /** The last first. */
  async #retire(from: number, to: number): Promise<void> {
    for (const index of numbers(from, to).reverse())
      if (this.#isThere(index)) await this.#ports.retire(index);
  }

  /** Changes the route, on the way to so many shards, when all of these have done what the one of now asks for. */
  #advance(shards: readonly number[], to: number): Promise<void> {
    const { word } = this.#route;
    return new Promise((resolve) => {
      const done = (): void => {
        if (this.#isOver || this.#ports.isHeld() || this.#asked?.word !== word) return;
        clearInterval(this.#timer);
        this.#asked = undefined;
        this.#route.word = nextRoute(word, to);
        resolve();
      };
      this.#asked = { word, missing: new Map(), done };
      for (const shard of shards) this.#tell(shard);
      this.#timer = setInterval(() => this.#look(), LOOK_MS);
    });
  }

  /** Tells successors what their predecessors may not have lived to do. */
  #look(): void {
    const { missing, done } = this.#asked!;
    for (const [shard, incarnation] of missing) {
      const state = this.#stateOf(shard);
      if (state.incarnation !== incarnation && state.get() === READY) this.#tell(shard);
    }
    if (missing.size === 0) done();
  }

  #tell(shard: number): void {
    const { word, missing } = this.#asked!;
    // Read before it is told: whoever takes it is this incarnation or a later one.
    missing.set(shard, this.#stateOf(shard).incarnation);
    writeWords(this.#context.outbox(`shard-${shard}`), ROUTE_CHANGED, word);
  }

  #isThere(index: number): boolean {
    return isPresent(this.#context.arena, this.#context.topology.actor(`shard-${index}`));
  }

  #stateOf(index: number): ActorState {
    const { arena, topology } = this.#context;
    return new ActorState(arena.region(ACTOR_STATES), topology.actor(`shard-${index}`).slot);
  }
}

/** The whole numbers from `first` to before `end`. */
function numbers(first: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}

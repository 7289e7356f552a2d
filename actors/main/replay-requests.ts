import { ActorState, READY } from '../../runtime/scheduling/actor-state.ts';
import type { Context } from '../context.ts';
import { REPLAY_SHARD, writeWords } from '../messages.ts';
import { ACTOR_STATES } from '../regions.ts';

/** How often is looked whether io-0, or the shard, has died meanwhile, milliseconds. */
const LOOK_MS = 100;

interface Open {
  readonly shard: ActorState;
  readonly incarnation: number;
  /** Of io-0 when it was asked. */
  asked: number;
  readonly done: (isThrough: boolean) => void;
}

/** Brings the successors of shards up to date, through the deaths of those who take part in it. Lives in main. */
export class ReplayRequests {
  readonly #context: Context;
  readonly #flush: () => Promise<number>;
  readonly #open = new Map<number, Open>();
  readonly #first: ActorState;
  #timer: NodeJS.Timeout | undefined;
  /** Calls of {@link replay} that have not settled. */
  #underWay = 0;

  /** `flush` makes everything in the journal durable. */
  constructor(context: Context, flush: () => Promise<number>) {
    this.#context = context;
    this.#flush = flush;
    this.#first = this.#stateOf('io-0');
  }

  /**
   * To be called once the successor is READY. True when it has taken everything in; false when it has died as well, and
   * its own successor is to be asked for.
   */
  async replay(index: number): Promise<boolean> {
    this.#underWay++;
    try {
      return await this.#replay(index);
    } finally {
      this.#underWay--;
    }
  }

  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  async #replay(index: number): Promise<boolean> {
    const shard = this.#stateOf(`shard-${index}`);
    const { incarnation } = shard;
    // Where the store has failed, what is in the log is all there is.
    await this.#flush();
    if (shard.incarnation !== incarnation) return false;
    return new Promise((resolve) => {
      this.#open.get(index)?.done(false);
      const open = { shard, incarnation, asked: this.#first.incarnation, done: resolve };
      this.#open.set(index, open);
      this.#ask(index, open);
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    });
  }

  /** A SHARD_REPLAYED. */
  replayed(index: number, incarnation: number): void {
    const open = this.#open.get(index);
    if (open?.incarnation === incarnation) this.#close(index, open, true);
  }

  #look(): void {
    for (const [index, open] of this.#open) {
      if (open.shard.incarnation !== open.incarnation) this.#close(index, open, false);
      else if (this.#first.incarnation !== open.asked && this.#first.get() === READY) this.#ask(index, open);
    }
  }

  #ask(index: number, open: Open): void {
    open.asked = this.#first.incarnation;
    writeWords(this.#context.outbox('io-0'), REPLAY_SHARD, index, open.incarnation);
  }

  #close(index: number, { done }: Open, isThrough: boolean): void {
    this.#open.delete(index);
    done(isThrough);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #stateOf(name: string): ActorState {
    const { arena, topology } = this.#context;
    return new ActorState(arena.region(ACTOR_STATES), topology.actor(name).slot);
  }
}

import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { TapReader } from '../../runtime/scheduling/tap.ts';
import type { Context } from '../context.ts';
import { type DescribedMessage, describeMessage, kindName } from '../describe-message.ts';
import { ACTOR_STATES, TAPS } from '../regions.ts';
import type { ActorPlan } from '../topology.ts';
import type { Call } from './control-socket.ts';
import { pause } from './threads.ts';

const LOOK_MS = 25;
/** Messages in one answer: what is more is read with the next look. */
const BATCH = 256;

export interface TailedMessage extends DescribedMessage {
  /** ISO 8601. */
  readonly at: string;
  readonly from: string;
}

export interface TailBatch {
  readonly messages: readonly TailedMessage[];
  /** Messages taken so far that this console did not get to see: overwritten, or not read in time. */
  readonly lost: number;
}

export interface TailOptions {
  /** Names of kinds; empty = all. */
  readonly kinds: readonly string[];
  /** The tail ends after this many messages; Infinity = when the console leaves. */
  readonly count: number;
}

/** Opens the taps of actors for as long as somebody watches them. */
export class Tails {
  readonly #context: Context;
  readonly #watchers = new Map<string, number>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Sends what the actor takes as progress, until the console leaves or has seen enough. */
  async follow(actor: ActorPlan, { kinds, count }: TailOptions, call: Call): Promise<TailBatch> {
    const reader = new TapReader(this.#context.arena.region(TAPS), actor.slot);
    let seen = 0;
    let unsent = 0;
    this.#watch(actor, 1);
    try {
      while (!call.signal.aborted && seen < count) {
        const messages = this.#read(reader, actor, kinds, Math.min(BATCH, count - seen));
        if (messages.length === 0) {
          await pause(LOOK_MS);
          continue;
        }
        const lost = reader.lost + unsent;
        if (call.progress({ messages, lost } satisfies TailBatch)) seen += messages.length;
        else unsent += messages.length;
        // Others want to be answered between two batches.
        await new Promise(setImmediate);
      }
    } finally {
      this.#watch(actor, -1);
    }
    return { messages: [], lost: reader.lost + unsent };
  }

  #read(reader: TapReader, actor: ActorPlan, kinds: readonly string[], most: number): TailedMessage[] {
    const messages: TailedMessage[] = [];
    for (let looked = 0; looked < BATCH && messages.length < most; looked++) {
      const message = reader.next();
      if (message === undefined) break;
      const { kind, lane, length, bytes, at } = message;
      if (kinds.length > 0 && !kinds.includes(kindName(kind))) continue;
      const from = actor.senders[lane] ?? '?';
      messages.push({ at: new Date(at / 1000).toISOString(), from, ...describeMessage(kind, bytes, length) });
    }
    return messages;
  }

  #watch({ name, slot }: ActorPlan, change: 1 | -1): void {
    const watchers = (this.#watchers.get(name) ?? 0) + change;
    this.#watchers.set(name, watchers);
    new ActorState(this.#context.arena.region(ACTOR_STATES), slot).tapped = watchers > 0;
  }
}

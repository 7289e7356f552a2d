import { type Remote, wrap } from 'comlink';
import { ActorState, DRAINING, READY } from '../../runtime/scheduling/actor-state.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { ActorFacts, ActorRemote } from '../actor-remote.ts';
import type { Context } from '../context.ts';
import { ACTOR_STATES } from '../regions.ts';
import type { ActorPlan } from '../topology.ts';
import { LaneEndpoint } from './lane-endpoint.ts';

/** An actor answers between two messages; one that has not by then is busy with something long, or hangs. */
const ANSWER_MS = 2000;

interface Line {
  readonly endpoint: LaneEndpoint;
  readonly remote: Remote<ActorRemote>;
}

/** Main's way to call every other actor. A call ends: with its answer, or with a sentence that says why there is none. */
export class Remotes {
  readonly #context: Context;
  readonly #lines = new Map<string, Line>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** For main's run loop: an answer that came on the lane of one of its senders. */
  readonly answered = (lane: number, text: string): void => {
    const name = this.#context.topology.actor('main').senders[lane];
    if (name !== undefined) this.#lines.get(name)?.endpoint.answered(text);
  };

  /** @throws {UserError} the actor is gone, or does not answer. */
  async call<T>(actor: ActorPlan, ask: (remote: Remote<ActorRemote>) => Promise<T>): Promise<T> {
    const state = new ActorState(this.#context.arena.region(ACTOR_STATES), actor.slot);
    if (state.get() !== READY && state.get() !== DRAINING) {
      throw new UserError(`${actor.name} cannot be asked: it is ${state.label}`);
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const text = `${actor.name} (${state.label}) did not answer within ${ANSWER_MS / 1000} s: it is busy, hangs, or was restarted`;
      timer = setTimeout(() => reject(new UserError(text)), ANSWER_MS);
    });
    try {
      return await Promise.race([ask(this.#line(actor.name).remote), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  inspect(actor: ActorPlan): Promise<ActorFacts> {
    if (actor.kind === 'main') return Promise.resolve(this.#context.remote.inspect());
    return this.call(actor, (remote) => remote.inspect() as Promise<ActorFacts>);
  }

  async setLogLevel(actor: ActorPlan, level: string): Promise<string> {
    if (actor.kind === 'main') return this.#context.remote.setLogLevel(level);
    return this.call(actor, (remote) => remote.setLogLevel(level));
  }

  #line(name: string): Line {
    let line = this.#lines.get(name);
    if (!line) {
      const endpoint = new LaneEndpoint(this.#context.outbox(name));
      line = { endpoint, remote: wrap<ActorRemote>(endpoint) };
      this.#lines.set(name, line);
    }
    return line;
  }
}

import { doorbellOf } from '../../runtime/messaging/mailbox.ts';
import { guess } from '../../runtime/nearest-name.ts';
import { ActorState, DRAINING, READY } from '../../runtime/scheduling/actor-state.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import { presentActors } from '../presence.ts';
import { ACTOR_STATES } from '../regions.ts';
import { type ActorPlan, mailboxRegion } from '../topology.ts';
import { gateName } from './console-views.ts';
import type { Remotes } from './remotes.ts';
import type { Fault, SupervisorPort } from './supervisor-port.ts';
import { pause } from './threads.ts';

/** How long a step may take before its outcome is told all the same: nothing may come to be taken. */
const STEP_MS = 250;
const LOOK_MS = 5;

/** What the console tells actors to do. Names come from outside; each is checked. */
export class Orders {
  readonly #context: Context;
  readonly #remotes: Remotes;
  readonly #supervisor: SupervisorPort;

  constructor(context: Context, remotes: Remotes, supervisor: SupervisorPort) {
    this.#context = context;
    this.#remotes = remotes;
    this.#supervisor = supervisor;
  }

  /** @throws {UserError} there is none of that name; the nearest is named. */
  actor(name: string): ActorPlan {
    const present = presentActors(this.#context);
    const actor = present.find((known) => known.name === name);
    if (actor) return actor;
    const names = present.map((known) => known.name);
    throw new UserError(`there is no actor "${name}"; ${guess(name, names)}there are ${names.join(', ')}`);
  }

  /** Each actor is told by itself: one that does not answer is named, and the others have changed. */
  log(level: string, actor?: string): Promise<unknown[]> {
    const actors = actor === undefined ? presentActors(this.#context) : [this.actor(actor)];
    return Promise.all(
      actors.map(async (told) => {
        try {
          const was = await this.#remotes.setLogLevel(told, level);
          return { actor: told.name, level, was };
        } catch (error) {
          if (actor !== undefined) throw error;
          return { actor: told.name, error: (error as Error).message };
        }
      }),
    );
  }

  /** Opens or closes a gate; the answer of the actor shows that it has seen it. */
  async gate(name: string, gate: number): Promise<{ actor: string; gate: string }> {
    const { actor, state } = this.#running(name);
    this.#order(actor, () => {
      state.gate = gate;
    });
    await this.#remotes.inspect(actor);
    return { actor: name, gate: gateName(state.gate) };
  }

  /** Lets an actor take `count` messages (a fuse actor: requests), and waits a moment for it. */
  async step(name: string, count: number): Promise<{ actor: string; taken: number; gate: string }> {
    const { actor, state } = this.#running(name);
    this.#order(actor, () => {
      state.gate = count;
    });
    const deadline = performance.now() + STEP_MS;
    while (state.gate > 0 && performance.now() < deadline) {
      await pause(LOOK_MS);
    }
    return { actor: name, taken: count - Math.max(0, state.gate), gate: gateName(state.gate) };
  }

  async restart(name: string): Promise<{ actor: string; incarnation: number }> {
    const actor = this.#replaceable(name);
    await this.#supervisor.restart(name);
    return { actor: name, incarnation: this.#state(actor).incarnation };
  }

  kill(name: string, how: Fault | 'end'): { actor: string; killed: string } {
    this.#replaceable(name);
    if (how === 'end') this.#supervisor.end(name);
    else this.#supervisor.drill(name, how);
    return { actor: name, killed: how };
  }

  #state({ slot }: ActorPlan): ActorState {
    return new ActorState(this.#context.arena.region(ACTOR_STATES), slot);
  }

  /** Changes a word that the actor looks at when its doorbell rings. */
  #order({ name }: ActorPlan, change: () => void): void {
    change();
    doorbellOf(this.#context.arena.region(mailboxRegion(name))).ring();
  }

  #replaceable(name: string): ActorPlan {
    const actor = this.actor(name);
    if (actor.kind === 'main') throw new UserError('main is what answers here; "vexfs umount" ends it');
    return actor;
  }

  #running(name: string): { actor: ActorPlan; state: ActorState } {
    const actor = this.#replaceable(name);
    const state = this.#state(actor);
    if (state.get() !== READY && state.get() !== DRAINING) {
      throw new UserError(`${name} takes no messages now: it is ${state.label}`);
    }
    return { actor, state };
  }
}

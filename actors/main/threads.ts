import { Worker } from 'node:worker_threads';
import type { Logger } from '../../runtime/log.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import { STOP } from '../../runtime/scheduling/actor.ts';
import { ActorState, FAILED, READY, STOPPED } from '../../runtime/scheduling/actor-state.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context, ThreadData } from '../context.ts';
import { ACTOR_STATES } from '../regions.ts';
import type { ActorPlan } from '../topology.ts';

/** An actor that is not ready by then is stuck: recovery of a large store reports ready only when it is done. */
const START_TIMEOUT_MS = 600_000;
const STOP_TIMEOUT_MS = 60_000;

/** Starts the worker threads and stops them in an orderly way. Lives in the main actor. */
export class Threads {
  readonly #workers = new Map<string, Worker>();
  readonly #arena: Arena;
  readonly #logger: Logger;
  readonly #onFailure: (actor: string, error: Error) => void;
  readonly #failures = new Map<string, Error>();

  constructor(arena: Arena, logger: Logger, onFailure: (actor: string, error: Error) => void) {
    this.#arena = arena;
    this.#logger = logger;
    this.#onFailure = onFailure;
  }

  stateOf(actor: ActorPlan): ActorState {
    return new ActorState(this.#arena.region(ACTOR_STATES), actor.slot);
  }

  start(actor: ActorPlan, data: ThreadData): Worker {
    const worker = new Worker(new URL('../thread.js', import.meta.url), {
      workerData: data,
      name: actor.name,
    });
    this.#workers.set(actor.name, worker);
    worker.on('error', (error) => {
      this.#failures.set(actor.name, error);
      this.stateOf(actor).set(FAILED);
      this.#logger.fatal({ err: error, failed: actor.name }, 'an actor failed');
      this.#onFailure(actor.name, error);
    });
    return worker;
  }

  async ready(actor: ActorPlan): Promise<void> {
    const state = await this.stateOf(actor).reached(READY, START_TIMEOUT_MS);
    if (state === READY) return;
    const cause = this.#failures.get(actor.name)?.message;
    throw new UserError(`actor ${actor.name} did not start${cause ? `: ${cause}` : ''}`);
  }

  /** Asks the actors to stop and waits for them; one that does not is ended, which the log says. */
  async stop(context: Context, actors: readonly ActorPlan[]): Promise<void> {
    const running = actors.filter(({ name }) => this.#workers.has(name));
    for (const { name } of running) {
      const outbox = context.outbox(name);
      outbox.claimOrWait(STOP, 0);
      outbox.send();
    }
    await Promise.all(
      running.map(async (actor) => {
        const state = await this.stateOf(actor).reached(STOPPED, STOP_TIMEOUT_MS);
        if (state < STOPPED) this.#logger.error({ actor: actor.name }, 'the actor did not stop in time');
        await this.#workers.get(actor.name)?.terminate();
        this.#workers.delete(actor.name);
      }),
    );
  }

  /** For a start that failed half-way. */
  async terminateAll(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.terminate()));
    this.#workers.clear();
  }
}

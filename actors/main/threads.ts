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

/** An actor ended that nobody had asked to, or did not do what it was asked. */
export class ActorFailure extends UserError {
  override name = 'ActorFailure';
}

/** Starts the worker threads, watches over them, and ends them. Lives in the main actor. */
export class Threads {
  /** Rejects with an {@link ActorFailure} when the first actor fails; never resolves. */
  readonly failure: Promise<never>;
  readonly #workers = new Map<string, Worker>();
  readonly #arena: Arena;
  readonly #logger: Logger;
  /** Actors whose threads are being ended from here. */
  readonly #ended = new Set<string>();
  #reportFailure: (failure: ActorFailure) => void = () => {};

  constructor(arena: Arena, logger: Logger) {
    this.#arena = arena;
    this.#logger = logger;
    this.failure = new Promise((_, reject) => {
      this.#reportFailure = reject;
    });
    // Whoever waits for something hears of it; while nobody does, it is not unhandled.
    this.failure.catch(() => {});
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
    worker.on('error', (error) => this.failed(actor, error));
    worker.on('exit', (code) => {
      const isExpected = this.#ended.has(actor.name) || this.stateOf(actor).get() >= STOPPED;
      if (!isExpected) this.failed(actor, new Error(`its thread ended with code ${code}`));
    });
    return worker;
  }

  /** For errors of actors; also of the main actor, whose loop is not a thread of its own. */
  failed(actor: ActorPlan, error: Error): void {
    this.stateOf(actor).set(FAILED);
    this.#logger.fatal({ err: error, failed: actor.name }, 'an actor failed');
    this.#reportFailure(new ActorFailure(`actor ${actor.name} failed: ${error.message}`));
  }

  /** Resolves when the actor is ready. Rejects when any actor fails. */
  async ready(actor: ActorPlan): Promise<void> {
    await this.#reached(actor, READY, START_TIMEOUT_MS, 'did not start in time');
  }

  /** Resolves when the actor has stopped, for whatever reason but a failure. */
  async stopped(actor: ActorPlan): Promise<void> {
    await this.#reached(actor, STOPPED, Number.MAX_SAFE_INTEGER, 'did not stop');
  }

  /**
   * Asks the actors to stop, waits until they have and ends their threads. Rejects when one fails, or has not stopped in
   * time: what it was doing is then unfinished.
   */
  async stop(context: Context, actors: readonly ActorPlan[]): Promise<void> {
    for (const { name } of actors) {
      const outbox = context.outbox(name);
      outbox.claimOrWait(STOP, 0);
      outbox.send();
    }
    const stopped = actors.map((actor) =>
      this.#reached(actor, STOPPED, STOP_TIMEOUT_MS, 'did not stop in time'),
    );
    await Promise.all(stopped);
    await this.terminate(actors);
  }

  /** Ends threads wherever they are. Afterwards they touch neither shared memory nor descriptors. */
  async terminate(actors: readonly ActorPlan[]): Promise<void> {
    await Promise.all(
      actors.map(async ({ name }) => {
        this.#ended.add(name);
        await this.#workers.get(name)?.terminate();
        this.#workers.delete(name);
      }),
    );
  }

  async #reached(actor: ActorPlan, state: number, timeoutMs: number, complaint: string): Promise<void> {
    const reached = await Promise.race([this.stateOf(actor).reached(state, timeoutMs), this.failure]);
    // The thread has said that it failed; why, it says next.
    if (reached === FAILED) await this.failure;
    if (reached < state) throw new ActorFailure(`actor ${actor.name} ${complaint}`);
  }
}

import { getHeapStatistics } from 'node:v8';
import { type Logger, levelOf } from '../runtime/log.ts';
import type { ActorState } from '../runtime/scheduling/actor-state.ts';

/** What only the actor's own thread knows: of every actor its heap and log level, and what its kind has to tell. */
export interface ActorFacts {
  readonly heapUsed: number;
  readonly heapLimit: number;
  readonly logLevel: string;
  /** Turns of the run loop when it answered. */
  readonly turns: number;
  readonly [fact: string]: unknown;
}

/** An actor as main calls it, over Comlink (runtime/scheduling/control.ts). Everything crosses threads as JSON. */
export interface ActorRemote {
  inspect(): ActorFacts;
  /** Returns the level there was. */
  setLogLevel(level: string): string;
}

/** The actor's end of it. */
export class OwnRemote implements ActorRemote {
  /** What an actor adds to its facts. */
  facts: () => Record<string, unknown> = () => ({});
  readonly #state: ActorState;
  readonly #logger: Logger;
  readonly #configured: { readonly level: string };

  /** `configured`: the level that counts until one is set here. */
  constructor(state: ActorState, logger: Logger, configured: { readonly level: string }) {
    this.#state = state;
    this.#logger = logger;
    this.#configured = configured;
  }

  inspect(): ActorFacts {
    const { used_heap_size, heap_size_limit } = getHeapStatistics();
    return {
      heapUsed: used_heap_size,
      heapLimit: heap_size_limit,
      logLevel: levelOf(this.#logger, this.#configured),
      turns: this.#state.heartbeat,
      ...this.facts(),
    };
  }

  setLogLevel(level: string): string {
    const before = levelOf(this.#logger, this.#configured);
    this.#logger.level = level;
    return before;
  }
}

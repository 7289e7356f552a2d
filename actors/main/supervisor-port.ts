/** What may be asked of the supervisor, for the control socket and tests. Names are those of the topology. */

export interface SupervisedActor {
  readonly name: string;
  /** A state of the actor's chart (docs/STATECHARTS.md). */
  readonly state: string;
  /** Threads that were started after the first. */
  readonly restarts: number;
  /** Why its last thread failed. */
  readonly lastError: string | undefined;
  /** When the present state was entered, ms since the Unix epoch. */
  readonly since: number;
}

export type Fault = 'crash' | 'hang' | 'memory';

/** Each refuses a name that is no supervised actor, or one that has no thread now, with a UserError. */
export interface SupervisorPort {
  /**
   * Ends the actor's thread, at a moment when it sleeps if one comes soon, and starts the next. Resolves when that one is
   * ready. Not counted as a failure.
   */
  restart(name: string): Promise<void>;
  /** Ends the actor's thread wherever it is, as a fault would. */
  end(name: string): void;
  /** For drills: the actor has this fault at its next turn. */
  drill(name: string, fault: Fault): void;
  /** Makes the tables anew from the log, as after a thread that died within a change. Resolves when all actors run again. */
  rebuild(): Promise<void>;
  describe(): readonly SupervisedActor[];
}

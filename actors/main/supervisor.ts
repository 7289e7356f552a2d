import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/schema.ts';
import type { Logger } from '../../runtime/log.ts';
import {
  type ActorState,
  DRILL_CRASH,
  DRILL_HANG,
  DRILL_MEMORY,
  FAILED,
  GATE_CLOSED,
  STOPPED,
} from '../../runtime/scheduling/actor-state.ts';
import { HeartbeatWatch } from '../../runtime/supervision/heartbeat-watch.ts';
import { waitsForDisk } from '../../runtime/system/thread-stat.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { ActorPlan } from '../topology.ts';
import { ActorFailure, Revival, type RevivalPorts } from './revival.ts';
import { Supervised } from './supervised.ts';
import type { Fault, SupervisedActor, SupervisorPort } from './supervisor-port.ts';
import { pause, withinMs } from './threads.ts';

const STOP_TIMEOUT_MS = 60_000;
/** How long a restart that was asked for waits for the actor to sleep. */
const SLEEP_TIMEOUT_MS = 1000;
const SLEEP_LOOK_MS = 5;

const DRILLS: Record<Fault, number> = { crash: DRILL_CRASH, hang: DRILL_HANG, memory: DRILL_MEMORY };

export interface SupervisorPorts extends RevivalPorts {
  stateOf(actor: ActorPlan): ActorState;
  /** At each look at the heartbeats. */
  looked(): void;
  /** Whether a thread that is alive has left the tables in the middle of a change. */
  tablesBroken(): boolean;
  /** Asks an actor that runs to stop. */
  sendStop(actor: ActorPlan): void;
  /** Whether it sleeps on its doorbell. */
  isAsleep(actor: ActorPlan): boolean;
  wake(actor: ActorPlan): void;
}

/**
 * Starts the actors, watches over them, has those that die or hang started again (revival.ts), and stops them. Lives in
 * the main actor, on its event loop.
 */
export class Supervisor implements SupervisorPort {
  readonly #ports: SupervisorPorts;
  readonly #clock: Clock;
  readonly #revival: Revival;
  readonly #watch: HeartbeatWatch;
  readonly #timer: NodeJS.Timeout;
  readonly #config: Config['supervision'];

  constructor(
    actors: readonly ActorPlan[],
    config: Config['supervision'],
    ports: SupervisorPorts,
    clock: Clock,
    logger: Logger,
  ) {
    // Of a running mount they are those of now: they are read when they are needed.
    const policy = {
      get restarts() {
        return config.restarts;
      },
      get windowMs() {
        return config.window_s * 1000;
      },
    };
    this.#config = config;
    this.#ports = ports;
    this.#clock = clock;
    const children = actors
      .filter(({ kind }) => kind !== 'main')
      .map((plan) => new Supervised(plan, ports.stateOf(plan), policy, clock));
    this.#revival = new Revival(children, ports, clock, logger);
    this.#watch = new HeartbeatWatch(config.hang_ms, config.heartbeat_ms);
    this.#timer = setInterval(() => this.#look(), config.heartbeat_ms);
  }

  /** Rejects with an {@link ActorFailure} when the first actor is given up; never resolves. */
  get failure(): Promise<never> {
    return this.#revival.failure;
  }

  // -------------------------------------------------------------- the orderly life

  /** Resolves when all are ready. Rejects when any actor is given up. */
  async start(actors: readonly ActorPlan[]): Promise<void> {
    const children = actors.map(({ name }) => this.#child(name));
    for (const child of children) this.#revival.launch(child);
    for (const child of children) {
      await this.#revival.started(child);
      if (child.chart.state === 'given-up') await this.#revival.failure;
    }
  }

  /** From now on what fails is started again; until now it ended everything, because nothing depended on it yet. */
  arm(): void {
    this.#revival.isArmed = true;
  }

  /** Resolves when the actor has stopped in order, or is not there. */
  async stopped({ name }: ActorPlan): Promise<void> {
    const { chart } = this.#child(name);
    await this.#revival.until(() => chart.state === 'stopped' || chart.isAbsent);
  }

  /**
   * Starts an actor for which there is room beside others of its kind. Resolves when it is ready, or has stopped again in
   * order because all do.
   *
   * @throws {UserError} it did not start; nothing is left of it, and the mount goes on
   */
  async add({ name }: ActorPlan): Promise<void> {
    const child = this.#child(name);
    const { chart } = child;
    // Those who build on the tables are ended and started together when these are made anew.
    await this.#revival.until(() => !this.#revival.isRebuilding);
    if (this.#revival.isOver) throw new ActorFailure(`actor ${name} is not started: the mount ends`);
    assert(chart.isAbsent, 'an actor is added that is not there');
    this.#revival.launch(child, true);
    await this.#revival.started(child);
    await this.#revival.until(() => chart.isRunning || chart.isAbsent || chart.isOver);
    if (chart.isAbsent) throw new UserError(`actor ${name} did not start: ${child.lastError?.message}`);
  }

  /**
   * Has an actor stop that is not needed any more, and makes its row free. One that dies over it is started again, so that
   * what it was at is brought to its end, and asked again. Resolves also when it has stopped because all do.
   */
  async retire({ name }: ActorPlan): Promise<void> {
    const child = this.#child(name);
    const { chart, plan } = child;
    while (!chart.isAbsent && !chart.isOver) {
      await this.#revival.until(() => chart.isRunning || chart.isAbsent || chart.isOver);
      // It may have been recalled since: then its successor is asked.
      if (!chart.isRunning) continue;
      const { incarnation } = child;
      this.#revival.send(child, { type: 'retire' });
      this.#ports.sendStop(plan);
      await this.#revival.until(() => chart.isAbsent || chart.isOver || child.incarnation !== incarnation);
    }
  }

  /**
   * Asks the actors to stop, waits until they have, and ends their threads. One that fails meanwhile is started again
   * and asked again. Rejects when one is given up, or has not stopped in time: what it was doing is then unfinished.
   */
  async stop(actors: readonly ActorPlan[]): Promise<void> {
    await Promise.all(actors.map(({ name }) => this.#stop(this.#child(name))));
  }

  /** Ends threads wherever they are; nothing is started again after. */
  async terminate(actors: readonly ActorPlan[]): Promise<void> {
    this.#revival.isOver = true;
    clearInterval(this.#timer);
    const children = this.#revival.children.filter(({ plan }) => actors.includes(plan));
    await Promise.all(
      children.map(async (child) => {
        await this.#revival.endThread(child);
        if (child.row.get() < STOPPED) child.row.set(FAILED);
        this.#revival.send(child, { type: 'end' });
      }),
    );
  }

  /** Whether it can be asked for something. */
  isRunning({ name }: ActorPlan): boolean {
    return this.#child(name).chart.isRunning;
  }

  /** For errors of the main actor, whose loop is not a thread of its own. */
  mainFailed(error: Error): void {
    this.#revival.giveUp('main', error);
  }

  // -------------------------------------------------------------- SupervisorPort

  async restart(name: string): Promise<void> {
    const child = this.#running(name);
    const { incarnation } = child;
    const deadline = this.#clock.monotonic() + SLEEP_TIMEOUT_MS;
    while (!this.#ports.isAsleep(child.plan) && this.#clock.monotonic() < deadline)
      await pause(SLEEP_LOOK_MS);
    if (child.incarnation === incarnation && child.chart.isRunning) {
      await this.#revival.recall(child);
      void this.#revival.tend(child);
    }
    const { chart } = child;
    const isAgain = (): boolean => child.incarnation > incarnation && chart.isRunning;
    await this.#revival.until(() => isAgain() || chart.isAbsent || chart.isOver);
    if (!isAgain()) throw new UserError(`actor ${name} is ${chart.state}: it is not needed any more`);
  }

  end(name: string): void {
    this.#running(name).thread?.kill();
  }

  drill(name: string, fault: Fault): void {
    const { row, plan } = this.#running(name);
    row.orderDrill(DRILLS[fault]);
    this.#ports.wake(plan);
  }

  async rebuild(): Promise<void> {
    await this.#revival.rebuild('it was asked for');
    const { children } = this.#revival;
    await this.#revival.until(() => children.every(({ chart }) => chart.isRunning || chart.isAbsent));
  }

  describe(): SupervisedActor[] {
    return this.#revival.children.map(({ name, chart, lastError }) => ({
      name,
      state: chart.state,
      restarts: chart.restarts,
      lastError: lastError?.message,
      since: chart.since,
    }));
  }

  #running(name: string): Supervised {
    const child = this.#revival.children.find((one) => one.name === name);
    if (!child || child.chart.isAbsent) {
      const present = this.#revival.children.filter(({ chart }) => !chart.isAbsent);
      const known = present.map((one) => one.name).join(', ');
      throw new UserError(`no supervised actor is named '${name}'; there are ${known}`);
    }
    if (!child.chart.isRunning) throw new UserError(`actor ${name} is ${child.chart.state}: try again later`);
    return child;
  }

  #child(name: string): Supervised {
    const child = this.#revival.children.find((one) => one.name === name);
    assert(child !== undefined, 'every actor but main is supervised');
    return child;
  }

  async #stop(child: Supervised): Promise<void> {
    const { chart, plan } = child;
    while (!chart.isOver && !chart.isAbsent) {
      await this.#revival.until(() => chart.isRunning || chart.isOver || chart.isAbsent);
      if (!chart.isRunning) continue;
      const { incarnation } = child;
      this.#ports.sendStop(plan);
      const isOver = (): boolean => chart.isOver || chart.isAbsent || child.incarnation !== incarnation;
      const over = this.#revival.until(isOver);
      if ((await withinMs(STOP_TIMEOUT_MS, over)) === undefined)
        throw new ActorFailure(`actor ${child.name} did not stop in time`);
    }
    await this.#revival.endThread(child);
  }

  // -------------------------------------------------------------- the watch

  #look(): void {
    if (this.#revival.isOver || !this.#revival.isArmed) return;
    for (const child of this.#revival.children) {
      if (child.chart.isRunning)
        this.#revival.send(child, { type: this.#ports.isAsleep(child.plan) ? 'parked' : 'awake' });
    }
    const rows = this.#revival.children.map(({ name, incarnation, row, chart }) => ({
      name,
      incarnation,
      heartbeat: row.heartbeat,
      patience: row.patience,
      mustBeat: (chart.isRunning || chart.state === 'draining') && row.gate !== GATE_CLOSED,
    }));
    this.#watch.hangMs = this.#config.hang_ms;
    for (const name of this.#watch.look(rows, this.#clock.monotonic())) {
      const child = this.#child(name);
      if (waitsForDisk(child.row.thread)) continue;
      child.isThreadOver = true;
      const seconds = Math.max(this.#config.hang_ms, child.row.patience) / 1000;
      this.#revival.failed(child, new Error(`it hangs: no sign of life for ${seconds} s`));
    }
    this.#ports.looked();
    if (!this.#revival.isRebuilding && this.#ports.tablesBroken())
      void this.#revival.rebuild('a change was left unfinished');
  }
}

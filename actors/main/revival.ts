import type { Wreck } from '../../fuse/namespace/namespace.ts';
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { DRAINING, FAILED, READY, STOPPED } from '../../runtime/scheduling/actor-state.ts';
import type { ActorEvent } from '../../runtime/supervision/actor-machine.ts';
import { affected } from '../../runtime/supervision/strategy.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { ActorKind, ActorPlan } from '../topology.ts';
import type { Supervised } from './supervised.ts';
import { type ActorThread, pause, withinMs } from './threads.ts';

/** An actor that is not ready by then is stuck: recovery of a large store reports ready only when it is done. */
const START_TIMEOUT_MS = 600_000;
/** A thread that does not end within this hangs in the kernel. */
const END_TIMEOUT_MS = 5000;

/**
 * In the order of their start. The tables have no thread, but they can break, and those after them build on them:
 * one-for-one for a thread that left them whole, rest-for-one for the tables.
 */
const START_ORDER: readonly (ActorKind | 'tables')[] = [
  'shard',
  'io',
  'stats',
  'tables',
  'pool',
  'indexer',
  'fuse',
];
const ON_TABLES = new Set(affected('rest-for-one', START_ORDER, 'tables'));

/** An actor was given up, or did not do what it was asked. */
export class ActorFailure extends UserError {
  override name = 'ActorFailure';
}

export interface RevivalPorts {
  startThread(actor: ActorPlan, incarnation: number): ActorThread;
  /**
   * A thread of the actor has ended and no other runs yet: frees what it held, repeats what it did not answer. Whether the
   * tables are whole.
   */
  clear(actor: ActorPlan, thread: number): Wreck;
  /** The actor is not there any more, and what its thread held was looked at: its row and its mailbox are made free. */
  vacated(actor: ActorPlan): void;
  /** A successor is ready: gives it what it lacks. */
  resume(actor: ActorPlan): Promise<void>;
  /** Makes the tables anew, while no actor that builds on them runs; 0 or an errno. */
  rebuild(): Promise<number>;
}

/**
 * Brings actors to life, and back to life. Each has a chart (runtime/supervision/actor-machine.ts); whatever happens is
 * an event for it, and one loop per failed actor (`tend`) does what its state asks for until it runs again. While the
 * tables are being made anew, the loops of the actors that build on them wait.
 */
export class Revival {
  /** Rejects with an {@link ActorFailure} when the first actor is given up; never resolves. */
  readonly failure: Promise<never>;
  readonly children: readonly Supervised[];
  /** What fails is started again; before, it is given up. */
  isArmed = false;
  /** Nothing is started any more. */
  isOver = false;
  isRebuilding = false;
  readonly #ports: RevivalPorts;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Looked at after every change of a chart. */
  readonly #waiting = new Set<() => void>();
  #reportFailure: (failure: ActorFailure) => void = () => {};

  constructor(children: readonly Supervised[], ports: RevivalPorts, clock: Clock, logger: Logger) {
    this.children = children;
    this.#ports = ports;
    this.#clock = clock;
    this.#logger = logger;
    this.failure = new Promise((_, reject) => {
      this.#reportFailure = reject;
    });
    // Whoever waits for something hears of it; while nobody does, it is not unhandled.
    this.failure.catch(() => {});
  }

  send(child: Supervised, event: ActorEvent): void {
    if (!child.chart.send(event)) return;
    child.showFate();
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** `isAddition`: the mount goes on without it if it does not start. */
  launch(child: Supervised, isAddition = false): void {
    child.incarnation++;
    if (child.chart.isAbsent) child.row.firstIncarnation = child.incarnation;
    child.row.renew(child.incarnation);
    if (child.row.isReserved) child.row.reserve(false, this.#clock.now());
    this.send(child, { type: 'start', at: this.#clock.monotonic(), isAddition });
    assert(child.chart.state === 'starting', 'a thread is started when its chart says so');
    const thread = this.#ports.startThread(child.plan, child.incarnation);
    child.thread = thread;
    child.isThreadOver = false;
    void thread.ended.then((error) => this.#threadEnded(child, thread, error));
    void this.#follow(child, child.incarnation);
  }

  /** Tells the chart what the thread says of itself. */
  async #follow(child: Supervised, incarnation: number): Promise<void> {
    const news = [
      [READY, 'ready'],
      [DRAINING, 'drain'],
      [STOPPED, 'stopped'],
    ] as const;
    for (const [state, type] of news) {
      const seen = await child.row.reached(state, Number.MAX_SAFE_INTEGER);
      if (child.incarnation !== incarnation || seen === FAILED) return;
      this.send(child, { type });
    }
    this.#vacateIfRetired(child);
  }

  #threadEnded(child: Supervised, thread: ActorThread, error: Error): void {
    if (child.thread !== thread || child.isThreadOver) return;
    child.isThreadOver = true;
    if (child.row.get() !== STOPPED) {
      this.failed(child, error);
      return;
    }
    this.send(child, { type: 'stopped' });
    this.#vacateIfRetired(child);
  }

  #vacateIfRetired(child: Supervised): void {
    if (child.chart.state === 'retired') void this.tend(child);
  }

  failed(child: Supervised, error: Error): void {
    child.lastError = error;
    child.row.set(FAILED);
    if (!this.isArmed) this.send(child, { type: 'give up' });
    else this.send(child, { type: 'fail', at: this.#clock.monotonic() });
    if (child.chart.state === 'given-up') {
      this.giveUp(child.name, error);
      return;
    }
    const { failures, state } = child.chart;
    const then = state === 'retired' ? 'at its start: the others go on without it' : 'and is started again';
    this.#logger.error({ err: error, failed: child.name, failures }, `an actor failed ${then}`);
    void this.tend(child);
  }

  giveUp(name: string, error: Error): void {
    this.isOver = true;
    this.#logger.fatal({ err: error, failed: name }, 'an actor failed');
    const restarts = this.children.find((child) => child.name === name)?.chart.restarts ?? 0;
    const often = restarts > 0 ? ` (after ${restarts} restarts)` : '';
    this.#reportFailure(new ActorFailure(`actor ${name} failed: ${error.message}${often}`));
  }

  /** Resolves once it is so, and rejects when an actor is given up. */
  async until(isSo: () => boolean): Promise<true> {
    if (isSo()) return true;
    let look: () => void = () => {};
    const so = new Promise<true>((resolve) => {
      look = () => {
        if (isSo()) resolve(true);
      };
    });
    this.#waiting.add(look);
    try {
      return await Promise.race([so, this.failure]);
    } finally {
      this.#waiting.delete(look);
    }
  }

  /** Ready, or failed again. */
  async started(child: Supervised): Promise<void> {
    const { incarnation } = child;
    const isOver = (): boolean => child.incarnation !== incarnation || child.chart.state !== 'starting';
    if ((await withinMs(START_TIMEOUT_MS, this.until(isOver))) !== undefined) return;
    child.isThreadOver = true;
    this.failed(child, new Error('it did not start in time'));
  }

  /** False: it hangs in the kernel. */
  async endThread(child: Supervised): Promise<boolean> {
    child.isThreadOver = true;
    const { thread } = child;
    if (!thread) return true;
    thread.kill();
    return (await withinMs(END_TIMEOUT_MS, thread.ended)) !== undefined;
  }

  /** Does what the chart asks for until the actor runs, or is over. */
  async tend(child: Supervised): Promise<void> {
    if (child.isTended) return;
    child.isTended = true;
    try {
      while (!this.isOver) {
        const { state } = child.chart;
        if (state === 'crashed') await this.#clear(child);
        else if (state === 'restarting') await this.#relaunch(child);
        else if (state === 'retired') await this.#vacate(child);
        else break;
      }
    } catch (error) {
      // Given up meanwhile, which is said where it happens; anything else is a bug.
      if (!this.isOver) this.giveUp(child.name, error as Error);
    } finally {
      child.isTended = false;
    }
  }

  /** Ends the thread and frees what it held; undefined if it does not end, which ends the mount. */
  async #endAndClear(child: Supervised): Promise<Wreck | undefined> {
    if (await this.endThread(child)) return this.#ports.clear(child.plan, child.thread?.id ?? -1);
    const cause = child.lastError === undefined ? '' : `; ${child.lastError.message}`;
    this.send(child, { type: 'give up' });
    this.giveUp(child.name, new Error(`its thread does not end${cause}`));
    return undefined;
  }

  async #vacate(child: Supervised): Promise<void> {
    const wreck = await this.#endAndClear(child);
    if (wreck === undefined) return;
    this.#ports.vacated(child.plan);
    this.send(child, { type: 'vacated' });
    if (wreck === 'tables') void this.rebuild(`${child.name} ended within a change`);
  }

  async #clear(child: Supervised): Promise<void> {
    const wreck = await this.#endAndClear(child);
    if (wreck === undefined) return;
    this.send(child, { type: 'cleared' });
    if (child.chart.state === 'given-up') this.giveUp(child.name, child.lastError!);
    else if (wreck === 'tables') void this.rebuild(`${child.name} died within a change`);
  }

  async #relaunch(child: Supervised): Promise<void> {
    const waits = (): boolean => child.isRecalled || (this.isRebuilding && ON_TABLES.has(child.plan.kind));
    await this.until(() => !waits());
    for (let ms = child.chart.pauseMs; ms > 0; ms = child.chart.pauseMs) await pause(Math.ceil(ms));
    if (this.isOver || waits() || child.chart.state !== 'restarting') return;
    this.launch(child);
    await this.started(child);
    const { incarnation } = child;
    if (!child.chart.isRunning) return;
    this.#logger.warn(
      { restarted: child.name, restarts: child.chart.restarts },
      'an actor was started again',
    );
    const isLost = (): boolean => child.incarnation !== incarnation || !child.chart.isRunning;
    await Promise.race([this.#ports.resume(child.plan), this.until(isLost)]);
  }

  /** Ends a thread that did nothing wrong; what comes after is the caller's. */
  async recall(child: Supervised): Promise<void> {
    const { chart } = child;
    await this.until(() => chart.state !== 'crashed' && chart.state !== 'retired' && !child.isRecalled);
    if (chart.state === 'restarting' || chart.isOver || chart.isAbsent) return;
    child.isThreadOver = true;
    child.isRecalled = true;
    this.send(child, { type: 'recall' });
    child.row.set(FAILED);
    if (!(await this.endThread(child))) throw new Error(`the thread of actor ${child.name} does not end`);
    const wreck = this.#ports.clear(child.plan, child.thread?.id ?? -1);
    if (wreck === 'tables') void this.rebuild(`${child.name} was ended within a change`);
    child.isRecalled = false;
    this.#wakeWaiting();
  }

  /** The tables are made anew from the log; whoever builds on them is ended before and started after. */
  async rebuild(why: string): Promise<void> {
    if (this.isRebuilding || this.isOver) return;
    this.isRebuilding = true;
    this.#logger.error({ why }, 'the tables are made anew from the log');
    const children = this.children.filter(({ plan, chart }) => ON_TABLES.has(plan.kind) && !chart.isAbsent);
    try {
      await Promise.all(children.map((child) => this.recall(child)));
      const errno = await Promise.race([this.#ports.rebuild(), this.failure]);
      if (errno !== 0) throw new Error(`the tables cannot be made anew (errno ${errno})`);
    } catch (error) {
      if (!this.isOver) this.giveUp('io-0', error as Error);
      return;
    }
    this.isRebuilding = false;
    this.#wakeWaiting();
    for (const child of children) void this.tend(child);
  }
}

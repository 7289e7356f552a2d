/** Statecharts in use: the present state of one actor, or of the mount, and since when. */
import { initialTransition, type SnapshotFrom, transition } from 'xstate';
import type { Clock } from '../clock.ts';
import { type ActorEvent, actorMachine, type RestartPolicy } from './actor-machine.ts';
import { type MountEvent, mountMachine } from './mount-machine.ts';

export const ACTOR_STATES = [
  'absent',
  'starting',
  'ready',
  'busy',
  'draining',
  'stopped',
  'crashed',
  'restarting',
  'retired',
  'given-up',
] as const;
export type ActorChartState = (typeof ACTOR_STATES)[number];

export const MOUNT_STATES = [
  'idle',
  'recovering',
  'mounting',
  'serving',
  'read-only',
  'draining',
  'unmounted',
  'failed',
] as const;
export type MountState = (typeof MOUNT_STATES)[number];

export class ActorChart {
  #snapshot: SnapshotFrom<typeof actorMachine>;
  #since: number;
  readonly #clock: Clock;

  constructor(policy: RestartPolicy, clock: Clock) {
    this.#snapshot = initialTransition(actorMachine, policy)[0];
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** The innermost state. */
  get state(): ActorChartState {
    const { value } = this.#snapshot;
    return typeof value === 'string' ? value : value.running;
  }

  /** Has a thread that has said that it is ready, and was not asked to stop. */
  get isRunning(): boolean {
    return typeof this.#snapshot.value !== 'string';
  }

  /** It is not there: there may be room for it. */
  get isAbsent(): boolean {
    return this.#snapshot.value === 'absent';
  }

  get isOver(): boolean {
    return this.#snapshot.status === 'done';
  }

  /** When the present state was entered, ms since the Unix epoch; ready and busy count as one. */
  get since(): number {
    return this.#since;
  }

  get failures(): number {
    return this.#snapshot.context.failures.length;
  }

  /** Threads started after the first. */
  get restarts(): number {
    return Math.max(0, this.#snapshot.context.starts - 1);
  }

  /** How long the back-off still lasts, ms. */
  get pauseMs(): number {
    return Math.max(0, this.#snapshot.context.notBefore - this.#clock.monotonic());
  }

  /** An event that the present state does not know changes nothing. True: the state is another now. */
  send(event: ActorEvent): boolean {
    if (this.isOver) return false;
    const { state, isRunning } = this;
    this.#snapshot = transition(actorMachine, this.#snapshot, event)[0];
    if (this.state === state) return false;
    if (!isRunning || !this.isRunning) this.#since = this.#clock.now();
    return true;
  }
}

export class MountChart {
  #snapshot = initialTransition(mountMachine)[0];

  get state(): MountState {
    return this.#snapshot.value;
  }

  /** An event that the present state does not know changes nothing. */
  send(event: MountEvent): void {
    this.#snapshot = transition(mountMachine, this.#snapshot, event)[0];
  }
}

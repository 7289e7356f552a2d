/** A supervisor over threads that are made up: what they do, a test says, and what is done to them stands in a log. */
import { expect } from 'vitest';
import { Supervisor, type SupervisorPorts } from '../../actors/main/supervisor.ts';
import type { ActorThread } from '../../actors/main/threads.ts';
import { type ActorPlan, Topology } from '../../actors/topology.ts';
import type { Wreck } from '../../fuse/namespace/namespace.ts';
import { systemClock } from '../../runtime/clock.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import { openLog } from '../../runtime/log.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import {
  ActorState,
  actorStateBytes,
  DRAINING,
  READY,
  STARTING,
  STOPPED,
} from '../../runtime/scheduling/actor-state.ts';

export const topology = new Topology(configSchema.parse({ workers: { shards: 1, fuse: 2, fuse_max: 4 } }));
const ROOM = topology.actors.filter(({ kind }) => kind !== 'main');
/** Those that are there from the start. */
export const ALL = ROOM.filter(({ name }) => name !== 'fuse-2' && name !== 'fuse-3');
const BEAT_MS = 5;

/** A thread that beats, and does what the row and the test say. */
class MadeUpThread implements ActorThread {
  readonly id: number;
  readonly ended: Promise<Error>;
  readonly row: ActorState;
  isAlive = true;
  readonly #beats: NodeJS.Timeout;
  readonly #onEnd: () => void;
  #resolve: (error: Error) => void = () => {};

  constructor(id: number, row: ActorState, onEnd: () => void) {
    this.id = id;
    this.row = row;
    this.#onEnd = onEnd;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    row.set(STARTING);
    this.#beats = setInterval(() => row.beat(), BEAT_MS);
  }

  hang(): void {
    clearInterval(this.#beats);
  }

  die(error = new Error('it died')): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    clearInterval(this.#beats);
    this.#onEnd();
    this.#resolve(error);
  }

  kill(): void {
    if (!world.unkillable) this.die(new Error('its thread ended with code 1'));
  }
}

class World {
  readonly arena = Arena.create([{ name: 'states', bytes: actorStateBytes(topology.actors.length) }]);
  readonly threads = new Map<string, MadeUpThread>();
  /** What happened, in order. */
  readonly log: string[] = [];
  wreck: Wreck = 'clean';
  broken = false;
  /** Actors whose next threads do not become ready. */
  readonly slow = new Set<string>();
  unkillable = false;
  asleep = true;
  rebuilt: () => Promise<number> = async () => 0;
  /** Called with an actor that is asked to stop; true: it does not. */
  onStop: (name: string) => boolean = () => false;
  resumed: (name: string) => Promise<void> = async () => {};
  readonly supervisor: Supervisor;
  #id = 0;

  constructor(restarts = 5) {
    const config = configSchema.parse({ supervision: { restarts } }).supervision;
    this.supervisor = new Supervisor(
      topology.actors,
      { ...config, heartbeat_ms: 10, hang_ms: 150 },
      this.ports(),
      systemClock,
      openLog('test', 'silent', 2),
    );
  }

  thread(name: string): MadeUpThread {
    return this.threads.get(name)!;
  }

  row({ slot }: ActorPlan): ActorState {
    return new ActorState(this.arena.region('states'), slot);
  }

  stateOf(name: string): string {
    return this.supervisor.describe().find((actor) => actor.name === name)!.state;
  }

  restartsOf(name: string): number {
    return this.supervisor.describe().find((actor) => actor.name === name)!.restarts;
  }

  async running(names = ALL.map(({ name }) => name)): Promise<void> {
    await until(() => names.every((name) => ['ready', 'busy'].includes(this.stateOf(name))));
  }

  private ports(): SupervisorPorts {
    return {
      startThread: (actor, incarnation) => {
        const { name } = actor;
        expect(this.threads.get(name)?.isAlive ?? false, `${name} has one thread at a time`).toBe(false);
        expect(this.row(actor).incarnation).toBe(incarnation);
        this.log.push(`start ${name}`);
        const thread = new MadeUpThread(++this.#id, this.row(actor), () => this.log.push(`end ${name}`));
        this.threads.set(name, thread);
        if (!this.slow.has(name)) setTimeout(() => thread.isAlive && thread.row.set(READY), 2);
        return thread;
      },
      stateOf: (actor) => this.row(actor),
      clear: ({ name }, id) => {
        expect(this.thread(name)).toMatchObject({ id, isAlive: false });
        this.log.push(`clear ${name}`);
        const { wreck } = this;
        this.wreck = 'clean';
        return wreck;
      },
      vacated: ({ name }) => {
        expect(this.thread(name).isAlive).toBe(false);
        this.log.push(`vacate ${name}`);
        this.row(topology.actor(name)).reserve(true, 0);
      },
      resume: async ({ name }) => {
        this.log.push(`resume ${name}`);
        await this.resumed(name);
      },
      looked: () => {},
      tablesBroken: () => this.broken,
      rebuild: async () => {
        for (const { name, kind } of ALL) {
          if (kind === 'fuse' || kind === 'indexer' || kind === 'pool')
            expect(this.thread(name).isAlive, name).toBe(false);
        }
        this.log.push('rebuild');
        this.broken = false;
        return this.rebuilt();
      },
      sendStop: (actor) => {
        this.log.push(`stop ${actor.name}`);
        if (this.onStop(actor.name)) return;
        this.row(actor).set(DRAINING);
        this.row(actor).set(STOPPED);
      },
      isAsleep: () => this.asleep,
      wake: () => {},
    };
  }
}

export async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`it never came to that: ${world.log.join(', ')}`);
    await new Promise((resume) => setTimeout(resume, 2));
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));

/** Of the test that runs. */
export let world: World;
/** A new world, in which nobody has been started. */
export function beginning(restarts?: number): void {
  world = new World(restarts);
}

/** A new world, in which all actors serve. */
export async function serving(restarts?: number): Promise<void> {
  beginning(restarts);
  await world.supervisor.start(ALL);
  world.supervisor.arm();
  world.log.length = 0;
}
/** The world ends. */
export async function end(): Promise<void> {
  world.unkillable = false;
  await world.supervisor.terminate(ROOM);
}

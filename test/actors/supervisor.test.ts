/** The supervisor over threads that are made up: who is ended, started and asked, and in which order. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
  FAILED,
  GATE_CLOSED,
  READY,
  STARTING,
  STOPPED,
} from '../../runtime/scheduling/actor-state.ts';

const topology = new Topology(configSchema.parse({ workers: { shards: 1, fuse: 2, fuse_max: 4 } }));
const ROOM = topology.actors.filter(({ kind }) => kind !== 'main');
/** Those that are there from the start. */
const ALL = ROOM.filter(({ name }) => name !== 'fuse-2' && name !== 'fuse-3');
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

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`it never came to that: ${world.log.join(', ')}`);
    await new Promise((resume) => setTimeout(resume, 2));
  }
}

const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));

let world: World;
async function serving(restarts?: number): Promise<void> {
  world = new World(restarts);
  await world.supervisor.start(ALL);
  world.supervisor.arm();
  world.log.length = 0;
}
beforeEach(() => serving());
afterEach(async () => {
  world.unkillable = false;
  await world.supervisor.terminate(ROOM);
});

describe('an actor that fails', () => {
  test.each(ALL.map(({ name }) => name))(
    '%s: it alone is started again, as its second incarnation',
    async (name) => {
      world.thread(name).die();
      expect(world.stateOf(name)).toBe('ready');
      await until(() => world.log.includes(`resume ${name}`));
      expect(world.log).toEqual([`end ${name}`, `clear ${name}`, `start ${name}`, `resume ${name}`]);
      await world.running();
      expect(world.row(topology.actor(name)).incarnation).toBe(2);
      expect(world.supervisor.describe().find((actor) => actor.name === name)).toMatchObject({
        restarts: 1,
        lastError: 'it died',
      });
    },
  );

  test('while it has no thread, its row says so to everybody', async () => {
    world.slow.add('stats');
    world.thread('stats').die();
    await until(() => world.stateOf('stats') === 'restarting');
    expect(world.row(topology.actor('stats')).label).toBe('restarting');
    await until(() => world.stateOf('stats') === 'starting');
    expect(world.row(topology.actor('stats')).label).toBe('starting');
    world.thread('stats').row.set(READY);
    await world.running();
  });

  test('by hanging: its thread is ended, and it is started again', async () => {
    world.thread('shard-0').hang();
    await until(() => world.restartsOf('shard-0') === 1);
    await world.running();
    expect(world.log.slice(0, 3)).toEqual(['end shard-0', 'clear shard-0', 'start shard-0']);
    const described = world.supervisor.describe().find(({ name }) => name === 'shard-0');
    expect(described?.lastError).toContain('hangs: no sign of life');
  });

  test('hanging with a closed gate, or with the patience for it, is none', async () => {
    world.thread('pool').row.gate = GATE_CLOSED;
    world.thread('stats').row.patience = 60_000;
    for (const name of ['pool', 'stats']) world.thread(name).hang();
    await pause(400);
    expect(world.log).toEqual([]);
  });

  test('whose thread cannot be ended: given up', async () => {
    world.unkillable = true;
    world.thread('fuse-0').hang();
    await expect(world.supervisor.failure).rejects.toThrow('actor fuse-0 failed: its thread does not end');
    expect(world.stateOf('fuse-0')).toBe('given-up');
  });

  test('once more than allowed within the window: given up, and nothing is started any more', async () => {
    await serving(2);
    for (let n = 1; n <= 2; n++) {
      world.thread('io-0').die();
      await until(() => world.restartsOf('io-0') === n);
      await world.running();
    }
    const failed = expect(world.supervisor.failure).rejects.toThrow(
      'actor io-0 failed: it died (after 2 restarts)',
    );
    world.thread('io-0').die();
    await failed;
    const { length } = world.log;
    world.thread('pool').die();
    await pause(150);
    expect(world.log.slice(length)).toEqual(['end pool']);
  });

  test('again and again while it starts: each counts', async () => {
    await serving(3);
    world.slow.add('indexer');
    world.thread('indexer').die();
    for (let n = 1; n <= 3; n++) {
      await until(() => world.restartsOf('indexer') === n);
      world.thread('indexer').die(new Error(`death ${n}`));
    }
    await expect(world.supervisor.failure).rejects.toThrow(
      'actor indexer failed: death 3 (after 3 restarts)',
    );
  });

  test('while it is being given what it lacks: it is started once more', async () => {
    world.resumed = () => new Promise(() => {});
    world.thread('shard-0').die();
    await until(() => world.log.includes('resume shard-0'));
    world.thread('shard-0').die();
    await until(() => world.log.filter((line) => line === 'resume shard-0').length === 2);
    await world.running();
  });

  test('before the mount is usable: final', async () => {
    world = new World();
    world.slow.add('io-0');
    const started = world.supervisor.start(ALL);
    await pause(10);
    world.thread('io-0').die(new Error('the store cannot be recovered'));
    await expect(started).rejects.toThrow('actor io-0 failed: the store cannot be recovered');
  });
});

describe('a thread that died within a change of the tables', () => {
  const DEPENDENTS = ['pool', 'indexer', 'fuse-0', 'fuse-1'];

  test('fuse: those that build on the tables are ended, the tables made anew, and only then they start again', async () => {
    world.wreck = 'tables';
    world.thread('fuse-1').die();
    await until(() => world.log.includes('resume indexer') && world.log.includes('resume fuse-1'));
    await world.running();
    const at = world.log.indexOf('rebuild');
    expect(at).toBeGreaterThan(0);
    for (const name of DEPENDENTS) {
      expect(world.log.indexOf(`end ${name}`)).toBeLessThan(at);
      expect(world.log.indexOf(`clear ${name}`)).toBeLessThan(at);
      expect(world.log.indexOf(`start ${name}`)).toBeGreaterThan(at);
    }
    for (const name of ['shard-0', 'io-0', 'stats']) expect(world.log).not.toContain(`end ${name}`);
    expect(world.restartsOf('fuse-0')).toBe(1);
  });

  test('io-0: it is started again itself, though those after it wait', async () => {
    let isRebuilt: (errno: number) => void = () => {};
    world.rebuilt = () =>
      new Promise((resolve) => {
        isRebuilt = resolve;
      });
    world.wreck = 'tables';
    world.thread('io-0').die();
    await until(() => world.log.includes('resume io-0') && world.log.includes('rebuild'));
    await pause(50);
    for (const name of DEPENDENTS) expect(world.log).not.toContain(`start ${name}`);
    isRebuilt(0);
    await world.running();
  });

  test('one that fails while the tables are made anew waits for them', async () => {
    let isRebuilt: (errno: number) => void = () => {};
    world.rebuilt = () =>
      new Promise((resolve) => {
        isRebuilt = resolve;
      });
    world.thread('indexer').die();
    world.wreck = 'tables';
    await until(() => world.log.includes('rebuild'));
    await pause(150);
    expect(world.log).not.toContain('start indexer');
    isRebuilt(0);
    await world.running();
    expect(world.log.filter((line) => line === 'rebuild')).toHaveLength(1);
  });

  test('found without a death: the same', async () => {
    world.broken = true;
    await until(() => world.log.includes('rebuild'));
    await until(() => world.log.includes('start fuse-1'));
    await world.running();
    expect(world.log.filter((line) => line === 'rebuild')).toHaveLength(1);
  });

  test('tables that cannot be made anew: given up', async () => {
    world.rebuilt = async () => 5;
    world.broken = true;
    await expect(world.supervisor.failure).rejects.toThrow('the tables cannot be made anew (errno 5)');
  });
});

describe('stopping', () => {
  test('each is asked once, stops, and its thread is ended', async () => {
    await world.supervisor.stop(ALL);
    expect(world.log.filter((line) => line.startsWith('stop'))).toHaveLength(ALL.length);
    for (const { name } of ALL) {
      expect(world.stateOf(name)).toBe('stopped');
      expect(world.thread(name).isAlive).toBe(false);
    }
  });

  test('one that fails while it stops is started again, and asked again', async () => {
    let asked = 0;
    world.onStop = (name) => {
      if (name !== 'shard-0' || ++asked > 1) return false;
      world.thread(name).row.set(DRAINING);
      setTimeout(() => world.thread(name).die(), 5);
      return true;
    };
    await world.supervisor.stop([topology.actor('shard-0')]);
    expect(world.log.filter((line) => line === 'stop shard-0')).toHaveLength(2);
    expect(world.stateOf('shard-0')).toBe('stopped');
  });

  test('one whose work has ended by itself has stopped', async () => {
    const stopped = world.supervisor.stopped(topology.actor('fuse-0'));
    world.row(topology.actor('fuse-0')).set(STOPPED);
    await stopped;
    world.thread('fuse-0').die();
    await pause(20);
    expect(world.log).toEqual(['end fuse-0']);
  });

  test('ending everything ends it for good, whatever was under way', async () => {
    world.thread('pool').die();
    world.wreck = 'tables';
    world.thread('fuse-0').die();
    await world.supervisor.terminate(ALL);
    await pause(200);
    for (const actor of ALL) {
      expect(world.thread(actor.name).isAlive, actor.name).toBe(false);
      expect([FAILED, STOPPED]).toContain(world.row(actor).get());
    }
  });
});

describe('what may be asked for', () => {
  test('restart: the next thread is ready when it resolves, and it is not counted as a failure', async () => {
    await serving(0);
    for (let n = 1; n <= 3; n++) {
      await world.supervisor.restart('pool');
      expect(['ready', 'busy']).toContain(world.stateOf('pool'));
      expect(world.restartsOf('pool')).toBe(n);
    }
  });

  test('restart waits a while for an actor at work to sleep, and then does not', async () => {
    world.asleep = false;
    const restarted = world.supervisor.restart('stats');
    await pause(100);
    expect(world.log).toEqual([]);
    await restarted;
    expect(world.restartsOf('stats')).toBe(1);
  });

  test('end: as a failure', async () => {
    world.supervisor.end('stats');
    await until(() => world.restartsOf('stats') === 1);
    await world.running();
  });

  test('a name that is none, or an actor without a thread: refused with what is known', async () => {
    expect(() => world.supervisor.end('shard-7')).toThrow(
      "no supervised actor is named 'shard-7'; there are io-0",
    );
    await expect(world.supervisor.restart('main')).rejects.toThrow("no supervised actor is named 'main'");
    world.slow.add('pool');
    world.thread('pool').die();
    await until(() => world.stateOf('pool') === 'starting');
    expect(() => world.supervisor.drill('pool', 'hang')).toThrow('actor pool is starting: try again later');
  });

  test('any mixture of deaths, hangs and restarts at any moment ends with everybody running', async () => {
    await serving(1000);
    const random = (() => {
      let seed = 12345;
      return (below: number): number => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return (seed >>> 8) % below;
      };
    })();
    for (let n = 0; n < 120; n++) {
      const { name } = ALL[random(ALL.length)]!;
      const what = random(10);
      if (what < 5) world.thread(name).die();
      else if (what < 6) world.thread(name).hang();
      else if (what < 7) world.broken = true;
      else if (what < 8) world.wreck = 'tables';
      else void world.supervisor.restart(name).catch(() => {});
      await pause(random(20));
    }
    await pause(300);
    await world.running();
    expect(world.broken).toBe(false);
  }, 30_000);
});

describe('an actor for which there is room', () => {
  const added = topology.actor('fuse-2');
  const row = (): ActorState => world.row(added);

  test('is added, serves, is revived, retires, and comes again: each life begins without a past', async () => {
    for (let life = 1; life <= 3; life++) {
      world.log.length = 0;
      await world.supervisor.add(added);
      expect(world.stateOf('fuse-2')).toBe('ready');
      expect([row().isReserved, row().restarts, world.restartsOf('fuse-2')]).toEqual([false, 0, 0]);
      expect(row().firstIncarnation).toBe(row().incarnation);
      world.thread('fuse-2').die();
      await until(() => world.restartsOf('fuse-2') === 1);
      await world.running(['fuse-2']);
      expect([row().restarts, row().incarnation]).toEqual([1, 2 * life]);
      await world.supervisor.retire(added);
      expect(world.stateOf('fuse-2')).toBe('absent');
      expect([row().isReserved, row().label]).toEqual([true, 'absent']);
      expect(world.thread('fuse-2').isAlive).toBe(false);
      expect(world.log.slice(-4)).toEqual(['stop fuse-2', 'end fuse-2', 'clear fuse-2', 'vacate fuse-2']);
    }
  });

  test('and that does not start: that is said, nothing is left of it, and the others go on', async () => {
    world.slow.add('fuse-2');
    const adding = expect(world.supervisor.add(added)).rejects.toThrow(
      'actor fuse-2 did not start: no such CPU',
    );
    await until(() => world.threads.has('fuse-2'));
    world.thread('fuse-2').die(new Error('no such CPU'));
    await adding;
    expect(row().isReserved).toBe(true);
    expect(world.log).toEqual(['start fuse-2', 'end fuse-2', 'clear fuse-2', 'vacate fuse-2']);
    await world.running();
    world.slow.clear();
    await world.supervisor.add(added);
    expect(world.stateOf('fuse-2')).toBe('ready');
  });

  test('and that dies on its way out: its successor brings to an end what it was at, and is asked again', async () => {
    await world.supervisor.add(added);
    world.log.length = 0;
    world.onStop = () => {
      world.onStop = () => false;
      world.thread('fuse-2').die();
      return true;
    };
    await world.supervisor.retire(added);
    expect(world.log.filter((line) => !line.startsWith('resume'))).toEqual([
      'stop fuse-2',
      'end fuse-2',
      'clear fuse-2',
      'start fuse-2',
      'stop fuse-2',
      'end fuse-2',
      'clear fuse-2',
      'vacate fuse-2',
    ]);
  });

  test('whose successor finds that it was asked to stop already goes all the same', async () => {
    await world.supervisor.add(added);
    let asked = 0;
    world.onStop = () => {
      if (++asked === 1) world.thread('fuse-2').die();
      return true;
    };
    const retiring = world.supervisor.retire(added);
    await until(() => world.restartsOf('fuse-2') === 1);
    const thread = world.thread('fuse-2');
    await until(() => thread.row.get() === READY);
    thread.row.set(DRAINING);
    thread.row.set(STOPPED);
    await retiring;
    expect(row().isReserved).toBe(true);
  });

  test('is not started while it is absent, whatever happens to the tables and the others', async () => {
    await world.supervisor.rebuild();
    await world.running();
    await world.supervisor.add(added);
    world.log.length = 0;
    await world.supervisor.rebuild();
    expect(world.log).toContain('start fuse-2');
    await world.supervisor.retire(added);
    world.log.length = 0;
    await world.supervisor.rebuild();
    expect(world.log.filter((line) => line.includes('fuse-2'))).toEqual([]);
  });

  test('is added only once the tables are whole, and one that is leaving is gone before they are made anew', async () => {
    let done: (errno: number) => void = () => {};
    world.rebuilt = () =>
      new Promise((resolve) => {
        done = resolve;
      });
    const rebuilding = world.supervisor.rebuild();
    await until(() => world.log.includes('rebuild'));
    const adding = world.supervisor.add(added);
    await pause(30);
    expect(world.log).not.toContain('start fuse-2');
    done(0);
    await Promise.all([rebuilding, adding]);
    expect(world.stateOf('fuse-2')).toBe('ready');
    const again = world.supervisor.rebuild();
    const retiring = world.supervisor.retire(added);
    await until(() => world.log.filter((line) => line === 'rebuild').length === 2);
    expect(world.thread('fuse-2').isAlive).toBe(false);
    done(0);
    await Promise.all([again, retiring]);
    expect(world.stateOf('fuse-2')).toBe('absent');
    await world.running();
  });

  test('is no name for the console while it is absent, and a restart of one that leaves ends with a sentence', async () => {
    await expect(world.supervisor.restart('fuse-2')).rejects.toThrow(
      /no supervised actor is named 'fuse-2'; there are .*fuse-1$/,
    );
    await world.supervisor.add(added);
    world.asleep = false;
    const restarting = world.supervisor.restart('fuse-2');
    const failed = expect(restarting).rejects.toThrow('actor fuse-2 is absent: it is not needed any more');
    await world.supervisor.retire(added);
    await failed;
  });

  test('retires as well when all stop: whoever waits for it hears of it', async () => {
    await world.supervisor.add(added);
    row().set(DRAINING);
    row().set(STOPPED);
    await world.supervisor.stopped(added);
    await world.supervisor.retire(added);
    expect(world.stateOf('fuse-2')).toBe('stopped');
  });

  test('adding and retiring at random, with deaths at any moment, ends as was asked last', async () => {
    await serving(1000);
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
    console.log(`seed ${seed}`);
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const others = ['fuse-2', 'fuse-3'].map((name) => topology.actor(name));
    let isOver = false;
    const dying = (async () => {
      while (!isOver) {
        await pause(random(20));
        const { name } = others[random(2)]!;
        const thread = world.threads.get(name);
        if (thread?.isAlive && ['ready', 'draining'].includes(world.stateOf(name))) thread.die();
      }
    })();
    world.onStop = (name) => {
      if (random(2) === 0) return false;
      world.thread(name).die();
      return true;
    };
    for (let n = 0; n < 12; n++) {
      for (const actor of others) {
        const isThere = !world.row(actor).isReserved && world.stateOf(actor.name) !== 'absent';
        if (isThere) await world.supervisor.retire(actor);
        else await world.supervisor.add(actor);
        expect(world.row(actor).isReserved).toBe(isThere);
      }
    }
    isOver = true;
    await dying;
    await world.running();
  }, 60_000);
});

/** The supervisor over threads that are made up: who is ended, started and asked, and in which order. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DRAINING, FAILED, GATE_CLOSED, READY, STOPPED } from '../../runtime/scheduling/actor-state.ts';
import { seeded, testSeed } from '../seed.ts';
import { ALL, beginning, end, pause, serving, topology, until, world } from './made-up-threads.ts';

beforeEach(() => serving());
afterEach(end);

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
    beginning();
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
    const random = seeded(testSeed('deaths, hangs and restarts'));
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

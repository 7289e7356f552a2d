/** Actors that come and go while the others serve, over threads that are made up. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ActorState, DRAINING, READY, STOPPED } from '../../runtime/scheduling/actor-state.ts';
import { seeded, testSeed } from '../seed.ts';
import { end, pause, serving, topology, until, world } from './made-up-threads.ts';

beforeEach(() => serving());
afterEach(end);

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
    const random = seeded(testSeed('actors that come and go'));
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

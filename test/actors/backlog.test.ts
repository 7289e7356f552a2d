import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Backlog, type Outcome } from '../../actors/indexer/backlog.ts';
import { MountUse } from '../../actors/indexer/mount-use.ts';
import { WorkList } from '../../actors/indexer/work-list.ts';
import { openLog } from '../../runtime/log.ts';
import type { Region } from '../../runtime/memory/arena.ts';
import { ActorState, actorStateBytes } from '../../runtime/scheduling/actor-state.ts';
import { Random } from '../kernels/random.ts';

describe('WorkList', () => {
  it('gives a file out once nobody has written to it for the settle time', () => {
    const list = new WorkList(() => 100);
    list.changed(1, 0);
    list.changed(2, 50);
    expect(list.take(99, false)).toBe(-1);
    expect(list.nextDueIn(99)).toBe(1);
    list.changed(1, 99);
    expect(list.take(150, false)).toBe(2);
    expect(list.take(198, false)).toBe(-1);
    expect(list.take(199, false)).toBe(1);
    expect(list.nextDueIn(199)).toBe(Number.POSITIVE_INFINITY);
  });

  it('gives out what is not due to who is in a hurry, oldest first', () => {
    const list = new WorkList(() => 100);
    for (const ino of [3, 1, 2]) list.changed(ino, 0);
    expect([list.take(0, true), list.take(0, true), list.take(0, true), list.take(0, true)]).toEqual([
      3, 1, 2, -1,
    ]);
  });

  it('does what a list sorted by time of change does, whatever comes in which order', () => {
    const seed = 7;
    const random = new Random(seed);
    const list = new WorkList(() => 100);
    const model = new Map<number, number>();
    for (let now = 0, step = 0; step < 4000; step++, now += random.below(20)) {
      const ino = 1 + random.below(random.below(100) === 0 ? 5000 : 50);
      if (random.below(3) > 0) {
        list.changed(ino, now);
        model.delete(ino);
        model.set(ino, now + 100);
      }
      const inHurry = random.below(50) === 0;
      const [first] = model;
      const due = first !== undefined && (first[1] <= now || inHurry) ? first[0] : -1;
      if (random.below(2) === 0) {
        expect(list.take(now, inHurry), `seed ${seed}, step ${step}`).toBe(due);
        model.delete(due);
      }
      expect(list.size).toBe(model.size);
    }
    expect([...list.files()]).toEqual([...model.keys()]);
  });
});

describe('MountUse', () => {
  it('is in use while the fuse actors have a request every other millisecond', () => {
    let now = 0;
    const region = { i32: new Int32Array(actorStateBytes(2) / 4) } as Region;
    const states = [0, 1].map((slot) => new ActorState(region, slot));
    const use = new MountUse(states, () => now);
    const requests = (count: number, ms: number): boolean => {
      for (let n = 0; n < count; n++) states[n % 2]!.beat();
      now += ms;
      return use.isInUse();
    };
    expect([requests(4, 10), requests(5, 10), requests(100, 1), requests(0, 10), requests(0, 10)]).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('Backlog', () => {
  let isInUse = false;
  /** Files being indexed, and how to end each. */
  let running: Map<number, (outcome: Outcome | Error) => void>;
  let backlog: Backlog;
  const logger = openLog('test', 'silent', 2);

  beforeEach(() => {
    vi.useFakeTimers();
    running = new Map();
    backlog = new Backlog({
      index: (ino) =>
        new Promise((resolve, reject) => {
          expect(running.has(ino)).toBe(false);
          running.set(ino, (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)));
        }),
      settleMs: () => 100,
      parallel: 2,
      isInUse: () => isInUse,
      now: () => Date.now(),
      logger,
    });
  });
  afterEach(() => vi.useRealTimers());

  async function end(ino: number, outcome: Outcome | Error = 'indexed'): Promise<void> {
    const finish = running.get(ino)!;
    running.delete(ino);
    finish(outcome);
    await vi.advanceTimersByTimeAsync(0);
  }

  /** Whether a promise has resolved yet. */
  async function isDone(promise: Promise<unknown>): Promise<boolean> {
    return Promise.race([promise.then(() => true), Promise.resolve().then(() => Promise.resolve(false))]);
  }

  it('begins a file when it has settled, at most two at once', async () => {
    for (const ino of [1, 2, 3]) backlog.changed(ino);
    await vi.advanceTimersByTimeAsync(99);
    expect([...running.keys()]).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([...running.keys()]).toEqual([1, 2]);
    await end(1);
    expect([...running.keys()]).toEqual([2, 3]);
    expect(backlog.progress).toMatchObject({ pending: 2, indexed: 1 });
  });

  it('deals at once with what takes no time, a turn at a time, in order of age', async () => {
    const begun: number[] = [];
    const quick = new Backlog({
      index: (ino) => {
        begun.push(ino);
        return 'passed over';
      },
      settleMs: () => 100,
      parallel: 2,
      isInUse: () => false,
      now: () => Date.now(),
      logger,
    });
    const files = Array.from({ length: 1000 }, (_, i) => i + 1);
    for (const ino of files) quick.changed(ino);
    const waiting = quick.caughtUp(10_000);
    expect(begun.length).toBeLessThan(1000);
    await vi.advanceTimersByTimeAsync(50);
    await waiting;
    expect(begun).toEqual(files);
    expect(quick.progress).toMatchObject({ pending: 0, passedOver: 1000 });
  });

  it('does a file again that changes while it is being indexed', async () => {
    backlog.changed(1);
    await vi.advanceTimersByTimeAsync(100);
    backlog.changed(1);
    backlog.changed(1);
    await end(1);
    expect(backlog.progress.pending).toBe(1);
    await vi.advanceTimersByTimeAsync(100);
    await end(1);
    expect(backlog.progress).toMatchObject({ pending: 0, indexed: 2 });
  });

  it('counts a file that throws as failed and goes on', async () => {
    backlog.changed(1);
    backlog.changed(2);
    await vi.advanceTimersByTimeAsync(100);
    await end(1, new Error('boom'));
    await end(2, 'passed over');
    expect(backlog.progress).toEqual({ pending: 0, indexed: 0, passedOver: 1, failed: 1 });
  });

  it('is caught up at once when nothing waits', async () => {
    await backlog.caughtUp(1000);
  });

  it('is in a hurry while somebody waits, and no longer', async () => {
    backlog.changed(1);
    const waiting = backlog.caughtUp(10_000);
    expect([...running.keys()]).toEqual([1]);
    await end(1);
    await waiting;
    backlog.changed(2);
    expect([...running.keys()]).toEqual([]);
  });

  it('waits for a file that is to be done again, but not for files that change later', async () => {
    backlog.changed(1);
    await vi.advanceTimersByTimeAsync(100);
    backlog.changed(1);
    const waiting = backlog.caughtUp(10_000);
    backlog.changed(2);
    backlog.changed(3);
    await end(1);
    expect(await isDone(waiting)).toBe(false);
    await end(2);
    await end(3);
    await end(1, 'changed meanwhile');
    expect(await isDone(waiting)).toBe(false);
    await end(1);
    await waiting;
  });

  it('gives up waiting after the time-out, and is in no hurry then', async () => {
    backlog.changed(1);
    const waiting = backlog.caughtUp(500);
    await vi.advanceTimersByTimeAsync(500);
    await waiting;
    backlog.changed(2);
    expect(running.has(2)).toBe(false);
  });

  describe('while the mount is in use', () => {
    beforeEach(() => {
      isInUse = true;
    });
    afterEach(() => {
      isInUse = false;
    });

    async function batchOf(ms: number): Promise<void> {
      for (const ino of [1, 2, 3]) backlog.changed(ino);
      await vi.advanceTimersByTimeAsync(100 + ms);
      await end(1);
      expect([...running.keys()]).toEqual([2]);
      await end(2);
      expect([...running.keys()]).toEqual([]);
    }

    it('rests after a batch, four times as long as that took', async () => {
      await batchOf(50);
      await vi.advanceTimersByTimeAsync(199);
      expect([...running.keys()]).toEqual([]);
      await vi.advanceTimersByTimeAsync(20);
      expect([...running.keys()]).toEqual([3]);
    });

    it('goes on once it is in use no more', async () => {
      await batchOf(50);
      isInUse = false;
      await vi.advanceTimersByTimeAsync(20);
      expect([...running.keys()]).toEqual([3]);
    });

    it('does not rest while somebody waits for the index', async () => {
      await batchOf(50);
      void backlog.caughtUp(1000);
      expect([...running.keys()]).toEqual([3]);
      await end(3);
    });
  });

  it('stops when what is under way has ended, and begins nothing more', async () => {
    backlog.changed(1);
    backlog.changed(2);
    await vi.advanceTimersByTimeAsync(100);
    backlog.changed(3);
    const stopped = backlog.stop();
    await end(1);
    expect(await isDone(stopped)).toBe(false);
    await end(2);
    await stopped;
    await vi.advanceTimersByTimeAsync(1000);
    expect(running.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

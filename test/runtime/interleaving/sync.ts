/** Mutex, sequence lock, semaphore, condition, barrier, once. */
import { threadId } from 'node:worker_threads';
import type { Region } from '../../../runtime/memory/arena.ts';
import { Barrier } from '../../../runtime/sync/barrier.ts';
import { Condition } from '../../../runtime/sync/condition.ts';
import { Mutex } from '../../../runtime/sync/mutex.ts';
import { Once } from '../../../runtime/sync/once.ts';
import { Semaphore } from '../../../runtime/sync/semaphore.ts';
import { SequenceLock } from '../../../runtime/sync/sequence-lock.ts';
import { expect, FLAG, NO_SPIN, nothing, type Scenario } from './scenario.ts';

const lockedIncrement = ({ i32 }: Region): (() => void) => {
  const mutex = new Mutex(i32, 0, NO_SPIN);
  return () => {
    mutex.lock();
    Atomics.store(i32, FLAG, Atomics.load(i32, FLAG) + 1);
    mutex.unlock();
  };
};

/** Node's thread id of the thread that may end, for its heir. */
const MORTAL_ID = 48;
const DEAD = 49;
/** Per thread: it is between lock and unlock. */
const INSIDE = 100;

/** Locks once; fails if a living thread has the lock as well. */
const lockedVisit =
  (thread: number, threads: number) =>
  ({ i32 }: Region): (() => void) => {
    const mutex = new Mutex(i32, 0, NO_SPIN);
    if (thread === 0) i32[MORTAL_ID] = threadId;
    return () => {
      mutex.lock();
      Atomics.store(i32, INSIDE + thread, 1);
      for (let other = 0; other < threads; other++) {
        if (other === thread || i32[INSIDE + other] === 0) continue;
        expect(other === 0 && i32[DEAD] === 1, `threads ${thread} and ${other} hold the lock`);
      }
      Atomics.store(i32, INSIDE + thread, 0);
      mutex.unlock();
      i32[FLAG + thread] = 1;
    };
  };

const lockBreaker = ({ i32 }: Region): (() => void) => {
  const mutex = new Mutex(i32, 0, NO_SPIN);
  return () => {
    i32[DEAD] = 1;
    const held = mutex.breakFor(i32[MORTAL_ID]!);
    expect(held || i32[INSIDE] === 0, 'the lock of a thread that ended inside is broken');
  };
};

function checkVisits({ i32 }: Region, threads: number, alive: boolean): void {
  expect(i32[0] === 0, 'the lock is free');
  for (let thread = alive ? 0 : 1; thread < threads; thread++) {
    expect(i32[FLAG + thread] === 1, `thread ${thread} got the lock`);
  }
}

/** The breaker that only frees: a thread that was woken, or was to wake one, has taken that with it. */
const silentBreaker = ({ i32 }: Region): (() => void) => {
  return () => {
    i32[DEAD] = 1;
    if ((Atomics.load(i32, 0) & 0xffff) === i32[MORTAL_ID]! + 1) Atomics.store(i32, 0, 0);
  };
};

function writesPair({ i32 }: Region): () => void {
  const lock = new SequenceLock(i32, 0, NO_SPIN);
  return () => {
    lock.writeBegin();
    Atomics.store(i32, FLAG, 1);
    Atomics.store(i32, FLAG + 1, 1);
    lock.writeEnd();
  };
}

function readsPair({ i32 }: Region): () => void {
  const lock = new SequenceLock(i32, 0, NO_SPIN);
  return () => {
    let seen: number;
    let sum: number;
    do {
      seen = lock.readBegin();
      sum = Atomics.load(i32, FLAG) + Atomics.load(i32, FLAG + 1);
    } while (lock.readRetry(seen));
    expect(sum !== 1, 'a reader sees all of a write or nothing');
  };
}

export const sync: Record<string, Scenario> = {
  'mutex, two threads': {
    bytes: 4096,
    threads: [lockedIncrement, lockedIncrement],
    setup: nothing,
    check: ({ i32 }) => expect(i32[FLAG] === 2 && i32[0] === 0, 'both increments count'),
  },
  'mutex, three threads': {
    bytes: 4096,
    threads: [lockedIncrement, lockedIncrement, lockedIncrement],
    setup: nothing,
    check: ({ i32 }) => expect(i32[FLAG] === 3 && i32[0] === 0, 'all increments count'),
  },
  'mutex, one of two threads ends': {
    bytes: 4096,
    threads: [lockedVisit(0, 2), lockedVisit(1, 2)],
    mortal: 0,
    heir: lockBreaker,
    setup: nothing,
    check: (memory, alive) => checkVisits(memory, 2, alive),
  },
  'mutex, one of three threads ends': {
    bytes: 4096,
    threads: [lockedVisit(0, 3), lockedVisit(1, 3), lockedVisit(2, 3)],
    mortal: 0,
    heir: lockBreaker,
    setup: nothing,
    check: (memory, alive) => checkVisits(memory, 3, alive),
  },
  'mutex, broken without waking anybody': {
    bytes: 4096,
    threads: [lockedVisit(0, 2), lockedVisit(1, 2)],
    mortal: 0,
    heir: silentBreaker,
    setup: nothing,
    check: (memory, alive) => checkVisits(memory, 2, alive),
  },
  'sequence lock, the writer ends and another takes over': {
    bytes: 4096,
    threads: [writesPair, readsPair],
    mortal: 0,
    heir: ({ i32 }) => {
      const lock = new SequenceLock(i32, 0, NO_SPIN);
      return () => {
        if (!lock.writing) lock.writeBegin();
        Atomics.store(i32, FLAG, 1);
        Atomics.store(i32, FLAG + 1, 1);
        lock.writeEnd();
      };
    },
    setup: nothing,
    check: ({ i32 }) => expect((i32[0]! & 1) === 0 && i32[FLAG + 1] === 1, 'the write is done'),
  },
  'sequence lock': {
    bytes: 4096,
    threads: [writesPair, readsPair],
    setup: nothing,
    check: nothing,
  },
  'semaphore, two takers of two permits given one by one': {
    bytes: 4096,
    threads: [
      ({ i32 }) => {
        const semaphore = new Semaphore(i32, 0, NO_SPIN);
        return () => semaphore.acquire();
      },
      ({ i32 }) => {
        const semaphore = new Semaphore(i32, 0, NO_SPIN);
        return () => semaphore.acquire();
      },
      ({ i32 }) => {
        const semaphore = new Semaphore(i32, 0, NO_SPIN);
        return () => {
          semaphore.release();
          semaphore.release();
        };
      },
    ],
    setup: nothing,
    check: ({ i32 }) => expect(i32[0] === 0 && i32[1] === 0, 'both permits are taken'),
  },
  'condition, a notify between unlock and park': {
    bytes: 4096,
    threads: [
      ({ i32 }) => {
        const mutex = new Mutex(i32, 0, NO_SPIN);
        const condition = new Condition(i32, 8);
        return () => {
          mutex.lock();
          while (Atomics.load(i32, FLAG) === 0) condition.wait(mutex);
          mutex.unlock();
        };
      },
      ({ i32 }) => {
        const mutex = new Mutex(i32, 0, NO_SPIN);
        const condition = new Condition(i32, 8);
        return () => {
          mutex.lock();
          Atomics.store(i32, FLAG, 1);
          condition.notifyOne();
          mutex.unlock();
        };
      },
    ],
    setup: nothing,
    check: nothing,
  },
  'barrier, two rounds': {
    bytes: 4096,
    threads: [0, 1].map((thread) => ({ i32 }: Region) => {
      const barrier = new Barrier(i32, 0, 2, NO_SPIN);
      return () => {
        for (let round = 1; round <= 2; round++) {
          i32[FLAG + thread] = round;
          barrier.wait();
          expect(i32[FLAG + 1 - thread]! >= round, 'nobody passes before the other has arrived');
        }
      };
    }),
    setup: nothing,
    check: nothing,
  },
  'once, two threads': {
    bytes: 4096,
    threads: [0, 1].map(() => ({ i32 }: Region) => {
      const once = new Once(i32, 0);
      return () => {
        once.run(() => Atomics.add(i32, FLAG, 1));
        expect(i32[FLAG] === 1, 'it has been done when run() returns');
      };
    }),
    setup: nothing,
    check: ({ i32 }) => expect(i32[FLAG] === 1, 'it is done once'),
  },
};

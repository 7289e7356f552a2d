import { describe, expect, test } from 'vitest';
import { explore } from './interleaving/explore.ts';

const LONG = 120_000;

describe('interleavings of the atomic operations, exhaustively', () => {
  test.each([
    ['doorbell, one ringer', Number.POSITIVE_INFINITY],
    ['doorbell, two ringers', 2],
    ['doorbell, two ringers that ring twice', 2],
    ['mailbox with a full lane, over the wrap of the indexes', 2],
    ['ring that is full again and again', 3],
    ['magazine list, one popped while two are popped and one comes back', 3],
    ['slab, two threads open a span for one class', 2],
    ['slab, a thread dies while it allocates', 0],
    ['slab, a thread dies while it frees', 0],
    ['slab, a thread dies with blocks of whole spans', 0],
    ['slab, a thread dies while another changes the same list', 1],
    ['slab, a thread dies while another pops what it pushed', 1],
    ['slab, a thread dies while another opens a span too', 1],
    ['slab, the keeper dies while it puts a span together', 0],
    ['slab, the keeper dies while another takes of what it puts together', 1],
    ['mutex, two threads', 3],
    ['mutex, three threads', 1],
    ['mutex, one of two threads ends', 2],
    ['mutex, one of three threads ends', 1],
    ['sequence lock', Number.POSITIVE_INFINITY],
    ['sequence lock, the writer ends and another takes over', Number.POSITIVE_INFINITY],
    ['store status, io-0 ends and its successor writes', 0],
    ['journal, a writer that waits for room ends', 1],
    ['log state, an object is written while io-0 and a fuse actor commit', 1],
    ['log state, a fuse actor ends while it appends', 1],
    ['semaphore, two takers of two permits given one by one', 1],
    ['condition, a notify between unlock and park', 2],
    ['barrier, two rounds', 2],
    ['once, two threads', Number.POSITIVE_INFINITY],
    ['deque, one task, an owner and a thief', Number.POSITIVE_INFINITY],
    ['deque, two tasks, an owner and a thief', 3],
    ['deque, an owner and two thieves', 2],
    ['deque that is full, over the wrap of the counts', 3],
    ['task board, a helper', 2],
    ['task board, a helper that cannot help', 2],
    ['task board, a helper that dies', 2],
    ['task board, a helper that sleeps', 2],
  ])(
    '%s (at most %f preemptions): nothing is lost, torn or stuck',
    async (name, preemptions) => {
      const started = performance.now();
      const schedules = await explore(name, preemptions);
      console.log(`${name}: ${schedules} schedules, ${Math.round(performance.now() - started)} ms`);
      expect(schedules).toBeGreaterThan(10);
    },
    LONG,
  );

  test(
    'a ringer that looks before it bumps loses a wake-up, and the explorer finds the schedule',
    async () => {
      await expect(explore('doorbell, hasty ringer')).rejects.toThrow('deadlock');
    },
    LONG,
  );

  test(
    'a lock broken without waking those who are parked leaves one parked, and the explorer finds the schedule',
    async () => {
      await expect(explore('mutex, broken without waking anybody', 2)).rejects.toThrow('deadlock');
    },
    LONG,
  );

  test(
    'a flush that vouches for what became dirty during it lets a record be durable before its object, and the explorer finds the schedule',
    async () => {
      const name = 'log state, dirty during a flush counts as flushed';
      await expect(explore(name, 2)).rejects.toThrow('durable before the record');
    },
    LONG,
  );

  test(
    'a deque whose owner takes the last task without an exchange gives it out twice, and the explorer finds the schedule',
    async () => {
      await expect(explore('deque, a careless owner')).rejects.toThrow('taken 2 times');
    },
    LONG,
  );

  test(
    'an exchange that nobody confirms is undone by the successor, and the explorer finds the schedule',
    async () => {
      const name = 'slab, a thread dies while one without a row pops what it pushed';
      await expect(explore(name, 1)).rejects.toThrow(/in two places|free and held/);
    },
    LONG,
  );

  test(
    'a free list without tags loses blocks to ABA, and the explorer finds the schedule',
    async () => {
      await expect(explore('magazine list without tags')).rejects.toThrow('lost or doubled');
    },
    LONG,
  );
});

import { beforeEach, describe, expect, test } from 'vitest';
import { Arena, type Region } from '../../runtime/memory/arena.ts';
import { formatBoard, peekBoard, planBoard } from '../../runtime/scheduling/board-layout.ts';
import { Deque, dequeBytes, NOTHING } from '../../runtime/scheduling/deque.ts';
import { helpersWanted, victimsOf, WAKE_MS } from '../../runtime/scheduling/steal-policy.ts';
import { TaskBoard } from '../../runtime/scheduling/task-board.ts';
import { randomFrom, testSeed } from '../seed.ts';
import { startWorker } from './stress.ts';

const SEARCH = 7;
const WORKERS = 3;
const READY = 2;
const FAILED = 5;

let region: Region;
let states: { incarnation: number; state: number; get(): number }[];
let rung: number[];
let now: number;
beforeEach(() => {
  const plan = [{ name: 'board', bytes: planBoard(WORKERS, 64, 4) }];
  region = Arena.create(plan).region('board');
  formatBoard(region, WORKERS, 64, 4);
  states = Array.from({ length: WORKERS }, () => ({
    incarnation: 1,
    state: READY,
    get() {
      return this.state;
    },
  }));
  rung = [];
  now = 0;
});

function worker(self: number, victims = victimsOf(self, WORKERS)): TaskBoard {
  return new TaskBoard(region, {
    self,
    victims,
    states,
    ring: (other) => rung.push(other),
    now: () => now,
  });
}

function post(board: TaskBoard, ...tasks: number[]): void {
  for (const task of tasks) {
    const at = board.claim(SEARCH, 8);
    expect(at % 64).toBe(0);
    board.u32[at >> 2] = task;
    board.post();
  }
}

/** What next() takes; undefined when there is nothing. */
function take(board: TaskBoard, mayHelp = true): number | undefined {
  return board.next(mayHelp) ? board.u32[board.offset >> 2] : undefined;
}

function work(board: TaskBoard): number[] {
  const done: number[] = [];
  for (let task = take(board); task !== undefined; task = take(board)) {
    done.push(task);
    board.done();
  }
  return done;
}

describe('task board', () => {
  test('the owner takes the oldest of its tasks first, and others do too', () => {
    const owner = worker(0);
    const helper = worker(1);
    post(owner, 1, 2, 3);
    expect(take(owner)).toBe(1);
    expect(take(helper)).toBe(2);
    expect([helper.owner, helper.kind, helper.bytes, helper.isOwn]).toEqual([0, SEARCH, 8, false]);
    helper.done();
    owner.done();
    expect(work(owner)).toEqual([3]);
    expect(peekBoard(region)[1]).toMatchObject({ run: 1, stolen: 1, posted: 0 });
    expect(peekBoard(region)[0]).toMatchObject({ run: 2, stolen: 0, posted: 3, waiting: 0 });
  });

  test('an idle worker robs the nearest that has something', () => {
    const distances = [
      [0, 9, 1],
      [9, 0, 9],
      [1, 9, 0],
    ];
    expect(victimsOf(0, 3, distances)).toEqual([2, 1]);
    const thief = worker(0, victimsOf(0, 3, distances));
    post(worker(1), 1);
    post(worker(2), 2);
    expect(take(thief)).toBe(2);
    thief.done();
    expect(take(thief)).toBe(1);
  });

  test('among workers as near, each begins with its neighbour', () => {
    expect([0, 1, 2, 3].map((self) => victimsOf(self, 4))).toEqual([
      [1, 2, 3],
      [2, 3, 0],
      [3, 0, 1],
      [0, 1, 2],
    ]);
  });

  test('without stealing nobody looks at others, and nobody is woken', () => {
    const owner = worker(0);
    const other = worker(1);
    owner.stealing = false;
    other.stealing = false;
    expect(take(other)).toBeUndefined();
    post(owner, 1, 2, 3);
    owner.wake();
    expect(rung).toEqual([]);
    expect(take(other)).toBeUndefined();
    expect(work(owner)).toEqual([1, 2, 3]);
  });

  test('idle workers are woken for what the owner cannot do at once, each once', () => {
    const owner = worker(0);
    const idle = [worker(1), worker(2)];
    for (const board of idle) expect(take(board)).toBeUndefined();
    expect(peekBoard(region).map(({ isIdle }) => isIdle)).toEqual([false, true, true]);
    post(owner, 1);
    owner.wake();
    expect(rung).toEqual([]);
    post(owner, 2);
    owner.wake();
    expect(rung).toEqual([1]);
    post(owner, 3, 4);
    owner.wake();
    owner.wake();
    expect(rung).toEqual([1, 2]);
  });

  test('tasks that are over before somebody has woken are not worth it', () => {
    expect(helpersWanted(1, 100)).toBe(0);
    expect(helpersWanted(2, 100)).toBe(1);
    expect(helpersWanted(4, 100)).toBe(3);
    expect(helpersWanted(4, WAKE_MS / 4)).toBe(0);
    const owner = worker(0);
    take(worker(1));
    for (let i = 0; i < 100; i++) {
      post(owner, 1);
      work(owner);
    }
    post(owner, 1, 2, 3, 4);
    owner.wake();
    expect(rung).toEqual([]);
  });

  test('more tasks than there are slots are refused until one is done', () => {
    const owner = worker(0);
    post(owner, 1, 2, 3, 4);
    expect(owner.claim(SEARCH, 8)).toBe(-1);
    take(owner);
    expect(owner.claim(SEARCH, 8)).toBe(-1);
    owner.done();
    post(owner, 5);
    expect(work(owner)).toEqual([2, 3, 4, 5]);
  });

  test('a task that a helper cannot do goes back to its owner, who is rung', () => {
    const owner = worker(0);
    const helper = worker(1);
    post(owner, 1, 2);
    take(helper);
    helper.giveBack();
    expect(rung).toEqual([0]);
    expect(work(helper)).toEqual([2]);
    expect(owner.sleepMs).toBeLessThan(100);
    expect(work(owner)).toEqual([1]);
    expect(owner.sleepMs).toBe(Number.POSITIVE_INFINITY);
    expect(peekBoard(region)[1]).toMatchObject({ givenBack: 1, stolen: 1 });
  });

  test('the task of a helper that stopped is done by its owner', () => {
    const owner = worker(0);
    post(owner, 1);
    take(worker(1));
    expect(take(owner)).toBeUndefined();
    states[1]!.state = FAILED;
    expect(work(owner)).toEqual([1]);
    expect(peekBoard(region)[0]).toMatchObject({ takenOver: 1 });
  });

  test('the task of a helper that was restarted is done by its owner, once', () => {
    const owner = worker(0);
    post(owner, 1);
    const dead = worker(1);
    take(dead);
    states[1]!.incarnation = 2;
    const successor = worker(1);
    expect(take(successor)).toBeUndefined();
    expect(take(owner)).toBe(1);
    // A thread thought dead that says so after all changes nothing.
    dead.done();
    expect(take(successor)).toBeUndefined();
    owner.done();
    expect(work(owner)).toEqual([]);
  });

  test('the successor of an owner runs nothing of what the owner had posted', () => {
    const dead = worker(0);
    const helper = worker(1);
    post(dead, 1, 2, 3);
    take(helper);
    take(dead);
    states[0]!.incarnation = 2;
    const successor = worker(0);
    expect(take(successor)).toBeUndefined();
    expect(take(worker(2))).toBeUndefined();
    helper.giveBack();
    expect(take(successor)).toBeUndefined();
    expect(successor.sleepMs).toBe(Number.POSITIVE_INFINITY);
    post(successor, 4, 5, 6, 7);
    expect(work(successor)).toEqual([4, 5, 6, 7]);
  });

  test('a helper of a dead owner finishes, and its slot is free again', () => {
    const dead = worker(0);
    const helper = worker(1);
    post(dead, 1);
    take(helper);
    states[0]!.incarnation = 2;
    const successor = worker(0);
    post(successor, 2, 3, 4);
    expect(successor.claim(SEARCH, 8)).toBe(-1);
    helper.done();
    post(successor, 5);
    expect(work(successor)).toEqual([2, 3, 4, 5]);
  });

  test('a slot is used again more often than a generation counts', () => {
    const plan = [{ name: 'board', bytes: planBoard(WORKERS, 64, 1) }];
    region = Arena.create(plan).region('board');
    formatBoard(region, WORKERS, 64, 1);
    const owner = worker(0);
    let right = 0;
    for (let i = 1; i <= 70_000; i++) {
      owner.u32[owner.claim(SEARCH, 4) >> 2] = i;
      owner.post();
      if (take(owner) === i) right++;
      owner.done();
    }
    expect(right).toBe(70_000);
  });
});

describe('deque', () => {
  const deque = () => new Deque(new Uint32Array(new SharedArrayBuffer(dequeBytes(4))), 0, 4);

  test('the owner pops the youngest, thieves steal the oldest', () => {
    const tasks = deque();
    for (const task of [1, 2, 3]) tasks.push(task);
    expect([tasks.pop(), tasks.steal(), tasks.depth]).toEqual([3, 1, 1]);
    expect([tasks.pop(), tasks.pop(), tasks.steal()]).toEqual([2, NOTHING, NOTHING]);
  });

  test('a full deque refuses, and takes again once something is gone', () => {
    const tasks = deque();
    expect([1, 2, 3, 4, 5].map((task) => tasks.push(task))).toEqual([true, true, true, true, false]);
    tasks.steal();
    expect(tasks.push(5)).toBe(true);
    expect([2, 3, 4, 5].map(() => tasks.steal())).toEqual([2, 3, 4, 5]);
  });

  test('an owner that died inside pop leaves a deque that its successor can use', () => {
    const u32 = new Uint32Array(new SharedArrayBuffer(dequeBytes(4)));
    const tasks = new Deque(u32, 0, 4);
    tasks.push(1);
    tasks.steal();
    // pop() had lowered bottom and not yet raised it again.
    u32[32] = u32[32]! - 1;
    const successor = new Deque(u32, 0, 4);
    successor.adopt();
    successor.push(2);
    expect([successor.depth, successor.steal()]).toEqual([1, 2]);
  });

  test('an owner and two thieves at full speed: each of many tasks is had once', async () => {
    const tasks = 100_000;
    const capacity = 16;
    const arena = Arena.create([
      { name: 'tasks', bytes: dequeBytes(capacity) },
      { name: 'taken', bytes: (tasks + 1) * 4 },
    ]);
    const seed = testSeed('tasks that are stolen');
    const random = randomFrom(seed);
    const taken = arena.region('taken').u32;
    const thieves = [0, 1].map(() => startWorker({ role: 'steal', buffer: arena.buffer, count: capacity }));
    const owner = new Deque(arena.region('tasks').u32, 0, capacity);
    const popOne = (): boolean => {
      const task = owner.pop();
      if (task !== NOTHING) Atomics.add(taken, task, 1);
      return task !== NOTHING;
    };
    for (let task = 1; task <= tasks; task++) {
      while (!owner.push(task)) popOne();
      if (random() < 0.4) popOne();
      // The others have to start, and want some to steal.
      if (task % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    while (popOne());
    Atomics.store(taken, 0, 1);
    await Promise.all(thieves);
    const wrong = taken.subarray(0, tasks + 1).findIndex((times, task) => task > 0 && times !== 1);
    expect(wrong, `seed ${seed}: task ${wrong} was had ${taken[wrong]} times`).toBe(-1);
  });
});

/** Scenarios of work stealing: the deque, and the task board with a thread that dies in every place. */
import type { Region } from '../../../runtime/memory/arena.ts';
import { Doorbell } from '../../../runtime/messaging/doorbell.ts';
import { formatBoard, planBoard } from '../../../runtime/scheduling/board-layout.ts';
import { Deque, LOST, NOTHING } from '../../../runtime/scheduling/deque.ts';
import { TaskBoard } from '../../../runtime/scheduling/task-board.ts';
import type { Scenario } from './scenario.ts';

const CAPACITY = 2;
const DEQUE = 0;
/** How often each task was taken: one word per task, away from what is tested. */
const TAKEN = 2048;
const MEMORY = 16_384;

function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

const dequeIn = ({ u32 }: Region): Deque => new Deque(u32, DEQUE, CAPACITY);

function note({ u32 }: Region, task: number): void {
  if (task !== NOTHING && task !== LOST) u32[TAKEN + task] = u32[TAKEN + task]! + 1;
}

/** Pushes what there is room for, popping one when there is none, then pops until it is empty. */
const ownerOf =
  (...tasks: number[]) =>
  (memory: Region): (() => void) => {
    const deque = dequeIn(memory);
    return () => {
      for (const task of tasks) while (!deque.push(task)) note(memory, deque.pop());
      for (let task = deque.pop(); task !== NOTHING; task = deque.pop()) note(memory, task);
    };
  };

const thief =
  (attempts: number) =>
  (memory: Region): (() => void) => {
    const deque = dequeIn(memory);
    return () => {
      for (let i = 0; i < attempts; i++) note(memory, deque.steal());
    };
  };

/** The mistake that the deque avoids: the last task is taken without an exchange. */
const carelessOwner = (memory: Region): (() => void) => {
  const deque = dequeIn(memory);
  const { u32 } = memory;
  return () => {
    deque.push(1);
    const bottom = Atomics.load(u32, 32) - 1;
    Atomics.store(u32, 32, bottom);
    if (Atomics.load(u32, 0) <= bottom) note(memory, Atomics.load(u32, 64 + bottom));
  };
};

/** Before the wrap of the counts: top and bottom begin at −1. */
function nearTheWrap({ u32 }: Region): void {
  u32[DEQUE] = 0xffff_ffff;
  u32[DEQUE + 32] = 0xffff_ffff;
}

const eachOnce =
  (tasks: number) =>
  (memory: Region): void => {
    for (let left = dequeIn(memory).steal(); left !== NOTHING; left = dequeIn(memory).steal())
      note(memory, left);
    for (let task = 1; task <= tasks; task++) {
      expect(memory.u32[TAKEN + task] === 1, `task ${task} was taken ${memory.u32[TAKEN + task]} times`);
    }
  };

const SLOTS = 2;
const WORKERS = 2;
const DONE = MEMORY / 4 - 64;
const BELLS = DONE + 32;
/** 0 = the worker lives, and its incarnation is 1; 1 = it has died, and nobody took its place. */
const DEAD = DONE + 16;
const NOT_NEEDED = DONE + 20;

function boardIn(memory: Region, self: number): TaskBoard {
  const state = (worker: number) => ({
    incarnation: 1,
    get: () => (Atomics.load(memory.u32, DEAD + worker) === 0 ? 2 : 5),
  });
  return new TaskBoard(memory, {
    self,
    victims: [1 - self],
    states: [state(0), state(1)],
    ring: (worker) => new Doorbell(memory.i32, BELLS + worker * Doorbell.WORDS, 0).ring(),
    now: () => 0,
  });
}

function post(board: TaskBoard, task: number): void {
  const at = board.claim(task, 4);
  expect(at >= 0, 'there is a slot');
  board.u32[at >> 2] = task;
  board.post();
}

function finish(memory: Region, board: TaskBoard): void {
  const task = board.u32[board.offset >> 2]!;
  expect(board.kind === task && board.bytes === 4, 'a task arrives as it was posted');
  memory.u32[DONE + task] = memory.u32[DONE + task]! + 1;
  board.done();
}

/** Posts two tasks and works until both are done, sleeping when there is nothing for it to do. */
const postsTwo = (memory: Region): (() => void) => {
  const board = boardIn(memory, 0);
  const doorbell = new Doorbell(memory.i32, BELLS, 0);
  return () => {
    post(board, 1);
    post(board, 2);
    board.wake();
    for (;;) {
      const seen = doorbell.seen();
      if (board.next()) finish(memory, board);
      else if (board.sleepMs === Number.POSITIVE_INFINITY) return;
      else doorbell.wait(seen, 1);
    }
  };
};

const helps = (memory: Region): (() => void) => {
  const board = boardIn(memory, 1);
  const doorbell = new Doorbell(memory.i32, BELLS, 0);
  return () => {
    while (board.next()) finish(memory, board);
    // In the model nobody looks again by himself after a while.
    doorbell.ring();
  };
};

const cannotHelp = (memory: Region): (() => void) => {
  const board = boardIn(memory, 1);
  return () => {
    if (board.next()) board.giveBack();
  };
};

/** Takes a task and dies. */
const dies = (memory: Region): (() => void) => {
  const board = boardIn(memory, 1);
  return () => {
    board.next();
    Atomics.store(memory.u32, DEAD + 1, 1);
    new Doorbell(memory.i32, BELLS, 0).ring();
  };
};

/** Sleeps once it has found nothing, until both tasks are done or it is told that it is not needed. */
const sleepsAndHelps = (memory: Region): (() => void) => {
  const board = boardIn(memory, 1);
  const doorbell = new Doorbell(memory.i32, BELLS + Doorbell.WORDS, 0);
  const { u32 } = memory;
  return () => {
    for (;;) {
      const seen = doorbell.seen();
      if (Atomics.load(u32, NOT_NEEDED) === 1 || u32[DONE + 1]! + u32[DONE + 2]! === 2) return;
      if (board.next()) finish(memory, board);
      else doorbell.wait(seen, 1000);
    }
  };
};

/** Posts two tasks. As long as both wait, it leaves them to the helper, who must have been woken. */
const leavesTwo = (memory: Region): (() => void) => {
  const board = boardIn(memory, 0);
  return () => {
    post(board, 1);
    post(board, 2);
    board.wake();
    if (board.depth === 2) return;
    while (board.next(false)) finish(memory, board);
    Atomics.store(memory.u32, NOT_NEEDED, 1);
    new Doorbell(memory.i32, BELLS + Doorbell.WORDS, 0).ring();
  };
};

function formatted(memory: Region): void {
  formatBoard(memory, WORKERS, 4, SLOTS);
}

function bothDone({ u32 }: Region): void {
  for (const task of [1, 2])
    expect(u32[DONE + task] === 1, `task ${task} was done ${u32[DONE + task]} times`);
}

const board = (...threads: Scenario['threads']): Scenario => {
  expect(planBoard(WORKERS, 4, SLOTS) <= DONE * 4, 'the board lies before what the scenario notes');
  return { bytes: MEMORY, threads, setup: formatted, check: bothDone };
};

export const stealing: Record<string, Scenario> = {
  'deque, one task, an owner and a thief': {
    bytes: MEMORY,
    threads: [ownerOf(1), thief(1)],
    setup() {},
    check: eachOnce(1),
  },
  'deque, two tasks, an owner and a thief': {
    bytes: MEMORY,
    threads: [ownerOf(1, 2), thief(2)],
    setup() {},
    check: eachOnce(2),
  },
  'deque, an owner and two thieves': {
    bytes: MEMORY,
    threads: [ownerOf(1, 2), thief(2), thief(1)],
    setup() {},
    check: eachOnce(2),
  },
  'deque that is full, over the wrap of the counts': {
    bytes: MEMORY,
    threads: [ownerOf(1, 2, 3), thief(2)],
    setup: nearTheWrap,
    check: eachOnce(3),
  },
  'deque, a careless owner': {
    bytes: MEMORY,
    threads: [carelessOwner, thief(1)],
    setup() {},
    check: eachOnce(1),
  },
  'task board, a helper': board(postsTwo, helps),
  'task board, a helper that cannot help': board(postsTwo, cannotHelp),
  'task board, a helper that dies': board(postsTwo, dies),
  'task board, a helper that sleeps': board(leavesTwo, sleepsAndHelps),
};

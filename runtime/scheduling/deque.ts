/**
 * A work-stealing deque of fixed capacity.
 * After D. Chase and Y. Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005), with the memory orders of N. M. Lê,
 * A. Pop, A. Cohen and F. Zappa Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models" (PPoPP 2013).
 *
 * Roles: one owner thread pushes and pops at the bottom; any thread, the owner too, steals from the top. So pop() gives
 * the youngest task and steal() the oldest. A successor of an owner that died calls adopt() before anything else.
 * Thread safety: lock-free; a thread that stops anywhere blocks nobody, and loses at most the task it was taking.
 *
 * Words: 0 top · SHARED_LINE / 4 bottom (a line of its own: the owner writes it at every operation, thieves write top) ·
 * then `capacity` task words. A task is any u32 but NOTHING and LOST.
 *
 * Invariants:
 * 1. top and bottom are counts, free-running modulo 2^32; tasks top … bottom − 1 wait, task i in word i mod capacity.
 *    0 ≤ bottom − top ≤ capacity, except that bottom is top − 1 while the owner looks at the last task.
 * 2. Only the owner writes bottom and task words. top only grows, by compare-and-exchange of whoever takes that task.
 * 3. push() publishes a task by its store of bottom (the paper's release fence). It refuses when the deque is full, so
 *    a word is written only after top has passed it: a thief that read the word before loses its exchange.
 * 4. pop() stores bottom before it loads top, steal() loads top before bottom; both pairs are sequentially consistent, as
 *    every Atomics operation is (the paper's full fences). So owner and thief never both miss that they want one task;
 *    for the last one both exchange top, and one of them gets it.
 */
import { assert } from '../assert.ts';
import { SHARED_LINE } from '../config/bounds.ts';

/** There is no task. */
export const NOTHING = 0;
/** Somebody else took the task that this thread was about to take. There may be more. */
export const LOST = 0xffff_ffff;

const TOP = 0;
const BOTTOM = SHARED_LINE / 4;
const TASKS = 2 * BOTTOM;

/** Bytes of a deque for `capacity` tasks. */
export function dequeBytes(capacity: number): number {
  return (TASKS + capacity) * 4;
}

export class Deque {
  readonly #u32: Uint32Array;
  readonly #top: number;
  readonly #bottom: number;
  readonly #tasks: number;
  readonly #mask: number;

  /** `index` is the first of dequeBytes(capacity) / 4 zeroed words in `u32`; `capacity` is a power of two. */
  constructor(u32: Uint32Array, index: number, capacity: number) {
    assert(capacity > 0 && (capacity & (capacity - 1)) === 0, 'a deque holds 2^n tasks');
    assert(index + dequeBytes(capacity) / 4 <= u32.length, 'a deque lies in its region');
    this.#u32 = u32;
    this.#top = index + TOP;
    this.#bottom = index + BOTTOM;
    this.#tasks = index + TASKS;
    this.#mask = capacity - 1;
  }

  /** Owner: false when the deque is full. */
  push(task: number): boolean {
    assert(task !== NOTHING && task !== LOST, 'a task is none of the reserved words');
    const u32 = this.#u32;
    const bottom = Atomics.load(u32, this.#bottom);
    const top = Atomics.load(u32, this.#top);
    if (((bottom - top) | 0) > this.#mask) return false;
    Atomics.store(u32, this.#tasks + (bottom & this.#mask), task);
    Atomics.store(u32, this.#bottom, bottom + 1);
    return true;
  }

  /** Owner: the youngest task, or NOTHING. */
  pop(): number {
    const u32 = this.#u32;
    const bottom = (Atomics.load(u32, this.#bottom) - 1) | 0;
    Atomics.store(u32, this.#bottom, bottom);
    const top = Atomics.load(u32, this.#top);
    const left = (bottom - top) | 0;
    if (left < 0) {
      Atomics.store(u32, this.#bottom, bottom + 1);
      return NOTHING;
    }
    const task = Atomics.load(u32, this.#tasks + (bottom & this.#mask));
    if (left > 0) return task;
    const isMine = Atomics.compareExchange(u32, this.#top, top, top + 1) === top;
    Atomics.store(u32, this.#bottom, bottom + 1);
    return isMine ? task : NOTHING;
  }

  /** Any thread: the oldest task, NOTHING, or LOST. */
  steal(): number {
    const u32 = this.#u32;
    const top = Atomics.load(u32, this.#top);
    const bottom = Atomics.load(u32, this.#bottom);
    if (((bottom - top) | 0) <= 0) return NOTHING;
    const task = Atomics.load(u32, this.#tasks + (top & this.#mask));
    return Atomics.compareExchange(u32, this.#top, top, top + 1) === top ? task : LOST;
  }

  /** Any thread: tasks that wait, a snapshot. */
  get depth(): number {
    const top = Atomics.load(this.#u32, this.#top);
    return Math.max(0, (Atomics.load(this.#u32, this.#bottom) - top) | 0);
  }

  /**
   * A successor of the owner: an owner that died inside pop() leaves bottom one below top. Nobody can take anything then, so
   * top stands still.
   */
  adopt(): void {
    const top = Atomics.load(this.#u32, this.#top);
    if (((Atomics.load(this.#u32, this.#bottom) - top) | 0) < 0) Atomics.store(this.#u32, this.#bottom, top);
  }
}

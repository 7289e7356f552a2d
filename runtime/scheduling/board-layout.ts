/** Where things lie on a task board; the contract is in task-board.ts. */
import { assert } from '../assert.ts';
import { CACHE_LINE, SHARED_LINE, WORKERS_MAX } from '../config/bounds.ts';
import type { Region } from '../memory/arena.ts';
import { Deque, dequeBytes } from './deque.ts';

const MAGIC = 0x4b534154; // "TASK"
const WORKERS = 1;
const SLOTS = 2;
const SLOT_BYTES = 3;

/** Words of a worker that others write: 1 = it is parked or about to; 1 = some of its tasks came back. */
export const IDLE = 0;
export const RETURNS = 1;
/** Words that only the worker writes. */
const COUNTERS = SHARED_LINE / 4;
export const POSTED = COUNTERS;
export const RUN = COUNTERS + 1;
export const STOLEN = COUNTERS + 2;
export const GIVEN_BACK = COUNTERS + 3;
export const TAKEN_OVER = COUNTERS + 4;
const WORKER_HEADER_BYTES = 2 * SHARED_LINE;

/** Words of a slot; the f64 time of posting takes two. */
export const STATE = 0;
export const OWNER_INCARNATION = 1;
export const KIND = 2;
export const BYTES = 3;
export const POSTED_AT = 4;
export const SLOT_HEADER_BYTES = CACHE_LINE;

export const FREE = 0;
export const QUEUED = 1;
export const TAKEN = 2;
export const RETURNED = 3;

const PHASE = 3;
const HOLDER_SHIFT = 2;
const INCARNATION_SHIFT = 9;
export const SEVEN_BITS = 0x7f;
const GENERATION_SHIFT = 16;
const GENERATIONS = 0x1_0000;

assert(WORKERS_MAX <= SEVEN_BITS, 'a worker is named by seven bits');

export function stateOf(generation: number, holder: number, incarnation: number, phase: number): number {
  const low = (incarnation << INCARNATION_SHIFT) | (holder << HOLDER_SHIFT) | phase;
  return ((generation << GENERATION_SHIFT) | low) >>> 0;
}

export function phaseOf(state: number): number {
  return state & PHASE;
}

export function holderOf(state: number): number {
  return (state >>> HOLDER_SHIFT) & SEVEN_BITS;
}

export function incarnationOf(state: number): number {
  return (state >>> INCARNATION_SHIFT) & SEVEN_BITS;
}

export function generationOf(state: number): number {
  return state >>> GENERATION_SHIFT;
}

/** The slot after this use of it. */
export function freed(state: number): number {
  return stateOf((generationOf(state) + 1) % GENERATIONS, 0, 0, FREE);
}

/** The same use of it, in the hands of nobody. */
export function returned(state: number): number {
  return stateOf(generationOf(state), 0, 0, RETURNED);
}

/** Most tasks a worker has posted at once. */
const BOARD_SLOTS = 64;

function slotBytes(taskBytes: number): number {
  return SLOT_HEADER_BYTES + align(taskBytes, CACHE_LINE);
}

function dequeRoom(slots: number): number {
  return align(dequeBytes(slots), SHARED_LINE);
}

function workerBytes(slots: number, bytesPerSlot: number): number {
  return align(WORKER_HEADER_BYTES + dequeRoom(slots) + slots * bytesPerSlot, SHARED_LINE);
}

/** Region bytes for `workers` workers and tasks of at most `taskBytes`; `slots`, a power of two, for each worker. */
export function planBoard(workers: number, taskBytes: number, slots = BOARD_SLOTS): number {
  return SHARED_LINE + workers * workerBytes(slots, slotBytes(taskBytes));
}

export function formatBoard(region: Region, workers: number, taskBytes: number, slots = BOARD_SLOTS): void {
  assert(slots < 256 && planBoard(workers, taskBytes, slots) <= region.bytes, 'the board fits its region');
  region.u32[WORKERS] = workers;
  region.u32[SLOTS] = slots;
  region.u32[SLOT_BYTES] = slotBytes(taskBytes);
  Atomics.store(region.u32, 0, MAGIC);
}

/** A formatted board's sizes, and where its parts begin. */
export class BoardLayout {
  readonly workers: number;
  /** Per worker. */
  readonly slots: number;
  /** Of a task. */
  readonly taskBytes: number;
  readonly #slotWords: number;
  readonly #workerWords: number;

  constructor(region: Region) {
    assert(Atomics.load(region.u32, 0) === MAGIC, 'the region was formatted as a task board');
    this.workers = region.u32[WORKERS]!;
    this.slots = region.u32[SLOTS]!;
    const bytes = region.u32[SLOT_BYTES]!;
    this.taskBytes = bytes - SLOT_HEADER_BYTES;
    this.#slotWords = bytes / 4;
    this.#workerWords = workerBytes(this.slots, bytes) / 4;
  }

  /** First word of a worker's part. */
  worker(worker: number): number {
    return SHARED_LINE / 4 + worker * this.#workerWords;
  }

  deque(worker: number): number {
    return this.worker(worker) + WORKER_HEADER_BYTES / 4;
  }

  /** First word of a slot. */
  slot(worker: number, slot: number): number {
    return this.deque(worker) + dequeRoom(this.slots) / 4 + slot * this.#slotWords;
  }
}

/** A worker as others see it, a snapshot; the counts are since the mount, modulo 2^32. */
export interface WorkerView {
  readonly isIdle: boolean;
  /** Tasks that wait in its deque. */
  readonly waiting: number;
  readonly posted: number;
  /** Tasks it has done, and how many of them were another's. */
  readonly run: number;
  readonly stolen: number;
  /** Tasks of others that it could not do. */
  readonly givenBack: number;
  /** Tasks of its own that it took from another that was about to do them: one that died, or one that was slower to begin. */
  readonly takenOver: number;
}

/** Any thread: every worker of the board in `region`. */
export function peekBoard(region: Region): WorkerView[] {
  const layout = new BoardLayout(region);
  const { u32 } = region;
  return Array.from({ length: layout.workers }, (_, worker) => {
    const at = layout.worker(worker);
    return {
      isIdle: Atomics.load(u32, at + IDLE) === 1,
      waiting: new Deque(u32, layout.deque(worker), layout.slots).depth,
      posted: u32[at + POSTED]!,
      run: u32[at + RUN]!,
      stolen: u32[at + STOLEN]!,
      givenBack: u32[at + GIVEN_BACK]!,
      takenOver: u32[at + TAKEN_OVER]!,
    };
  });
}

function align(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}

/**
 * Where the log is: what a thread needs to write the log's next records, in the region 'log', so that whoever has the time
 * may be the one that does (log-writer.ts).
 *
 * Roles: whoever has the lock writes word 2 and the numbers; words 3, 4 and 6 are anybody's, word 5 is io-0's. Main frees the lock
 * of a thread that has ended.
 *
 * Words: 0, 1 the lock (Mutex); 2 whether its holder is between two states of the log; 3 when nothing was left to commit, the
 * last time that somebody looked, milliseconds modulo 2^32 of a clock that all threads share; 4 how often an object's bytes were written that only an fdatasync of the object
 * makes durable; 5 the value of word 4 up to which that has happened; 6 how many fsyncs were answered. From byte 64 on, the f64 numbers below.
 *
 * Invariants:
 * 1. Word 2 is 1 from before the first change of the log's files, numbers or the ring's positions until after the last: who takes
 *    the lock and finds it 1 has taken over from a thread that ended in between. What is on the disk is then not known; io-0 alone may go on
 *    (resume.ts), everybody else leaves the lock.
 * 2. While the lock is free and word 2 is 0, everything that was released of the ring is in the log, and what of it is not durable
 *    yet is in the segment being written: an fdatasync of that, by whoever has the lock, makes it durable.
 * 3. A thread counts in word 4 after its message to the io actor and before it publishes the record that depends on the bytes. io-0 takes
 *    word 4 before it drains its mailbox and stores that value in word 5 after the flush. So if they are equal after a look at the published
 *    position, no record before that position depends on an object that is not durable.
 * 4. New segments, and the ends of segments, are io-0's: everybody else appends to the one there is, or leaves it to io-0.
 */
import type { RegionPlan } from '../runtime/memory/arena.ts';
import { Mutex } from '../runtime/sync/mutex.ts';

export const LOG_STATE = 'log';

const UNFINISHED = 2;
const SETTLED = 3;
const DIRTIED = 4;
const FLUSHED = 5;
const FSYNCS = 6;
const FIRST_BYTE = 64;

/** Where the numbers are in {@link LogState.numbers}: LSN of the last record written, and of the last that is durable. */
export const WRITTEN_LSN = 0;
export const DURABLE_LSN = 1;
/** Number of the segment being written, 0 = none; of the next to create; bytes of records in it; and its file's, zeros included. */
export const SEGMENT = 2;
export const NEXT_SEGMENT = 3;
export const SEGMENT_BYTES = 4;
export const FILE_BYTES = 5;
/** Totals since the start: records, bytes, fdatasyncs, commits. */
export const RECORDS = 6;
export const BYTES = 7;
export const SYNCS = 8;
export const COMMITS = 9;
/** What the last fdatasync took, milliseconds. */
export const SYNC_MS = 10;
/** 1: the disk had no room to append to the segment. Only io-0 goes on with it then. */
export const IS_STUCK = 11;
const NUMBERS = 12;

const LOG_STATE_BYTES = FIRST_BYTE + NUMBERS * 8;

export function planLogState(): RegionPlan {
  return { name: LOG_STATE, bytes: LOG_STATE_BYTES };
}

export class LogState {
  /** To be changed with the lock; without it, a number may be an old one. */
  readonly numbers: Float64Array;
  readonly #i32: Int32Array;
  readonly #lock: Mutex;

  constructor(region: { readonly i32: Int32Array; readonly f64: Float64Array }, spins?: number) {
    this.#i32 = region.i32;
    this.#lock = new Mutex(region.i32, 0, spins);
    this.numbers = region.f64.subarray(FIRST_BYTE / 8, FIRST_BYTE / 8 + NUMBERS);
  }

  /** One that nobody else has. */
  static alone(): LogState {
    const buffer = new SharedArrayBuffer(LOG_STATE_BYTES);
    return new LogState({ i32: new Int32Array(buffer), f64: new Float64Array(buffer) });
  }

  /** io-0 only: waits for the lock. False: who had it last has ended with it, and what follows is to be found out. */
  take(): boolean {
    this.#lock.lock();
    return this.#begin();
  }

  /** Takes the lock if it is free and the log is whole; then {@link leave} must follow. */
  tryTake(): boolean {
    if (!this.#lock.tryLock()) return false;
    if (Atomics.load(this.#i32, UNFINISHED) === 0) return this.#begin();
    this.#lock.unlock();
    return false;
  }

  /** The log is whole, and somebody else may have it. */
  leave(): void {
    Atomics.store(this.#i32, UNFINISHED, 0);
    this.#lock.unlock();
  }

  /** So many fsyncs were answered. */
  answered(count: number): void {
    Atomics.add(this.#i32, FSYNCS, count);
  }

  /** Fsyncs answered since the start. */
  get fsyncs(): number {
    return Atomics.load(this.#i32, FSYNCS) >>> 0;
  }

  /** At `now`, milliseconds, nothing was left to commit. */
  settled(now: number): void {
    Atomics.store(this.#i32, SETTLED, now | 0);
  }

  /** Whole milliseconds from {@link settled} until `now`; a little below 0 if another thread was there since. */
  sinceSettled(now: number): number {
    return ((now | 0) - Atomics.load(this.#i32, SETTLED)) | 0;
  }

  /** An object has bytes that only an fdatasync of it makes durable. After the message that says so, before the record. */
  dirtied(): void {
    Atomics.add(this.#i32, DIRTIED, 1);
  }

  /** io-0 only, before it takes in who has dirtied what: what {@link flushed} is to be told. */
  get dirtiedCount(): number {
    return Atomics.load(this.#i32, DIRTIED);
  }

  flushed(dirtiedCount: number): void {
    Atomics.store(this.#i32, FLUSHED, dirtiedCount);
  }

  /** Whether all objects are durable that records before a position depend on which was published before this call. */
  get objectsAreDurable(): boolean {
    return Atomics.load(this.#i32, DIRTIED) === Atomics.load(this.#i32, FLUSHED);
  }

  /** Main only: thread `dead` has ended. Whether it had the lock. */
  breakFor(dead: number): boolean {
    return this.#lock.breakFor(dead);
  }

  #begin(): boolean {
    return Atomics.exchange(this.#i32, UNFINISHED, 1) === 0;
  }
}

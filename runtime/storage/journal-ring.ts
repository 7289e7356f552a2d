/**
 * The journal: a ring in shared memory that holds log records in their on-disk format.
 *
 * Roles. Writer: any thread, one at a time (whoever holds the namespace lock; the lock orders the plain
 * stores of one writer before the loads of the next). Reader: one thread at a time, whoever writes the log
 * (actors/log-state.ts). Others may look at the positions.
 *
 * Invariants
 * 1. Positions are byte counts modulo 2^32; a position's place is `position & (capacity − 1)`.
 * 2. released ≤ published ≤ released + capacity. Bytes in [released, published) belong to the reader,
 *    the rest to the writer.
 * 3. `published` always lies on a transaction boundary: what the reader sees ends with a COMMIT record.
 * 4. A record never wraps. What is left before the end of the ring is skipped by a length word of PAD.
 * 5. durable ≤ released: what lies before `durable` survives a power cut.
 * 6. LSNs in the ring are consecutive; `nextLsn` is the one after the last published record. A writer that ends
 *    inside {@link JournalWriter.commit} can leave it one transaction too high: {@link continueJournal} puts it right.
 * 7. A writer that waits for room sets `wanted`, then looks at `released`; the reader stores `released`, then clears
 *    `wanted` and wakes all if it was set. So none sleeps through it, and one that ended while it waited leaves a flag
 *    that the next release clears. One that waits for what it published to be durable does the same with `durable`, and sets
 *    `wanted` again after each wait.
 * 8. `space`, which io-0 alone sets, says what the disk has room for (SPACE_ENOUGH …). A writer looks at it with the writers' lock,
 *    before it changes anything. While it is SPACE_NONE nobody waits for room or for what is durable: both may never come.
 *
 * What each store publishes: Atomics.store(PUBLISHED) publishes the records before it to the reader;
 * Atomics.store(RELEASED) gives their bytes back to the writers; Atomics.store(DURABLE) allows what had to
 * wait for the records before it; Atomics.store(FAILURE), once and for good, says that nothing will be made
 * durable any more.
 */
import { assert } from '../assert.ts';
import { stillWaiting } from '../sync/waiting.ts';
import {
  COMMIT,
  CRC_AT,
  LENGTH_AT,
  LSN_AT,
  RECORD_HEADER,
  recordBytes,
  TYPE_AT,
  UNSYNCED_AT,
} from './record-header.ts';

/** The views of a shared region that the journal needs (an arena region is one). */
export interface JournalRegion {
  readonly bytes: number;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
}

/** Whom a writer wakes when the ring fills up: the doorbell of io-0. */
export interface Wakeable {
  ring(): void;
}

const CONTROL_BYTES = 4096;
/** Words of the control page, each on a cache line of its own. */
const PUBLISHED = 0;
const NEXT_LSN_F64 = 8;
const RELEASED = 32;
const WANTED = 48;
const FAILURE = 64;
const DURABLE = 80;
const SPACE = 96;

/** What the disk under the log has room for: everything; what frees space, or is needed to; nothing that is logged. */
export const SPACE_ENOUGH = 0;
export const SPACE_LOW = 1;
export const SPACE_NONE = 2;

const PAD = 0xffffffff;
const SLICE_MS = 20;
const CAPACITY_MAX = 2 ** 30;

/** Bytes of a region whose ring holds at least `bytes`; the ring itself is a power of two. */
export function journalRegionBytes(bytes: number): number {
  assert(bytes > 0 && bytes <= CAPACITY_MAX, 'the journal ring is at most 1 GiB');
  return CONTROL_BYTES + 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
}

/** Empties the ring. Only while nobody else uses it: at start, after recovery has found the next LSN. */
export function formatJournal(region: JournalRegion, nextLsn: number): void {
  region.u32.fill(0, 0, CONTROL_BYTES >> 2);
  region.f64[NEXT_LSN_F64] = nextLsn;
}

/**
 * After the death of threads: the next record gets `nextLsn`, and nobody waits. Only while no writer and no other
 * reader uses the ring, and with everything published released.
 */
export function continueJournal(region: JournalRegion, nextLsn: number): void {
  assert(region.u32[PUBLISHED] === region.u32[RELEASED], 'what was published has been written to the log');
  region.f64[NEXT_LSN_F64] = nextLsn;
  Atomics.store(region.i32, WANTED, 0);
}

function capacityOf(region: JournalRegion): number {
  const capacity = 2 ** Math.floor(Math.log2(region.bytes - CONTROL_BYTES));
  assert(
    capacity >= 4096 && capacity <= CAPACITY_MAX,
    'the journal region must hold a ring of 4 KiB to 1 GiB',
  );
  return capacity;
}

export class JournalWriter {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly capacity: number;
  readonly #i32: Int32Array;
  readonly #reader: Wakeable | undefined;
  readonly #mask: number;
  /** State of the transaction being written; meaningless while `#last` is −1. */
  #position = 0;
  #lsn = 0;
  #last = -1;

  constructor(region: JournalRegion, reader?: Wakeable) {
    this.u8 = region.u8;
    this.u32 = region.u32;
    this.f64 = region.f64;
    this.#i32 = region.i32;
    this.#reader = reader;
    this.capacity = capacityOf(region);
    this.#mask = this.capacity - 1;
  }

  /** errno of the failure that stopped the log for good, or 0. A writer must not change anything then. */
  get failure(): number {
    return Atomics.load(this.#i32, FAILURE);
  }

  /** SPACE_ENOUGH, SPACE_LOW or SPACE_NONE. */
  get space(): number {
    return Atomics.load(this.#i32, SPACE);
  }

  /** LSN of the last published record. Stable only while the caller holds the writers' lock. */
  get lastLsn(): number {
    return this.f64[NEXT_LSN_F64]! - 1;
  }

  /** The LSN that the next record gets, and the position where it starts. Stable as {@link lastLsn}. */
  get nextLsn(): number {
    return this.f64[NEXT_LSN_F64]!;
  }

  get published(): number {
    return Atomics.load(this.u32, PUBLISHED);
  }

  /**
   * Whether a transaction fits now; `bytes` is the sum of {@link recordBytes} of its records. Called with the
   * lock held; when false, the caller releases the lock, calls {@link waitForRoom} and starts over.
   */
  hasRoom(bytes: number): boolean {
    assert(bytes * 2 <= this.capacity, 'a transaction is at most half the journal');
    const published = Atomics.load(this.u32, PUBLISHED);
    const used = (published - Atomics.load(this.u32, RELEASED)) >>> 0;
    const beforeEnd = this.capacity - (published & this.#mask);
    const pad = bytes <= beforeEnd ? 0 : Math.min(bytes, beforeEnd);
    return used + bytes + pad <= this.capacity;
  }

  /**
   * Parks until {@link hasRoom} may be true. Called without the lock: another writer may take the room first.
   * False when the room may never come: the log has failed, or its disk is full.
   */
  waitForRoom(bytes: number): boolean {
    for (;;) {
      const released = Atomics.load(this.#i32, RELEASED);
      if (this.failure !== 0 || this.space === SPACE_NONE) return false;
      if (this.hasRoom(bytes)) return true;
      Atomics.store(this.#i32, WANTED, 1);
      this.#reader?.ring();
      Atomics.wait(this.#i32, RELEASED, released, SLICE_MS);
      stillWaiting();
    }
  }

  /** Parks until everything that is published now is durable. False as {@link waitForRoom}. Called without the lock. */
  waitUntilDurable(): boolean {
    const position = this.published;
    for (;;) {
      const durable = Atomics.load(this.#i32, DURABLE);
      if (this.failure !== 0) return false;
      if (reached(durable, position)) return true;
      if (this.space === SPACE_NONE) return false;
      Atomics.store(this.#i32, WANTED, 1);
      this.#reader?.ring();
      Atomics.wait(this.#i32, DURABLE, durable, SLICE_MS);
      stillWaiting();
    }
  }

  /**
   * Starts a record of the current transaction and returns the byte offset of its payload in `u8` (8-aligned,
   * contiguous), which the caller fills in before {@link commit}. Room must have been checked.
   */
  append(type: number, bytes: number): number {
    if (this.#last === -1) {
      this.#position = Atomics.load(this.u32, PUBLISHED);
      this.#lsn = this.f64[NEXT_LSN_F64]!;
    }
    const size = recordBytes(bytes);
    const beforeEnd = this.capacity - (this.#position & this.#mask);
    if (size > beforeEnd) {
      this.u32[(CONTROL_BYTES + (this.#position & this.#mask)) >> 2] = PAD;
      this.#position = (this.#position + beforeEnd) >>> 0;
    }
    const next = (this.#position + size) >>> 0;
    assert(
      (next - Atomics.load(this.u32, RELEASED)) >>> 0 <= this.capacity,
      'no room in the journal was checked for',
    );
    const header = CONTROL_BYTES + (this.#position & this.#mask);
    this.f64[(header + size - 8) >> 3] = 0;
    this.u32[(header + LENGTH_AT) >> 2] = bytes;
    this.u32[(header + CRC_AT) >> 2] = 0;
    this.f64[(header + LSN_AT) >> 3] = this.#lsn;
    this.u32[(header + TYPE_AT) >> 2] = type;
    this.u32[(header + UNSYNCED_AT) >> 2] = 0;
    this.#position = next;
    this.#lsn++;
    this.#last = header;
    return header + RECORD_HEADER;
  }

  /** Ends the transaction and publishes it. Wakes the reader early when the ring is half full. */
  commit(): void {
    assert(this.#last !== -1, 'a transaction has at least one record');
    this.u32[(this.#last + TYPE_AT) >> 2]! |= COMMIT << 16;
    this.f64[NEXT_LSN_F64] = this.#lsn;
    this.#last = -1;
    Atomics.store(this.u32, PUBLISHED, this.#position);
    const used = (this.#position - Atomics.load(this.u32, RELEASED)) >>> 0;
    if (used * 2 > this.capacity) this.#reader?.ring();
  }

  /** Forgets the records of the current transaction, none of which anybody has seen. */
  abort(): void {
    this.#last = -1;
  }
}

/**
 * The reading end. `next(limit)` steps over the records before a published position; `release()` gives the
 * bytes of all records stepped over back to the writers.
 */
export class JournalReader {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly capacity: number;
  /** Header of the current record as a byte offset in `u8`, and its whole length with padding. */
  offset = 0;
  length = 0;
  /** Position after the current record. */
  position: number;
  readonly #i32: Int32Array;
  readonly #mask: number;

  constructor(region: JournalRegion) {
    this.u8 = region.u8;
    this.u32 = region.u32;
    this.f64 = region.f64;
    this.#i32 = region.i32;
    this.capacity = capacityOf(region);
    this.#mask = this.capacity - 1;
    this.position = Atomics.load(this.u32, RELEASED);
  }

  /** Everything before this position is published: whole transactions. */
  published(): number {
    return Atomics.load(this.u32, PUBLISHED);
  }

  /** Bytes published and not yet released. */
  used(): number {
    return (this.published() - Atomics.load(this.u32, RELEASED)) >>> 0;
  }

  /** Whether a writer has waited for room since the last release. */
  wanted(): boolean {
    return Atomics.load(this.#i32, WANTED) !== 0;
  }

  /** LSN of the last published record. Stable only while no writer is active. */
  get lastLsn(): number {
    return this.f64[NEXT_LSN_F64]! - 1;
  }

  /** Moves on to the next record before `limit` (a value of {@link published}); false when there is none. */
  next(limit: number): boolean {
    if (this.position === limit) return false;
    let header = CONTROL_BYTES + (this.position & this.#mask);
    if (this.u32[header >> 2] === PAD) {
      this.position = (this.position + this.capacity - (this.position & this.#mask)) >>> 0;
      assert(this.position !== limit, 'a pad is always followed by a record');
      header = CONTROL_BYTES;
    }
    this.offset = header;
    this.length = recordBytes(this.u32[(header + LENGTH_AT) >> 2]!);
    assert(this.length <= this.capacity - (this.position & this.#mask), 'a journal record never wraps');
    this.position = (this.position + this.length) >>> 0;
    assert(((limit - this.position) | 0) >= 0, 'a journal position lies on a transaction boundary');
    return true;
  }

  /** Goes to where the reader before this one has come. */
  resume(): void {
    this.position = Atomics.load(this.u32, RELEASED);
  }

  release(): void {
    Atomics.store(this.u32, RELEASED, this.position);
    if (Atomics.load(this.#i32, WANTED) === 0) return;
    Atomics.store(this.#i32, WANTED, 0);
    Atomics.notify(this.#i32, RELEASED);
  }

  /** LSN of the first record that was not released; with none published, of the next one to be written. */
  nextLsnToRead(): number {
    return this.skipThrough(0) || this.f64[NEXT_LSN_F64]!;
  }

  /**
   * Steps over the published records with an LSN up to `lsn`, which a predecessor of this reader has written to the
   * log, and releases them. Returns the LSN of the first record that is left, 0 = there is none.
   */
  skipThrough(lsn: number): number {
    const limit = this.published();
    let before = this.position;
    let first = 0;
    while (this.next(limit)) {
      const found = this.f64[(this.offset + LSN_AT) >> 3]!;
      if (found > lsn) {
        first = found;
        break;
      }
      before = this.position;
    }
    this.position = before;
    this.release();
    return first;
  }

  /** The position up to which records are durable; the reader moves it on. */
  durable(): number {
    return Atomics.load(this.u32, DURABLE);
  }

  setDurable(position: number): void {
    Atomics.store(this.u32, DURABLE, position);
    Atomics.notify(this.#i32, DURABLE);
  }

  /** Tells all writers, for good, that the log has failed with `errno`. The first failure stays. */
  fail(errno: number): void {
    Atomics.compareExchange(this.#i32, FAILURE, 0, errno);
    Atomics.notify(this.#i32, RELEASED);
    Atomics.notify(this.#i32, DURABLE);
  }

  get failure(): number {
    return Atomics.load(this.#i32, FAILURE);
  }

  /** io-0 only: what the disk has room for from now on. */
  setSpace(space: number): void {
    Atomics.store(this.#i32, SPACE, space);
  }

  get space(): number {
    return Atomics.load(this.#i32, SPACE);
  }
}

/** Whether position `a` is at or after `b`; both are less than 2 GiB apart. */
export function reached(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

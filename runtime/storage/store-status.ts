/**
 * The state of the store, for every thread to see.
 *
 * Roles: io-0 writes; any thread reads. Region 'store-status'.
 *
 * Layout: word 0 is the sequence of a SequenceLock, word 1 the errno; from byte 64 on, f64 numbers in the
 * order of FIELDS.
 *
 * Invariants:
 * 1. The numbers of one {@link StoreStatus.read} belong together; the sequence lock publishes them.
 * 2. The errno is an atomic word of its own, so that looking at it before a change costs one load; it is set once and
 *    never cleared.
 */
import { SequenceLock } from '../sync/sequence-lock.ts';

const ERRNO = 1;
const FIRST_F64 = 8;

const FIELDS = [
  'durableLsn',
  'writtenLsn',
  'segment',
  'segmentBytes',
  'logBytes',
  'logSyncs',
  'commits',
  'syncRequests',
  'checkpointLsn',
  'replayedTransactions',
  'replayedRecords',
  'tornBytes',
  'orphans',
  'recoveryMs',
] as const;

/**
 * LSNs; the log segment being written and its bytes; since the start: bytes and fsyncs of the log, commits,
 * fsync requests answered; and what the last mount found.
 */
export type StoreNumbers = Record<(typeof FIELDS)[number], number>;

export const STORE_STATUS_BYTES = (FIRST_F64 + FIELDS.length) * 8;

export class StoreStatus {
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #lock: SequenceLock;

  constructor(region: { readonly i32: Int32Array; readonly f64: Float64Array }) {
    this.#i32 = region.i32;
    this.#f64 = region.f64;
    this.#lock = new SequenceLock(region.i32, 0);
  }

  /** 0 while the store accepts changes; afterwards the errno of what stopped it: it can only be read now. */
  get errno(): number {
    return Atomics.load(this.#i32, ERRNO);
  }

  fail(errno: number): void {
    Atomics.compareExchange(this.#i32, ERRNO, 0, errno);
  }

  /** io-0 only: changes the numbers that are given. */
  write(numbers: Partial<StoreNumbers>): void {
    this.#lock.writeBegin();
    for (let at = 0; at < FIELDS.length; at++) {
      const value = numbers[FIELDS[at]!];
      if (value !== undefined) this.#f64[FIRST_F64 + at] = value;
    }
    this.#lock.writeEnd();
  }

  read(): StoreNumbers {
    const numbers = {} as StoreNumbers;
    let seen: number;
    do {
      seen = this.#lock.readBegin();
      for (let at = 0; at < FIELDS.length; at++) numbers[FIELDS[at]!] = this.#f64[FIRST_F64 + at]!;
    } while (this.#lock.readRetry(seen));
    return numbers;
  }
}

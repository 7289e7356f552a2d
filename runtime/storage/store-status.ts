/**
 * The state of the store, for every thread to see.
 *
 * Roles: io-0 writes, main word 4; any thread reads. Region 'store-status'.
 *
 * Layout: word 0 the turn, 1 the errno, 2 the newest answered ticket + 1 (0 = none), 3 its errno, 4 who wants dropped objects
 * to stay; from byte 64 on, f64 numbers in the order of FIELDS, twice.
 *
 * Invariants:
 * 1. Turn t (modulo 2^32) shows copy t & 1. A write fills the other copy, then adds 1 to the turn, which publishes it.
 *    Nobody ever waits for a writer, so one that ends in the middle of a write has changed nothing.
 * 2. The numbers of one {@link StoreStatus.read} belong together: if the turn is the same before and after, nobody can
 *    have written to the copy. A reader tries again only when a write has been completed meanwhile.
 * 3. All words are loaded and stored atomically, so no processor reorders them.
 * 4. The errno is set once and never cleared; looking at it before a change costs one load.
 * 5. A ticket counts as answered from the store of word 2 on, before its answer is sent: a successor of io-0 that is
 *    asked again answers the same and does nothing twice.
 * 6. While word 4 is not 0, an object that is dropped after an io actor has seen that stays on the disk: what is deleted
 *    was dropped before a flush that was asked for later than the store of the word.
 */
const FIELDS = [
  'durableLsn',
  'writtenLsn',
  'objectsLsn',
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
  'freeBytes',
  'neededBytes',
] as const;

/**
 * LSNs (objectsLsn: up to it no record is needed for what is in objects); the log segment being written and its bytes; since the start: bytes and fsyncs of the log, commits,
 * fsync requests answered; what the last mount found; and of the disk, when io-0 looked last, bytes that were free, and that have to be.
 */
export type StoreNumbers = Record<(typeof FIELDS)[number], number>;

const TURN = 0;
const ERRNO = 1;
const TICKET = 2;
const TICKET_ERRNO = 3;
const KEEPERS = 4;
const FIRST_WORD = 16;
/** A number is two words. */
const COPY_WORDS = FIELDS.length * 2;

export const STORE_STATUS_BYTES = (FIRST_WORD + 2 * COPY_WORDS) * 4;

export class StoreStatus {
  readonly #i32: Int32Array;
  /** One copy, on its way in or out. */
  readonly #words = new Int32Array(COPY_WORDS);
  readonly #numbers = new Float64Array(this.#words.buffer);

  constructor(region: { readonly i32: Int32Array }) {
    this.#i32 = region.i32;
  }

  /** 0 while the store accepts changes; afterwards the errno of what stopped it: it can only be read now. */
  get errno(): number {
    return Atomics.load(this.#i32, ERRNO);
  }

  fail(errno: number): void {
    Atomics.compareExchange(this.#i32, ERRNO, 0, errno);
  }

  /** main only: one more, or one less, wants the files of dropped objects to stay. */
  keepObjects(change: 1 | -1): void {
    Atomics.add(this.#i32, KEEPERS, change);
  }

  /** Whether the files of dropped objects are to stay for now. */
  get keepsObjects(): boolean {
    return Atomics.load(this.#i32, KEEPERS) !== 0;
  }

  /** io-0 only: changes the numbers that are given. */
  write(numbers: Partial<StoreNumbers>): void {
    const turn = this.#take();
    for (let at = 0; at < FIELDS.length; at++) {
      const value = numbers[FIELDS[at]!];
      if (value !== undefined) this.#numbers[at] = value;
    }
    const to = copyOf(turn + 1);
    for (let at = 0; at < COPY_WORDS; at++) Atomics.store(this.#i32, to + at, this.#words[at]!);
    Atomics.store(this.#i32, TURN, (turn + 1) | 0);
  }

  read(): StoreNumbers {
    this.#take();
    const numbers = {} as StoreNumbers;
    for (let at = 0; at < FIELDS.length; at++) numbers[FIELDS[at]!] = this.#numbers[at]!;
    return numbers;
  }

  /** Takes the copy that is shown out of shared memory; the turn it belongs to. */
  #take(): number {
    const i32 = this.#i32;
    for (;;) {
      const turn = Atomics.load(i32, TURN);
      const from = copyOf(turn);
      for (let at = 0; at < COPY_WORDS; at++) this.#words[at] = Atomics.load(i32, from + at);
      if (Atomics.load(i32, TURN) === turn) return turn;
    }
  }

  /** io-0 only: this ticket is answered, with 0 or an errno. Tickets are answered in rising order. */
  answered(ticket: number, errno: number): void {
    Atomics.store(this.#i32, TICKET_ERRNO, errno);
    Atomics.store(this.#i32, TICKET, ticket + 1);
  }

  /** The errno that a ticket was answered with; undefined = it was not, 0 too for one before the newest. */
  answerOf(ticket: number): number | undefined {
    const newest = Atomics.load(this.#i32, TICKET) - 1;
    if (ticket > newest) return undefined;
    return ticket === newest ? Atomics.load(this.#i32, TICKET_ERRNO) : 0;
  }
}

/** First word of the copy that turn `turn` shows. */
function copyOf(turn: number): number {
  return FIRST_WORD + (turn & 1) * COPY_WORDS;
}

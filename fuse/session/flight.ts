/**
 * The request that a thread is at, in shared memory, so that when the thread dies its successor brings the request to an
 * end: runs it again, completes it, or answers for it. The kernel forgets no request, and nobody else knows of this one.
 *
 * Roles: the thread that serves owns its row and writes it with plain stores; its successor owns it once the thread has
 * ended (which orders the stores before the successor's loads). Any thread may look at the words, for display.
 *
 * Layout of a row: a page of words, the request's buffer, the reply's buffer. Words: 0 phase; 1 how often the request
 * was begun; 2 counted; 3 bytes of the reply; 4 when it was begun, ms modulo 2^32.
 *
 * Invariants:
 * 1. The first word of the request's buffer is the request's length, which read(2) puts there; end() makes it 0. So
 *    there is no moment at which a request has been received and the row does not say so.
 * 2. RUNNING: nothing that the request changes was published in the journal. PUBLISHED: it was, at least the first of its
 *    transactions. PUBLISHING: the thread is at the store that publishes, and holds the lock that goes with it; of one that
 *    died so, who frees that lock says first which of the two it is (decide).
 * 3. ANSWERING: the reply is whole, in its buffer, and perhaps sent. Sending it again does no harm: the kernel knows no
 *    request that it has the answer of, and says ENOENT. That ENOENT takes nothing back.
 * 4. `counted` says what was done of what must not be done twice. In a reply with entries: up to which byte of the reply
 *    their lookups are counted, stored after the counting. In a FORGET: how many entries were given back, stored before
 *    each. A death in between leaves one lookup counted until the unmount, and takes none away that the kernel has.
 */
import { FUSE_REPLY_BYTES, FUSE_REQUEST_BYTES, REGION_ALIGN } from '../../runtime/config/bounds.ts';
import { Reply } from '../protocol/reply.ts';
import { Request } from '../protocol/request.ts';

/** No request has been begun; one may have been received. */
export const IDLE = 0;
export const RUNNING = 1;
export const PUBLISHING = 2;
export const PUBLISHED = 3;
export const ANSWERING = 4;

const PHASE = 0;
const RUNS = 1;
const COUNTED = 2;
const REPLY_LENGTH = 3;
const SINCE = 4;

const REQUEST_AT = REGION_ALIGN;
const REPLY_AT = REQUEST_AT + FUSE_REQUEST_BYTES;
const ROW_BYTES = REPLY_AT + FUSE_REPLY_BYTES;

/** Where rows lie: an arena's region is one. */
export interface FlightMemory {
  readonly u8: Uint8Array;
}

/** Bytes of the rows of `threads` threads, zeroed before the first of them starts. */
export function flightBytes(threads: number): number {
  return threads * ROW_BYTES;
}

export class Flight {
  readonly request: Request;
  readonly reply: Reply;
  readonly #u32: Uint32Array;

  constructor({ u8 }: FlightMemory, row: number) {
    const at = u8.byteOffset + row * ROW_BYTES;
    this.#u32 = new Uint32Array(u8.buffer, at, REQUEST_AT / 4);
    this.request = new Request(u8.buffer, at + REQUEST_AT, FUSE_REQUEST_BYTES);
    this.reply = new Reply(u8.buffer, at + REPLY_AT, FUSE_REPLY_BYTES);
  }

  /** In memory of its own, for a thread that has no successor. */
  static alone(): Flight {
    return new Flight({ u8: new Uint8Array(ROW_BYTES) }, 0);
  }

  get phase(): number {
    return this.#u32[PHASE]!;
  }

  /** Length of the request that was received and is not at its end, 0 = there is none. */
  get length(): number {
    return this.request.u32[0]!;
  }

  /** A request has come. */
  begin(): void {
    const u32 = this.#u32;
    u32[RUNS] = 1;
    u32[COUNTED] = 0;
    u32[PHASE] = RUNNING;
  }

  /** It is begun once more, by a successor: for the how manieth time. */
  beginAgain(): number {
    return ++this.#u32[RUNS]!;
  }

  /** A transaction is about to be published (as WitnessedJournal calls it). */
  publishing(): void {
    if (this.#u32[PHASE] !== IDLE) this.#u32[PHASE] = PUBLISHING;
  }

  published(): void {
    if (this.#u32[PHASE] !== IDLE) this.#u32[PHASE] = PUBLISHED;
  }

  /** In PUBLISHING, in place of the thread, which has died. */
  decide(isPublished: boolean): void {
    this.#u32[PHASE] = isPublished ? PUBLISHED : RUNNING;
  }

  /** The reply is finished and is going to be sent. */
  answering(): void {
    this.#u32[REPLY_LENGTH] = this.reply.length;
    this.#u32[PHASE] = ANSWERING;
  }

  /** Makes `reply` the one that the predecessor had finished. */
  restoreReply(): void {
    this.reply.length = this.#u32[REPLY_LENGTH]!;
  }

  /** The request was answered, needs no answer, or is somebody else's to answer. */
  end(): void {
    this.#u32[PHASE] = IDLE;
    this.request.u32[0] = 0;
  }

  get counted(): number {
    return this.#u32[COUNTED]!;
  }

  set counted(value: number) {
    this.#u32[COUNTED] = value;
  }

  /** The same, and 0 from now on, so that what is taken back is not taken back again. */
  takeCounted(): number {
    const counted = this.#u32[COUNTED]!;
    this.#u32[COUNTED] = 0;
    return counted;
  }

  /** When the request was begun: milliseconds modulo 2^32 of a clock that the threads share. */
  get since(): number {
    return this.#u32[SINCE]!;
  }

  set since(ms: number) {
    this.#u32[SINCE] = ms;
  }
}

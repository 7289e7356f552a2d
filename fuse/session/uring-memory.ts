/**
 * FUSE over io_uring: the entries by which the kernel hands requests over and takes replies, in shared memory, so that
 * whoever has the answer gives it, and the successor of a thread that died goes on with its queues. Names are those of
 * include/uapi/linux/fuse.h.
 *
 * The kernel has a queue for each CPU that may ever be there and sends what a thread asks on a CPU into that CPU's queue.
 * Each queue has `depth` entries: a header (struct fuse_uring_req_header) and a payload, the request's and then the reply's.
 *
 * Roles: each queue has an owner, a fuse actor by its row, which registers its entries in an io_uring of its own and
 * serves them; any thread may answer a request that was handed over; main gives queues to owners (assign).
 *
 * Layout: a page of words: 0 queues, 1 depth, 2 rows, 3 and 4 the node of seal-queues.ts (0 = none); from OWNERS on, the
 * owner's row of each queue; then for each row ROW_WORDS: 0 notices (what others have done to its entries), 1 incarnation of
 * the ring's thread, 2 … its record (runtime/system/io-uring.ts), and the last: main wants the thread to leave its queues
 * (LEAVE), the thread has (LEFT), or 0; then for each entry ENTRY_WORDS: 0 state, 1 and 2 the request's unique, 3 the row of
 * the thread that has it or its ring. Then, from the next page of the address space on, two rings for each row, used in turn
 * by one incarnation and the next; then the entries' buffers.
 *
 * Invariants of an entry's state word (bits 0–7 the state, 8–31 who answers):
 * 1. ABSENT: the kernel does not have it. IN_KERNEL: the kernel may put a request into it. ARRIVED: it has, and nobody has
 *    taken it. SERVED: it is in a flight, or pending (actors/pending.ts). ANSWERING: somebody writes the reply into it.
 *    ANSWERED: the reply is whole, and the owner is to give the entry back.
 * 2. The owner alone makes ABSENT and ANSWERED to IN_KERNEL, after the kernel has taken the submission; IN_KERNEL to ARRIVED, before
 *    it drops the completion; and ARRIVED to SERVED, once the request is in its flight. So a successor finds in the completions
 *    that are left what is not in the words.
 * 3. SERVED → ANSWERING → ANSWERED by compare-exchange, with the answerer in the word: of several the last one to begin
 *    succeeds. It may begin over another one that was believed dead.
 * 4. When the thread ends that registered or gave back an entry, the kernel completes all that it has of its ring, with a
 *    request or with an error, and the queue's requests wait in the kernel until the successor has registered.
 */
import { assert } from '../../runtime/assert.ts';
import { CACHE_LINE, FUSE_MAX_WRITE, KIB } from '../../runtime/config/bounds.ts';
import { ENOENT } from '../../runtime/errno.ts';
import type { Region, RegionPlan } from '../../runtime/memory/arena.ts';
import { addressOf, ioUringBytes, RING_RECORD_WORDS } from '../../runtime/system/io-uring.ts';
import {
  FUSE_IN_HEADER_BYTES,
  FUSE_OUT_HEADER_BYTES,
  FUSE_URING_OP_IN_OUT_SZ,
  URING_ENT_COMMIT_ID,
  URING_ENT_PAYLOAD_SZ,
  URING_REQ_HEADER_OP_IN,
} from '../protocol/abi.ts';
import type { Reply } from '../protocol/reply.ts';

export const URING = 'uring';

export const ABSENT = 0;
export const IN_KERNEL = 1;
export const ARRIVED = 2;
export const SERVED = 3;
export const ANSWERING = 4;
export const ANSWERED = 5;
/** By the number of the state. */
export const STATE_NAMES = ['absent', 'in kernel', 'arrived', 'served', 'answering', 'answered'];

const STATE_MASK = 0xff;
const ANSWERER_SHIFT = 8;

const PAGE = 4 * KIB;
/** A header lies at the start of its buffer, the payload a page further on. */
const PAYLOAD = PAGE;
const ENTRY_BUFFER_BYTES = PAYLOAD + FUSE_MAX_WRITE;

const QUEUES = 0;
const DEPTH = 1;
const ROWS = 2;
const NODE_LO = 3;
const NODE_HI = 4;
const OWNERS = 16;
const ROW_WORDS = 64;
const ROW_NOTICES = 0;
const ROW_INCARNATION = 1;
const ROW_RECORD = 2;
const ROW_LEAVING = ROW_WORDS - 1;
const LEAVE = 1;
const LEFT = 2;
const ENTRY_WORDS = CACHE_LINE / 4;
const UNIQUE_LO = 1;
const UNIQUE_HI = 2;
const RING_ROW = 3;

/** Entries in all queues together, unless that were fewer than DEPTH_MIN each. */
const ENTRIES_WANTED = 512;
const DEPTH_MIN = 4;
/** Requests that wait for another actor keep their entries, so a queue needs some for those who need not wait. */
const DEPTH_MAX = 32;
/** Beside the entries of all queues a ring has three descriptors to poll. */
const POLLS = 3;

assert(ROW_RECORD + RING_RECORD_WORDS <= ROW_LEAVING, 'a ring’s record fits its row');

export function depthOf(queues: number): number {
  return Math.max(DEPTH_MIN, Math.min(DEPTH_MAX, Math.floor(ENTRIES_WANTED / queues)));
}

/** Of a row's ring: it has room for the entries of all queues. */
export function ringEntriesOf(queues: number): number {
  return 2 ** Math.ceil(Math.log2(queues * depthOf(queues) + POLLS));
}

function wordsOf(queues: number, rows: number): number {
  return (
    OWNERS +
    Math.ceil(queues / ENTRY_WORDS) * ENTRY_WORDS +
    rows * ROW_WORDS +
    queues * depthOf(queues) * ENTRY_WORDS
  );
}

/** @param queues CPUs that may ever be there. @param rows fuse actors that there is room for. */
export function planUring(queues: number, rows: number): RegionPlan {
  const entries = queues * depthOf(queues);
  const rings = 2 * rows * ioUringBytes(ringEntriesOf(queues));
  return { name: URING, bytes: wordsOf(queues, rows) * 4 + 2 * PAGE + rings + entries * ENTRY_BUFFER_BYTES };
}

/** Once, before the first fuse actor starts. The queues go to the first `owners` rows, to each its share of neighbours. */
export function formatUring({ i32 }: Region, queues: number, rows: number, owners: number): void {
  i32[QUEUES] = queues;
  i32[ROWS] = rows;
  i32[DEPTH] = depthOf(queues);
  for (let queue = 0; queue < queues; queue++) i32[OWNERS + queue] = Math.floor((queue * owners) / queues);
}

export class UringMemory {
  readonly queues: number;
  readonly depth: number;
  readonly entries: number;
  readonly ringEntries: number;
  readonly buffer: ArrayBufferLike;
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #u32: Uint32Array;
  readonly #rowsAt: number;
  readonly #entriesAt: number;
  readonly #ringsAt: number;
  /** Byte offset of the first entry's header in the region, and the address of the region. */
  readonly #buffersAt: number;
  readonly #address: bigint;
  readonly #offset: number;

  constructor(region: Region) {
    const { u8, i32, u32, offset } = region;
    this.#u8 = u8;
    this.#i32 = i32;
    this.#u32 = u32;
    this.#offset = offset;
    this.buffer = u8.buffer;
    this.queues = i32[QUEUES]!;
    this.depth = i32[DEPTH]!;
    this.entries = this.queues * this.depth;
    this.ringEntries = ringEntriesOf(this.queues);
    const rows = i32[ROWS]!;
    this.#rowsAt = OWNERS + Math.ceil(this.queues / ENTRY_WORDS) * ENTRY_WORDS;
    this.#entriesAt = this.#rowsAt + rows * ROW_WORDS;
    this.#address = addressOf(this.buffer) + BigInt(offset);
    const words = wordsOf(this.queues, rows) * 4;
    const toPage = Number((BigInt(PAGE) - ((this.#address + BigInt(words)) % BigInt(PAGE))) % BigInt(PAGE));
    this.#ringsAt = words + toPage;
    this.#buffersAt = this.#ringsAt + 2 * rows * ioUringBytes(this.ringEntries);
  }

  // ---- queues and rows

  ownerOf(queue: number): number {
    return Atomics.load(this.#i32, OWNERS + queue);
  }

  assign(queue: number, row: number): void {
    Atomics.store(this.#i32, OWNERS + queue, row);
  }

  /** A regular file that the kernel does not forget. */
  get nodeLo(): number {
    return this.#u32[NODE_LO]!;
  }

  get nodeHi(): number {
    return this.#u32[NODE_HI]!;
  }

  setNode(lo: number, hi: number): void {
    this.#u32[NODE_HI] = hi;
    Atomics.store(this.#u32, NODE_LO, lo);
  }

  queueOf(entry: number): number {
    return Math.floor(entry / this.depth);
  }

  /** If it has changed, others have done something to the entries of this row. */
  noticesOf(row: number): number {
    return Atomics.load(this.#i32, this.#rowsAt + row * ROW_WORDS + ROW_NOTICES);
  }

  noticeFor(row: number): void {
    Atomics.add(this.#i32, this.#rowsAt + row * ROW_WORDS + ROW_NOTICES, 1);
  }

  /** main: the row's thread is going to be ended. To be followed by a ring of its doorbell. */
  askToLeave(row: number): void {
    Atomics.store(this.#i32, this.#leavingAt(row), LEAVE);
    this.noticeFor(row);
  }

  /** The row's thread: main has asked. */
  isToLeave(row: number): boolean {
    return Atomics.load(this.#i32, this.#leavingAt(row)) === LEAVE;
  }

  /** The row's thread, with nothing left in the kernel: waits until it is ended. */
  waitForEnd(row: number): never {
    const at = this.#leavingAt(row);
    Atomics.store(this.#i32, at, LEFT);
    for (;;) Atomics.wait(this.#i32, at, LEFT);
  }

  hasLeft(row: number): boolean {
    return Atomics.load(this.#i32, this.#leavingAt(row)) === LEFT;
  }

  /** The row's new thread. */
  stay(row: number): void {
    Atomics.store(this.#i32, this.#leavingAt(row), 0);
  }

  #leavingAt(row: number): number {
    return this.#rowsAt + row * ROW_WORDS + ROW_LEAVING;
  }

  /** What a row knows of its ring (IoUring.record). */
  recordOf(row: number): Uint32Array {
    const at = this.#rowsAt + row * ROW_WORDS + ROW_RECORD;
    return this.#u32.subarray(at, at + RING_RECORD_WORDS);
  }

  /** Which of a row's two places its ring is in; `useOtherRing` makes it the other one. */
  ringAt(row: number): number {
    const turn = this.#i32[this.#rowsAt + row * ROW_WORDS + ROW_INCARNATION]! & 1;
    return this.#offset + this.#ringsAt + (2 * row + turn) * ioUringBytes(this.ringEntries);
  }

  useOtherRing(row: number): void {
    const at = this.#rowsAt + row * ROW_WORDS + ROW_INCARNATION;
    this.#i32[at] = this.#i32[at]! + 1;
  }

  // ---- entries

  stateOf(entry: number): number {
    return Atomics.load(this.#i32, this.#at(entry)) & STATE_MASK;
  }

  setState(entry: number, state: number): void {
    Atomics.store(this.#i32, this.#at(entry), state);
  }

  /** Whether the kernel may complete it in this row's ring. */
  isIn(row: number, entry: number): boolean {
    return this.stateOf(entry) === IN_KERNEL && this.#i32[this.#at(entry) + RING_ROW] === row;
  }

  /** The kernel has it, from the ring of this row. */
  submitted(entry: number, row: number): void {
    this.#i32[this.#at(entry) + RING_ROW] = row;
    this.setState(entry, IN_KERNEL);
  }

  rowOf(entry: number): number {
    return this.#i32[this.#at(entry) + RING_ROW]!;
  }

  /** A request that has arrived and was not taken is another row's to take. */
  leaveTo(entry: number, row: number): void {
    Atomics.store(this.#i32, this.#at(entry) + RING_ROW, row);
    this.noticeFor(row);
  }

  headerAddress(entry: number): bigint {
    return this.#address + BigInt(this.#bufferOf(entry));
  }

  payloadAddress(entry: number): bigint {
    return this.headerAddress(entry) + BigInt(PAYLOAD);
  }

  uniqueLo(entry: number): number {
    return this.#u32[this.#at(entry) + UNIQUE_LO]!;
  }

  uniqueHi(entry: number): number {
    return this.#u32[this.#at(entry) + UNIQUE_HI]!;
  }

  /** The kernel has put a request into it. */
  arrived(entry: number): void {
    const at = this.#at(entry);
    const id = (this.#bufferOf(entry) + URING_ENT_COMMIT_ID) >>> 2;
    this.#u32[at + UNIQUE_LO] = this.#u32[id]!;
    this.#u32[at + UNIQUE_HI] = this.#u32[id + 1]!;
    this.setState(entry, ARRIVED);
  }

  /** The entry whose request, in one of these states, has this unique; −1 = it did not come this way or was answered. */
  find(uniqueLo: number, uniqueHi: number): number {
    const u32 = this.#u32;
    for (let entry = 0, at = this.#entriesAt; entry < this.entries; entry++, at += ENTRY_WORDS) {
      if (u32[at + UNIQUE_LO] !== uniqueLo || u32[at + UNIQUE_HI] !== uniqueHi) continue;
      const state = this.stateOf(entry);
      if (state >= ARRIVED && state < ANSWERED) return entry;
    }
    return -1;
  }

  opcodeOf(entry: number): number {
    return this.#u32[(this.#bufferOf(entry) >>> 2) + 1]!;
  }

  /**
   * Copies an entry's request into `words` as read(2) would have put it there, the length last. Its length, or 0 if it makes no
   * sense.
   */
  copyRequest(entry: number, u8: Uint8Array, u32: Uint32Array): number {
    const from = this.#u32;
    const at = this.#bufferOf(entry);
    const header = at >>> 2;
    const length = from[header]!;
    const payload = from[(at + URING_ENT_PAYLOAD_SZ) >>> 2]!;
    const op = length - FUSE_IN_HEADER_BYTES - payload;
    if (op < 0 || op > FUSE_URING_OP_IN_OUT_SZ || length > u8.length) return 0;
    for (let i = 1; i < FUSE_IN_HEADER_BYTES / 4; i++) u32[i] = from[header + i]!;
    const body = FUSE_IN_HEADER_BYTES / 4;
    const opAt = (at + URING_REQ_HEADER_OP_IN) >>> 2;
    for (let i = 0; i < op >>> 2; i++) u32[body + i] = from[opAt + i]!;
    if (payload > 0) this.#copy(u8, FUSE_IN_HEADER_BYTES + op, at + PAYLOAD, payload);
    u32[0] = length;
    return length;
  }

  /** The owner's reply. */
  reply(entry: number, reply: Reply): void {
    this.#write(entry, reply);
    this.setState(entry, ANSWERED);
  }

  /** Any thread's reply: 0, and then the owner (`ownerOf`) is to be rung; or −ENOENT if it is not to be answered (any more). */
  answer(entry: number, reply: Reply, answerer: number): number {
    const i32 = this.#i32;
    const at = this.#at(entry);
    const word = Atomics.load(i32, at);
    const state = word & STATE_MASK;
    const mine = ANSWERING | (answerer << ANSWERER_SHIFT);
    if (state < ARRIVED || state === ANSWERED) return -ENOENT;
    if (Atomics.compareExchange(i32, at, word, mine) !== word) return -ENOENT;
    this.#write(entry, reply);
    if (Atomics.compareExchange(i32, at, mine, ANSWERED) !== mine) return -ENOENT;
    this.noticeFor(this.ownerOf(this.queueOf(entry)));
    return 0;
  }

  #write(entry: number, { u8, u32, length }: Reply): void {
    const to = this.#u32;
    const at = this.#bufferOf(entry);
    const header = at >>> 2;
    to[header] = length;
    to[header + 1] = u32[1]!;
    to[header + 2] = u32[2]!;
    to[header + 3] = u32[3]!;
    const body = length - FUSE_OUT_HEADER_BYTES;
    to[(at + URING_ENT_PAYLOAD_SZ) >>> 2] = body;
    if (body === 0) return;
    if (body > SMALL_BYTES) {
      this.#u8.set(u8.subarray(FUSE_OUT_HEADER_BYTES, length), at + PAYLOAD);
      return;
    }
    const first = (at + PAYLOAD) >>> 2;
    for (let i = 0; i < (body + 3) >>> 2; i++) to[first + i] = u32[FUSE_OUT_HEADER_BYTES / 4 + i]!;
  }

  #copy(into: Uint8Array, at: number, from: number, bytes: number): void {
    const u8 = this.#u8;
    if (bytes > SMALL_BYTES) into.set(u8.subarray(from, from + bytes), at);
    else for (let i = 0; i < bytes; i++) into[at + i] = u8[from + i]!;
  }

  #at(entry: number): number {
    return this.#entriesAt + entry * ENTRY_WORDS;
  }

  #bufferOf(entry: number): number {
    return this.#buffersAt + entry * ENTRY_BUFFER_BYTES;
  }
}

/** Up to here a loop is faster than a copy by the engine. */
const SMALL_BYTES = 256;

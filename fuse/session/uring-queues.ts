/**
 * The queues of one row, and the io_uring by which the kernel has their entries: registering them, taking them over from a
 * thread that has ended, giving them back with a reply, and finding those that have a request (uring-memory.ts).
 *
 * Thread safety: one UringQueues per thread.
 */
import { assert } from '../../runtime/assert.ts';
import { FUSE_MAX_WRITE } from '../../runtime/config/bounds.ts';
import { EAGAIN, EBUSY, EINTR, ENOMEM, ETIME } from '../../runtime/errno.ts';
import {
  addressOf,
  IORING_CQE_F_MORE,
  IORING_OP_POLL_ADD,
  IORING_OP_URING_CMD,
  IORING_POLL_ADD_MULTI,
  IoUring,
  SQE_ADDR,
  SQE_CMD,
  SQE_CMD_OP,
  SQE_FD,
  SQE_LEN,
  SQE_OPCODE,
  SQE_POLL_EVENTS,
  SQE_USER_DATA,
} from '../../runtime/system/io-uring.ts';
import { affinity, close, POLLIN, setAffinity } from '../../runtime/system/libc.ts';
import {
  FUSE_IO_URING_CMD_COMMIT_AND_FETCH,
  FUSE_IO_URING_CMD_REGISTER,
  FUSE_URING_REQ_HEADER_BYTES,
} from '../protocol/abi.ts';
import type { Flight } from './flight.ts';
import { sealQueues, wakeQueues } from './seal-queues.ts';
import { ABSENT, ANSWERED, ARRIVED, SERVED, STATE_NAMES, type UringMemory } from './uring-memory.ts';

/** What `next` returns beside an entry. */
export const NOTHING = -1;

/** How long the kernel may take to complete what it has of a dead thread's ring. */
const ADOPT_MS = 1000;
/** The user_data of what is no entry: this, and the descriptor that is polled. */
const POLLED = 0x4000_0000;

/** struct fuse_uring_cmd_req, in words: flags, commit_id, qid. */
const CMD_COMMIT_ID = 2;
const CMD_QID = 4;
/** struct iovec: an address and a length, 64 bits each; a header and a payload. */
const IOVEC_WORDS = 8;

/** Whether entering a ring again may succeed: nothing came in time, or the kernel lacks memory. Anything else would fail for ever. */
function isPassing(entered: number): boolean {
  return (
    entered === -ETIME ||
    entered === -EINTR ||
    entered === -EBUSY ||
    entered === -EAGAIN ||
    entered === -ENOMEM
  );
}

export interface UringQueuesPorts {
  /** A polled descriptor became readable, or cannot be polled any more: `result` is the events, or −errno. */
  readonly readable: (fd: number, result: number) => void;
  /** The kernel did not do what it was asked to: `result` is its −errno. */
  readonly failed: (doing: string, result: number) => void;
  /** Another row is to look at its entries. */
  readonly ring: (row: number) => void;
}

export class UringQueues {
  readonly ring: IoUring;
  readonly #fd: number;
  readonly #memory: UringMemory;
  readonly #row: number;
  readonly #ports: UringQueuesPorts;
  readonly #iovecs: Uint32Array;
  readonly #iovecsAddress: bigint;
  /** Entries whose submission the kernel does not have yet. */
  readonly #submitted: Int32Array;
  #submittedCount = 0;
  /** Entries with requests that another thread received and did not take. */
  readonly #inherited: number[] = [];
  /** Where the thread may run. */
  readonly #allowed = affinity();
  /** 1 for each queue that the thread has followed. */
  readonly #followed: Uint8Array;
  #isOnOneCpu = false;
  #answersSeen = 0;
  #isWatching = false;

  /**
   * Takes the row's queues, from a predecessor if there was one.
   *
   * @param flight with the request that the predecessor was at, which is not to be received again
   * @param polled descriptors to be told of each time that one becomes readable
   * @throws if the ring cannot be had
   */
  constructor(
    fd: number,
    memory: UringMemory,
    row: number,
    flight: Flight,
    polled: readonly number[],
    ports: UringQueuesPorts,
  ) {
    this.#fd = fd;
    this.#memory = memory;
    this.#row = row;
    this.#ports = ports;
    this.#submitted = new Int32Array(memory.entries);
    this.#followed = new Uint8Array(memory.queues);
    this.#iovecs = new Uint32Array(new ArrayBuffer(memory.entries * IOVEC_WORDS * 4));
    this.#iovecsAddress = addressOf(this.#iovecs.buffer);
    const isSuccessor = this.#adopt();
    memory.stay(row);
    this.ring = this.#open();
    for (const descriptor of polled) this.#poll(descriptor, IORING_POLL_ADD_MULTI);
    this.#inherit(flight);
    this.followQueues();
    this.collect();
    this.enter(0, 0);
    if (isSuccessor) wakeQueues(fd, memory, row);
  }

  /** A request, and not a descriptor, is what comes next. */
  get bringsRequest(): boolean {
    return this.ring.next() && this.ring.userData < this.#memory.entries;
  }

  /** The next time that /dev/fuse is readable, or is now, is told, once. */
  watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#poll(this.#fd, 0);
  }

  /** Replies that the kernel does not have yet. */
  get unsent(): number {
    return this.#submittedCount;
  }

  /** An entry with a request that nobody has taken, or NOTHING; whatever else has completed is passed on. */
  next(): number {
    const inherited = this.#inherited.pop();
    if (inherited !== undefined) return inherited;
    const { ring } = this;
    const memory = this.#memory;
    while (ring.next()) {
      const { userData, result, flags } = ring;
      if (userData >= memory.entries) {
        ring.seen();
        this.#isReadable(userData - POLLED, result, (flags & IORING_CQE_F_MORE) !== 0);
        continue;
      }
      if (result === 0) memory.arrived(userData);
      else memory.setState(userData, ABSENT);
      ring.seen();
      if (result === 0) return userData;
      this.#ports.failed('handing over an entry', result);
    }
    return NOTHING;
  }

  /** An entry with its reply in it goes back to the kernel, by the row that has its queue now. */
  giveBack(entry: number): void {
    const owner = this.#memory.ownerOf(this.#memory.queueOf(entry));
    if (owner !== this.#row) {
      this.#memory.noticeFor(owner);
      this.#ports.ring(owner);
      return;
    }
    const at = this.#command(entry, FUSE_IO_URING_CMD_COMMIT_AND_FETCH);
    this.ring.u32[at + SQE_CMD + CMD_COMMIT_ID] = this.#memory.uniqueLo(entry);
    this.ring.u32[at + SQE_CMD + CMD_COMMIT_ID + 1] = this.#memory.uniqueHi(entry);
  }

  /**
   * Looks for what other threads have done to this row's entries, if they have: answered, or left to it. Does not return when main is
   * going to end this thread: an entry that it gave back now might get a request that nobody receives.
   */
  collectNoticed(): void {
    if (this.#memory.noticesOf(this.#row) === this.#answersSeen) return;
    if (this.#memory.isToLeave(this.#row)) {
      this.leave();
      this.#memory.waitForEnd(this.#row);
    }
    if (this.#haveQueuesChanged) this.followQueues();
    this.collect();
  }

  /** Whether the thread has one queue, and is kept on the CPU of that. */
  get isOnOneCpu(): boolean {
    return this.#isOnOneCpu;
  }

  /** Keeps the thread on the CPUs of its queues, as far as it may run there. The kernel undoes it when one of them goes offline. */
  followQueues(): void {
    const memory = this.#memory;
    const allowed = this.#allowed;
    const mask = new Uint8Array(allowed.length);
    let own = 0;
    for (let queue = 0; queue < memory.queues; queue++) {
      this.#followed[queue] = Number(this.#owns(queue));
      if (!this.#owns(queue)) continue;
      own++;
      mask[queue >> 3] = mask[queue >> 3]! | (allowed[queue >> 3]! & (1 << (queue & 7)));
    }
    const isThere = setAffinity(mask) >= 0;
    if (!isThere) setAffinity(allowed);
    this.#isOnOneCpu = isThere && own === 1;
  }

  get #haveQueuesChanged(): boolean {
    for (let queue = 0; queue < this.#memory.queues; queue++) {
      if (Number(this.#owns(queue)) !== this.#followed[queue]) return true;
    }
    return false;
  }

  #owns(queue: number): boolean {
    return this.#memory.ownerOf(queue) === this.#row;
  }

  collect(): void {
    const memory = this.#memory;
    this.#answersSeen = memory.noticesOf(this.#row);
    for (let entry = 0; entry < memory.entries; entry++) {
      const state = memory.stateOf(entry);
      if (state === ARRIVED && memory.rowOf(entry) === this.#row) {
        if (!this.#inherited.includes(entry)) this.#inherited.push(entry);
      } else if (memory.ownerOf(memory.queueOf(entry)) === this.#row && !this.#isSubmitted(entry)) {
        if (state === ANSWERED) this.giveBack(entry);
        else if (state === ABSENT) this.#register(entry);
      }
    }
  }

  /** As IoUring.enter. */
  enter(completions: number, timeoutMs: number): number {
    const entered = this.ring.enter(completions, timeoutMs);
    assert(entered >= 0 || isPassing(entered), 'the ring can be entered until its thread ends');
    if (this.ring.queued === 0) {
      for (let i = 0; i < this.#submittedCount; i++) this.#memory.submitted(this.#submitted[i]!, this.#row);
      this.#submittedCount = 0;
    }
    return entered;
  }

  /** This thread is going to end: what it has received and not taken goes to its successor, or to the queues' new owners. */
  leave(): void {
    const memory = this.#memory;
    sealQueues(this.#fd, memory, this.#row);
    this.enter(0, 0);
    this.#reap(this.ring);
    for (let entry = 0; entry < memory.entries; entry++) {
      if (memory.stateOf(entry) !== ARRIVED || memory.rowOf(entry) !== this.#row) continue;
      const owner = memory.ownerOf(memory.queueOf(entry));
      if (owner === this.#row) continue;
      memory.leaveTo(entry, owner);
      this.#ports.ring(owner);
    }
  }

  /** For a look from outside: how many of the row's entries are in which state. */
  facts(): Readonly<Record<string, number>> {
    const memory = this.#memory;
    const counts = new Array<number>(STATE_NAMES.length).fill(0);
    for (let entry = 0; entry < memory.entries; entry++) {
      if (memory.ownerOf(memory.queueOf(entry)) !== this.#row) continue;
      const state = memory.stateOf(entry);
      counts[state] = counts[state]! + 1;
    }
    return Object.fromEntries(STATE_NAMES.map((name, state) => [name, counts[state]!]));
  }

  // ---- submissions

  #register(entry: number): void {
    const at = this.#command(entry, FUSE_IO_URING_CMD_REGISTER);
    const iovec = new BigUint64Array(this.#iovecs.buffer, entry * IOVEC_WORDS * 4, 4);
    iovec[0] = this.#memory.headerAddress(entry);
    iovec[1] = BigInt(FUSE_URING_REQ_HEADER_BYTES);
    iovec[2] = this.#memory.payloadAddress(entry);
    iovec[3] = BigInt(FUSE_MAX_WRITE);
    const address = this.#iovecsAddress + BigInt(entry * IOVEC_WORDS * 4);
    this.ring.u32[at + SQE_ADDR] = Number(address & 0xffffffffn);
    this.ring.u32[at + SQE_ADDR + 1] = Number(address >> 32n);
    this.ring.u32[at + SQE_LEN] = 2;
  }

  #command(entry: number, command: number): number {
    const at = this.ring.submission();
    const { u32 } = this.ring;
    u32[at + SQE_OPCODE] = IORING_OP_URING_CMD;
    u32[at + SQE_FD] = this.#fd;
    u32[at + SQE_CMD_OP] = command;
    u32[at + SQE_USER_DATA] = entry;
    u32[at + SQE_CMD + CMD_QID] = this.#memory.queueOf(entry);
    this.#submitted[this.#submittedCount++] = entry;
    return at;
  }

  #isSubmitted(entry: number): boolean {
    return this.#submitted.subarray(0, this.#submittedCount).includes(entry);
  }

  #poll(fd: number, how: number): void {
    const at = this.ring.submission();
    const { u32 } = this.ring;
    u32[at + SQE_OPCODE] = IORING_OP_POLL_ADD;
    u32[at + SQE_FD] = fd;
    u32[at + SQE_LEN] = how;
    u32[at + SQE_POLL_EVENTS] = POLLIN;
    u32[at + SQE_USER_DATA] = POLLED + fd;
  }

  #isReadable(fd: number, result: number, isArmed: boolean): void {
    this.#ports.readable(fd, result);
    if (fd === this.#fd) this.#isWatching = false;
    else if (!isArmed && result > 0) this.#poll(fd, IORING_POLL_ADD_MULTI);
  }

  // ---- beginning

  #open(): IoUring {
    const memory = this.#memory;
    memory.useOtherRing(this.#row);
    const ring = IoUring.open(memory.buffer, memory.ringAt(this.#row), memory.ringEntries);
    if (typeof ring === 'number') throw new Error(`io_uring_setup failed with errno ${-ring}`);
    ring.record(memory.recordOf(this.#row));
    return ring;
  }

  /** What the ring of a thread that has ended still holds is put into the words of the entries. Whether there was one. */
  #adopt(): boolean {
    const memory = this.#memory;
    const record = memory.recordOf(this.#row);
    if (record[0] === 0) return false;
    const ring = IoUring.attach(memory.buffer, memory.ringAt(this.#row), memory.ringEntries, record);
    this.#reap(ring);
    sealQueues(this.#fd, memory, this.#row);
    record[0] = 0;
    close(ring.fd);
    // The kernel completes what it has of the ring some time later, in the same memory.
    const deadline = performance.now() + ADOPT_MS;
    while (this.#inRing() > 0 && performance.now() < deadline) this.#reap(ring);
    const lost = this.#inRing();
    if (lost > 0) this.#ports.failed('taking entries over', -lost);
    return true;
  }

  /** Notes what has completed, without taking the requests. */
  #reap(ring: IoUring): void {
    const memory = this.#memory;
    while (ring.next()) {
      const { userData, result } = ring;
      if (userData < memory.entries) {
        if (result === 0) memory.arrived(userData);
        else memory.setState(userData, ABSENT);
      }
      ring.seen();
    }
  }

  #inRing(): number {
    let count = 0;
    for (let entry = 0; entry < this.#memory.entries; entry++) {
      if (this.#memory.isIn(this.#row, entry)) count++;
    }
    return count;
  }

  /** A request that has arrived may be in the flight already: then it is not received once more. */
  #inherit({ length, request: { u32 } }: Flight): void {
    const memory = this.#memory;
    if (length === 0) return;
    const entry = memory.find(u32[2]!, u32[3]!);
    if (entry >= 0 && memory.stateOf(entry) === ARRIVED) memory.setState(entry, SERVED);
  }
}

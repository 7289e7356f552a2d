/**
 * FUSE over io_uring: the replies to some requests and the wait for the next are one system call. FORGET and INTERRUPT still
 * come by read(2) on /dev/fuse, to the thread of row 0, and so do all requests where the kernel would not have the queues.
 *
 * Thread safety: one UringChannel per thread, each with a row (uring-memory.ts) and an io_uring of its own.
 */
import { FUSE_MAX_WRITE } from '../../runtime/config/bounds.ts';
import { EAGAIN, EBUSY, EINTR, EIO, ENODEV, ETIME } from '../../runtime/errno.ts';
import type { Doorbell } from '../../runtime/messaging/doorbell.ts';
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
import { close, POLLERR, POLLIN, PollSet, read } from '../../runtime/system/libc.ts';
import {
  FUSE_IO_URING_CMD_COMMIT_AND_FETCH,
  FUSE_IO_URING_CMD_REGISTER,
  FUSE_NOTIFY_REPLY,
  FUSE_READ,
  FUSE_URING_REQ_HEADER_BYTES,
  FUSE_WRITE,
} from '../protocol/abi.ts';
import { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { BusyPolling } from './busy-polling.ts';
import { AWAKE_MS, type Channel, type ChannelOptions, PARK_MS, RANG, UNMOUNTED } from './channel.ts';
import { sendTo } from './classic-channel.ts';
import type { Flight } from './flight.ts';
import { sealQueues, wakeQueues } from './seal-queues.ts';
import { ABSENT, ANSWERED, ARRIVED, IN_KERNEL, SERVED, type UringMemory } from './uring-memory.ts';

export interface UringChannelOptions extends ChannelOptions {
  /** Which of the fuse actors this is. */
  readonly row: number;
  /** The kernel did not do what it was asked to: `result` is its −errno. */
  readonly failed: (doing: string, result: number) => void;
}

/** By the number of the state. */
const STATES = ['absent', 'in kernel', 'arrived', 'served', 'answering', 'answered'];

/** user_data of what is no entry. */
const DOORBELL_READABLE = 0x4000_0000;
const CONNECTION_READABLE = 0x4000_0001;

/** How long the kernel may take to complete what it has of a dead thread's ring. */
const ADOPT_MS = 1000;

/** Replies are given to the kernel at the latest when there are so many, or before a request that may take long. */
const REPLIES_PER_SUBMISSION = 8;
/** Looks at the ring between two looks at the clock. */
const LOOKS_PER_CLOCK = 32;
/** What did not come by an entry. */
const CLASSIC = -1;

/** struct fuse_uring_cmd_req, in words: flags, commit_id, qid. */
const CMD_COMMIT_ID = 2;
const CMD_QID = 4;

/** struct iovec: an address and a length, 64 bits each; a header and a payload. */
const IOVEC_WORDS = 8;

export class UringChannel implements Channel {
  polled = 0;
  parked = 0;
  readonly #fd: number;
  readonly #memory: UringMemory;
  readonly #row: number;
  readonly #ring: IoUring;
  readonly #options: UringChannelOptions;
  readonly #doorbell: Doorbell;
  readonly #polling: BusyPolling;
  readonly #connection: PollSet;
  readonly #iovecs: Uint32Array;
  readonly #iovecsAddress: bigint;
  readonly #dismissal = new Reply(undefined, 0, 64);
  /** Entries whose submission the kernel does not have yet. */
  readonly #submitted: Int32Array;
  #submittedCount = 0;
  /** Entries with requests that a predecessor had not taken. */
  readonly #inherited: number[] = [];
  /** The entry of the request that was received last. */
  #current = CLASSIC;
  #isClassicReadable: boolean;
  #isDoorbellReadable = false;
  #isUnmounted = false;
  #answersSeen = 0;
  #handedOver = false;
  #heard: number | undefined;

  /**
   * Takes the row's queues over, from a predecessor if there was one.
   *
   * @param fd /dev/fuse, mounted, non-blocking, with FUSE_OVER_IO_URING agreed; not closed by the channel.
   * @param flight with the request that a predecessor was at, which is not to be received again
   * @throws if the ring cannot be had
   */
  constructor(fd: number, memory: UringMemory, flight: Flight, options: UringChannelOptions) {
    this.#fd = fd;
    this.#memory = memory;
    this.#row = options.row;
    this.#options = options;
    this.#doorbell = options.doorbell;
    this.#doorbell.armDescriptor(options.eventfd);
    this.#polling = new BusyPolling(options.spinMicroseconds);
    this.#connection = new PollSet(fd);
    this.#submitted = new Int32Array(memory.entries);
    this.#iovecs = new Uint32Array(new ArrayBuffer(memory.entries * IOVEC_WORDS * 4));
    this.#iovecsAddress = addressOf(this.#iovecs.buffer);
    this.#isClassicReadable = this.#row === 0;
    const isSuccessor = this.#adopt(this.#row);
    this.#ring = this.#open();
    this.#poll(options.eventfd, POLLIN, DOORBELL_READABLE);
    if (this.#row === 0) this.#poll(fd, POLLIN, CONNECTION_READABLE);
    this.#takeQueues(flight);
    this.#enter(0, 0);
    if (isSuccessor) wakeQueues(fd, memory, this.#row);
  }

  receive(request: Request): number {
    for (;;) {
      const seen = this.#doorbell.seen();
      if (seen !== this.#heard) {
        this.#heard = seen;
        this.#giveBackAnswered();
        if (this.#ring.queued > 0) this.#enter(0, 0);
        return RANG;
      }
      const entry = this.#next();
      if (entry >= 0) {
        const length = this.#take(entry, request);
        if (length > 0) return length;
        continue;
      }
      if (this.#isUnmounted) return UNMOUNTED;
      if (this.#isClassicReadable) {
        const length = this.#readClassic(request);
        if (length !== 0) return length;
      }
      this.#wait(seen);
    }
  }

  send(reply: Reply): number {
    const memory = this.#memory;
    const lo = reply.u32[2]!;
    const hi = reply.u32[3]!;
    let entry = this.#current;
    if (entry === CLASSIC || memory.uniqueLo(entry) !== lo || memory.uniqueHi(entry) !== hi)
      entry = memory.find(lo, hi);
    if (entry < 0) return sendTo(this.#fd, reply);
    memory.reply(entry, reply);
    this.#giveBack(entry);
    return 0;
  }

  leave(): void {
    sealQueues(this.#fd, this.#memory, this.#row);
    this.#enter(0, 0);
    this.#reap(this.#ring);
  }

  handedOver(): void {
    this.#handedOver = true;
  }

  /** For a look from outside: how many of the row's entries are in which state. */
  facts(): Readonly<Record<string, number>> {
    const counts = new Array<number>(STATES.length).fill(0);
    this.#eachOwn((entry) => {
      const state = this.#memory.stateOf(entry);
      counts[state] = counts[state]! + 1;
    });
    return Object.fromEntries(STATES.map((name, state) => [name, counts[state]!]));
  }

  // ---- requests

  /** Puts an entry's request into `request`: its length, or 0 if it was none for a server. */
  #take(entry: number, request: Request): number {
    const memory = this.#memory;
    const isLong = memory.opcodeOf(entry) === FUSE_WRITE || memory.opcodeOf(entry) === FUSE_READ;
    if (this.#submittedCount > 0 && (isLong || this.#submittedCount >= REPLIES_PER_SUBMISSION))
      this.#enter(0, 0);
    const length = memory.copyRequest(entry, request.u8, request.u32);
    if (length === 0 || memory.opcodeOf(entry) === FUSE_NOTIFY_REPLY) {
      request.u32[0] = 0;
      this.#dismiss(entry, length === 0 ? -EIO : 0);
      return 0;
    }
    memory.setState(entry, SERVED);
    this.#current = entry;
    this.#handedOver = false;
    return length;
  }

  #dismiss(entry: number, error: number): void {
    const answer = this.#dismissal;
    answer.beginUnique(this.#memory.uniqueLo(entry), this.#memory.uniqueHi(entry));
    if (error < 0) answer.error(error);
    else answer.ok(0);
    this.#memory.reply(entry, answer);
    this.#giveBack(entry);
  }

  /** Length of a request, or UNMOUNTED, or 0: there is none for now. */
  #readClassic(request: Request): number {
    const length = read(this.#fd, request.u8);
    if (length > 0) {
      this.#current = CLASSIC;
      return length;
    }
    if (length === -EAGAIN || length === -EINTR) this.#isClassicReadable = false;
    else if (length === -ENODEV) return UNMOUNTED;
    return 0;
  }

  /** An entry with a request that nobody has taken, or −1; whatever else has completed is noted. */
  #next(): number {
    const inherited = this.#inherited.pop();
    if (inherited !== undefined) return inherited;
    const ring = this.#ring;
    while (ring.next()) {
      const { userData, result, flags } = ring;
      if (userData < this.#memory.entries) {
        if (result === 0) this.#memory.arrived(userData);
        ring.seen();
        if (result === 0) return userData;
        this.#failed(userData, result);
      } else {
        ring.seen();
        this.#polled(userData, result, (flags & IORING_CQE_F_MORE) !== 0);
      }
    }
    return -1;
  }

  #polled(what: number, result: number, isArmed: boolean): void {
    if (what === DOORBELL_READABLE) this.#isDoorbellReadable = true;
    else this.#isClassicReadable = true;
    if (isArmed) return;
    if (result < 0 || (result & POLLERR) !== 0) {
      if (this.#hasEnded) this.#isUnmounted = true;
      else this.#options.failed('waiting for a descriptor', result);
      return;
    }
    if (what === DOORBELL_READABLE) this.#poll(this.#options.eventfd, POLLIN, what);
    else this.#poll(this.#fd, POLLIN, what);
  }

  #failed(entry: number, result: number): void {
    if (this.#hasEnded) {
      this.#isUnmounted = true;
      return;
    }
    const isRegistering = this.#memory.stateOf(entry) === IN_KERNEL;
    this.#memory.setState(entry, ABSENT);
    this.#options.failed(isRegistering ? 'registering an entry' : 'giving an entry back', result);
  }

  get #hasEnded(): boolean {
    return this.#connection.wait(0) > 0 && (this.#connection.events(0) & POLLERR) !== 0;
  }

  // ---- waiting

  #wait(seen: number): void {
    if (this.#polling.ms > 0 && !this.#handedOver && this.#spin(seen)) return;
    if (this.#doorbell.seen() === seen) this.#park(seen);
  }

  /** Whether there is something to look at. */
  #spin(seen: number): boolean {
    const ring = this.#ring;
    if (ring.queued > 0) {
      this.#enter(0, 0);
      if (!ring.isEmpty) return this.#caught();
    }
    const deadline = performance.now() + this.#polling.ms;
    do {
      for (let i = 0; i < LOOKS_PER_CLOCK; i++) {
        if (ring.hasWork) {
          this.#enter(0, 0);
          return this.#caught();
        }
        if (this.#doorbell.seen() !== seen) return true;
      }
    } while (performance.now() < deadline);
    this.#polling.missed();
    return false;
  }

  #caught(): true {
    this.polled++;
    this.#polling.caught();
    this.#options.awake?.hold();
    return true;
  }

  #park(seen: number): void {
    if (!this.#doorbell.park(seen)) return;
    const { awake, turn } = this.#options;
    this.parked++;
    const since = performance.now();
    const isAwake = awake?.held ?? false;
    const entered = this.#enter(1, isAwake ? AWAKE_MS : PARK_MS);
    this.#doorbell.unpark(this.#isDoorbellReadable);
    this.#isDoorbellReadable = false;
    turn?.();
    if (entered === -ETIME) {
      if (isAwake) awake?.release();
    } else if (!this.#ring.isEmpty && this.#polling.woken(performance.now() - since)) {
      awake?.hold();
    }
  }

  // ---- the ring

  #enter(completions: number, timeoutMs: number): number {
    const entered = this.#ring.enter(completions, timeoutMs);
    if (entered < 0 && entered !== -ETIME && entered !== -EINTR && entered !== -EBUSY)
      this.#options.failed('entering the ring', entered);
    if (this.#ring.queued === 0) this.#submissionsTaken();
    return entered;
  }

  #submissionsTaken(): void {
    for (let i = 0; i < this.#submittedCount; i++) this.#memory.submitted(this.#submitted[i]!, this.#row);
    this.#submittedCount = 0;
  }

  /** An entry goes to the kernel with its reply, and comes back with a request. */
  #giveBack(entry: number): void {
    const at = this.#command(entry, FUSE_IO_URING_CMD_COMMIT_AND_FETCH);
    this.#ring.u32[at + SQE_CMD + CMD_COMMIT_ID] = this.#memory.uniqueLo(entry);
    this.#ring.u32[at + SQE_CMD + CMD_COMMIT_ID + 1] = this.#memory.uniqueHi(entry);
    if (entry === this.#current) this.#current = CLASSIC;
  }

  #register(entry: number): void {
    const at = this.#command(entry, FUSE_IO_URING_CMD_REGISTER);
    const iovec = new BigUint64Array(this.#iovecs.buffer, entry * IOVEC_WORDS * 4, 4);
    iovec[0] = this.#memory.headerAddress(entry);
    iovec[1] = BigInt(FUSE_URING_REQ_HEADER_BYTES);
    iovec[2] = this.#memory.payloadAddress(entry);
    iovec[3] = BigInt(FUSE_MAX_WRITE);
    const address = this.#iovecsAddress + BigInt(entry * IOVEC_WORDS * 4);
    this.#ring.u32[at + SQE_ADDR] = Number(address & 0xffffffffn);
    this.#ring.u32[at + SQE_ADDR + 1] = Number(address >> 32n);
    this.#ring.u32[at + SQE_LEN] = 2;
  }

  #command(entry: number, command: number): number {
    const at = this.#ring.submission();
    const { u32 } = this.#ring;
    u32[at + SQE_OPCODE] = IORING_OP_URING_CMD;
    u32[at + SQE_FD] = this.#fd;
    u32[at + SQE_CMD_OP] = command;
    u32[at + SQE_USER_DATA] = entry;
    u32[at + SQE_CMD + CMD_QID] = this.#memory.queueOf(entry);
    this.#submitted[this.#submittedCount++] = entry;
    return at;
  }

  #poll(fd: number, events: number, userData: number): void {
    const at = this.#ring.submission();
    const { u32 } = this.#ring;
    u32[at + SQE_OPCODE] = IORING_OP_POLL_ADD;
    u32[at + SQE_FD] = fd;
    u32[at + SQE_LEN] = IORING_POLL_ADD_MULTI;
    u32[at + SQE_POLL_EVENTS] = events;
    u32[at + SQE_USER_DATA] = userData;
  }

  /** Entries of this row that other threads have answered. */
  #giveBackAnswered(): void {
    const answers = this.#memory.answersOf(this.#row);
    if (answers === this.#answersSeen) return;
    this.#answersSeen = answers;
    this.#eachOwn((entry) => {
      if (this.#memory.stateOf(entry) === ANSWERED && !this.#isSubmitted(entry)) this.#giveBack(entry);
    });
  }

  #isSubmitted(entry: number): boolean {
    return this.#submitted.subarray(0, this.#submittedCount).includes(entry);
  }

  // ---- beginning

  #open(): IoUring {
    const memory = this.#memory;
    memory.useOther(this.#row);
    const ring = IoUring.open(memory.buffer, memory.ringAt(this.#row), memory.ringEntries);
    if (typeof ring === 'number') throw new Error(`io_uring_setup failed with errno ${-ring}`);
    ring.record(memory.recordOf(this.#row));
    return ring;
  }

  /** What the ring of a thread that has ended still holds is put into the words of the entries. Whether there was one. */
  #adopt(row: number): boolean {
    const memory = this.#memory;
    const record = memory.recordOf(row);
    if (record[0] === 0) return false;
    const ring = IoUring.attach(memory.buffer, memory.ringAt(row), memory.ringEntries, record);
    // The kernel completes what it has of a thread's ring some time after the thread's end.
    const deadline = performance.now() + ADOPT_MS;
    this.#reap(ring);
    sealQueues(this.#fd, memory, row);
    record[0] = 0;
    close(ring.fd);
    while (this.#inRing(row) > 0 && performance.now() < deadline) this.#reap(ring);
    const lost = this.#inRing(row);
    if (lost > 0) this.#options.failed('taking entries over', -lost);
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

  #inRing(row: number): number {
    let count = 0;
    for (let entry = 0; entry < this.#memory.entries; entry++) if (this.#memory.isIn(row, entry)) count++;
    return count;
  }

  #takeQueues({ length, request: { u32 } }: Flight): void {
    const memory = this.#memory;
    this.#answersSeen = memory.answersOf(this.#row);
    this.#eachOwn((entry) => {
      const state = memory.stateOf(entry);
      if (state === ABSENT) this.#register(entry);
      else if (state === ANSWERED) this.#giveBack(entry);
      else if (state === ARRIVED) {
        const isInFlight = u32[2] === memory.uniqueLo(entry) && u32[3] === memory.uniqueHi(entry);
        if (length > 0 && isInFlight) memory.setState(entry, SERVED);
        else this.#inherited.push(entry);
      }
    });
  }

  #eachOwn(visit: (entry: number) => void): void {
    const { depth, queues } = this.#memory;
    for (let queue = 0; queue < queues; queue++) {
      if (this.#memory.ownerOf(queue) !== this.#row) continue;
      for (let entry = queue * depth; entry < (queue + 1) * depth; entry++) visit(entry);
    }
  }
}

/**
 * FUSE over io_uring: the replies to some requests and the wait for the next are one system call. FORGET and INTERRUPT still
 * come by read(2) on /dev/fuse, to the thread of row 0, and so would all requests if the kernel did not take the queues.
 * Nobody waits for the answer to a FORGET, so they are left in the kernel, which hands over many at once, until the thread has
 * nothing else to do or has served some requests.
 *
 * A thread with the queue of one CPU runs there, beside those who ask it, so it never looks for requests: a client that sleeps
 * leaves the CPU to it, and the other way round. That is cheaper than looking on another CPU, and nobody has to wake a CPU.
 *
 * Thread safety: one UringChannel per thread, each with a row of its own.
 */
import { EAGAIN, EINTR, EIO, ENODEV, ETIME } from '../../runtime/errno.ts';
import { POLLERR, PollSet, read } from '../../runtime/system/libc.ts';
import { FUSE_NOTIFY_REPLY, FUSE_READ, FUSE_WRITE } from '../protocol/abi.ts';
import { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { BusyPolling } from './busy-polling.ts';
import { type Channel, type ChannelOptions, PARK_MS, RANG, REQUESTS_PER_TIME, UNMOUNTED } from './channel.ts';
import { sendTo } from './classic-channel.ts';
import type { Flight } from './flight.ts';
import { SERVED, type UringMemory } from './uring-memory.ts';
import { NOTHING, UringQueues } from './uring-queues.ts';

export interface UringChannelOptions extends ChannelOptions {
  /** Which of the fuse actors this is. */
  readonly row: number;
  /** The kernel did not do what it was asked to: `result` is its −errno. */
  readonly failed: (doing: string, result: number) => void;
  /** Rings the doorbell of another row's thread. */
  readonly ring: (row: number) => void;
}

/** Replies are given to the kernel at the latest when there are so many, or before a request that may take long. */
const REPLIES_PER_SUBMISSION = 8;
/** Looks at the ring between two looks at the clock. */
const LOOKS_PER_CLOCK = 32;
/** Requests between two reads of /dev/fuse. */
const REQUESTS_PER_READ = 128;
/** The row whose thread reads /dev/fuse. */
const READER = 0;
/** In place of an entry: the request was read. */
const READ = -1;

export class UringChannel implements Channel {
  polled = 0;
  parked = 0;
  readonly #fd: number;
  readonly #memory: UringMemory;
  readonly #queues: UringQueues;
  readonly #options: UringChannelOptions;
  readonly #polling: BusyPolling;
  readonly #connection: PollSet;
  readonly #dismissal = new Reply(undefined, 0, 64);
  /** The entry of the request that was received last. */
  #current = READ;
  readonly #isReader: boolean;
  #isClassicReadable: boolean;
  #untilRead = REQUESTS_PER_READ;
  #isDoorbellReadable = false;
  #isUnmounted = false;
  #handedOver = false;
  #untilTime = REQUESTS_PER_TIME;
  #heard: number | undefined;

  /**
   * @param fd /dev/fuse, mounted, non-blocking, with FUSE_OVER_IO_URING agreed; not closed by the channel.
   * @param flight with the request that a predecessor was at, which is not received again
   * @throws if the ring cannot be had
   */
  constructor(fd: number, memory: UringMemory, flight: Flight, options: UringChannelOptions) {
    this.#fd = fd;
    this.#memory = memory;
    this.#options = options;
    options.doorbell.armDescriptor(options.eventfd);
    this.#polling = new BusyPolling(options.spinMicroseconds);
    this.#connection = new PollSet(fd);
    this.#isReader = options.row === READER;
    this.#isClassicReadable = this.#isReader;
    const polled = [options.eventfd, ...(options.awake === undefined ? [] : [options.awake.timer])];
    this.#queues = new UringQueues(fd, memory, options.row, flight, polled, {
      ring: options.ring,
      readable: (descriptor, result) => this.#readable(descriptor, result),
      failed: (doing, result) => this.#failed(doing, result),
    });
  }

  receive(request: Request): number {
    const { doorbell } = this.#options;
    for (;;) {
      const seen = doorbell.seen();
      if (seen !== this.#heard) {
        this.#heard = seen;
        this.#queues.collectNoticed();
        if (this.#queues.unsent > 0) this.#queues.enter(0, 0);
        this.#lookForEnd();
        return RANG;
      }
      if (--this.#untilTime <= 0) this.#runPutOff();
      if (this.#isReader && --this.#untilRead <= 0) {
        const length = this.#read(request);
        if (length !== 0) return length;
      }
      const entry = this.#queues.next();
      if (entry !== NOTHING) {
        const length = this.#take(entry, request);
        if (length > 0) return length;
        continue;
      }
      if (this.#isUnmounted) return UNMOUNTED;
      if (this.#isClassicReadable) {
        const length = this.#read(request);
        if (length !== 0) return length;
      }
      this.#queues.collectNoticed();
      if (!this.#runPutOff()) this.#wait(seen);
    }
  }

  /** Whether there was anything. Those who have been answered need not wait for it. */
  #runPutOff(): boolean {
    const { putOff } = this.#options;
    this.#untilTime = REQUESTS_PER_TIME;
    if (!putOff?.waits) return false;
    const { ring, unsent } = this.#queues;
    if (unsent > 0 || ring.hasWork) this.#queues.enter(0, 0);
    if (!ring.isEmpty) return true;
    this.#handedOver = !putOff.run();
    return true;
  }

  send(reply: Reply): number {
    const memory = this.#memory;
    const lo = reply.u32[2]!;
    const hi = reply.u32[3]!;
    let entry = this.#current;
    if (entry === READ || memory.uniqueLo(entry) !== lo || memory.uniqueHi(entry) !== hi)
      entry = memory.find(lo, hi);
    if (entry < 0) return sendTo(this.#fd, reply);
    this.#answer(entry, reply);
    return 0;
  }

  handedOver(): void {
    this.#handedOver = true;
  }

  leave(): void {
    if (!this.#hasEnded) this.#queues.leave();
  }

  facts(): Readonly<Record<string, number>> {
    return this.#queues.facts();
  }

  // ---- requests

  /** Puts an entry's request into `request`: its length, or 0 if it was none for a server. */
  #take(entry: number, request: Request): number {
    const memory = this.#memory;
    const opcode = memory.opcodeOf(entry);
    const { unsent } = this.#queues;
    const isLong = opcode === FUSE_WRITE || opcode === FUSE_READ;
    if (unsent > 0 && (isLong || unsent >= REPLIES_PER_SUBMISSION)) this.#queues.enter(0, 0);
    const length = opcode === FUSE_NOTIFY_REPLY ? 0 : memory.copyRequest(entry, request.u8, request.u32);
    if (length === 0) {
      this.#dismiss(entry, opcode);
      return 0;
    }
    memory.setState(entry, SERVED);
    this.#current = entry;
    this.#handedOver = false;
    return length;
  }

  #dismiss(entry: number, opcode: number): void {
    const reply = this.#dismissal;
    reply.beginUnique(this.#memory.uniqueLo(entry), this.#memory.uniqueHi(entry));
    if (opcode === FUSE_NOTIFY_REPLY) reply.ok(0);
    else reply.error(-EIO);
    this.#answer(entry, reply);
  }

  #answer(entry: number, reply: Reply): void {
    this.#memory.reply(entry, reply);
    this.#queues.giveBack(entry);
    if (entry === this.#current) this.#current = READ;
  }

  /** Length of a request, or UNMOUNTED, or 0: there is none for now. */
  #read(request: Request): number {
    if (this.#queues.unsent > 0) this.#queues.enter(0, 0);
    this.#untilRead = REQUESTS_PER_READ;
    const length = read(this.#fd, request.u8);
    if (length > 0) {
      this.#current = READ;
      return length;
    }
    if (length === -EAGAIN || length === -EINTR) this.#isClassicReadable = false;
    return length === -ENODEV ? UNMOUNTED : 0;
  }

  #readable(descriptor: number, result: number): void {
    const { awake, eventfd } = this.#options;
    if (descriptor === awake?.timer) awake.tick();
    else if (descriptor === eventfd) this.#isDoorbellReadable = true;
    else if ((result & POLLERR) !== 0) this.#lookForEnd();
    else this.#isClassicReadable = true;
    if (result < 0) this.#failed('waiting for a descriptor', result);
  }

  #failed(doing: string, result: number): void {
    if (this.#hasEnded) this.#isUnmounted = true;
    else this.#options.failed(doing, result);
  }

  /** A row that has no queue is not told of it: it looks when it is rung, and each time it has slept. */
  #lookForEnd(): void {
    if (this.#hasEnded) this.#isUnmounted = true;
  }

  get #hasEnded(): boolean {
    return this.#connection.wait(0) > 0 && (this.#connection.events(0) & POLLERR) !== 0;
  }

  // ---- waiting

  #wait(seen: number): void {
    const mayPoll = this.#polling.ms > 0 && !this.#handedOver && !this.#queues.isOnOneCpu;
    if (mayPoll && this.#spin(seen)) return;
    if (this.#options.doorbell.seen() === seen) this.#park(seen);
  }

  /** Whether there is something to look at. */
  #spin(seen: number): boolean {
    const { ring, unsent } = this.#queues;
    if (unsent > 0) {
      this.#queues.enter(0, 0);
      if (!ring.isEmpty) return this.#caught();
    }
    const deadline = performance.now() + this.#polling.ms;
    do {
      for (let i = 0; i < LOOKS_PER_CLOCK; i++) {
        if (ring.hasWork || !ring.isEmpty) {
          this.#queues.enter(0, 0);
          return this.#caught();
        }
        if (this.#options.doorbell.seen() !== seen) return true;
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
    const { doorbell, awake, turn } = this.#options;
    if (!doorbell.park(seen)) return;
    this.parked++;
    const since = performance.now();
    if (this.#isReader) this.#queues.watch();
    const entered = this.#queues.enter(1, PARK_MS);
    doorbell.unpark(this.#isDoorbellReadable);
    this.#isDoorbellReadable = false;
    turn?.();
    if (entered === -ETIME) {
      this.#queues.followQueues();
      this.#lookForEnd();
    } else if (this.#queues.bringsRequest && this.#polling.woken(performance.now() - since)) {
      awake?.hold();
    }
  }
}

/**
 * read(2) and write(2) on /dev/fuse: after each reply the channel busy-polls for a while before it parks in poll(2).
 *
 * Thread safety: one ClassicChannel per thread; any number of threads share the descriptor, and the kernel gives
 * each request to exactly one of them; which of them waits on it is settled by a Watch. The descriptor is non-blocking:
 * reads that find nothing return at once.
 */
import { availableParallelism } from 'node:os';
import { assert } from '../../runtime/assert.ts';
import { KIB } from '../../runtime/config/bounds.ts';
import { EAGAIN, EINTR, ENODEV, ENOENT } from '../../runtime/errno.ts';
import type { Doorbell } from '../../runtime/messaging/doorbell.ts';
import type { CpuLatency } from '../../runtime/system/cpu-latency.ts';
import { PollSet, read, write } from '../../runtime/system/libc.ts';
import { FUSE_READ, FUSE_WRITE, READ_IN_SIZE } from '../protocol/abi.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { BusyPolling } from './busy-polling.ts';
import {
  type Channel,
  type ChannelOptions,
  PARK_MS,
  type PutOff,
  RANG,
  REQUESTS_PER_TIME,
  UNMOUNTED,
} from './channel.ts';
import type { Watch } from './watch.ts';

export interface ClassicChannelOptions extends ChannelOptions {
  /** Needed where several threads share the descriptor. */
  readonly watch?: Watch | undefined;
  /** How many share it now. */
  readonly threads?: () => number;
}

/** So many serve queued requests at the same time: one more would take a CPU from the clients. */
const AT_WORK_MAX = Math.max(1, availableParallelism() >> 1);
/** Reads between two looks at the clock. */
const READS_PER_CLOCK = 8;
/** Requests between two looks whether more are waiting than this thread can take. */
const REQUESTS_PER_LOOK = 16;
/** A request that moves more than this many bytes may wait for a disk. */
const LARGE_BYTES = 16 * KIB;

/**
 * Sends a reply on any thread, for a request that another thread read. 0 or a negative errno. −ENOENT: the request was
 * interrupted meanwhile; it needs no answer, but what the reply counted (lookups) has to be taken back.
 */
export function sendTo(fd: number, reply: Reply): number {
  for (;;) {
    const sent = write(fd, reply.u8, reply.length);
    if (sent >= 0) return 0;
    if (sent !== -EINTR) return sent;
  }
}

export class ClassicChannel implements Channel {
  polled = 0;
  parked = 0;
  readonly #fd: number;
  readonly #doorbell: Doorbell;
  readonly #pollSet: PollSet;
  readonly #watch: Watch | undefined;
  readonly #threads: () => number;
  readonly #standBySet: PollSet;
  readonly #lookSet: PollSet;
  #untilLook = REQUESTS_PER_LOOK;
  #untilTime = REQUESTS_PER_TIME;
  readonly #putOff: PutOff | undefined;
  readonly #awake: CpuLatency | undefined;
  readonly #turn: () => void;
  readonly #polling: BusyPolling;
  /** The last request waits for another thread, which needs a CPU more than this one does. */
  #handedOver = false;
  /** The doorbell's sequence as of the last RANG. */
  #heard: number | undefined;

  /** @param fd /dev/fuse, mounted and non-blocking; not closed by the channel. */
  constructor(fd: number, options: ClassicChannelOptions) {
    this.#fd = fd;
    this.#doorbell = options.doorbell;
    this.#doorbell.armDescriptor(options.eventfd);
    this.#pollSet = new PollSet(fd, options.eventfd, options.awake?.timer ?? -1);
    this.#watch = options.watch;
    this.#threads = options.threads ?? (() => 1);
    this.#standBySet = new PollSet(options.watch?.descriptor ?? -1, options.eventfd);
    this.#lookSet = new PollSet(fd);
    this.#awake = options.awake;
    this.#turn = options.turn ?? (() => {});
    this.#putOff = options.putOff;
    this.#polling = new BusyPolling(options.spinMicroseconds);
  }

  receive(request: Request): number {
    for (;;) {
      const seen = this.#doorbell.seen();
      if (seen !== this.#heard) {
        this.#heard = seen;
        this.blocking();
        return RANG;
      }
      if (--this.#untilTime <= 0) this.#runPutOff();
      let length = this.#read(request);
      if (length === 0 && this.#runPutOff()) continue;
      if (length === 0) {
        if (this.#watch === undefined || this.#watch.enter()) {
          length = this.#wait(request, seen);
          this.#watch?.leave();
        } else {
          this.#standBy(seen);
        }
      }
      if (length !== 0) {
        this.#handedOver = false;
        if (this.#watch !== undefined && (length === UNMOUNTED || this.#needsHelp(request)))
          this.#watch.call();
        return length;
      }
    }
  }

  /** Whether there was anything, so that another look is worth it before waiting. */
  #runPutOff(): boolean {
    this.#untilTime = REQUESTS_PER_TIME;
    if (!this.#putOff?.waits) return false;
    this.#handedOver = !this.#putOff.run();
    return true;
  }

  send(reply: Reply): number {
    return sendTo(this.#fd, reply);
  }

  /** Lets another thread wait for requests: this one is going to do something that may take long. */
  blocking(): void {
    this.#watch?.call();
  }

  handedOver(): void {
    this.#handedOver = true;
  }

  /** Length of a request, 0 for none, or UNMOUNTED. */
  #read(request: Request): number {
    const length = read(this.#fd, request.u8);
    if (length > 0) return length;
    // ENOENT: the request was interrupted while the kernel was handing it over.
    if (length === -EAGAIN || length === -EINTR || length === -ENOENT) return 0;
    assert(length === -ENODEV, 'reading a mounted /dev/fuse fails only by its unmount');
    return UNMOUNTED;
  }

  #wait(request: Request, seen: number): number {
    const length = this.#polling.ms > 0 && !this.#handedOver ? this.#spin(request, seen) : 0;
    if (length === 0 && this.#doorbell.seen() === seen) this.#park(seen);
    return length;
  }

  /** Whether requests may have to wait for this one: it moves much data, or others are queued already. */
  #needsHelp(request: Request): boolean {
    const opcode = request.u32[1];
    if ((opcode === FUSE_READ || opcode === FUSE_WRITE) && request.word(READ_IN_SIZE) > LARGE_BYTES)
      return true;
    if (--this.#untilLook > 0) return false;
    this.#untilLook = REQUESTS_PER_LOOK;
    const atWork = this.#threads() - this.#watch!.standingBy;
    return atWork < AT_WORK_MAX && this.#lookSet.wait(0) > 0;
  }

  #standBy(seen: number): void {
    if (!this.#doorbell.park(seen)) return;
    this.parked++;
    this.#awake?.release();
    this.#watch!.standBy(this.#standBySet, 0, PARK_MS);
    this.#doorbell.unpark(this.#standBySet.events(1) !== 0);
    this.#turn();
  }

  #spin(request: Request, seen: number): number {
    const deadline = performance.now() + this.#polling.ms;
    do {
      for (let i = 0; i < READS_PER_CLOCK; i++) {
        if (this.#doorbell.seen() !== seen) return 0;
        const length = this.#read(request);
        if (length !== 0) {
          this.polled++;
          this.#polling.caught();
          this.#awake?.hold();
          return length;
        }
      }
    } while (performance.now() < deadline);
    this.#polling.missed();
    return 0;
  }

  #park(seen: number): void {
    if (!this.#doorbell.park(seen)) return;
    this.parked++;
    const since = performance.now();
    this.#pollSet.wait(PARK_MS);
    this.#doorbell.unpark(this.#pollSet.events(1) !== 0);
    this.#turn();
    if (this.#pollSet.events(2) !== 0) this.#awake?.tick();
    if (this.#pollSet.events(0) !== 0 && this.#polling.woken(performance.now() - since)) this.#awake?.hold();
  }
}

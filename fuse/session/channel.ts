/** The way requests come from the kernel and replies go back, as a server sees it. */
import type { Doorbell } from '../../runtime/messaging/doorbell.ts';
import type { CpuLatency } from '../../runtime/system/cpu-latency.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';

/** What `receive` returns instead of a length. */
export const RANG = 0;
export const UNMOUNTED = -1;

export interface Channel {
  /** Waits for a request: its length in bytes, or RANG: the doorbell was rung since the last RANG, or UNMOUNTED. */
  receive(request: Request): number;
  /** Sends a finished reply: 0 or a negative errno; −ENOENT, as {@link sendTo}. */
  send(reply: Reply): number;
  /** The request that was received is answered by another thread, so its client is not going to send one now. */
  handedOver?(): void;
  /** What else there is to know of it. */
  facts?(): Readonly<Record<string, number>>;
  /** This thread is going to end: requests are to wait for its successor. */
  leave?(): void;
  /** Requests caught by busy-polling, and sleeps in the kernel. */
  readonly polled: number;
  readonly parked: number;
}

/** Work that a thread does between requests. */
export interface PutOff {
  /** Whether there is any. */
  readonly waits: boolean;
  /** May take as long as a disk does. Whether it is done; else another thread does it. */
  run(): boolean;
}

export interface ChannelOptions {
  /** Longest busy-poll between two requests, 0 … 10,000. May change at any time. */
  readonly spinMicroseconds: () => number;
  /** This thread's doorbell, and the eventfd it is to ring while the thread is parked. */
  readonly doorbell: Doorbell;
  readonly eventfd: number;
  /** Held while requests keep coming: the client's CPU and this thread's then need no time to wake up. */
  readonly awake?: CpuLatency | undefined;
  /** What can wait while requests are there: done before the thread waits for one, and while they keep coming now and then. */
  readonly putOff?: PutOff | undefined;
  /** Called after each sleep, at least once a second while no request comes: a sign of life. */
  readonly turn?: (() => void) | undefined;
}

/** A parked thread looks around this often by itself. */
export const PARK_MS = 1000;
/** Requests between two times for what was put off. */
export const REQUESTS_PER_TIME = 128;
/** CPUs are kept awake for so long after a request, or up to twice as long, in case there is another one. */
export const AWAKE_MS = 2;

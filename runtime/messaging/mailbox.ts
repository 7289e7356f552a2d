/**
 * A mailbox: what an actor receives. A lane (an SPSC ring) per sender, one doorbell for all of them.
 *
 * Roles: one owner thread holds the Mailbox and drains it. Each lane has one sender thread with an Outbox. Any thread
 * may look (peekMailbox). format() runs once, before either exists.
 *
 * Layout: a line of the owner's words (0 magic, 1 lanes, 2 bytes per lane, 3 when it last drained), a line of the
 * doorbell, then the lanes.
 *
 * Invariants:
 * 1. send() publishes, then rings, so an owner woken by the doorbell finds the message.
 * 2. Messages of one lane arrive in the order they were sent; between lanes there is no order.
 * 3. drain() takes at most `batch` messages of each lane and begins with another lane each time: a busy sender delays
 *    the others by at most one batch.
 * 4. A message is handed to the handler at most once: if the handler throws, it counts as received.
 */
import { assert } from '../assert.ts';
import { SHARED_LINE, WAIT_SLICE_MS } from '../config/bounds.ts';
import type { Region } from '../memory/arena.ts';
import { DEFAULT_SPINS } from '../sync/spin.ts';
import { stillWaiting } from '../sync/waiting.ts';
import { Doorbell } from './doorbell.ts';
import { RingConsumer, RingProducer, ringBytes, ringReceived, ringSent } from './ring.ts';

export interface MessageHandler {
  /** The payload is u8[offset … offset + length), 8-aligned, and only valid during the call. */
  onMessage(
    kind: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
    lane: number,
  ): void;
}

/** A lane as others see it, a snapshot. */
export interface LaneState {
  /** Messages sent and received so far, modulo 2^32, and the difference: how many wait. */
  readonly sent: number;
  readonly received: number;
  readonly depth: number;
  /** Milliseconds since the owner last looked; the oldest message waits no longer than this. 0 when none waits. */
  readonly waitedAtMost: number;
}

const ORIGIN = performance.timeOrigin;

const MAGIC = 0x584f424d; // "MBOX"
const LANES = 1;
const BYTES_PER_LANE = 2;
const DRAINED_AT = 3;
const DOORBELL = SHARED_LINE / 4;
const FIRST_LANE_BYTE = 2 * SHARED_LINE;

/** Region bytes of a mailbox with `lanes` senders and `bytesPerLane` (a power of two) for each. */
export function planMailbox(lanes: number, bytesPerLane: number): number {
  return laneOffset(lanes, bytesPerLane);
}

export class Mailbox {
  readonly doorbell: Doorbell;
  readonly #u32: Uint32Array;
  readonly #lanes: RingConsumer[] = [];
  readonly #region: Region;
  /** The lane that the next drain begins with. */
  #first = 0;

  static format(region: Region, lanes: number, bytesPerLane: number): void {
    assert(lanes > 0 && planMailbox(lanes, bytesPerLane) <= region.bytes, 'the mailbox fits its region');
    region.u32[LANES] = lanes;
    region.u32[BYTES_PER_LANE] = bytesPerLane;
    region.u32[DRAINED_AT] = milliseconds();
    Atomics.store(region.u32, 0, MAGIC);
  }

  /** `spins`: atomic loads the owner tries before it parks. */
  constructor(region: Region, spins: number = DEFAULT_SPINS) {
    checkFormat(region);
    this.#region = region;
    this.#u32 = region.u32;
    this.doorbell = new Doorbell(region.i32, DOORBELL, spins);
    const bytesPerLane = region.u32[BYTES_PER_LANE]!;
    for (let lane = 0; lane < region.u32[LANES]!; lane++) {
      this.#lanes.push(new RingConsumer(region, laneOffset(lane, bytesPerLane), bytesPerLane));
    }
  }

  /** Hands over at most `batch` messages of each lane; returns how many in all. 0 = everything was empty. */
  drain(handler: MessageHandler, batch: number): number {
    const lanes = this.#lanes;
    const count = lanes.length;
    const first = this.#first;
    this.#first = first + 1 < count ? first + 1 : 0;
    let handled = 0;
    for (let i = 0; i < count; i++) {
      const lane = first + i < count ? first + i : first + i - count;
      handled += drainLane(lanes[lane]!, lane, handler, batch);
    }
    this.#u32[DRAINED_AT] = milliseconds();
    return handled;
  }

  /** What has been sent in each lane until now, for passed(). */
  mark(): Uint32Array {
    const bytesPerLane = this.#u32[BYTES_PER_LANE]!;
    return Uint32Array.from(this.#lanes, (_, lane) => ringSent(this.#region, laneOffset(lane, bytesPerLane)));
  }

  /** Whether everything that had been sent at `mark` has been handed over. */
  passed(mark: Uint32Array): boolean {
    for (let lane = 0; lane < mark.length; lane++) {
      if (((this.#lanes[lane]!.received - mark[lane]!) | 0) < 0) return false;
    }
    return true;
  }

  /** How many messages wait in each lane. */
  depth(): number[] {
    return peekMailbox(this.#region).map((lane) => lane.depth);
  }
}

export class Outbox {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly #ring: RingProducer;
  readonly #doorbell: Doorbell;

  /** `lane` 0 … lanes − 1 belongs to this thread alone. */
  constructor(region: Region, lane: number) {
    checkFormat(region);
    assert(lane >= 0 && lane < region.u32[LANES]!, 'the lane was planned');
    const bytesPerLane = region.u32[BYTES_PER_LANE]!;
    this.u8 = region.u8;
    this.u32 = region.u32;
    this.f64 = region.f64;
    this.#ring = new RingProducer(region, laneOffset(lane, bytesPerLane), bytesPerLane);
    this.#doorbell = new Doorbell(region.i32, DOORBELL);
  }

  /** As RingProducer.claim: the payload's offset in `u8`, or −1 when the lane is full. */
  claim(kind: number, bytes: number): number {
    return this.#ring.claim(kind, bytes);
  }

  /**
   * Publishes everything claimed without ringing: for messages that can wait until the owner looks by itself.
   * Waking a parked thread costs more than most requests.
   */
  post(): void {
    this.#ring.publish();
  }

  /** Publishes everything claimed and rings. */
  send(): void {
    this.#ring.publish();
    this.#doorbell.ring();
  }

  /**
   * As claim, but sends what is claimed and parks until there is room. It waits as long as the owner does not drain,
   * so two actors must not do this to each other: one direction of a pair uses claim and bears a refusal.
   */
  claimOrWait(kind: number, bytes: number): number {
    for (;;) {
      const offset = this.#ring.claim(kind, bytes);
      if (offset >= 0) return offset;
      this.send();
      this.#ring.waitForRoom(WAIT_SLICE_MS);
      stillWaiting();
    }
  }
}

/** Any thread: the doorbell of the mailbox in `region`, to ring. */
export function doorbellOf(region: Region): Doorbell {
  checkFormat(region);
  return new Doorbell(region.i32, DOORBELL);
}

/** Any thread: every lane of the mailbox in `region`. */
export function peekMailbox(region: Region): LaneState[] {
  checkFormat(region);
  const bytesPerLane = region.u32[BYTES_PER_LANE]!;
  const sinceDrain = (milliseconds() - Atomics.load(region.u32, DRAINED_AT)) >>> 0;
  return Array.from({ length: region.u32[LANES]! }, (_, lane) => {
    const offset = laneOffset(lane, bytesPerLane);
    const received = ringReceived(region, offset);
    const sent = ringSent(region, offset);
    const depth = (sent - received) >>> 0;
    return { sent, received, depth, waitedAtMost: depth === 0 ? 0 : sinceDrain };
  });
}

function drainLane(ring: RingConsumer, lane: number, handler: MessageHandler, batch: number): number {
  let handled = 0;
  try {
    while (handled < batch && ring.next()) {
      handled++;
      handler.onMessage(ring.kind, ring.u8, ring.u32, ring.f64, ring.offset, ring.length, lane);
    }
  } finally {
    ring.release();
  }
  return handled;
}

function laneOffset(lane: number, bytesPerLane: number): number {
  return FIRST_LANE_BYTE + lane * ringBytes(bytesPerLane);
}

function checkFormat(region: Region): void {
  assert(Atomics.load(region.u32, 0) === MAGIC, 'the region was formatted as a mailbox');
}

/** A clock all threads share, modulo 2^32 ms (49 days): only differences are used. */
function milliseconds(): number {
  return ((ORIGIN + performance.now()) % 2 ** 32) >>> 0;
}

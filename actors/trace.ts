/**
 * The traces: what each actor did with which request, and when, in one overwriting ring per actor.
 *
 * Roles: each actor writes its own ring (recorder.ts is the contract of a ring, invariants included); any thread reads.
 * Word 0 of the region is the switch for requests that are answered where they were read; main writes it.
 * Requests that are handed over to another actor are always traced: what waits for a disk or a search does not notice.
 *
 * Layout of an entry: stamp, event, request (two words: FUSE's unique; of a shard the search's id and 0), f64 time (µs
 * since the epoch, a clock all threads share), and a word whose meaning is the event's.
 */
import type { Region } from '../runtime/memory/arena.ts';
import { RecorderReader, RecorderWriter, recorderBytes } from '../runtime/messaging/recorder.ts';
import { HITS, hitsOf, QUERY, SEARCH, SYNC } from './messages.ts';

/** Read from the kernel. Word: the opcode. */
export const RECEIVED = 1;
/** Sent to another actor. Word: the kind of the message. */
export const HANDED_OVER = 2;
/** Taken from the mailbox. Word: the kind of the message. */
export const TAKEN = 3;
/** The log has been written; io, of no request in particular. */
export const LOG_WRITTEN = 4;
/** The log is durable; as LOG_WRITTEN. */
export const DURABLE = 5;
/** The shards are asked. Word: the search's id. */
export const SHARDS_ASKED = 6;
/** A shard has searched: request is the search's id. Word: hits. */
export const SEARCHED = 7;
/** A shard's answer is there: request is the search's id. Word: hits. */
export const HITS_TAKEN = 8;
/** The kernel has the reply. Word: 0 or the errno. */
export const REPLIED = 9;

export const EVENT_NAMES = [
  'none',
  'received',
  'handed over',
  'taken',
  'log written',
  'durable',
  'shards asked',
  'searched',
  'hits taken',
  'replied',
] as const;

const ENTRIES = 2048;
const ENTRY_BYTES = 32;
const SWITCH_BYTES = 64;
const STRIDE = recorderBytes(ENTRIES, ENTRY_BYTES);
const ORIGIN = performance.timeOrigin;

/** Region bytes for the traces of `actors` actors. */
export function tracesBytes(actors: number): number {
  return SWITCH_BYTES + actors * STRIDE;
}

function shape(slot: number) {
  return { byteOffset: SWITCH_BYTES + slot * STRIDE, entries: ENTRIES, entryBytes: ENTRY_BYTES };
}

/** One per thread. */
export class Trace {
  readonly #region: Region;
  readonly #writer: RecorderWriter;
  /** The request being handled: what it is and when it came, in milliseconds of this thread's clock. */
  #opcode = 0;
  #began = 0;
  /** The request on whose behalf shards are asked, while that is known; 0 = none. */
  #askerLo = 0;
  #askerHi = 0;

  constructor(region: Region, slot: number) {
    this.#region = region;
    this.#writer = new RecorderWriter(region, shape(slot));
  }

  /** Whether every request is traced. */
  get isOn(): boolean {
    return Atomics.load(this.#region.u32, 0) !== 0;
  }

  set isOn(value: boolean) {
    Atomics.store(this.#region.u32, 0, value ? 1 : 0);
  }

  record(event: number, lo: number, hi: number, word: number, now: number = performance.now()): void {
    const writer = this.#writer;
    const at = writer.begin();
    const i = at >>> 2;
    writer.u32[i + 1] = event;
    writer.u32[i + 2] = lo;
    writer.u32[i + 3] = hi;
    writer.f64[(at >>> 3) + 2] = (ORIGIN + now) * 1000;
    writer.u32[i + 6] = word;
    writer.end();
  }

  /** A request was read. It is noted, not recorded: most are answered before anybody could ask. */
  began(opcode: number, now: number): void {
    this.#opcode = opcode;
    this.#began = now;
  }

  /** The request that began goes on elsewhere. */
  handedOver(lo: number, hi: number, kind: number): void {
    this.record(RECEIVED, lo, hi, this.#opcode, this.#began);
    this.record(HANDED_OVER, lo, hi, kind);
  }

  /** The request that began was answered here; called only while every request is traced. */
  answered(lo: number, hi: number, errno: number, now: number): void {
    this.record(RECEIVED, lo, hi, this.#opcode, this.#began);
    this.record(REPLIED, lo, hi, errno, now);
  }

  /** Runs `ask`; the shards that it asks before it first waits are asked for this request. */
  onBehalf<T>(lo: number, hi: number, ask: () => T): T {
    this.#askerLo = lo;
    this.#askerHi = hi;
    try {
      return ask();
    } finally {
      this.#askerLo = this.#askerHi = 0;
    }
  }

  shardsAsked(search: number): void {
    this.record(SHARDS_ASKED, this.#askerLo, this.#askerHi, search);
  }

  /** A message was taken: recorded when it carries a request. */
  readonly taken = (kind: number, u32: Uint32Array, offset: number): void => {
    const word = offset >>> 2;
    if (kind === SYNC || kind === QUERY) this.record(TAKEN, u32[word]!, u32[word + 1]!, kind);
    else if (kind === SEARCH) this.record(TAKEN, u32[word]!, 0, kind);
    else if (kind === HITS) this.record(HITS_TAKEN, u32[word]!, 0, hitsOf(u32[word + 1]!));
  };
}

export interface TraceEvent {
  readonly event: number;
  readonly lo: number;
  readonly hi: number;
  readonly word: number;
  /** Microseconds since the epoch. */
  readonly at: number;
}

/** What is still there of an actor's trace, oldest first. */
export function readTrace(region: Region, slot: number): TraceEvent[] {
  const reader = new RecorderReader(region, shape(slot), 'oldest');
  const events: TraceEvent[] = [];
  while (reader.next() && events.length < ENTRIES) {
    const [, event = 0, lo = 0, hi = 0] = reader.u32;
    events.push({ event, lo, hi, word: reader.u32[6]!, at: reader.f64[2]! });
  }
  return events;
}

/**
 * The tap of an actor: a copy of the beginning of each message it takes, for whoever watches.
 *
 * Roles: the actor writes while its TAP word is set (actor-state.ts); any thread reads with {@link tapReader}. Who
 * reads too slowly loses the oldest, and learns how many (recorder.ts is the contract, invariants included).
 * Layout of an entry: stamp, kind, lane, length of the payload, f64 time (µs since the epoch), the payload's first
 * TAP_BYTES.
 */
import type { Region } from '../memory/arena.ts';
import { RecorderReader, RecorderWriter, recorderBytes } from '../messaging/recorder.ts';

/** Bytes of a message that are copied. */
export const TAP_BYTES = 64;
const ENTRIES = 1024;
const HEADER_BYTES = 24;
const ENTRY_BYTES = HEADER_BYTES + TAP_BYTES;
const STRIDE = Math.ceil(recorderBytes(ENTRIES, ENTRY_BYTES) / 64) * 64;
const ORIGIN = performance.timeOrigin;

/** Region bytes for the taps of `actors` actors; they cost nothing until they are used. */
export function tapsBytes(actors: number): number {
  return actors * STRIDE;
}

function shape(slot: number) {
  return { byteOffset: slot * STRIDE, entries: ENTRIES, entryBytes: ENTRY_BYTES };
}

export class Tap {
  readonly #writer: RecorderWriter;

  constructor(region: Region, slot: number) {
    this.#writer = new RecorderWriter(region, shape(slot));
  }

  record(kind: number, u8: Uint8Array, offset: number, length: number, lane: number): void {
    const writer = this.#writer;
    const at = writer.begin();
    const word = at >>> 2;
    writer.u32[word + 1] = kind;
    writer.u32[word + 2] = lane;
    writer.u32[word + 3] = length;
    writer.f64[(at >>> 3) + 2] = (ORIGIN + performance.now()) * 1000;
    const bytes = Math.min(length, TAP_BYTES);
    for (let i = 0; i < bytes; i++) writer.u8[at + HEADER_BYTES + i] = u8[offset + i]!;
    writer.end();
  }
}

export interface TappedMessage {
  readonly kind: number;
  readonly lane: number;
  /** Of the whole payload; `bytes` holds its beginning. */
  readonly length: number;
  readonly bytes: Uint8Array;
  /** Microseconds since the epoch. */
  readonly at: number;
}

/** Reads what an actor takes from now on. */
export class TapReader {
  readonly #reader: RecorderReader;

  constructor(region: Region, slot: number) {
    this.#reader = new RecorderReader(region, shape(slot), 'now');
  }

  /** Messages taken that were overwritten before they were read. */
  get lost(): number {
    return this.#reader.lost;
  }

  next(): TappedMessage | undefined {
    const reader = this.#reader;
    if (!reader.next()) return undefined;
    const [, kind = 0, lane = 0, length = 0] = reader.u32;
    const bytes = reader.u8.slice(HEADER_BYTES, HEADER_BYTES + Math.min(length, TAP_BYTES));
    return { kind, lane, length, bytes, at: reader.f64[2]! };
  }
}

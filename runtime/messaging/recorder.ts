/**
 * A recorder: a ring of fixed-size entries that its writer overwrites, oldest first, and never waits. For looking
 * into what a thread does without holding it up.
 *
 * Roles: one thread writes; any thread reads, each reader from a position of its own. A restarted writer goes on where
 * its predecessor was.
 *
 * Layout, from `byteOffset` (a multiple of 64): a line whose word 0 counts the entries written, modulo 2^32; then
 * `entries` (a power of two) of `entryBytes` (a multiple of 8) each. Word 0 of an entry is its stamp, the rest is the
 * user's.
 *
 * Invariants and memory order:
 * 1. Entry n lies at place n mod entries and has the stamp n + 1. A stamp of another number is that of an entry which
 *    was overwritten; 0 is that of one being written (so every 2^32nd entry is never read).
 * 2. The writer exchanges the stamp for 0, writes, stores the stamp n + 1 (which publishes the entry), then the count.
 * 3. A reader loads the stamp, copies, and reads the stamp again with a read-modify-write. All read-modify-writes of a
 *    word are totally ordered: if the reader's comes before the writer's exchange, its loads happened before the
 *    writer's stores; if it comes after, it sees another stamp and drops the copy (as in sync/sequence-lock.ts).
 * 4. What a reader does not get to in time is counted as lost by that reader; nobody waits for it.
 */
import { assert } from '../assert.ts';
import { CACHE_LINE } from '../config/bounds.ts';
import type { RingMemory } from './ring.ts';

/** Memory that a recorder takes. */
export function recorderBytes(entries: number, entryBytes: number): number {
  return CACHE_LINE + entries * entryBytes;
}

export interface RecorderShape {
  readonly byteOffset: number;
  /** A power of two. */
  readonly entries: number;
  /** Stamp included; a multiple of 8. */
  readonly entryBytes: number;
}

export class RecorderWriter {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly #i32: Int32Array;
  readonly #count: number;
  readonly #first: number;
  readonly #mask: number;
  readonly #entryBytes: number;
  #written: number;
  #stampAt = 0;

  constructor(memory: RingMemory, shape: RecorderShape) {
    checkShape(memory, shape);
    this.u8 = memory.u8;
    this.u32 = memory.u32;
    this.f64 = memory.f64;
    this.#i32 = memory.i32;
    this.#count = shape.byteOffset >>> 2;
    this.#first = shape.byteOffset + CACHE_LINE;
    this.#mask = shape.entries - 1;
    this.#entryBytes = shape.entryBytes;
    this.#written = Atomics.load(this.#i32, this.#count);
  }

  /** Begins an entry: its byte offset in `u8`, 8-aligned; the user's part starts 4 bytes on. Then comes end(). */
  begin(): number {
    const at = this.#first + (this.#written & this.#mask) * this.#entryBytes;
    this.#stampAt = at >>> 2;
    Atomics.exchange(this.#i32, this.#stampAt, 0);
    return at;
  }

  /** Publishes the entry that was begun. */
  end(): void {
    this.#written = (this.#written + 1) | 0;
    Atomics.store(this.#i32, this.#stampAt, this.#written);
    Atomics.store(this.#i32, this.#count, this.#written);
  }
}

export class RecorderReader {
  /** A copy of the entry that next() moved to, its stamp included. */
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  /** Entries that were overwritten before this reader came to them. */
  lost = 0;
  readonly #memory: RingMemory;
  readonly #shape: RecorderShape;
  #position: number;

  /** Begins with the oldest entry that is still there, or with the next one to be written. */
  constructor(memory: RingMemory, shape: RecorderShape, from: 'oldest' | 'now') {
    checkShape(memory, shape);
    this.#memory = memory;
    this.#shape = shape;
    const buffer = new ArrayBuffer(shape.entryBytes);
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.#position = this.#written();
    if (from === 'oldest') this.#goBack();
  }

  /** Moves to the next entry that is whole. False: there is none yet. */
  next(): boolean {
    const { entries } = this.#shape;
    for (;;) {
      const behind = (this.#written() - this.#position) | 0;
      if (behind <= 0) return false;
      if (behind > entries) {
        this.lost += behind - entries;
        this.#position = (this.#position + behind - entries) | 0;
      }
      const number = this.#position;
      this.#position = (number + 1) | 0;
      if (this.#copy(number)) return true;
      this.lost++;
    }
  }

  #copy(number: number): boolean {
    const { u8, i32 } = this.#memory;
    const at = this.#placeOf(number);
    const stamp = (number + 1) | 0;
    if (stamp === 0 || Atomics.load(i32, at >>> 2) !== stamp) return false;
    this.u8.set(u8.subarray(at, at + this.#shape.entryBytes));
    return Atomics.add(i32, at >>> 2, 0) === stamp;
  }

  /** To the oldest entry that is there: the ring may never have been full, and its oldest may be under way. */
  #goBack(): void {
    const { entries } = this.#shape;
    const written = this.#position;
    this.#position = (written - entries) | 0;
    // The stamp 0 is that of places not used yet as well as of every 2^32nd entry.
    for (let stamp = (this.#position + 1) | 0; this.#position !== written; stamp = (stamp + 1) | 0) {
      if (stamp !== 0 && this.#stampOf(this.#position) === stamp) return;
      this.#position = (this.#position + 1) | 0;
    }
  }

  #stampOf(number: number): number {
    return Atomics.load(this.#memory.i32, this.#placeOf(number) >>> 2);
  }

  #placeOf(number: number): number {
    const { byteOffset, entries, entryBytes } = this.#shape;
    return byteOffset + CACHE_LINE + (number & (entries - 1)) * entryBytes;
  }

  #written(): number {
    return Atomics.load(this.#memory.i32, this.#shape.byteOffset >>> 2);
  }
}

function checkShape(memory: RingMemory, { byteOffset, entries, entryBytes }: RecorderShape): void {
  assert(Number.isInteger(Math.log2(entries)), 'a recorder holds 2^n entries');
  assert(byteOffset % CACHE_LINE === 0 && entryBytes % 8 === 0, 'entries are 8-aligned');
  assert(
    byteOffset + recorderBytes(entries, entryBytes) <= memory.u8.length,
    'a recorder lies in its region',
  );
}

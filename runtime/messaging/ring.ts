/**
 * A ring of variable-length records: one producer, one consumer, no locks.
 *
 * Roles: exactly one thread holds a RingProducer and exactly one a RingConsumer of the same ring. Either may be made
 * anew over a ring in use (after a crash): it continues from the shared indexes.
 *
 * Layout, from `byteOffset` (a multiple of 64): a line of the producer's words (0 head, 1 records sent), a line of
 * the consumer's words (0 tail, 1 records received, 2 starving), then `capacity` bytes of records. A record is
 * u32 payload length, u32 kind, the payload, and padding to a multiple of 8; it is contiguous: where it would not fit
 * before the end, a record of kind PAD fills the rest and it starts over at the beginning.
 *
 * Invariants:
 * 1. head and tail are byte counts, free-running modulo 2^32. capacity is a power of two, so they wrap together;
 *    0 ≤ head − tail ≤ capacity.
 * 2. Only the producer writes head and the bytes in [head, tail + capacity); only the consumer writes tail. Each keeps
 *    a copy of the other's index and reads the shared one only when the copy says full, or empty.
 * 3. publish() makes all records claimed before it visible, by one Atomics.store of head. Nothing else publishes.
 * 4. release() hands back the room of all records consumed before it, by one Atomics.store of tail; until then their
 *    bytes stay as they are.
 * 5. A producer that waits for room sets `starving`, then looks at tail; the consumer stores tail, then looks at
 *    `starving`. Both are sequentially consistent, so the consumer wakes it or it sees the room. The producer sleeps on
 *    `starving` while it is 1, and not on tail, which says nothing of a consumer that clears the word a moment late:
 *    of a wait that is over, and with it that of the next one.
 * 6. A full ring refuses (claim returns −1); it never drops or overwrites.
 */
import { assert } from '../assert.ts';
import { RING_MAX, RING_MIN, SHARED_LINE, WAIT_SLICE_MS } from '../config/bounds.ts';

/** The views a ring lives in: an arena region, or any set over the same memory. */
export interface RingMemory {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
}

/** Bytes before the records. */
export const RING_HEADER_BYTES = 2 * SHARED_LINE;
const RECORD_HEADER_BYTES = 8;
const PAD = 0xffff_ffff;

const HEAD = 0;
const SENT = 1;
const TAIL = SHARED_LINE / 4;
const RECEIVED = TAIL + 1;
const STARVING = TAIL + 2;

/** Memory that a ring of `capacity` bytes (a power of two, RING_MIN … RING_MAX) takes. */
export function ringBytes(capacity: number): number {
  return RING_HEADER_BYTES + capacity;
}

/** Largest payload of a ring of `capacity` bytes. Any record fits an empty ring, whatever the position, since it is at most half. */
export function largestPayload(capacity: number): number {
  return capacity / 2 - RECORD_HEADER_BYTES;
}

export class RingProducer {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly #i32: Int32Array;
  /** Index of the header's first word. */
  readonly #words: number;
  /** Byte offset of the first record. */
  readonly #data: number;
  readonly #capacity: number;
  /** Where the next record goes; the shared head follows at publish(). */
  #head: number;
  #sent: number;
  #cachedTail: number;

  constructor(memory: RingMemory, byteOffset: number, capacity: number) {
    checkPlace(memory, byteOffset, capacity);
    this.u8 = memory.u8;
    this.u32 = memory.u32;
    this.f64 = memory.f64;
    this.#i32 = memory.i32;
    this.#words = byteOffset / 4;
    this.#data = byteOffset + RING_HEADER_BYTES;
    this.#capacity = capacity;
    this.#head = Atomics.load(this.#i32, this.#words + HEAD);
    this.#sent = Atomics.load(this.#i32, this.#words + SENT);
    this.#cachedTail = Atomics.load(this.#i32, this.#words + TAIL);
  }

  /**
   * Room for a record of `kind` (0 … 2^32 − 2) with `bytes` of payload: the payload's offset in `u8`, a multiple of 8,
   * or −1 when the ring is full. The consumer sees it after publish(). The payload holds whatever was there before.
   */
  claim(kind: number, bytes: number): number {
    const size = (RECORD_HEADER_BYTES + bytes + 7) & ~7;
    const capacity = this.#capacity;
    assert(bytes >= 0 && size <= capacity >>> 1, 'a record is at most half its ring');
    let position = this.#head & (capacity - 1);
    const rest = capacity - position;
    const need = size <= rest ? size : rest + size;
    if (!this.#hasRoom(need)) return -1;
    if (size > rest) {
      this.#writeHeader(position, rest - RECORD_HEADER_BYTES, PAD);
      position = 0;
    }
    this.#writeHeader(position, bytes, kind);
    this.#head = (this.#head + need) | 0;
    this.#sent = (this.#sent + 1) | 0;
    return this.#data + position + RECORD_HEADER_BYTES;
  }

  /** One store publishes all records claimed so far. */
  publish(): void {
    this.#i32[this.#words + SENT] = this.#sent;
    Atomics.store(this.#i32, this.#words + HEAD, this.#head);
  }

  /** After a refused claim: parks until the consumer releases something, or `timeoutMs`. Publish before, or it never will. */
  waitForRoom(timeoutMs: number): void {
    const i32 = this.#i32;
    const starving = this.#words + STARVING;
    Atomics.store(i32, starving, 1);
    if (Atomics.load(i32, this.#words + TAIL) !== this.#cachedTail) return;
    Atomics.wait(i32, starving, 1, Math.min(timeoutMs, WAIT_SLICE_MS));
  }

  #hasRoom(need: number): boolean {
    if (((this.#head - this.#cachedTail) | 0) + need <= this.#capacity) return true;
    this.#cachedTail = Atomics.load(this.#i32, this.#words + TAIL);
    return ((this.#head - this.#cachedTail) | 0) + need <= this.#capacity;
  }

  #writeHeader(position: number, bytes: number, kind: number): void {
    const at = (this.#data + position) >>> 2;
    this.u32[at] = bytes;
    this.u32[at + 1] = kind;
  }
}

export class RingConsumer {
  /** Of the record that next() moved to: what the producer gave to claim(), and the payload's offset in `u8`. */
  kind = 0;
  offset = 0;
  length = 0;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly #i32: Int32Array;
  readonly #words: number;
  readonly #data: number;
  readonly #capacity: number;
  /** Where the next record starts; the shared tail follows at release(). */
  #tail: number;
  #released: number;
  #received: number;
  #cachedHead: number;

  constructor(memory: RingMemory, byteOffset: number, capacity: number) {
    checkPlace(memory, byteOffset, capacity);
    this.u8 = memory.u8;
    this.u32 = memory.u32;
    this.f64 = memory.f64;
    this.#i32 = memory.i32;
    this.#words = byteOffset / 4;
    this.#data = byteOffset + RING_HEADER_BYTES;
    this.#capacity = capacity;
    this.#tail = Atomics.load(this.#i32, this.#words + TAIL);
    this.#released = this.#tail;
    this.#received = Atomics.load(this.#i32, this.#words + RECEIVED);
    this.#cachedHead = this.#tail;
  }

  /** Moves to the next published record. False: there is none; kind, offset and length keep their values. */
  next(): boolean {
    for (;;) {
      if (this.#tail === this.#cachedHead) {
        this.#cachedHead = Atomics.load(this.#i32, this.#words + HEAD);
        if (this.#tail === this.#cachedHead) return false;
      }
      const start = this.#data + (this.#tail & (this.#capacity - 1));
      const length = this.u32[start >>> 2]!;
      const kind = this.u32[(start >>> 2) + 1]!;
      const size = (RECORD_HEADER_BYTES + length + 7) & ~7;
      assert(size <= ((this.#cachedHead - this.#tail) | 0), 'a record ends where its producer says');
      this.#tail = (this.#tail + size) | 0;
      if (kind === PAD) continue;
      this.kind = kind;
      this.offset = start + RECORD_HEADER_BYTES;
      this.length = length;
      this.#received = (this.#received + 1) | 0;
      return true;
    }
  }

  /** Records that next() has moved to since the ring was made, modulo 2^32. */
  get received(): number {
    return this.#received;
  }

  /** One store gives back the room of everything consumed so far, and wakes a producer that waits for it. */
  release(): void {
    if (this.#tail === this.#released) return;
    const i32 = this.#i32;
    this.#released = this.#tail;
    i32[this.#words + RECEIVED] = this.#received;
    Atomics.store(i32, this.#words + TAIL, this.#tail);
    const starving = this.#words + STARVING;
    if (Atomics.load(i32, starving) === 0) return;
    Atomics.store(i32, starving, 0);
    Atomics.notify(i32, starving);
  }
}

/** Any thread: records sent and not yet released, a snapshot. */
export function ringDepth(memory: RingMemory, byteOffset: number): number {
  return (ringSent(memory, byteOffset) - ringReceived(memory, byteOffset)) >>> 0;
}

/** Any thread: records published so far, modulo 2^32. */
export function ringSent(memory: RingMemory, byteOffset: number): number {
  return Atomics.load(memory.u32, byteOffset / 4 + SENT);
}

/** Any thread: records released so far, modulo 2^32. */
export function ringReceived(memory: RingMemory, byteOffset: number): number {
  return Atomics.load(memory.u32, byteOffset / 4 + RECEIVED);
}

function checkPlace(memory: RingMemory, byteOffset: number, capacity: number): void {
  assert(Number.isInteger(Math.log2(capacity)), 'a ring holds 2^n bytes');
  assert(capacity >= RING_MIN && capacity <= RING_MAX, 'a ring is neither tiny nor huge');
  assert(
    byteOffset % 64 === 0 && byteOffset + ringBytes(capacity) <= memory.u8.length,
    'a ring lies in its region',
  );
  assert(memory.u8.length <= 2 ** 31, 'offsets in a ring’s region are 31-bit integers');
}

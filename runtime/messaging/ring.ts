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
const RING_HEADER_BYTES = 2 * SHARED_LINE;
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

  /** Where the next record starts, as a count of bytes modulo 2^32: everything published before ringHead() was that has been seen. */
  get position(): number {
    return this.#tail;
  }

  /** Whether everything published by now has been consumed. */
  get isEmpty(): boolean {
    return Atomics.load(this.#i32, this.#words + HEAD) === this.#tail;
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

/** A record as somebody else than its consumer saw it. */
export interface RingRecord {
  readonly kind: number;
  /** Of the whole payload; `bytes` is a copy of its beginning. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

/**
 * Any thread: up to `most` of the records that wait, next first, with the first `bytes` of each payload. The consumer
 * may release them, and the producer overwrite them, while this looks: so nothing that is read is followed unchecked,
 * and what was released meanwhile is left out.
 */
export function peekRing(
  memory: RingMemory,
  byteOffset: number,
  capacity: number,
  most: number,
  bytes: number,
): RingRecord[] {
  const words = byteOffset / 4;
  const data = byteOffset + RING_HEADER_BYTES;
  const head = Atomics.load(memory.i32, words + HEAD);
  const found: { readonly at: number; readonly record: RingRecord }[] = [];
  // A record has a header, so no more than this many can lie in the ring, padding included.
  let looks = capacity / RECORD_HEADER_BYTES;
  for (let at = Atomics.load(memory.i32, words + TAIL); at !== head && found.length < most && looks-- > 0; ) {
    const start = data + (at & (capacity - 1));
    const length = memory.u32[start >>> 2]!;
    const kind = memory.u32[(start >>> 2) + 1]!;
    const left = Math.min((head - at) | 0, data + capacity - start);
    if (left < RECORD_HEADER_BYTES || length > left - RECORD_HEADER_BYTES) break;
    const payload = start + RECORD_HEADER_BYTES;
    if (kind !== PAD) {
      const copied = memory.u8.slice(payload, payload + Math.min(length, bytes));
      found.push({ at, record: { kind, length, bytes: copied } });
    }
    at = (at + ((RECORD_HEADER_BYTES + length + 7) & ~7)) | 0;
  }
  const released = Atomics.load(memory.i32, words + TAIL);
  return found.filter(({ at }) => ((at - released) | 0) >= 0).map(({ record }) => record);
}

/** Any thread: bytes of records not yet released, a snapshot. */
export function ringUsed(memory: RingMemory, byteOffset: number): number {
  const words = byteOffset / 4;
  const tail = Atomics.load(memory.i32, words + TAIL);
  return Math.max(0, (Atomics.load(memory.i32, words + HEAD) - tail) | 0);
}

/** Any thread: bytes published so far, modulo 2^32. */
export function ringHead(memory: RingMemory, byteOffset: number): number {
  return Atomics.load(memory.i32, byteOffset / 4 + HEAD);
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

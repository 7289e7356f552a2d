/**
 * The requests of the kernel that one actor has read and another one is to answer: fsyncs with io-0, searches with the
 * indexer. While such a request waits it has a slot here, so that none is forgotten with an actor that dies, and none
 * is answered by two.
 *
 * Roles: a fuse actor enters a request before it sends the message; the answerer takes it before it replies and says so
 * afterwards; the successor of a fuse actor, or main when the deadline has passed, may take it away. All operations are
 * lock-free, from any thread.
 *
 * A slot's words: 0 state (bits 0–1), actor (bits 2–9: who claimed, entered or took it, by its row in the table of
 * states), times used (bits 10–31); 1, 2 unique; 3 the message's kind; 4 opcode; 5 when it was entered, ms modulo 2^32.
 *
 * Invariants:
 * 1. FREE → CLAIMED → PENDING by the enterer, PENDING → TAKEN by whoever answers, TAKEN → FREE by the same. Each step is a
 *    compare-exchange of word 0, which counts how often the slot was used: of several takers one succeeds, and a
 *    taker that was late does not take what was entered into the slot since.
 * 2. Words 1 to 5 change in CLAIMED only; the store of PENDING publishes them.
 * 3. A step that its thread did not live to finish is undone by the successor (adopt): what it claimed is free, and
 *    what it took is pending again. The kernel refuses a second answer (ENOENT), so answering twice does no harm,
 *    as long as what a refused answer counted (lookups) is given back.
 */
import { assert } from '../runtime/assert.ts';
import type { Region, RegionPlan } from '../runtime/memory/arena.ts';
import type { Context } from './context.ts';

export const PENDING = 'pending';

const FREE = 0;
const CLAIMED = 1;
const WAITING = 2;
const TAKEN = 3;

const STATE_MASK = 3;
const ACTOR_SHIFT = 2;
const ACTOR_MASK = 0xff;
/** Bits below the count of uses. */
const USE_SHIFT = 10;

const SLOT_WORDS = 8;
const UNIQUE_LO = 1;
const UNIQUE_HI = 2;
const KIND = 3;
const OPCODE = 4;
const SINCE = 5;

/** More than the threads that are likely to wait in fsync at the same time. */
const SLOTS = 4096;

export function planPending(): RegionPlan {
  return { name: PENDING, bytes: SLOTS * SLOT_WORDS * 4 };
}

/** `since`: milliseconds modulo 2^32 of the clock that entered it. */
export type VisitPending = (
  slot: number,
  uniqueLo: number,
  uniqueHi: number,
  opcode: number,
  since: number,
) => void;

export class Pending {
  readonly #i32: Int32Array;
  readonly #u32: Uint32Array;
  readonly #self: number;
  readonly #now: () => number;
  /** Where the search for a free slot begins: after the last one found. */
  #next: number;

  /**
   * @param region as planned, zeroed before the first thread starts
   * @param self row of this thread's actor in the table of states
   * @param now a monotonic clock that all threads share, milliseconds
   */
  constructor(region: Region, self: number, now: () => number) {
    assert(self >= 0 && self <= ACTOR_MASK, 'an actor has its number in 8 bits');
    this.#i32 = region.i32;
    this.#u32 = region.u32;
    this.#self = self;
    this.#now = now;
    this.#next = (self * 61) % SLOTS;
  }

  /**
   * Before the message of this kind is sent: the slot to send along, or −1 when as many requests wait as there is room
   * for (the request is then to be refused).
   */
  enter(kind: number, uniqueLo: number, uniqueHi: number, opcode: number): number {
    const slot = this.#claim();
    if (slot < 0) return slot;
    const at = slot * SLOT_WORDS;
    const u32 = this.#u32;
    u32[at + UNIQUE_LO] = uniqueLo;
    u32[at + UNIQUE_HI] = uniqueHi;
    u32[at + KIND] = kind;
    u32[at + OPCODE] = opcode;
    u32[at + SINCE] = this.#now() >>> 0;
    Atomics.store(this.#i32, at, this.#with(this.#i32[at]!, WAITING));
    return slot;
  }

  /** Whether this thread, and nobody else, is to answer the request now. Then `answered` must follow. */
  take(slot: number, uniqueLo: number, uniqueHi: number): boolean {
    const at = slot * SLOT_WORDS;
    const word = Atomics.load(this.#i32, at);
    if ((word & STATE_MASK) !== WAITING || !this.#holds(at, uniqueLo, uniqueHi)) return false;
    return this.#move(at, word, TAKEN);
  }

  /** The answer was sent, whether the kernel took it or not. */
  answered(slot: number): void {
    const at = slot * SLOT_WORDS;
    const word = Atomics.load(this.#i32, at);
    // Main may have taken it from this thread, believing it dead.
    if ((word & STATE_MASK) === TAKEN && this.#isMine(word)) this.#move(at, word, FREE);
  }

  /** The slot of a request that nobody has taken yet, or −1. */
  find(uniqueLo: number, uniqueHi: number): number {
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = slot * SLOT_WORDS;
      const isWaiting = (Atomics.load(this.#i32, at) & STATE_MASK) === WAITING;
      if (isWaiting && this.#holds(at, uniqueLo, uniqueHi)) return slot;
    }
    return -1;
  }

  /** Every request of this kind that nobody has taken yet. The visitor may take it; others may do so first. */
  each(kind: number, visit: VisitPending): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = slot * SLOT_WORDS;
      if (this.#isIn(at, WAITING) && this.#u32[at + KIND] === kind) this.#show(slot, visit);
    }
  }

  /** How many requests wait, a snapshot. */
  get waiting(): number {
    let count = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((Atomics.load(this.#i32, slot * SLOT_WORDS) & STATE_MASK) >= WAITING) count++;
    }
    return count;
  }

  /**
   * Takes away every request that was entered before `before` (of the same clock) and not answered, also from an
   * answerer that is still at it, and hands it to `visit`, which is to answer it.
   */
  expire(before: number, visit: VisitPending): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = slot * SLOT_WORDS;
      const word = Atomics.load(this.#i32, at);
      if ((word & STATE_MASK) < WAITING) continue;
      const isLate = (((before >>> 0) - this.#u32[at + SINCE]!) | 0) > 0;
      if (!isLate || !this.#move(at, word, TAKEN)) continue;
      this.#show(slot, visit);
      this.answered(slot);
    }
  }

  /** First thing that a successor does: undoes the steps that its predecessor did not finish. */
  adopt(): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = slot * SLOT_WORDS;
      const word = Atomics.load(this.#i32, at);
      if (!this.#isMine(word)) continue;
      if ((word & STATE_MASK) === CLAIMED) this.#move(at, word, FREE);
      else if ((word & STATE_MASK) === TAKEN) this.#move(at, word, WAITING);
    }
  }

  #claim(): number {
    for (let tried = 0; tried < SLOTS; tried++) {
      const slot = this.#next;
      this.#next = (slot + 1) % SLOTS;
      const at = slot * SLOT_WORDS;
      const word = Atomics.load(this.#i32, at);
      if ((word & STATE_MASK) !== FREE) continue;
      const used = (word + (1 << USE_SHIFT)) | 0;
      const claimed = this.#with(used, CLAIMED);
      if (Atomics.compareExchange(this.#i32, at, word, claimed) === word) return slot;
    }
    return -1;
  }

  #with(word: number, state: number): number {
    return (word & (-1 << USE_SHIFT)) | (this.#self << ACTOR_SHIFT) | state;
  }

  #move(at: number, word: number, state: number): boolean {
    return Atomics.compareExchange(this.#i32, at, word, this.#with(word, state)) === word;
  }

  #isMine(word: number): boolean {
    return ((word >>> ACTOR_SHIFT) & ACTOR_MASK) === this.#self;
  }

  #isIn(at: number, state: number): boolean {
    return (Atomics.load(this.#i32, at) & STATE_MASK) === state;
  }

  #holds(at: number, uniqueLo: number, uniqueHi: number): boolean {
    return this.#u32[at + UNIQUE_LO] === uniqueLo && this.#u32[at + UNIQUE_HI] === uniqueHi;
  }

  #show(slot: number, visit: VisitPending): void {
    const u32 = this.#u32;
    const at = slot * SLOT_WORDS;
    visit(slot, u32[at + UNIQUE_LO]!, u32[at + UNIQUE_HI]!, u32[at + OPCODE]!, u32[at + SINCE]!);
  }
}

/** This thread's view; of a successor, with what its predecessor left undone undone. Once per thread. */
export function openPending(context: Context): Pending {
  const { arena, clock, topology, name, settings } = context;
  const pending = new Pending(arena.region(PENDING), topology.actor(name).slot, clock.monotonic);
  if (settings.incarnation > 1) pending.adopt();
  return pending;
}

/**
 * A task board: work that the workers of one kind may do for each other. Each worker posts tasks to a deque of its own and
 * takes the oldest from it; one that has none takes from the others, nearest first. What a task does is not known here: it is a
 * kind and bytes.
 *
 * Roles: formatBoard() runs once. Each worker's thread holds one TaskBoard; a successor of a thread that died holds the next
 * one, made after the worker's incarnation was raised. Any thread may look (peekBoard).
 *
 * Layout (board-layout.ts): a line (magic, workers, slots, bytes per slot); per worker a line that others write (IDLE, RETURNS),
 * a line of its own counters, its deque, its slots. A slot is a line (STATE, OWNER_INCARNATION, KIND, BYTES, f64 time of posting)
 * and the task's bytes. STATE is, from the lowest bit: 2 phase, 7 holder, 7 the holder's incarnation, 16 generation. A
 * deque's task word is the slot + 1 in the low byte and the generation above it.
 *
 * Invariants:
 * 1. FREE → QUEUED by the owner, whose push of the deque publishes the task's bytes. QUEUED → TAKEN by whoever got the
 *    word from the deque, or by the owner if its deque is empty: then the thread that got the word has not come to
 *    the exchange yet and maybe never will. TAKEN → FREE by the holder when the task is done, with the next generation.
 *    TAKEN → RETURNED by a holder who cannot do it; RETURNED → TAKEN by the owner, who can do all of its own. Every change
 *    but the first is a compare-and-exchange of the whole word, so of two who would make one, one does.
 * 2. TAKEN names who holds the task in the same word. A holder whose incarnation is another by now, or that has stopped,
 *    does it no more: the owner takes the task over. It may then be done twice, if the holder died between doing it and
 *    saying so; whoever receives the outcome must bear that.
 * 3. A successor frees what its predecessor had posted and no other holds. What was posted by an earlier incarnation and
 *    comes back later is freed, not run: whoever asked knows of the restart.
 * 4. A worker with nothing to do sets IDLE, then looks at all deques once more; a poster pushes, then looks at IDLE. One of
 *    them sees the other, so no task waits beside a parked worker that was wanted. Who moves IDLE back to 0 rings.
 * 5. RETURNS is set after the slot has become RETURNED; the owner clears it, then looks at the slots.
 */
import { assert } from '../assert.ts';
import type { Region } from '../memory/arena.ts';
import { type ActorState, STOPPED } from './actor-state.ts';
import {
  BoardLayout,
  BYTES,
  FREE,
  freed,
  GIVEN_BACK,
  generationOf,
  holderOf,
  IDLE,
  incarnationOf,
  KIND,
  OWNER_INCARNATION,
  POSTED,
  POSTED_AT,
  phaseOf,
  QUEUED,
  RETURNED,
  RETURNS,
  RUN,
  returned,
  SEVEN_BITS,
  SLOT_HEADER_BYTES,
  STATE,
  STOLEN,
  stateOf,
  TAKEN,
  TAKEN_OVER,
} from './board-layout.ts';
import { Deque, LOST, NOTHING } from './deque.ts';
import { FIRST_TASK_MS, helpersWanted, meanWith } from './steal-policy.ts';

/** A holder that died is noticed by the owner within this, milliseconds. */
const LOOK_AGAIN_MS = 50;

export interface BoardOptions {
  readonly self: number;
  /** The others, in the order in which to look for work and for helpers. */
  readonly victims: readonly number[];
  /** State of every worker, by number. */
  readonly states: readonly Pick<ActorState, 'incarnation' | 'get'>[];
  /** Wakes a worker. */
  readonly ring: (worker: number) => void;
  /** Milliseconds of a clock that all workers share. */
  readonly now: () => number;
}

export class TaskBoard {
  /** Of the task that next() took, until done() or giveBack(): what was posted. */
  kind = 0;
  /** First byte of the task in `u8`, a multiple of 64. */
  offset = 0;
  bytes = 0;
  /** Whose task it is. */
  owner = 0;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  /** False: everybody does what is their own, and nobody is woken. */
  stealing = true;
  readonly #f64: Float64Array;
  readonly #layout: BoardLayout;
  readonly #options: BoardOptions;
  readonly #self: number;
  readonly #incarnation: number;
  /** First word of this worker's part. */
  readonly #own: number;
  readonly #deques: readonly Deque[];
  /** First word of the slot in hand and its state; 0 = none. */
  #held = 0;
  #heldState = 0;
  #takenAt = 0;
  /** First word of the slot that claim() gave out, and its number; 0 = none. */
  #claimed = 0;
  #claimedSlot = 0;
  #rotor = 0;
  /** Whether any own slot may be in use. */
  #isOpen = false;
  #taskMs = FIRST_TASK_MS;

  constructor(region: Region, options: BoardOptions) {
    const layout = new BoardLayout(region);
    assert(
      options.self < layout.workers && options.states.length === layout.workers,
      'each has a place and a state',
    );
    this.u8 = region.u8;
    this.u32 = region.u32;
    this.#f64 = region.f64;
    this.#layout = layout;
    this.#options = options;
    this.#self = options.self;
    this.#incarnation = options.states[options.self]!.incarnation & SEVEN_BITS;
    this.#own = layout.worker(options.self);
    this.#deques = Array.from(
      { length: layout.workers },
      (_, worker) => new Deque(region.u32, layout.deque(worker), layout.slots),
    );
    this.#adopt();
  }

  /** Whether the task in hand is this worker's own. */
  get isOwn(): boolean {
    return this.owner === this.#self;
  }

  /** Tasks that wait in this worker's own deque. */
  get depth(): number {
    return this.#deques[this.#self]!.depth;
  }

  /** Room for a task of `bytes`: its offset in `u8`, a multiple of 64; −1 when all slots are in use. */
  claim(kind: number, bytes: number): number {
    const { slots, taskBytes } = this.#layout;
    assert(bytes <= taskBytes, 'a task fits its slot');
    for (let i = 0; i < slots; i++) {
      const slot = (this.#rotor + i) & (slots - 1);
      const at = this.#layout.slot(this.#self, slot);
      if (phaseOf(Atomics.load(this.u32, at + STATE)) !== FREE) continue;
      this.#rotor = slot + 1;
      this.#claimed = at;
      this.#claimedSlot = slot;
      this.u32[at + OWNER_INCARNATION] = this.#incarnation;
      this.u32[at + KIND] = kind;
      this.u32[at + BYTES] = bytes;
      return at * 4 + SLOT_HEADER_BYTES;
    }
    return -1;
  }

  /** Publishes the task that was claimed. Others may run it from now on; wake() tells them. */
  post(): void {
    const at = this.#claimed;
    assert(at !== 0, 'post follows claim');
    const generation = generationOf(Atomics.load(this.u32, at + STATE));
    this.#f64[(at + POSTED_AT) / 2] = this.#options.now();
    Atomics.store(this.u32, at + STATE, stateOf(generation, 0, 0, QUEUED));
    const isPushed = this.#deques[this.#self]!.push((generation << 8) | (this.#claimedSlot + 1));
    assert(isPushed, 'the deque has room for every slot');
    this.#claimed = 0;
    this.#isOpen = true;
    this.#count(POSTED);
  }

  /** After posting: rings as many idle workers as the waiting tasks are worth, nearest first. */
  wake(): void {
    if (!this.stealing) return;
    let wanted = helpersWanted(this.depth, this.#taskMs);
    const { victims, ring } = this.#options;
    for (let i = 0; wanted > 0 && i < victims.length; i++) {
      const idle = this.#layout.worker(victims[i]!) + IDLE;
      if (Atomics.load(this.u32, idle) === 0 || Atomics.exchange(this.u32, idle, 0) === 0) continue;
      ring(victims[i]!);
      wanted--;
    }
  }

  /**
   * Takes a task: of its own what came back, then the oldest, then what a dead thread had taken; then the oldest of the nearest
   * other that has one, unless `mayHelp` is false. False: there is none, and somebody who posts one will ring.
   */
  next(mayHelp = true): boolean {
    assert(this.#held === 0, 'one task at a time');
    const idle = this.#own + IDLE;
    if (Atomics.load(this.u32, idle) !== 0) Atomics.store(this.u32, idle, 0);
    for (;;) {
      if (this.#takeReturned() || this.#takeFrom(this.#self) || this.#takeLost()) return true;
      if (!this.stealing || !mayHelp) return false;
      if (this.#steal()) return true;
      Atomics.store(this.u32, idle, 1);
      if (!this.#anyWaits()) return false;
      Atomics.store(this.u32, idle, 0);
    }
  }

  /** How long the worker may sleep once next() has said false, milliseconds. */
  get sleepMs(): number {
    if (this.#isOpen) this.#isOpen = this.#inUse();
    return this.#isOpen ? LOOK_AGAIN_MS : Number.POSITIVE_INFINITY;
  }

  /** The task in hand is done, and its outcome is where it belongs. */
  done(): void {
    this.#taskMs = meanWith(this.#taskMs, this.#options.now() - this.#takenAt);
    this.#count(RUN);
    if (!this.isOwn) this.#count(STOLEN);
    this.#leave(freed(this.#heldState));
  }

  /** The task in hand, another worker's, cannot be done here: its owner does it. */
  giveBack(): void {
    assert(!this.isOwn, 'a worker can do what it posted');
    this.#leave(returned(this.#heldState));
    Atomics.store(this.u32, this.#layout.worker(this.owner) + RETURNS, 1);
    this.#options.ring(this.owner);
    this.#count(GIVEN_BACK);
  }

  /** The exchange fails when the owner has taken the task over, thinking this thread dead: then it is the owner's. */
  #leave(state: number): void {
    assert(this.#held !== 0, 'there is a task in hand');
    Atomics.compareExchange(this.u32, this.#held + STATE, this.#heldState, state);
    this.#held = 0;
  }

  #steal(): boolean {
    const { victims } = this.#options;
    for (let i = 0; i < victims.length; i++) if (this.#takeFrom(victims[i]!)) return true;
    return false;
  }

  #takeFrom(owner: number): boolean {
    const deque = this.#deques[owner]!;
    for (;;) {
      const task = deque.steal();
      if (task === NOTHING) return false;
      if (task === LOST) continue;
      const at = this.#layout.slot(owner, (task & 0xff) - 1);
      if (this.#take(owner, at, stateOf(task >>> 8, 0, 0, QUEUED))) return true;
    }
  }

  /** Of its own: what another worker could not do. */
  #takeReturned(): boolean {
    const returns = this.#own + RETURNS;
    if (Atomics.load(this.u32, returns) === 0) return false;
    Atomics.store(this.u32, returns, 0);
    for (let slot = 0; slot < this.#layout.slots; slot++) {
      const at = this.#layout.slot(this.#self, slot);
      const state = Atomics.load(this.u32, at + STATE);
      if (phaseOf(state) !== RETURNED || !this.#takeBack(at, state)) continue;
      // There may be more.
      Atomics.store(this.u32, returns, 1);
      return true;
    }
    return false;
  }

  /** Of its own, when its deque is empty: what was taken by a thread that is gone, or not taken to the end. */
  #takeLost(): boolean {
    if (!this.#isOpen) return false;
    for (let slot = 0; slot < this.#layout.slots; slot++) {
      const at = this.#layout.slot(this.#self, slot);
      const state = Atomics.load(this.u32, at + STATE);
      const isLost = phaseOf(state) === QUEUED || (phaseOf(state) === TAKEN && this.#isGone(state));
      if (!isLost || !this.#takeBack(at, state)) continue;
      this.#count(TAKEN_OVER);
      return true;
    }
    return false;
  }

  /** A task of its own out of other hands: false when it is another incarnation's, or somebody was faster. */
  #takeBack(at: number, state: number): boolean {
    if (this.u32[at + OWNER_INCARNATION] === this.#incarnation) return this.#take(this.#self, at, state);
    Atomics.compareExchange(this.u32, at + STATE, state, freed(state));
    return false;
  }

  #isGone(state: number): boolean {
    const worker = this.#options.states[holderOf(state)]!;
    return (worker.incarnation & SEVEN_BITS) !== incarnationOf(state) || worker.get() >= STOPPED;
  }

  #take(owner: number, at: number, from: number): boolean {
    const to = stateOf(generationOf(from), this.#self, this.#incarnation, TAKEN);
    if (Atomics.compareExchange(this.u32, at + STATE, from, to) !== from) return false;
    this.#held = at;
    this.#heldState = to;
    this.#takenAt = this.#options.now();
    this.owner = owner;
    this.kind = this.u32[at + KIND]!;
    this.bytes = this.u32[at + BYTES]!;
    this.offset = at * 4 + SLOT_HEADER_BYTES;
    return true;
  }

  #anyWaits(): boolean {
    for (let worker = 0; worker < this.#deques.length; worker++) {
      if (this.#deques[worker]!.depth > 0) return true;
    }
    return Atomics.load(this.u32, this.#own + RETURNS) !== 0;
  }

  #inUse(): boolean {
    for (let slot = 0; slot < this.#layout.slots; slot++) {
      if (phaseOf(Atomics.load(this.u32, this.#layout.slot(this.#self, slot) + STATE)) !== FREE) return true;
    }
    return false;
  }

  /** What an earlier incarnation left: nobody waits for its answers any more. */
  #adopt(): void {
    const deque = this.#deques[this.#self]!;
    deque.adopt();
    while (deque.pop() !== NOTHING);
    for (let slot = 0; slot < this.#layout.slots; slot++) {
      const at = this.#layout.slot(this.#self, slot);
      const state = Atomics.load(this.u32, at + STATE);
      const phase = phaseOf(state);
      if (phase === FREE) continue;
      this.#isOpen = true;
      const isElsewhere = phase === TAKEN && holderOf(state) !== this.#self;
      if (!isElsewhere) Atomics.compareExchange(this.u32, at + STATE, state, freed(state));
    }
  }

  #count(counter: number): void {
    this.u32[this.#own + counter] = this.u32[this.#own + counter]! + 1;
  }
}

/**
 * The shared table of actor states: one row of a cache line per actor.
 *
 * Roles: the actor's own thread writes its row (single writer), except that the supervisor writes FAILED for a thread
 * that can no longer do so, the whole row between two threads, FATE, RESERVED and FIRST at any time, and the words
 * INCARNATION, GATE, TAP and DRILL, by which the actor is told something. Any thread reads.
 *
 * Invariants
 * 1. Within one incarnation a state only moves forward: ABSENT → STARTING → READY → DRAINING → STOPPED, or to FAILED
 *    from any of them. A restart raises the incarnation, after the old thread has ended and before the new one starts.
 * 2. Storing READY publishes everything the actor set up in shared memory before it.
 * 3. Every store of a state is followed by a notify, so a waiter needs no polling.
 * 4. The heartbeat only grows; it counts turns of the run loop. No loop sleeps longer than a second, so a heartbeat
 *    that stands still for longer than that, and than the patience asked for, is one of a thread that hangs.
 * 5. RESERVED is 1 while there is no such actor, but room for it: it has no thread, and is about to have none. It is
 *    stored as 0 before its first thread starts, and as 1 after its last has ended and what that held was looked at. An
 *    actor that is being restarted is not reserved. Its incarnations go on counting over its absences; FIRST is that of
 *    the first thread since the last one.
 */
import type { Region } from '../memory/arena.ts';

export const ABSENT = 0;
export const STARTING = 1;
export const READY = 2;
export const DRAINING = 3;
export const STOPPED = 4;
export const FAILED = 5;

/** Values of {@link ActorState.gate} beside a count. */
export const GATE_OPEN = 0;
export const GATE_CLOSED = -1;

export const NO_DRILL = 0;
/** Throw an error. */
export const DRILL_CRASH = 1;
/** Loop for ever. */
export const DRILL_HANG = 2;
/** Use up the memory of the thread's heap. */
export const DRILL_MEMORY = 3;

/** What the supervisor makes of an actor that has failed; stands until its next thread starts. */
export const NO_FATE = 0;
export const RESTARTING = 1;
export const GIVEN_UP = 2;

const NAMES = ['absent', 'starting', 'ready', 'draining', 'stopped', 'crashed'] as const;
const FATES = ['', 'restarting', 'given-up'] as const;
export type StateName = (typeof NAMES)[number] | 'restarting' | 'given-up';

const ROW_WORDS = 16;
const STATE = 0;
const HEARTBEAT = 1;
const PARKED = 2;
const THREAD = 3;
const INCARNATION = 4;
const PATIENCE = 5;
const GATE = 6;
const TAP = 7;
const DRILL = 8;
const FATE = 9;
const RESERVED = 10;
const FIRST = 11;
/** Of the last change of RESERVED: seconds since the epoch, and milliseconds beyond them. */
const RESERVED_AT = 12;
const NODE_THREAD = 15;

/** Bytes of the table for `actors` rows. */
export function actorStateBytes(actors: number): number {
  return actors * ROW_WORDS * 4;
}

export class ActorState {
  readonly #words: Int32Array;
  readonly #row: number;

  constructor(region: Region, slot: number) {
    this.#words = region.i32;
    this.#row = slot * ROW_WORDS;
  }

  get(): number {
    return Atomics.load(this.#words, this.#row + STATE);
  }

  get label(): StateName {
    if (this.isReserved) return 'absent';
    return FATES[Atomics.load(this.#words, this.#row + FATE)] || (NAMES[this.get()] ?? 'crashed');
  }

  set(state: number): void {
    Atomics.store(this.#words, this.#row + STATE, state);
    Atomics.notify(this.#words, this.#row + STATE);
  }

  /** Resolves with the state once it is at least `state`, or with the present one after `timeoutMs`. */
  async reached(state: number, timeoutMs: number): Promise<number> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const seen = this.get();
      const left = deadline - performance.now();
      if (seen >= state || left <= 0) return seen;
      const waiting = Atomics.waitAsync(this.#words, this.#row + STATE, seen, left);
      if (waiting.async) await waiting.value;
    }
  }

  beat(): void {
    Atomics.add(this.#words, this.#row + HEARTBEAT, 1);
  }

  get heartbeat(): number {
    return Atomics.load(this.#words, this.#row + HEARTBEAT) >>> 0;
  }

  set parked(value: boolean) {
    Atomics.store(this.#words, this.#row + PARKED, value ? 1 : 0);
  }

  get parked(): boolean {
    return Atomics.load(this.#words, this.#row + PARKED) === 1;
  }

  /** The operating system's thread id, for looking at it from outside (top -H, perf). */
  set thread(id: number) {
    Atomics.store(this.#words, this.#row + THREAD, id);
  }

  get thread(): number {
    return Atomics.load(this.#words, this.#row + THREAD);
  }

  /** Node's id of the thread plus one, as locks name their holder; 0 = not known. */
  set nodeThread(id: number) {
    Atomics.store(this.#words, this.#row + NODE_THREAD, id + 1);
  }

  /** −1 = not known. */
  get nodeThread(): number {
    return Atomics.load(this.#words, this.#row + NODE_THREAD) - 1;
  }

  /** How often the actor was started, ever: 1 for its first thread. */
  get incarnation(): number {
    return Atomics.load(this.#words, this.#row + INCARNATION);
  }

  set incarnation(count: number) {
    Atomics.store(this.#words, this.#row + INCARNATION, count);
  }

  /** Supervisor, before it starts a thread, while none runs: nothing of the last one's row is left but its heartbeat. */
  renew(incarnation: number): void {
    for (const word of [PARKED, THREAD, PATIENCE, GATE, DRILL, FATE]) {
      Atomics.store(this.#words, this.#row + word, 0);
    }
    this.incarnation = incarnation;
    this.set(ABSENT);
  }

  /** There is no such actor at present. */
  get isReserved(): boolean {
    return Atomics.load(this.#words, this.#row + RESERVED) === 1;
  }

  /** Supervisor. `now`: ms since the epoch. */
  reserve(isReserved: boolean, now: number): void {
    Atomics.store(this.#words, this.#row + RESERVED_AT, Math.floor(now / 1000));
    Atomics.store(this.#words, this.#row + RESERVED_AT + 1, Math.floor(now % 1000));
    Atomics.store(this.#words, this.#row + RESERVED, isReserved ? 1 : 0);
  }

  /** When the actor came or went last, ms since the epoch. */
  get reservedAt(): number {
    const seconds = Atomics.load(this.#words, this.#row + RESERVED_AT) >>> 0;
    return seconds * 1000 + Atomics.load(this.#words, this.#row + RESERVED_AT + 1);
  }

  /** Incarnation of the first thread since the actor is there: a later one is a successor of one that died. */
  get firstIncarnation(): number {
    return Math.max(1, Atomics.load(this.#words, this.#row + FIRST));
  }

  /** Supervisor, before it starts that thread. */
  set firstIncarnation(count: number) {
    Atomics.store(this.#words, this.#row + FIRST, count);
  }

  /** Threads that were started after the first one, since the actor is there. */
  get restarts(): number {
    return Math.max(0, this.incarnation - this.firstIncarnation);
  }

  /** Supervisor: NO_FATE, RESTARTING or GIVEN_UP. */
  set fate(fate: number) {
    Atomics.store(this.#words, this.#row + FATE, fate);
  }

  /** Set by the actor around a long step in which it cannot beat: how many milliseconds it may take. 0 = the usual. */
  get patience(): number {
    return Atomics.load(this.#words, this.#row + PATIENCE);
  }

  set patience(ms: number) {
    Atomics.store(this.#words, this.#row + PATIENCE, ms);
  }

  /** GATE_OPEN, GATE_CLOSED, or how many more messages the actor may take before it closes. Ring its doorbell after. */
  get gate(): number {
    return Atomics.load(this.#words, this.#row + GATE);
  }

  set gate(value: number) {
    Atomics.store(this.#words, this.#row + GATE, value);
  }

  /**
   * The actor has taken `steps` messages of the `allowed` that the gate showed; it closes after the last. True when it
   * closed. An order that came meanwhile counts, not this.
   */
  stepped(allowed: number, steps: number): boolean {
    const left = allowed > steps ? allowed - steps : GATE_CLOSED;
    return Atomics.compareExchange(this.#words, this.#row + GATE, allowed, left) === allowed && left < 0;
  }

  /** Whether somebody watches the messages that the actor takes. */
  get tapped(): boolean {
    return Atomics.load(this.#words, this.#row + TAP) !== 0;
  }

  set tapped(value: boolean) {
    Atomics.store(this.#words, this.#row + TAP, value ? 1 : 0);
  }

  /** A fault the actor is to have at its next turn, for drills: one of the DRILL_ values. Read once: it is cleared. */
  takeDrill(): number {
    return Atomics.load(this.#words, this.#row + DRILL) === NO_DRILL
      ? NO_DRILL
      : Atomics.exchange(this.#words, this.#row + DRILL, NO_DRILL);
  }

  orderDrill(drill: number): void {
    Atomics.store(this.#words, this.#row + DRILL, drill);
  }
}

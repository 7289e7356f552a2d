/**
 * The three run loops. Each turn of each of them beats, has the fault that a drill ordered, and looks at the gate: while
 * that is not open the actor takes only what main sends, and as many other messages as it may step.
 */
import type { Mailbox, MessageHandler } from '../messaging/mailbox.ts';
import {
  type ActorContext,
  CONTROL,
  CONTROL_ANSWER,
  CONTROL_LANE,
  type DoorbellActor,
  type EventLoopActor,
  FIRST_APPLICATION_KIND,
  STOP,
  type SystemCallActor,
} from './actor.ts';
import { DRAINING, GATE_CLOSED, GATE_OPEN, READY, STOPPED } from './actor-state.ts';
import { takeCall, textOf } from './control.ts';
import { drill } from './drill.ts';

/** Messages taken from one lane before the next lane has its turn. */
const BATCH = 32;
/** No actor sleeps longer than this, so that a lost wake-up would cost a delay and not a hang. */
const MAX_SLEEP_MS = 1000;
/** How often an actor in a system call looks whether its resource has ended while its gate is closed. */
const GATED_LOOK_MS = 100;
/** How often an actor is asked to work on what it was let take. */
const TURNS_PER_STEP = 64;

/** The answer to a CONTROL, with the lane of the actor that gave it. */
export type AnswerHandler = (lane: number, text: string) => void;

/** Takes the runtime's own messages out of the stream and hands on the rest. */
class ControlFilter implements MessageHandler {
  stopRequested = false;
  readonly #context: ActorContext<unknown>;
  readonly #actor: MessageHandler;
  readonly #answered: AnswerHandler | undefined;

  constructor(context: ActorContext<unknown>, actor: MessageHandler, answered?: AnswerHandler) {
    this.#context = context;
    this.#actor = actor;
    this.#answered = answered;
  }

  onMessage(
    kind: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
    lane: number,
  ): void {
    const { state, tap, taken } = this.#context;
    if (state.tapped) tap?.record(kind, u8, offset, length, lane);
    if (kind < FIRST_APPLICATION_KIND) {
      this.#control(kind, u8, offset, length, lane);
      return;
    }
    taken?.(kind, u32, offset);
    this.#actor.onMessage(kind, u8, u32, f64, offset, length, lane);
  }

  #control(kind: number, u8: Uint8Array, offset: number, length: number, lane: number): void {
    const { control } = this.#context;
    if (kind === STOP) this.stopRequested = true;
    else if (kind === CONTROL && control) takeCall(control, u8, offset, length);
    else if (kind === CONTROL_ANSWER) this.#answered?.(lane, textOf(u8, offset, length));
  }
}

/** What every loop does first in each turn. */
function beginTurn({ state }: ActorContext<unknown>): void {
  state.beat();
  drill(state);
}

/** What a gate that is not open lets through: how many messages of others than main, or −1 when there was none at all. */
function takeGated({ mailbox, state }: ActorContext<unknown>, filter: ControlFilter): number {
  const controls = mailbox.drainLane(CONTROL_LANE, filter, BATCH);
  const allowed = state.gate;
  const steps = allowed > 0 ? mailbox.take(filter, allowed, CONTROL_LANE) : 0;
  if (steps > 0) state.stepped(allowed, steps);
  return controls + steps > 0 ? steps : -1;
}

/** Runs until STOP: drain, ask the actor how long it may sleep, sleep until the doorbell rings. Blocks the thread. */
export function runOnDoorbell(context: ActorContext<unknown>, actor: DoorbellActor): void {
  const { mailbox, state } = context;
  const { doorbell } = mailbox;
  const filter = new ControlFilter(context, actor);
  state.set(READY);
  while (!filter.stopRequested) {
    const seen = doorbell.seen();
    beginTurn(context);
    let sleep: number;
    if (state.gate === GATE_OPEN) {
      if (mailbox.drain(filter, BATCH) > 0) {
        actor.afterBatch?.();
        continue;
      }
      sleep = actor.idle();
    } else {
      const steps = takeGated(context, filter);
      if (steps > 0) workOff(mailbox, actor);
      sleep = steps >= 0 ? 0 : MAX_SLEEP_MS;
    }
    if (sleep <= 0) continue;
    state.parked = true;
    doorbell.wait(seen, Math.min(sleep, MAX_SLEEP_MS));
    state.parked = false;
  }
  state.set(DRAINING);
  while (mailbox.drain(filter, BATCH) > 0);
  actor.stop();
  state.set(STOPPED);
}

/** Actors rely on having taken everything that was sent when they are idle: a commit on the objects it depends on. */
function workOff(mailbox: Mailbox, actor: DoorbellActor): void {
  for (let turn = 0; turn < TURNS_PER_STEP && mailbox.isEmpty; turn++) if (actor.idle() > 0) return;
}

export interface EventLoopOptions {
  /** Messages that were posted without ringing wait no longer than this. */
  readonly maxSleepMs?: number;
  /** For the one actor that nobody else can tell to stop. */
  readonly stop?: AbortSignal;
  /** For the actor that asks the others. */
  readonly answered?: AnswerHandler;
}

/** The same on an event loop: the thread stays free for promises, timers and ports between messages. */
export async function runOnEventLoop(
  context: ActorContext<unknown>,
  actor: EventLoopActor,
  options: EventLoopOptions = {},
): Promise<void> {
  const { maxSleepMs = MAX_SLEEP_MS, stop, answered } = options;
  const { mailbox, state } = context;
  const { doorbell } = mailbox;
  const filter = new ControlFilter(context, actor, answered);
  const end = (): void => {
    filter.stopRequested = true;
    doorbell.ring();
  };
  stop?.addEventListener('abort', end);
  actor.start?.(() => {
    if (state.gate === GATE_OPEN) while (mailbox.drain(filter, BATCH) > 0);
  });
  state.set(READY);
  await turnUntil(() => filter.stopRequested, context, filter, maxSleepMs);
  state.set(DRAINING);
  let isStopped = false;
  const stopping = Promise.resolve(actor.stop()).finally(() => {
    isStopped = true;
    doorbell.ring();
  });
  await Promise.all([stopping, turnUntil(() => isStopped, context, filter, maxSleepMs)]);
  stop?.removeEventListener('abort', end);
  state.set(STOPPED);
}

/** Turns of an event loop's actor. The last one begins after `done` has become true, and finds every message until then. */
async function turnUntil(
  done: () => boolean,
  context: ActorContext<unknown>,
  filter: ControlFilter,
  maxSleepMs: number,
): Promise<void> {
  const { mailbox, state } = context;
  const { doorbell } = mailbox;
  for (;;) {
    const seen = doorbell.seen();
    const isLast = done();
    beginTurn(context);
    const isOpen = state.gate === GATE_OPEN || filter.stopRequested;
    const taken = isOpen ? mailbox.drain(filter, BATCH) : takeGated(context, filter) + 1;
    if (taken > 0) {
      // A steady stream of messages must not starve timers and ports.
      await new Promise(setImmediate);
      continue;
    }
    if (isLast) return;
    state.parked = true;
    await doorbell.waitAsync(seen, maxSleepMs);
    state.parked = false;
  }
}

/** For an actor that parks in a system call of its own; it drains its mailbox whenever that call returns. */
export function runOnSystemCall(context: ActorContext<unknown>, actor: SystemCallActor): void {
  const { mailbox, state } = context;
  const filter = new ControlFilter(context, actor);
  state.set(READY);
  actor.serve(
    () => {
      beginTurn(context);
      while (mailbox.drain(filter, BATCH) > 0);
      standAtGate(context, actor, filter);
    },
    () => filter.stopRequested,
  );
  state.set(DRAINING);
  while (mailbox.drain(filter, BATCH) > 0);
  actor.stop();
  state.set(STOPPED);
}

/** Keeps the thread out of its system call while the gate is closed; main is still obeyed. */
function standAtGate(context: ActorContext<unknown>, actor: SystemCallActor, filter: ControlFilter): void {
  const { mailbox, state } = context;
  const { doorbell } = mailbox;
  while (state.gate === GATE_CLOSED && !filter.stopRequested && !actor.ended?.()) {
    const seen = doorbell.seen();
    beginTurn(context);
    if (mailbox.drain(filter, BATCH) > 0) continue;
    state.parked = true;
    doorbell.wait(seen, GATED_LOOK_MS);
    state.parked = false;
  }
}

/**
 * For an actor in a system call, after each thing it took from there: counts it against the steps it may do. After the
 * last it is called back from the system call, to stand at the gate.
 */
export function countStep({ state, mailbox }: ActorContext<unknown>): void {
  const allowed = state.gate;
  if (allowed > 0 && state.stepped(allowed, 1)) mailbox.doorbell.ring();
}

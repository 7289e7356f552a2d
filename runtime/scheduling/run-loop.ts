import type { MessageHandler } from '../messaging/mailbox.ts';
import {
  type ActorContext,
  type DoorbellActor,
  type EventLoopActor,
  STOP,
  type SystemCallActor,
} from './actor.ts';
import { DRAINING, READY, STOPPED } from './actor-state.ts';
import { drill } from './drill.ts';

/** Messages taken from one lane before the next lane has its turn. */
const BATCH = 32;
/** No actor sleeps longer than this, so that a lost wake-up would cost a delay and not a hang. */
const MAX_SLEEP_MS = 1000;

/** Takes the runtime's own messages out of the stream and hands on the rest. */
class ControlFilter implements MessageHandler {
  stopRequested = false;
  readonly #actor: MessageHandler;

  constructor(actor: MessageHandler) {
    this.#actor = actor;
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
    if (kind === STOP) this.stopRequested = true;
    else this.#actor.onMessage(kind, u8, u32, f64, offset, length, lane);
  }
}

/** Runs until STOP: drain, ask the actor how long it may sleep, sleep until the doorbell rings. Blocks the thread. */
export function runOnDoorbell(context: ActorContext<unknown>, actor: DoorbellActor): void {
  const { mailbox, state } = context;
  const { doorbell } = mailbox;
  const filter = new ControlFilter(actor);
  state.set(READY);
  while (!filter.stopRequested) {
    const seen = doorbell.seen();
    state.beat();
    drill(state);
    if (mailbox.drain(filter, BATCH) > 0) {
      actor.afterBatch?.();
      continue;
    }
    const sleep = actor.idle();
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

/**
 * The same on an event loop: the thread stays free for promises, timers and ports between messages. Messages that
 * were posted without ringing wait up to `maxSleepMs`. `stop` is for the one actor that nobody else can tell to stop.
 */
export async function runOnEventLoop(
  context: ActorContext<unknown>,
  actor: EventLoopActor,
  options: { readonly maxSleepMs?: number; readonly stop?: AbortSignal } = {},
): Promise<void> {
  const { maxSleepMs = MAX_SLEEP_MS, stop } = options;
  const { mailbox, state } = context;
  const { doorbell } = mailbox;
  const filter = new ControlFilter(actor);
  const end = (): void => {
    filter.stopRequested = true;
    doorbell.ring();
  };
  stop?.addEventListener('abort', end);
  actor.start?.(() => {
    while (mailbox.drain(filter, BATCH) > 0);
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
  { mailbox, state }: ActorContext<unknown>,
  handler: MessageHandler,
  maxSleepMs: number,
): Promise<void> {
  const { doorbell } = mailbox;
  for (;;) {
    const seen = doorbell.seen();
    const isLast = done();
    state.beat();
    drill(state);
    if (mailbox.drain(handler, BATCH) > 0) {
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
  const filter = new ControlFilter(actor);
  state.set(READY);
  actor.serve(
    () => {
      state.beat();
      drill(state);
      while (mailbox.drain(filter, BATCH) > 0);
    },
    () => filter.stopRequested,
  );
  state.set(DRAINING);
  while (mailbox.drain(filter, BATCH) > 0);
  actor.stop();
  state.set(STOPPED);
}

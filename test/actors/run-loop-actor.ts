/** An actor that counts its messages in word 0 of 'words', in the run loop that it was told to use. */
import { workerData } from 'node:worker_threads';
import { systemClock } from '../../runtime/clock.ts';
import { openLog } from '../../runtime/log.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { Mailbox } from '../../runtime/messaging/mailbox.ts';
import type { ActorContext } from '../../runtime/scheduling/actor.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import { runOnDoorbell, runOnEventLoop, runOnSystemCall } from '../../runtime/scheduling/run-loop.ts';
import { Tap } from '../../runtime/scheduling/tap.ts';
import { PollSet } from '../../runtime/system/libc.ts';

export type Kind = 'doorbell' | 'event loop' | 'system call';
/** Messages to count; any other kind is an error. */
export const COUNT = 16;
/** Words: how often `stop` was called, and how many messages had been counted then. */
export const GOODBYES = 1;
export const STOPPED_AFTER = 2;
/** How long the event loop's actor takes to stop. */
export const SLOW_STOP_MS = 150;

function run({ buffer, kind, eventfd }: { buffer: SharedArrayBuffer; kind: Kind; eventfd: number }): unknown {
  const arena = Arena.attach(buffer);
  const { i32 } = arena.region('words');
  const context: ActorContext<undefined> = {
    name: 'counter',
    arena,
    mailbox: new Mailbox(arena.region('mailbox')),
    state: new ActorState(arena.region('states'), 0),
    logger: openLog('counter', 'silent', 2),
    clock: systemClock,
    settings: undefined,
    ...(arena.names().includes('taps') ? { tap: new Tap(arena.region('taps'), 0) } : {}),
    outbox: () => {
      throw new Error('it sends nothing');
    },
  };
  const { doorbell } = context.mailbox;
  const onMessage = (message: number): void => {
    if (message !== COUNT) throw new Error(`kind ${message}`);
    Atomics.add(i32, 0, 1);
  };
  const stop = (): void => {
    Atomics.store(i32, STOPPED_AFTER, Atomics.load(i32, 0));
    Atomics.add(i32, GOODBYES, 1);
  };
  if (kind === 'doorbell')
    return runOnDoorbell(context, { onMessage, stop, idle: () => Number.POSITIVE_INFINITY });
  if (kind === 'event loop') {
    const slowly = async (): Promise<void> => {
      stop();
      await new Promise((resume) => setTimeout(resume, SLOW_STOP_MS));
    };
    return runOnEventLoop(context, { onMessage, stop: slowly }, { maxSleepMs: 200 });
  }
  doorbell.armDescriptor(eventfd);
  const pollSet = new PollSet(eventfd);
  const serve = (drain: () => void, stopRequested: () => boolean): void => {
    while (!stopRequested()) {
      const seen = doorbell.seen();
      drain();
      if (stopRequested() || !doorbell.park(seen)) continue;
      pollSet.wait(1000);
      doorbell.unpark(pollSet.events(0) !== 0);
    }
  };
  return runOnSystemCall(context, { onMessage, stop, serve });
}

// The test imports the constants.
if (workerData !== null && (workerData as { kind?: Kind }).kind !== undefined) await run(workerData);

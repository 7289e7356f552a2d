import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Arena } from '../memory/arena.ts';
import type { Mailbox, MessageHandler, Outbox } from '../messaging/mailbox.ts';
import type { ActorState } from './actor-state.ts';

/**
 * What every actor is given: its own mailbox, the outboxes of those it may write to, and the shared memory.
 *
 * @template Settings the configuration of the application; the runtime does not look inside
 */
export interface ActorContext<Settings> {
  readonly name: string;
  readonly arena: Arena;
  readonly mailbox: Mailbox;
  readonly state: ActorState;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly settings: Settings;
  /** The lane from this actor to `target`. Throws when the topology has no such route. */
  outbox(target: string): Outbox;
}

/** Message kinds below this are the runtime's own; applications number theirs from here. */
export const FIRST_APPLICATION_KIND = 16;

/** Asks an actor to finish what it has and end its loop. No payload. */
export const STOP = 1;

/** An actor that parks on its doorbell: it lives from its mailbox and has the thread to itself. */
export interface DoorbellActor extends MessageHandler {
  /** Called after each batch of messages, when there may be more: for what must not wait until there are none. */
  afterBatch?(): void;
  /** Called whenever the mailbox is empty. Returns how many milliseconds it may sleep; 0 = call again, there is work. */
  idle(): number;
  /** Called once, after the last message before STOP was handled. */
  stop(): void;
}

/** An actor on its thread's event loop, for those that live from libraries with promises, timers and sockets. */
export interface EventLoopActor extends MessageHandler {
  /** Called once, before the first message. `drain` hands over what waits in the mailbox now, quietly posted or not. */
  start?(drain: () => void): void;
  /** Called once, after STOP. Messages go on coming until it has settled. */
  stop(): void | Promise<void>;
}

/** An actor whose parking place is a system call of its own. `serve` must drain the mailbox whenever it is woken. */
export interface SystemCallActor extends MessageHandler {
  /** Returns when the resource it serves has ended, or once `stopRequested()` is true. */
  serve(drain: () => void, stopRequested: () => boolean): void;
  stop(): void;
}

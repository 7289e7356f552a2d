/**
 * A thread that works in the background of main's and ends, as a row among the actors for as long as it lives: the one
 * that makes a checkpoint, and the one that compresses cold files. It is no actor: it has no mailbox, and is not started
 * again.
 */
import { threadTimes } from '../../runtime/system/thread-stat.ts';
import type { ActorStatus } from '../status.ts';
import type { ActorRow } from './console-views.ts';

/** What is known of such a thread. */
export class BackgroundThread {
  /** Which one of its name it is since the mount, from 1 on. */
  readonly ordinal: number;
  /** Milliseconds of the monotonic clock: when it was started, and when it last said anything. */
  readonly startedAt: number;
  heardAt: number;
  /** The operating system's number, 0 = it has said nothing yet. */
  id = 0;
  /** Steps that it has told of. */
  steps = 0;

  constructor(ordinal: number, now: number) {
    this.ordinal = ordinal;
    this.startedAt = now;
    this.heardAt = now;
  }

  heard(now: number): void {
    this.heardAt = now;
    this.steps++;
  }
}

/** Whoever has such a thread now and then. */
export interface Background {
  /** Of its row. */
  readonly name: string;
  /** Undefined while there is none. */
  readonly thread: Readonly<BackgroundThread> | undefined;
  readonly status: { readonly doing: string };
  /** Ends it wherever it is, as a fault would; false when there is none. */
  end(): boolean;
}

/** For `vexfs status`. */
export function backgroundStatus(all: readonly Background[]): ActorStatus[] {
  return all.flatMap(({ name, thread, status }) =>
    thread === undefined
      ? []
      : {
          name,
          state: 'busy',
          doing: status.doing,
          thread: thread.id,
          parked: false,
          restarts: 0,
          turns: thread.steps,
          waiting: 0,
        },
  );
}

/** For the console, which shows its share of a CPU since it was started. `now`: milliseconds of the monotonic clock. */
export function backgroundRows(all: readonly Background[], now: number): ActorRow[] {
  return all.flatMap(({ name, thread, status }) =>
    thread === undefined ? [] : rowOf(name, thread, status.doing, now),
  );
}

function rowOf(name: string, thread: Readonly<BackgroundThread>, doing: string, now: number): ActorRow {
  const { cpuNs, core } = threadTimes(thread.id);
  const seconds = Math.max(1, now - thread.startedAt) / 1000;
  return {
    name,
    kind: name,
    state: doing,
    gate: 'open',
    restarts: 0,
    cpu: Math.round(cpuNs / 1e6 / seconds) / 10,
    core,
    messagesPerSecond: 0,
    requestsPerSecond: 0,
    waiting: 0,
    thread: thread.id,
    incarnation: thread.ordinal,
    heartbeatAgeMs: Math.round(now - thread.heardAt),
    parked: false,
  };
}

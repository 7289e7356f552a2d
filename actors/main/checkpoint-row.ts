/**
 * The thread that makes a checkpoint, as a row among the actors for as long as it lives. It is none: it shares no memory
 * with them, has no mailbox, and is not started again.
 */
import type { ActorStatus } from '../status.ts';
import type { Checkpoints } from './checkpoints.ts';
import { threadTimes } from './console-sampler.ts';
import type { ActorRow } from './console-views.ts';

export const CHECKPOINT_THREAD = 'checkpoint';

/** For `vexfs status`; empty while no checkpoint is made. */
export function checkpointStatus({ thread, status }: Checkpoints): ActorStatus[] {
  if (thread === undefined) return [];
  return [
    {
      name: CHECKPOINT_THREAD,
      state: 'busy',
      doing: status.doing,
      thread: thread.id,
      parked: false,
      restarts: 0,
      turns: thread.steps,
      waiting: 0,
    },
  ];
}

/** For the console, which shows its share of a CPU since it was started. `now`: milliseconds of the monotonic clock. */
export function checkpointRows({ thread, status }: Checkpoints, now: number): ActorRow[] {
  if (thread === undefined) return [];
  const { cpuNs, core } = threadTimes(thread.id);
  const seconds = Math.max(1, now - thread.startedAt) / 1000;
  return [
    {
      name: CHECKPOINT_THREAD,
      kind: CHECKPOINT_THREAD,
      state: status.doing,
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
    },
  ];
}

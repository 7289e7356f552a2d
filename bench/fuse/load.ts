/**
 * The load generator: one process per peer and round, told by its parent which operation to run next. It works inside
 * its current directory, so that a path is one name and no peer pays for looking up parents.
 *
 * Synchronous calls of Node cost 0.6–1.5 µs here. Through FFI open+close, read, create and rename cost the same, stat half
 * (0.75 µs against 1.4 µs), which shows where the kernel answers alone; so stat goes through FFI, the rest is plain `node:fs`.
 */
import fs from 'node:fs';
import { type Workload, workloads } from './workloads.ts';

export interface LoadRequest {
  readonly operation: string;
  /** Least time of measured work; an operation in passes may take a fixed number of passes instead. */
  readonly milliseconds: number;
  readonly warmupMilliseconds: number;
  /** Divides the numbers and sizes of files, for a smoke run. */
  readonly shrink: number;
  /** Whose CPU time is asked for as well. */
  readonly server?: number | undefined;
}

/** `rate` is operations a second or bytes a second; otherwise one of the others says why there is none. */
export interface LoadReply {
  readonly rate?: number;
  readonly operations?: number;
  /** CPU time of this process and of the server while it was measured, user and system, seconds a second. */
  readonly clientCpu?: number;
  readonly serverCpu?: number;
  /** It cannot be measured here. */
  readonly skipped?: string;
  /** A call failed. */
  readonly failed?: string;
  /** No answer: the load generator hangs or is dead. */
  readonly lost?: string;
}

/** What is not timed (making the files that are to be removed) ends a measurement when it has taken so many times as long. */
const WHOLE_FACTOR = 2.5;

function runFor(
  workload: Workload,
  milliseconds: number,
  passes: number,
): { elapsed: number; steps: number } {
  let elapsed = 0;
  let steps = 0;
  const end = performance.now() + WHOLE_FACTOR * milliseconds;
  for (let pass = 0; pass < passes && elapsed < milliseconds; pass++) {
    workload.before?.();
    const begin = performance.now();
    for (let i = 0; i < workload.batch; i++) workload.step(i);
    elapsed += performance.now() - begin;
    steps += workload.batch;
    workload.after?.();
    if (workload.passes === undefined && performance.now() >= end) break;
  }
  return { elapsed, steps };
}

const TICKS_PER_SECOND = 100;

/** CPU time that a process has used, user and system, seconds; 0 of none. */
function cpuOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function measure(request: LoadRequest): LoadReply {
  const make = workloads[request.operation];
  if (!make) return { failed: `no such operation: ${request.operation}` };
  fs.mkdirSync(request.operation, { recursive: true });
  const home = process.cwd();
  process.chdir(request.operation);
  try {
    const workload = make(request.shrink);
    if (typeof workload === 'string') return { skipped: workload };
    const passes = workload.passes ?? Number.POSITIVE_INFINITY;
    if (workload.passes === undefined) runFor(workload, request.warmupMilliseconds, passes);
    const begin = { at: performance.now(), client: process.cpuUsage(), server: cpuOf(request.server) };
    const { elapsed, steps } = runFor(workload, request.milliseconds, passes);
    const seconds = (performance.now() - begin.at) / 1000;
    const { user, system } = process.cpuUsage(begin.client);
    return {
      rate: (steps * (workload.bytes ?? 1) * 1000) / elapsed,
      operations: steps,
      clientCpu: (user + system) / 1e6 / seconds,
      serverCpu: (cpuOf(request.server) - begin.server) / seconds,
    };
  } finally {
    process.chdir(home);
  }
}

process.on('message', (request: LoadRequest) => {
  let reply: LoadReply;
  try {
    reply = measure(request);
  } catch (error) {
    reply = { failed: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(reply);
});

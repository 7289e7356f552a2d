/** What a configuration asks of this machine that it may not have. */
import { totalmem } from 'node:os';
import { MIB } from '../../runtime/config/bounds.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { roundSize } from '../../runtime/config/size.ts';
import { type Machine, readMachine } from '../../runtime/system/topology.ts';
import { UserError } from '../../runtime/user-error.ts';
import { isConfigured, Topology } from '../topology.ts';
import { planPlacement } from './placement.ts';

/** What a thread takes before it has done anything, measured: its JavaScript heap, its code, a shard's engine. */
const THREAD_BYTES = 20 * MIB;

/** @throws {UserError} naming everything that cannot be had, one a line */
export function requireFeasible(
  config: Config,
  machine: Machine = readMachine(),
  bytes = memoryLimit(),
): void {
  const topology = new Topology(config);
  const problems: string[] = [];
  try {
    planPlacement(config, topology, machine);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(error.message);
  }
  const problem = tooManyThreads(config, topology, bytes);
  if (problem !== undefined) problems.push(problem);
  if (problems.length > 0) throw new UserError(problems.join('\n'));
}

/** Bytes this process can have at most. */
function memoryLimit(): number {
  // 0 or a huge number where no control group limits this process.
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

function tooManyThreads({ workers }: Config, { actors }: Topology, bytes: number): string | undefined {
  const threads = actors.filter((actor) => isConfigured(workers, actor)).length + workers.tasks;
  const needed = threads * THREAD_BYTES;
  if (needed <= bytes) return undefined;
  const { fuse, shards, io, tasks } = workers;
  const counts = Object.entries({ fuse, shards, io, tasks }).toSorted(([, a], [, b]) => b - a);
  const [largest, count] = counts[0]!;
  return `${threads} threads need ${roundSize(needed)} before they hold anything, and there are ${roundSize(bytes)}: lower workers.${largest} (${count})`;
}

/** What the kernel says of a thread of this process: proc(5). `id` is the operating system's, 0 = not known yet. */
import { readFileSync } from 'node:fs';
import { waitsForSyncs } from './sync-files.ts';

/** Clock ticks a second: USER_HZ, 100 on every architecture that Node runs on. */
const TICK_NS = 1e7;
/** Places after the name among the fields of `stat`. */
const STATE = 0;
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
const PROCESSOR = 36;

/** Nanoseconds of CPU that the thread has used, and where it ran last; 0 and −1 where nothing is known of it. */
export function threadTimes(id: number): { cpuNs: number; core: number } {
  const fields = statOf(id);
  if (fields === undefined) return { cpuNs: 0, core: -1 };
  const ticks = Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
  return { cpuNs: scheduledNs(id) ?? ticks * TICK_NS, core: Number(fields[PROCESSOR] ?? -1) };
}

/**
 * Whether the thread waits in the kernel for a disk (state D, or for many files at once): then it does not hang, and cannot
 * be ended either.
 */
export function waitsForDisk(id: number): boolean {
  const fields = statOf(id);
  return fields !== undefined && (fields[STATE] === 'D' || waitsForSyncs(id));
}

/** The fields after the name, which may contain anything: "id (name) state …". */
function statOf(id: number): string[] | undefined {
  const stat = id === 0 ? undefined : textOf(id, 'stat');
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** CPU time to the nanosecond, where the kernel counts so (CONFIG_SCHED_INFO). */
function scheduledNs(id: number): number | undefined {
  const text = textOf(id, 'schedstat');
  return text === undefined ? undefined : Number(text.split(' ')[0]);
}

function textOf(id: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/self/task/${id}/${file}`, 'latin1');
  } catch {
    return undefined;
  }
}

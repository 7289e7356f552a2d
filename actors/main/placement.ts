import { readFileSync } from 'node:fs';
import type { Config } from '../../runtime/config/schema.ts';
import type { Topology } from '../topology.ts';

/** CPUs this process may run on, in order: "Cpus_allowed_list" of /proc/self/status, as in "0-3,8". */
export function allowedCpus(status = readFileSync('/proc/self/status', 'latin1')): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * A CPU for each actor, −1 = wherever the scheduler likes. "auto" gives fuse actors the CPUs from the front and shards
 * those from the back, so that answering requests and searching meet last; the others do little and move freely.
 */
export function planPlacement(
  placement: Config['placement'],
  topology: Topology,
  cpus: readonly number[],
): ReadonlyMap<string, number> {
  const place = (kind: string, index: number): number => {
    if (placement === 'none') return -1;
    if (kind === 'fuse') return cpus[index % cpus.length]!;
    if (kind === 'shard') return cpus[cpus.length - 1 - (index % cpus.length)]!;
    return -1;
  };
  return new Map(topology.actors.map(({ name, kind, index }) => [name, place(kind, index)]));
}

/** Who runs where, for doctor and the console. */
import type { Placed } from '../actors/main/placement.ts';
import { formatCpuList } from '../runtime/system/cpu-list.ts';
import { withHeader } from './terminal.ts';

/** @param title above the names of the actors */
export function placementTable(title: string, actors: readonly Placed[]): string[] {
  const rows = actors.map(({ actor, cpus, node, why }) => [
    actor,
    cpus.length === 0 ? '' : formatCpuList(cpus),
    node < 0 ? '' : String(node),
    why,
  ]);
  return withHeader([title, 'CPU', 'NODE', ''], rows);
}

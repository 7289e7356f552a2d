/** `placement.pin`: what the user says about single actors, checked against the actors and CPUs that there are. */
import { closest } from 'fastest-levenshtein';
import { formatCpuList } from '../../runtime/system/cpu-list.ts';
import type { Machine } from '../../runtime/system/topology.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Topology } from '../topology.ts';

/** Names, or patterns with `*`, and CPUs in order. */
export type Pins = Readonly<Record<string, readonly number[]>>;

/** Actor → its CPUs. A name is stronger than a pattern, a longer pattern than a shorter one. @throws {UserError} */
export function resolvePins(
  pins: Pins,
  topology: Topology,
  machine: Machine,
): ReadonlyMap<string, readonly number[]> {
  const problems: string[] = [];
  const pinned = new Map<string, readonly number[]>();
  for (const [pattern, cpus] of Object.entries(pins).toSorted(([a], [b]) => strength(a) - strength(b))) {
    const names = topology.actors.map(({ name }) => name).filter((name) => matches(pattern, name));
    if (names.length === 0) problems.push(noSuchActor(pattern, topology));
    const problem = unusable(pattern, cpus, machine);
    if (problem !== undefined) problems.push(problem);
    for (const name of names) pinned.set(name, cpus);
  }
  // The threads of the others inherit where main may run.
  if (pinned.has('main'))
    problems.push('placement.pin names "main", whose thread starts all others: leave it out');
  if (problems.length > 0) throw new UserError(problems.join('\n'));
  return pinned;
}

function strength(pattern: string): number {
  return pattern.includes('*') ? pattern.length : Number.MAX_SAFE_INTEGER;
}

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[^a-z0-9]/g, '\\$&'));
  // A pattern is about actors with numbers or kinds; main is meant only by its name.
  if (name === 'main' && pattern.includes('*')) return false;
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

function noSuchActor(pattern: string, { actors }: Topology): string {
  const names = actors.map(({ name }) => name).filter((name) => name !== 'main');
  return `placement.pin names "${pattern}", and there is no such actor; did you mean "${closest(pattern, names)}"? (${names.join(', ')})`;
}

function unusable(pattern: string, cpus: readonly number[], machine: Machine): string | undefined {
  const bad = cpus.filter((cpu) => !machine.cpus.some(({ id }) => id === cpu));
  if (bad.length === 0) return undefined;
  const [first = 0] = bad;
  const why = machine.offline.includes(first)
    ? 'is offline'
    : machine.online.includes(first)
      ? 'is not granted to this process'
      : 'does not exist';
  const usable = formatCpuList(machine.cpus.map(({ id }) => id));
  return `placement.pin keeps "${pattern}" on CPU ${first}, which ${why}; usable are ${usable}`;
}

/** What doctor says about the machine's cores, the configuration, and who runs where. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { requireFeasible } from '../actors/main/feasible.ts';
import { type PlacementPlan, planPlacement } from '../actors/main/placement.ts';
import { isConfigured, Topology } from '../actors/topology.ts';
import { requireConfig } from '../runtime/config/load.ts';
import type { Config } from '../runtime/config/schema.ts';
import { formatCpuList } from '../runtime/system/cpu-list.ts';
import { coreCount, type Machine, readMachine } from '../runtime/system/topology.ts';
import { UserError } from '../runtime/user-error.ts';
import type { Finding } from './doctor.ts';
import { placementTable } from './placement-table.ts';
import { plural } from './terminal.ts';

/** Which configuration doctor looks at. */
export interface ConfigChoice {
  readonly store: string | undefined;
  readonly config?: string;
  readonly set: readonly string[];
}

/** A plan, and whether a mount would follow it: without placement = "auto" it is what that would do. */
export type ShownPlan = PlacementPlan & { readonly inForce: boolean };

export function placementFindings(choice: ConfigChoice): Finding[] {
  const machine = readMachine();
  const found = describeMachine(machine);
  const processors: Finding =
    machine.cpus.length > 1
      ? { check: 'processors', state: 'ok', found }
      : {
          check: 'processors',
          state: 'warning',
          found,
          advice: 'with one processor every request waits for another thread',
        };
  const check = 'configuration';
  let config: Config;
  try {
    config = requireConfig(sourceOf(choice));
    requireFeasible(config, machine);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [processors, { check, state: 'failed', found: error.message }];
  }
  return [
    processors,
    { check, state: 'ok', found: describeSource(choice) },
    placementFinding(config, machine),
  ];
}

function sourceOf({ store, config, set }: ConfigChoice): Parameters<typeof requireConfig>[0] {
  const file = config === undefined ? {} : { file: config };
  if (store !== undefined && (!existsSync(store) || !statSync(store).isDirectory()))
    throw new UserError(`${store} is not a store: it is not a directory`);
  const fallback = store === undefined ? {} : { fallback: join(store, 'vexfs.toml') };
  return { ...file, ...fallback, environment: process.env, set };
}

function describeSource({ store, config }: ConfigChoice): string {
  if (config !== undefined) return config;
  return store === undefined ? 'the defaults' : `that of ${store}`;
}

/** "2 nodes, 6 cores, 6 CPUs (0-2,4-5,7), a quota of 1.5 CPUs; offline: 3,6". */
function describeMachine(machine: Machine): string {
  const { cpus, nodes, offline, online, quota } = machine;
  const ids = cpus.map(({ id }) => id);
  const forbidden = online.filter((cpu) => !ids.includes(cpu));
  const parts = [
    plural(nodes.length, 'node'),
    plural(coreCount(machine), 'core'),
    `${plural(cpus.length, 'CPU')} (${formatCpuList(ids)})`,
  ];
  if (quota !== undefined) parts.push(`a quota of ${Number(quota.toFixed(2))} CPUs`);
  const rest = [];
  if (forbidden.length > 0) rest.push(`not granted: ${formatCpuList(forbidden)}`);
  if (offline.length > 0) rest.push(`offline: ${formatCpuList(offline)}`);
  return [parts.join(', '), ...rest].join('; ');
}

function placementFinding(config: Config, machine: Machine): Finding {
  const { mode, pin } = config.placement;
  const inForce = mode === 'auto' || Object.keys(pin).length > 0;
  const shown = inForce ? config : { ...config, placement: { mode: 'auto' as const, pin } };
  const topology = new Topology(shown);
  const all = planPlacement(shown, topology, machine);
  const { workers } = shown;
  const plan = {
    ...all,
    actors: all.actors.filter(({ actor }) => isConfigured(workers, topology.actor(actor))),
  };
  const pinned = plan.actors.filter(({ cpus }) => cpus.length > 0).length;
  const kept = pinned === 0 ? [] : [`${plural(pinned, 'thread')} kept on CPUs`];
  const would = `"${plan.mode}": ${[...kept, ...plan.notes].join('; ')}`;
  const found = inForce ? would : `"none": every thread moves freely (${would})`;
  return { check: 'placement', state: 'ok', found, plan: { ...plan, inForce } };
}

/** The plan as a table; none where nobody is pinned. */
export function describePlan({ actors, inForce }: ShownPlan): string[] {
  if (actors.every(({ cpus }) => cpus.length === 0)) return [];
  const title = inForce ? 'PLACEMENT' : 'WITH placement = "auto"';
  return ['', ...placementTable(title, actors)];
}

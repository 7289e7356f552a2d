/**
 * Which thread runs on which CPU, and which shard lies at which memory node.
 *
 * The hot actors (those that answer the kernel, then shards, then io) get cores of their own as far as there are cores;
 * one core stays free for the programs that use the mount and for everything else. Second threads of cores come last.
 * Each kind is spread over the nodes, the nearest to the first fuse actor first, so that a node's fuse, shard and io
 * actors lie together. Where pinning would do harm nobody is pinned, and the plan says why.
 */
import type { Config } from '../../runtime/config/schema.ts';
import { type Cpu, coreCount, distanceBetween, type Machine } from '../../runtime/system/topology.ts';
import { type ActorKind, type ActorPlan, isConfigured, type Topology } from '../topology.ts';
import { resolvePins } from './placement-pins.ts';

export interface Placed {
  readonly actor: string;
  /** CPUs its thread is kept on; empty = wherever the scheduler likes. */
  readonly cpus: readonly number[];
  /** The memory node of all of them; −1 where there is no one node. */
  readonly node: number;
  /** Half a sentence: "a core of its own". */
  readonly why: string;
}

export interface PlacementPlan {
  readonly mode: Config['placement']['mode'];
  /** In the order of the topology; of all that there is room for. */
  readonly actors: readonly Placed[];
  /** Why nobody is pinned, or not everybody. */
  readonly notes: readonly string[];
}

const HOT: readonly ActorKind[] = ['fuse', 'shard', 'io'];
/** Background actors, which are kept off the cores of the hot ones. */
const COLD: readonly ActorKind[] = ['pool', 'stats', 'indexer'];
/** With fewer cores than this, clients, fuse actors and shards need the same ones. */
const CORES_MIN = 3;

/** @throws {UserError} if `placement.pin` names actors or CPUs that there are not. */
export function planPlacement(config: Config, topology: Topology, machine: Machine): PlacementPlan {
  const { mode, pin } = config.placement;
  const planner = new Planner(machine, topology, resolvePins(pin, topology, machine));
  const harm = mode === 'auto' ? harmOfPinning(machine) : undefined;
  if (mode === 'auto' && harm === undefined) planner.placeAll(config.workers);
  const notes = harm === undefined ? planner.notes : [`nobody is pinned: ${harm}`];
  return { mode, actors: topology.actors.map((actor) => planner.placeOf(actor)), notes };
}

function harmOfPinning(machine: Machine): string | undefined {
  const { cpus, quota } = machine;
  if (cpus.length === 1) return 'there is one CPU, and everybody runs on it';
  if (quota !== undefined && quota < cpus.length) {
    return `a quota of ${Number(quota.toFixed(2))} CPUs on ${cpus.length}: others use them too, and a pinned thread could not move to an idle one`;
  }
  const cores = coreCount(machine);
  if (cores < CORES_MIN)
    return `${cores} core${cores === 1 ? '' : 's'}: the programs that use the mount need them too`;
  return undefined;
}

class Planner {
  readonly notes: string[] = [];
  readonly #machine: Machine;
  readonly #topology: Topology;
  readonly #places = new Map<string, Placed>();
  /** CPU → the actor it was given to. */
  readonly #takenBy = new Map<number, string>();
  /** The node that the others are to be near. */
  readonly #home: number;

  constructor(machine: Machine, topology: Topology, pins: ReadonlyMap<string, readonly number[]>) {
    this.#machine = machine;
    this.#topology = topology;
    for (const [name, cpus] of pins) this.#place(name, cpus, 'as placement.pin says');
    const largest = machine.nodes.toSorted((a, b) => b.cpus.length - a.cpus.length)[0]!;
    const first = this.#places.get('fuse-0');
    this.#home = first === undefined || first.node < 0 ? largest.id : first.node;
  }

  placeOf({ name }: ActorPlan): Placed {
    return this.#places.get(name) ?? { actor: name, cpus: [], node: -1, why: 'wherever the scheduler likes' };
  }

  placeAll(workers: Config['workers']): void {
    const hot = this.#unpinned(HOT).filter((actor) => isConfigured(workers, actor));
    for (const actor of hot) this.#placeHot(actor);
    const others = hot.filter(({ name }) => this.#places.get(name)?.cpus.length !== 1);
    if (others.length > 0) {
      const names = others.map(({ name }) => name).join(', ');
      this.notes.push(`no CPU of its own is left for ${names}`);
    }
    this.#placeRest(workers);
  }

  #unpinned(kinds: readonly ActorKind[]): ActorPlan[] {
    return kinds.flatMap((kind) => this.#topology.ofKind(kind)).filter(({ name }) => !this.#places.has(name));
  }

  #placeHot(actor: ActorPlan): void {
    const free = this.#machine.cpus.filter(({ id }) => !this.#takenBy.has(id));
    const cores = free.filter((cpu) => this.#isFirstOfIdleCore(cpu));
    // The last idle core is everybody's.
    const own = cores.length > 1 ? this.#best(actor.kind, cores) : undefined;
    if (own !== undefined) {
      this.#place(actor.name, [own.id], 'a core of its own');
      return;
    }
    const siblings = free.filter((cpu) => this.#otherOnCore(cpu) !== undefined);
    const sibling = this.#best(actor.kind, siblings);
    if (sibling !== undefined) {
      this.#place(
        actor.name,
        [sibling.id],
        `the second thread of a core, beside ${this.#otherOnCore(sibling)}`,
      );
      return;
    }
    this.#placeOnNode(actor);
  }

  /** There is no CPU left, but at least the memory can be near. */
  #placeOnNode(actor: ActorPlan): void {
    const { nodes, cpus } = this.#machine;
    if (nodes.filter((node) => node.cpus.length > 0).length < 2) return;
    const { node } = this.#best(actor.kind, cpus)!;
    const all = nodes.find(({ id }) => id === node)!.cpus;
    this.#place(actor.name, all, `anywhere on node ${node}: its cores are taken`);
  }

  /** The background, and those that may come while mounted: the cores are given away by then. */
  #placeRest(workers: Config['workers']): void {
    const free = this.#machine.cpus.filter(({ id }) => !this.#takenBy.has(id));
    const idle = free.filter((cpu) => this.#otherOnCore(cpu) === undefined);
    // The indexer's tasks run on its CPUs too: they must not be crowded for the sake of cores that may be idle.
    const rest = [idle, free].find(({ length }) => length > workers.tasks)?.map(({ id }) => id);
    if (rest === undefined) return;
    const reserves = this.#unpinned(HOT).filter((actor) => !isConfigured(workers, actor));
    for (const { name } of [...this.#unpinned(COLD), ...reserves])
      this.#place(name, rest, 'off the CPUs of the others');
  }

  /** Of these CPUs one on the node that has the fewest actors of the kind, or else is nearest to home. */
  #best(kind: ActorKind, cpus: readonly Cpu[]): Cpu | undefined {
    const used = new Map<number, number>();
    for (const { name } of this.#topology.ofKind(kind)) {
      const node = this.#places.get(name)?.node ?? -1;
      used.set(node, (used.get(node) ?? 0) + 1);
    }
    const far = (cpu: Cpu): number => distanceBetween(this.#machine, this.#home, cpu.node);
    return cpus.toSorted(
      (a, b) =>
        (used.get(a.node) ?? 0) - (used.get(b.node) ?? 0) ||
        far(a) - far(b) ||
        a.node - b.node ||
        a.id - b.id,
    )[0];
  }

  #isFirstOfIdleCore(cpu: Cpu): boolean {
    return cpu.thread === 0 && this.#otherOnCore(cpu) === undefined;
  }

  /** Who has another thread of this CPU's core. */
  #otherOnCore({ core }: Cpu): string | undefined {
    for (const { id, core: other } of this.#machine.cpus) {
      if (other === core && this.#takenBy.has(id)) return this.#takenBy.get(id);
    }
    return undefined;
  }

  #place(actor: string, cpus: readonly number[], why: string): void {
    const nodes = new Set(
      cpus.map((cpu) => this.#machine.nodes.find((node) => node.cpus.includes(cpu))?.id ?? -1),
    );
    this.#places.set(actor, { actor, cpus, node: nodes.size === 1 ? [...nodes][0]! : -1, why });
    if (cpus.length === 1) this.#takenBy.set(cpus[0]!, actor);
  }
}

/** How far the memory of each shard is from the thread of each other, for stealing: 0 on one node or where it is unknown. */
export function shardDistances(plan: PlacementPlan, machine: Machine): number[][] {
  const nodes = plan.actors.filter(({ actor }) => actor.startsWith('shard-')).map(({ node }) => node);
  const far = (from: number, to: number): number =>
    from === to || from < 0 || to < 0 ? 0 : distanceBetween(machine, from, to);
  return nodes.map((from) => nodes.map((to) => far(from, to)));
}

/**
 * The machine as the scheduler sees it: which CPUs are threads of one core, which cores lie at which memory, how far
 * the memories are from each other, and what of all that this process may use. Read from /sys and /proc; where a file
 * is missing, as in many containers, the machine is as simple as can be: one node, every CPU a core.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseCpuList } from './cpu-list.ts';
import { type ReadText, readLimits } from './topology-limits.ts';

export interface Cpu {
  readonly id: number;
  /** The memory node it lies at. */
  readonly node: number;
  /** Its core, by the lowest CPU number that is a thread of it (usable or not). */
  readonly core: number;
  /** Position among the usable threads of its core: 0 = the first. */
  readonly thread: number;
}

export interface MemoryNode {
  readonly id: number;
  /** Usable CPUs, in order. Empty for a node that has only memory. */
  readonly cpus: readonly number[];
  /** Node → how far its memory is, as the firmware says: 10 = the node itself. */
  readonly distances: ReadonlyMap<number, number>;
}

export interface Machine {
  /** CPUs that this process may use, by number. Never empty. */
  readonly cpus: readonly Cpu[];
  /** By number. Never empty. */
  readonly nodes: readonly MemoryNode[];
  /** CPUs that run. */
  readonly online: readonly number[];
  /** CPUs that are there and switched off. */
  readonly offline: readonly number[];
  /** CPU seconds per second that the control groups grant; undefined without a quota. */
  readonly quota: number | undefined;
}

const CPU = '/sys/devices/system/cpu';
const NODE = '/sys/devices/system/node';
/** Distance to a node that the firmware says nothing about. */
const FAR = 20;
const HERE = 10;

export function readMachine(read: ReadText = readHost): Machine {
  const limits = readLimits(read);
  const online = listAt(read, `${CPU}/online`) ?? limits.allowed ?? unknownCpus();
  const present = listAt(read, `${CPU}/present`) ?? online;
  const permitted = limits.allowed ?? online;
  const usable = online.filter((cpu) => permitted.includes(cpu));
  const ids = usable.length > 0 ? usable : permitted;
  const nodes = readNodes(read, ids);
  return {
    cpus: readCpus(read, ids, nodes),
    nodes,
    online,
    offline: present.filter((cpu) => !online.includes(cpu)),
    quota: limits.quota,
  };
}

function readHost(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function unknownCpus(): number[] {
  return Array.from({ length: availableParallelism() }, (_, cpu) => cpu);
}

/** A list that is there, makes sense and is not empty. */
function listAt(read: ReadText, path: string): number[] | undefined {
  const list = parseCpuList(read(path) ?? '');
  return list === undefined || list.length === 0 ? undefined : list;
}

function readNodes(read: ReadText, usable: readonly number[]): MemoryNode[] {
  const ids = listAt(read, `${NODE}/online`) ?? [];
  const nodes = ids.map((id) => {
    const cpus = (parseCpuList(read(`${NODE}/node${id}/cpulist`) ?? '') ?? []).filter((cpu) =>
      usable.includes(cpu),
    );
    // One number for each node that is online, in their order.
    const row = (read(`${NODE}/node${id}/distance`) ?? '').trim().split(/\s+/).map(Number);
    const distances = ids.map((other, i) => [other, distance(row[i], other === id)] as const);
    return { id, cpus, distances: new Map(distances) };
  });
  const known = new Set(nodes.flatMap(({ cpus }) => cpus));
  const homeless = usable.filter((cpu) => !known.has(cpu));
  if (homeless.length === 0) return nodes;
  const [first] = nodes;
  if (first === undefined) return [{ id: 0, cpus: homeless, distances: new Map([[0, HERE]]) }];
  const cpus = [...first.cpus, ...homeless].toSorted((a, b) => a - b);
  return [{ ...first, cpus }, ...nodes.slice(1)];
}

function distance(written: number | undefined, isHere: boolean): number {
  if (written !== undefined && written > 0) return written;
  return isHere ? HERE : FAR;
}

function readCpus(read: ReadText, usable: readonly number[], nodes: readonly MemoryNode[]): Cpu[] {
  const nodeOf = new Map(nodes.flatMap(({ id, cpus }) => cpus.map((cpu) => [cpu, id] as const)));
  const threadsSeen = new Map<number, number>();
  return usable.map((id) => {
    const siblings =
      listAt(read, `${CPU}/cpu${id}/topology/core_cpus_list`) ??
      listAt(read, `${CPU}/cpu${id}/topology/thread_siblings_list`) ??
      [];
    const core = siblings.includes(id) ? siblings[0]! : id;
    const thread = threadsSeen.get(core) ?? 0;
    threadsSeen.set(core, thread + 1);
    return { id, node: nodeOf.get(id)!, core, thread };
  });
}

/** How far the memory of `to` is from the CPUs of `from`. */
export function distanceBetween(machine: Machine, from: number, to: number): number {
  return machine.nodes.find(({ id }) => id === from)?.distances.get(to) ?? (from === to ? HERE : FAR);
}

/** Usable cores: CPUs that share one count once. */
export function coreCount(machine: Machine): number {
  return new Set(machine.cpus.map(({ core }) => core)).size;
}

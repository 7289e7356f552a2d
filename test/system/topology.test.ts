import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatCpuList, parseCpuList } from '../../runtime/system/cpu-list.ts';
import { coreCount, distanceBetween, type Machine, readMachine } from '../../runtime/system/topology.ts';
import { readLimits } from '../../runtime/system/topology-limits.ts';
import {
  BARE,
  EIGHT_NODES,
  LAPTOP,
  MEMORY_NODE,
  ONE_CORE_V1,
  QUOTA_V2,
  recording,
  TWO_SOCKETS,
} from './machines.ts';

const machine = (...parts: string[]): Machine => readMachine(recording(...parts));
const ids = ({ cpus }: Machine): number[] => cpus.map(({ id }) => id);

test('lists of CPUs are read with ranges, single numbers and strides, and printed the shortest way', () => {
  expect(parseCpuList('0-2,5,8-9\n')).toEqual([0, 1, 2, 5, 8, 9]);
  expect(parseCpuList('')).toEqual([]);
  expect(parseCpuList('7,3,3')).toEqual([3, 7]);
  for (const text of ['3-1', 'a', '1-', '-1', '0-99999999', '1;2', '1.5']) {
    expect(parseCpuList(text), text).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 300 })), (numbers) => {
      const sorted = numbers.toSorted((a, b) => a - b);
      expect(parseCpuList(formatCpuList(sorted))).toEqual(sorted);
    }),
  );
});

test('two threads of a core are one core, and the second one is known as such', () => {
  const laptop = machine(LAPTOP);
  expect(ids(laptop)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(coreCount(laptop)).toBe(4);
  expect(laptop.cpus[5]).toEqual({ id: 5, node: 0, core: 1, thread: 1 });
  expect(laptop.quota).toBeUndefined();
});

test('cores that are switched off are not used, and are named', () => {
  const server = machine(TWO_SOCKETS);
  expect(ids(server)).toEqual([0, 1, 2, 4, 5, 7]);
  expect(server.offline).toEqual([3, 6]);
  expect(server.nodes.map(({ cpus }) => cpus)).toEqual([
    [0, 1, 2],
    [4, 5, 7],
  ]);
  expect(distanceBetween(server, 0, 1)).toBe(21);
});

test('eight nodes have their distances', () => {
  const large = machine(EIGHT_NODES);
  expect(large.nodes).toHaveLength(8);
  expect(distanceBetween(large, 1, 1)).toBe(10);
  expect(distanceBetween(large, 1, 3)).toBe(12);
  expect(distanceBetween(large, 1, 4)).toBe(32);
});

test('a node that has only memory is there, without CPUs', () => {
  const { nodes } = machine(MEMORY_NODE);
  expect(nodes.map(({ cpus }) => cpus.length)).toEqual([4, 0]);
  expect(nodes[0]!.distances.get(1)).toBe(17);
});

test('a quota of a group above this one counts, and CPUs stay what they are', () => {
  const { quota, cpus } = machine(QUOTA_V2);
  expect(quota).toBe(1.5);
  expect(cpus).toHaveLength(8);
});

test('with cgroup v1 the group is found below its own root, and one core is one core', () => {
  const container = machine(ONE_CORE_V1);
  expect(container.quota).toBe(0.8);
  expect(container.cpus).toEqual([{ id: 5, node: 0, core: 1, thread: 0 }]);
  expect(container.online).toHaveLength(8);
});

test('the smallest quota on the way up counts', () => {
  const own = recording(QUOTA_V2, '/sys/fs/cgroup/pod/vexfs/cpu.max 50000 100000');
  expect(readLimits(own).quota).toBe(0.5);
});

test('a cpuset narrows what the status allows, unless the two exclude each other', () => {
  const cpuset = '/sys/fs/cgroup/pod/vexfs/cpuset.cpus.effective';
  expect(readLimits(recording(QUOTA_V2, `${cpuset} 2-3`)).allowed).toEqual([2, 3]);
  expect(readLimits(recording(QUOTA_V2, `${cpuset} 40`)).allowed).toHaveLength(8);
});

test('without /sys everything lies at one node and every CPU is a core', () => {
  const bare = machine(BARE);
  expect(ids(bare)).toEqual([0, 1, 2, 3, 6]);
  expect(bare.nodes).toEqual([{ id: 0, cpus: [0, 1, 2, 3, 6], distances: new Map([[0, 10]]) }]);
  expect(coreCount(bare)).toBe(5);
});

test('with no file at all there is still a machine', () => {
  const { cpus, nodes } = readMachine(() => undefined);
  expect(cpus.length).toBeGreaterThan(0);
  expect(nodes).toHaveLength(1);
});

test('whatever stands in the files, every usable CPU has a node, and there is one', () => {
  const paths = [LAPTOP, TWO_SOCKETS, QUOTA_V2, ONE_CORE_V1]
    .join('\n')
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((path) => path !== '');
  const nonsense = fc.constantFrom(
    '',
    '0-',
    'x',
    '0-3',
    '9',
    '-1 -1',
    'max',
    '10 10',
    'Cpus_allowed_list:\t77',
    ': - cgroup',
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...paths), nonsense), (files) => {
      const { cpus, nodes } = readMachine((path) => files[path]);
      expect(cpus.length).toBeGreaterThan(0);
      for (const { id, node } of cpus) expect(nodes.find((n) => n.id === node)?.cpus).toContain(id);
    }),
  );
});

test('the machine of this test is read', () => {
  const here = readMachine();
  expect(here.cpus.length).toBeGreaterThan(0);
  expect(here.nodes.flatMap(({ cpus }) => cpus)).toHaveLength(here.cpus.length);
});

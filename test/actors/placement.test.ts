import fc from 'fast-check';
import { expect, test } from 'vitest';
import { requireFeasible } from '../../actors/main/feasible.ts';
import { type PlacementPlan, planPlacement, shardDistances } from '../../actors/main/placement.ts';
import { Topology } from '../../actors/topology.ts';
import { GIB, MIB } from '../../runtime/config/bounds.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import { readMachine } from '../../runtime/system/topology.ts';
import {
  BARE,
  EIGHT_NODES,
  LAPTOP,
  MEMORY_NODE,
  ONE_CORE_V1,
  QUOTA_V2,
  recording,
  TWO_SOCKETS,
} from '../system/machines.ts';

type Pins = Record<string, number | string>;

function plan(
  machine: string,
  workers: Record<string, number>,
  mode = 'auto',
  pin: Pins = {},
): PlacementPlan {
  const config = configSchema.parse({ workers, placement: { mode, pin } });
  return planPlacement(config, new Topology(config), readMachine(recording(machine)));
}

/** Actor → its CPU, or its CPUs. */
function cpusOf({ actors }: PlacementPlan): Record<string, number | readonly number[]> {
  return Object.fromEntries(actors.map(({ actor, cpus }) => [actor, cpus.length === 1 ? cpus[0]! : cpus]));
}

test('"none" pins nobody', () => {
  for (const { cpus } of plan(EIGHT_NODES, {}, 'none').actors) expect(cpus).toEqual([]);
});

test('hot actors get cores of their own, one core is left, and the others are kept off', () => {
  const placed = plan(LAPTOP, { fuse: 1, shards: 1, io: 1 });
  expect(cpusOf(placed)).toEqual({
    main: [],
    'fuse-0': 0,
    'shard-0': 1,
    'io-0': 2,
    pool: [3, 7],
    stats: [3, 7],
    indexer: [3, 7],
  });
  expect(placed.notes).toEqual([]);
});

test('second threads of cores come last, and never that of the core that is left free', () => {
  const placed = plan(LAPTOP, { fuse: 2, shards: 3, io: 1 });
  const cpus = cpusOf(placed);
  expect([cpus['fuse-0'], cpus['fuse-1'], cpus['shard-0']]).toEqual([0, 1, 2]);
  expect([cpus['shard-1'], cpus['shard-2'], cpus['io-0']]).toEqual([4, 5, 6]);
  expect(placed.actors.find(({ actor }) => actor === 'shard-1')?.why).toBe(
    'the second thread of a core, beside fuse-0',
  );
});

test('more hot actors than CPUs: the last ones move freely, and the plan says which', () => {
  const placed = plan(LAPTOP, { fuse: 4, shards: 3, io: 1 });
  expect(cpusOf(placed)['io-0']).toEqual([]);
  expect(placed.notes).toEqual(['no CPU of its own is left for shard-2, io-0']);
});

test('shards are spread over the nodes, and the actors of a node are together', () => {
  const placed = plan(TWO_SOCKETS, { fuse: 1, shards: 2, io: 1 });
  expect(placed.actors.filter(({ node }) => node >= 0).map(({ actor, node }) => [actor, node])).toEqual([
    ['io-0', 0],
    ['shard-0', 0],
    ['shard-1', 1],
    ['pool', 1],
    ['stats', 1],
    ['indexer', 1],
    ['fuse-0', 0],
  ]);
  for (const { cpus } of placed.actors) for (const cpu of cpus) expect([3, 6]).not.toContain(cpu);
});

test('with eight nodes each kind takes the near nodes first, then the other socket', () => {
  const placed = plan(EIGHT_NODES, { fuse: 2, shards: 6, io: 2 });
  const nodes = Object.fromEntries(placed.actors.map(({ actor, node }) => [actor, node]));
  expect([nodes['fuse-0'], nodes['fuse-1']]).toEqual([0, 1]);
  expect([0, 1, 2, 3, 4, 5].map((shard) => nodes[`shard-${shard}`])).toEqual([0, 1, 2, 3, 4, 5]);
  expect(nodes['io-0']).toBe(2);
});

test('a shard for which no core is left stays at least near its memory', () => {
  const placed = plan(TWO_SOCKETS, { fuse: 1, shards: 6, io: 1 });
  const last = placed.actors.find(({ actor }) => actor === 'shard-5')!;
  expect(last.node).toBeGreaterThanOrEqual(0);
  expect(last.cpus).toHaveLength(3);
  expect(last.why).toMatch(/^anywhere on node \d: its cores are taken$/);
});

test('a node without CPUs gets nobody', () => {
  for (const { node } of plan(MEMORY_NODE, { shards: 4 }).actors) expect(node).toBeLessThan(1);
});

test.each([
  ['one core of a machine', ONE_CORE_V1, 'nobody is pinned: there is one CPU, and everybody runs on it'],
  [
    'a quota of CPU time',
    QUOTA_V2,
    'nobody is pinned: a quota of 1.5 CPUs on 8: others use them too, and a pinned thread could not move to an idle one',
  ],
  [
    'two cores',
    '/sys/devices/system/cpu/online 0-1',
    'nobody is pinned: 2 cores: the programs that use the mount need them too',
  ],
])('%s: nobody is pinned, and the plan says why', (_name, machine, reason) => {
  const { actors, notes } = plan(machine, {});
  expect(actors.every(({ cpus }) => cpus.length === 0)).toBe(true);
  expect(notes).toEqual([reason]);
});

test('pins hold whatever the mode is, and auto plans around them', () => {
  const pins = { 'fuse-0': 3, 'shard-*': '1-2', 'shard-1': '5' };
  const none = cpusOf(plan(BARE.replace('0-3,6', '0-5'), { shards: 2 }, 'none', pins));
  expect(none).toMatchObject({ 'fuse-0': 3, 'shard-0': [1, 2], 'shard-1': 5, 'io-0': [] });
  const auto = cpusOf(plan(BARE.replace('0-3,6', '0-5'), { shards: 2 }, 'auto', pins));
  expect(auto).toMatchObject({ 'fuse-0': 3, 'shard-0': [1, 2], 'shard-1': 5, 'io-0': 0 });
});

test('a pin to a CPU that cannot be used says why, and one of no actor names the nearest', () => {
  const wrong = () => plan(TWO_SOCKETS, {}, 'none', { 'fuse-0': 3, 'io-0': 99, 'fuse-7': 0, main: 1 });
  expect(wrong).toThrow(/keeps "fuse-0" on CPU 3, which is offline; usable are 0-2,4-5,7/);
  expect(wrong).toThrow(/keeps "io-0" on CPU 99, which does not exist/);
  expect(wrong).toThrow(/names "fuse-7", and there is no such actor; did you mean "fuse-0"\?/);
  expect(wrong).toThrow(/names "main", whose thread starts all others/);
  expect(() => plan(ONE_CORE_V1, {}, 'none', { 'fuse-0': 4 })).toThrow(
    /CPU 4, which is not granted to this process/,
  );
});

test('on any machine and with any counts: nobody shares a CPU of its own, and nobody gets one that is not there', () => {
  const machines = [LAPTOP, TWO_SOCKETS, EIGHT_NODES, MEMORY_NODE, QUOTA_V2, ONE_CORE_V1, BARE];
  const count = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(fc.constantFrom(...machines), count, count, count, (machine, fuse, shards, io) => {
      const { actors } = plan(machine, { fuse, shards, io });
      const usable = readMachine(recording(machine)).cpus.map(({ id }) => id);
      for (const { cpus } of actors) for (const cpu of cpus) expect(usable).toContain(cpu);
      const own = actors.filter(({ cpus }) => cpus.length === 1).map(({ cpus }) => cpus[0]!);
      const hot = new Set(own);
      const isCold = (actor: string): boolean => ['pool', 'stats', 'indexer'].includes(actor);
      const single = actors.filter(({ actor, cpus }) => cpus.length === 1 && !isCold(actor));
      expect(new Set(single.map(({ cpus }) => cpus[0])).size).toBe(single.length);
      // Somebody else can always run somewhere.
      expect(hot.size).toBeLessThan(Math.max(usable.length, 2));
    }),
  );
});

test('work is taken from near shards first: distances are those of their nodes, 0 where there is one', () => {
  const config = configSchema.parse({
    workers: { shards: 3 },
    placement: { pin: { 'shard-*': 0, 'shard-2': 4 } },
  });
  const machine = readMachine(recording(TWO_SOCKETS));
  expect(shardDistances(planPlacement(config, new Topology(config), machine), machine)).toEqual([
    [0, 0, 21],
    [0, 0, 21],
    [21, 21, 0],
  ]);
});

test('more threads than there is memory for are refused, with the count to lower', () => {
  const config = configSchema.parse({ workers: { shards: 64, fuse: 8 } });
  const machine = readMachine(recording(LAPTOP));
  expect(() => requireFeasible(config, machine, 256 * MIB)).toThrow(
    /threads need .* there are 256 MiB: lower workers\.shards \(64\)/,
  );
  expect(() => requireFeasible(config, machine, 64 * GIB)).not.toThrow();
});

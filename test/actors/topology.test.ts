import { expect, test } from 'vitest';
import type { Context } from '../../actors/context.ts';
import { withReserves } from '../../actors/main/reserve.ts';
import { presentActors, setPresent, startedActors } from '../../actors/presence.ts';
import { ACTOR_STATES, planRegions } from '../../actors/regions.ts';
import { actorStatus } from '../../actors/status.ts';
import { isConfigured, mailboxRegion, shardOf, Topology } from '../../actors/topology.ts';
import { VECTOR_MEMORY_MIN } from '../../kernels/hnsw/vector-memory.ts';
import { FILES_MAX, GIB, REGION_MAX } from '../../runtime/config/bounds.ts';
import { configSchema } from '../../runtime/config/schema.ts';
import { ActorState } from '../../runtime/scheduling/actor-state.ts';
import type { Machine } from '../../runtime/system/topology.ts';
import { World } from './world.ts';

const topologyOf = (workers: Record<string, number>) => new Topology(configSchema.parse({ workers }));

test('every actor has its own row, name and mailbox, whatever the counts', () => {
  for (const workers of [{}, { fuse: 1, shards: 1, io: 1 }, { fuse: 7, shards: 5, io: 3 }]) {
    const config = configSchema.parse({ workers });
    const topology = new Topology(config);
    expect(topology.actors.map(({ slot }) => slot)).toEqual(topology.actors.map((_, i) => i));
    expect(new Set(topology.actors.map(({ name }) => name)).size).toBe(topology.actors.length);
    const regions = planRegions(config, topology).map(({ name }) => name);
    expect(new Set(regions).size).toBe(regions.length);
    for (const { name } of topology.actors) expect(regions).toContain(mailboxRegion(name));
  }
});

test('actors that are not there yet have rows, mailboxes and lanes like those that are, and no slot moves when they come', () => {
  const config = configSchema.parse({ workers: { fuse: 1, fuse_max: 4, shards: 2, shards_max: 3 } });
  const topology = new Topology(config);
  expect(topology.ofKind('fuse').map(({ name }) => name)).toEqual(['fuse-0', 'fuse-1', 'fuse-2', 'fuse-3']);
  expect(
    topology.actors.filter((actor) => isConfigured(config.workers, actor)).map(({ name }) => name),
  ).toEqual(['main', 'io-0', 'shard-0', 'shard-1', 'pool', 'stats', 'indexer', 'fuse-0']);
  expect(topology.actor('shard-2').senders).toContain('fuse-3');
  expect(topology.actors.map(({ slot }) => slot)).toEqual(topology.actors.map((_, i) => i));
});

test('room for shards that may come takes less than the shared vector memory once more', () => {
  for (const [shards, shards_max] of [
    [1, 8],
    [2, 3],
    [4, 64],
    [5, 5],
  ] as const) {
    const config = configSchema.parse({ workers: { shards, shards_max }, vectors: { shared: '256MiB' } });
    const regions = planRegions(config, new Topology(config)).filter(({ name }) =>
      name.startsWith('vectors:'),
    );
    const bytes = regions.reduce((sum, region) => sum + region.bytes - VECTOR_MEMORY_MIN, 0);
    expect(regions).toHaveLength(shards_max);
    expect(bytes).toBeGreaterThan(config.vectors.shared - shards_max);
    expect(bytes).toBeLessThan(2 * config.vectors.shared);
  }
});

test('with the largest sizes and one shard each region is no longer than an array of bytes can be', () => {
  const config = configSchema.parse({
    workers: { shards: 1, shards_max: 1 },
    vectors: { shared: '4GiB' },
    memory: { budget: '4GiB', max_files: FILES_MAX },
    store: { journal_buffer: '1GiB' },
  });
  for (const { name, bytes } of planRegions(config, new Topology(config)))
    expect(bytes, name).toBeLessThanOrEqual(REGION_MAX);
});

test('room for fewer than are there is a contradiction, at the key that says so', () => {
  const parsed = configSchema.safeParse({ workers: { fuse: 4, fuse_max: 2, shards: 3, shards_max: 1 } });
  expect(parsed.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
    'workers.fuse_max: workers.fuse_max (2) must be 0 or at least workers.fuse (4)',
    'workers.shards_max: workers.shards_max (1) must be 0 or at least workers.shards (3)',
  ]);
});

test.each([
  [{}, 2, { fuse_max: 2, shards_max: 2 }],
  [{}, 64, { fuse_max: 16, shards_max: 8 }],
  [{ fuse: 20, shards: 10 }, 8, { fuse_max: 20, shards_max: 10 }],
  [{ fuse: 1, fuse_max: 3, shards_max: 64 }, 8, { fuse_max: 3, shards_max: 64 }],
])('%j on %i CPUs has room for %j', (workers, count, room) => {
  const cpus = Array.from({ length: count }, (_, id) => ({ id, core: id, thread: 0, node: 0 }));
  const machine: Machine = { nodes: [], cpus, online: [], offline: [], quota: undefined };
  expect(withReserves(configSchema.parse({ workers }), machine, GIB).workers).toMatchObject(room);
});

test('who is there is seen by everybody at once; one that is not is in no list but the totals', () => {
  const world = new World({ fuse: 1, fuse_max: 3, shards: 1, shards_max: 2 });
  const [main, shard] = [world.actor('main'), world.actor('shard-0')];
  const names = (context: Context): string[] => presentActors(context).map(({ name }) => name);
  expect(names(shard)).toEqual(['main', 'io-0', 'shard-0', 'pool', 'stats', 'indexer', 'fuse-0']);
  const plan = main.topology.actor('fuse-2');
  setPresent(main.arena, plan, true);
  expect(names(shard)).toContain('fuse-2');
  expect(names(shard)).not.toContain('fuse-1');
  new ActorState(main.arena.region(ACTOR_STATES), plan.slot).incarnation = 1;
  setPresent(main.arena, plan, false);
  expect(presentActors(shard, 'fuse').map(({ name }) => name)).toEqual(['fuse-0']);
  expect(startedActors(shard, 'fuse').map(({ name }) => name)).toEqual(['fuse-0', 'fuse-2']);
  expect(actorStatus(shard, plan).state).toBe('absent');
});

test('lanes exist for the routes that are used, and nobody writes to itself', () => {
  const topology = topologyOf({ fuse: 2, shards: 2, io: 2 });
  const senders = (name: string) => topology.actor(name).senders;
  expect(senders('shard-1')).toEqual(['main', 'io-0', 'io-1', 'shard-0', 'indexer', 'fuse-0', 'fuse-1']);
  expect(senders('io-0')).toEqual(['main', 'io-1', 'indexer', 'fuse-0', 'fuse-1']);
  expect(senders('indexer')).toEqual(['main', 'shard-0', 'shard-1', 'fuse-0', 'fuse-1']);
  expect(senders('fuse-0')).toEqual(['main']);
  for (const { name } of topology.actors) {
    expect(senders(name)).not.toContain(name);
    if (name !== 'main') expect(senders(name)).toContain('main');
  }
});

/** Who blocks until whom has room: `claimOrWait`. The indexer and main only try. */
const WAITS: Record<string, readonly string[]> = {
  fuse: ['io', 'shard', 'indexer'],
  io: ['shard', 'main', 'io'],
  shard: ['indexer', 'main'],
  indexer: [],
  main: [],
};

test('waiting for room never goes round in a circle', () => {
  const visit = (kind: string, path: readonly string[]): void => {
    for (const next of WAITS[kind] ?? []) {
      // io-0 asks the others once per commit and is answered once: two words in a lane of 64 KiB.
      if (kind === 'io' && next === 'io') continue;
      expect(path, [...path, next].join(' → ')).not.toContain(next);
      visit(next, [...path, next]);
    }
  };
  for (const kind of Object.keys(WAITS)) visit(kind, [kind]);
});

test('consecutive inodes spread over the shards within a few percent, and each has one shard', () => {
  for (const shards of [1, 2, 3, 5, 8, 64]) {
    const counts = new Array<number>(shards).fill(0);
    for (let ino = 1; ino <= 64_000; ino++) counts[shardOf(ino, shards)]!++;
    const even = 64_000 / shards;
    expect(Math.max(...counts.map((count) => Math.abs(count - even)))).toBeLessThan(even * 0.05 + 2);
  }
  for (const ino of [0, 1, 2 ** 31, 2 ** 32 - 1]) expect(shardOf(ino, 7)).toBeLessThan(7);
});

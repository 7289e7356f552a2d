import { expect, test } from 'vitest';
import { planRegions } from '../../actors/regions.ts';
import { mailboxRegion, shardOf, Topology } from '../../actors/topology.ts';
import { configSchema } from '../../runtime/config/schema.ts';

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

test('lanes exist for the routes that are used, and nobody writes to itself', () => {
  const topology = topologyOf({ fuse: 2, shards: 2, io: 2 });
  const senders = (name: string) => topology.actor(name).senders;
  expect(senders('shard-1')).toEqual(['main', 'io-0', 'io-1', 'indexer', 'fuse-0', 'fuse-1']);
  expect(senders('io-0')).toEqual(['main', 'io-1', 'fuse-0', 'fuse-1']);
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

/** Files that cannot be embedded: they are left out, and nothing waits for them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EmbedPool } from '../../actors/indexer/embed-pool.ts';
import { FileContent } from '../../actors/indexer/file-content.ts';
import { FAILED, FileIndexer } from '../../actors/indexer/index-file.ts';
import { filesAtOnce, INDEX_TRANSIT, Transit } from '../../actors/indexer/transit.ts';
import { Route } from '../../actors/route.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { openLog } from '../../runtime/log.ts';
import { ShardsWorld } from './shards-world.ts';

let world: ShardsWorld;
let pool: EmbedPool;
let files: FileIndexer;
beforeEach(() => {
  world = new ShardsWorld(1);
  const { context, namespace } = world.indexer;
  const logger = openLog('test', 'silent', 2);
  const task = new URL('./misbehaving-task.js', import.meta.url).href;
  pool = new EmbedPool({ words: new SharedArrayBuffer(8), threads: 1, timeoutMs: 1000, logger, task });
  files = new FileIndexer({
    namespace,
    content: new FileContent(namespace, world.store),
    tasks: pool,
    transit: new Transit(context.arena.region(INDEX_TRANSIT), filesAtOnce(1)),
    shards: [context.outbox('shard-0')],
    route: new Route(context.arena),
    virtual: { searchableChanged: () => {} } as VirtualTree,
    config: world.world.config.index,
    logger,
    largeAtOnce: 2,
  });
});
afterEach(async () => {
  await pool.destroy();
  world.dispose();
});

function add(name: string): number {
  const ino = world.create(0, name);
  world.write(0, ino);
  return ino;
}

test('a file on which the task hangs is given up for good, until it changes; others go on', async () => {
  const [hanging, other] = [add('hang'), add('well')];
  expect(await Promise.all([files.index(hanging), files.index(other)])).toEqual(['failed', 'passed over']);
  const { version, indexedVersion, status, chunks } = world.state(hanging);
  expect([indexedVersion, status, chunks]).toEqual([version, FAILED, 0]);
  world.write(0, hanging);
  expect(world.state(hanging).version).not.toBe(indexedVersion);
});

test('a file whose thread dies is tried once more, then given up', async () => {
  const ino = add('exit');
  expect(await files.index(ino)).toBe('changed meanwhile');
  expect(world.state(ino).indexedVersion).not.toBe(world.state(ino).version);
  expect(await files.index(ino)).toBe('failed');
  expect(world.state(ino).indexedVersion).toBe(world.state(ino).version);
});

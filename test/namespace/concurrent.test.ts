/** One thread changes the namespace as fast as it can, this one reads without a lock. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Attr } from '../../fuse/protocol/attr.ts';
import { checkTables, listDirectory } from './compare.ts';
import { bytesOf, World } from './world.ts';

const MILLISECONDS = Number(process.env.VEXFS_TEST_SOAK_MS ?? 3000);

function isUniform(bytes: Uint8Array, length: number): boolean {
  for (let i = 1; i < length; i++) if (bytes[i] !== bytes[0]) return false;
  return true;
}

it('a reader sees whole mutations only, while another thread makes them', async () => {
  const world = World.fresh();
  const a = world.directory(1, 'a');
  const b = world.directory(1, 'b');
  const long = 'a directory with a name that is too long to be inline';
  const moving = world.directory(a, long);
  const leaf = world.file(moving, 'leaf', 'x');
  const crowd = world.directory(1, 'crowd');
  for (let i = 0; i < 100; i++) world.file(crowd, `stays-${i}`);
  const left = world.file(1, 'left');
  const right = world.file(1, 'right');
  world.file(1, 'target');
  const inodes = {
    attributes: world.file(1, 'attributes'),
    content: world.file(1, 'content'),
    xattr: world.file(1, 'xattr'),
    a,
    b,
    crowd,
  };
  const control = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./churn-worker.js', import.meta.url), {
    workerData: { buffer: world.arena.buffer, control, inodes },
  });
  worker.on('error', (error) => {
    throw error;
  });
  while (Atomics.load(control, 1) < 10) await new Promise((resolve) => setTimeout(resolve, 1));

  const paths = new Set<string | undefined>(
    ['/a', '/b'].flatMap((top) => [`${top}/${long}/leaf`, `${top}/short/leaf`]),
  );
  const attr = new Attr();
  const out = new Uint8Array(4096);
  const name = bytesOf('user.v');
  const started = Atomics.load(control, 1);
  const end = performance.now() + MILLISECONDS;
  let reads = 0;
  for (; performance.now() < end; reads++) {
    expect(world.namespace.stat(inodes.attributes, attr)).toBe(0);
    if (attr.uid !== attr.gid || attr.uid !== attr.atime || attr.atime !== attr.mtime)
      throw new Error('torn');
    const length = world.namespace.readInline(inodes.content, 0, 4096, out, 0);
    if (length < 0 || !isUniform(out, length)) throw new Error('torn content');
    const size = world.namespace.getxattr(inodes.xattr, name, 0, name.length, out, 0, 4096);
    if (size < 0 || !isUniform(out, size)) throw new Error('torn xattr');
    const path = world.namespace.pathOf(leaf);
    if (!paths.has(path)) throw new Error(`the leaf is never at ${path}`);
    if (world.lookup(1, 'target') < 0) throw new Error('a replaced name is always there');
    const found = world.lookup(1, 'left');
    if (found !== left && found !== right) throw new Error('an exchanged name is always there');
    if (!world.namespace.canRead(leaf, 5, [])) throw new Error('readable all the time');
    if (reads % 50 === 0) {
      const names = [...listDirectory(world.namespace, crowd).keys()];
      expect(names.filter((entry) => entry.startsWith('stays-'))).toHaveLength(100);
    }
  }
  const rounds = Atomics.load(control, 1) - started;
  Atomics.store(control, 0, 1);
  await once(worker, 'exit');
  console.log(`${reads} rounds of reads beside ${rounds} rounds of 13 mutations`);
  expect(rounds).toBeGreaterThan(100);
  checkTables(world.tables);
}, 60_000);

it('lookup counts of several threads add up, and the last forget frees a removed file', async () => {
  const world = World.fresh();
  const ino = world.file(1, 'f', 'content');
  const control = new Int32Array(new SharedArrayBuffer(8));
  const workers = [1, 2].map(
    () =>
      new Worker(new URL('./lookup-worker.js', import.meta.url), {
        workerData: { buffer: world.arena.buffer, control, ino, count: 100_000 },
      }),
  );
  world.namespace.addLookup(ino, 1);
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  world.unlink(1, 'f');
  expect(world.stat(ino).nlink).toBe(0);
  expect(world.namespace.forget(ino, 1)).toBe(1);
  expect(world.namespace.stat(ino, new Attr())).toBeLessThan(0);
});

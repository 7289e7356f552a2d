/** Changes a namespace without pause until told to stop, keeping the invariants that concurrent.test.ts checks. */
import { workerData } from 'node:worker_threads';
import { AttrChanges, SET_ATIME, SET_GID, SET_MTIME, SET_UID } from '../../fuse/namespace/changes.ts';
import { RENAME_EXCHANGE } from '../../fuse/namespace/namespace.ts';
import { World } from './world.ts';

const { buffer, control, inodes } = workerData as {
  buffer: SharedArrayBuffer;
  control: Int32Array;
  inodes: { attributes: number; content: number; xattr: number; a: number; b: number; crowd: number };
};
const world = World.attach(buffer);
const changes = new AttrChanges();
changes.valid = SET_UID | SET_GID | SET_ATIME | SET_MTIME;
const bytes = new Uint8Array(1500);

function round(i: number): void {
  changes.uid = i;
  changes.gid = i;
  changes.atime = i;
  changes.mtime = i;
  world.setattr(inodes.attributes, changes);

  bytes.fill(i);
  world.namespace.truncate(inodes.content, 0);
  world.write(inodes.content, 0, bytes.subarray(0, 1 + (i % 1500)));
  world.setxattr(inodes.xattr, 'user.v', bytes.subarray(0, 1 + (i % 700)));

  const [from, to] = i % 2 === 0 ? [inodes.a, inodes.b] : [inodes.b, inodes.a];
  world.rename(from, 'a directory with a name that is too long to be inline', to, 'short');
  world.rename(to, 'short', to, 'a directory with a name that is too long to be inline');
  world.rename(1, 'left', 1, 'right', RENAME_EXCHANGE);
  world.file(1, 'temporary');
  world.rename(1, 'temporary', 1, 'target');

  const name = `comes-and-goes-${i % 37}-${'x'.repeat(i % 50)}`;
  world.file(inodes.crowd, name, 'some content');
  world.unlink(inodes.crowd, `comes-and-goes-${(i + 9) % 37}-${'x'.repeat((i + 9) % 50)}`);
  world.unlink(inodes.crowd, name);
}

for (let i = 0; Atomics.load(control, 0) === 0; i++) {
  round(i);
  Atomics.store(control, 1, i);
  if (i % 500 === 0) {
    world.drain();
    world.log.length = 0;
  }
}

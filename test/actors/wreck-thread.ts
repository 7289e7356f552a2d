/**
 * A thread that changes the tree as a fuse actor does, until it stops for ever before one of its steps: an atomic
 * operation on shared memory, a fill of shared bytes, a block taken from or given to the slab. Word 0 of `control` says
 * that it stands there, or is done (2).
 */
import { workerData } from 'node:worker_threads';
import { attachContext, type ThreadData } from '../../actors/context.ts';
import { openTree } from '../../actors/tree.ts';
import { ACCESS_XATTR, DEFAULT_XATTR } from '../../fuse/namespace/acl.ts';
import { AttrChanges, SET_MODE, SET_MTIME } from '../../fuse/namespace/changes.ts';
import { NO_DUMP } from '../../fuse/namespace/inode-flags.ts';
import { H_BEGAN_SEQUENCE, H_MUTEX, H_SEQUENCE } from '../../fuse/namespace/layout.ts';
import { RENAME_EXCHANGE } from '../../fuse/namespace/namespace.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { seeded } from '../seed.ts';

const { data, control, seed, diesAt, inside, operations } = workerData as {
  data: ThreadData;
  control: Int32Array;
  seed: number;
  diesAt: number;
  /** Only steps from the begin of a change to its end, with the namespace's lock held, count. */
  inside: boolean;
  operations: number;
};

const { wait, store, notify } = Atomics;
const context = attachContext(data);
const header = context.arena.region('namespace').u32;
let steps = -1;

function isChanging(): boolean {
  return header[H_MUTEX] !== 0 && header[H_SEQUENCE] !== header[H_BEGAN_SEQUENCE];
}

function step(): void {
  if (steps < 0 || (inside && !isChanging()) || ++steps !== diesAt) return;
  store(control, 0, 1);
  notify(control, 0);
  for (;;) wait(control, 1, 0);
}

for (const method of ['load', 'store', 'add', 'sub', 'exchange', 'compareExchange'] as const) {
  const original = Atomics[method] as (...args: unknown[]) => unknown;
  Reflect.set(Atomics, method, (...args: unknown[]) => {
    step();
    return original(...args);
  });
}
const fill = Uint32Array.prototype.fill;
Uint32Array.prototype.fill = function (...args) {
  step();
  return fill.apply(this, args);
};
for (const method of ['allocate', 'free'] as const) {
  const original = SlabAllocator.prototype[method] as (value: number) => number;
  Reflect.set(SlabAllocator.prototype, method, function (this: SlabAllocator, value: number) {
    step();
    return original.call(this, value);
  });
}

const { namespace } = openTree(context);
const locks = new DataLocks(context.arena);
const random = seeded(seed);
const encoder = new TextEncoder();
const changes = new AttrChanges();
/** u::rwx, u:7:r--, g::---, m::rw-, o::r-- */
const LIST = Uint8Array.of(
  ...[2, 0, 0, 0],
  ...[1, 0, 7, 0, 255, 255, 255, 255],
  ...[2, 0, 4, 0, 7, 0, 0, 0],
  ...[4, 0, 0, 0, 255, 255, 255, 255],
  ...[16, 0, 6, 0, 255, 255, 255, 255],
  ...[32, 0, 4, 0, 255, 255, 255, 255],
);

/** Names that do and do not fit into a record, few enough to meet again. */
function name(): Uint8Array {
  const n = random(40);
  return encoder.encode(`name-${n}${n % 3 === 0 ? ' which is too long for the record of its entry' : ''}`);
}

function directory(): number {
  const found = namespace.resolve(`/d${random(4)}`);
  return found > 0 ? found : 1;
}

/** Any inode there is, as the kernel would name it: found by name, and counted as looked up. */
function someInode(): number {
  const u8 = name();
  const ino = namespace.lookup(directory(), u8, 0, u8.length);
  return ino > 0 ? ino : 1;
}

function create(): void {
  const u8 = name();
  const parent = directory();
  const kind = random(4);
  if (kind === 0) namespace.symlink(parent, u8, 0, u8.length, encoder.encode('a target'), 0, 8, 1, 2);
  else {
    const mode = kind === 1 ? 0o040755 : 0o100644;
    const ino = namespace.create(parent, u8, 0, u8.length, mode, random(9), random(9), 0);
    if (ino > 0 && random(2) === 0) namespace.addLookup(ino, 1 + random(3));
  }
}

function change(): void {
  const ino = someInode();
  const u8 = name();
  switch (random(13)) {
    case 0: {
      const bytes = new Uint8Array(1 + random(1500)).fill(random(256));
      locks.lock(ino);
      namespace.writeInline(ino, random(400), bytes, 0, bytes.length);
      locks.unlock(ino);
      break;
    }
    case 1:
      namespace.truncate(ino, random(3) * 300);
      break;
    case 2:
      changes.valid = SET_MODE | SET_MTIME;
      changes.mode = random(0o1000);
      changes.mtime = random(1e9);
      namespace.setattr(ino, changes);
      break;
    case 3: {
      const value = encoder.encode(`${random(100)}`.repeat(1 + random(60)));
      namespace.setxattr(ino, u8, 0, u8.length, value, 0, value.length, 0);
      break;
    }
    case 4:
      namespace.removexattr(ino, u8, 0, u8.length);
      break;
    case 5:
      namespace.attachObject(ino, namespace.newObjectId(), 5000 + random(5000));
      break;
    case 6:
      namespace.link(ino, directory(), u8, 0, u8.length);
      break;
    case 7: {
      const value = new Uint8Array(Float32Array.of(1, random(9), 2).buffer);
      const vector = encoder.encode('user.vexfs.vector');
      namespace.setxattr(ino, vector, 0, vector.length, value, 0, value.length, 0);
      break;
    }
    case 8:
      namespace.createCollection(`c${random(3)}`, 3);
      break;
    case 9:
      namespace.setFlags(ino, random(4) === 0 ? NO_DUMP : 0);
      break;
    case 10: {
      const xattr = random(2) === 0 ? ACCESS_XATTR : DEFAULT_XATTR;
      namespace.setxattr(ino, xattr, 0, xattr.length, LIST, 0, LIST.length, 0);
      break;
    }
    case 11: {
      const made = namespace.createUnnamed(directory(), 0o100644, 1, 2, 0, true);
      if (made > 0) namespace.addLookup(made, 1);
      if (made > 0 && random(2) === 0) namespace.link(made, directory(), u8, 0, u8.length);
      break;
    }
    case 12: {
      const object = namespace.objectOf(ino);
      if (object === 0) namespace.attachObject(ino, namespace.newObjectId(), 5000);
      else if (random(3) > 0) namespace.setSums(ino, object, Uint8Array.of(1, 2, 3, random(256)), 0, 1);
      else namespace.wroteObject(ino, 5000);
      break;
    }
  }
}

function remove(): void {
  const u8 = name();
  const parent = directory();
  if (random(5) === 0) namespace.rmdir(parent, u8, 0, u8.length);
  else namespace.unlink(parent, u8, 0, u8.length);
}

function move(): void {
  const from = name();
  const to = name();
  const flags = random(4) === 0 ? RENAME_EXCHANGE : 0;
  if (random(4) === 0) {
    const names = Buffer.concat([from, to]);
    const end = from.length;
    namespace.renameLeavingWhiteout(directory(), names, 0, end, directory(), end, names.length, 0, 1, 2);
    return;
  }
  namespace.rename(directory(), from, 0, from.length, directory(), to, 0, to.length, flags);
}

/** What the kernel holds of inodes without a name, it gives back at some time. */
function forget(): void {
  const ino = 1 + random(60);
  const held = context.arena.region('inodes').u32[ino * 32 + 6]!;
  if (ino !== 1 && held > 0) namespace.forget(ino, 1 + random(held));
}

for (let n = 0; n < 4; n++) namespace.create(1, encoder.encode(`d${n}`), 0, 2, 0o040755, 0, 0, 0);
steps = 0;
for (let operation = 0; operation < operations; operation++) {
  const choice = random(10);
  if (choice < 3) create();
  else if (choice < 6) change();
  else if (choice < 8) remove();
  else if (choice < 9) move();
  else forget();
  namespace.takeDropped();
}
steps = -1;
store(control, 0, 2);
notify(control, 0);

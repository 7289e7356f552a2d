/** Generated sequences of operations, run against the namespace and the model; then again from the journal and an image. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as C from '../../fuse/namespace/changes.ts';
import * as L from '../../fuse/namespace/layout.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { expectSame } from './compare.ts';
import { ACCESS, DEFAULT } from './list-model.ts';
import { type Effect, IS, type Kind, Model, NEEDS, type Node, type Time } from './model.ts';
import { bytesOf, INLINE_LIMIT, World } from './world.ts';

const RUNS = Number(process.env.VEXFS_TEST_RUNS ?? 500);
const SEED = Number(process.env.VEXFS_TEST_SEED ?? Date.now() % 2 ** 31);
console.log(`generated namespace operations: seed ${SEED} (VEXFS_TEST_SEED), ${RUNS} runs (VEXFS_TEST_RUNS)`);

const name = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.constantFrom('a', 'b', 'twenty-four-byte-long-na', 'twenty-five-byte-long-nam'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('ä'.repeat(60), 'x'.repeat(255), 'y'.repeat(256), '', '.', '..', 'a/b', 'n\0'),
  },
);
/** Picks a node. Small numbers are old ones, so that sequences come back to the same places: see `Run`. */
const node = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 4 }) },
  { weight: 1, arbitrary: fc.nat({ max: 40 }) },
);
const directory = fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 2 }) }, { weight: 1, arbitrary: node });
const file = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(3, 4) }, { weight: 1, arbitrary: node });
const permissions = fc.constantFrom(0o644, 0o755, 0o2755, 0o2775, 0o4711, 0o6777, 0o600);
const owner = fc.constantFrom(0, 1000, 2000);
const time = fc.record({
  seconds: fc.constantFrom(-1e10, -1, 0, 1, 4294967296, 1e10),
  nanoseconds: fc.constantFrom(0, 1, 999_999_999),
});
const length = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(0, INLINE_LIMIT - 1, INLINE_LIMIT, INLINE_LIMIT + 1, 70_000),
);
const vector = fc.constantFrom(
  [1, 2],
  [3, 4],
  [0, -0],
  [1, Number.NaN],
  [1, 2, 3],
  [-0.5, 1e-45],
  [Infinity, 1],
);
const xattrName = fc.constantFrom(
  'user.a',
  'user.a',
  'user.b',
  'user.b',
  'user.longer',
  'security.capability',
  'user.vexfs.vector',
  'user.vexfs.vector.x',
  ACCESS,
  ACCESS,
  DEFAULT,
  DEFAULT,
  'user.vexfs.vector.bad/name',
  'user.vexfs.vector.',
  'user.vexfs.vectors',
  '',
  `user.${'n'.repeat(251)}`,
);
/** Access control lists, as tag, permissions and id of each entry; the last two are none. */
const list = fc
  .constantFrom(
    [1, 7, -1, 4, 5, -1, 32, 1, -1],
    [1, 6, -1, 4, 4, -1, 16, 2, -1, 32, 0, -1],
    [1, 7, -1, 2, 7, 1000, 4, 0, -1, 8, 5, 2000, 16, 6, -1, 32, 4, -1],
    [1, 7, -1, 2, 7, 1000, 4, 0, -1, 32, 4, -1],
    [4, 5, -1, 1, 7, -1, 32, 1, -1],
  )
  .map((numbers) => ({ list: numbers }));
/** Floats, a list, or that many bytes. */
const xattrValue = fc.oneof(vector, list, fc.nat({ max: 400 }), fc.constantFrom(65_536, 65_537, 60_000));

function valueBytes(value: readonly number[] | number | { readonly list: readonly number[] }): Buffer {
  if (typeof value === 'object' && 'list' in value) {
    const bytes = Buffer.alloc(4 + (value.list.length / 3) * 8);
    bytes.writeUInt32LE(2);
    for (let i = 0; i < value.list.length; i += 3) {
      bytes.writeUInt16LE(value.list[i]!, 4 + (i / 3) * 8);
      bytes.writeUInt16LE(value.list[i + 1]!, 6 + (i / 3) * 8);
      bytes.writeInt32LE(value.list[i + 2]!, 8 + (i / 3) * 8);
    }
    return bytes;
  }
  return typeof value === 'number'
    ? Buffer.alloc(value, value)
    : Buffer.from(Float32Array.from(value).buffer);
}
const flags = fc.constantFrom(0, 0, 1, 2, 2, 3, 4);

const effect = fc.record({ kill: fc.boolean(), keepTimes: fc.boolean() });

function flagsOf({ kill, keepTimes }: Effect): number {
  return (kill ? C.KILL_SUIDGID : 0) | (keepTimes ? C.KEEP_TIMES : 0);
}

const operation = fc.oneof(
  fc.record({
    op: fc.constant('create' as const),
    node: directory,
    name,
    kind: fc.constantFrom<Kind>('file', 'file', 'directory', 'directory', 'fifo'),
    permissions,
    uid: owner,
    gid: owner,
  }),
  fc.record({
    op: fc.constant('create' as const),
    node: directory,
    name,
    kind: fc.constantFrom<Kind>('file', 'directory'),
    permissions,
    uid: owner,
    gid: owner,
  }),
  fc.record({
    op: fc.constant('symlink' as const),
    node: directory,
    name,
    target: fc.constantFrom('t', '/a/b', 'x'.repeat(100), 'y'.repeat(4095), 'z'.repeat(4096), ''),
  }),
  fc.record({ op: fc.constant('link' as const), node, name, other: directory }),
  fc.record({ op: fc.constant('remove' as const), node: directory, name, directory: fc.boolean() }),
  fc.record({ op: fc.constant('remove' as const), node: directory, name, directory: fc.boolean() }),
  fc.record({
    op: fc.constant('rename' as const),
    node: directory,
    name,
    other: directory,
    newName: name,
    flags,
  }),
  fc.record({
    op: fc.constant('rename' as const),
    node: directory,
    name,
    other: directory,
    newName: name,
    flags: fc.constant(0),
  }),
  fc.record({
    op: fc.constant('setattr' as const),
    node,
    mode: permissions,
    uid: owner,
    gid: owner,
    atime: time,
    mtime: time,
    ctime: time,
    valid: fc.nat({ max: 127 }),
  }),
  fc.record({ op: fc.constant('truncate' as const), node: file, length, effect }),
  fc.record({
    op: fc.constant('write' as const),
    node: file,
    offset: length,
    length,
    fill: fc.nat({ max: 255 }),
    effect,
  }),
  fc.record({ op: fc.constant('attach' as const), node: file, length }),
  fc.record({ op: fc.constant('wrote' as const), node: file, length }),
  fc.record({ op: fc.constant('setxattr' as const), node: file, name: xattrName, value: xattrValue, flags }),
  fc.record({
    op: fc.constant('setxattr' as const),
    node,
    name: fc.constantFrom(ACCESS, DEFAULT),
    value: list,
    flags: fc.constant(0),
  }),
  fc.record({ op: fc.constant('removexattr' as const), node: file, name: xattrName }),
  fc.record({
    op: fc.constant('unnamed' as const),
    node: directory,
    permissions,
    linkable: fc.boolean(),
  }),
  fc.record({
    op: fc.constant('whiteout' as const),
    node: directory,
    name,
    other: directory,
    newName: name,
    flags: fc.constantFrom(0, 0, 1),
  }),
  fc.record({
    op: fc.constant('flags' as const),
    node,
    // Mostly none, so that things go on happening.
    flags: fc.constantFrom(0, 0, 0, 0, 0x10, 0x20, 0x40, 0xc0),
  }),
  fc.record({ op: fc.constant('accessed' as const), node }),
  fc.record({ op: fc.constant('addLookup' as const), node, n: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ op: fc.constant('forget' as const), node }),
  fc.record({ op: fc.constant('lookup' as const), node: directory, name }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const MODES = {
  file: L.S_IFREG,
  directory: L.S_IFDIR,
  symlink: L.S_IFLNK,
  fifo: L.S_IFIFO,
  device: L.S_IFCHR,
};

class Run {
  readonly world = World.fresh();
  readonly model = new Model(INLINE_LIMIT, { seconds: 1_600_000_000, nanoseconds: 0 });
  readonly seen = new Set<string>();

  /** Nodes 1 and 2 are directories, 3 and 4 files, so that every operation soon has something to work on. */
  constructor() {
    const common = { op: 'create', uid: 0, gid: 0 } as const;
    this.step({ ...common, node: 0, name: 'a', kind: 'directory', permissions: 0o755 });
    this.step({ ...common, node: 1, name: 'b', kind: 'directory', permissions: 0o755 });
    this.step({ ...common, node: 1, name: 'a', kind: 'file', permissions: 0o644 });
    this.step({ ...common, node: 2, name: 'a', kind: 'file', permissions: 0o644 });
  }

  /** Runs one operation on both and compares the answers. */
  step(o: Operation): void {
    this.#advance();
    const { world, model } = this;
    const subject = this.#pick(o.node);
    const ino = subject.ino;
    switch (o.op) {
      case 'create': {
        const made = model.create(subject, o.name, o.kind, o.permissions, o.uid, o.gid);
        this.#expectMade(world.create(ino, o.name, MODES[o.kind] | o.permissions, o.uid, o.gid), made);
        break;
      }
      case 'symlink':
        this.#expectMade(
          world.symlink(ino, o.name, o.target),
          model.create(subject, o.name, 'symlink', 0, 0, 0, o.target),
        );
        break;
      case 'link': {
        const parent = this.#pick(o.other);
        expect(world.link(ino, parent.ino, o.name)).toBe(model.link(subject, parent, o.name));
        break;
      }
      case 'remove':
        expect(o.directory ? world.rmdir(ino, o.name) : world.unlink(ino, o.name)).toBe(
          model.remove(subject, o.name, o.directory),
        );
        break;
      case 'rename': {
        const parent = this.#pick(o.other);
        expect(world.rename(ino, o.name, parent.ino, o.newName, o.flags)).toBe(
          model.rename(subject, o.name, parent, o.newName, o.flags),
        );
        break;
      }
      case 'unnamed': {
        const made = model.createUnnamed(subject, o.permissions, o.linkable);
        const mode = L.S_IFREG | o.permissions;
        const unnamed = world.namespace.createUnnamed(ino, mode, 0, 0, 0, o.linkable);
        this.#expectMade(unnamed, made);
        if (typeof made === 'number') break;
        model.addLookup(made, 1);
        world.namespace.addLookup(unnamed, 1);
        break;
      }
      case 'whiteout':
        this.#whiteout(subject, o);
        break;
      case 'flags':
        expect(world.namespace.setFlags(ino, o.flags)).toBe(model.setFlags(subject, o.flags));
        break;
      case 'accessed':
        world.namespace.accessed(ino, world.clock.time);
        model.accessed(subject);
        break;
      case 'setattr':
        this.#setattr(subject, o);
        break;
      case 'truncate':
        expect(world.namespace.truncate(ino, o.length, flagsOf(o.effect))).toBe(
          model.truncate(subject, o.length, o.effect),
        );
        break;
      case 'write': {
        const data = new Uint8Array(o.length).fill(o.fill);
        expect(world.write(ino, o.offset, data, flagsOf(o.effect))).toBe(
          model.write(subject, o.offset, data, o.effect),
        );
        break;
      }
      case 'attach':
        expect(world.namespace.attachObject(ino, world.namespace.newObjectId(), o.length)).toBe(
          model.attach(subject, o.length),
        );
        break;
      case 'wrote':
        expect(world.namespace.wroteObject(ino, o.length)).toBe(model.wrote(subject, o.length));
        break;
      case 'setxattr':
        expect(world.setxattr(ino, o.name, valueBytes(o.value), o.flags)).toBe(
          model.setxattr(subject, o.name, valueBytes(o.value), o.flags),
        );
        break;
      case 'removexattr':
        expect(world.removexattr(ino, o.name)).toBe(model.removexattr(subject, o.name));
        break;
      case 'addLookup':
        model.addLookup(subject, o.n);
        world.namespace.addLookup(ino, o.n);
        break;
      case 'forget':
        if (subject.lookups > 0) {
          const n = subject.lookups;
          model.forget(subject, n);
          expect(world.namespace.forget(ino, n)).toBe(model.nodes.includes(subject) ? 0 : 1);
        }
        break;
      case 'lookup': {
        const found = model.lookup(subject, o.name);
        expect(world.lookup(ino, o.name)).toBe(typeof found === 'number' ? found : found.ino);
      }
    }
    while (world.namespace.takeDropped() !== 0);
    world.drain();
  }

  #advance(): void {
    const { clock } = this.world;
    clock.time += 1234.25;
    const seconds = Math.floor(clock.time / 1000);
    this.model.now = { seconds, nanoseconds: Math.floor((clock.time - seconds * 1000) * 1e6) };
  }

  #pick(n: number): Node {
    return this.model.nodes[n % this.model.nodes.length]!;
  }

  #expectMade(ino: number, made: Node | number): void {
    if (typeof made === 'number') {
      expect(ino).toBe(made);
      return;
    }
    expect(ino).toBeGreaterThan(1);
    made.ino = ino;
    const key = `${ino}.${this.world.stat(ino).generation}`;
    expect(this.seen.has(key), 'an inode number comes again with another generation only').toBe(false);
    this.seen.add(key);
    expect(this.model.nodes.filter((other) => other.ino === ino)).toHaveLength(1);
  }

  #whiteout(subject: Node, o: Extract<Operation, { op: 'whiteout' }>): void {
    const { model, world } = this;
    const parent = this.#pick(o.other);
    const made = model.renameLeavingWhiteout(subject, o.name, parent, o.newName, o.flags);
    const names = Buffer.from(o.name + o.newName);
    const end = Buffer.byteLength(o.name);
    const answer = world.namespace.renameLeavingWhiteout(
      subject.ino,
      names,
      0,
      end,
      parent.ino,
      end,
      names.length,
      o.flags,
      0,
      0,
    );
    expect(answer).toBe(typeof made === 'number' ? made : 0);
    if (typeof made !== 'number') this.#expectMade(world.lookup(subject.ino, o.name), made);
  }

  #setattr(subject: Node, o: Extract<Operation, { op: 'setattr' }>): void {
    const changes = new C.AttrChanges();
    Object.assign(changes, { valid: o.valid, mode: o.mode, uid: o.uid, gid: o.gid });
    Object.assign(changes, { atime: o.atime.seconds, atimeNs: o.atime.nanoseconds });
    Object.assign(changes, { mtime: o.mtime.seconds, mtimeNs: o.mtime.nanoseconds });
    Object.assign(changes, { ctime: o.ctime.seconds, ctimeNs: o.ctime.nanoseconds });
    const has = (bit: number) => (o.valid & bit) !== 0;
    const wanted: {
      mode?: number;
      uid?: number;
      gid?: number;
      atime?: Time;
      mtime?: Time;
      ctime?: Time;
      kill: boolean;
    } = {
      kill: has(C.KILL_SUIDGID),
    };
    if (has(C.SET_MODE)) wanted.mode = o.mode;
    if (has(C.SET_UID)) wanted.uid = o.uid;
    if (has(C.SET_GID)) wanted.gid = o.gid;
    if (has(C.SET_ATIME)) wanted.atime = o.atime;
    if (has(C.SET_MTIME)) wanted.mtime = o.mtime;
    if (has(C.SET_CTIME)) wanted.ctime = o.ctime;
    expect(this.world.setattr(subject.ino, changes)).toBe(this.model.setattr(subject, wanted));
  }
}

const sequences = fc.array(operation, { minLength: 1, maxLength: 120, size: 'max' });

describe('generated operations', () => {
  it('answer, leave, replay and reload as the model says', () => {
    fc.assert(
      fc.property(sequences, fc.nat({ max: 119 }), (operations, checkpointAt) => {
        const run = new Run();
        let image: World | undefined;
        let logged = 0;
        operations.forEach((o, i) => {
          run.step(o);
          if (i !== checkpointAt) return;
          expectSame(run.world, run.model, true);
          image = run.world.reloaded({ inodes: 5000, dentries: 9000, slabMiB: 66 });
          logged = run.world.drain().length;
        });
        expectSame(run.world, run.model, true);
        const log = run.world.drain();
        expect(log.at(-1)?.commit ?? true).toBe(true);

        const replayed = World.fresh();
        replayed.replay(log);
        replayed.namespace.afterRecovery();
        expectSame(replayed, run.model, false);

        if (image === undefined) return;
        image.replay(log.slice(logged));
        image.namespace.afterRecovery();
        expectSame(image, run.model, false);
        run.world.namespace.objects((object) => expect(object).toBeLessThan(image!.namespace.nextObjectId));
        expect(image.slab.usedBytes).toBe(replayed.slab.usedBytes);
      }),
      { seed: SEED, numRuns: RUNS },
    );
  }, 300_000);
});

it('a removed inode is stale', () => {
  const world = World.fresh();
  const ino = world.file(1, 'f', 'x');
  world.unlink(1, 'f');
  expect(world.namespace.stat(ino, new Attr())).toBeLessThan(0);
  expect(world.write(ino, 0, bytesOf('y'))).toBeLessThan(0);
  expect([IS, NEEDS]).not.toContain(world.read(ino));
});

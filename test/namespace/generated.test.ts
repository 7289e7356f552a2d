/** Generated sequences of operations, run against the namespace and the model; then again from the journal and an image. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as C from '../../fuse/namespace/changes.ts';
import * as L from '../../fuse/namespace/layout.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { testSeed } from '../seed.ts';
import { expectSame } from './compare.ts';
import { IS, Model, NEEDS } from './model.ts';
import type { Node, Time } from './model-node.ts';
import { flagsOf, type Operation, operation, valueBytes } from './operations.ts';
import { bytesOf, INLINE_LIMIT, World } from './world.ts';

const RUNS = Number(process.env.VEXFS_TEST_RUNS ?? 500);
const SEED = testSeed(`${RUNS} runs (VEXFS_TEST_RUNS) of generated namespace operations`);

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

/**
 * Several changes at once. What they do is what the same changes do one after the other; and where one of them is refused,
 * nothing at all has happened, down to the last word of the tables.
 */
import { describe, expect, test } from 'vitest';
import { type Change, Effects } from '../../fuse/namespace/change-set.ts';
import { BY_OTHERS } from '../../fuse/namespace/collections.ts';
import { APPEND_ONLY, IMMUTABLE } from '../../fuse/namespace/inode-flags.ts';
import { packOptions, ROOT } from '../../fuse/namespace/namespace.ts';
import { VectorBatch } from '../../fuse/namespace/vector-batch.ts';
import {
  EACCES,
  EAGAIN,
  EBUSY,
  EDQUOT,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENODATA,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
} from '../../runtime/errno.ts';
import { Random } from '../kernels/random.ts';
import { testSeed } from '../seed.ts';
import {
  accessList,
  attribute,
  directory,
  imageOf,
  oneByOne,
  ROOT_USER,
  remove,
  transact,
  treeOf,
  VECTOR,
  vector,
  withoutIno,
  write,
} from './transactions.ts';
import { bytesOf, type Size, World } from './world.ts';

const SEED = testSeed('transactions', 1);

describe('a transaction', () => {
  test('a file, its attribute, its vector and its directory come in one commit, and replay', () => {
    const world = World.fresh();
    const changes = [
      directory('/notes'),
      write('/notes/bread.md', 'flour and water'),
      attribute('/notes/bread.md', 'user.tag', bytesOf('food')),
      attribute('/notes/bread.md', VECTOR, vector(1, 0, 0)),
    ];
    const { result, effects } = transact(world, changes);
    expect(result).toBe(0);
    const log = world.drain();
    expect(log.map(({ commit }) => commit)).toEqual([...Array(log.length - 1).fill(false), true]);
    const [told] = effects.vectors;
    expect(told).toMatchObject({ collection: 1, ino: world.namespace.resolve('/notes/bread.md') });
    expect(effects.contents).toEqual([told!.ino]);
    const replayed = World.fresh();
    replayed.replay(log);
    expect(treeOf(replayed)).toEqual(treeOf(world));
  });

  test.each<[string, number, Change]>([
    ['a directory that is not there', ENOENT, write('/nowhere/a', 'x')],
    ['a file in the place of a directory', ENOTDIR, write('/old/a', 'x')],
    ['a directory in the place of a file', EISDIR, write('/sub', 'x')],
    ['a link', ELOOP, write('/link', 'x')],
    ['a name that is taken', EEXIST, write('/old', 'x', { isNew: true })],
    ['a directory that is there', EEXIST, directory('/sub')],
    ['an attribute that is not there', ENODATA, attribute('/old', 'user.none')],
    ['an attribute of ours', EPERM, attribute('/old', 'user.vexfs.model', bytesOf('x'))],
    ['an attribute of no known kind', EOPNOTSUPP, attribute('/old', 'system.x', bytesOf('x'))],
    ['a vector with NaN', EINVAL, attribute('/old', VECTOR, vector(1, Number.NaN, 0))],
    ['a vector with infinity', EINVAL, attribute('/old', VECTOR, vector(1, Number.POSITIVE_INFINITY, 0))],
    ['a vector of zeros', EINVAL, attribute('/old', VECTOR, vector(0, 0, 0))],
    ['a vector of another dimension', EINVAL, attribute('/old', VECTOR, vector(1, 0))],
    ['the removal of a directory', EISDIR, remove('/sub')],
    ['the removal of nothing', ENOENT, remove('/nothing')],
    ['the reserved name', EPERM, write('/.vexfs/x', 'x')],
    ['a path with ".."', EINVAL, write('/sub/../x', 'x')],
    ['a path that is not absolute', EINVAL, write('x', 'x')],
  ])('is refused for %s, and what came before has not happened', (_, errno, last) => {
    const world = World.fresh();
    world.file(ROOT, 'old', 'content');
    world.directory(ROOT, 'sub');
    world.symlink(ROOT, 'link', 'old');
    world.setxattr(world.namespace.resolve('/old'), VECTOR, vector(1, 2, 3));
    const before = imageOf(world);
    const records = world.drain().length;
    const first = [
      directory('/made'),
      write('/made/a-name-that-is-longer-than-fits-its-record', 'new'),
      write('/old', 'other content'),
      attribute('/old', 'user.tag', bytesOf('x'.repeat(500))),
    ];
    const { result, effects } = transact(world, [...first, last]);
    expect(result).toBe(-errno);
    expect(effects).toMatchObject({ refusedAt: first.length, vectors: [], contents: [] });
    expect(imageOf(world)).toEqual(before);
    expect(world.drain().length).toBe(records);
  });

  test('a file that was removed in it is not there for the changes after, one that was made is', () => {
    const world = World.fresh();
    world.file(ROOT, 'a', '1');
    expect(transact(world, [remove('/a'), attribute('/a', 'user.x', bytesOf('y'))]).result).toBe(-ENOENT);
    expect(transact(world, [remove('/a'), write('/a', '2', { isNew: true }), remove('/a')]).result).toBe(0);
    expect(world.namespace.resolve('/a')).toBe(-ENOENT);
  });

  test('a file whose lock is not held is not overwritten', () => {
    const world = World.fresh();
    world.file(ROOT, 'a', '1');
    const result = world.namespace.transact([write('/a', '2')], ROOT_USER, () => false, new Effects());
    expect(result).toBe(-EAGAIN);
    expect(Buffer.from(world.read(world.namespace.resolve('/a')) as Uint8Array).toString()).toBe('1');
  });

  test('permissions are those of who asks', () => {
    const world = World.fresh();
    const user = { uid: 1000, gids: [1000, 50] };
    world.create(ROOT, 'theirs', 0o040755, 1, 1);
    const own = world.create(ROOT, 'own', 0o040700, 1000, 1000);
    const group = world.create(ROOT, 'group', 0o042770, 1, 50);
    const sticky = world.create(ROOT, 'sticky', 0o041777, 0, 0);
    world.create(own, 'closed', 0o100400, 1000, 1000);
    world.create(sticky, 'others', 0o100666, 1, 1);
    expect(transact(world, [write('/theirs/a', 'x')], user).result).toBe(-EACCES);
    expect(transact(world, [write('/own/closed', 'x')], user).result).toBe(-EACCES);
    expect(transact(world, [remove('/sticky/others')], user).result).toBe(-EPERM);
    expect(transact(world, [attribute('/own', 'security.x', bytesOf('x'))], user).result).toBe(-EPERM);
    const good = [write('/group/a', 'x'), write('/own/b', 'x'), write('/sticky/others', 'x')];
    expect(transact(world, good, user).result).toBe(0);
    const { uid, gid } = world.stat(world.lookup(group, 'a'));
    expect([uid, gid]).toEqual([1000, 50]);
  });

  test('what is made in a directory with a default list inherits it, now and in the replay', () => {
    const world = World.fresh();
    const sub = world.directory(ROOT, 'sub');
    expect(world.setxattr(sub, 'system.posix_acl_default', accessList())).toBe(0);
    const changes = [
      directory('/sub/deep'),
      write('/sub/deep/file', 'x'),
      attribute('/sub/deep/file', 'user.tag', bytesOf('y'.repeat(3000))),
      write('/sub/other', 'x'),
    ];
    expect(transact(world, changes).result).toBe(0);
    const batch = new VectorBatch(bytesOf(VECTOR), [bytesOf('third')], vector(1, 2), 0o644, ROOT_USER);
    batch.directories.fill(sub);
    batch.generations.fill(world.stat(sub).generation);
    world.namespace.putVectors(batch, 0, 1, new Effects());
    expect(world.getxattr(world.lookup(sub, 'third'), 'system.posix_acl_access')).toBeInstanceOf(Uint8Array);
    expect(world.getxattr(world.lookup(sub, 'other'), 'system.posix_acl_access')).toBeInstanceOf(Uint8Array);
    const replayed = World.fresh();
    replayed.replay(world.drain());
    expect(treeOf(replayed)).toEqual(treeOf(world));
  });

  test('a list that allows it allows it, and flags forbid it to everybody', () => {
    const world = World.fresh();
    const file = world.create(ROOT, 'a', 0o100600, 1, 1);
    const user = { uid: 1000, gids: [1000] };
    expect(transact(world, [write('/a', 'x')], user).result).toBe(-EACCES);
    expect(world.setxattr(file, 'system.posix_acl_access', accessList())).toBe(0);
    expect(transact(world, [write('/a', 'x')], user).result).toBe(0);
    for (const flag of [IMMUTABLE, APPEND_ONLY]) {
      expect(world.namespace.setFlags(file, flag)).toBe(0);
      const before = imageOf(world);
      for (const change of [write('/a', 'y'), remove('/a'), attribute('/a', VECTOR, vector(1, 2))])
        expect(transact(world, [write('/b', ''), change]).result).toBe(-EPERM);
      expect(imageOf(world)).toBe(before);
    }
    expect(world.namespace.setFlags(ROOT, IMMUTABLE)).toBe(0);
    expect(transact(world, [write('/b', '')]).result).toBe(-EPERM);
  });

  test('what the kernel holds is told, what it cannot know is not', () => {
    const world = World.fresh();
    const known = world.file(ROOT, 'known', '1');
    const sub = world.directory(ROOT, 'sub');
    world.file(sub, 'unknown', '1');
    world.namespace.addLookup(known, 1);
    const { effects } = transact(world, [
      write('/known', '2'),
      write('/sub/unknown', '2'),
      write('/sub/new', ''),
    ]);
    expect([...effects.inodes]).toEqual([known]);
    expect(effects.names).toEqual([]);
    expect(transact(world, [write('/new', '')]).effects.names.map(({ parent }) => parent)).toEqual([ROOT]);
  });

  test(`generated ones do what their changes do one by one, or nothing (seed ${SEED})`, () => {
    const random = new Random(SEED);
    // Of the small one the memory is soon used up.
    const sizes: Size[] = [{}, { inodes: 8, dentries: 8 }, { slabMiB: 2 }];
    for (const size of sizes) {
      const world = World.fresh(size);
      const oracle = World.fresh(size);
      const isFull = size.slabMiB === 2;
      const refusals = new Map<number, number>();
      for (let round = 0; round < 150; round++) {
        const changes = Array.from({ length: 1 + random.below(4) }, () => generated(random, isFull));
        const before = imageOf(world);
        const expected = isFull ? undefined : oneByOne(oracle, changes);
        const { result, effects } = transact(world, changes);
        refusals.set(result, (refusals.get(result) ?? 0) + 1);
        if (result < 0) expect(imageOf(world)).toEqual(before);
        if (expected !== undefined) {
          expect([result, effects.refusedAt]).toEqual([expected.result, expected.refusedAt]);
          // The oracle has done what came before the refused one: both go on from the same state.
          if (result < 0) transact(world, changes.slice(0, expected.refusedAt));
          expect(treeOf(world).map(withoutIno)).toEqual(treeOf(oracle).map(withoutIno));
        }
        world.drain();
        oracle.drain();
      }
      const replayed = World.fresh(size);
      replayed.replay(world.log);
      expect(treeOf(replayed).map(withoutIno)).toEqual(treeOf(world).map(withoutIno));
      expect(refusals.get(0)).toBeGreaterThan(5);
      if (size.inodes !== undefined || isFull) expect(refusals.get(-ENOSPC)).toBeGreaterThan(0);
    }
  });
});

function generated(random: Random, isLarge: boolean): Change {
  const names = ['a', 'b', 'a-name-that-is-longer-than-fits-its-record', 'd', 'e'];
  const name = (): string => names[random.below(names.length)]!;
  const path = random.below(2) === 0 ? `/${name()}` : `/${name()}/${name()}`;
  const text = 'x'.repeat(random.below(isLarge ? 60_000 : 1500));
  switch (random.below(6)) {
    case 0:
      return directory(path);
    case 1:
      return remove(path);
    case 2:
      return attribute(path, `user.${name()}`, random.below(3) === 0 ? undefined : bytesOf(text));
    case 3:
      return attribute(path, `${VECTOR}.c${random.below(3)}`, vector(...random.vector(2 + random.below(2))));
    default:
      return write(path, text, { isNew: random.below(8) === 0 });
  }
}

describe('a batch of vectors', () => {
  const batchOf = (
    world: World,
    names: string[],
    vectors: Uint8Array[],
    mode = 0o644,
    who = ROOT_USER,
  ): VectorBatch => {
    const values = Buffer.concat(vectors);
    const batch = new VectorBatch(bytesOf(VECTOR), names.map(bytesOf), values, mode, who);
    batch.directories.fill(ROOT);
    batch.generations.fill(world.stat(ROOT).generation);
    return batch;
  };
  const put = (world: World, batch: VectorBatch): Effects => {
    const effects = new Effects();
    for (let at = 0; at < batch.count; ) at = world.namespace.putVectors(batch, at, batch.count, effects);
    return effects;
  };

  test('each is set for itself, and makes its file where that is wanted', () => {
    const world = World.fresh();
    const there = world.file(ROOT, 'there', 'text');
    const effects = put(
      world,
      batchOf(world, ['there', 'new', 'bad'], [vector(1, 2), vector(3, 4), vector(0, 0)]),
    );
    const made = world.namespace.resolve('/new');
    expect(effects.vectors.map(({ ino }) => ino)).toEqual([there, made]);
    expect(world.getxattr(made, VECTOR)).toEqual(vector(3, 4));
    expect(world.namespace.resolve('/bad')).toBe(-ENOENT);
    const replayed = World.fresh();
    replayed.replay(world.drain());
    expect(treeOf(replayed)).toEqual(treeOf(world));
  });

  test('each has a result of its own', () => {
    const world = World.fresh();
    world.create(ROOT, 'own', 0o100600, 1000, 1000);
    world.create(ROOT, 'theirs', 0o100644, 1, 1);
    const batch = batchOf(
      world,
      ['own', 'theirs', 'none', 'own'],
      [vector(1, 2), vector(1, 2), vector(1, 2), vector(Number.NaN, 1)],
      -1,
      { uid: 1000, gids: [1000] },
    );
    put(world, batch);
    expect([...batch.results]).toEqual([0, -EACCES, -ENOENT, -EINVAL]);
  });

  test('many take several locks, and all are there', () => {
    const world = World.fresh({ inodes: 5000, dentries: 5000 });
    const names = Array.from({ length: 2000 }, (_, n) => `v${n}`);
    const vectors = names.map((_, n) => vector(...Array.from({ length: 128 }, (__, i) => n + i + 1)));
    const effects = put(world, batchOf(world, names, vectors));
    expect(effects.vectors.length).toBe(2000);
    expect(world.drain().filter(({ commit }) => commit).length).toBeGreaterThan(5);
  });
});

describe('a collection', () => {
  const L2 = packOptions({ metric: 'l2', element: 'float32', m: 24, efConstruction: 300 });

  test('that was made for another metric keeps it, takes zeros, and replays', () => {
    const world = World.fresh();
    expect(world.namespace.createCollection('far', 2, L2)).toBe(1);
    expect(world.namespace.createCollection('far', 2, L2)).toBe(1);
    expect(world.namespace.createCollection('far', 2, 0)).toBe(-EINVAL);
    expect(world.namespace.createCollection('far', 3, L2)).toBe(-EINVAL);
    world.file(ROOT, 'a', '1');
    expect(transact(world, [attribute('/a', `${VECTOR}.far`, vector(0, 0))]).result).toBe(0);
    expect(transact(world, [attribute('/a', VECTOR, vector(0, 0))]).result).toBe(-EINVAL);
    const replayed = World.fresh();
    replayed.replay(world.drain());
    const expected = {
      name: 'far',
      dimension: 2,
      metric: 'l2',
      element: 'float32',
      m: 24,
      efConstruction: 300,
      isDropping: false,
    };
    expect(replayed.namespace.collections()).toMatchObject([expected]);
    expect(world.reloaded({}).namespace.collections()).toMatchObject([expected]);
  });

  test('that is dropped takes nothing from then on, and its name is free when it is gone', () => {
    const world = World.fresh();
    const ino = world.file(ROOT, 'a', '1');
    const name = `${VECTOR}.c`;
    expect(world.setxattr(ino, name, vector(1, 2))).toBe(1);
    expect(world.namespace.dropCollection('c', true)).toBe(-EBUSY);
    expect(world.namespace.dropCollection('none', false)).toBe(-ENOENT);
    expect(world.namespace.dropCollection('c', false)).toBe(1);
    expect(world.setxattr(ino, name, vector(1, 2))).toBe(-EBUSY);
    expect(transact(world, [attribute('/a', name, vector(1, 2))]).result).toBe(-EBUSY);
    expect(world.namespace.removeVector(ino, bytesOf(name))).toBe(0);
    expect(world.namespace.dropCollection('c', true)).toBe(1);
    expect(world.namespace.collections()).toEqual([]);
    // An id is not given again before all have been: who has heard of the old one must not take this for it.
    expect(world.setxattr(ino, name, vector(1, 2, 3))).toBe(2);
    const replayed = World.fresh();
    replayed.replay(world.drain());
    expect(replayed.namespace.collections()).toMatchObject([{ id: 2, name: 'c', dimension: 3 }]);
  });

  test('can be made as long as one of 64 is not there any more', () => {
    const world = World.fresh();
    for (let i = 1; i <= 64; i++) expect(world.namespace.createCollection(`c${i}`, 1)).toBe(i);
    expect(world.namespace.createCollection('more', 1)).toBe(-ENOSPC);
    world.namespace.dropCollection('c7', false);
    world.namespace.dropCollection('c7', true);
    expect(world.namespace.createCollection('more', 1)).toBe(7);
  });

  test('is made by users other than the owner and root only while sixteen more could be', () => {
    const world = World.fresh();
    const { namespace } = world;
    const other = { uid: process.getuid!() + 1, gids: [1] };
    const create = (name: string, uid: number): number => namespace.createCollection(name, 1, -1, uid);
    for (let i = 1; i <= 48; i++) expect(create(`c${i}`, other.uid)).toBe(i);
    const ino = world.create(ROOT, 'a', 0o100644, other.uid, 1);
    const change = (name: string): Change => attribute('/a', `${VECTOR}.${name}`, vector(1));
    const batch = new VectorBatch(bytesOf(`${VECTOR}.more`), [bytesOf('a')], vector(1), -1, other);
    batch.directories[0] = ROOT;
    batch.generations[0] = world.stat(ROOT).generation;
    expect(create('more', other.uid)).toBe(-EDQUOT);
    expect(transact(world, [change('more')], other).result).toBe(-EDQUOT);
    namespace.putVectors(batch, 0, 1, new Effects());
    expect(batch.results[0]).toBe(-EDQUOT);
    expect(world.setxattr(ino, `${VECTOR}.more`, vector(1), BY_OTHERS)).toBe(-EDQUOT);
    // Those that are there take vectors from everybody.
    expect(create('c1', other.uid)).toBe(1);
    expect(transact(world, [change('c2')], other).result).toBe(0);
    expect(world.setxattr(ino, `${VECTOR}.c3`, vector(1), BY_OTHERS)).toBe(3);
    for (let i = 49; i <= 64; i++) expect(create(`c${i}`, process.getuid!())).toBe(i);
    expect(create('more', other.uid)).toBe(-ENOSPC);
    const replayed = World.fresh();
    replayed.replay(world.drain());
    expect(replayed.namespace.collections()).toEqual(namespace.collections());
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as L from '../../fuse/namespace/layout.ts';
import { DirEntry, RENAME_EXCHANGE } from '../../fuse/namespace/namespace.ts';
import { testSeed } from '../seed.ts';
import { World } from './world.ts';

const SEED = testSeed('directories that change while read');

function nameOf(entry: DirEntry): string {
  return Buffer.from(entry.name.subarray(0, entry.nameLength)).toString();
}

/** Reads a directory, doing `between` after each entry. */
function readAll(world: World, directory: number, between: (name: string) => void = () => {}): string[] {
  const entry = new DirEntry();
  const names: string[] = [];
  while (world.namespace.readdir(directory, entry.cookieLo, entry.cookieHi, entry)) {
    const name = nameOf(entry);
    names.push(name);
    if (name !== '.' && name !== '..') between(name);
  }
  return names;
}

describe('readdir', () => {
  it('begins with the directory and its parent, then the newest entries', () => {
    const world = World.fresh();
    const directory = world.directory(1, 'd');
    for (const name of ['one', 'two', 'three']) world.file(directory, name);
    expect(readAll(world, directory)).toEqual(['.', '..', 'three', 'two', 'one']);
    expect(readAll(world, 1)).toEqual(['.', '..', 'd']);
  });

  it('of a removed directory, a file or nothing is empty', () => {
    const world = World.fresh();
    const directory = world.directory(1, 'd');
    world.namespace.addLookup(directory, 1);
    world.rmdir(1, 'd');
    expect(readAll(world, directory)).toEqual([]);
    expect(readAll(world, world.file(1, 'f'))).toEqual([]);
    expect(readAll(world, 999)).toEqual([]);
    expect(readAll(world, 2 ** 32 - 1)).toEqual([]);
  });

  it('ends though an entry is made or renamed for each one read', () => {
    const world = World.fresh();
    for (let i = 0; i < 50; i++) world.file(1, `f${i}`);
    const names = readAll(world, 1, (name) => {
      world.file(1, `${name}.copy`);
      world.rename(1, name, 1, `${name}.old`);
    });
    expect(names).toHaveLength(52);
  });

  it('shows a name once that is replaced again and again while it is read', () => {
    const world = World.fresh();
    for (let i = 0; i < 20; i++) world.file(1, `f${i}`);
    const names = readAll(world, 1, () => {
      for (const target of ['f3', 'f10', 'f17']) {
        world.file(1, 'temporary');
        world.rename(1, 'temporary', 1, target);
      }
    });
    expect(names.filter((name) => /^f\d+$/.test(name))).toHaveLength(20);
    expect(new Set(names).size).toBe(names.length);
  });

  it('shows entries that stay exactly once, whatever comes and goes meanwhile', () => {
    const change = fc.record({
      kind: fc.constantFrom('create', 'unlink', 'rename', 'moveOut', 'moveIn', 'exchange', 'replace'),
      a: fc.nat({ max: 11 }),
      b: fc.nat({ max: 11 }),
    });
    fc.assert(
      fc.property(
        fc.array(fc.array(change, { maxLength: 6 }), { minLength: 1, maxLength: 60, size: 'max' }),
        (steps) => {
          const world = World.fresh({ inodes: 200, dentries: 200, slabMiB: 4, journalMiB: 1 });
          const other = world.directory(1, 'other');
          const directory = world.directory(1, 'd');
          for (let i = 0; i < 10; i++) {
            world.file(directory, `stays${i}`);
            world.file(directory, `goes${i}`);
          }
          let step = 0;
          const names = readAll(world, directory, () => {
            for (const { kind, a, b } of steps[step++ % steps.length]!) {
              const goes = `goes${a}`;
              if (kind === 'create') world.file(directory, goes);
              else if (kind === 'unlink') world.unlink(directory, goes);
              else if (kind === 'rename') world.rename(directory, goes, directory, `goes${b}`);
              else if (kind === 'moveOut') world.rename(directory, goes, other, `goes${b}`);
              else if (kind === 'moveIn') world.rename(other, goes, directory, `goes${b}`);
              else if (kind === 'exchange')
                world.rename(directory, goes, directory, `goes${b}`, RENAME_EXCHANGE);
              else world.rename(directory, goes, directory, `stays${b}`);
            }
          });
          const stayed = names.filter((name) => /^stays\d$/.test(name)).sort();
          expect(stayed).toEqual(Array.from({ length: 10 }, (_, i) => `stays${i}`));
        },
      ),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('goes on rightly after the sequence numbers of a directory ran out', () => {
    const world = World.fresh();
    world.file(1, 'a');
    world.file(1, 'b');
    world.tables.inode[L.ROOT * L.INODE_WORDS + L.I_SEQUENCE] = L.SEQUENCE_MAX;
    world.file(1, 'c');
    world.file(1, 'd');
    expect(readAll(world, 1)).toEqual(['.', '..', 'd', 'c', 'b', 'a']);
    expect(world.tables.inode[L.ROOT * L.INODE_WORDS + L.I_SEQUENCE]).toBe(4);
  });
});

/** Each takes a second or two here; were it quadratic, it would be over the limit. */
describe('emptying a directory of 100,000 entries is linear', () => {
  const COUNT = 100_000;

  function full(): { world: World; directory: number } {
    const world = World.fresh({ inodes: COUNT + 10, dentries: COUNT + 10, slabMiB: 4 });
    const directory = world.directory(1, 'd');
    for (let i = 0; i < COUNT; i++) world.file(directory, `f${i}`);
    return { world, directory };
  }

  /** Reads `batch` entries, handles them, reads on from the last of them, as `rm -r` and `find` do. */
  function inBatches(
    batch: number,
    world: World,
    directory: number,
    handle: (name: string, index: number) => void,
  ): number {
    const entry = new DirEntry();
    let index = 0;
    for (;;) {
      const names: string[] = [];
      while (
        names.length < batch &&
        world.namespace.readdir(directory, entry.cookieLo, entry.cookieHi, entry)
      ) {
        if (entry.cookieHi !== 0) names.push(nameOf(entry));
      }
      if (names.length === 0) return index;
      for (const name of names) handle(name, index++);
    }
  }

  /** Of the processor, since the clock on the wall goes on while others work: quadratic takes far more. */
  const CPU_LIMIT_MS = 15_000;

  const linear = (name: string, run: () => void): void =>
    it(
      name,
      () => {
        const before = process.cpuUsage();
        run();
        const { user, system } = process.cpuUsage(before);
        expect((user + system) / 1000).toBeLessThan(CPU_LIMIT_MS);
      },
      20 * CPU_LIMIT_MS,
    );

  linear('when everything is removed', () => {
    const { world, directory } = full();
    expect(inBatches(200, world, directory, (name) => world.unlink(directory, name))).toBe(COUNT);
    expect(world.rmdir(1, 'd')).toBe(0);
  });

  linear('when every second entry is removed', () => {
    const { world, directory } = full();
    const remove = (name: string, index: number) => {
      if (index % 2 === 1) world.unlink(directory, name);
    };
    expect(inBatches(1, world, directory, remove)).toBe(COUNT);
    expect(inBatches(200, world, directory, () => {})).toBe(COUNT / 2);
  });

  linear('when everything is moved elsewhere', () => {
    const { world, directory } = full();
    expect(inBatches(1, world, directory, (name) => world.rename(directory, name, 1, name))).toBe(COUNT);
    expect(world.rmdir(1, 'd')).toBe(0);
  });

  linear('when 100,000 names of few inodes are removed, oldest first', () => {
    const world = World.fresh({ inodes: 10, dentries: COUNT + 10, slabMiB: 4 });
    const inodes = [world.file(1, 'x'), world.file(1, 'y')];
    for (let i = 0; i < COUNT; i++) world.link(inodes[i % 2]!, 1, `f${i}`);
    for (let i = 0; i < COUNT; i++) world.unlink(1, `f${i}`);
    expect(readAll(world, 1)).toEqual(['.', '..', 'y', 'x']);
    expect(world.stat(inodes[0]!).nlink).toBe(1);
  });
});

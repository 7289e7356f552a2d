/** No memory at any one allocation: the one request is refused, and it is as if it had not been made. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NEEDS_OBJECT } from '../../fuse/namespace/namespace.ts';
import { ENOSPC } from '../../runtime/errno.ts';
import { auditSlab } from '../../runtime/memory/slab-audit.ts';
import { testSeed } from '../seed.ts';
import { LIST } from './access-list.ts';
import { checkTables, listDirectory } from './compare.ts';
import { ACCESS, DEFAULT } from './list-model.ts';
import { bytesOf, World } from './world.ts';

const SEED = testSeed('allocations that fail');

const LONG = ['a'.repeat(30), 'b'.repeat(70), 'c'.repeat(200)];
const name = fc.constantFrom('x', 'y', ...LONG);
const bytes = fc.constantFrom(1, 60, 65, 200, 900, 1999);
const operation = fc.oneof(
  fc.record({ op: fc.constant('create' as const), name }),
  fc.record({ op: fc.constant('symlink' as const), name, bytes }),
  fc.record({ op: fc.constant('link' as const), name, other: name }),
  fc.record({ op: fc.constant('rename' as const), name, other: name }),
  fc.record({ op: fc.constant('unlink' as const), name }),
  fc.record({ op: fc.constant('write' as const), name, bytes }),
  fc.record({ op: fc.constant('write' as const), name, bytes }),
  fc.record({ op: fc.constant('truncate' as const), name, bytes }),
  fc.record({
    op: fc.constant('setxattr' as const),
    name,
    other: fc.constantFrom('user.a', 'user.b'),
    bytes,
  }),
  fc.record({ op: fc.constant('whiteout' as const), name, other: name }),
  fc.record({ op: fc.constant('list' as const), name, inherited: fc.boolean() }),
  fc.record({ op: fc.constant('unnamed' as const), name }),
  fc.record({ op: fc.constant('removexattr' as const), name, other: fc.constantFrom('user.a', 'user.b') }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** A world whose `failing`th allocation, counted from 1, finds no memory. */
class Limited {
  readonly world = World.fresh({ inodes: 64, dentries: 64, slabMiB: 40, journalMiB: 2 });
  allocations = 0;
  failing = 0;

  constructor() {
    const { slab } = this.world;
    const allocate = slab.allocate.bind(slab);
    slab.allocate = (size, tag) => (++this.allocations === this.failing ? 0 : allocate(size, tag));
  }

  run(step: Operation): number {
    const { world } = this;
    world.clock.time += 1000;
    const ino = world.lookup(1, step.name);
    switch (step.op) {
      case 'create':
        return world.create(1, step.name, 0o100644);
      case 'symlink':
        return world.symlink(1, step.name, 't'.repeat(step.bytes));
      case 'link':
        return ino < 0 ? ino : world.link(ino, 1, step.other);
      case 'rename':
        return world.rename(1, step.name, 1, step.other);
      case 'whiteout':
        return this.#whiteout(step.name, step.other);
      case 'list':
        if (step.inherited) return world.setxattr(1, DEFAULT, LIST);
        return ino < 0 ? ino : world.setxattr(ino, ACCESS, LIST);
      case 'unnamed': {
        const made = world.namespace.createUnnamed(1, 0o100644, 0, 0, 0, true);
        if (made > 0) world.namespace.addLookup(made, 1);
        if (made > 0) world.namespace.forget(made, 1);
        return made;
      }
      case 'unlink':
        return world.unlink(1, step.name);
      case 'write':
        return ino < 0 ? ino : world.write(ino, 0, new Uint8Array(step.bytes).fill(step.bytes));
      case 'truncate':
        return ino < 0 ? ino : world.namespace.truncate(ino, step.bytes);
      case 'setxattr':
        return ino < 0 ? ino : world.setxattr(ino, step.other, new Uint8Array(step.bytes).fill(7));
      case 'removexattr':
        return ino < 0 ? ino : world.removexattr(ino, step.other);
    }
  }

  #whiteout(name: string, other: string): number {
    const names = bytesOf(name + other);
    const [end, all] = [name.length, names.length];
    return this.world.namespace.renameLeavingWhiteout(1, names, 0, end, 1, end, all, 0, 0, 0);
  }

  /** The bytes of the tables, without the lock and the sequence counter. */
  tables(): Buffer {
    const { arena } = this.world;
    const header = arena.region('namespace').u8.slice();
    header.fill(0, 64, 256);
    return Buffer.concat([header, arena.region('inodes').u8, arena.region('dentries').u8]);
  }

  /** Every name with what it names; times differ where a request was made twice. */
  tree(): unknown[] {
    const { world } = this;
    return [...listDirectory(world.namespace, 1)].map(([entry, ino]) => {
      const { mode, nlink, size } = world.stat(ino);
      const target = new Uint8Array(4096);
      const length = Math.max(0, world.namespace.readlink(ino, target, 0));
      const content = [world.read(ino), target.slice(0, length)];
      return [
        entry,
        mode,
        nlink,
        size,
        content,
        world.getxattr(ino, 'user.a'),
        world.getxattr(ino, 'user.b'),
      ];
    });
  }

  expectWhole(): void {
    const { slab, namespace, tables } = this.world;
    checkTables(tables);
    const audit = auditSlab(slab, (visit) => namespace.slabHandles(visit));
    expect(audit).toMatchObject({ lost: [], dangling: [], doubled: [] });
  }
}

test('each allocation of a sequence in turn finds no memory: one request fails, nothing changes, nothing leaks', () => {
  let failures = 0;
  fc.assert(
    fc.property(fc.array(operation, { minLength: 5, maxLength: 40, size: 'max' }), (operations) => {
      const plain = new Limited();
      const expected = operations.map((step) => plain.run(step));
      plain.expectWhole();
      for (let k = 1; k <= plain.allocations; k++) {
        const limited = new Limited();
        limited.failing = k;
        operations.forEach((step, i) => {
          const asked = limited.allocations;
          const before = asked < k ? limited.tables() : undefined;
          const logged = limited.world.drain().length;
          const result = limited.run(step);
          const failed = asked < k && limited.allocations >= k;
          if (!failed) {
            expect(result).toBe(expected[i]);
            return;
          }
          failures++;
          expect([-ENOSPC, NEEDS_OBJECT]).toContain(result);
          expect(limited.tables().equals(before!), 'the tables are as they were').toBe(true);
          expect(limited.world.drain().length, 'nothing is logged').toBe(logged);
          limited.expectWhole();
          expect(limited.run(step), 'the next try succeeds').toBe(expected[i]);
        });
        limited.expectWhole();
        expect(limited.tree()).toEqual(plain.tree());
      }
    }),
    { seed: SEED, numRuns: 40 },
  );
  expect(failures).toBeGreaterThan(20);
}, 300_000);

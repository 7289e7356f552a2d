import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, S_IFDIR } from '../../fuse/protocol/abi.ts';
import { type Entry, type Node, ok, ROOT } from './encoding.ts';
import { Harness } from './harness.ts';
import { type ModelInode, type Refusals, TreeModel } from './tree-model.ts';

const NAMES = ['a', 'b', 'c', 'long'.repeat(20)];
const FLAGS = { replace: 0, noreplace: RENAME_NOREPLACE, exchange: RENAME_EXCHANGE };

const pick = fc.nat({ max: 1000 });
const name = fc.constantFrom(...NAMES);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('file' as const), directory: pick, name }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('directory' as const), directory: pick, name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('symlink' as const), directory: pick, name }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('link' as const), target: pick, directory: pick, name }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('unlink' as const), directory: pick, name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rmdir' as const), directory: pick, name }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('rename' as const),
      directory: pick,
      name,
      into: pick,
      newName: name,
      mode: fc.constantFrom('replace' as const, 'noreplace' as const, 'exchange' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('look' as const), directory: pick, name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('forget' as const), target: pick }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Model and filesystem side by side, with the lookups the kernel would hold. */
class Both {
  readonly h = new Harness({ maxInodes: 256, slabBytes: 8 << 20 });
  readonly model = new TreeModel();
  readonly held = new Map<ModelInode, { node: Node; lookups: number }>([
    [this.model.root, { node: ROOT, lookups: 1 }],
  ]);

  directories(): ModelInode[] {
    return [...this.held.keys()].filter((inode) => inode.type === 'directory' && inode.nlink > 0);
  }

  node(inode: ModelInode): Node {
    return this.held.get(inode)!.node;
  }

  hold(inode: ModelInode, entry: Entry): void {
    const held = this.held.get(inode);
    if (held === undefined) {
      for (const [other, { node }] of this.held) if (node.lo === entry.lo) expect(other).toBe(inode);
      this.held.set(inode, { node: { lo: entry.lo, hi: entry.hi }, lookups: 1 });
      return;
    }
    expect(entry.lo).toBe(held.node.lo);
    held.lookups++;
  }

  /** Both succeeded, or both failed and the errno is one the model allows. */
  agree(refusals: Refusals, outcome: number): void {
    if (refusals.length === 0) expect(outcome).toBe(0);
    else expect(refusals).toContain(-outcome);
  }

  run(s: Step): void {
    const { h, model } = this;
    const directories = this.directories();
    const at = 'directory' in s ? directories[s.directory % directories.length]! : model.root;
    const all = [...this.held.keys()];
    switch (s.kind) {
      case 'file':
      case 'directory':
      case 'symlink': {
        const made =
          s.kind === 'file'
            ? h.create(this.node(at), s.name)
            : s.kind === 'directory'
              ? h.mkdir(this.node(at), s.name)
              : h.symlink(this.node(at), s.name, 'target');
        this.agree(model.make(at, s.name, s.kind), typeof made === 'number' ? made : 0);
        if (typeof made !== 'number') this.hold(at.entries.get(s.name)!, made);
        return;
      }
      case 'link': {
        const target = all[s.target % all.length]!;
        const made = h.link(this.node(target), this.node(at), s.name);
        this.agree(model.link(target, at, s.name), typeof made === 'number' ? made : 0);
        if (typeof made !== 'number') this.hold(target, made);
        return;
      }
      case 'unlink':
        this.agree(model.unlink(at, s.name), h.unlink(this.node(at), s.name)!);
        return;
      case 'rmdir':
        this.agree(model.rmdir(at, s.name), h.rmdir(this.node(at), s.name)!);
        return;
      case 'rename': {
        const into = directories[s.into % directories.length]!;
        const done = h.rename(this.node(at), s.name, this.node(into), s.newName, FLAGS[s.mode]);
        this.agree(model.rename(at, s.name, into, s.newName, s.mode), done!);
        return;
      }
      case 'look': {
        const expected = at.entries.get(s.name);
        const found = ok(h.lookup(this.node(at), s.name));
        if (expected === undefined) expect(found.lo).toBe(0);
        else this.hold(expected, found);
        return;
      }
      case 'forget': {
        const target = all[s.target % all.length]!;
        if (target !== model.root) this.forget(target);
      }
    }
  }

  forget(inode: ModelInode): void {
    const { node, lookups } = this.held.get(inode)!;
    this.h.forget(node, lookups);
    this.held.delete(inode);
    if (inode.nlink === 0) expect(this.h.getattr(node)).toBeLessThan(0);
  }

  /** Walks the whole tree and compares; returns how many inodes it has. */
  compare(inode: ModelInode, node: Node, seen = new Set<ModelInode>()): number {
    seen.add(inode);
    const attributes = ok(this.h.getattr(node));
    expect(attributes.nlink).toBe(inode.nlink);
    expect((attributes.mode & S_IFDIR) === S_IFDIR).toBe(inode.type === 'directory');
    if (inode.type === 'directory') {
      expect(this.h.names(node)).toEqual([...inode.entries.keys()].sort());
      for (const [entryName, child] of inode.entries) {
        const entry = ok(this.h.lookup(node, entryName));
        this.hold(child, entry);
        this.compare(child, entry, seen);
      }
    }
    return seen.size;
  }
}

test('any sequence of changes to names leaves the tree that a reference model has', () => {
  const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const both = new Both();
    for (const s of steps) both.run(s);
    const inodes = both.compare(both.model.root, ROOT);
    for (const inode of [...both.held.keys()]) if (inode !== both.model.root) both.forget(inode);
    const { files, freeFiles } = both.h.namespace.statfs();
    expect(files - freeFiles).toBe(inodes);
    expect(both.h.failures).toEqual([]);
  });
  fc.assert(property, { numRuns: 150 });
});

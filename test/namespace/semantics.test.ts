/** What POSIX and Linux say, case by case; the generated sequences are in generated.test.ts. */
import { describe, expect, it } from 'vitest';
import { AttrChanges, KILL_SUIDGID, SET_MODE } from '../../fuse/namespace/changes.ts';
import {
  IndexState,
  IS_OBJECT,
  NEEDS_OBJECT,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from '../../fuse/namespace/namespace.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import {
  E2BIG,
  EACCES,
  EEXIST,
  EINVAL,
  EIO,
  EISDIR,
  EMLINK,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  ESTALE,
} from '../../runtime/errno.ts';
import { bytesOf, INLINE_LIMIT, World } from './world.ts';

describe('names', () => {
  it('of 255 bytes are taken, of 256 refused, empty and impossible ones too', () => {
    const world = World.fresh();
    const longest = 'n'.repeat(255);
    const ino = world.file(1, longest);
    expect(world.lookup(1, longest)).toBe(ino);
    expect(world.create(1, 'n'.repeat(256), 0o100644)).toBe(-ENAMETOOLONG);
    expect(world.lookup(1, 'n'.repeat(256))).toBe(-ENAMETOOLONG);
    expect(world.create(1, '', 0o100644)).toBe(-ENOENT);
    expect(world.create(1, 'a/b', 0o100644)).toBe(-EINVAL);
    expect(world.create(1, '..', 0o040755)).toBe(-EEXIST);
    expect(world.rmdir(1, '.')).toBe(-EINVAL);
    expect(world.rename(1, longest, 1, '')).toBe(-ENOENT);
    expect(world.rename(1, longest, 1, '..')).toBe(-EINVAL);
    expect(world.lookup(1, longest)).toBe(ino);
  });

  it('cannot be added below a file, a removed directory, or nothing', () => {
    const world = World.fresh();
    expect(world.create(world.file(1, 'f'), 'x', 0o100644)).toBe(-ENOTDIR);
    const directory = world.directory(1, 'd');
    world.namespace.addLookup(directory, 1);
    world.rmdir(1, 'd');
    expect(world.create(directory, 'x', 0o100644)).toBe(-ENOENT);
    expect(world.create(777, 'x', 0o100644)).toBe(-ESTALE);
    expect(world.create(2 ** 32 - 1, 'x', 0o100644)).toBe(-ESTALE);
  });

  it('"." and ".." are found in every directory', () => {
    const world = World.fresh();
    const outer = world.directory(1, 'outer');
    const inner = world.directory(outer, 'inner');
    expect(world.lookup(inner, '.')).toBe(inner);
    expect(world.lookup(inner, '..')).toBe(outer);
    expect(world.lookup(1, '..')).toBe(1);
    expect(world.namespace.resolve('/outer/inner/../../outer')).toBe(outer);
  });
});

describe('rename', () => {
  it('onto a hard link of the same inode does nothing and succeeds', () => {
    const world = World.fresh();
    const ino = world.file(1, 'a');
    world.link(ino, 1, 'b');
    expect(world.rename(1, 'a', 1, 'b')).toBe(0);
    expect([world.lookup(1, 'a'), world.lookup(1, 'b')]).toEqual([ino, ino]);
    expect(world.stat(ino).nlink).toBe(2);
  });

  it('of a directory below itself is EINVAL, onto its own parent ENOTEMPTY', () => {
    const world = World.fresh();
    const a = world.directory(1, 'a');
    const b = world.directory(a, 'b');
    expect(world.rename(1, 'a', b, 'c')).toBe(-EINVAL);
    expect(world.rename(1, 'a', a, 'c')).toBe(-EINVAL);
    expect(world.rename(a, 'b', 1, 'a')).toBe(-ENOTEMPTY);
    expect(world.rename(a, 'b', 1, 'a', RENAME_EXCHANGE)).toBe(-EINVAL);
  });

  it('replaces like by like only', () => {
    const world = World.fresh();
    world.file(1, 'file');
    const full = world.directory(1, 'full');
    world.file(full, 'x');
    world.directory(1, 'empty');
    expect(world.rename(1, 'file', 1, 'empty')).toBe(-EISDIR);
    expect(world.rename(1, 'empty', 1, 'file')).toBe(-ENOTDIR);
    expect(world.rename(1, 'empty', 1, 'full')).toBe(-ENOTEMPTY);
    expect(world.rename(1, 'full', 1, 'empty')).toBe(0);
    expect(world.lookup(1, 'empty')).toBe(full);
    expect(world.stat(1).nlink).toBe(3);
  });

  it('with NOREPLACE and EXCHANGE does what renameat2 says', () => {
    const world = World.fresh();
    const directory = world.directory(1, 'd');
    const file = world.file(1, 'f');
    const inner = world.directory(directory, 'inner');
    expect(world.rename(1, 'f', 1, 'd', RENAME_NOREPLACE)).toBe(-EEXIST);
    expect(world.rename(1, 'f', 1, 'g', RENAME_EXCHANGE)).toBe(-ENOENT);
    expect(world.rename(1, 'f', 1, 'g', RENAME_EXCHANGE | RENAME_NOREPLACE)).toBe(-EINVAL);
    expect(world.rename(1, 'f', directory, 'inner', RENAME_EXCHANGE)).toBe(0);
    expect(world.lookup(1, 'f')).toBe(inner);
    expect(world.lookup(directory, 'inner')).toBe(file);
    expect([world.stat(1).nlink, world.stat(directory).nlink]).toEqual([4, 2]);
    expect(world.namespace.pathOf(inner)).toBe('/f');
  });

  it('tells which file lost its last name', () => {
    const world = World.fresh();
    world.file(1, 'new');
    const old = world.file(1, 'old');
    const { generation } = world.stat(old);
    world.rename(1, 'new', 1, 'old');
    expect([world.namespace.removedIno, world.namespace.removedGeneration]).toEqual([old, generation]);
    world.rename(1, 'old', 1, 'other');
    expect(world.namespace.removedIno).toBe(0);
  });
});

describe('links', () => {
  it('of a directory are refused, of a file counted up to 65,000', () => {
    const world = World.fresh({ dentries: 70_000, inodes: 10, journalMiB: 16 });
    expect(world.link(world.directory(1, 'd'), 1, 'e')).toBe(-EPERM);
    const ino = world.file(1, 'f');
    for (let i = 1; i < 65_000; i++) world.link(ino, 1, `l${i}`);
    expect(world.stat(ino).nlink).toBe(65_000);
    expect(world.link(ino, 1, 'one more')).toBe(-EMLINK);
  });

  it('keep a removed file alive while the kernel holds it', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f', 'content');
    world.namespace.addLookup(ino, 3);
    world.unlink(1, 'f');
    expect(world.namespace.removedIno).toBe(ino);
    expect(world.stat(ino).nlink).toBe(0);
    expect(world.write(ino, 7, bytesOf('!'))).toBe(1);
    expect(Buffer.from(world.read(ino) as Uint8Array).toString()).toBe('content!');
    expect(world.namespace.pathOf(ino)).toBeUndefined();
    expect(world.link(ino, 1, 'again')).toBe(-ENOENT);
    expect(world.namespace.forget(ino, 2)).toBe(0);
    expect(world.namespace.forget(ino, 1)).toBe(1);
    expect(world.namespace.stat(ino, new Attr())).toBe(-ESTALE);
    expect(world.slab.usedBytes).toBe(0);
  });
});

describe('attributes', () => {
  it('of what is made in a set-group-ID directory are its group, and the bit for directories', () => {
    const world = World.fresh();
    const parent = world.create(1, 'p', 0o042775, 0, 77);
    const file = world.stat(world.create(parent, 'f', 0o100644, 5, 6));
    const directory = world.stat(world.create(parent, 'd', 0o040755, 5, 6));
    expect([file.uid, file.gid, file.mode]).toEqual([5, 77, 0o100644]);
    expect([directory.uid, directory.gid, directory.mode]).toEqual([5, 77, 0o042755]);
  });

  it('lose set-user-ID and capabilities by a write that says so', () => {
    const world = World.fresh();
    const ino = world.create(1, 'f', 0o106755);
    world.setxattr(ino, 'security.capability', bytesOf('cap'));
    world.write(ino, 0, bytesOf('x'));
    expect(world.stat(ino).mode).toBe(0o106755);
    world.write(ino, 0, bytesOf('x'), KILL_SUIDGID);
    expect(world.stat(ino).mode).toBe(0o100755);
    expect(world.getxattr(ino, 'security.capability')).toBe(-ENODATA);
  });

  it('keep set-group-ID without group execution (mandatory locking)', () => {
    const world = World.fresh();
    const ino = world.create(1, 'f', 0o106644);
    world.namespace.truncate(ino, 0, KILL_SUIDGID);
    expect(world.stat(ino).mode).toBe(0o102644);
  });

  it('never change the type', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f');
    const changes = new AttrChanges();
    changes.valid = SET_MODE;
    changes.mode = 0o047777;
    world.setattr(ino, changes);
    expect(world.stat(ino).mode).toBe(0o107777);
  });
});

describe('content', () => {
  it('with a gap reads zeros there, also after shrinking and growing again', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f', 'secret content');
    world.namespace.truncate(ino, 3);
    world.namespace.truncate(ino, 10);
    world.write(ino, 20, bytesOf('end'));
    expect(Buffer.from(world.read(ino) as Uint8Array).toString('latin1')).toBe(`sec${'\0'.repeat(17)}end`);
    expect(world.stat(ino).blocks).toBe(1);
  });

  it('over the inline limit needs an object; empty again it is inline', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f', 'x');
    expect(world.write(ino, INLINE_LIMIT, bytesOf('x'))).toBe(NEEDS_OBJECT);
    expect(world.namespace.truncate(ino, INLINE_LIMIT + 1)).toBe(NEEDS_OBJECT);
    const id = world.namespace.newObjectId();
    expect(world.namespace.attachObject(ino, id, INLINE_LIMIT + 1)).toBe(0);
    expect(world.read(ino)).toBe(IS_OBJECT);
    expect(world.write(ino, 0, bytesOf('x'))).toBe(IS_OBJECT);
    expect(world.write(ino, 1e6, bytesOf('x'))).toBe(IS_OBJECT);
    expect(world.namespace.wroteObject(ino, 5000)).toBe(0);
    expect([world.stat(ino).size, world.namespace.objectOf(ino)]).toEqual([5000, id]);
    expect(world.namespace.truncate(ino, 0)).toBe(0);
    expect([world.namespace.takeDropped(), world.namespace.takeDropped()]).toEqual([id, 0]);
    expect(world.write(ino, 0, bytesOf('y'))).toBe(1);
    expect(world.namespace.newObjectId()).toBe(id + 1);
  });

  it('spills into an object when the slab is full, and names then get ENOSPC', () => {
    const world = World.fresh({ slabMiB: 2, journalMiB: 8 });
    let result = 1;
    for (let i = 0; result > 0 && i < 4000; i++) {
      result = world.write(world.file(1, `f${i}`), 0, new Uint8Array(1000));
    }
    expect(result).toBe(NEEDS_OBJECT);
    for (let i = 0; result !== -ENOSPC && i < 4000; i++)
      result = world.create(1, `${i}${'n'.repeat(200)}`, 0o100644);
    expect(result).toBe(-ENOSPC);
    expect(world.setxattr(1, 'user.a', new Uint8Array(2000))).toBe(-ENOSPC);
    expect(world.create(1, 'short', 0o100644)).toBeGreaterThan(1);
  });

  it('is not to be written to what is no regular file', () => {
    const world = World.fresh();
    expect(world.write(1, 0, bytesOf('x'))).toBe(-EISDIR);
    expect(world.namespace.truncate(1, 0)).toBe(-EISDIR);
    const fifo = world.create(1, 'fifo', 0o010644);
    expect(world.write(fifo, 0, bytesOf('x'))).toBe(-EINVAL);
    expect(world.namespace.readlink(fifo, new Uint8Array(10), 0)).toBe(-EINVAL);
  });
});

describe('tables that are full', () => {
  it('answer ENOSPC for inodes and for names, and go on when something is removed', () => {
    const world = World.fresh({ inodes: 4, dentries: 5 });
    for (const name of ['a', 'b', 'c']) expect(world.file(1, name)).toBeGreaterThan(1);
    expect(world.create(1, 'd', 0o100644)).toBe(-ENOSPC);
    expect(world.namespace.statfs()).toEqual({ files: 4, freeFiles: 0 });
    expect(world.link(2, 1, 'l')).toBe(0);
    expect(world.link(2, 1, 'm')).toBe(0);
    expect(world.link(2, 1, 'n')).toBe(-ENOSPC);
    world.unlink(1, 'c');
    expect(world.file(1, 'd')).toBeGreaterThan(1);
  });
});

describe('the index', () => {
  it('finds what changed since it looked, and forgets what it knew of another file', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f', 'text');
    world.file(1, 'empty');
    const state = new IndexState();
    const unindexed = () => {
      const all: number[] = [];
      world.namespace.scanUnindexed((n) => all.push(n));
      return all;
    };
    expect(unindexed()).toEqual([ino]);
    world.namespace.indexState(ino, state);
    world.write(ino, 0, bytesOf('more'));
    expect(
      world.namespace.setIndexed(ino, state.generation, state.version, 2, 1, bytesOf('vectors'), 0, 7),
    ).toBe(0);
    expect(unindexed()).toEqual([ino]);
    world.namespace.setIndexed(ino, state.generation, state.version + 1, 3, 1, new Uint8Array(0), 0, 0);
    expect(unindexed()).toEqual([]);
    world.namespace.indexState(ino, state);
    expect([state.status, state.chunks, state.indexedVersion]).toEqual([1, 3, state.version]);
    expect(world.namespace.setIndexed(ino, state.generation + 1, 1, 1, 1, new Uint8Array(0), 0, 0)).toBe(
      -ESTALE,
    );
    expect(
      world.namespace.setIndexed(ino, state.generation, 1, 1, 1, new Uint8Array(600_000), 0, 600_000),
    ).toBe(-E2BIG);
  });
});

describe('resolveFor', () => {
  it('tells those who may not enter a directory nothing of its names', () => {
    const world = World.fresh();
    const closed = world.create(1, 'closed', 0o040700, 10, 20);
    const file = world.create(closed, 'f', 0o100644, 10, 20);
    const { namespace } = world;
    const as = (uid: number, path: string): number => namespace.resolveFor(path, uid, []);
    expect([as(0, '/closed/f'), as(10, '/closed/f'), as(11, '/closed')]).toEqual([file, file, closed]);
    expect([as(10, '/closed/none'), as(11, '/none')]).toEqual([-ENOENT, -ENOENT]);
    expect(['/closed/f', '/closed/none', '/closed/f/..'].map((path) => as(11, path))).toEqual([
      -EACCES,
      -EACCES,
      -EACCES,
    ]);
  });
});

describe('canRead', () => {
  it('wants r on the file and x on every directory above, by any of its names', () => {
    const world = World.fresh();
    const closed = world.create(1, 'closed', 0o040700, 10, 20);
    const group = world.create(1, 'group', 0o040710, 10, 20);
    const inClosed = world.create(closed, 'f', 0o100644, 10, 20);
    const inGroup = world.create(group, 'f', 0o100640, 10, 20);
    const { namespace } = world;
    expect([namespace.canRead(inClosed, 10, []), namespace.canRead(inClosed, 11, [20])]).toEqual([
      true,
      false,
    ]);
    expect([namespace.canRead(inGroup, 11, [20]), namespace.canRead(inGroup, 11, [21])]).toEqual([
      true,
      false,
    ]);
    expect(namespace.canRead(inClosed, 0, [])).toBe(true);
    world.link(inClosed, 1, 'also here');
    expect(namespace.canRead(inClosed, 11, [])).toBe(true);
    expect(namespace.canRead(999, 0, [])).toBe(false);
  });
});

describe('trouble', () => {
  it('of a full journal is waited out', () => {
    const world = World.fresh({ journalMiB: 1 });
    const ino = world.file(1, 'f');
    for (let i = 0; i < 3000; i++) expect(world.write(ino, 0, new Uint8Array(1500))).toBe(1500);
    expect(world.drain().length).toBe(3001);
  });

  it('of a failed log is its errno, and reading goes on', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f', 'x');
    world.reader.fail(ENOSPC);
    expect(world.create(1, 'g', 0o100644)).toBe(-ENOSPC);
    expect(world.lookup(1, 'f')).toBe(ino);
  });

  it('of a mutation that throws shuts the tables for changes, and reading goes on', () => {
    const world = World.fresh();
    const ino = world.file(1, 'f', 'x');
    world.journal.commit = () => {
      throw new Error('planted');
    };
    expect(() => world.unlink(1, 'f')).toThrow('planted');
    expect(world.namespace.broken).toBe(true);
    expect(world.create(1, 'g', 0o100644)).toBe(-EIO);
    expect(world.lookup(1, 'f')).toBe(-ENOENT);
    expect(world.namespace.stat(ino, new Attr())).toBe(0);
  });
});

/** unlink, rmdir and rename: what is refused, what is gone, and what sticky directories protect. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import {
  EACCES,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EXDEV,
} from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import {
  ALICE,
  BOB,
  type Cases,
  done,
  make,
  moves,
  NOT_DIRECTORIES,
  O_RDWR,
  type Place,
  refused,
  TYPES,
  type Type,
  withOpen,
} from '../place.ts';

/** ext4 counts to 65,000 as well. */
const LINKS_TRIED = 40;

function remove(type: Type, path: string): number {
  return type === 'directory' ? c.rmdir(path) : c.unlink(path);
}

function exists(path: string): boolean {
  return c.access(path, 0) === 0 || isThere(path);
}

function isThere(path: string): boolean {
  try {
    c.lstat(path);
    return true;
  } catch {
    return false;
  }
}

export const unlinkCases: Cases = {
  'unlink: the name of anything but a directory goes; the times of the directory move': (at) => {
    for (const type of NOT_DIRECTORIES) {
      const directory = at.directory();
      const path = at.made(type, 0o644, undefined, directory);
      moves(directory, { mtime: true, ctime: true }, () => done(c.unlink(path)));
      expect(isThere(path)).toBe(false);
      refused(c.unlink(path), ENOENT);
    }
  },
  'unlink: ctime of what has another name moves; refused, no time moves': (at) => {
    for (const type of NOT_DIRECTORIES) {
      const directory = at.directory();
      const path = at.made(type, 0o644, undefined, directory);
      const other = at.name();
      done(c.link(path, other));
      moves(directory, { mtime: false, ctime: false }, () =>
        moves(other, { ctime: false }, () =>
          refused(
            c.as(ALICE, () => c.unlink(path)),
            EACCES,
          ),
        ),
      );
      moves(other, { ctime: true, mtime: false }, () => done(c.unlink(path)));
      expect(c.lstat(other).nlink).toBe(1n);
    }
  },
  'unlink: a directory is EISDIR, a name with a slash at the end ENOTDIR': (at) => {
    refused(c.unlink(at.directory()), EISDIR);
    refused(c.unlink(`${at.file()}/`), ENOTDIR);
    refused(c.unlink(`${at.directory()}/.`), EISDIR, EINVAL);
  },
  'unlink: a file that is open lives on without a name: it reads, writes, grows and has no links': (at) => {
    for (const bytes of [10, 300_000]) {
      const path = at.file();
      const data = new Uint8Array(bytes).fill(7);
      withOpen(path, O_RDWR, (fd) => {
        done(c.pwrite(fd, data, bytes, 0));
        done(c.unlink(path));
        expect(isThere(path)).toBe(false);
        const seen = c.stat(`/proc/self/fd/${fd}`);
        expect([seen.nlink, seen.size]).toEqual([0n, BigInt(bytes)]);
        done(c.pwrite(fd, data, bytes, bytes));
        const read = new Uint8Array(2 * bytes);
        expect(c.pread(fd, read, 2 * bytes, 0)).toBe(2 * bytes);
        expect(read.every((byte) => byte === 7)).toBe(true);
        done(c.ftruncate(fd, 3));
        done(c.fchmod(fd, 0o600));
        done(c.fsync(fd));
        make('regular', path);
        expect(c.lstat(path).size).toBe(0n);
        expect(c.stat(`/proc/self/fd/${fd}`).size).toBe(3n);
      });
    }
  },
};

export const rmdirCases: Cases = {
  'rmdir: an empty directory goes; the times and the links of its parent move': (at) => {
    const parent = at.directory();
    const path = at.directory(0o755, undefined, parent);
    moves(parent, { mtime: true, ctime: true }, () => done(c.rmdir(path)));
    expect(c.lstat(parent).nlink).toBe(2n);
    refused(c.rmdir(path), ENOENT);
  },
  'rmdir: ENOTEMPTY while anything is in it, and no time moves': (at) => {
    for (const type of TYPES) {
      const path = at.directory();
      const inner = at.made(type, 0o755, undefined, path);
      moves(path, { mtime: false, ctime: false }, () => refused(c.rmdir(path), ENOTEMPTY, EEXIST));
      done(remove(type, inner));
      done(c.rmdir(path));
    }
  },
  'rmdir: ENOTDIR for anything else; "." is EINVAL, ".." ENOTEMPTY': (at) => {
    for (const type of NOT_DIRECTORIES) refused(c.rmdir(at.made(type)), ENOTDIR);
    const path = at.directory();
    refused(c.rmdir(`${path}/.`), EINVAL);
    refused(c.rmdir(`${path}/..`), ENOTEMPTY);
    const inner = at.directory(0o755, undefined, path);
    refused(c.rmdir(`${inner}/..`), ENOTEMPTY);
  },
  'rmdir: EBUSY for a directory on which something is mounted': (_at) => {
    refused(c.rmdir('/proc'), EBUSY);
  },
  'rmdir: in a directory that was removed nothing can be made, and reading it finds nothing': (at) => {
    const path = at.directory();
    withOpen(path, 0, (fd) => {
      done(c.rmdir(path));
      const via = `/proc/self/fd/${fd}`;
      for (const type of TYPES) {
        refused(type === 'directory' ? c.mkdir(`${via}/x`, 0o755) : c.symlink('x', `${via}/x`), ENOENT);
      }
      expect(c.stat(via).nlink).toBe(0n);
      expect(readdirSync(via)).toEqual([]);
    });
  },
};

export const renameCases: Cases = {
  'rename: keeps inode, attributes and bytes of every kind of file; the old name is gone': (at) => {
    for (const type of TYPES) {
      const [from, to] = [at.made(type, 0o641), at.name(at.directory())];
      const before = c.lstat(from);
      done(c.rename(from, to));
      expect(isThere(from)).toBe(false);
      const after = c.lstat(to);
      expect([after.ino, after.mode, after.size, after.nlink]).toEqual([
        before.ino,
        before.mode,
        before.size,
        before.nlink,
      ]);
    }
  },
  'rename: the times of both directories and ctime of the file move; refused, none': (at) => {
    for (const type of TYPES) {
      const [source, target] = [at.directory(), at.directory()];
      const from = at.made(type, 0o644, undefined, source);
      const to = at.name(target);
      moves(source, { mtime: true, ctime: true }, () =>
        moves(target, { mtime: true, ctime: true }, () => {
          const before = c.lstat(from).ctimeNs;
          done(c.rename(from, to));
          expect(c.lstat(to).ctimeNs).toBeGreaterThan(before);
        }),
      );
      moves(source, { mtime: false, ctime: false }, () =>
        moves(target, { mtime: false, ctime: false }, () =>
          moves(to, { ctime: false }, () =>
            refused(
              c.as(ALICE, () => c.rename(to, from)),
              EACCES,
            ),
          ),
        ),
      );
    }
  },
  'rename: replaces a file of any kind, which loses that link; ctime of what has another name moves': (
    at,
  ) => {
    for (const from of NOT_DIRECTORIES) {
      for (const victim of NOT_DIRECTORIES) {
        const [old, replaced] = [at.made(from), at.made(victim)];
        const { ino } = c.lstat(old);
        done(c.rename(old, replaced));
        expect(c.lstat(replaced).ino).toBe(ino);
        expect(isThere(old)).toBe(false);
      }
      const [old, replaced, other] = [at.file(), at.made(from), at.name()];
      done(c.link(replaced, other));
      moves(other, { ctime: true, mtime: false }, () => done(c.rename(old, replaced)));
      expect(c.lstat(other).nlink).toBe(1n);
    }
  },
  'rename: what is replaced while it is open lives on without links': (at) => {
    for (const type of ['regular', 'directory'] as const) {
      const [moved, victim] = [at.made(type), at.made(type)];
      withOpen(victim, 0, (fd) => {
        done(c.rename(moved, victim));
        const seen = c.stat(`/proc/self/fd/${fd}`);
        expect([seen.nlink, seen.ino === c.lstat(victim).ino]).toEqual([0n, false]);
        expect(c.lstat(victim).nlink).toBe(type === 'directory' ? 2n : 1n);
      });
    }
  },
  'rename: two names of one inode stay as they are, and no time moves': (at) => {
    for (const type of NOT_DIRECTORIES) {
      const [one, two] = [at.made(type), at.name()];
      done(c.link(one, two));
      moves(one, { ctime: false }, () => done(c.rename(one, two)));
      expect(c.lstat(one).nlink).toBe(2n);
      done(c.rename(one, one));
    }
  },
  'rename: a directory replaces an empty one only, and no file; a file replaces no directory': (at) => {
    const [empty, full] = [at.directory(), at.directory()];
    at.file(0o644, undefined, full);
    const moving = at.directory();
    refused(c.rename(moving, full), ENOTEMPTY, EEXIST);
    done(c.rename(moving, empty));
    for (const type of NOT_DIRECTORIES) {
      refused(c.rename(empty, at.made(type)), ENOTDIR);
      refused(c.rename(at.made(type), empty), EISDIR);
    }
  },
  'rename: ".." and the links of both parents follow a directory': (at) => {
    const [one, two] = [at.directory(), at.directory()];
    const path = at.directory(0o755, undefined, one);
    const moved = at.name(two);
    done(c.rename(path, moved));
    expect([c.lstat(one).nlink, c.lstat(two).nlink]).toEqual([2n, 3n]);
    expect(c.lstat(`${moved}/..`).ino).toBe(c.lstat(two).ino);
    const victim = at.directory(0o755, undefined, one);
    done(c.rename(moved, victim));
    expect([c.lstat(one).nlink, c.lstat(two).nlink]).toEqual([3n, 2n]);
    expect(c.lstat(`${victim}/..`).ino).toBe(c.lstat(one).ino);
  },
  'rename: EINVAL into itself; "." and ".." are EINVAL or EBUSY; another filesystem is EXDEV': (at) => {
    const path = at.directory();
    const inner = at.directory(0o755, undefined, path);
    refused(c.rename(path, join(path, 'x')), EINVAL);
    refused(c.rename(path, join(inner, 'x')), EINVAL);
    refused(c.rename(path, inner), EINVAL, ENOTEMPTY);
    refused(c.rename(inner, path), ENOTEMPTY, EEXIST);
    for (const dots of ['.', '..']) {
      refused(c.rename(`${path}/${dots}`, at.name()), EINVAL, EBUSY);
      refused(c.rename(inner, `${path}/${dots}`), EINVAL, EBUSY, EEXIST, ENOTEMPTY);
    }
    refused(c.rename(at.file(), '/dev/shm/never'), EXDEV);
  },
  'rename: a slash at the end is for directories': (at) => {
    refused(c.rename(`${at.file()}/`, at.name()), ENOTDIR);
    refused(c.rename(at.file(), `${at.name()}/`), ENOTDIR);
    const [from, to] = [at.directory(), at.name()];
    done(c.rename(`${from}/`, `${to}/`));
    expect(isThere(to)).toBe(true);
  },
  'rename: a directory that one may not write cannot be moved elsewhere, only renamed in place': (at) => {
    const [one, two] = [at.directory(0o777), at.directory(0o777)];
    const path = at.directory(0o555, BOB, one);
    refused(
      c.as(ALICE, () => c.rename(path, at.name(two))),
      EACCES,
    );
    const renamed = at.name(one);
    done(c.as(ALICE, () => c.rename(path, renamed)));
    done(c.chmod(renamed, 0o777));
    done(c.as(ALICE, () => c.rename(renamed, at.name(two))));
  },
  'rename with NOREPLACE and EXCHANGE': (at) => {
    for (const type of TYPES) {
      const [one, two, free] = [at.made(type), at.directory(), at.name()];
      const { ino } = c.lstat(one);
      const { ino: other } = c.lstat(two);
      refused(c.renameWith(one, two, c.RENAME_NOREPLACE), EEXIST);
      refused(c.renameWith(one, free, c.RENAME_EXCHANGE), ENOENT);
      done(c.renameWith(one, two, c.RENAME_EXCHANGE));
      expect([c.lstat(one).ino, c.lstat(two).ino]).toEqual([other, ino]);
      done(c.renameWith(two, free, c.RENAME_NOREPLACE));
      expect(c.lstat(free).ino).toBe(ino);
    }
    refused(c.renameWith(at.file(), at.file(), c.RENAME_NOREPLACE | c.RENAME_EXCHANGE), EINVAL);
    const parent = at.directory();
    const inner = at.directory(0o755, undefined, parent);
    refused(c.renameWith(inner, parent, c.RENAME_EXCHANGE), EINVAL);
  },
  'links are counted for every name, and the count goes back': (at) => {
    const path = at.file();
    const names = Array.from({ length: LINKS_TRIED }, () => at.name());
    for (const name of names) done(c.link(path, name));
    expect(c.lstat(path).nlink).toBe(BigInt(LINKS_TRIED + 1));
    for (const name of names) done(c.unlink(name));
    expect(c.lstat(path).nlink).toBe(1n);
  },
};

/** Who may take a name out of a sticky directory: the file's owner, the directory's, and root. */
function protects(at: Place, take: (path: string, type: Type) => number): void {
  for (const type of TYPES) {
    for (const [directoryOwner, fileOwner, who, allowed] of [
      [ALICE, ALICE, ALICE, true],
      [ALICE, BOB, ALICE, true],
      [BOB, ALICE, ALICE, true],
      [BOB, BOB, ALICE, false],
    ] as const) {
      const directory = at.directory(0o1777, directoryOwner);
      const path = at.made(type, 0o777, fileOwner, directory);
      const result = c.as(who, () => take(path, type));
      if (allowed) done(result);
      else refused(result, EPERM);
    }
    const path = at.made(type, 0o644, BOB, at.directory(0o1777, BOB));
    done(take(path, type));
  }
}

export const stickyCases: Cases = {
  'sticky: a name is removed by the owner of file or directory only': (at) => {
    protects(at, (path, type) => remove(type, path));
  },
  'sticky: a name is moved away by the owner of file or directory only': (at) => {
    const open = at.directory(0o777);
    protects(at, (path) => c.rename(path, at.name(open)));
    protects(at, (path) => c.rename(path, join(path, '..', 'other-name')));
  },
  'sticky: a name is replaced by the owner of what has it, or of the directory, only': (at) => {
    const open = at.directory(0o777);
    protects(at, (path, type) => {
      const replacement = at.name(open);
      if (type === 'directory') done(c.mkdir(replacement, 0o777));
      else make('regular', replacement);
      return c.rename(replacement, path);
    });
  },
  'without the sticky bit everybody who may write the directory may': (at) => {
    const directory = at.directory(0o777, BOB);
    for (const type of TYPES) {
      const path = at.made(type, 0o600, BOB, directory);
      done(c.as(ALICE, () => remove(type, path)));
      expect(exists(path), basename(path)).toBe(false);
    }
  },
};

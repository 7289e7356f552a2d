/** mkdir, mkfifo, mknod, symlink, link and open with O_CREAT: what is there afterwards, and whose it is. */
import { readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { EEXIST, EINVAL, ENAMETOOLONG, ENOENT, EPERM, EXDEV } from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import {
  ALICE,
  BOB,
  type Cases,
  done,
  FORMATS,
  make,
  moves,
  NOT_DIRECTORIES,
  O_CREAT,
  O_RDONLY,
  O_WRONLY,
  owner,
  type Place,
  permissions,
  refused,
  S_IFMT,
  TYPES,
  type Type,
  tryMake,
} from '../place.ts';

/** A path of the host's, for what may not cross filesystems. */
const ELSEWHERE = '/proc/self/status';

function makeWith(type: Type, path: string, mode: number): number {
  if (type === 'directory') return c.mkdir(path, mode);
  if (type === 'regular') {
    const fd = c.open(path, O_CREAT | O_WRONLY, mode);
    return fd < 0 ? fd : c.close(fd);
  }
  return c.mknod(path, FORMATS[type] | mode, type === 'block' || type === 'character' ? 0x102 : 0);
}

function withUmask(mask: number, what: () => void): void {
  const before = process.umask(mask);
  try {
    what();
  } finally {
    process.umask(before);
  }
}

const MADE_BY_MODE = TYPES.filter((type) => type !== 'symlink');
/** What an ordinary user can make. */
const FOR_ALL = TYPES.filter((type) => type !== 'block' && type !== 'character');

export const makingCases: Cases = {
  'making: type and permissions are as asked, less the umask': (at) => {
    for (const type of MADE_BY_MODE) {
      for (const [mode, mask, got] of [
        [0o755, 0, 0o755],
        [0o151, 0, 0o151],
        [0o151, 0o77, 0o100],
        [0o345, 0o70, 0o305],
        [0o345, 0o501, 0o244],
      ] as const) {
        const path = at.name();
        withUmask(mask, () => done(makeWith(type, path, mode)));
        expect(permissions(path), type).toBe(got);
        expect(Number(c.lstat(path).mode) & S_IFMT).toBe(FORMATS[type]);
      }
    }
  },
  'making: the owner is who makes it, with his group; the times are new, those of the directory move': (
    at,
  ) => {
    const directory = at.directory(0o777, BOB);
    for (const type of FOR_ALL) {
      const path = at.name(directory);
      moves(directory, { mtime: true, ctime: true, atime: false }, () =>
        done(c.as(ALICE, () => tryMake(type, path))),
      );
      expect(owner(path)).toEqual([ALICE.uid, ALICE.gid]);
      const { atimeNs, mtimeNs, ctimeNs } = c.lstat(path);
      const { mtimeNs: parent } = c.lstat(directory);
      for (const time of [atimeNs, mtimeNs, ctimeNs]) {
        expect(Math.abs(Number(time - parent))).toBeLessThan(1e9);
      }
    }
  },
  'making: refused, it moves no time of the directory': (at) => {
    const directory = at.directory(0o755);
    const there = at.file(0o644, undefined, directory);
    for (const type of TYPES) {
      moves(directory, { mtime: false, ctime: false }, () => {
        refused(tryMake(type, there), EEXIST);
        expect(c.as(ALICE, () => tryMake(type, join(directory, 'new')))).toBeLessThan(0);
      });
    }
  },
  'making in a set-group-ID directory: the group is the directory’s, and directories inherit the bit': (
    at,
  ) => {
    const directory = at.directory(0o2777, { uid: BOB.uid, gid: 70_003 });
    for (const type of FOR_ALL) {
      const path = at.name(directory);
      done(c.as(ALICE, () => tryMake(type, path)));
      expect(owner(path)).toEqual([ALICE.uid, 70_003]);
      if (type !== 'symlink') expect(permissions(path) & 0o2000).toBe(type === 'directory' ? 0o2000 : 0);
    }
  },
  'making in a set-group-ID directory: a file is not set-group-ID for somebody outside the group': (at) => {
    const directory = at.directory(0o2777, { uid: BOB.uid, gid: 70_003 });
    const path = at.name(directory);
    done(c.as(ALICE, () => makeWith('regular', path, 0o2775)));
    expect(permissions(path) & 0o2000).toBe(0);
  },
  'mknod: device numbers are kept; a regular file can be made; devices are for root': (at) => {
    for (const [major, minor] of [
      [1, 2],
      [4095, 255],
      [259, 1_048_575],
    ] as const) {
      const path = at.name();
      // As glibc's makedev.
      const device = major * 256 + (minor & 0xff) + (minor >> 8) * 2 ** 20;
      done(c.mknod(path, FORMATS.block | 0o600, device));
      expect(Number(c.lstat(path).rdev)).toBe(device);
    }
    const path = at.name();
    done(c.mknod(path, FORMATS.regular | 0o640, 0));
    expect(Number(c.lstat(path).mode)).toBe(FORMATS.regular | 0o640);
    expect(Number(c.lstat(path).size)).toBe(0);
    const directory = at.directory(0o777);
    for (const type of ['block', 'character'] as const) {
      refused(
        c.as(ALICE, () => tryMake(type, at.name(directory))),
        EPERM,
      );
    }
    for (const type of ['fifo', 'socket'] as const)
      done(c.as(ALICE, () => tryMake(type, at.name(directory))));
  },
  'mkdir: one more link of the parent, two of its own; nothing but "." and ".." in it': (at) => {
    const parent = at.directory();
    const { nlink } = c.lstat(parent);
    const path = at.name(parent);
    done(c.mkdir(path, 0o755));
    expect(c.lstat(parent).nlink).toBe(nlink + 1n);
    expect(c.lstat(path).nlink).toBe(2n);
    done(c.rmdir(path));
    expect(c.lstat(parent).nlink).toBe(nlink);
    make('regular', path);
    expect(c.lstat(parent).nlink).toBe(nlink);
  },
  'mkdir: a slash at the end is no matter, and "." and ".." exist': (at) => {
    const path = at.name();
    done(c.mkdir(`${path}/`, 0o755));
    for (const there of [`${path}/.`, `${path}/..`, `${path}/`]) refused(c.mkdir(there, 0o755), EEXIST);
    refused(c.mkdir(`${at.name()}/.`, 0o755), ENOENT);
  },
};

export const symlinkCases: Cases = {
  'symlink: keeps its target byte for byte, whether it exists or not, and its length is the size': (at) => {
    for (const target of ['x', '/', '../..//a', 'no such file', 'ä'.repeat(100), 'x'.repeat(4095)]) {
      const path = at.name();
      done(c.symlink(target, path));
      expect(readlinkSync(path)).toBe(target);
      expect(Number(c.lstat(path).size)).toBe(Buffer.byteLength(target));
      expect(permissions(path)).toBe(0o777);
    }
  },
  'symlink: a target of 4,096 bytes is ENAMETOOLONG, an empty one ENOENT': (at) => {
    refused(c.symlink('x'.repeat(4096), at.name()), ENAMETOOLONG);
    refused(c.symlink('', at.name()), ENOENT);
  },
  'readlink: cuts what does not fit, and is EINVAL for anything else': (at) => {
    const path = at.name();
    done(c.symlink('abcdef', path));
    const buffer = new Uint8Array(4);
    expect(c.readlink(path, buffer, 4)).toBe(4);
    expect(Buffer.from(buffer).toString()).toBe('abcd');
    for (const type of ['regular', 'directory', 'fifo'] as const) {
      refused(c.readlink(at.made(type), buffer, 4), EINVAL);
    }
  },
};

export const linkCases: Cases = {
  'link: the same inode under both names, whatever is changed through either': (at) => {
    for (const type of NOT_DIRECTORIES) {
      const [one, two, three] = [at.made(type), at.name(), at.name()];
      done(c.link(one, two));
      done(c.link(two, three));
      expect(c.lstat(one).nlink).toBe(3n);
      done(c.lchown(two, 12, 34));
      if (type !== 'symlink') done(c.chmod(three, 0o201));
      expect({ ...c.lstat(one) }).toEqual({ ...c.lstat(three) });
      done(c.unlink(one));
      expect(owner(three)).toEqual([12, 34]);
      expect(c.lstat(two).nlink).toBe(2n);
      done(c.unlink(two));
      done(c.unlink(three));
    }
  },
  'link: moves ctime of the file and both times of the directory; refused, it moves none': (at) => {
    for (const type of NOT_DIRECTORIES) {
      const directory = at.directory();
      const path = at.made(type);
      const alias = at.name(directory);
      moves(directory, { mtime: true, ctime: true }, () =>
        moves(path, { ctime: true, mtime: false }, () => done(c.link(path, alias))),
      );
      moves(directory, { mtime: false, ctime: false }, () =>
        moves(path, { ctime: false }, () => refused(c.link(path, alias), EEXIST)),
      );
    }
  },
  'link: a directory is EPERM, another filesystem EXDEV': (at) => {
    refused(c.link(at.directory(), at.name()), EPERM);
    refused(c.link(ELSEWHERE, at.name()), EXDEV);
    refused(c.link(at.file(), '/dev/shm/never'), EXDEV);
  },
  'link: takes the link itself, not what it leads to': (at) => {
    const target = at.file();
    const [alias, second] = [at.name(), at.name()];
    done(c.symlink(target, alias));
    done(c.link(alias, second));
    expect(readlinkSync(second)).toBe(target);
    expect(c.lstat(target).nlink).toBe(1n);
  },
  'link: from a file that was opened and then removed is ENOENT': (at) => {
    const path = at.file();
    const fd = done(c.open(path, O_RDONLY));
    done(c.unlink(path));
    refused(c.link(path, at.name()), ENOENT);
    refused(c.link(`/proc/self/fd/${fd}`, at.name()), EXDEV, ENOENT);
    c.close(fd);
  },
};

/** The name of a file that is there, in another case and in other bytes: names are bytes. */
export const nameCases: Cases = {
  'names: any bytes but slash and zero, upper and lower case, combined or not, are names of their own': (
    at,
  ) => {
    const directory = at.directory();
    const names = ['a', 'A', 'ä', 'a\u0308', ' ', '\n', '-rf', '...', '*', '\\', 'a.', '.a', '\u{1f600}'];
    for (const [i, name] of names.entries()) {
      const path = join(directory, name);
      make('regular', path);
      done(c.truncate(path, i + 1));
    }
    for (const [i, name] of names.entries()) expect(Number(c.lstat(join(directory, name)).size)).toBe(i + 1);
  },
  'names: a directory is as deep as somebody goes, also past the length of a path': (at: Place) => {
    const before = process.cwd();
    process.chdir(at.directory());
    const name = 'd'.repeat(200);
    try {
      for (let depth = 0; depth < 40; depth++) {
        done(c.mkdir(name, 0o755));
        process.chdir(name);
      }
      make('regular', 'deep');
      expect(c.lstat('deep').nlink).toBe(1n);
      done(c.unlink('deep'));
      for (let depth = 0; depth < 40; depth++) {
        process.chdir('..');
        done(c.rmdir(name));
      }
    } finally {
      process.chdir(before);
    }
    expect(basename(name).length).toBe(200);
  },
};

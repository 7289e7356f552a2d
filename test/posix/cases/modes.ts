/** chmod, fchmod, chown and their kin; what a write, a truncation or a new owner takes away; permission bits. */
import { expect } from 'vitest';
import { EACCES, EPERM } from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import {
  ALICE,
  BOB,
  type Cases,
  done,
  moves,
  NOT_DIRECTORIES,
  NOT_SYMLINKS,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  owner,
  permissions,
  refused,
  TYPES,
  withOpen,
} from '../place.ts';

const R_OK = 4;
const W_OK = 2;
const X_OK = 1;

export const chmodCases: Cases = {
  'chmod: sets the permission bits of every kind of file, also through a link': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type);
      for (const mode of [0o111, 0o7777, 0o4555, 0o2070, 0o1000, 0]) {
        done(c.chmod(path, mode));
        expect(permissions(path)).toBe(mode);
      }
      const alias = at.name();
      done(c.symlink(path, alias));
      done(c.chmod(alias, 0o321));
      expect(permissions(path)).toBe(0o321);
    }
  },
  'fchmod: sets them through a descriptor that may only read': (at) => {
    const path = at.file();
    withOpen(path, O_RDONLY, (fd) => done(c.fchmod(fd, 0o7501)));
    expect(permissions(path)).toBe(0o7501);
  },
  'chmod: moves ctime and nothing else; refused, it moves nothing': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type);
      moves(path, { ctime: true, mtime: false, atime: false }, () => done(c.chmod(path, 0o111)));
      moves(path, { ctime: true, mtime: false, atime: false }, () => done(c.chmod(path, 0o111)));
      moves(path, { ctime: false }, () =>
        refused(
          c.as(ALICE, () => c.chmod(path, 0o644)),
          EPERM,
        ),
      );
    }
  },
  'chmod: is for the owner and root; the group does not matter': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type, 0o777, ALICE);
      done(c.as(ALICE, () => c.chmod(path, 0o600)));
      for (const who of [BOB, { uid: BOB.uid, gid: ALICE.gid }]) {
        refused(
          c.as(who, () => c.chmod(path, 0o777)),
          EPERM,
        );
      }
      expect(permissions(path)).toBe(0o600);
    }
  },
  'chmod: set-group-ID is dropped when the owner is not in the group of a file, and kept when he is': (
    at,
  ) => {
    const path = at.file(0o644, { uid: ALICE.uid, gid: BOB.gid });
    done(c.as(ALICE, () => c.chmod(path, 0o2755)));
    expect(permissions(path)).toBe(0o755);
    done(c.as({ ...ALICE, groups: [BOB.gid] }, () => c.chmod(path, 0o2755)));
    expect(permissions(path)).toBe(0o2755);
    const own = at.file(0o644, ALICE);
    done(c.as(ALICE, () => c.chmod(own, 0o6755)));
    expect(permissions(own)).toBe(0o6755);
  },
  'chmod: the sticky bit can be set by the owner of a file and of a directory': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type, 0o644, ALICE);
      done(c.as(ALICE, () => c.chmod(path, 0o1644)));
      expect(permissions(path)).toBe(0o1644);
    }
  },
};

export const chownCases: Cases = {
  'chown: root sets owner and group of every kind of file, −1 leaves one as it is': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type);
      done(c.chown(path, 123, 456));
      expect(owner(path)).toEqual([123, 456]);
      done(c.chown(path, -1, 7));
      expect(owner(path)).toEqual([123, 7]);
      done(c.chown(path, 0, -1));
      expect(owner(path)).toEqual([0, 7]);
    }
  },
  'chown: follows a link, lchown does not': (at) => {
    const path = at.file();
    const alias = at.name();
    done(c.symlink(path, alias));
    done(c.chown(alias, 1, 2));
    expect([owner(path), owner(alias)]).toEqual([
      [1, 2],
      [0, 0],
    ]);
    done(c.lchown(alias, 3, 4));
    expect([owner(path), owner(alias)]).toEqual([
      [1, 2],
      [3, 4],
    ]);
    withOpen(path, O_RDONLY, (fd) => done(c.fchown(fd, 5, 6)));
    expect(owner(path)).toEqual([5, 6]);
  },
  'chown: the largest ids are kept': (at) => {
    const path = at.file();
    done(c.chown(path, 0xfffffffe | 0, 0xfffffffe | 0));
    expect(owner(path)).toEqual([0xfffffffe, 0xfffffffe]);
  },
  'chown: moves ctime and nothing else, also when nothing changes; refused, it moves nothing': (at) => {
    for (const type of TYPES) {
      const path = at.made(type);
      moves(path, { ctime: true, mtime: false, atime: false }, () => done(c.lchown(path, 1, 2)));
      moves(path, { ctime: true, mtime: false, atime: false }, () => done(c.lchown(path, 1, 2)));
      moves(path, { ctime: false }, () =>
        refused(
          c.as(ALICE, () => c.lchown(path, ALICE.uid, -1)),
          EPERM,
        ),
      );
    }
  },
  'chown: the owner may give the file to a group of his, and to nobody else': (at) => {
    for (const type of TYPES) {
      const path = at.made(type, 0o644, ALICE);
      const alice = { ...ALICE, groups: [70_001, 70_002] };
      done(c.as(alice, () => c.lchown(path, -1, 70_001)));
      done(c.as(alice, () => c.lchown(path, ALICE.uid, 70_002)));
      expect(owner(path)).toEqual([ALICE.uid, 70_002]);
      refused(
        c.as(alice, () => c.lchown(path, -1, BOB.gid)),
        EPERM,
      );
      refused(
        c.as(alice, () => c.lchown(path, BOB.uid, -1)),
        EPERM,
      );
      refused(
        c.as(BOB, () => c.lchown(path, BOB.uid, BOB.gid)),
        EPERM,
      );
      refused(
        c.as(BOB, () => c.lchown(path, -1, BOB.gid)),
        EPERM,
      );
      expect(owner(path)).toEqual([ALICE.uid, 70_002]);
    }
  },
  'chown: takes set-user-ID and set-group-ID of everything but directories, whoever calls': (at) => {
    for (const type of NOT_SYMLINKS) {
      const kept = type === 'directory' ? 0o6555 : 0o555;
      const path = at.made(type, 0o6555, ALICE);
      done(c.chown(path, ALICE.uid, 70_001));
      expect(permissions(path), type).toBe(kept);
      done(c.chown(path, ALICE.uid, ALICE.gid));
      done(c.chmod(path, 0o6555));
      done(c.as({ ...ALICE, groups: [70_001] }, () => c.chown(path, -1, 70_001)));
      expect(permissions(path), type).toBe(kept);
    }
  },
  'chown: of neither user nor group takes the same, if the file is the caller’s, and moves ctime': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type, 0o6555, ALICE);
      moves(path, { ctime: true, mtime: false }, () =>
        done(c.as({ uid: ALICE.uid, gid: BOB.gid }, () => c.chown(path, -1, -1))),
      );
      expect(permissions(path), type).toBe(type === 'directory' ? 0o6555 : 0o555);
      done(c.as(BOB, () => c.chown(path, -1, -1)));
      done(c.chmod(path, 0o6555));
      c.as(BOB, () => c.chown(path, -1, -1));
      expect(permissions(path), type).toBe(0o6555);
    }
  },
  'chown: set-group-ID without group execution means something else and stays': (at) => {
    const path = at.file(0o6745, ALICE);
    done(c.chown(path, ALICE.uid, ALICE.gid));
    expect(permissions(path)).toBe(0o2745);
  },
  'chown: set-group-ID without group execution goes when the owner is not in the group it was of': (at) => {
    const alice = { ...ALICE, groups: [70_001] };
    for (const [gid, left] of [
      [BOB.gid, 0o744],
      [ALICE.gid, 0o2744],
      [70_001, 0o2744],
    ] as const) {
      const path = at.file(0o6744, { uid: ALICE.uid, gid });
      done(c.as(alice, () => c.chown(path, -1, 70_001)));
      expect(permissions(path)).toBe(left);
    }
  },
};

export const privilegeCases: Cases = {
  'a write by another user takes set-user-ID and set-group-ID, one by root does not': (at) => {
    for (const [mode, left] of [
      [0o4777, 0o777],
      [0o2777, 0o777],
      [0o6777, 0o777],
      [0o2766, 0o766],
      [0o1777, 0o1777],
    ] as const) {
      const path = at.file(mode, ALICE);
      withOpen(path, O_WRONLY, (fd) => done(c.pwrite(fd, Uint8Array.of(1), 1, 0)));
      expect(permissions(path)).toBe(mode);
      c.as(BOB, () => withOpen(path, O_WRONLY, (fd) => done(c.pwrite(fd, Uint8Array.of(1), 1, 0))));
      expect(permissions(path), mode.toString(8)).toBe(left);
    }
  },
  'a write by the owner takes them too': (at) => {
    const path = at.file(0o6777, ALICE);
    c.as(ALICE, () => withOpen(path, O_RDWR, (fd) => done(c.pwrite(fd, Uint8Array.of(1), 1, 0))));
    expect(permissions(path)).toBe(0o777);
  },
  'truncate, ftruncate and O_TRUNC by another user take them, also when the size stays': (at) => {
    const truncations: Readonly<Record<string, (path: string) => number>> = {
      truncate: (path) => c.truncate(path, 0),
      longer: (path) => c.truncate(path, 9),
      ftruncate: (path) => withOpen(path, O_WRONLY, (fd) => c.ftruncate(fd, 1)),
    };
    for (const [name, shorten] of Object.entries(truncations)) {
      const path = at.file(0o6777, ALICE);
      done(c.as(BOB, () => shorten(path)));
      expect(permissions(path), name).toBe(0o777);
    }
    const path = at.file(0o6777, ALICE);
    withOpen(path, O_WRONLY, (fd) => done(c.pwrite(fd, Uint8Array.of(1), 1, 0)));
    c.as(BOB, () => withOpen(path, O_WRONLY | O_TRUNC, () => 0));
    expect(permissions(path)).toBe(0o777);
    expect(Number(c.stat(path).size)).toBe(0);
  },
};

const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;

export const allocationPrivilegeCases: Cases = {
  'fallocate of any kind by another user takes set-user-ID and set-group-ID': (at) => {
    for (const mode of [0, KEEP_SIZE, KEEP_SIZE | PUNCH_HOLE, ZERO_RANGE]) {
      const path = at.file(0o6777, ALICE);
      done(c.truncate(path, 8192));
      withOpen(path, O_WRONLY, (fd) => done(c.fallocate(fd, mode, 0, 4096)));
      expect(permissions(path)).toBe(0o6777);
      c.as(BOB, () => withOpen(path, O_WRONLY, (fd) => done(c.fallocate(fd, mode, 0, 4096))));
      expect(permissions(path), `mode ${mode}`).toBe(0o777);
    }
  },
  'set-group-ID without group execution goes where the writer is not in the group, and stays where he is': (
    at,
  ) => {
    const changes: readonly ((path: string) => number)[] = [
      (path) => withOpen(path, O_WRONLY, (fd) => c.pwrite(fd, Uint8Array.of(1), 1, 0)),
      (path) => c.truncate(path, 3),
      (path) => withOpen(path, O_WRONLY, (fd) => c.fallocate(fd, 0, 0, 10)),
    ];
    for (const change of changes) {
      const path = at.file(0o6666, ALICE);
      const member = { ...BOB, groups: [70_009, ALICE.gid] };
      done(c.as(member, () => change(path)));
      expect(permissions(path)).toBe(0o2666);
      done(c.as({ uid: BOB.uid, gid: ALICE.gid }, () => change(path)));
      expect(permissions(path)).toBe(0o2666);
      done(c.as(BOB, () => change(path)));
      expect(permissions(path)).toBe(0o666);
    }
  },
};

export const permissionCases: Cases = {
  'permission bits: those of the first that fits count, the owner, the group, the others': (at) => {
    const path = at.file(0, ALICE);
    const member = { uid: BOB.uid, gid: BOB.gid, groups: [ALICE.gid] };
    const others = { uid: BOB.uid, gid: BOB.gid };
    for (const [who, shift] of [
      [ALICE, 6],
      [{ uid: BOB.uid, gid: ALICE.gid }, 3],
      [member, 3],
      [others, 0],
    ] as const) {
      for (let bits = 0; bits < 8; bits++) {
        done(c.chmod(path, (bits << shift) | (~(7 << shift) & 0o777)));
        for (const wanted of [R_OK, W_OK, X_OK]) {
          const answer = c.as(who, () => c.access(path, wanted));
          if ((bits & wanted) !== 0) done(answer);
          else refused(answer, EACCES);
        }
        const opened = c.as(who, () => {
          const fd = c.open(path, O_RDWR);
          return fd < 0 ? fd : c.close(fd);
        });
        if ((bits & 6) === 6) done(opened);
        else refused(opened, EACCES);
      }
    }
  },
  'permission bits: root reads and writes everything, and executes what anybody may': (at) => {
    const path = at.file(0);
    done(c.access(path, R_OK | W_OK));
    refused(c.access(path, X_OK), EACCES);
    done(c.chmod(path, 0o001));
    done(c.access(path, X_OK));
    done(c.access(at.directory(0), R_OK | W_OK | X_OK));
  },
  'a directory: reading lists it, searching leads through it, and neither does the other': (at) => {
    const directory = at.directory(0o444, ALICE);
    const path = at.file(0o644, ALICE, directory);
    c.as(ALICE, () => {
      done(c.access(directory, R_OK));
      refused(c.access(path, 0), EACCES);
      done(c.chmod(directory, 0o111));
      refused(c.open(directory, O_RDONLY), EACCES);
      done(c.access(path, R_OK));
    });
  },
  'fchmod and fchown: a descriptor leads past directories that were closed': (at) => {
    const directory = at.directory(0o755, ALICE);
    const path = at.file(0o644, ALICE, directory);
    c.as(ALICE, () =>
      withOpen(path, O_RDWR, (fd) => {
        done(c.chmod(directory, 0));
        done(c.fchmod(fd, 0o600));
        done(c.ftruncate(fd, 5));
        refused(c.chmod(path, 0o644), EACCES);
        done(c.chmod(directory, 0o700));
      }),
    );
    expect(permissions(path)).toBe(0o600);
    for (const type of NOT_DIRECTORIES)
      expect(permissions(at.made(type, 0o640, BOB))).toBe(type === 'symlink' ? 0o777 : 0o640);
  },
};

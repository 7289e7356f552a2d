/** utimensat: which times change, to what, and for whom. */
import { expect } from 'vitest';
import { EACCES, EINVAL, EPERM } from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import {
  ALICE,
  BOB,
  type Cases,
  done,
  moves,
  NOT_SYMLINKS,
  O_DIRECT,
  O_RDWR,
  refused,
  TYPES,
  withOpen,
} from '../place.ts';

const O_NOATIME = 0o1000000;

const YEAR_1901 = -2_147_483_647;
/** Nearly the last second of ext4, in the year 2446. */
const LAST_OF_EXT4 = 15_032_385_534;
const YEAR_5138 = 100_000_000_000;

function ns([seconds, nanoseconds]: c.Time): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

export const timeCases: Cases = {
  'utimensat: sets both times of every kind of file to the nanosecond, and ctime to now': (at) => {
    for (const type of TYPES) {
      const path = at.made(type);
      const [atime, mtime]: c.Time[] = [
        [1_000_000_000, 123_456_789],
        [1_100_000_000, 1],
      ];
      moves(path, { ctime: true }, () => done(c.utimens(path, [atime!, mtime!], false)));
      const seen = c.lstat(path);
      expect([seen.atimeNs, seen.mtimeNs]).toEqual([ns(atime!), ns(mtime!)]);
    }
  },
  'utimensat: before 1970, after 2038 and after 2106': (at) => {
    const path = at.file();
    const seconds = [-1, YEAR_1901, 2 ** 31, 2 ** 32 + 5, LAST_OF_EXT4, ...(at.isVexfs ? [YEAR_5138] : [])];
    for (const second of seconds) {
      const time: c.Time = [second, 999_999_999];
      done(c.utimens(path, [time, time]));
      expect([c.stat(path).atimeNs, c.stat(path).mtimeNs]).toEqual([ns(time), ns(time)]);
    }
  },
  'utimensat: OMIT leaves a time as it is, NOW sets it to now': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type);
      const old: c.Time = [5, 5];
      done(c.utimens(path, [old, old]));
      done(c.utimens(path, [c.OMIT, [7, 7]]));
      expect([c.lstat(path).atimeNs, c.lstat(path).mtimeNs]).toEqual([ns(old), ns([7, 7])]);
      done(c.utimens(path, [[8, 8], c.OMIT]));
      expect([c.lstat(path).atimeNs, c.lstat(path).mtimeNs]).toEqual([ns([8, 8]), ns([7, 7])]);
      moves(path, { atime: false, mtime: false, ctime: false }, () =>
        done(c.utimens(path, [c.OMIT, c.OMIT])),
      );
      moves(path, { atime: true, mtime: false, ctime: true }, () => done(c.utimens(path, [c.NOW, c.OMIT])));
      moves(path, { atime: false, mtime: true, ctime: true }, () => done(c.utimens(path, [c.OMIT, c.NOW])));
      done(c.utimens(path));
      const { atimeNs, mtimeNs } = c.lstat(path);
      const now = BigInt(Date.now()) * 1_000_000n;
      for (const time of [atimeNs, mtimeNs]) expect(Math.abs(Number(now - time))).toBeLessThan(5e9);
    }
  },
  'utimensat: follows a link unless told otherwise': (at) => {
    const path = at.file();
    const alias = at.name();
    done(c.symlink(path, alias));
    done(
      c.utimens(alias, [
        [1, 0],
        [2, 0],
      ]),
    );
    done(
      c.utimens(
        alias,
        [
          [3, 0],
          [4, 0],
        ],
        false,
      ),
    );
    expect([c.stat(path).mtimeNs, c.lstat(alias).mtimeNs]).toEqual([2_000_000_000n, 4_000_000_000n]);
  },
  'utimensat: any time is for the owner and root, now is also for who may write': (at) => {
    for (const type of NOT_SYMLINKS) {
      const path = at.made(type, 0o644, ALICE);
      const given: readonly [c.Time, c.Time] = [
        [1, 1],
        [2, 2],
      ];
      done(c.as(ALICE, () => c.utimens(path, given)));
      refused(
        c.as(BOB, () => c.utimens(path, given)),
        EPERM,
      );
      refused(
        c.as(BOB, () => c.utimens(path)),
        EACCES,
      );
      refused(
        c.as(BOB, () => c.utimens(path, [c.NOW, c.NOW])),
        EACCES,
      );
      done(c.chmod(path, 0o666));
      done(c.as(BOB, () => c.utimens(path)));
      done(c.as(BOB, () => c.utimens(path, [c.NOW, c.NOW])));
      refused(
        c.as(BOB, () => c.utimens(path, given)),
        EPERM,
      );
      refused(
        c.as(BOB, () => c.utimens(path, [c.NOW, c.OMIT])),
        EPERM,
      );
      refused(
        c.as(BOB, () => c.utimens(path, [c.OMIT, c.NOW])),
        EPERM,
      );
      done(c.chmod(path, 0o444));
      done(c.as(ALICE, () => c.utimens(path)));
    }
  },
  'a file that is opened with O_NOATIME keeps its access time': (at) => {
    const length = 300_000;
    const path = at.file();
    const bytes = new Uint8Array(length);
    withOpen(path, O_RDWR, (fd) => c.pwrite(fd, bytes, length, 0));
    done(
      c.utimens(path, [
        [1, 0],
        [2, 0],
      ]),
    );
    moves(path, { atime: false }, () =>
      withOpen(path, O_NOATIME, (fd) => expect(c.pread(fd, bytes, length, 0)).toBe(length)),
    );
    const direct = c.aligned(4096);
    moves(path, { atime: false }, () =>
      withOpen(path, O_NOATIME | O_DIRECT, (fd) => expect(c.pread(fd, direct, 4096, 0)).toBe(4096)),
    );
    moves(path, { atime: true }, () =>
      withOpen(path, O_DIRECT, (fd) => expect(c.pread(fd, direct, 4096, 0)).toBe(4096)),
    );
  },
  'utimensat: EINVAL for nanoseconds that are none': (at) => {
    const path = at.file();
    for (const nanoseconds of [-1, 1_000_000_000]) {
      refused(
        c.utimens(path, [
          [0, nanoseconds],
          [0, 0],
        ]),
        EINVAL,
      );
      refused(
        c.utimens(path, [
          [0, 0],
          [0, nanoseconds],
        ]),
        EINVAL,
      );
    }
  },
};

/** open's flags, truncate and ftruncate, posix_fallocate and fallocate, running programs, what reads and writes do to times. */

import { spawn } from 'node:child_process';
import { copyFileSync, fsyncSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import {
  EACCES,
  EBADF,
  EEXIST,
  EFBIG,
  EINVAL,
  EISDIR,
  ELOOP,
  ENODEV,
  ENOTDIR,
  ENXIO,
  EOPNOTSUPP,
  ETXTBSY,
} from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import {
  ALICE,
  BOB,
  type Cases,
  done,
  moves,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  refused,
  withOpen,
} from '../place.ts';

const ESPIPE = 29;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const FALLOC_FL_ZERO_RANGE = 16;
/** Inline, at an edge of pages, and in an object file. */
const SIZES = [0, 1, 4096, 65_537, 323_456] as const;

/** Puts `bytes` bytes of a pattern into the file. */
function fill(path: string, bytes: number): void {
  withOpen(path, O_WRONLY, (fd) => {
    const data = pattern(bytes);
    if (bytes > 0) expect(c.pwrite(fd, data, bytes, 0)).toBe(bytes);
  });
}

const PATTERN = Uint8Array.from({ length: 400_000 }, (_, i) => 1 + (i % 251));

function pattern(bytes: number): Uint8Array {
  return PATTERN.slice(0, bytes);
}

function expectBytes(path: string, wanted: Uint8Array): void {
  expect(Buffer.compare(readFileSync(path), wanted), 'contents').toBe(0);
}

export const openCases: Cases = {
  'open: O_CREAT makes what is not there; with O_EXCL what is there is EEXIST, also a link': (at) => {
    const path = at.name();
    withOpen(path, O_CREAT | O_EXCL | O_RDWR, () => 0);
    refused(c.open(path, O_CREAT | O_EXCL, 0o644), EEXIST);
    const dangling = at.name();
    done(c.symlink(at.name(), dangling));
    refused(c.open(dangling, O_CREAT | O_EXCL, 0o644), EEXIST);
    withOpen(dangling, O_CREAT | O_WRONLY, () => 0);
    expect(c.stat(dangling).size).toBe(0n);
  },
  'open: a mode without permissions is for later: who made the file has it open': (at) => {
    const path = at.name(at.directory(0o777));
    c.as(ALICE, () => {
      const fd = done(c.open(path, O_CREAT | O_RDWR, 0));
      expect(c.pwrite(fd, Uint8Array.of(1), 1, 0)).toBe(1);
      done(c.close(fd));
      refused(c.open(path, O_RDONLY), EACCES);
    });
  },
  'open: an existing file keeps times, mode and owner with O_CREAT; O_TRUNC moves mtime and ctime': (at) => {
    const path = at.file(0o644);
    fill(path, 10);
    moves(path, { mtime: false, ctime: false }, () => withOpen(path, O_CREAT | O_RDWR, () => 0));
    moves(path, { mtime: true, ctime: true }, () => withOpen(path, O_WRONLY | O_TRUNC, () => 0));
    expect(c.stat(path).size).toBe(0n);
    moves(path, { mtime: true, ctime: true }, () => withOpen(path, O_WRONLY | O_TRUNC, () => 0));
  },
  'open: O_TRUNC needs the right to write, also for an empty file': (at) => {
    const path = at.file(0o444, BOB);
    refused(
      c.as(ALICE, () => c.open(path, O_RDONLY | O_TRUNC)),
      EACCES,
    );
    refused(
      c.as(ALICE, () => c.open(path, O_WRONLY)),
      EACCES,
    );
  },
  'open: directories are EISDIR for writing; O_DIRECTORY is ENOTDIR for others; O_NOFOLLOW ELOOP for links': (
    at,
  ) => {
    const directory = at.directory();
    for (const flags of [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_TRUNC, O_CREAT | O_RDONLY]) {
      refused(c.open(directory, flags, 0o644), EISDIR);
    }
    refused(c.open(at.file(), O_RDONLY | O_DIRECTORY), ENOTDIR);
    const alias = at.name();
    done(c.symlink(at.file(), alias));
    refused(c.open(alias, O_RDONLY | O_NOFOLLOW), ELOOP);
    refused(c.open(alias, O_CREAT | O_RDWR | O_NOFOLLOW, 0o644), ELOOP);
    refused(c.open(`${at.file()}/`, O_RDONLY), ENOTDIR);
    refused(c.open(`${at.name()}/`, O_CREAT | O_WRONLY, 0o644), EISDIR);
  },
  'open: a FIFO without a reader is ENXIO, a socket too, and a device without driver': (at) => {
    refused(c.open(at.made('fifo'), O_WRONLY | O_NONBLOCK), ENXIO);
    refused(c.open(at.made('socket'), O_RDONLY), ENXIO);
    const device = at.name();
    done(c.mknod(device, 0o020644, 0xff_e3));
    refused(c.open(device, O_RDONLY), ENXIO, EACCES, ENODEV);
  },
  'open: a FIFO carries bytes between two opens': (at) => {
    const path = at.made('fifo');
    withOpen(path, O_RDWR | O_NONBLOCK, (reader) =>
      withOpen(path, O_WRONLY | O_NONBLOCK, (writer) => {
        refused(c.pwrite(writer, Uint8Array.of(5), 1, 0), ESPIPE);
        expect(c.stat(path).size).toBe(0n);
        refused(c.lseek(reader, 0, 0), ESPIPE);
      }),
    );
  },
  'open: O_APPEND writes at the end, whatever another descriptor has added': (at) => {
    const path = at.file();
    withOpen(path, O_WRONLY | O_APPEND, (one) =>
      withOpen(path, O_WRONLY | O_APPEND, (two) => {
        for (const [fd, byte] of [
          [one, 1],
          [two, 2],
          [one, 3],
          [two, 4],
        ] as const) {
          done(c.pwrite(fd, Uint8Array.of(byte), 1, 0));
        }
      }),
    );
    expectBytes(path, Uint8Array.of(1, 2, 3, 4));
  },
  'open: what was opened for one thing only is EBADF for the other': (at) => {
    const path = at.file();
    fill(path, 4);
    withOpen(path, O_RDONLY, (fd) => {
      refused(c.pwrite(fd, Uint8Array.of(1), 1, 0), EBADF);
      refused(c.ftruncate(fd, 0), EINVAL, EBADF);
    });
    withOpen(path, O_WRONLY, (fd) => refused(c.pread(fd, new Uint8Array(1), 1, 0), EBADF));
  },
};

export const truncateCases: Cases = {
  'truncate and ftruncate: any size from any size; what is cut is gone, what is new is zero': (at) => {
    for (const from of SIZES) {
      for (const to of SIZES) {
        const path = at.file();
        fill(path, from);
        if (from > to) done(c.truncate(path, to));
        else withOpen(path, O_RDWR, (fd) => done(c.ftruncate(fd, to)));
        const wanted = new Uint8Array(to);
        wanted.set(pattern(from).subarray(0, to));
        expectBytes(path, wanted);
        const longer = to + 100;
        done(c.truncate(path, longer));
        const padded = new Uint8Array(longer);
        padded.set(wanted);
        expectBytes(path, padded);
        done(c.unlink(path));
      }
    }
  },
  'truncate: moves mtime and ctime, also when the size stays; refused, it moves nothing': (at) => {
    const path = at.file(0o644);
    fill(path, 100);
    for (const size of [10, 10, 200]) {
      moves(path, { mtime: true, ctime: true }, () => done(c.truncate(path, size)));
      moves(path, { mtime: true, ctime: true }, () =>
        withOpen(path, O_WRONLY, (fd) => done(c.ftruncate(fd, size + 1))),
      );
    }
    moves(path, { mtime: false, ctime: false }, () =>
      refused(
        c.as(ALICE, () => c.truncate(path, 0)),
        EACCES,
      ),
    );
  },
  'truncate: EISDIR for a directory, EINVAL below zero, EFBIG beyond what the filesystem can hold': (at) => {
    refused(c.truncate(at.directory(), 0), EISDIR);
    refused(c.truncate(at.file(), -1), EINVAL);
    withOpen(at.file(), O_RDWR, (fd) => refused(c.ftruncate(fd, -1), EINVAL));
    refused(c.truncate(at.file(), Number.MAX_SAFE_INTEGER + 1), EFBIG, EINVAL);
  },
  'truncate: a FIFO, socket or device is EINVAL': (at) => {
    for (const type of ['fifo', 'socket', 'block'] as const) refused(c.truncate(at.made(type), 0), EINVAL);
  },
  'truncate: a running program is ETXTBSY, for writing and for opening, and can be removed': (at) => {
    const path = at.file(0o755);
    copyFileSync('/bin/sleep', path);
    done(c.chmod(path, 0o755));
    const child = spawn(path, ['30'], { stdio: 'ignore' });
    try {
      // Until exec has taken the program: the same call would truncate it.
      const deadline = performance.now() + 10_000;
      while (
        readFileSync(`/proc/${child.pid}/comm`, 'utf8').trim() === 'node' &&
        performance.now() < deadline
      );
      refused(c.open(path, O_WRONLY), ETXTBSY);
      refused(c.open(path, O_WRONLY | O_TRUNC), ETXTBSY);
      refused(c.truncate(path, 1), ETXTBSY);
      done(c.unlink(path));
    } finally {
      child.kill('SIGKILL');
    }
  },
};

export const allocateCases: Cases = {
  'posix_fallocate: the file is as long as asked, what was in it stays, and the rest is zero': (at) => {
    for (const size of SIZES) {
      const path = at.file();
      fill(path, size);
      withOpen(path, O_RDWR, (fd) => {
        done(c.posixFallocate(fd, size + 10, 100));
        done(c.posixFallocate(fd, 0, 1));
      });
      const wanted = new Uint8Array(size + 110);
      wanted.set(pattern(size));
      expectBytes(path, wanted);
    }
  },
  'posix_fallocate: moves ctime where it makes the file longer': (at) => {
    const path = at.file();
    moves(path, { ctime: true }, () => withOpen(path, O_RDWR, (fd) => done(c.posixFallocate(fd, 0, 567))));
    expect(c.stat(path).size).toBe(567n);
  },
  'posix_fallocate: EINVAL for no length or a negative place, EBADF for a descriptor that only reads': (
    at,
  ) => {
    const path = at.file();
    withOpen(path, O_RDWR, (fd) => {
      refused(c.posixFallocate(fd, 0, 0), EINVAL);
      refused(c.posixFallocate(fd, 0, -1), EINVAL);
      refused(c.posixFallocate(fd, -1, 1), EINVAL);
      refused(c.posixFallocate(fd, Number.MAX_SAFE_INTEGER, 1000), EFBIG);
    });
    withOpen(path, O_RDONLY, (fd) => refused(c.posixFallocate(fd, 0, 1), EBADF));
    withOpen(at.made('fifo'), O_RDWR | O_NONBLOCK, (fd) => refused(c.posixFallocate(fd, 0, 1), ESPIPE));
    withOpen(at.directory(), O_RDONLY, (fd) => refused(c.posixFallocate(fd, 0, 1), EBADF, EISDIR));
  },
  'fallocate: moves mtime and ctime whatever it does, also where there is nothing to do': (at) => {
    const path = at.file();
    done(c.truncate(path, 100));
    withOpen(path, O_RDWR, (fd) => {
      for (const [mode, start, length] of [
        [0, 0, 50],
        [0, 0, 200],
        [FALLOC_FL_KEEP_SIZE, 0, 50],
        [FALLOC_FL_KEEP_SIZE, 1000, 50],
        [FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 10, 20],
        [FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 1000, 20],
        [FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE, 1000, 20],
        [FALLOC_FL_ZERO_RANGE, 300, 20],
      ] as const)
        moves(path, { mtime: true, ctime: true }, () => done(c.fallocate(fd, mode, start, length)));
    });
    expect(c.stat(path).size).toBe(320n);
  },
  'fallocate: keeps the size, punches holes and zeroes as asked': (at) => {
    for (const size of [3000, 300_000]) {
      const path = at.file();
      fill(path, size);
      const wanted = pattern(size);
      withOpen(path, O_RDWR, (fd) => {
        done(c.fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size * 2));
        expect(c.stat(path).size).toBe(BigInt(size));
        done(c.fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 100, 1000));
        wanted.fill(0, 100, 1100);
        done(c.fallocate(fd, FALLOC_FL_ZERO_RANGE, size - 10, 20));
        refused(c.fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
        refused(c.fallocate(fd, 1 << 30, 0, 10), EOPNOTSUPP);
      });
      const longer = new Uint8Array(size + 10);
      longer.set(wanted.subarray(0, size - 10));
      expectBytes(path, longer);
    }
  },
};

export const writeCases: Cases = {
  'write: moves mtime and ctime; reading moves neither; nothing written moves nothing': (at) => {
    for (const size of [10, 200_000]) {
      const path = at.file();
      fill(path, size);
      withOpen(path, O_RDWR, (fd) => {
        moves(path, { mtime: true, ctime: true }, () => done(c.pwrite(fd, Uint8Array.of(1), 1, 0)));
        moves(path, { mtime: false, ctime: false }, () => done(c.pread(fd, new Uint8Array(1), 1, 0)));
        moves(path, { mtime: false, ctime: false }, () =>
          expect(c.pwrite(fd, new Uint8Array(1), 0, 0)).toBe(0),
        );
      });
    }
  },
  'write: beyond the end leaves zeros between; a file may be sparse to nearly its largest size': (at) => {
    const path = at.file();
    const far = 2 ** 43;
    withOpen(path, O_RDWR, (fd) => {
      done(c.pwrite(fd, Uint8Array.of(9), 1, 50_000));
      done(c.pwrite(fd, Uint8Array.of(8), 1, far));
      expect(c.stat(path).size).toBe(BigInt(far + 1));
      const read = new Uint8Array(3);
      expect(c.pread(fd, read, 3, far - 2)).toBe(3);
      expect([...read]).toEqual([0, 0, 8]);
      expect(c.pread(fd, read, 3, 49_998)).toBe(3);
      expect([...read]).toEqual([0, 0, 9]);
      expect(c.pread(fd, read, 3, far + 1)).toBe(0);
    });
    expect(Number(c.stat(path).blocks)).toBeLessThan(100_000);
    done(c.truncate(path, 0));
  },
  'blocks: what was written takes them, a hole takes none, and what is punched gives them back': (at) => {
    const path = at.file();
    const mebibyte = 1 << 20;
    const blocks = () => Number(c.stat(path).blocks);
    done(c.truncate(path, 8 * mebibyte));
    expect(blocks()).toBeLessThan(100);
    // With writeback the kernel asks how many there are after a close.
    withOpen(path, O_RDWR, (fd) => {
      expect(c.pwrite(fd, new Uint8Array(mebibyte).fill(7), mebibyte, 4 * mebibyte)).toBe(mebibyte);
      fsyncSync(fd);
    });
    expect(blocks()).toBeGreaterThanOrEqual(mebibyte / 512);
    expect(blocks()).toBeLessThan((2 * mebibyte) / 512);
    withOpen(path, O_RDWR, (fd) => {
      done(c.fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 4 * mebibyte, mebibyte));
    });
    expect(blocks()).toBeLessThan(100);
  },
};

/** Several descriptors of one file: locks, mappings, direct and synchronous writes beside cached ones. */
import { expect } from 'vitest';
import { EAGAIN, EINVAL } from '../../../runtime/errno.ts';
import * as c from '../calls.ts';
import { type Cases, done, moves, O_DIRECT, O_RDONLY, O_RDWR, refused, withOpen } from '../place.ts';

const O_SYNC = 0o4010000;
const PAGE = 4096;
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

export const sharingCases: Cases = {
  'flock: exclusive keeps others out, shared lets shared in, closing gives back': (at) => {
    const path = at.file();
    withOpen(path, O_RDONLY, (one) => {
      withOpen(path, O_RDWR, (two) => {
        done(c.flock(one, LOCK_EX | LOCK_NB));
        refused(c.flock(two, LOCK_SH | LOCK_NB), EAGAIN);
        done(c.flock(one, LOCK_SH | LOCK_NB));
        done(c.flock(two, LOCK_SH | LOCK_NB));
        refused(c.flock(one, LOCK_EX | LOCK_NB), EAGAIN);
        done(c.flock(one, LOCK_UN));
        done(c.flock(two, LOCK_EX | LOCK_NB));
      });
      done(c.flock(one, LOCK_EX | LOCK_NB));
    });
  },
  'locks of ranges: what overlaps is kept out, what does not is let in': (at) => {
    const path = at.file();
    withOpen(path, O_RDWR, (one) =>
      withOpen(path, O_RDWR, (two) => {
        done(c.lockRange(one, true, 10, 10));
        refused(c.lockRange(two, false, 19, 5), EAGAIN);
        done(c.lockRange(two, true, 20, 5));
        done(c.lockRange(two, false, 0, 10));
        refused(c.lockRange(one, true, 5, 20), EAGAIN);
      }),
    );
  },
  'a direct write is seen by cached reads at once, and a cached one by direct reads': (at) => {
    const path = at.file();
    const page = (byte: number): Uint8Array => c.aligned(PAGE).fill(byte);
    withOpen(path, O_RDWR | O_DIRECT, (direct) =>
      withOpen(path, O_RDWR | O_SYNC, (cached) => {
        const read = c.aligned(PAGE);
        for (let byte = 1; byte < 20; byte += 2) {
          expect(c.pwrite(direct, page(byte), PAGE, 0)).toBe(PAGE);
          expect(c.pread(cached, read, PAGE, 0)).toBe(PAGE);
          expect(read.every((seen) => seen === byte)).toBe(true);
          expect(c.pwrite(cached, page(byte + 1), PAGE, 0)).toBe(PAGE);
          expect(c.pread(direct, read, PAGE, 0)).toBe(PAGE);
          expect(read.every((seen) => seen === byte + 1)).toBe(true);
        }
        expect(c.pread(direct, read, PAGE, PAGE)).toBe(0);
      }),
    );
  },
  'a write through a mapping is in the file and moves mtime and ctime once it was synced': (at) => {
    for (const size of [100, 100_000]) {
      const path = at.file();
      done(c.truncate(path, size));
      withOpen(path, O_RDWR, (fd) => {
        moves(path, { mtime: true, ctime: true }, () => {
          done(c.writeMapped(fd, size, size - 1, 7));
        });
        const read = new Uint8Array(2);
        expect(c.pread(fd, read, 2, size - 2)).toBe(2);
        expect([...read]).toEqual([0, 7]);
      });
    }
  },
  'seek: data and holes cover the file, and beyond it there is nothing': (at) => {
    const path = at.file();
    const [SEEK_DATA, SEEK_HOLE] = [3, 4];
    withOpen(path, O_RDWR, (fd) => {
      done(c.pwrite(fd, new Uint8Array(PAGE).fill(1), PAGE, 1_048_576));
      const size = 1_048_576 + PAGE;
      const data = c.lseek(fd, 0, SEEK_DATA);
      expect(data).toBeLessThanOrEqual(1_048_576);
      expect(c.lseek(fd, 1_048_576, SEEK_DATA)).toBe(1_048_576);
      expect(c.lseek(fd, 1_048_576, SEEK_HOLE)).toBe(size);
      refused(c.lseek(fd, size, SEEK_DATA), 6);
      refused(c.lseek(fd, size, SEEK_HOLE), 6);
      refused(c.lseek(fd, -1, 0), EINVAL);
      expect(c.lseek(fd, 0, 2)).toBe(size);
    });
  },
};

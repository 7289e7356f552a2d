/**
 * All access of the store to its disk goes through this interface, so that tests can drop unsynced bytes,
 * fail any call and cut the power between any two.
 *
 * Paths are relative to the store and use '/'. Calls block; they return a negative errno on failure. Writes
 * are whole or an error (a short write is continued); reads are short only at the end of the file.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { EDQUOT, EIO, ENOSPC } from '../errno.ts';
import { allocate, allocatedBytes, lseek, punchHole, startWriting } from '../system/libc.ts';
import { FileSyncs } from '../system/sync-files.ts';

export interface FileStatus {
  readonly bytes: number;
  readonly directory: boolean;
  /** What the file takes of the disk, bytes; a disk that cannot say does without. */
  readonly allocated?: number;
}

/** Of an open file: its length, and when its bytes changed last. */
export interface OpenStatus {
  readonly bytes: number;
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface DiskSpace {
  readonly bytes: number;
  readonly freeBytes: number;
}

export interface Disk {
  /** 'read' and 'write' need the file to exist, 'create' needs it not to. Returns a descriptor. */
  open(path: string, mode: 'read' | 'write' | 'create'): number;
  close(descriptor: number): void;
  pread(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number;
  pwrite(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number;
  writev(descriptor: number, parts: readonly Uint8Array[], position: number): number;
  truncate(descriptor: number, bytes: number): number;
  /** Makes a range within the file a hole, which reads as zeros. −EOPNOTSUPP where there are no holes. */
  punch?(descriptor: number, start: number, length: number): number;
  /** fallocate(2): the file has `bytes`, all of them really taken of the disk; else −errno. −EOPNOTSUPP where there is no such promise. */
  allocate?(descriptor: number, bytes: number): number;
  /** lseek(2) with SEEK_DATA (3) or SEEK_HOLE (4); −ENXIO where `position` is beyond the data, or the end. */
  seek?(descriptor: number, position: number, whence: number): number;
  /** A disk without it has no files that others write to. */
  statOpen?(descriptor: number): OpenStatus | number;
  /**
   * Has the disk begin with what was written to a range, of `length` 0 up to the end. It makes nothing durable, but the fdatasync that does has less to wait for. A disk
   * without it begins when it is synced.
   */
  startWriting?(descriptor: number, start: number, length: number): number;
  fdatasync(descriptor: number): number;
  /** The same for several files, which need not wait for each other. A disk without it is asked file by file. */
  fdatasyncAll?(descriptors: readonly number[]): number;
  /** Names in a directory, sorted, without "." and "..". */
  list(path: string): string[] | number;
  stat(path: string): FileStatus | number;
  /** What a file takes of the disk, bytes. A disk without it has no holes, as far as anybody is to know. */
  allocated?(path: string): number;
  mkdir(path: string): number;
  rmdir(path: string): number;
  rename(from: string, to: string): number;
  unlink(path: string): number;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): number;
  /** Makes everything written so far through any descriptor durable, even by a process that has died. */
  syncAll(): number;
  space(): DiskSpace | number;
}

const syncfs = koffi.load(null).func('int syncfs(int fd)');

const FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

/** The −errno of a failed `fs` call, that of a full disk also for a quota that is used up; anything else is a bug and is thrown on. */
function errnoOf(error: unknown): number {
  if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') {
    if (error.errno === -EDQUOT) return -ENOSPC;
    return error.errno < 0 ? error.errno : -EIO;
  }
  throw error;
}

export class HostDisk implements Disk {
  readonly root: string;
  /** Made when it is needed: most threads never sync two files at once. */
  #syncs: FileSyncs | undefined;

  constructor(root: string) {
    this.root = root;
  }

  open(path: string, mode: 'read' | 'write' | 'create'): number {
    try {
      return fs.openSync(join(this.root, path), FLAGS[mode] | fs.constants.O_NOFOLLOW, 0o600);
    } catch (error) {
      return errnoOf(error);
    }
  }

  close(descriptor: number): void {
    try {
      fs.closeSync(descriptor);
    } catch (error) {
      errnoOf(error);
    }
  }

  pread(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    let done = 0;
    try {
      while (done < length) {
        const got = fs.readSync(descriptor, u8, start + done, length - done, position + done);
        if (got === 0) break;
        done += got;
      }
      return done;
    } catch (error) {
      return errnoOf(error);
    }
  }

  pwrite(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    let done = 0;
    try {
      while (done < length) {
        done += fs.writeSync(descriptor, u8, start + done, length - done, position + done);
      }
      return done;
    } catch (error) {
      return errnoOf(error);
    }
  }

  writev(descriptor: number, parts: readonly Uint8Array[], position: number): number {
    let total = 0;
    for (const part of parts) total += part.length;
    try {
      const done = fs.writevSync(descriptor, parts, position);
      return done === total ? total : this.#continue(descriptor, parts, position, done, total);
    } catch (error) {
      return errnoOf(error);
    }
  }

  /** The rest of a short writev, part by part. */
  #continue(
    descriptor: number,
    parts: readonly Uint8Array[],
    position: number,
    done: number,
    total: number,
  ): number {
    let before = 0;
    for (const part of parts) {
      const skip = Math.min(part.length, Math.max(0, done - before));
      if (skip < part.length) {
        const wrote = this.pwrite(descriptor, part, skip, part.length - skip, position + before + skip);
        if (wrote < 0) return wrote;
      }
      before += part.length;
    }
    return total;
  }

  truncate(descriptor: number, bytes: number): number {
    return attempt(() => fs.ftruncateSync(descriptor, bytes));
  }

  punch(descriptor: number, start: number, length: number): number {
    return punchHole(descriptor, start, length);
  }

  allocate(descriptor: number, bytes: number): number {
    return allocate(descriptor, bytes);
  }

  seek(descriptor: number, position: number, whence: number): number {
    return lseek(descriptor, position, whence);
  }

  statOpen(descriptor: number): OpenStatus | number {
    try {
      const { size, mtimeNs } = fs.fstatSync(descriptor, { bigint: true });
      const seconds = mtimeNs >= 0n ? mtimeNs / 1_000_000_000n : (mtimeNs - 999_999_999n) / 1_000_000_000n;
      return {
        bytes: Number(size),
        seconds: Number(seconds),
        nanoseconds: Number(mtimeNs - seconds * 1_000_000_000n),
      };
    } catch (error) {
      return errnoOf(error);
    }
  }

  startWriting(descriptor: number, start: number, length: number): number {
    return startWriting(descriptor, start, length);
  }

  fdatasync(descriptor: number): number {
    return attempt(() => fs.fdatasyncSync(descriptor));
  }

  fdatasyncAll(descriptors: readonly number[]): number {
    let left = descriptors;
    while (left.length > 1) {
      this.#syncs ??= new FileSyncs();
      const done = this.#syncs.sync(left);
      if (done < 0) return done;
      if (done === 0) break;
      left = left.slice(done);
    }
    for (const descriptor of left) {
      const failed = this.fdatasync(descriptor);
      if (failed < 0) return failed;
    }
    return 0;
  }

  list(path: string): string[] | number {
    try {
      return fs.readdirSync(join(this.root, path)).sort();
    } catch (error) {
      return errnoOf(error);
    }
  }

  stat(path: string): FileStatus | number {
    try {
      const status = fs.lstatSync(join(this.root, path));
      return { bytes: status.size, directory: status.isDirectory(), allocated: status.blocks * 512 };
    } catch (error) {
      return errnoOf(error);
    }
  }

  allocated(path: string): number {
    return allocatedBytes(join(this.root, path));
  }

  mkdir(path: string): number {
    return attempt(() => fs.mkdirSync(join(this.root, path), 0o700));
  }

  rmdir(path: string): number {
    return attempt(() => fs.rmdirSync(join(this.root, path)));
  }

  rename(from: string, to: string): number {
    return attempt(() => fs.renameSync(join(this.root, from), join(this.root, to)));
  }

  unlink(path: string): number {
    return attempt(() => fs.unlinkSync(join(this.root, path)));
  }

  syncDirectory(path: string): number {
    return attempt(() => {
      const descriptor = fs.openSync(join(this.root, path), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
      try {
        fs.fsyncSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  syncAll(): number {
    const descriptor = this.open('.', 'read');
    if (descriptor < 0) return descriptor;
    const result = syncfs(descriptor) === 0 ? 0 : -koffi.errno();
    this.close(descriptor);
    return result;
  }

  space(): DiskSpace | number {
    try {
      const { bsize, blocks, bavail } = fs.statfsSync(this.root);
      return { bytes: blocks * bsize, freeBytes: bavail * bsize };
    } catch (error) {
      return errnoOf(error);
    }
  }
}

function attempt(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}

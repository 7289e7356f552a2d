/**
 * What a program does to a directory, and what it then sees, as one line. Each is run on the host and through fuse-native: where
 * the lines differ, something was lost on the way.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';

export interface Probe {
  readonly name: string;
  /** What VexFS needs it for. */
  readonly because: string;
  readonly run: (directory: string) => string;
}

const libc = koffi.load(null);
const renameat2 = libc.func('int renameat2(int f, const char *a, int g, const char *b, unsigned int flags)');
const fallocate = libc.func('int fallocate(int fd, int mode, long offset, long length)');
const lseek = libc.func('long lseek(int fd, long offset, int whence)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)');
const setfsuid = libc.func('int setfsuid(int uid)');
const setfsgid = libc.func('int setfsgid(int gid)');
const utimensat = libc.func('int utimensat(int fd, const char *path, const void *times, int flags)');

const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const SEEK_HOLE = 4;
const FS_IOC_GETFLAGS = 0x80086601;
const O_TMPFILE = 0o20200000;
const NOBODY = 65534;

/** 'ok', or the name of the error. */
function outcome(returned: number | bigint): string {
  if (Number(returned) >= 0) return 'ok';
  const errno = koffi.errno();
  const known = Object.entries(koffi.os.errno).find(([, number]) => number === errno);
  return known?.[0] ?? `errno ${errno}`;
}

function attempt(call: () => unknown): string {
  try {
    return String(call() ?? 'ok');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** A file of this name with some bytes. */
function made(directory: string, name: string): string {
  const file = path.join(directory, name);
  fs.writeFileSync(file, 'content');
  return file;
}

function opened<T>(file: string, use: (fd: number) => T): T {
  const fd = fs.openSync(file, 'r+');
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

export const PROBES: readonly Probe[] = [
  {
    name: 'two names of one file have one inode number',
    because: 'tar, rsync, du and cp -a know hard links by it',
    run(directory) {
      const file = made(directory, 'one');
      fs.linkSync(file, path.join(directory, 'two'));
      const [one, two] = [fs.statSync(file), fs.statSync(path.join(directory, 'two'))];
      return `same: ${one.ino === two.ino}, links: ${one.nlink}`;
    },
  },
  {
    name: 'a file that is open and has no name any more',
    because: 'it must be gone from its directory, which then can be removed',
    run(directory) {
      const sub = path.join(directory, 'sub');
      fs.mkdirSync(sub);
      const file = made(sub, 'temporary');
      return opened(file, () => {
        fs.unlinkSync(file);
        const left = fs.readdirSync(sub).map((name) => name.replace(/[0-9a-f]{8,}/, '…'));
        return `left: [${left}], rmdir: ${attempt(() => fs.rmdirSync(sub))}`;
      });
    },
  },
  {
    name: 'renameat2: RENAME_NOREPLACE, RENAME_EXCHANGE',
    because: 'promise 2, and what mv -n and package managers use',
    run(directory) {
      const [a, b] = [made(directory, 'a'), path.join(directory, 'b')];
      const moved = outcome(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE));
      made(directory, 'a');
      return `${moved}, ${outcome(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE))}`;
    },
  },
  {
    name: 'fallocate, and punching a hole',
    because: 'databases and images of disks',
    run: (directory) =>
      opened(made(directory, 'space'), (fd) => {
        const allocated = outcome(fallocate(fd, 0, 0, 65536));
        return `${allocated}, ${outcome(fallocate(fd, 3, 0, 4096))}`;
      }),
  },
  {
    name: 'SEEK_HOLE in a sparse file',
    because: 'cp, tar and qemu copy sparse files by it',
    run: (directory) =>
      opened(made(directory, 'sparse'), (fd) => {
        fs.ftruncateSync(fd, 1 << 20);
        return `hole before the end: ${Number(lseek(fd, 0, SEEK_HOLE)) < 1 << 20}`;
      }),
  },
  {
    name: 'O_TMPFILE',
    because: 'temporary files that cannot be found',
    run: (directory) => attempt(() => fs.closeSync(fs.openSync(directory, O_TMPFILE | 2, 0o600))),
  },
  {
    name: 'the flags of chattr',
    because: 'immutable and append-only files',
    run: (directory) =>
      opened(made(directory, 'flags'), (fd) => outcome(ioctl(fd, FS_IOC_GETFLAGS, Buffer.alloc(8)))),
  },
  {
    name: 'who makes a file owns it',
    because: 'no operation says whose it is: searches could not be by permission either (promise 5)',
    run(directory) {
      fs.chmodSync(directory, 0o777);
      setfsgid(NOBODY);
      setfsuid(NOBODY);
      const made = outcome(open(path.join(directory, 'mine')));
      setfsuid(0);
      setfsgid(0);
      return `${made}, owner: ${attempt(() => fs.statSync(path.join(directory, 'mine')).uid)}`;
    },
  },
  {
    name: 'a name that is not UTF-8',
    because: 'names are bytes; here they become JavaScript strings',
    run(directory) {
      const name = Buffer.from([0x66, 0xff, 0xfe]);
      const file = Buffer.concat([Buffer.from(`${directory}/`), name]);
      const made = attempt(() => fs.closeSync(fs.openSync(file, 'w')));
      const found = fs.readdirSync(directory, { encoding: 'buffer' });
      return `${made}, listed: ${found.some((one) => one.equals(name))}`;
    },
  },
  {
    name: 'times to the nanosecond, before 1970, after 2106',
    because: 'rsync and make compare them',
    run(directory) {
      const file = made(directory, 'times');
      const shown = [-1_000_000n, 1_000_000_000n, 5_000_000_000n].map((seconds) => {
        utimensat(AT_FDCWD, file, BigInt64Array.of(seconds, 1n, seconds, 123_456_789n), 0);
        return fs.statSync(file, { bigint: true }).mtimeNs;
      });
      return shown.join(', ');
    },
  },
  {
    name: 'the time of birth',
    because: 'statx',
    run: (directory) => `known: ${fs.statSync(made(directory, 'birth')).birthtimeMs > 1e12}`,
  },
  {
    name: 'a file of 5 GiB, at its end',
    because: 'sizes of 64 bits',
    run: (directory) =>
      opened(made(directory, 'huge'), (fd) => {
        fs.ftruncateSync(fd, 5 * 2 ** 30);
        fs.writeSync(fd, 'end', 5 * 2 ** 30);
        return String(fs.fstatSync(fd).size);
      }),
  },
  {
    name: 'an access control list',
    because: 'the kernel enforces them if INIT agrees on it, which cannot be asked for',
    run(directory) {
      const file = made(directory, 'list');
      fs.chmodSync(file, 0o600);
      const { status } = spawnSync('setfacl', ['-m', `u:${NOBODY}:r`, file]);
      if (status !== 0) return 'cannot be set';
      setfsgid(NOBODY);
      setfsuid(NOBODY);
      const read = outcome(open(file, 0));
      setfsuid(0);
      setfsgid(0);
      return `read by whom it names: ${read}`;
    },
  },
];

const openCall = libc.func('int open(const char *path, int flags, unsigned int mode)');
const closeCall = libc.func('int close(int fd)');

/** open(2), on this thread; the file is closed again. */
function open(file: string, flags = 0o101): number {
  const fd: number = openCall(file, flags, 0o644);
  if (fd >= 0) closeCall(fd);
  return fd;
}

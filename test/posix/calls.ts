/**
 * The system calls that the conformance cases are about, as C programs make them. Each answers ≥ 0 or −errno and never
 * throws. They run on the calling thread with its own credentials, see {@link as}.
 */
import { type BigIntStats, lstatSync, statSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load(null);

/** `signature` without its name is the C prototype; every parameter and result is of an integer or pointer type. */
function call<T extends unknown[]>(signature: string): (...values: T) => number {
  const raw = libc.func(signature);
  return (...values) => {
    const returned = Number(raw(...values));
    return returned < 0 ? -koffi.errno() : returned;
  };
}

/** null is a bad address. */
type Path = string | null;

export const chmod = call<[Path, number]>('int chmod(const char *path, unsigned int mode)');
export const fchmod = call<[number, number]>('int fchmod(int fd, unsigned int mode)');
export const chown = call<[Path, number, number]>('int chown(const char *path, int uid, int gid)');
export const lchown = call<[Path, number, number]>('int lchown(const char *path, int uid, int gid)');
export const fchown = call<[number, number, number]>('int fchown(int fd, int uid, int gid)');
export const link = call<[Path, Path]>('int link(const char *from, const char *to)');
const linkat = call<[number, Path, number, Path, number]>(
  'int linkat(int fromDirectory, const char *from, int toDirectory, const char *to, int flags)',
);
export const symlink = call<[Path, Path]>('int symlink(const char *target, const char *path)');
export const mkdir = call<[Path, number]>('int mkdir(const char *path, unsigned int mode)');
export const rmdir = call<[Path]>('int rmdir(const char *path)');
export const unlink = call<[Path]>('int unlink(const char *path)');
export const mkfifo = call<[Path, number]>('int mkfifo(const char *path, unsigned int mode)');
export const mknod = call<[Path, number, number]>(
  'int mknod(const char *path, unsigned int mode, unsigned long device)',
);
export const rename = call<[Path, Path]>('int rename(const char *from, const char *to)');
const renameat2 = call<[number, Path, number, Path, number]>(
  'int renameat2(int fromDirectory, const char *from, int toDirectory, const char *to, unsigned int flags)',
);
const openCall = call<[Path, number, number]>('int open(const char *path, int flags, unsigned int mode)');

export function open(path: Path, flags: number, mode = 0): number {
  return openCall(path, flags, mode);
}

export const close = call<[number]>('int close(int fd)');
export const truncate = call<[Path, number]>('int truncate(const char *path, long length)');
export const ftruncate = call<[number, number]>('int ftruncate(int fd, long length)');
export const pread = call<[number, Uint8Array, number, number]>(
  'long pread(int fd, void *buffer, size_t length, long offset)',
);
export const pwrite = call<[number, Uint8Array, number, number]>(
  'long pwrite(int fd, const void *buffer, size_t length, long offset)',
);
export const fsync = call<[number]>('int fsync(int fd)');
export const lseek = call<[number, number, number]>('long lseek(int fd, long offset, int whence)');
export const flock = call<[number, number]>('int flock(int fd, int operation)');
export const fallocate = call<[number, number, number, number]>(
  'int fallocate(int fd, int mode, long offset, long length)',
);
export const setxattr = call<[Path, string, Uint8Array, number, number]>(
  'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
);
export const getxattr = call<[Path, string, Uint8Array, number]>(
  'long getxattr(const char *path, const char *name, void *value, size_t size)',
);
export const listxattr = call<[Path, Uint8Array, number]>(
  'long listxattr(const char *path, void *names, size_t size)',
);
export const removexattr = call<[Path, string]>('int removexattr(const char *path, const char *name)');
export const readlink = call<[Path, Uint8Array, number]>(
  'long readlink(const char *path, void *buffer, size_t size)',
);
const posixFallocateCall = libc.func('int posix_fallocate(int fd, long offset, long length)');
const utimensatCall = call<[number, Path, BigInt64Array | null, number]>(
  'int utimensat(int directory, const char *path, const void *times, int flags)',
);

const fcntl = call<[number, number, Uint8Array]>('int fcntl(int fd, int command, void *lock)');
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;

/** A lock of the open file description on a range, or −EAGAIN at once. */
export function lockRange(fd: number, exclusive: boolean, start: number, length: number): number {
  // struct flock of 64-bit Linux: type, whence, start, length, process.
  const lock = new DataView(new ArrayBuffer(32));
  lock.setInt16(0, exclusive ? F_WRLCK : F_RDLCK, true);
  lock.setBigInt64(8, BigInt(start), true);
  lock.setBigInt64(16, BigInt(length), true);
  return fcntl(fd, F_OFD_SETLK, new Uint8Array(lock.buffer));
}

/** Bytes at an address that O_DIRECT takes. */
export function aligned(bytes: number): Uint8Array {
  const page = 4096;
  const memory = new Uint8Array(bytes + page);
  return memory.subarray(page - Number(koffi.address(memory) % BigInt(page))).subarray(0, bytes);
}

const mmap = libc.func('void *mmap(void *at, size_t length, int protection, int flags, int fd, long offset)');
const munmap = libc.func('int munmap(void *at, size_t length)');
const msync = libc.func('int msync(void *at, size_t length, int flags)');
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MS_SYNC = 4;

/** Maps `length` bytes from `offset`, which is a page's, lets `use` work on them, and makes them durable if `sync`. 0 or −errno. */
export function withMapped(
  fd: number,
  offset: number,
  length: number,
  sync: boolean,
  use: (bytes: Uint8Array) => void,
): number {
  const pointer: unknown = mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, offset);
  use(new Uint8Array(koffi.view(pointer, length) as ArrayBuffer));
  const failed = sync && Number(msync(pointer, length, MS_SYNC)) < 0 ? -koffi.errno() : 0;
  return Number(munmap(pointer, length)) < 0 ? -koffi.errno() : failed;
}

/** One byte through a mapping, made durable. */
export function writeMapped(fd: number, length: number, at: number, byte: number): number {
  return withMapped(fd, 0, length, true, (bytes) => bytes.fill(byte, at, at + 1));
}

const syscall3 = call<[number, number, number, number]>('long syscall(long number, long a, long b, long c)');
const syscallGroups = call<[number, number, Uint32Array]>(
  'long syscall(long number, long n, const void *list)',
);
const syscallAccess = call<[number, number, Path, number, number]>(
  'long syscall(long number, long directory, const char *path, long mode, long flags)',
);

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EACCESS = 0x200;
const AT_SYMLINK_FOLLOW = 0x400;

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

export function renameWith(from: Path, to: Path, flags: number): number {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

/** A name for what is open, as for files of O_TMPFILE. */
export function linkOpen(fd: number, to: Path): number {
  return linkat(AT_FDCWD, `/proc/thread-self/fd/${fd}`, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
}

export function posixFallocate(fd: number, offset: number, length: number): number {
  return -Number(posixFallocateCall(fd, offset, length));
}

/** A time: seconds and nanoseconds, or one of the two special ones. */
export type Time = readonly [seconds: number, nanoseconds: number];
export const NOW: Time = [0, (1 << 30) - 1];
export const OMIT: Time = [0, (1 << 30) - 2];

/** utimensat(2); no times at all is both of them now. */
export function utimens(path: Path, times?: readonly [Time, Time], follow = true): number {
  const struct = times === undefined ? null : BigInt64Array.from(times.flat(), BigInt);
  return utimensatCall(AT_FDCWD, path, struct, follow ? 0 : AT_SYMLINK_NOFOLLOW);
}

/** faccessat2(2) with the effective user. */
export function access(path: Path, mode: number): number {
  return syscallAccess(439, AT_FDCWD, path, mode, AT_EACCESS);
}

export type Stats = BigIntStats;

/** @throws what Node throws: the cases look at files that must be there. */
export function lstat(path: string): Stats {
  return lstatSync(path, { bigint: true });
}

export function stat(path: string): Stats {
  return statSync(path, { bigint: true });
}

const NUMBERS = { x64: [116, 117, 119], arm64: [159, 147, 149] } as const;

/** Whether this machine's numbers of system calls are known here. */
export function canBecomeOthers(): boolean {
  return process.getuid?.() === 0 && process.arch in NUMBERS;
}

export interface Who {
  readonly uid: number;
  readonly gid: number;
  readonly groups?: readonly number[];
}

/**
 * Runs `what` with the effective user, group and groups of `who`, and no capabilities. By system call and not through the
 * C library, whose setresuid changes all threads of the process. The saved user stays root, so there is a way back.
 */
export function as<T>(who: Who, what: () => T): T {
  const [setgroups, setresuid, setresgid] = NUMBERS[process.arch as keyof typeof NUMBERS];
  const set = (result: number): void => {
    if (result < 0) throw new Error(`changing the user failed with errno ${-result}`);
  };
  const groups = Uint32Array.from(who.groups ?? []);
  set(syscallGroups(setgroups, groups.length, groups));
  set(syscall3(setresgid, -1, who.gid, -1));
  set(syscall3(setresuid, -1, who.uid, -1));
  try {
    return what();
  } finally {
    set(syscall3(setresuid, -1, 0, -1));
    set(syscall3(setresgid, -1, 0, -1));
    set(syscallGroups(setgroups, 0, new Uint32Array(0)));
  }
}

/**
 * The few Linux system calls that Node lacks, through koffi. Every function returns the call's result (≥ 0) or a
 * negative errno, never throws for a failed call, and blocks its thread exactly as long as the call does.
 * Buffers may be views of shared memory. Structs are written for 64-bit little-endian Linux.
 */
import koffi from 'koffi';
import { EIO, EPIPE } from '../errno.ts';

// The process itself: its C library, whichever that is.
const libc = koffi.load(null);

const readCall = libc.func('long read(int fd, void *buf, size_t n)');
const writeCall = libc.func('long write(int fd, const void *buf, size_t n)');
const pollCall = libc.func('int poll(void *fds, unsigned long n, int timeout)');
const lseekCall = libc.func('long lseek(int fd, long offset, int whence)');
const fallocateCall = libc.func('int fallocate(int fd, int mode, long offset, long length)');
const syncFileRangeCall = libc.func(
  'int sync_file_range(int fd, long offset, long length, unsigned int flags)',
);
const eventfdCall = libc.func('int eventfd(unsigned int value, int flags)');
const fcntlCall = libc.func('int fcntl(int fd, int command, long argument)');
const flockCall = libc.func('int flock(int fd, int operation)');
const mountCall = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const umountCall = libc.func('int umount2(const char *target, int flags)');
const socketpairCall = libc.func('int socketpair(int domain, int type, int protocol, void *fds)');
const clockGettimeCall = libc.func('int clock_gettime(int clock, void *time)');
const recvmsgCall = libc.func('long recvmsg(int fd, void *message, int flags)');

const ioctlCall = libc.func('int ioctl(int fd, unsigned long request, void *argument)');
const fadviseCall = libc.func('int posix_fadvise(int fd, long offset, long length, int advice)');

function result(returned: number): number {
  return returned < 0 ? -koffi.errno() : returned;
}

/** read(2): bytes read into `buffer`, at most its length. */
export function read(fd: number, buffer: Uint8Array): number {
  const n: number = readCall(fd, buffer, buffer.length);
  return n < 0 ? -koffi.errno() : n;
}

/** write(2) of the first `bytes` bytes. About half the cost of fs.writeSync, and no exception for an error. */
export function write(fd: number, buffer: Uint8Array, bytes: number): number {
  const n: number = writeCall(fd, buffer, bytes);
  return n < 0 ? -koffi.errno() : n;
}

const closeCall = libc.func('int close(int fd)');

/** close(2), for descriptors that Node did not open. */
export function close(fd: number): number {
  return result(closeCall(fd));
}

const inotifyInitCall = libc.func('int inotify_init1(int flags)');
const inotifyAddWatchCall = libc.func('int inotify_add_watch(int fd, const char *path, uint32_t mask)');
const IN_CLOEXEC = 0o2000000;
const IN_NONBLOCK = 0o4000;
const IN_DELETE_SELF = 0x400;

/**
 * Keeps the kernel from forgetting the inode of `path` until the descriptor that this resolves to is closed or the filesystem is
 * unmounted, which it does not stand in the way of. Or −errno. The path is looked up on a thread of the pool.
 */
export async function holdInode(path: string): Promise<number> {
  const fd = result(inotifyInitCall(IN_CLOEXEC | IN_NONBLOCK));
  if (fd < 0) return fd;
  const watch = await new Promise<number>((done) => {
    inotifyAddWatchCall.async(fd, path, IN_DELETE_SELF, (_error: unknown, returned: number) =>
      done(returned),
    );
  });
  if (watch >= 0) return fd;
  close(fd);
  return -EIO;
}

const CLOCK_REALTIME = 0;
/** struct timespec: seconds and nanoseconds, 64 bits each. */
const timespec = new Uint32Array(4);

/** The system's clock as its files are stamped: milliseconds since 1970, to the microsecond. */
export function realtime(): number {
  clockGettimeCall(CLOCK_REALTIME, timespec);
  return (timespec[1]! * 2 ** 32 + timespec[0]!) * 1000 + timespec[2]! / 1e6;
}

export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

/** lseek(2) with one of the two above: where data or a hole begins from `offset` on; −ENXIO = there is no more. */
export function lseek(fd: number, offset: number, whence: number): number {
  return result(Number(lseekCall(fd, offset, whence)));
}

const statxCall = libc.func(
  'int statx(int directory, const char *path, int flags, unsigned int mask, void *out)',
);
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BLOCKS = 0x400;
/** struct statx, and stx_blocks in it. */
const statxOut = new Uint32Array(64);
const STX_BLOCKS_WORD = 12;

/** What a file takes of its filesystem, bytes; or −errno. A fifth of the time that fs.lstatSync takes. */
export function allocatedBytes(path: string): number {
  const failed = result(statxCall(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BLOCKS, statxOut));
  return failed < 0 ? failed : (statxOut[STX_BLOCKS_WORD + 1]! * 2 ** 32 + statxOut[STX_BLOCKS_WORD]!) * 512;
}

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

/** fallocate(2): the first `bytes` of the file are taken of the disk. −EOPNOTSUPP where the filesystem cannot say so. */
export function allocate(fd: number, bytes: number): number {
  return result(fallocateCall(fd, 0, 0, bytes));
}

/** fallocate(2): makes a range of the file a hole. −EOPNOTSUPP where the filesystem has none. */
export function punchHole(fd: number, start: number, length: number): number {
  return result(fallocateCall(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, start, length));
}

const SYNC_FILE_RANGE_WRITE = 2;

/**
 * sync_file_range(2): the disk begins with the changed pages of a range (0 = up to the end), and nobody waits for it. Of a
 * write that fails later fsync(2) tells, of each descriptor that was open, as this call takes no note of it.
 */
export function startWriting(fd: number, start: number, length: number): number {
  return result(syncFileRangeCall(fd, start, length, SYNC_FILE_RANGE_WRITE));
}

/** ioctl(2) with a pointer. */
export function ioctl(fd: number, request: number, argument: ArrayBufferView): number {
  return result(ioctlCall(fd, request, argument));
}

const POSIX_FADV_DONTNEED = 4;

/** posix_fadvise(2): what is cached of the file, and is on its disk, may be forgotten. 0 or −errno. */
export function dropCached(fd: number): number {
  return -fadviseCall(fd, 0, 0, POSIX_FADV_DONTNEED);
}

export const POLLIN = 0x001;
export const POLLERR = 0x008;

/** The `struct pollfd` array of one poll(2) call, reused between calls. */
export class PollSet {
  readonly #i32: Int32Array;
  readonly #i16: Int16Array;

  /** Watches each descriptor for POLLIN; a negative one is ignored, as poll(2) does. */
  constructor(...descriptors: readonly number[]) {
    const memory = new ArrayBuffer(descriptors.length * 8);
    this.#i32 = new Int32Array(memory);
    this.#i16 = new Int16Array(memory);
    descriptors.forEach((fd, i) => {
      this.#i32[i * 2] = fd;
      this.#i16[i * 4 + 2] = POLLIN;
    });
  }

  /** How many descriptors are ready; 0 after `timeoutMs` milliseconds (−1: no limit). −EINTR for a signal. */
  wait(timeoutMs: number): number {
    return result(pollCall(this.#i32, this.#i32.length / 2, timeoutMs));
  }

  /** `revents` of the i-th descriptor after `wait`. */
  events(i: number): number {
    return this.#i16[i * 4 + 3]!;
  }
}

const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const EFD_SEMAPHORE = 1;

/** A non-blocking, close-on-exec eventfd with value 0. As a semaphore each read takes 1, else everything. */
export function eventfd(isSemaphore = false): number {
  return result(eventfdCall(0, EFD_CLOEXEC | EFD_NONBLOCK | (isSemaphore ? EFD_SEMAPHORE : 0)));
}

const timerCreateCall = libc.func('int timerfd_create(int clock, int flags)');
const timerSetCall = libc.func('int timerfd_settime(int fd, int flags, const void *time, void *before)');
const CLOCK_MONOTONIC = 1;
const TFD_CLOEXEC = EFD_CLOEXEC;
const TFD_NONBLOCK = EFD_NONBLOCK;

/** A non-blocking, close-on-exec timerfd, not running. */
export function timerDescriptor(): number {
  return result(timerCreateCall(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

/** Lets a timerfd expire every `ms` milliseconds, a whole number below 1,000; 0 stops it. */
export function setTimer(fd: number, ms: number): number {
  // struct itimerspec: the interval and the first expiration, seconds and nanoseconds of each.
  const ns = BigInt(ms) * 1_000_000n;
  return result(timerSetCall(fd, 0, new BigUint64Array([0n, ns, 0n, ns]), null));
}

const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** Sets O_NONBLOCK on an open file description, that is, for every thread that shares it. */
export function setNonBlocking(fd: number): number {
  const flags = result(fcntlCall(fd, F_GETFL, 0));
  return flags < 0 ? flags : result(fcntlCall(fd, F_SETFL, flags | O_NONBLOCK));
}

export const LOCK_EX = 2;
export const LOCK_NB = 4;

/** flock(2). −EAGAIN: with LOCK_NB, another process holds it. Released by the kernel when the process ends. */
export function flock(fd: number, operation: number): number {
  return result(flockCall(fd, operation));
}

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_NOATIME = 1024;

/** mount(2). */
export function mount(source: string, target: string, type: string, flags: number, data: string): number {
  return result(mountCall(source, target, type, flags, data));
}

export const MNT_DETACH = 2;

/** umount2(2). */
export function umount2(target: string, flags: number): number {
  return result(umountCall(target, flags));
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;

/** A connected pair of stream sockets, or a negative errno. */
export function socketpair(): readonly [number, number] | number {
  const fds = new Int32Array(2);
  const error = result(socketpairCall(AF_UNIX, SOCK_STREAM, 0, fds));
  return error < 0 ? error : [fds[0]!, fds[1]!];
}

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** Receives one descriptor sent with SCM_RIGHTS over a UNIX socket; −EPIPE: the peer closed without sending one. */
export function receiveDescriptor(socket: number): number {
  // One buffer: struct msghdr at 0, its iovec at 56, the data byte at 72, the control message at 80.
  const memory = new ArrayBuffer(144);
  const u32 = new Uint32Array(memory);
  const u64 = new BigUint64Array(memory);
  const address = koffi.address(u32);
  u64[2] = address + 56n; // msg_iov
  u64[3] = 1n; // msg_iovlen
  u64[4] = address + 80n; // msg_control
  u64[5] = 64n; // msg_controllen
  u64[7] = address + 72n; // iov_base
  u64[8] = 1n; // iov_len
  const received = result(recvmsgCall(socket, u32, MSG_CMSG_CLOEXEC));
  if (received < 0) return received;
  // struct cmsghdr: len (size_t), level, type; then the descriptor.
  const isDescriptor = u64[5]! >= 20n && u32[22] === SOL_SOCKET && u32[23] === SCM_RIGHTS;
  return received > 0 && isDescriptor ? u32[24]! : -EPIPE;
}

const setAffinityCall = libc.func('int sched_setaffinity(int pid, size_t bytes, const void *mask)');
const gettidCall = libc.func('int gettid()');

/** Room for the 8,192 CPUs that the kernel can be built for. */
const AFFINITY_BYTES = 1024;

/**
 * Keeps the calling thread on these CPUs (sched_setaffinity(2)); those of them that are offline or not allowed are left
 * out. −EINVAL: none is left.
 */
export function pinThread(cpus: readonly number[]): number {
  const mask = new Uint8Array(AFFINITY_BYTES);
  for (const cpu of cpus) mask[cpu >> 3] = mask[cpu >> 3]! | (1 << (cpu & 7));
  return result(setAffinityCall(0, mask.length, mask));
}

const getAffinityCall = libc.func('int sched_getaffinity(int pid, size_t bytes, void *mask)');

/** Where the calling thread may run, for `setAffinity`. */
export function affinity(): Uint8Array {
  const mask = new Uint8Array(AFFINITY_BYTES);
  getAffinityCall(0, mask.length, mask);
  return mask;
}

export function setAffinity(mask: Uint8Array): number {
  return result(setAffinityCall(0, mask.length, mask));
}

/** The calling thread's id as the kernel and `top -H` know it. */
export function threadId(): number {
  return gettidCall();
}

const prctlCall = libc.func('int prctl(int option, const char *name, long, long, long)');
const PR_SET_NAME = 15;

/** What `top -H` and debuggers call the calling thread; the kernel keeps the first 15 bytes. */
export function nameThread(name: string): void {
  prctlCall(PR_SET_NAME, name, 0, 0, 0);
}

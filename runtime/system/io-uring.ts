/**
 * One io_uring, in memory of ours (IORING_SETUP_NO_MMAP), so that it lies in shared memory and whoever succeeds the thread
 * that used it reads what the kernel had completed. Names and layouts are those of include/uapi/linux/io_uring.h; every
 * call returns what the system call does, or a negative errno.
 *
 * Roles: the thread that opened the ring submits and reaps (SINGLE_ISSUER); after its end one other thread may read the
 * completions that are left ({@link IoUring.attach}).
 *
 * Invariants:
 * 1. Submissions are written before the store of their tail in `enter`, completions are read after the load of theirs. A
 *    completion's place is the kernel's again with the store of the head in `seen`.
 * 2. What completes the kernel runs when the thread is in a system call or interrupted (COOP_TASKRUN), and a word of the ring
 *    says that there is something to run ({@link IoUring.hasWork}). Not DEFER_TASKRUN, with which what has completed would be
 *    lost with a thread that hangs.
 */
import koffi from 'koffi';
import { assert } from '../assert.ts';
import { KIB } from '../config/bounds.ts';

const libc = koffi.load(null);
const setupCall = libc.func('syscall', 'long', ['long', 'uint32_t', 'void *']);
const enterCall = libc.func('syscall', 'long', [
  'long',
  'int',
  'uint32_t',
  'uint32_t',
  'uint32_t',
  'void *',
  'size_t',
]);

/** The same on every architecture: they came after the numbers were unified. */
const NR_IO_URING_SETUP = 425;
const NR_IO_URING_ENTER = 426;

const IORING_SETUP_CLAMP = 1 << 4;
const IORING_SETUP_SUBMIT_ALL = 1 << 7;
const IORING_SETUP_COOP_TASKRUN = 1 << 8;
const IORING_SETUP_TASKRUN_FLAG = 1 << 9;
const IORING_SETUP_SQE128 = 1 << 10;
const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
const IORING_SETUP_NO_MMAP = 1 << 14;
const IORING_SETUP_NO_SQARRAY = 1 << 16;

const FLAGS =
  IORING_SETUP_CLAMP |
  IORING_SETUP_SUBMIT_ALL |
  IORING_SETUP_COOP_TASKRUN |
  IORING_SETUP_TASKRUN_FLAG |
  IORING_SETUP_SQE128 |
  IORING_SETUP_SINGLE_ISSUER |
  IORING_SETUP_NO_MMAP |
  IORING_SETUP_NO_SQARRAY;

const IORING_ENTER_GETEVENTS = 1 << 0;
const IORING_ENTER_EXT_ARG = 1 << 3;
const IORING_SQ_CQ_OVERFLOW = 1 << 1;
const IORING_SQ_TASKRUN = 1 << 2;

export const IORING_OP_POLL_ADD = 6;
export const IORING_OP_URING_CMD = 46;
export const IORING_POLL_ADD_MULTI = 1 << 0;
export const IORING_CQE_F_MORE = 1 << 1;

/** struct io_uring_params, in words. */
const PARAMS_WORDS = 30;
const PARAMS_FLAGS = 2;
const SQ_OFF_HEAD = 10;
const SQ_OFF_TAIL = 11;
const SQ_OFF_MASK = 12;
const SQ_OFF_FLAGS = 14;
const SQ_OFF_USER_ADDR = 18;
const CQ_OFF_HEAD = 20;
const CQ_OFF_TAIL = 21;
const CQ_OFF_MASK = 22;
const CQ_OFF_CQES = 25;
const CQ_OFF_USER_ADDR = 28;

/** struct io_uring_sqe with SQE128, in words. */
const SQE_WORDS = 32;
export const SQE_OPCODE = 0;
export const SQE_FD = 1;
export const SQE_CMD_OP = 2;
export const SQE_ADDR = 4;
export const SQE_LEN = 6;
export const SQE_POLL_EVENTS = 7;
export const SQE_USER_DATA = 8;
/** Where the command's own bytes begin. */
export const SQE_CMD = 12;

/** struct io_uring_cqe, in words. */
const CQE_WORDS = 4;
const CQE_RES = 2;
const CQE_FLAGS = 3;

/** The pages that memory for the kernel begins at. */
const PAGE = 4 * KIB;
/** More than struct io_rings has before its completions. */
const RINGS_HEADER_BYTES = 512;

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE;
}

/** Memory of a ring with room for `entries` (a power of two) submissions and twice as many completions. */
export function ioUringBytes(entries: number): number {
  return pages(RINGS_HEADER_BYTES + 2 * entries * CQE_WORDS * 4) + pages(entries * SQE_WORDS * 4);
}

/** The address of the first byte of a buffer, which never moves. */
export function addressOf(buffer: ArrayBufferLike): bigint {
  return koffi.address(new Uint8Array(buffer)) as bigint;
}

/** Words that `record` writes. */
export const RING_RECORD_WORDS = 1 + PARAMS_WORDS;

export class IoUring {
  readonly fd: number;
  /** The whole of the memory that the ring lies in, as words; submissions are written here. */
  readonly u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #params: Uint32Array;
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqMask: number;
  readonly #sqFlags: number;
  readonly #sqes: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;
  #tail: number;
  #head: number;
  /** Of the completion that `next` returned. */
  userData = 0;
  result = 0;
  flags = 0;
  /** struct io_uring_getevents_arg, and the struct __kernel_timespec that it points at. */
  readonly #wait = new Uint32Array(new ArrayBuffer(40));

  private constructor(fd: number, buffer: ArrayBufferLike, at: number, entries: number, params: Uint32Array) {
    this.fd = fd;
    this.#params = params;
    this.u32 = new Uint32Array(buffer, at, ioUringBytes(entries) / 4);
    this.#i32 = new Int32Array(buffer, at, ioUringBytes(entries) / 4);
    this.#sqHead = params[SQ_OFF_HEAD]! >>> 2;
    this.#sqTail = params[SQ_OFF_TAIL]! >>> 2;
    this.#sqFlags = params[SQ_OFF_FLAGS]! >>> 2;
    this.#sqMask = this.u32[params[SQ_OFF_MASK]! >>> 2]!;
    this.#sqes = (ioUringBytes(entries) - pages(entries * SQE_WORDS * 4)) >>> 2;
    this.#cqHead = params[CQ_OFF_HEAD]! >>> 2;
    this.#cqTail = params[CQ_OFF_TAIL]! >>> 2;
    this.#cqMask = this.u32[params[CQ_OFF_MASK]! >>> 2]!;
    this.#cqes = params[CQ_OFF_CQES]! >>> 2;
    this.#tail = Atomics.load(this.#i32, this.#sqTail) >>> 0;
    this.#head = Atomics.load(this.#i32, this.#cqHead) >>> 0;
    const wait = this.#wait;
    const timespec = (koffi.address(wait) as bigint) + 24n;
    wait[4] = Number(timespec & 0xffffffffn);
    wait[5] = Number(timespec >> 32n);
  }

  /**
   * A new ring of the calling thread, in `ioUringBytes(entries)` bytes of `buffer` from `at` on, whose address is a multiple
   * of the page size; or −errno: −EPERM (kernel.io_uring_disabled, a seccomp filter), −ENOSYS, −ENOMEM (the memlock
   * limit), −EINVAL (a kernel before 6.6).
   */
  static open(buffer: ArrayBufferLike, at: number, entries: number): IoUring | number {
    const params = new Uint32Array(new ArrayBuffer(PARAMS_WORDS * 4));
    const u64 = new BigUint64Array(params.buffer);
    const address = addressOf(buffer) + BigInt(at);
    assert(address % BigInt(PAGE) === 0n, 'a ring begins with a page');
    params[PARAMS_FLAGS] = FLAGS;
    u64[CQ_OFF_USER_ADDR / 2] = address;
    u64[SQ_OFF_USER_ADDR / 2] = address + BigInt(ioUringBytes(entries) - pages(entries * SQE_WORDS * 4));
    new Uint8Array(buffer, at, ioUringBytes(entries)).fill(0);
    const fd = Number(setupCall(NR_IO_URING_SETUP, entries, params));
    if (fd < 0) return -koffi.errno();
    return new IoUring(fd, buffer, at, entries, params);
  }

  /** The ring of a thread that has ended, by what `record` noted: for `next` and `seen` alone. */
  static attach(buffer: ArrayBufferLike, at: number, entries: number, record: Uint32Array): IoUring {
    return new IoUring(record[0]! - 1, buffer, at, entries, record.slice(1));
  }

  /** Notes what `attach` needs. The first word is the descriptor + 1, and is written last. */
  record(into: Uint32Array): void {
    into.set(this.#params, 1);
    into[0] = this.fd + 1;
  }

  /** The next submission, all zero: the index of its first word. */
  submission(): number {
    assert(
      this.#tail - (Atomics.load(this.#i32, this.#sqHead) >>> 0) <= this.#sqMask,
      'a ring has room for all of its entries',
    );
    const at = this.#sqes + (this.#tail & this.#sqMask) * SQE_WORDS;
    // A call of fill() costs more than this does.
    for (let word = at; word < at + SQE_WORDS; word++) this.u32[word] = 0;
    this.#tail = (this.#tail + 1) >>> 0;
    return at;
  }

  /** Submissions that the kernel does not have yet. */
  get queued(): number {
    return (this.#tail - (Atomics.load(this.#i32, this.#sqHead) >>> 0)) >>> 0;
  }

  /**
   * Submits what is queued, has the kernel run what has completed, and waits for at least `completions` (0 or 1) for
   * `timeoutMs` at most. How many were submitted, or −errno: −ETIME, −EINTR.
   */
  enter(completions: number, timeoutMs: number): number {
    Atomics.store(this.#i32, this.#sqTail, this.#tail | 0);
    const { queued } = this;
    let flags = IORING_ENTER_GETEVENTS;
    let bytes = 0;
    if (completions > 0) {
      flags |= IORING_ENTER_EXT_ARG;
      bytes = 24;
      this.#wait[6] = Math.floor(timeoutMs / 1000);
      this.#wait[8] = (timeoutMs % 1000) * 1e6;
    }
    const done: number = enterCall(NR_IO_URING_ENTER, this.fd, queued, completions, flags, this.#wait, bytes);
    return done < 0 ? -koffi.errno() : done;
  }

  /** Something has completed that the kernel will hand over when it is entered. No system call. */
  get hasWork(): boolean {
    return (Atomics.load(this.#i32, this.#sqFlags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) !== 0;
  }

  get isEmpty(): boolean {
    return this.#head === Atomics.load(this.#i32, this.#cqTail) >>> 0;
  }

  /** Shows the oldest completion in `userData`, `result` and `flags`. False: there is none. Then `seen` must follow. */
  next(): boolean {
    if (this.isEmpty) return false;
    const at = this.#cqes + (this.#head & this.#cqMask) * CQE_WORDS;
    this.userData = this.u32[at]!;
    this.result = this.#i32[at + CQE_RES]!;
    this.flags = this.u32[at + CQE_FLAGS]!;
    return true;
  }

  /** The completion that `next` showed is done with. */
  seen(): void {
    this.#head = (this.#head + 1) >>> 0;
    Atomics.store(this.#i32, this.#cqHead, this.#head | 0);
  }
}

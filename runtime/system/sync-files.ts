/**
 * fdatasync(2) of many files at the same time, from a thread that waits for all of them: the kernel's asynchronous I/O
 * (io_submit(2) with IOCB_CMD_FDSYNC, Linux 4.18) runs each in a kernel thread. So they share the commits of the host
 * filesystem's journal and the flushes of the disk, which one after the other they would each wait for.
 *
 * A thread that ends in the call leaves a context behind, which the kernel frees with the process, and no memory of
 * its own that the kernel would still write to: requests are copied when they are submitted.
 */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { EINTR, EINVAL } from '../errno.ts';

/** Most files of one call. */
export const SYNC_FILES_MAX = 64;

/** Numbers of io_setup, io_submit, io_getevents, by `process.arch`. */
const NUMBERS: Readonly<Record<string, readonly [number, number, number]>> = {
  x64: [206, 209, 208],
  arm64: [0, 2, 4],
};

const IOCB_CMD_FDSYNC = 3;
/** Bytes of struct iocb and struct io_event (linux/aio_abi.h), and where their members lie. */
const IOCB_BYTES = 64;
const OPCODE_AT = 16;
const DESCRIPTOR_AT = 20;
const EVENT_BYTES = 32;
const RESULT_AT = 16;

/**
 * Whether a thread of this process is in the call in which {@link FileSyncs} waits. It sleeps there as in any other, so its state
 * (proc(5)) does not say that it is a disk it waits for.
 *
 * @param id the operating system's
 */
export function waitsForSyncs(id: number): boolean {
  const number = NUMBERS[process.arch]?.[2];
  try {
    return readFileSync(`/proc/self/task/${id}/syscall`, 'latin1').startsWith(`${number} `);
  } catch {
    return false;
  }
}

const libc = koffi.load(null);
const setupCall = libc.func('long syscall(long number, long events, void *context)');
const submitCall = libc.func('long syscall(long number, long context, long count, void *requests)');
const getEventsCall = libc.func(
  'long syscall(long number, long context, long least, long most, void *events, void *timeout)',
);

export class FileSyncs {
  readonly #numbers: readonly [number, number, number] | undefined;
  readonly #requests = new DataView(new ArrayBuffer(SYNC_FILES_MAX * IOCB_BYTES));
  readonly #pointers = new BigUint64Array(SYNC_FILES_MAX);
  readonly #events = new DataView(new ArrayBuffer(SYNC_FILES_MAX * EVENT_BYTES));
  /** 0 before the first call; −1: this system has none. */
  #context = 0;

  /** `arch` as in `process.arch`. */
  constructor(arch: string = process.arch) {
    this.#numbers = NUMBERS[arch];
    const base = koffi.address(this.#requests);
    for (let at = 0; at < SYNC_FILES_MAX; at++) {
      this.#pointers[at] = base + BigInt(at * IOCB_BYTES);
      this.#requests.setUint16(at * IOCB_BYTES + OPCODE_AT, IOCB_CMD_FDSYNC, true);
    }
  }

  /**
   * Makes up to {@link SYNC_FILES_MAX} files durable. How many, from the first on, it was done for or tried (the others are
   * the caller's: the system takes no more, or has nothing of the kind); or −errno of one that failed.
   */
  sync(descriptors: readonly number[]): number {
    if (!this.#open()) return 0;
    const count = Math.min(descriptors.length, SYNC_FILES_MAX);
    for (let at = 0; at < count; at++) {
      this.#requests.setUint32(at * IOCB_BYTES + DESCRIPTOR_AT, descriptors[at]!, true);
    }
    const submitted: number = submitCall(this.#numbers![1], this.#context, count, this.#pointers);
    if (submitted <= 0) return 0;
    return this.#wait(submitted) || submitted;
  }

  /** 0, or −errno of a file that failed. Returns when nothing is under way any more. */
  #wait(submitted: number): number {
    let failed = 0;
    for (let left = submitted; left > 0; ) {
      const got: number = getEventsCall(this.#numbers![2], this.#context, left, left, this.#events, null);
      if (got < 0 && koffi.errno() !== EINTR) return -koffi.errno();
      for (let at = 0; at < got; at++) {
        const result = Number(this.#events.getBigInt64(at * EVENT_BYTES + RESULT_AT, true));
        if (result < 0) failed ||= result;
      }
      left -= Math.max(got, 0);
    }
    return failed;
  }

  #open(): boolean {
    if (this.#context !== 0) return this.#context > 0;
    const context = new BigUint64Array(1);
    const failed =
      this.#numbers === undefined ? -EINVAL : setupCall(this.#numbers[0], SYNC_FILES_MAX, context);
    this.#context = failed < 0 ? -1 : Number(context[0]);
    return this.#context > 0;
  }
}

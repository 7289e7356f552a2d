/**
 * Keeping the kernel from handing requests to a thread that ends. What it hands to the io_uring of a thread that is gone is
 * answered with ECANCELED, so before a thread ends, or at once when it has, all entries that the kernel has of its queues
 * are used up; requests then wait in the kernel until a successor gives entries back.
 *
 * An entry is used up by a request that needs no program: FUSE_NOTIFY_RETRIEVE of nothing makes the kernel send
 * FUSE_NOTIFY_REPLY into the queue of the CPU that asks, and whoever receives it dismisses it. The same makes a queue look
 * at what waits in it, which registering an entry does not (fs/fuse/dev_uring.c). It has to name a regular file that the
 * kernel knows; main holds one for this (UringMemory.setNode).
 */
import { threadId } from 'node:worker_threads';
import { affinity, pinThread, setAffinity, write } from '../../runtime/system/libc.ts';
import { FUSE_NOTIFY_RETRIEVE, FUSE_OUT_HEADER_BYTES, NOTIFY_RETRIEVE_OUT_BYTES } from '../protocol/abi.ts';
import { BODY, Reply } from '../protocol/reply.ts';
import { IN_KERNEL, type UringMemory } from './uring-memory.ts';

const MESSAGE_BYTES = FUSE_OUT_HEADER_BYTES + NOTIFY_RETRIEVE_OUT_BYTES;
/** Uniques that the kernel will not come to by itself: this, the thread, and in the low word an even number. */
const UNIQUE_HI = 0x4000_0000;

let asked = 0;

/**
 * On any thread: uses up the entries of each queue of which the row's ring has any. Queues whose CPU this thread may not run
 * on are left.
 */
export function sealQueues(fd: number, memory: UringMemory, row: number): void {
  const { queues, depth } = memory;
  const before = affinity();
  for (let queue = 0; queue < queues; queue++) {
    const entries = Array.from({ length: depth }, (_, i) => queue * depth + i);
    if (!entries.some((entry) => memory.isIn(row, entry)) || pinThread([queue]) < 0) continue;
    for (const entry of entries)
      if (memory.stateOf(entry) === IN_KERNEL && askForNothing(fd, memory) < 0) break;
  }
  setAffinity(before);
}

/** The row's thread, after it has registered entries: requests that were waiting for one come now. */
export function wakeQueues(fd: number, memory: UringMemory, row: number): void {
  const before = affinity();
  for (let queue = 0; queue < memory.queues; queue++) {
    // An offline CPU has no requests; those of a CPU outside of this process's set wait for the next one from there.
    if (memory.ownerOf(queue) === row && pinThread([queue]) >= 0) askForNothing(fd, memory);
  }
  setAffinity(before);
}

function askForNothing(fd: number, { nodeLo, nodeHi }: UringMemory): number {
  const message = new Reply(new ArrayBuffer(MESSAGE_BYTES), 0, MESSAGE_BYTES);
  const word = BODY >>> 2;
  message.u32[word] = ++asked * 2;
  message.u32[word + 1] = UNIQUE_HI + threadId;
  message.u32[word + 2] = nodeLo;
  message.u32[word + 3] = nodeHi;
  message.notify(FUSE_NOTIFY_RETRIEVE, NOTIFY_RETRIEVE_OUT_BYTES);
  return write(fd, message.u8, message.length);
}

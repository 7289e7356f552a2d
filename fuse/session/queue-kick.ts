/**
 * Requests that came into a queue while it had no entries are taken out of it when an entry is given back, not when one is
 * registered (fs/fuse/dev_uring.c). So after a thread's death its successor sends each of its queues a request that needs
 * no program: FUSE_NOTIFY_RETRIEVE of nothing makes the kernel send FUSE_NOTIFY_REPLY into the queue of the CPU that asks.
 */
import { affinity, pinThread, setAffinity, write } from '../../runtime/system/libc.ts';
import {
  FUSE_NOTIFY_RETRIEVE,
  FUSE_OUT_HEADER_BYTES,
  FUSE_ROOT_ID,
  NOTIFY_RETRIEVE_OUT_BYTES,
} from '../protocol/abi.ts';
import { BODY, Reply } from '../protocol/reply.ts';

/** The request's unique: even, as all are that the kernel makes, and above what it will come to. */
const UNIQUE_HI = 0x7fff_ffff;

/** 0, or −errno: −EINVAL where this thread may not run on that CPU, or it is offline. */
export function kickQueue(fd: number, cpu: number): number {
  const before = affinity();
  const pinned = pinThread([cpu]);
  if (pinned < 0) return pinned;
  const bytes = FUSE_OUT_HEADER_BYTES + NOTIFY_RETRIEVE_OUT_BYTES;
  const message = new Reply(new ArrayBuffer(bytes), 0, bytes);
  const word = BODY >>> 2;
  message.u32[word] = cpu * 2;
  message.u32[word + 1] = UNIQUE_HI;
  message.u32[word + 2] = FUSE_ROOT_ID;
  message.notify(FUSE_NOTIFY_RETRIEVE, NOTIFY_RETRIEVE_OUT_BYTES);
  const sent = write(fd, message.u8, message.length);
  setAffinity(before);
  return Math.min(sent, 0);
}

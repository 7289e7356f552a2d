/** INIT on a fresh connection, before any thread serves it. */
import { EAGAIN, EINTR, ENODEV } from '../../runtime/errno.ts';
import { PollSet, read } from '../../runtime/system/libc.ts';
import { FUSE_MINOR_MIN, INIT_IN_MAJOR, INIT_IN_MINOR } from '../protocol/abi.ts';
import { type Agreed, negotiate, type Wanted } from '../protocol/init.ts';
import { Reply } from '../protocol/reply.ts';
import { Request } from '../protocol/request.ts';
import { sendTo } from './classic-channel.ts';

/** The kernel queues INIT within mount(2); this is for a machine that is very slow, or a descriptor that is no mount. */
const INIT_TIMEOUT_MS = 10_000;

/**
 * Answers INIT on `fd`, a just mounted /dev/fuse. What was agreed, or a sentence that says why the kernel and this
 * program could not agree. Requests sent after it wait in the kernel until a thread serves.
 */
export function handshake(fd: number, wanted: Wanted): Agreed | string {
  // The kernel takes no smaller buffer than the largest request it may send.
  const request = new Request();
  const reply = new Reply(undefined, 0, 4096);
  const pollSet = new PollSet(fd);
  const deadline = performance.now() + INIT_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const length = read(fd, request.u8);
    if (length === -EAGAIN || length === -EINTR) {
      pollSet.wait(100);
      continue;
    }
    if (length === -ENODEV) return 'the filesystem was unmounted before it could be served';
    if (length < 0) return `reading /dev/fuse failed with errno ${-length}`;
    if (!request.parse(length)) return 'the first FUSE request is malformed';
    const agreed = negotiate(request, reply, wanted);
    const sent = sendTo(fd, reply);
    if (sent < 0) return `answering the kernel's INIT failed with errno ${-sent}`;
    if (agreed !== undefined) return agreed;
    if (reply.i32[1] !== 0) {
      const offered = `${request.word(INIT_IN_MAJOR)}.${request.word(INIT_IN_MINOR)}`;
      return `this kernel speaks FUSE ${offered}; 7.${FUSE_MINOR_MIN} (Linux 5.4) or newer is needed`;
    }
  }
  return 'the kernel sent no INIT request';
}

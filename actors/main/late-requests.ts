import { Reply } from '../../fuse/protocol/reply.ts';
import { EIO } from '../../runtime/errno.ts';
import type { Context } from '../context.ts';
import { lateReplies } from '../late-reply.ts';
import { openPending } from '../pending.ts';

const reply = new Reply(new ArrayBuffer(64), 0, 64);

/**
 * Answers EIO to every request that has waited for another actor for longer than `deadlineMs`: whoever was to answer it
 * is gone, or as good as gone. `now` as of `context.clock.monotonic()`. Returns how many there were.
 */
export function expirePending(context: Context, now: number, deadlineMs: number): number {
  let expired = 0;
  const sendLate = lateReplies(context);
  openPending(context).expire(now - deadlineMs, (_slot, uniqueLo, uniqueHi, opcode, since) => {
    reply.beginUnique(uniqueLo, uniqueHi);
    reply.error(-EIO);
    // ENOENT: it was answered, and whoever did so had no time to say so.
    const sent = sendLate(reply);
    expired++;
    context.logger.error({ opcode, waited: (now >>> 0) - since, sent }, 'a request waited too long: EIO');
  });
  return expired;
}

/** How a thread answers fsyncs that wait in the table of pending requests (pending.ts). */
import { FUSE_OUT_HEADER_BYTES } from '../fuse/protocol/abi.ts';
import { Reply } from '../fuse/protocol/reply.ts';
import type { Context } from './context.ts';
import { lateReplies } from './late-reply.ts';
import type { Pending } from './pending.ts';
import { REPLIED } from './trace.ts';

/** Answers the request in this slot with 0 or an errno, unless another thread does. */
export type ReplySync = (uniqueLo: number, uniqueHi: number, errno: number, slot: number) => void;

export function syncReplies(context: Context, pending: Pending): ReplySync {
  const reply = new Reply(undefined, 0, FUSE_OUT_HEADER_BYTES);
  const sendLate = lateReplies(context);
  return (uniqueLo, uniqueHi, errno, slot) => {
    if (!pending.take(slot, uniqueLo, uniqueHi)) return;
    reply.beginUnique(uniqueLo, uniqueHi);
    if (errno === 0) reply.ok(0);
    else reply.error(-errno);
    sendLate(reply);
    pending.answered(slot);
    context.trace.record(REPLIED, uniqueLo, uniqueHi, errno);
  };
}

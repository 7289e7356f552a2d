/** Answering a request that another thread has received, on whichever channel it came. */
import { threadId } from 'node:worker_threads';
import type { Reply } from '../fuse/protocol/reply.ts';
import { sendTo } from '../fuse/session/classic-channel.ts';
import { URING, UringMemory } from '../fuse/session/uring-memory.ts';
import { connectionOf, isOverUring, ringActor } from './connection.ts';
import type { Context } from './context.ts';

/** 0 or −errno. −ENOENT: the request needs no answer any more, but what the reply counted (lookups) has to be taken back. */
export type SendLate = (reply: Reply) => number;

/** For one thread, to be called once the kernel is connected or before. */
export function lateReplies(context: Context): SendLate {
  const { arena, topology } = context;
  let memory: UringMemory | undefined;
  return (reply) => {
    if (!isOverUring(context)) return sendTo(connectionOf(context), reply);
    memory ??= new UringMemory(arena.region(URING));
    const entry = memory.find(reply.u32[2]!, reply.u32[3]!);
    if (entry < 0) return sendTo(connectionOf(context), reply);
    const answered = memory.answer(entry, reply, threadId + 1);
    if (answered !== 0) return answered;
    const owner = topology.ofKind('fuse')[memory.ownerOf(memory.queueOf(entry))]!.name;
    // A fuse actor looks at what it has answered itself before it waits.
    if (owner !== context.name) ringActor(context, owner);
    return 0;
  };
}

/**
 * Every message between actors: its number, its layout, and the functions that write it. Offsets are bytes from the
 * start of the payload, which is 8-byte aligned; numbers are little-endian u32 unless said otherwise.
 *
 * A writer that finds its lane full waits for room (`claimOrWait`): messages are never dropped. That cannot end in a
 * circle, because shards and io never wait for a lane towards a fuse actor, and the indexer never waits at all.
 */
import { FIRST_APPLICATION_KIND } from '../runtime/scheduling/actor.ts';
import type { Outbox } from '../runtime/messaging/mailbox.ts';

/** fuse → io-k: make the object (0 = none) and everything journalled so far durable, then answer the kernel.
 * [0] unique lo · [4] unique hi · [8] object id */
export const SYNC = FIRST_APPLICATION_KIND;
/** fuse → io-k: an object file has bytes that are not on the disk. [0] object id */
export const OBJECT_DIRTY = SYNC + 1;
/** fuse → io-k: no inode refers to the object any more; delete it once that is durable. [0] object id */
export const OBJECT_DROPPED = SYNC + 2;

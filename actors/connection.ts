/**
 * The connection to the kernel, for the threads that serve it and those that answer requests another one has read.
 *
 * Roles: main writes words 0 to 2 once, when the tables are there and after the kernel's INIT; any thread reads. Those who build on
 * the tables load their code meanwhile, and then wait for it. From word WATCH on lies the watch of the fuse actors
 * (fuse/session/watch.ts).
 *
 * Invariants:
 * 1. Word 0 holds the descriptor of /dev/fuse + 1, and 0 before the mount. Its store publishes the others.
 * 2. Word 1 holds the flags agreed with the kernel (fuse_init_out.flags), word 2 those in flags2.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { FUSE_OVER_IO_URING_2, FUSE_PASSTHROUGH_2, FUSE_SETXATTR_EXT } from '../fuse/protocol/abi.ts';
import { sealQueues } from '../fuse/session/seal-queues.ts';
import { URING, UringMemory } from '../fuse/session/uring-memory.ts';
import { Watch } from '../fuse/session/watch.ts';
import { assert } from '../runtime/assert.ts';
import { WAIT_SLICE_MS } from '../runtime/config/bounds.ts';
import type { Arena } from '../runtime/memory/arena.ts';
import { doorbellOf } from '../runtime/messaging/mailbox.ts';
import { stillWaiting } from '../runtime/sync/waiting.ts';
import type { Context } from './context.ts';
import { CONNECTION } from './regions.ts';
import { mailboxRegion } from './topology.ts';

const DESCRIPTOR = 0;
const FLAGS = 1;
const FLAGS2 = 2;
/** How long a fuse actor may take to leave its queues. */
const LEAVE_MS = 100;
export const WATCH = 16;

export interface Connection {
  readonly descriptor: number;
  readonly flags: number;
  readonly flags2?: number;
  /** The semaphore eventfd on which fuse actors stand by. */
  readonly standBy: number;
}

export function setConnection(arena: Arena, { descriptor, flags, flags2 = 0, standBy }: Connection): void {
  const { i32 } = arena.region(CONNECTION);
  Watch.format(i32, WATCH, standBy);
  Atomics.store(i32, FLAGS, flags);
  Atomics.store(i32, FLAGS2, flags2);
  Atomics.store(i32, DESCRIPTOR, descriptor + 1);
  Atomics.notify(i32, DESCRIPTOR);
}

export function awaitConnection(arena: Arena): void {
  const { i32 } = arena.region(CONNECTION);
  while (Atomics.load(i32, DESCRIPTOR) === 0) {
    Atomics.wait(i32, DESCRIPTOR, 0, WAIT_SLICE_MS);
    stillWaiting();
  }
}

/** After the thread of the `index`-th fuse actor has died: no other one counts on it any more. Repeatable. */
export function vacateWatch(context: Context, index: number): void {
  const { i32 } = context.arena.region(CONNECTION);
  if (Atomics.load(i32, DESCRIPTOR) !== 0) new Watch(i32, WATCH, index + 1).vacate();
}

/** Gives the queues to these fuse actors, to each its share of neighbours; entries follow as they are used. */
export function assignQueues(context: Context, rows: readonly number[]): void {
  if (!isOverUring(context)) return;
  const memory = new UringMemory(context.arena.region(URING));
  for (let queue = 0; queue < memory.queues; queue++) {
    const row = rows[Math.floor((queue * rows.length) / memory.queues)]!;
    if (memory.ownerOf(queue) === row) continue;
    memory.assign(queue, row);
    memory.noticeFor(row);
    ringActor(context, `fuse-${row}`);
  }
}

/**
 * Before the thread of the `index`-th fuse actor is ended: it is to leave its queues, and is rung. One that hangs does not, but gives no
 * entries back either.
 */
export async function leaveRow(context: Context, index: number): Promise<void> {
  if (!isOverUring(context)) return;
  const memory = new UringMemory(context.arena.region(URING));
  memory.askToLeave(index);
  ringActor(context, `fuse-${index}`);
  const { clock } = context;
  const deadline = clock.monotonic() + LEAVE_MS;
  while (!memory.hasLeft(index) && clock.monotonic() < deadline) await sleep(1);
  if (!memory.hasLeft(index)) sealRow(context, index);
}

/** When the thread of the `index`-th fuse actor has ended: requests wait for its successor. */
export function sealRow(context: Context, index: number): void {
  const { arena } = context;
  if (!isOverUring(context)) return;
  sealQueues(connectionOf(context), new UringMemory(arena.region(URING)), index);
}

export function connectionOf(context: Context): number {
  const stored = Atomics.load(context.arena.region(CONNECTION).i32, DESCRIPTOR);
  assert(stored !== 0, 'requests come only after the mount');
  return stored - 1;
}

/** Whether requests come over io_uring (fuse/session/uring-channel.ts); known once there is a connection. */
export function isOverUring(context: Context): boolean {
  return (Atomics.load(context.arena.region(CONNECTION).i32, FLAGS2) & FUSE_OVER_IO_URING_2) !== 0;
}

/** Whether SETXATTR comes with its longer header (fuse_setxattr_in with setxattr_flags). */
export function setxattrExtended(context: Context): boolean {
  return (Atomics.load(context.arena.region(CONNECTION).i32, FLAGS) & FUSE_SETXATTR_EXT) !== 0;
}

/** Whether OPEN may be answered with a backing file. */
export function passthroughAgreed(context: Context): boolean {
  return (Atomics.load(context.arena.region(CONNECTION).i32, FLAGS2) & FUSE_PASSTHROUGH_2) !== 0;
}

/** Gets the attention of an actor, whether or not there is a lane to it. */
export function ringActor({ arena }: Context, name: string): void {
  doorbellOf(arena.region(mailboxRegion(name))).ring();
}

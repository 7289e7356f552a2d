/**
 * The connection to the kernel, for the threads that serve it and those that answer requests another one has read.
 *
 * Roles: main writes words 0 and 1 once, when the tables are there and after the kernel's INIT; any thread reads. Those who build on
 * the tables load their code meanwhile, and then wait for it. From word WATCH on lies the watch of the fuse actors (fuse/session/watch.ts).
 *
 * Invariants:
 * 1. Word 0 holds the descriptor of /dev/fuse + 1, and 0 before the mount. Its store publishes word 1.
 * 2. Word 1 holds the flags agreed with the kernel (fuse_init_out.flags).
 */
import { FUSE_SETXATTR_EXT } from '../fuse/protocol/abi.ts';
import { Watch } from '../fuse/session/watch.ts';
import { assert } from '../runtime/assert.ts';
import { WAIT_SLICE_MS } from '../runtime/config/bounds.ts';
import type { Arena } from '../runtime/memory/arena.ts';
import { stillWaiting } from '../runtime/sync/waiting.ts';
import type { Context } from './context.ts';
import { CONNECTION } from './regions.ts';

const DESCRIPTOR = 0;
const FLAGS = 1;
export const WATCH = 16;

export interface Connection {
  readonly descriptor: number;
  readonly flags: number;
  /** The semaphore eventfd on which fuse actors stand by. */
  readonly standBy: number;
}

export function setConnection(arena: Arena, { descriptor, flags, standBy }: Connection): void {
  const { i32 } = arena.region(CONNECTION);
  Watch.format(i32, WATCH, standBy);
  Atomics.store(i32, FLAGS, flags);
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

export function connectionOf(context: Context): number {
  const stored = Atomics.load(context.arena.region(CONNECTION).i32, DESCRIPTOR);
  assert(stored !== 0, 'requests come only after the mount');
  return stored - 1;
}

/** Whether SETXATTR comes with its longer header (fuse_setxattr_in with setxattr_flags). */
export function setxattrExtended(context: Context): boolean {
  return (Atomics.load(context.arena.region(CONNECTION).i32, FLAGS) & FUSE_SETXATTR_EXT) !== 0;
}

/**
 * The descriptor of /dev/fuse, for the actors that answer requests another one has read.
 *
 * Roles: main stores it once, after the mount and before the first fuse actor starts; any thread reads.
 *
 * Invariants: word 0 of region 'connection' holds descriptor + 1, and 0 before the mount; it is stored once.
 */
import { assert } from '../runtime/assert.ts';
import type { Arena } from '../runtime/memory/arena.ts';
import type { Context } from './context.ts';
import { CONNECTION } from './regions.ts';

export function setConnection(arena: Arena, descriptor: number): void {
  Atomics.store(arena.region(CONNECTION).i32, 0, descriptor + 1);
}

export function connectionOf(context: Context): number {
  const stored = Atomics.load(context.arena.region(CONNECTION).i32, 0);
  assert(stored !== 0, 'requests come only after the mount');
  return stored - 1;
}

/**
 * What a thread that died leaves in shared memory that others would wait for, looked at by main and, where that is
 * enough, put right.
 *
 * Contract: the thread has ended (its worker has emitted 'exit'); `deadThreadId` is Worker.threadId as it was before
 * that. Every call returns at once: main never takes one of these locks, and reads nothing under the namespace's
 * sequence.
 *
 * 1. Data locks and slots of the virtual tree are freed in any case: what they guard is whole at any moment.
 * 2. The namespace's lock is freed if its tables are certainly whole ('clean'). If not ('tables'), it stays held and the
 *    tables take no changes: whoever waits for them, writers in the lock and readers for an even sequence, can only be
 *    ended; then io-0 makes the tables anew (REBUILD) and frees every lock.
 * 3. The log's lock is freed in any case: its state says whether the thread was in the midst of a commit, and io-0 then finds out how
 *    far it had come.
 * 4. Nothing else is waited for without a bound: mailbox lanes, the journal's room and doorbells are waited for in
 *    slices, by loops that go on when a successor has taken over the other end; and the slab's lists are lock-free.
 */
import { inspectNamespace, isBroken, type Wreck } from '../../fuse/namespace/namespace.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { StagedSums } from '../../fuse/objects/staged-sums.ts';
import { abandonNodes } from '../../fuse/virtual/node-table.ts';
import { assert } from '../../runtime/assert.ts';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import type { Context } from '../context.ts';
import { LOG_STATE, LogState } from '../log-state.ts';
import { JOURNAL } from '../regions.ts';

/** 'tables': the namespace must be made anew, by a REBUILD, before any actor that uses it is started again. */
export function inspectLocks(context: Context, deadThreadId: number): Wreck {
  assert(deadThreadId > 0, 'the thread’s id is taken before it ends: afterwards the worker has none');
  const { arena, logger } = context;
  const verdict = inspectNamespace(arena, new JournalWriter(arena.region(JOURNAL)), deadThreadId);
  // It may have written to an object and not said so, and others may now have its locks.
  new StagedSums(arena).spoil();
  const locks = new DataLocks(arena).breakFor(deadThreadId);
  const nodes = abandonNodes(arena, deadThreadId);
  const log = new LogState(arena.region(LOG_STATE)).breakFor(deadThreadId);
  logger.info({ deadThreadId, verdict, locks, nodes, log }, 'what the thread left was looked at');
  return verdict;
}

/** Whether the namespace must be made anew: also when a thread threw in the middle of a change and lives on. */
export function tablesAreBroken(context: Context): boolean {
  return isBroken(context.arena);
}

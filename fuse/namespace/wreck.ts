/**
 * What a thread that ended left of the namespace's lock and tables. For the thread that supervises the others: reads
 * and writes single words, waits for nothing.
 *
 * Contract: the caller knows that the thread `dead` has ended, and calls this before anything else is done about it.
 *
 * 1. The mutex names its holder from the instant it is held (mutex.ts). If that is not the dead thread, it can have been
 *    in the middle of nothing: tables change only with the mutex held (I_LOOKUPS and H_NEXT_OBJECT apart, which are
 *    atomic counters: what it had counted stays counted).
 * 2. If it is, the tables are as the journal says exactly if no write was under way and either nothing has happened
 *    since its transaction began or the transaction was published (transaction.ts notes where it began). A thread that
 *    had the lock but had not yet noted it finds the notes of the transaction before, which is over: of these two
 *    answers, both right, the notes give one; after an inode was freed (which the journal does not see) they give
 *    'tables', which is right too, only dearer.
 * 3. Otherwise H_BROKEN is set and the mutex stays held: nobody changes or checkpoints the tables until they have been
 *    made anew (survivors.ts).
 */
import type { Arena } from '../../runtime/memory/arena.ts';
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { Mutex } from '../../runtime/sync/mutex.ts';
import { H_BEGAN_LSN, H_BEGAN_POSITION, H_BEGAN_SEQUENCE, H_BROKEN, H_MUTEX, H_SEQUENCE } from './layout.ts';

/** 'clean': nobody waits for the dead thread any more. 'tables': they must be made anew. */
export type Wreck = 'clean' | 'tables';

/** `journal` is over the ring that the namespace writes to. */
export function inspectNamespace(arena: Arena, journal: JournalWriter, dead: number): Wreck {
  if (isBroken(arena)) return 'tables';
  const { u32, i32 } = arena.region('namespace');
  const mutex = new Mutex(i32, H_MUTEX);
  if (mutex.holder === dead && !isWhole(arena, journal)) {
    Atomics.store(u32, H_BROKEN, 1);
    return 'tables';
  }
  mutex.breakFor(dead);
  return 'clean';
}

/** Whether a mutation was left half done, by a thread that threw or by one that ended. One word. */
export function isBroken(arena: Arena): boolean {
  return Atomics.load(arena.region('namespace').u32, H_BROKEN) !== 0;
}

/** Whether the thread that holds the lock, and has begun a transaction, has published it. */
export function hasPublished(arena: Arena, journal: JournalWriter): boolean {
  return arena.region('namespace').u32[H_BEGAN_POSITION] !== journal.published;
}

function isWhole(arena: Arena, journal: JournalWriter): boolean {
  const { u32, f64 } = arena.region('namespace');
  const sequence = Atomics.load(u32, H_SEQUENCE);
  if ((sequence & 1) !== 0) return false;
  if (hasPublished(arena, journal)) return true;
  return u32[H_BEGAN_SEQUENCE] === sequence && f64[H_BEGAN_LSN / 2] === journal.nextLsn;
}

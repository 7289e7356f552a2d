/**
 * One transaction on the tables: the lock, room in the journal, the time, and at the end the lock again.
 *
 *     const refusal = transaction.begin(bytes);
 *     if (refusal !== 0) return refusal;
 *     try {
 *       …the mutation; if it succeeded its record, and transaction.commit()…
 *       return transaction.end(result);
 *     } finally {
 *       transaction.release();
 *     }
 *
 * Without `end` before `release` something threw, which is a bug. The tables may then not be what the journal says, so
 * nothing changes them from then on, in any thread, until they have been made anew: whoever wants to waits, as it would for
 * the lock of a thread that has ended, or is refused where nobody makes them anew ({@link WhenBroken}). Reading goes on.
 *
 * Contract with wreck.ts, for the case that the thread ends in between: `begin` notes the journal's state and the
 * sequence before it changes anything. As long as they are as noted, nothing happened; once the journal's position is
 * another, everything did, apart from the end of an inode that lost its last name.
 */
import type { Clock } from '../../runtime/clock.ts';
import { WAIT_SLICE_MS } from '../../runtime/config/bounds.ts';
import { EIO, ENOSPC } from '../../runtime/errno.ts';
import { type JournalWriter, SPACE_ENOUGH, SPACE_LOW } from '../../runtime/storage/journal-ring.ts';
import { stillWaiting } from '../../runtime/sync/waiting.ts';
import { H_BEGAN_LSN, H_BEGAN_POSITION, H_BEGAN_SEQUENCE, H_BROKEN, H_SEQUENCE } from './layout.ts';
import type { Tables } from './tables.ts';

/**
 * What a change does that meets broken tables: 'wait', if somebody makes them anew (and ends this thread for it, or not);
 * 'refuse' with EIO, if not.
 */
export type WhenBroken = 'wait' | 'refuse';

export class Transaction {
  readonly journal: JournalWriter;
  readonly #tables: Tables;
  readonly #clock: Clock;
  readonly #whenBroken: WhenBroken;
  #ended = true;

  constructor(tables: Tables, journal: JournalWriter, clock: Clock, whenBroken: WhenBroken) {
    this.#tables = tables;
    this.journal = journal;
    this.#clock = clock;
    this.#whenBroken = whenBroken;
  }

  /**
   * Takes the lock with room for records of `bytes` and stamps the time; 0, or −errno and no lock. May wait for room, and
   * for tables that are whole. −ENOSPC while the disk is full, unless the change is one that `frees` space, or ends one that was
   * begun while there was enough.
   */
  begin(bytes: number, frees = false): number {
    const t = this.#tables;
    for (;;) {
      t.lock();
      if (this.broken && this.#whenBroken === 'wait') {
        t.unlock();
        this.#waitUntilWhole();
        continue;
      }
      const failure = this.broken ? EIO : this.journal.failure || this.#wantOfSpace(frees);
      if (failure !== 0) {
        t.unlock();
        return -failure;
      }
      if (this.journal.hasRoom(bytes)) break;
      t.unlock();
      this.journal.waitForRoom(bytes);
    }
    t.setTime(this.#clock.now());
    this.#note();
    return 0;
  }

  #wantOfSpace(frees: boolean): number {
    return this.journal.space > (frees ? SPACE_LOW : SPACE_ENOUGH) ? ENOSPC : 0;
  }

  #waitUntilWhole(): void {
    while (this.broken) {
      Atomics.wait(this.#tables.headerI32, H_BROKEN, 1, WAIT_SLICE_MS);
      stillWaiting();
    }
  }

  /** Takes the lock for a change that has no record. */
  beginUnlogged(): void {
    this.#tables.lock();
    this.#note();
  }

  /** Publishes the records. */
  commit(): void {
    this.journal.commit();
  }

  /** The sequence last: until it is noted, what is there says that the transaction before this one is over. */
  #note(): void {
    const { header, headerF64 } = this.#tables;
    headerF64[H_BEGAN_LSN / 2] = this.journal.nextLsn;
    header[H_BEGAN_POSITION] = this.journal.published;
    header[H_BEGAN_SEQUENCE] = header[H_SEQUENCE]!;
    this.#ended = false;
  }

  /** Passes `result` through. */
  end(result: number): number {
    this.#ended = true;
    return result;
  }

  release(): void {
    const t = this.#tables;
    if (!this.#ended) {
      t.header[H_BROKEN] = 1;
      this.journal.abort();
      if (t.sequence.writing) t.sequence.writeEnd();
      this.#ended = true;
    }
    t.unlock();
  }

  get broken(): boolean {
    return this.#tables.header[H_BROKEN] !== 0;
  }
}

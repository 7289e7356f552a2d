/**
 * io-0: the log and group commit.
 *
 * A commit makes the journal durable up to the position that was published when the commit began:
 *   begin   take the position; ask the other io actors to flush their objects
 *   drain   (the run loop) every message sent before that position was published is received, so every object
 *           the records up to it depend on is known to be dirty
 *   finish  own objects; then with the log's lock log write and fdatasync; then the answers
 * Objects whose last bytes are in the log, too, are left to later commits: those that nobody waits for, those that main has asked
 * for (so a checkpoint is of an LSN up to which objects need no log), and those in which the log may come to a new segment (so
 * that a segment can be deleted once a checkpoint has its records).
 *
 * Fuse actors make small commits themselves (actors/fuse/commits.ts) when no object has to be flushed for them. So what a commit finds of
 * the log can have changed since it began, only ever by whole commits of others: it then has less to write, or begins once more.
 *
 * Nothing waits inside a commit but the disk; requests that come meanwhile share the next one. Whoever was answered by
 * the last one is likely to be back at once: the next waits a little for as many as there were (LINGER_MS). For a writer that is
 * alone it begins when that has written what it is going to sync, by its habit (SYNC_EXPECTED).
 *
 * What outlives this thread: the journal with the position that is durable, the log, the mailbox (messages it had
 * taken but not released come again), the requests that wait (pending.ts) and the newest ticket answered
 * (store-status.ts). Everything in here can be lost at any step; resume.ts is how a successor begins.
 */
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import { LOGGED_OBJECTS_MAX } from '../../runtime/config/bounds.ts';
import { ENOSPC } from '../../runtime/errno.ts';
import {
  type JournalReader,
  reached,
  SPACE_ENOUGH,
  SPACE_LOW,
  SPACE_NONE,
} from '../../runtime/storage/journal-ring.ts';
import type { StoreStatus } from '../../runtime/storage/store-status.ts';
import type { LogWriter } from '../log-writer.ts';
import {
  CHECKPOINT,
  CHECKPOINT_MADE,
  FLUSH,
  IO_DONE,
  OBJECT_DIRTY,
  OBJECT_DROPPED,
  OBJECT_LOGGED,
  OBJECTS_FLUSHED,
  REBUILD,
  SYNC,
  SYNC_EXPECTED,
} from '../messages.ts';
import { SyncQueue } from '../sync-queue.ts';
import type { DirtyObjects } from './objects.ts';
import { OtherFlushes, type OtherFlushesPorts } from './other-flushes.ts';
import type { SpaceWatch } from './space-watch.ts';

export interface CommitPorts extends OtherFlushesPorts {
  /** Answers the FUSE request in this slot of the pending ones: 0 or an errno. */
  reply(uniqueLo: number, uniqueHi: number, errno: number, slot: number): void;
  /** A message of two words to main. */
  toMain(kind: number, first: number, second: number): void;
  /** How long the next step may take, milliseconds; 0 = as usual. */
  patience(ms: number): void;
  /** Another thread ended while it wrote the log: makes log and ring fit each other. 0 or −errno, with which the store fails. */
  resumeLog(): number;
  /** Writes a checkpoint as of `lsn`: 0 or −errno. */
  checkpoint(lsn: number): number;
  /** LSN of the newest checkpoint on the disk, or −errno. */
  newestCheckpoint(): number;
  /** Makes the tables anew as of `lsn`, the end of the log: 0 or −errno, with which the store fails. */
  rebuild(lsn: number): number;
  failed(errno: number, doing: string): void;
  /** For whoever traces: the log has been written, and is durable. */
  logWritten?(): void;
  logDurable?(): void;
}

export interface CommitOptions {
  readonly journal: JournalReader;
  readonly log: LogWriter;
  readonly objects: DirtyObjects;
  readonly status: StoreStatus;
  readonly clock: Clock;
  readonly space: SpaceWatch;
  readonly ports: CommitPorts;
  /** io actors besides this one. */
  readonly others: number;
  /** May change at any time. */
  readonly intervalMs: number;
}

/** A disk that is this slow is slow, not stuck, milliseconds. */
const DISK_PATIENCE_MS = 300_000;
/**
 * How long a commit waits at most, from the last answers, for those who were answered, milliseconds. It also waits no longer than the
 * last commit took: then at worst every second one is for nothing. One writer alone is never made to wait.
 */
const LINGER_MS = 1;
/** No errno: the commit has to begin once more. One that ends with ENOSPC is tried again later; with any other errno, none follows. */
const AGAIN = -1;

/** What main asks, with a ticket. */
const ASKED = new Set([FLUSH, CHECKPOINT, REBUILD, CHECKPOINT_MADE]);
/** Those of them that copy or replace the tables. */
const ON_TABLES = new Set([CHECKPOINT, REBUILD]);

interface Ticket {
  readonly kind: number;
  readonly ticket: number;
  readonly position: number;
  /** A commit has begun since it was asked. */
  isBegun: boolean;
}

export class CommitActor {
  readonly #options: CommitOptions;
  readonly #syncs = new SyncQueue();
  readonly #tickets: Ticket[] = [];
  #committing = false;
  #limit = 0;
  /** What the log's state is told when all objects are durable that this commit depends on. */
  #dirtied = 0;
  /** LSN that was durable when the commit began. */
  #durableBefore = 0;
  /** Up to it no record is needed for what is in objects; −1 = no commit of this thread has seen to it. */
  #objectsLsn = -1;
  /** Whether this commit makes those objects durable that are logged. */
  #everything = false;
  readonly #others: OtherFlushes;
  /** Requests that the last commit answered, and that waited already for the next one then. */
  #company = 0;
  #lingerUntil = 0;
  /** One writer alone is about to ask for an fsync. */
  #isExpected = false;
  /** The commit before this one had no room but the reserve, and that was not made use of. */
  #hasTriedReserve = false;
  /** Bytes of the log when they were reported last. */
  #reported = -1;
  /** There is more to delete of what was dropped. */
  #isDeleting = false;

  constructor(options: CommitOptions) {
    this.#options = options;
    options.log.state.settled(options.clock.monotonic());
    this.#others = new OtherFlushes(options.ports, options.others);
  }

  /** A successor: the request was taken in by the thread before this one, and is not answered yet. */
  takeUp(uniqueLo: number, uniqueHi: number, slot: number): void {
    this.#syncs.push(uniqueLo, uniqueHi, this.#options.journal.published(), slot);
  }

  onMessage(kind: number, _u8: Uint8Array, u32: Uint32Array, _f64: Float64Array, offset: number): void {
    const { journal, objects } = this.#options;
    const word = offset >> 2;
    if (kind === SYNC) this.#takeSync(u32[word]!, u32[word + 1]!, u32[word + 2]!);
    else if (kind === SYNC_EXPECTED) this.#isExpected = !this.#committing && this.#company <= 1;
    else if (kind === OBJECT_DIRTY) objects.dirty(u32[word]!, u32[word + 1]!);
    else if (kind === OBJECT_LOGGED) objects.logged(u32[word]!);
    else if (kind === OBJECT_DROPPED) objects.dropped(u32[word]!, journal.published());
    else if (ASKED.has(kind)) this.#ask(kind, u32[word]!);
    else if (kind === OBJECTS_FLUSHED) this.#others.answered(u32[word]!, u32[word + 1]!);
    else assert(false, 'io-0 knows this kind of message');
  }

  idle(): number {
    const { status, intervalMs } = this.#options;
    if (status.errno !== 0) {
      this.#answer(status.errno);
      return intervalMs;
    }
    if (this.#committing) {
      if (this.#others.ask()) return intervalMs;
      this.#finish();
      return 0;
    }
    const look = this.#options.space.lookIfDue();
    const wait = this.#msUntilCommit();
    if (wait > 0) return this.#isDeleting ? this.#deleteDropped() : Math.min(wait, look);
    this.#begin();
    return 0;
  }

  stop(): void {
    const { log } = this.#options;
    do this.#deleteDropped();
    while (this.#isDeleting);
    log.state.take();
    log.close();
    log.state.leave();
  }

  /** An fsync whose commit is over already, because it was expected or had nothing to do, is answered at once. */
  #takeSync(uniqueLo: number, uniqueHi: number, slot: number): void {
    const { journal, log, ports, status } = this.#options;
    const position = journal.published();
    const isDone = this.#syncs.length === 0 && reached(journal.durable(), position);
    if (!isDone || status.errno !== 0) {
      this.#syncs.push(uniqueLo, uniqueHi, position, slot);
      return;
    }
    ports.reply(uniqueLo, uniqueHi, 0, slot);
    log.state.answered(1);
    status.write({ syncRequests: log.state.fsyncs });
  }

  /** 0 = now. Idle stores look at the journal once per interval and touch no disk. */
  #msUntilCommit(): number {
    const { journal, log, objects, clock, intervalMs } = this.#options;
    if (this.#tickets.length > 0 || this.#isExpected) return 0;
    const fsyncs = this.#syncs.length;
    if (fsyncs > 0) return fsyncs < this.#company ? Math.max(0, this.#lingerUntil - clock.monotonic()) : 0;
    if (journal.space === SPACE_NONE)
      return Math.max(0, intervalMs - log.state.sinceSettled(clock.monotonic()));
    const used = journal.used();
    if (used * 2 > journal.capacity || (used > 0 && journal.wanted())) return 0;
    if (log.bytes !== this.#reported) this.#report();
    const { dirtyCount, loggedCount, droppedCount } = objects;
    if (loggedCount > LOGGED_OBJECTS_MAX) return 0;
    const { state } = log;
    if (journal.durable() === journal.published() && dirtyCount + loggedCount + droppedCount === 0) {
      state.settled(clock.monotonic());
      return intervalMs;
    }
    return Math.max(0, intervalMs - state.sinceSettled(clock.monotonic()));
  }

  #begin(): void {
    const { journal, log } = this.#options;
    this.#committing = true;
    this.#limit = journal.published();
    this.#dirtied = log.state.dirtiedCount;
    this.#durableBefore = log.durableLsn;
    this.#everything = this.#needsEverything();
    this.#isExpected = false;
    for (const ticket of this.#tickets) ticket.isBegun = true;
    this.#others.begin(this.#everything);
  }

  #needsEverything(): boolean {
    if (this.#tickets.length > 0 || (this.#syncs.length === 0 && !this.#isExpected)) return true;
    return this.#fillsSegment() || this.#options.objects.loggedCount > LOGGED_OBJECTS_MAX;
  }

  /** Whether a segment may end in this commit, so that what it alone has of objects must be durable in them before. */
  #fillsSegment(): boolean {
    const { journal, log } = this.#options;
    return journal.used() >= log.bytesLeft;
  }

  #finish(): void {
    const { log, clock } = this.#options;
    this.#committing = false;
    const began = clock.monotonic();
    this.#options.ports.patience(DISK_PATIENCE_MS);
    const failed = this.#makeDurable();
    this.#options.ports.patience(0);
    if (failed === AGAIN) {
      this.#begin();
      return;
    }
    const now = clock.monotonic();
    log.state.settled(now);
    if (failed !== 0) {
      this.#answer(failed);
      return;
    }
    this.#lingerUntil = now + Math.min(LINGER_MS, now - began);
    this.#report();
    this.#answer(0);
    this.#deleteDropped();
  }

  /** A part of what may be deleted: between two of them others have their turn. */
  #deleteDropped(): number {
    const { journal, objects, status } = this.#options;
    this.#isDeleting = status.errno === 0 && !status.keepsObjects && objects.deleteDropped(journal.durable());
    return 0;
  }

  /** Objects before the records that depend on them. 0, AGAIN, ENOSPC, or the errno that the store has failed with. */
  #makeDurable(): number {
    const { log, objects } = this.#options;
    const flushed = this.#others.errno || -objects.flush(this.#everything);
    if (flushed !== 0) return this.#fail(flushed, 'making objects durable');
    log.state.flushed(this.#dirtied);
    const failed = this.#takeLog() || this.#writeLog();
    log.state.leave();
    return failed;
  }

  /** Returns with the lock: 0, or the errno that the store has failed with. */
  #takeLog(): number {
    const { log, journal, ports } = this.#options;
    if (log.state.take()) return 0;
    journal.resume();
    const failed = ports.resumeLog();
    return failed < 0 ? this.#fail(-failed, 'going on with the log') : 0;
  }

  #writeLog(): number {
    const { journal, log, ports } = this.#options;
    // Since the commit began, others may have filled the segment, or ended in the midst of it.
    if (!this.#everything && this.#fillsSegment()) return AGAIN;
    const before = this.#durableBefore;
    const failed = log.commit(journal, this.#limit, ports.logWritten);
    if (failed === -ENOSPC) return this.#findRoom();
    if (failed < 0) return this.#fail(-failed, 'writing the log');
    ports.logDurable?.();
    this.#hasTriedReserve = false;
    if (journal.space === SPACE_NONE) journal.setSpace(SPACE_LOW);
    if (this.#everything) {
      const isAll = journal.position === this.#limit;
      this.#objectsLsn = isAll ? log.durableLsn : before;
      if (isAll && journal.space !== SPACE_ENOUGH && this.#isAskedToFlush) return this.#endSegment();
    }
    return 0;
  }

  /** The disk is full: what would grow is refused from now on, and the log has its reserve for the rest. AGAIN or ENOSPC. */
  #findRoom(): number {
    const { journal, log } = this.#options;
    // A reserve that cannot be used, as there is no room to give it a name, is none for now.
    const isLast = this.#hasTriedReserve || !log.hasReserve;
    this.#hasTriedReserve = !isLast;
    journal.setSpace(isLast ? SPACE_NONE : SPACE_LOW);
    return isLast ? ENOSPC : AGAIN;
  }

  get #isAskedToFlush(): boolean {
    return this.#tickets.some(({ kind, isBegun }) => kind === FLUSH && isBegun);
  }

  /** Main may be about to have a checkpoint made: what that makes superfluous is to be as much as can be. */
  #endSegment(): number {
    const failed = this.#options.log.nextSegment();
    return failed < 0 && failed !== -ENOSPC ? this.#fail(-failed, 'ending a segment') : 0;
  }

  #report(): void {
    const { log, status } = this.#options;
    const { durableLsn, writtenLsn, segment, segmentBytes, bytes, syncs, commits } = log;
    status.write({
      durableLsn,
      writtenLsn,
      segment,
      segmentBytes,
      logBytes: bytes,
      logSyncs: syncs,
      commits,
      syncRequests: log.state.fsyncs,
      ...(this.#objectsLsn >= 0 ? { objectsLsn: this.#objectsLsn } : {}),
    });
    this.#reported = bytes;
  }

  /** Answers whoever waited for what is durable now; after a failure, everybody. */
  #answer(errno: number): void {
    const { journal, log, ports, status } = this.#options;
    const durable = journal.durable();
    const waited = this.#syncs.length;
    while (this.#syncs.length > 0 && (errno !== 0 || reached(durable, this.#syncs.position))) {
      ports.reply(this.#syncs.uniqueLo, this.#syncs.uniqueHi, errno, this.#syncs.slot);
      this.#syncs.shift();
    }
    this.#company = waited;
    log.state.answered(waited - this.#syncs.length);
    if (waited > this.#syncs.length) status.write({ syncRequests: log.state.fsyncs });
    while (this.#tickets.length > 0 && this.#isDue(this.#tickets[0]!, errno)) {
      const { kind, ticket } = this.#tickets.shift()!;
      const result = errno || this.#perform(kind);
      status.answered(ticket, result);
      ports.toMain(IO_DONE, ticket, result);
    }
  }

  /** One that was answered by this thread or a predecessor is answered the same. */
  #ask(kind: number, ticket: number): void {
    const { journal, ports, status } = this.#options;
    const answer = status.answerOf(ticket);
    if (answer !== undefined) ports.toMain(IO_DONE, ticket, answer);
    else if (!this.#tickets.some((waiting) => waiting.ticket === ticket)) {
      this.#tickets.push({ kind, ticket, position: journal.published(), isBegun: false });
    }
  }

  /** What copies or replaces the tables needs a log that has all of them. */
  #isDue({ kind, position, isBegun }: Ticket, errno: number): boolean {
    const { journal } = this.#options;
    if (errno !== 0) return true;
    if (!isBegun) return false;
    if (!reached(journal.durable(), position)) return false;
    // Others may have made more durable since the last commit began, and not the objects that only their log has.
    return !ON_TABLES.has(kind) || journal.published() === this.#limit;
  }

  /** 0 or an errno. */
  #perform(kind: number): number {
    if (kind === FLUSH) return 0;
    if (kind === CHECKPOINT_MADE) return this.#noteCheckpoint();
    const { log, ports, status } = this.#options;
    ports.patience(DISK_PATIENCE_MS);
    let failed = -this.#takeLog() || log.finishSegment();
    if (failed === 0 && kind === CHECKPOINT) {
      failed = ports.checkpoint(log.durableLsn);
      if (failed === 0) status.write({ checkpointLsn: log.durableLsn });
    } else if (failed === 0) {
      failed = ports.rebuild(log.durableLsn);
      if (failed !== 0) this.#fail(-failed, 'making the tables anew');
    }
    log.state.leave();
    ports.patience(0);
    return Math.abs(failed);
  }

  #noteCheckpoint(): number {
    const { ports, status } = this.#options;
    const lsn = ports.newestCheckpoint();
    if (lsn >= 0) status.write({ checkpointLsn: lsn });
    return lsn < 0 ? -lsn : 0;
  }

  /** For good: what a failed write or fsync left behind is unknown, so nothing is built on it. */
  #fail(errno: number, doing: string): number {
    const { journal, status, ports } = this.#options;
    status.fail(errno);
    journal.fail(errno);
    ports.failed(errno, doing);
    return errno;
  }
}

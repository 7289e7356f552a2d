/**
 * io-0: the log and group commit.
 *
 * A commit makes the journal durable up to the position that was published when the commit began:
 *   begin   take the position; ask the other io actors to flush their objects
 *   drain   (the run loop) every message sent before that position was published is received, so every object
 *           the records up to it depend on is known to be dirty
 *   finish  own objects, log write, log fdatasync; then the answers
 * Nothing waits inside a commit but the disk; requests that come meanwhile share the next one.
 */
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type JournalReader, reached } from '../../runtime/storage/journal-ring.ts';
import type { StoreStatus } from '../../runtime/storage/store-status.ts';
import {
  CHECKPOINT,
  FLUSH,
  FLUSH_OBJECTS,
  IO_DONE,
  OBJECT_DIRTY,
  OBJECT_DROPPED,
  OBJECTS_FLUSHED,
  SYNC,
} from '../messages.ts';
import type { LogWriter } from './log.ts';
import type { DirtyObjects } from './objects.ts';
import { SyncQueue } from './sync-queue.ts';

export interface CommitPorts {
  /** Answers a FUSE request: 0 or an errno. */
  reply(uniqueLo: number, uniqueHi: number, errno: number): void;
  /** A message of two words to main, or (FLUSH_OBJECTS) to every other io actor. */
  toMain(kind: number, first: number, second: number): void;
  toOthers(kind: number, first: number): void;
  /** Writes a checkpoint as of `lsn`: 0 or −errno. */
  checkpoint(lsn: number): number;
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
  readonly ports: CommitPorts;
  /** io actors besides this one. */
  readonly others: number;
  readonly intervalMs: number;
}

interface Ticket {
  readonly kind: number;
  readonly ticket: number;
  readonly position: number;
}

export class CommitActor {
  readonly #options: CommitOptions;
  readonly #syncs = new SyncQueue();
  #tickets: Ticket[] = [];
  #committing = false;
  #limit = 0;
  #round = 0;
  #pending = 0;
  #othersErrno = 0;
  #lastCommit: number;
  #commits = 0;
  #answered = 0;

  constructor(options: CommitOptions) {
    this.#options = options;
    this.#lastCommit = options.clock.monotonic();
  }

  onMessage(kind: number, _u8: Uint8Array, u32: Uint32Array, _f64: Float64Array, offset: number): void {
    const { journal, objects } = this.#options;
    const word = offset >> 2;
    if (kind === SYNC) this.#syncs.push(u32[word]!, u32[word + 1]!, journal.published());
    else if (kind === OBJECT_DIRTY) objects.dirty(u32[word]!);
    else if (kind === OBJECT_DROPPED) objects.dropped(u32[word]!, journal.published());
    else if (kind === FLUSH || kind === CHECKPOINT) {
      this.#tickets.push({ kind, ticket: u32[word]!, position: journal.published() });
    } else if (kind === OBJECTS_FLUSHED) this.#othersFlushed(u32[word]!, u32[word + 1]!);
    else assert(false, 'io-0 knows this kind of message');
  }

  idle(): number {
    const { status, intervalMs } = this.#options;
    if (status.errno !== 0) {
      this.#answer(status.errno);
      return intervalMs;
    }
    if (this.#committing) {
      if (this.#pending > 0) return intervalMs;
      this.#finish();
      return 0;
    }
    const wait = this.#msUntilCommit();
    if (wait > 0) return wait;
    this.#begin();
    return 0;
  }

  stop(): void {
    this.#options.log.close();
  }

  /** 0 = now. Idle stores look at the journal once per interval and touch no disk. */
  #msUntilCommit(): number {
    const { journal, log, objects, clock, intervalMs } = this.#options;
    if (this.#syncs.length > 0 || this.#tickets.length > 0) return 0;
    const used = journal.used();
    if (used * 2 > journal.capacity || journal.wanted()) return 0;
    if (used === 0 && !log.unsynced && objects.dirtyCount === 0 && objects.droppedCount === 0) {
      this.#lastCommit = clock.monotonic();
      return intervalMs;
    }
    return Math.max(0, this.#lastCommit + intervalMs - clock.monotonic());
  }

  #begin(): void {
    const { journal, others, ports } = this.#options;
    this.#committing = true;
    this.#limit = journal.published();
    this.#round = (this.#round + 1) >>> 0;
    this.#pending = others;
    this.#othersErrno = 0;
    if (others > 0) ports.toOthers(FLUSH_OBJECTS, this.#round);
  }

  #othersFlushed(round: number, errno: number): void {
    assert(round === this.#round && this.#pending > 0, 'an answer belongs to the round that was asked for');
    this.#pending--;
    this.#othersErrno ||= errno;
  }

  #finish(): void {
    const { journal, objects, clock } = this.#options;
    this.#committing = false;
    const failed = this.#makeDurable();
    if (failed !== 0) {
      this.#answer(failed);
      return;
    }
    journal.setDurable(this.#limit);
    this.#commits++;
    this.#lastCommit = clock.monotonic();
    this.#report();
    this.#answer(0);
    objects.deleteDropped(this.#limit);
  }

  /** Objects before the records that depend on them. 0 or the errno that the store has failed with. */
  #makeDurable(): number {
    const { journal, log, objects, ports } = this.#options;
    const flushed = this.#othersErrno || -objects.flush();
    if (flushed !== 0) return this.#fail(flushed, 'making objects durable');
    const written = log.append(journal, this.#limit);
    if (written < 0) return this.#fail(-written, 'writing the log');
    ports.logWritten?.();
    const synced = log.sync();
    if (synced < 0) return this.#fail(-synced, 'making the log durable');
    ports.logDurable?.();
    return 0;
  }

  #report(): void {
    const { log, status } = this.#options;
    const { durableLsn, writtenLsn, segment, segmentBytes, bytes, syncs } = log;
    status.write({
      durableLsn,
      writtenLsn,
      segment,
      segmentBytes,
      logBytes: bytes,
      logSyncs: syncs,
      commits: this.#commits,
    });
  }

  /** Answers whoever waited for what is durable now; after a failure, everybody. */
  #answer(errno: number): void {
    const { journal, ports, status } = this.#options;
    const durable = journal.durable();
    const answered = this.#answered;
    while (this.#syncs.length > 0 && (errno !== 0 || reached(durable, this.#syncs.position))) {
      ports.reply(this.#syncs.uniqueLo, this.#syncs.uniqueHi, errno);
      this.#syncs.shift();
      this.#answered++;
    }
    if (this.#answered !== answered) status.write({ syncRequests: this.#answered });
    if (this.#tickets.length === 0) return;
    const waiting: Ticket[] = [];
    for (const ticket of this.#tickets) {
      const early = !reached(durable, ticket.position) || (ticket.kind === CHECKPOINT && journal.used() > 0);
      if (errno === 0 && early) waiting.push(ticket);
      else ports.toMain(IO_DONE, ticket.ticket, errno || this.#checkpoint(ticket));
    }
    this.#tickets = waiting;
  }

  #checkpoint({ kind }: Ticket): number {
    if (kind !== CHECKPOINT) return 0;
    const { log, ports, status } = this.#options;
    const failed = log.finishSegment() || ports.checkpoint(log.durableLsn);
    if (failed === 0) status.write({ checkpointLsn: log.durableLsn });
    return failed === 0 ? 0 : -failed;
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

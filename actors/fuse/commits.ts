/**
 * Commits that a fuse actor makes itself, for the fsyncs that it has read: for a small one it is awake already, and waking io-0 would take
 * about as long as the disk does.
 *
 * An fsync that is read is put off until no request waits (the channel's `putOff`). So all that came together share one commit, and the
 * writes among them are answered before. For a writer that is alone the commit begins when it has written what it is going to
 * sync, by its habit, and its fsync then has nothing to wait for.
 *
 * What another thread or more time is needed for is left to io-0: objects that have to be made durable before, a segment that ends or has no
 * room, much to be written, a log that io-0 has, a disk that was slow the last time: other requests wait for this thread.
 *
 * While an fsync is put off, it is in the table of pending requests: if this thread ends, its successor leaves it to io-0.
 */
import type { PutOff } from '../../fuse/session/channel.ts';
import { LATER } from '../../fuse/session/server.ts';
import type { Clock } from '../../runtime/clock.ts';
import { FUSE_COMMIT_BYTES, FUSE_COMMIT_MS, LOG_AHEAD } from '../../runtime/config/bounds.ts';
import { EIO, ENOSPC } from '../../runtime/errno.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';
import { JournalReader, reached } from '../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import type { Context } from '../context.ts';
import { LOG_STATE, LogState } from '../log-state.ts';
import { LogWriter } from '../log-writer.ts';
import { SYNC, SYNC_EXPECTED, writeSync, writeWords } from '../messages.ts';
import { PatientDisk } from '../patient-disk.ts';
import type { Pending } from '../pending.ts';
import { JOURNAL, STORE_STATUS } from '../regions.ts';
import { SyncQueue } from '../sync-queue.ts';
import { type ReplySync, syncReplies } from '../sync-replies.ts';
import { DURABLE, LOG_WRITTEN } from '../trace.ts';

export interface FuseCommitPorts {
  /** Enters a request in the table of those that wait: its slot, or −1 when there is no room. */
  enter(opcode: number, uniqueLo: number, uniqueHi: number): number;
  reply: ReplySync;
  /** io-0 is to answer it. */
  handOver(uniqueLo: number, uniqueHi: number, slot: number): void;
  /** io-0 is told that an fsync is likely to follow. */
  expect(): void;
  failed(errno: number): void;
  logWritten(): void;
  logDurable(): void;
}

export interface FuseCommitOptions {
  readonly journal: JournalReader;
  readonly log: LogWriter;
  readonly status: StoreStatus;
  readonly clock: Clock;
  readonly ports: FuseCommitPorts;
}

const DONE = 0;
/** The commit is not for this thread to make. */
const ELSEWHERE = 1;

export class FuseCommits implements PutOff {
  readonly #options: FuseCommitOptions;
  readonly #syncs = new SyncQueue();
  readonly #begin = (limit: number): number => this.#options.log.begin(this.#options.journal, limit);
  readonly #commit = (limit: number): number => {
    const { journal, log, clock, ports } = this.#options;
    const failed = log.commit(journal, limit, ports.logWritten);
    log.state.settled(clock.monotonic());
    return failed;
  };
  #isExpected = false;
  /** Fsyncs that the last commit answered. */
  #company = 0;

  constructor(options: FuseCommitOptions) {
    this.#options = options;
  }

  /** An fsync was read. 0: there is nothing to wait for. LATER: it is answered when it is durable. −EIO: too many wait. */
  sync(opcode: number, uniqueLo: number, uniqueHi: number): number {
    const { journal, log, status, ports } = this.#options;
    const position = journal.published();
    if (reached(journal.durable(), position) && log.state.objectsAreDurable && status.errno === 0) {
      this.#isExpected = false;
      log.state.answered(1);
      return 0;
    }
    const slot = ports.enter(opcode, uniqueLo, uniqueHi);
    if (slot < 0) return -EIO;
    this.#syncs.push(uniqueLo, uniqueHi, position, slot);
    return LATER;
  }

  /**
   * Something was written that is likely to be synced next: the disk begins with it before the write is answered. A writer that is not alone
   * has its fsync with others' all the same.
   */
  expect(): void {
    if (this.#company > 1) return;
    this.#isExpected = true;
    this.#withLog(this.#begin);
  }

  get waits(): boolean {
    return this.#isExpected || this.#syncs.length > 0;
  }

  /** Answers who waits, or leaves that to io-0. */
  run(): boolean {
    const fsyncs = this.#syncs.length;
    const outcome = this.#withLog(this.#commit);
    if (outcome === DONE) this.#options.ports.logDurable();
    if (outcome === ELSEWHERE) {
      this.handOver();
      return false;
    }
    this.#isExpected = false;
    if (fsyncs > 0) this.#company = fsyncs;
    this.#answer(outcome);
    return true;
  }

  /** Leaves to io-0 what is put off. */
  handOver(): void {
    const { ports } = this.#options;
    const syncs = this.#syncs;
    if (this.#isExpected && syncs.length === 0) ports.expect();
    this.#isExpected = false;
    for (; syncs.length > 0; syncs.shift()) ports.handOver(syncs.uniqueLo, syncs.uniqueHi, syncs.slot);
  }

  /** With the log's lock, does `work` with all that is published. DONE, ELSEWHERE, or −errno with which the store has failed. */
  #withLog(work: (limit: number) => number): number {
    const { journal, log } = this.#options;
    if (!log.state.tryTake()) return ELSEWHERE;
    const limit = journal.published();
    const outcome = this.#isForHere() ? work(limit) : ELSEWHERE;
    if (outcome < 0 && outcome !== -ENOSPC) this.#fail(-outcome);
    log.state.leave();
    return outcome === -ENOSPC ? ELSEWHERE : outcome;
  }

  /** With the lock, after a look at the published position. */
  #isForHere(): boolean {
    const { journal, log, status } = this.#options;
    if (status.errno !== 0 || !log.state.objectsAreDurable) return false;
    return journal.used() < Math.min(log.bytesLeft, FUSE_COMMIT_BYTES) && log.syncMs < FUSE_COMMIT_MS;
  }

  #answer(outcome: number): void {
    const { log, ports } = this.#options;
    const syncs = this.#syncs;
    log.state.answered(syncs.length);
    for (; syncs.length > 0; syncs.shift())
      ports.reply(syncs.uniqueLo, syncs.uniqueHi, Math.abs(outcome), syncs.slot);
  }

  /** For good, as in io-0. */
  #fail(errno: number): void {
    const { journal, status, ports } = this.#options;
    status.fail(errno);
    journal.fail(errno);
    ports.failed(errno);
  }
}

/** This thread's; what a predecessor had put off is left to io-0. */
export function openCommits(context: Context, pending: Pending): FuseCommits {
  const { arena, clock, logger, settings, state, trace } = context;
  const { config, identity, store, incarnation } = settings;
  const first = context.outbox('io-0');
  if (incarnation > 1) pending.each(SYNC, (slot, lo, hi) => writeSync(first, lo, hi, slot));
  return new FuseCommits({
    journal: new JournalReader(arena.region(JOURNAL)),
    log: new LogWriter(new PatientDisk(new HostDisk(store), state), {
      uuid: identity.bytes,
      segmentBytes: config.store.log_segment,
      state: new LogState(arena.region(LOG_STATE)),
      aheadBytes: LOG_AHEAD,
      clock,
    }),
    status: new StoreStatus(arena.region(STORE_STATUS)),
    clock,
    ports: {
      enter(opcode, uniqueLo, uniqueHi) {
        const slot = pending.enter(SYNC, uniqueLo, uniqueHi, opcode);
        if (slot >= 0) trace.handedOver(uniqueLo, uniqueHi, SYNC);
        return slot;
      },
      reply: syncReplies(context, pending),
      handOver: (uniqueLo, uniqueHi, slot) => writeSync(first, uniqueLo, uniqueHi, slot),
      expect: () => writeWords(first, SYNC_EXPECTED, 0),
      failed: (errno) => logger.fatal({ errno }, 'the store failed writing the log: it can only be read now'),
      logWritten: () => trace.record(LOG_WRITTEN, 0, 0, 0),
      logDurable: () => trace.record(DURABLE, 0, 0, 0),
    },
  });
}

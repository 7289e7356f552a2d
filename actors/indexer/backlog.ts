import type { Logger } from '../../runtime/log.ts';
import { WorkList } from './work-list.ts';

/** What came of indexing a file. `changed meanwhile`: it has to be done again. */
export type Outcome = 'indexed' | 'passed over' | 'gone' | 'changed meanwhile' | 'failed';

export interface Progress {
  /** Files that wait or are being indexed. */
  readonly pending: number;
  /** Files indexed since the mount. */
  readonly indexed: number;
  readonly passedOver: number;
  readonly failed: number;
}

export interface BacklogOptions {
  /** Brings the index of one file up to its present content: at once, where that takes microseconds. */
  readonly index: (ino: number) => Outcome | Promise<Outcome>;
  /** Whether nothing can be journalled for now. */
  readonly isPostponed?: () => boolean;
  /** Milliseconds without a write after which a file is due. */
  readonly settleMs: () => number;
  /** Files worked on at once. */
  readonly parallel: number;
  /** Whether programs need the CPUs at the moment. */
  readonly isInUse: () => boolean;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** Files are begun in batches this far apart at least, ms: a timer costs more than noting a change. */
const BATCH_MS = 10;
/** Files begun before others have their turn on the event loop: messages, searches. */
const FILES_PER_TURN = 64;
/** While the mount is in use, a batch is followed by a rest of so many times as long: indexing has a fifth of the time. */
const REST = 4;
/** How often is looked whether a rest may end early, ms. */
const LOOK_MS = 20;
/** How soon is looked again whether there is room for what would be journalled, ms. */
const POSTPONED_MS = 500;

interface Waiter {
  readonly files: Set<number>;
  readonly done: () => void;
}

/**
 * Works the list of changed files off, a few at a time, whenever one is due; with rests while the mount is in use, unless somebody
 * waits for the index. Lives on the indexer's event loop.
 */
export class Backlog {
  readonly #options: BacklogOptions;
  readonly #list: WorkList;
  readonly #inFlight = new Set<number>();
  /** Files that changed while they were being indexed. */
  readonly #again = new Set<number>();
  readonly #waiters = new Set<Waiter>();
  readonly #counts: Record<Outcome, number> = {
    indexed: 0,
    'passed over': 0,
    gone: 0,
    'changed meanwhile': 0,
    failed: 0,
  };
  /** When the batch under way began, with nothing in flight; and when the next one may, if the mount is in use. */
  #beganAt = 0;
  #restsUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped: (() => void) | undefined;

  constructor(options: BacklogOptions) {
    this.#options = options;
    this.#list = new WorkList(options.settleMs);
  }

  get progress(): Progress {
    return {
      pending: this.#list.size + this.#inFlight.size,
      indexed: this.#counts.indexed,
      passedOver: this.#counts['passed over'],
      failed: this.#counts.failed,
    };
  }

  changed(ino: number): void {
    if (this.#inFlight.has(ino)) this.#again.add(ino);
    else this.#list.changed(ino, this.#options.now());
    // A timer that is set is for an older file.
    if (this.#timer === undefined || this.#waiters.size > 0) this.#pump();
  }

  /**
   * Resolves when every file that waits now has been dealt with, or after `timeoutMs`. Meanwhile no file is waited for
   * to settle. Files that change from now on do not prolong it.
   */
  caughtUp(timeoutMs: number): Promise<void> {
    const files = new Set([...this.#list.files(), ...this.#inFlight]);
    if (files.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiter.done(), timeoutMs);
      const waiter: Waiter = {
        files,
        done: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      this.#pump();
    });
  }

  /** Finishes what is under way and begins nothing more. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const ended = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    if (this.#inFlight.size > 0) await ended;
  }

  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#stopped || this.#list.size === 0) return;
    const isPostponed = this.#options.isPostponed?.() === true;
    if (isPostponed || this.#rests()) {
      this.#pumpIn(isPostponed ? POSTPONED_MS : LOOK_MS);
      return;
    }
    const { parallel, now } = this.#options;
    if (this.#inFlight.size === 0) this.#beganAt = now();
    const isMore = this.#beginDue();
    if (this.#inFlight.size === 0) this.#batchEnded();
    const wait = isMore ? 0 : Math.max(this.#list.nextDueIn(now()), BATCH_MS);
    if (this.#inFlight.size < parallel && Number.isFinite(wait)) this.#pumpIn(wait);
  }

  /** Begins files that are due. Whether others had their turn is to come before more. */
  #beginDue(): boolean {
    const { parallel, now } = this.#options;
    for (let begun = 0; this.#inFlight.size < parallel; begun++) {
      if (begun === FILES_PER_TURN) return true;
      const ino = this.#list.take(now(), this.#waiters.size > 0);
      if (ino < 0) return false;
      this.#begin(ino);
    }
    return false;
  }

  /** Whether nothing is to be begun now: a batch is to end first, and a rest to follow. */
  #rests(): boolean {
    if (this.#waiters.size > 0 || !this.#options.isInUse()) return false;
    return this.#inFlight.size > 0 || this.#options.now() < this.#restsUntil;
  }

  #batchEnded(): void {
    const now = this.#options.now();
    this.#restsUntil = now + REST * (now - this.#beganAt);
  }

  #pumpIn(ms: number): void {
    this.#timer = setTimeout(() => this.#pump(), ms);
  }

  #begin(ino: number): void {
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = this.#options.index(ino);
    } catch (error) {
      outcome = this.#failed(ino, error);
    }
    if (typeof outcome === 'string') this.#ended(ino, outcome);
    else void this.#await(ino, outcome);
  }

  async #await(ino: number, work: Promise<Outcome>): Promise<void> {
    this.#inFlight.add(ino);
    const outcome = await work.catch((error: unknown) => this.#failed(ino, error));
    this.#inFlight.delete(ino);
    this.#ended(ino, outcome);
    if (this.#inFlight.size === 0) {
      this.#batchEnded();
      this.#stopped?.();
    }
    this.#pump();
  }

  #failed(ino: number, error: unknown): Outcome {
    this.#options.logger.error({ err: error, ino }, 'a file could not be indexed');
    return 'failed';
  }

  #ended(ino: number, outcome: Outcome): void {
    this.#counts[outcome]++;
    if (this.#again.delete(ino) || outcome === 'changed meanwhile')
      this.#list.changed(ino, this.#options.now());
    else this.#dealtWith(ino);
  }

  #dealtWith(ino: number): void {
    for (const waiter of this.#waiters)
      if (waiter.files.delete(ino) && waiter.files.size === 0) waiter.done();
  }
}

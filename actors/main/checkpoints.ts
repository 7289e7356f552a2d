/**
 * When a checkpoint is made while the mount serves, and what is told of it. A thread of its own makes each
 * (actors/io/checkpoint-thread.ts); lives in main.
 *
 * 1. One at a time, and none while the store is being closed.
 * 2. What the new one makes superfluous is deleted only once io-0 tells of it, and while nobody reads the store's files.
 * 3. A failure leaves the older checkpoints and the log; it is tried again after a while, later each time.
 * 4. While the disk is full, one is made whenever anything was logged: that gives back the room of what was removed. The checkpoint before it
 *    and its log go first, once they have been read without a fault.
 */
import { Worker } from 'node:worker_threads';
import { endedOf, isBroken } from '../../fuse/namespace/namespace.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { roundSize } from '../../runtime/config/size.ts';
import { JournalReader, SPACE_ENOUGH } from '../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import { freeMemory } from '../../runtime/system/free-memory.ts';
import { UserError } from '../../runtime/user-error.ts';
import type {
  CheckpointNews,
  CheckpointOrder,
  CheckpointOutcome,
  CheckpointReply,
  MadeCheckpoint,
} from '../checkpoint-order.ts';
import { checkpointSize } from '../checkpoint-size.ts';
import type { Context } from '../context.ts';
import { TEXT_MISSING } from '../messages.ts';
import { JOURNAL, STORE_STATUS } from '../regions.ts';
import { tryList } from '../shard-messages.ts';
import { type Background, BackgroundThread } from './background-row.ts';
import type { MainRequests } from './requests.ts';
import { pause } from './threads.ts';

const LOOK_MS = 1000;
/** A thread that has said nothing for so long hangs. It speaks with each step, and a step can be gigabytes. */
const SILENCE_MS = 1_800_000;
/** After a failure the next attempt comes no sooner than after the first, doubling up to the second, ms. */
const RETRY_MS = 60_000;
const RETRY_MAX_MS = 3_600_000;
/** The same while the disk is full: room may come at any time. */
const RETRY_FULL_MS = 1000;
const RETRY_FULL_MAX_MS = 60_000;
/** How soon is looked again whether those who read the store's files are done, ms. */
const READERS_MS = 200;
/** What a thread and the buffers of a checkpoint take. */
const THREAD_BYTES = 64 * MIB;
const NONE = new Uint32Array(0);
/** Files named to the indexer in one message. */
const MISSING_BATCH = 4096;

export interface CheckpointStatus {
  /** What is being done about the next one, '' = nothing. */
  readonly doing: string;
  /** LSN of the newest one, and bytes that the log has grown by since then. */
  readonly lsn: number;
  readonly logBytes: number;
  /** Made in the background since the mount. */
  readonly made: number;
  /** Of the last of these. */
  readonly last?: MadeCheckpoint;
  /** Why the last attempt failed, until one succeeds. */
  readonly failure?: string;
}

/** To whoever asked for one: what came of it. */
export type CheckpointReport = MadeCheckpoint | Extract<CheckpointOutcome, { kind: 'current' }>;

export class Checkpoints implements Background {
  readonly name = 'checkpoint';
  readonly #context: Context;
  readonly #requests: MainRequests;
  readonly #status: StoreStatus;
  readonly #journal: JournalReader;
  #timer: NodeJS.Timeout | undefined;
  #worker: Worker | undefined;
  #thread: BackgroundThread | undefined;
  #threads = 0;
  #running: Promise<CheckpointOutcome> | undefined;
  #isClosed = false;
  #doing = '';
  /** Bytes of the log that the newest checkpoint does not have: those from before this mount, and since when of it. */
  #earlier = 0;
  #coveredBytes = 0;
  #lastAt: number;
  #last: MadeCheckpoint | undefined;
  #made = 0;
  #failures = 0;
  #failure: string | undefined;
  #notBefore = 0;

  constructor(context: Context, requests: MainRequests) {
    this.#context = context;
    this.#requests = requests;
    this.#status = new StoreStatus(context.arena.region(STORE_STATUS));
    this.#journal = new JournalReader(context.arena.region(JOURNAL));
    this.#lastAt = context.clock.monotonic();
  }

  /** `earlierBytes`: what a mount would have to replay if it came now. */
  start(earlierBytes: number): void {
    this.#earlier = earlierBytes;
    this.#coveredBytes = this.#status.read().logBytes;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Ends one that is being made. Afterwards nobody works on the store's checkpoints but io-0. */
  async stop(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#worker?.terminate();
    await this.#running;
  }

  get status(): CheckpointStatus {
    return {
      doing: this.#doing,
      lsn: this.#status.read().checkpointLsn,
      logBytes: this.#grownBy(),
      made: this.#made,
      ...(this.#last === undefined ? {} : { last: this.#last }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
    };
  }

  get thread(): Readonly<BackgroundThread> | undefined {
    return this.#thread;
  }

  end(): boolean {
    void this.#worker?.terminate();
    return this.#worker !== undefined;
  }

  /** Makes one of all that has happened until now. @throws {UserError} */
  async request(): Promise<CheckpointReport> {
    // One that is being made lacks what came last.
    await this.#running;
    const errno = await this.#requests.flush();
    if (errno !== 0) throw new UserError(`the store can only be read (errno ${errno})`);
    const outcome = await this.#make();
    if (outcome.kind === 'made' || outcome.kind === 'current') return outcome;
    throw new UserError(`no checkpoint was made: ${reasonOf(outcome)}`);
  }

  #grownBy(): number {
    return this.#earlier + this.#status.read().logBytes - this.#coveredBytes;
  }

  #look(): void {
    const now = this.#context.clock.monotonic();
    if (this.#running !== undefined || now < this.#notBefore || this.#requests.isReadingStore) return;
    if (this.#isFull && this.#grownBy() > 0) void this.#makeRoom();
    else if (this.#isDue(now)) void this.#make();
  }

  /** Whether what would take space is refused for want of it. */
  get #isFull(): boolean {
    return this.#journal.space !== SPACE_ENOUGH;
  }

  /** Of all that was logged, so that the log up to now is superfluous. Never rejects. */
  async #makeRoom(): Promise<void> {
    this.#notBefore = Number.POSITIVE_INFINITY;
    const { monotonic } = this.#context.clock;
    const began = monotonic();
    if ((await this.#requests.flush()) === 0) await this.#make();
    const now = monotonic();
    const pause = RETRY_FULL_MS * 2 ** this.#failures;
    // Half of the time at most goes into checkpoints.
    this.#notBefore = now + Math.min(RETRY_FULL_MAX_MS, Math.max(pause, now - began));
  }

  #isDue(now: number): boolean {
    const { checkpoint_bytes, checkpoint_interval_s } = this.#context.settings.config.store;
    const grown = this.#grownBy();
    // Writing gigabytes for each quarter of one would wear the disk out.
    if (grown >= Math.max(checkpoint_bytes, (this.#last?.diskBytes ?? 0) / 2)) return true;
    return checkpoint_interval_s > 0 && grown > 0 && now - this.#lastAt >= checkpoint_interval_s * 1000;
  }

  /** Never rejects. */
  async #make(): Promise<CheckpointOutcome> {
    this.#running ??= this.#attempt();
    const outcome = await this.#running;
    this.#running = undefined;
    return outcome;
  }

  async #attempt(): Promise<CheckpointOutcome> {
    const { objectsLsn, logBytes } = this.#status.read();
    const refusal = this.#refusal();
    const outcome = refusal === undefined ? await this.#run(objectsLsn) : failed(refusal);
    this.#doing = '';
    if (outcome.kind === 'made' || outcome.kind === 'current') this.#succeeded(outcome, logBytes);
    else if (!this.#isClosed) this.#failed(outcome);
    return outcome;
  }

  #succeeded(outcome: CheckpointReport, logBytes: number): void {
    this.#earlier = 0;
    this.#coveredBytes = logBytes;
    this.#lastAt = this.#context.clock.monotonic();
    this.#failures = 0;
    this.#failure = undefined;
    if (outcome.kind !== 'made') return;
    this.#made++;
    this.#last = outcome;
    this.#context.logger.info(outcome, 'a checkpoint was made');
  }

  #failed(outcome: CheckpointOutcome): void {
    if (outcome.kind === 'text missing') this.#askForText(outcome.files);
    this.#failure = reasonOf(outcome);
    this.#notBefore =
      this.#context.clock.monotonic() + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.#failures);
    this.#failures++;
    this.#context.logger.error({ reason: this.#failure }, 'no checkpoint was made; the log goes on');
  }

  /** The indexer journals that the files are to be indexed again, so the next attempt does not miss their text. */
  #askForText(files: readonly number[]): void {
    const indexer = this.#context.outbox('indexer');
    for (let first = 0; first < files.length; first += MISSING_BATCH) {
      const batch = Uint32Array.from(files.slice(first, first + MISSING_BATCH));
      // What finds no room is named again by the next attempt.
      if (!tryList(indexer, TEXT_MISSING, batch.length, batch)) break;
    }
  }

  #refusal(): string | undefined {
    if (this.#isClosed) return 'the mount is ending';
    if (this.#status.errno !== 0) return 'the store can only be read';
    const needed = checkpointSize(this.#context).memory + THREAD_BYTES;
    const available = freeMemory();
    if (available >= needed) return undefined;
    return `it takes ${roundSize(needed)} of memory for a while, and ${roundSize(available)} are free`;
  }

  #run(untilLsn: number): Promise<CheckpointOutcome> {
    const worker = this.#startThread(untilLsn);
    this.#worker = worker;
    return new Promise((done) => {
      let made: MadeCheckpoint | undefined;
      let why = 'its thread ended';
      let watch = setTimeout(() => void worker.terminate(), SILENCE_MS);
      worker.on('message', (news: CheckpointNews) => {
        clearTimeout(watch);
        watch = setTimeout(() => void worker.terminate(), SILENCE_MS);
        if (news.kind === 'progress') this.#progressed(news.doing, news.thread);
        else if (news.kind === 'unnamed') void this.#tellEnded(worker, news.inodes, untilLsn);
        else if (news.kind === 'settled') this.#settled(news.errno);
        else if (news.kind !== 'made') done(news);
        else {
          made = news;
          void this.#announce(worker);
        }
      });
      worker.on('error', (error) => {
        why = error.message;
      });
      worker.on('exit', () => {
        clearTimeout(watch);
        this.#worker = undefined;
        this.#thread = undefined;
        // Made is made, though something may be left of what it replaces: the next one deletes that.
        done(made ?? failed(why));
      });
    });
  }

  #startThread(untilLsn: number): Worker {
    const { settings } = this.#context;
    const { memory, store, workers } = settings.config;
    const order: CheckpointOrder = {
      store: settings.store,
      identity: settings.identity,
      maxFiles: memory.max_files,
      budget: memory.budget,
      inlineLimit: store.inline_limit,
      shards: workers.shards,
      untilLsn,
      isDiskFull: this.#isFull,
    };
    this.#doing = 'starting';
    this.#thread = new BackgroundThread(++this.#threads, this.#context.clock.monotonic());
    return new Worker(new URL('../io/checkpoint-thread.js', import.meta.url), {
      workerData: order,
      name: this.name,
    });
  }

  #progressed(doing: string, id: number): void {
    this.#doing = doing;
    if (this.#thread === undefined) return;
    this.#thread.id = id;
    this.#thread.heard(this.#context.clock.monotonic());
  }

  /** Whatever tells of inodes that are no more is in the journal: once that is durable, no later record does. */
  async #tellEnded(worker: Worker, unnamed: Uint32Array, untilLsn: number): Promise<void> {
    const { arena } = this.#context;
    const inodes = isBroken(arena) ? NONE : endedOf(arena, unnamed);
    const isDurable = inodes.length > 0 && (await this.#requests.flush()) === 0;
    const ended = isDurable
      ? { inodes, untilLsn: this.#status.read().objectsLsn }
      : { inodes: NONE, untilLsn };
    worker.postMessage(ended satisfies CheckpointReply);
  }

  async #announce(worker: Worker): Promise<void> {
    this.#doing = 'announcing it';
    const errno = await this.#requests.checkpointMade();
    this.#doing = 'deleting what it replaces';
    while (this.#requests.isReadingStore && !this.#isClosed) await pause(READERS_MS);
    if (errno === 0) worker.postMessage('settle' satisfies CheckpointReply);
    else await worker.terminate();
  }

  #settled(errno: number): void {
    if (errno !== 0) this.#context.logger.error({ errno }, 'what a checkpoint replaces could not be deleted');
  }
}

function reasonOf(outcome: CheckpointOutcome): string {
  if (outcome.kind === 'failed') return outcome.reason;
  const files = outcome.kind === 'text missing' ? outcome.files.length : 0;
  return `text vectors of ${files} files are missing or damaged; they are being indexed again`;
}

function failed(reason: string): CheckpointOutcome {
  return { kind: 'failed', reason };
}

/**
 * When large files at rest are compressed (`store.compress = "cold"`), get checksums (`store.checksum_after_s`) and are compared with
 * them (`store.scrub_s`), and what is told of it. A thread of its own goes over all files now and then (actors/cold/thread.ts), and
 * what it has made fuse-0 puts into place; lives in main.
 *
 * 1. One thread at a time, and one file at a time between it and fuse-0.
 * 2. While a backup has frozen the mount nothing is put into place: the objects stand still.
 * 3. An object that did not get its place is given up by fuse-0, as one of no file.
 */
import { Worker } from 'node:worker_threads';
import type { StoredTotals } from '../../fuse/namespace/cold-files.ts';
import { StoreStatus } from '../../runtime/storage/store-status.ts';
import type { ColdNews, ColdOrder, ColdReply } from '../cold-order.ts';
import type { Context } from '../context.ts';
import { tryCompressed, trySummed } from '../messages.ts';
import { STORE_STATUS } from '../regions.ts';
import { type Background, BackgroundThread } from './background-row.ts';
import { Damage, type DamageStatus } from './damage.ts';
import type { MainRequests } from './requests.ts';
import { pause } from './threads.ts';

const FIRST = 'fuse-0';
const LOOK_MS = 1000;
/** All files are looked at so many times in the time after which one is cold, but no more often than once in LOOK_MS. */
const LOOKS = 8;
const LOOK_AGAIN_MAX_MS = 600_000;
/** fuse-0 may be between two threads: what it has not answered by then it answers to nobody. */
const PLACE_MS = 10_000;
const AGAIN_MS = 100;
/** After a failure the next attempt comes no sooner than after the first, doubling up to the second, ms. */
const RETRY_MS = 60_000;
const RETRY_MAX_MS = 3_600_000;

type CompressedNews = Extract<ColdNews, { kind: 'compressed' }>;
type SummedNews = Extract<ColdNews, { kind: 'summed' }>;

export interface ColdStatus {
  readonly mode: 'off' | 'cold';
  /** What is being done, '' = nothing. */
  readonly doing: string;
  /** Files that were compressed since the mount, and that changed before they could be. */
  readonly compressed: number;
  readonly overtaken: number;
  /** Files that got checksums since the mount. */
  readonly summed: number;
  /** When all were compared with their checksums last, seconds ago; absent = not since the mount. */
  readonly scrubbedSecondsAgo?: number;
  readonly damage: DamageStatus;
  /** As of the last look at all files. */
  readonly totals?: StoredTotals;
  /** Why the last attempt failed, until one succeeds. */
  readonly failure?: string;
}

export class ColdData implements Background {
  readonly name = 'cold';
  readonly #context: Context;
  readonly #requests: MainRequests;
  readonly #status: StoreStatus;
  #timer: NodeJS.Timeout | undefined;
  #worker: Worker | undefined;
  #thread: BackgroundThread | undefined;
  #threads = 0;
  #isClosed = false;
  #isHeld = false;
  #lookedAt = 0;
  #notBefore = 0;
  #doing = '';
  /** The object of which the thread has a file and has not said that it is finished, 0 = none. */
  #object = 0;
  #placed: { readonly object: number; readonly done: (errno: number) => void } | undefined;
  #compressed = 0;
  #overtaken = 0;
  #summed = 0;
  /** What the thread that runs, or that ran last, was told. */
  #order: ColdOrder | undefined;
  /** When all that has checksums was last begun to be compared with them, and when that was done. */
  #scrubDueFrom = 0;
  #scrubbedAt: number | undefined;
  readonly #damage: Damage;
  #totals: StoredTotals | undefined;
  #failures = 0;
  #failure: string | undefined;

  constructor(context: Context, requests: MainRequests) {
    this.#context = context;
    this.#requests = requests;
    this.#status = new StoreStatus(context.arena.region(STORE_STATUS));
    this.#damage = new Damage(context);
  }

  start(): void {
    this.#requests.placed = (object, errno) => {
      if (this.#placed?.object === object) this.#placed.done(errno);
    };
    this.#requests.damaged = (ino, object, position) => this.#damage.note(ino, object, position);
    this.#lookedAt = this.#now;
    this.#scrubDueFrom = this.#now;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Ends the thread, if there is one. Afterwards nothing is put into place any more. */
  async stop(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#worker?.terminate();
  }

  /** Nothing is put into place from now on. What was on its way is, before a gate of fuse-0 that is closed after this. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
  }

  get status(): ColdStatus {
    return {
      mode: this.#mode,
      doing: this.#doing,
      compressed: this.#compressed,
      overtaken: this.#overtaken,
      summed: this.#summed,
      damage: this.#damage.status,
      ...(this.#scrubbedAt === undefined
        ? {}
        : { scrubbedSecondsAgo: Math.round((this.#now - this.#scrubbedAt) / 1000) }),
      ...(this.#totals === undefined ? {} : { totals: this.#totals }),
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

  get #mode(): 'off' | 'cold' {
    return this.#context.settings.config.store.compress;
  }

  get #now(): number {
    return this.#context.clock.monotonic();
  }

  /** Infinity = there is nothing to look for. */
  get #lookAgainMs(): number {
    const { compress_after_s, checksum_after_s, scrub_s } = this.#context.settings.config.store;
    let seconds = Number.POSITIVE_INFINITY;
    if (this.#mode === 'cold') seconds = compress_after_s / LOOKS;
    if (checksum_after_s > 0) seconds = Math.min(seconds, checksum_after_s);
    if (scrub_s > 0) seconds = Math.min(seconds, scrub_s);
    return Number.isFinite(seconds) ? Math.min(LOOK_AGAIN_MAX_MS, seconds * 1000) : seconds;
  }

  get #isScrubDue(): boolean {
    const { scrub_s } = this.#context.settings.config.store;
    return scrub_s > 0 && this.#now >= this.#scrubDueFrom + scrub_s * 1000;
  }

  #look(): void {
    if (this.#isClosed) return;
    const again = this.#lookAgainMs;
    const wasStopped = this.#mode === 'off' && this.#order?.compress !== undefined;
    if (!Number.isFinite(again) || wasStopped) void this.#worker?.terminate();
    if (!Number.isFinite(again) || this.#worker !== undefined) return;
    const due = Math.max(this.#notBefore, this.#lookedAt + again);
    if (this.#now < due || this.#status.errno !== 0) return;
    this.#run();
  }

  #run(): void {
    const { settings, arena, logger } = this.#context;
    const { compress_after_s, compress_max, checksum_after_s } = settings.config.store;
    const order: ColdOrder = {
      store: settings.store,
      arena: arena.buffer,
      compress:
        this.#mode === 'cold' ? { afterSeconds: compress_after_s, maxBytes: compress_max } : undefined,
      sumAfterSeconds: checksum_after_s,
      scrubs: this.#isScrubDue,
    };
    this.#order = order;
    if (order.scrubs) this.#scrubDueFrom = this.#now;
    const worker = new Worker(new URL('../cold/thread.js', import.meta.url), {
      workerData: order,
      name: this.name,
    });
    this.#worker = worker;
    this.#thread = new BackgroundThread(++this.#threads, this.#now);
    this.#doing = 'looking for files at rest';
    worker.on('message', (news: ColdNews) => this.#heard(worker, news));
    worker.on('error', (error) => {
      logger.error({ err: error }, 'the thread that looks after large files at rest failed');
      this.#failed(error.message);
    });
    worker.on('exit', () => this.#ended());
  }

  #heard(worker: Worker, news: ColdNews): void {
    this.#thread?.heard(this.#now);
    if (news.kind === 'started') {
      if (this.#thread !== undefined) this.#thread.id = news.thread;
    } else if (news.kind === 'begun') {
      this.#object = news.object;
      this.#doing = `compressing ${news.bytes} bytes`;
    } else if (news.kind === 'compressed') {
      // From here on it is given up by fuse-0 or by nobody, however the thread ends.
      this.#object = 0;
      void this.#place(worker, news);
    } else if (news.kind === 'doing') {
      this.#doing = news.doing;
    } else if (news.kind === 'damaged') {
      this.#damage.note(news.ino, news.object, news.position);
    } else if (news.kind === 'summed') {
      void this.#giveSums(worker, news);
    } else if (news.kind === 'failed') {
      this.#object = 0;
      this.#failed(`errno ${news.errno}`);
    } else {
      this.#totals = news.totals;
      if (this.#order?.scrubs) this.#scrubbedAt = this.#now;
      this.#failures = 0;
      this.#failure = undefined;
    }
  }

  #failed(reason: string): void {
    this.#failure = reason;
    this.#notBefore = this.#now + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.#failures);
    this.#failures++;
  }

  #ended(): void {
    const object = this.#object;
    this.#object = 0;
    this.#worker = undefined;
    this.#thread = undefined;
    this.#doing = '';
    this.#lookedAt = this.#now;
    // Of no file: it is given up. If there is no room, the next mount deletes it.
    if (object !== 0 && !this.#isClosed) tryCompressed(this.#context.outbox(FIRST), 0, 0, 0, 0, object, 1);
  }

  async #place(worker: Worker, news: CompressedNews): Promise<void> {
    const { ino, generation, version, from, to, stored } = news;
    const outbox = this.#context.outbox(FIRST);
    if (!(await this.#sent(() => tryCompressed(outbox, ino, generation, version, from, to, stored)))) return;
    const errno = await this.#answer(to);
    if (errno !== 0) this.#overtaken++;
    else if (to !== from) this.#tookPlace(ino);
    worker.postMessage('next' satisfies ColdReply);
  }

  async #giveSums(worker: Worker, news: SummedNews): Promise<void> {
    const { ino, generation, version, object, count, crc, spoils } = news;
    const outbox = this.#context.outbox(FIRST);
    const send = () => trySummed(outbox, ino, generation, version, object, count, crc, spoils);
    if (!(await this.#sent(send))) return;
    if ((await this.#answer(object)) === 0) this.#summed++;
    worker.postMessage('next' satisfies ColdReply);
  }

  /** Once nothing is held back and there is room; false when it is closed before. */
  async #sent(send: () => boolean): Promise<boolean> {
    while (!this.#isClosed) {
      if (!this.#isHeld && send()) return true;
      await pause(AGAIN_MS);
    }
    return false;
  }

  #tookPlace(ino: number): void {
    this.#compressed++;
    // What the kernel knows of the space that it takes.
    this.#requests.kernelCache.forgetAttributes(ino);
  }

  /** Of fuse-0: 0 or an errno. */
  #answer(object: number): Promise<number> {
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.#placed?.done(-1), PLACE_MS);
      this.#placed = {
        object,
        done: (errno) => {
          clearTimeout(limit);
          this.#placed = undefined;
          resolve(errno);
        },
      };
    });
  }
}

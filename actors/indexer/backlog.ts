import type { Logger } from '../../runtime/log.ts';
import type { FileIndexer, Outcome } from './index-file.ts';
import { WorkList } from './work-list.ts';

export interface Progress {
  /** Files that wait or are being indexed. */
  readonly pending: number;
  /** Files indexed since the mount. */
  readonly indexed: number;
  readonly passedOver: number;
  readonly failed: number;
}

/** Works the list of changed files off, a few at a time, whenever one is due. Lives on the indexer's event loop. */
export class Backlog {
  readonly #list: WorkList;
  readonly #indexer: FileIndexer;
  readonly #parallel: number;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #inFlight = new Set<number>();
  /** Files that changed while they were being indexed. */
  readonly #again = new Set<number>();
  readonly #counts: Record<Outcome, number> = {
    indexed: 0,
    'passed over': 0,
    gone: 0,
    'changed meanwhile': 0,
    failed: 0,
  };
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #idle: (() => void)[] = [];

  constructor(indexer: FileIndexer, settleMs: number, parallel: number, now: () => number, logger: Logger) {
    this.#indexer = indexer;
    this.#list = new WorkList(settleMs);
    this.#parallel = parallel;
    this.#now = now;
    this.#logger = logger;
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
    else this.#list.changed(ino, this.#now());
    this.#pump();
  }

  /** Resolves when nothing is pending; files that were being written to are not waited for to settle. */
  drained(): Promise<void> {
    this.#list.hurry();
    this.#pump();
    if (this.progress.pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Finishes what is under way and begins nothing more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    while (this.#inFlight.size > 0) await new Promise((resume) => setTimeout(resume, 5));
  }

  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    while (this.#inFlight.size < this.#parallel) {
      const ino = this.#list.take(this.#now());
      if (ino < 0) break;
      void this.#work(ino);
    }
    const wait = this.#list.nextDueIn(this.#now());
    if (this.#inFlight.size < this.#parallel && Number.isFinite(wait)) {
      this.#timer = setTimeout(() => this.#pump(), wait);
    }
    if (this.progress.pending === 0) for (const done of this.#idle.splice(0)) done();
  }

  async #work(ino: number): Promise<void> {
    this.#inFlight.add(ino);
    const outcome = await this.#indexer.index(ino).catch((error: unknown): Outcome => {
      this.#logger.error({ err: error, ino }, 'a file could not be indexed');
      return 'failed';
    });
    this.#counts[outcome]++;
    this.#inFlight.delete(ino);
    if (this.#again.delete(ino) || outcome === 'changed meanwhile') this.#list.changed(ino, this.#now());
    if (this.#idle.length > 0) this.#list.hurry();
    this.#pump();
  }
}

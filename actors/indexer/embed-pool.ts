import { Piscina } from 'piscina';
import { KIB } from '../../runtime/config/bounds.ts';
import type { Logger } from '../../runtime/log.ts';
import type { EmbedResult, EmbedTask } from './embed-task.ts';
import { FILES_PER_TASK } from './transit.ts';

export interface EmbedPoolOptions {
  /** The word vectors that the threads share. */
  readonly words: SharedArrayBuffer;
  readonly threads: number;
  /** How long one file may take. Then its thread is replaced. */
  readonly timeoutMs: number;
  readonly logger: Logger;
  /** URL of the task's module, for tests. */
  readonly task?: string;
}

/** What became of a task. `timed out` is the file's fault; whether `thread died` is, shows when it happens again. */
export type Embedded = { readonly chunks: EmbedResult } | Failed;

interface Failed {
  readonly failed: 'timed out' | 'thread died';
  readonly error: Error;
}

/**
 * Keeps Piscina from loading the task with require(), which ends the whole process when its thread is terminated at that
 * moment ("IsGraphAsync must be used on an instantiated module", Node 20.19 and later). Refused, it uses import().
 */
const NO_REQUIRED_MODULES = process.allowedNodeEnvironmentFlags.has('--no-experimental-require-module')
  ? ['--no-experimental-require-module']
  : [];

/** Files up to this size are handed to a thread together. */
export const SMALL_FILE_BYTES = 64 * KIB;

/** A file that waits for a thread. */
interface Waiting {
  readonly task: EmbedTask;
  readonly done: (embedded: Embedded) => void;
  /** It is large, or another of its batch, or it, did harm. */
  isAlone: boolean;
}

/**
 * The threads that cut and embed. As many tasks are given out at once, so that a task's time runs from its beginning; a
 * task is a file, or small files that waited together.
 */
export class EmbedPool {
  readonly #options: EmbedPoolOptions;
  readonly #threads: Piscina<EmbedTask[], EmbedResult[]>;
  readonly #waiting: Waiting[] = [];
  #free: number;

  constructor(options: EmbedPoolOptions) {
    const { words, threads, logger, task } = options;
    this.#options = options;
    this.#free = threads;
    this.#threads = new Piscina<EmbedTask[], EmbedResult[]>({
      filename: task ?? new URL('./embed-task.js', import.meta.url).href,
      minThreads: 1,
      maxThreads: threads,
      workerData: { words },
      execArgv: NO_REQUIRED_MODULES,
    });
    // A thread that died between two tasks is replaced; one that died in a task fails that task as well.
    this.#threads.on('error', (error) => logger.error({ err: error }, 'a task thread failed'));
  }

  /** The task's bytes belong to its thread from then on. Never rejects. */
  run(task: EmbedTask): Promise<Embedded> {
    return new Promise((done) => {
      this.#waiting.push({ task, done, isAlone: task.bytes.length > SMALL_FILE_BYTES });
      this.#giveOut();
    });
  }

  /** Ends the threads, whatever they are at. */
  destroy(): Promise<void> {
    return this.#threads.destroy();
  }

  #giveOut(): void {
    for (; this.#free > 0 && this.#waiting.length > 0; this.#free--) void this.#runBatch(this.#takeBatch());
  }

  /** The first that waits, and what may go with it. */
  #takeBatch(): Waiting[] {
    const waiting = this.#waiting;
    let files = 1;
    if (!waiting[0]!.isAlone)
      while (files < FILES_PER_TASK && files < waiting.length && !waiting[files]!.isAlone) files++;
    return waiting.splice(0, files);
  }

  async #runBatch(batch: readonly Waiting[]): Promise<void> {
    const results = await this.#runTask(batch.map(({ task }) => task));
    if (Array.isArray(results)) {
      for (const [i, { done }] of batch.entries()) done({ chunks: results[i]! });
    } else if (batch.length === 1) {
      batch[0]!.done(results);
    } else {
      // Which of them it was shows when each is run by itself.
      for (const file of batch) file.isAlone = true;
      this.#waiting.unshift(...batch);
    }
    this.#free++;
    this.#giveOut();
  }

  async #runTask(files: EmbedTask[]): Promise<EmbedResult[] | Failed> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), this.#options.timeoutMs);
    const { signal } = timeout;
    // The bytes of several are copied: they may be needed again.
    const transferList = files.length === 1 ? [files[0]!.bytes.buffer] : [];
    try {
      return await this.#threads.run(files, { transferList, signal });
    } catch (error) {
      const failed = signal.aborted ? 'timed out' : 'thread died';
      return { failed, error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      clearTimeout(timer);
    }
  }
}

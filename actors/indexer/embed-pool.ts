import { Piscina } from 'piscina';
import type { Logger } from '../../runtime/log.ts';
import type { EmbedResult, EmbedTask } from './embed-task.ts';

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
export type Embedded =
  | { readonly chunks: EmbedResult }
  | { readonly failed: 'timed out' | 'thread died'; readonly error: Error };

/**
 * Keeps Piscina from loading the task with require(), which ends the whole process when its thread is terminated at that
 * moment ("IsGraphAsync must be used on an instantiated module", Node 20.19 and later). Refused, it uses import().
 */
const NO_REQUIRED_MODULES = process.allowedNodeEnvironmentFlags.has('--no-experimental-require-module')
  ? ['--no-experimental-require-module']
  : [];

/** The threads that cut and embed: as many tasks at once, so that a task's time runs from its beginning. */
export class EmbedPool {
  readonly #options: EmbedPoolOptions;
  readonly #threads: Piscina<EmbedTask, EmbedResult>;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(options: EmbedPoolOptions) {
    const { words, threads, logger, task } = options;
    this.#options = options;
    this.#free = threads;
    this.#threads = new Piscina<EmbedTask, EmbedResult>({
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
  async run(task: EmbedTask): Promise<Embedded> {
    await this.#enter();
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), this.#options.timeoutMs);
    try {
      const { signal } = timeout;
      return { chunks: await this.#threads.run(task, { transferList: [task.bytes.buffer], signal }) };
    } catch (error) {
      const failed = timeout.signal.aborted ? 'timed out' : 'thread died';
      return { failed, error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      clearTimeout(timer);
      this.#leave();
    }
  }

  /** Ends the threads, whatever they are at. */
  destroy(): Promise<void> {
    return this.#threads.destroy();
  }

  async #enter(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resume) => this.#waiting.push(resume));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}

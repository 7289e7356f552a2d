import { Worker } from 'node:worker_threads';
import type { StartedThread, ThreadData } from '../context.ts';
import { newLoading, untilLoaded } from '../loading.ts';

/** How long a thread may take to load its code before it is ended all the same. */
const LOADING_MS = 2000;

/** One thread of an actor, from its start to its end. */
export interface ActorThread {
  /** Node's id of the thread, also once it has ended. */
  readonly id: number;
  /** Resolves when nothing of it runs any more, with why. */
  readonly ended: Promise<Error>;
  /** Ends it wherever it is. Afterwards it touches neither shared memory nor descriptors. */
  kill(): void;
}

export class WorkerThread implements ActorThread {
  readonly worker: Worker;
  readonly id: number;
  readonly ended: Promise<Error>;
  readonly #wake: () => void;
  readonly #beforeEnd: () => Promise<void>;
  readonly #loading = newLoading();

  /**
   * `wake` rings the actor's doorbell: a thread that sleeps in a system call ends when that returns.
   * @param beforeEnd is called before the thread is ended from outside
   */
  constructor(data: ThreadData, wake: () => void, beforeEnd: () => Promise<void> = async () => {}) {
    this.#wake = wake;
    this.#beforeEnd = beforeEnd;
    const { heap_mib } = data.config.supervision;
    this.worker = new Worker(new URL('../thread.js', import.meta.url), {
      workerData: { ...data, loading: this.#loading } satisfies StartedThread,
      name: data.name,
      ...(heap_mib > 0 ? { resourceLimits: { maxOldGenerationSizeMb: heap_mib } } : {}),
    });
    this.id = this.worker.threadId;
    let cause: Error | undefined;
    this.worker.on('error', (error) => {
      cause = error;
    });
    this.ended = new Promise((resolve) => {
      this.worker.on('exit', (code) => resolve(cause ?? new Error(`its thread ended with code ${code}`)));
    });
  }

  kill(): void {
    void this.#terminate();
  }

  async #terminate(): Promise<void> {
    await Promise.race([untilLoaded(this.#loading, LOADING_MS), this.ended]);
    await Promise.race([this.#beforeEnd(), this.ended]);
    void this.worker.terminate();
    this.#wake();
  }
}

/** What `promise` resolves to, or undefined after `ms` milliseconds. */
export async function withinMs<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

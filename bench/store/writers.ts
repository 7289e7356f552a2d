/** Concurrent writers: as many threads as asked for, which begin and end together. */
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { GO, type Job, STOP, WAIT } from './writer-thread.ts';

const THREAD = new URL('./writer-thread.js', import.meta.url);

export interface Rate {
  readonly transactions: number;
  readonly seconds: number;
}

interface Reply {
  readonly transactions?: number;
  readonly failed?: string;
}

/** Threads are made once and used for every measurement: making 64 of them takes longer than measuring them. */
export class Writers {
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #threads: Worker[] = [];
  readonly #peers: string;

  /** `peers`: the folder of the package that has better-sqlite3. */
  constructor(peers: string) {
    this.#peers = peers;
  }

  /** Runs `job` in `count` threads for so long. Throws when a writer's call fails. */
  async run(job: Omit<Job, 'writer'>, count: number, milliseconds: number): Promise<Rate> {
    const control = this.#control;
    while (this.#threads.length < count) {
      this.#threads.push(new Worker(THREAD, { workerData: { control, peers: this.#peers } }));
    }
    control.fill(WAIT);
    const threads = this.#threads.slice(0, count);
    const replies = Promise.all(threads.map((thread, writer) => ask(thread, { ...job, writer })));
    while (Atomics.load(control, 0) < count) await delay(1);
    const begin = performance.now();
    Atomics.store(control, 1, GO);
    Atomics.notify(control, 1);
    await delay(milliseconds);
    Atomics.store(control, 1, STOP);
    const all = await replies;
    const seconds = (performance.now() - begin) / 1000;
    const failed = all.find((reply) => reply.failed !== undefined);
    if (failed) throw new Error(`${job.work} in ${job.directory}: ${failed.failed}`);
    return { transactions: all.reduce((sum, { transactions = 0 }) => sum + transactions, 0), seconds };
  }

  async end(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

function ask(thread: Worker, job: Job): Promise<Reply> {
  return new Promise((resolve) => {
    const finish = (reply: Reply): void => {
      thread.off('message', finish);
      thread.off('error', fail);
      resolve(reply);
    };
    const fail = (error: Error): void => finish({ failed: error.message });
    thread.on('message', finish);
    thread.on('error', fail);
    thread.postMessage(job);
  });
}

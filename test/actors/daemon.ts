import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StopReason } from '../../actors/main/daemon.ts';
import type { Fault, SupervisedActor } from '../../actors/main/supervisor-port.ts';
import { mountAt, readMounts } from '../../fuse/mount/mountinfo.ts';
import { unmount } from '../../fuse/mount/unmount.ts';
import { DAEMON } from '../bundle.ts';

export type Order =
  | { readonly terminate: string }
  | { readonly drill: string; readonly fault: Fault }
  | { readonly restart: string }
  | { readonly rebuild: true }
  | { readonly describe: true }
  | { readonly wreck: true }
  | { readonly stop: StopReason };
export interface Report {
  readonly ready?: true;
  readonly stopped?: true;
  readonly restarted?: true;
  readonly actors?: readonly SupervisedActor[];
  readonly refused?: string;
  readonly notice?: string;
}

/** shard-0, io-0, io-1, pool, stats, indexer, fuse-0, fuse-1. */
export const SMALL = ['workers.shards=1', 'workers.fuse=2', 'workers.io=2', 'workers.tasks=1'];

/** Nothing here takes this long, unless it hangs. */
const PATIENCE_MS = 30_000;

export class Daemon {
  readonly notices: string[] = [];
  /** The exit code, or the name of the signal that ended the process. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #waiting: ((report: Report) => void)[] = [];

  private constructor(store: string, directory: string, set: readonly string[]) {
    this.#child = fork(DAEMON, [store, directory, ...set], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.exited = new Promise((resolve) =>
      this.#child.on('exit', (code, signal) => resolve(code ?? (signal as string))),
    );
    this.#child.on('message', (report: Report) => {
      if (report.notice !== undefined) this.notices.push(report.notice);
      else this.#waiting.shift()?.(report);
    });
  }

  /** Resolves once the mount serves, or has been refused: then with the sentence that says why. */
  static async start(
    store: string,
    directory: string,
    set: readonly string[] = SMALL,
  ): Promise<Daemon | string> {
    const daemon = new Daemon(store, directory, set);
    const { refused } = await daemon.#report();
    if (refused === undefined) return daemon;
    await daemon.end();
    return refused;
  }

  async stop(how: StopReason = 'unmount'): Promise<Report> {
    const report = this.#report();
    this.#child.send({ stop: how } satisfies Order);
    return report;
  }

  /** Ends the actor's thread, as a fault would. */
  terminate(actor: string): void {
    this.#child.send({ terminate: actor } satisfies Order);
  }

  /** Leaves the tables as a thread that dies in the middle of a change may. */
  wreck(): void {
    this.#child.send({ wreck: true } satisfies Order);
  }

  drill(actor: string, fault: Fault): void {
    this.#child.send({ drill: actor, fault } satisfies Order);
  }

  /** Resolves when the actor has another thread, which is ready. */
  async restart(actor: string): Promise<Report> {
    const report = this.#report();
    this.#child.send({ restart: actor } satisfies Order);
    return report;
  }

  /** Resolves when the tables were made anew from the log and all actors run again. */
  async rebuild(): Promise<Report> {
    const report = this.#report();
    this.#child.send({ rebuild: true } satisfies Order);
    return report;
  }

  async describe(actor: string): Promise<SupervisedActor> {
    const report = this.#report();
    this.#child.send({ describe: true } satisfies Order);
    const { actors, refused } = await report;
    const described = actors?.find(({ name }) => name === actor);
    if (!described) throw new Error(refused ?? `${actor} is not described`);
    return described;
  }

  /** Resolves when the actor runs and was restarted at least so often. */
  async restarted(actor: string, times = 1): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const described = await this.describe(actor);
      if (described.restarts >= times && ['ready', 'busy'].includes(described.state)) return;
      if (performance.now() > deadline) throw new Error(`${actor} is ${JSON.stringify(described)}`);
      await new Promise((resume) => setTimeout(resume, 20));
    }
  }

  kill(): Promise<number | string> {
    this.#child.kill('SIGKILL');
    return this.exited;
  }

  /** The exit code; `SIGKILL` for a process that had to be killed because it did not end by itself. */
  async end(): Promise<number | string> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }

  async #report(): Promise<Report> {
    const report = new Promise<Report>((resolve) => this.#waiting.push(resolve));
    return Promise.race([report, this.exited.then((code) => ({ refused: `ended with ${code}` }))]);
  }
}

/** A folder with a place for a store and a mount point, gone at the end whatever happened. */
export class Place {
  readonly root = mkdtempSync(join(tmpdir(), 'vexfs-actors-'));
  readonly store = join(this.root, 'store');
  readonly directory = join(this.root, 'mnt');

  constructor() {
    mkdirSync(this.directory);
  }

  get isMounted(): boolean {
    return mountAt(readMounts(), this.directory) !== undefined;
  }

  /** A daemon that must come up. */
  async mount(set?: readonly string[]): Promise<Daemon> {
    const daemon = await Daemon.start(this.store, this.directory, set);
    if (typeof daemon === 'string') throw new Error(daemon);
    return daemon;
  }

  dispose(): void {
    if (this.isMounted) unmount(this.directory, { lazy: true });
    rmSync(this.root, { recursive: true, force: true, maxRetries: 3 });
  }
}

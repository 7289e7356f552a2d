import { closeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../fuse/mount/failure.ts';
import { mount, raiseReadAhead } from '../../fuse/mount/mount.ts';
import type { MountOptions } from '../../fuse/mount/mount-options.ts';
import { unmount } from '../../fuse/mount/unmount.ts';
import { handshake } from '../../fuse/session/handshake.ts';
import { KIB } from '../../runtime/config/bounds.ts';
import { EINVAL } from '../../runtime/errno.ts';
import { eventfd } from '../../runtime/system/libc.ts';
import { UserError } from '../../runtime/user-error.ts';
import type { Context } from '../context.ts';
import { agreedChannel, type ChosenChannel, chooseChannel, holdNode } from './fuse-channel.ts';
import type { PassedThrough } from './passed-through.ts';
import { withinMs } from './threads.ts';
import { wantedOf } from './wanted.ts';

/** How long a mount may take from its connection to its first answer. */
const USABLE_TIMEOUT_MS = 30_000;

/** A mount as the kernel has it: its place in the tree of directories, the connection, and how requests come over it. */
export class KernelMount {
  readonly #context: Context;
  readonly #directory: string;
  readonly #options: MountOptions;
  readonly #passed: PassedThrough;
  /** A semaphore: one token wakes one of the fuse actors that stand by. */
  readonly #standBy = eventfd(true);
  #channel: ChosenChannel = { channel: 'classic', why: '' };
  #descriptor = -1;
  /** Holds what sealQueues needs. */
  #inotify = -1;
  #isAttached = false;

  constructor(context: Context, directory: string, options: MountOptions, passed: PassedThrough) {
    this.#context = context;
    this.#directory = directory;
    this.#options = options;
    this.#passed = passed;
  }

  get channel(): ChosenChannel {
    return this.#channel;
  }

  /** As far as this process did, it is in the tree of directories. */
  get isAttached(): boolean {
    return this.#isAttached;
  }

  /** The kernel makes its first acquaintance, and those who wait for it begin. @throws {UserError} */
  connect(): void {
    const { config, store } = this.#context.settings;
    const chosen = chooseChannel(config);
    // The kernel sends INIT, and with it what it offers, from within mount(2).
    const mounted = mount(this.#directory, store, this.#options);
    if (mounted instanceof Failure) throw new UserError(mounted.message);
    this.#isAttached = true;
    this.#descriptor = mounted.fd;
    const agreed = handshake(mounted.fd, wantedOf(this.#context, chosen));
    if (typeof agreed === 'string') throw new UserError(agreed);
    this.#channel = agreedChannel(chosen, agreed);
    const isFallback = config.fuse.enable_uring && this.#channel.channel === 'classic';
    this.#context.logger[isFallback ? 'warn' : 'info'](this.#channel, 'the channel of requests');
    this.#passed.agreed(mounted.fd, agreed, this.#standBy);
  }

  /** Once those who serve are ready: resolves when requests are answered. Rejects with a UserError if they are not in time. */
  async answers(): Promise<void> {
    // Runs in the thread pool, so a mount that hangs can be given up. An OPEN that is declined saves RELEASEs of files that are made.
    const text = await withinMs(USABLE_TIMEOUT_MS, readFile(join(this.#directory, '.vexfs/config')));
    if (text === undefined) throw new UserError(`${this.#directory} was mounted but does not answer`);
    raiseReadAhead(this.#directory, this.#context.settings.config.fuse.read_ahead / KIB);
    if (this.#channel.channel === 'uring') this.#inotify = await holdNode(this.#context, this.#directory);
  }

  /** Takes it out of the tree of directories; lazy: though it is in use. @throws {UserError} if it is in use. */
  detach(lazy: boolean): void {
    const refused = unmount(this.#directory, { lazy });
    if (refused && refused.errno !== -EINVAL) throw new UserError(refused.message); // Else somebody else has unmounted it.
    this.#isAttached = false;
  }

  /** The connection has ended: nobody can reach it any more. */
  gone(): void {
    this.#isAttached = false;
  }

  /** Ends the connection first, so that nothing waits for an answer, the unmount included. Nobody may use its descriptors any more. */
  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    if (this.#isAttached) unmount(this.#directory, { lazy: true });
    if (this.#inotify >= 0) closeSync(this.#inotify);
    this.#isAttached = false;
    closeSync(this.#standBy);
  }
}

/**
 * Files that the kernel reads and writes by itself (`fuse.passthrough`, fuse/objects/passed-files.ts): whether it can here, and
 * when the tables follow what it has written. Lives in main.
 *
 * While a backup has frozen the mount nothing follows: what fuse-0 is asked for would be a change.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { OpenFiles } from '../../fuse/objects/open-files.ts';
import { FUSE_PASSTHROUGH_2 } from '../../fuse/protocol/abi.ts';
import type { Agreed } from '../../fuse/protocol/init.ts';
import { KernelBacking } from '../../fuse/session/backing.ts';
import { setConnection } from '../connection.ts';
import type { Context } from '../context.ts';
import { REFRESH_PASSED, tryWords } from '../messages.ts';

const FIRST = 'fuse-0';

export class PassedThrough {
  readonly #context: Context;
  readonly #files: OpenFiles;
  #isHeld = false;

  constructor(context: Context) {
    this.#context = context;
    this.#files = new OpenFiles(context.arena);
  }

  /**
   * This was agreed with the kernel on the descriptor `connection`: it is noted for all threads, without FUSE_PASSTHROUGH where the
   * kernel does not take files of this store. `standBy` as in connection.ts.
   */
  agreed(connection: number, agreed: Agreed, standBy: number): void {
    const { arena, logger } = this.#context;
    logger.info(agreed, 'the kernel agreed on a protocol');
    const flags2 = this.#usable(connection, agreed.flags2);
    setConnection(arena, { descriptor: connection, flags: agreed.flags, flags2, standBy });
    if ((flags2 & FUSE_PASSTHROUGH_2) !== 0) this.#wait();
  }

  #usable(connection: number, flags2: number): number {
    if ((flags2 & FUSE_PASSTHROUGH_2) === 0) return flags2;
    const backing = new KernelBacking(connection);
    const descriptor = openSync(
      join(this.#context.settings.store, 'lock'),
      constants.O_RDWR | constants.O_NOFOLLOW,
    );
    const id = backing.open(descriptor);
    closeSync(descriptor);
    if (id > 0) {
      backing.close(id);
      return flags2;
    }
    this.#context.logger.warn({ errno: -id }, 'the kernel takes no backing files from this store');
    return flags2 & ~FUSE_PASSTHROUGH_2;
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
  }

  #wait(): void {
    setTimeout(() => this.#look(), this.#context.settings.config.store.commit_interval_ms).unref();
  }

  #look(): void {
    // A full lane is one that fuse-0 has not come to yet.
    if (!this.#isHeld && this.#files.any) tryWords(this.#context.outbox(FIRST), REFRESH_PASSED, 0, 0);
    this.#wait();
  }
}

import { CacheNotifier } from '../../fuse/session/notify.ts';
import { connectionOf } from '../connection.ts';
import type { Context } from '../context.ts';
import { FORGET_INODE, type FORGET_NAME } from '../messages.ts';

/** What fuse actors want the kernel to forget, told from main: no request waits for it. */
export class KernelCache {
  readonly #context: Context;
  #notifier: CacheNotifier | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** FORGET_NAME or FORGET_INODE. Returns at once; the kernel may take until the directory's lock is free. */
  forget(
    kind: typeof FORGET_NAME | typeof FORGET_INODE,
    u8: Uint8Array,
    u32: Uint32Array,
    offset: number,
  ): void {
    this.#notifier ??= new CacheNotifier(connectionOf(this.#context));
    const [lo, hi] = [u32[offset >> 2]!, u32[(offset >> 2) + 1]!];
    if (kind === FORGET_INODE) {
      void this.#notifier.forgetInode(lo, hi);
      return;
    }
    void this.#notifier.forgetName(lo, hi, u8.slice(offset + 12, offset + 12 + u32[(offset >> 2) + 2]!));
    // Its times and number of links may have changed with the name.
    void this.#notifier.forgetInode(lo, hi);
  }

  /** Resolves when the kernel has forgotten what it was told to so far. */
  async settled(): Promise<void> {
    await this.#notifier?.idle();
  }

  /** Of a file: its attributes, not its data. */
  forgetAttributes(ino: number): void {
    this.#notifier ??= new CacheNotifier(connectionOf(this.#context));
    void this.#notifier.forgetAttributes(ino, 0);
  }

  /** Before the connection's descriptor is closed: nothing is told any more. Resolves when nothing is under way. */
  async close(): Promise<void> {
    await this.#notifier?.close();
  }
}

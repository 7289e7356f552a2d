/**
 * Telling the kernel to forget what it has cached (FUSE_NOTIFY_INVAL_ENTRY, FUSE_NOTIFY_INVAL_INODE).
 *
 * To forget a name the kernel takes the directory's lock, which a request that is under way may hold: the write then
 * blocks until that request has its answer, and cannot be interrupted. So it is never made by a thread that answers
 * requests, nor on an event loop, but by the thread pool of one that has nothing to do with them (main), and one at a
 * time, so that no more than one thread of that pool is ever held up. To forget attributes it takes no lock.
 */
import { write, writeSync } from 'node:fs';
import { NAME_MAX } from '../../runtime/config/bounds.ts';
import { EAGAIN, EINTR, EIO, ENOTCONN } from '../../runtime/errno.ts';
import { Reply } from '../protocol/reply.ts';

/** fuse_out_header, fuse_notify_inval_entry_out, the name and its NUL; a multiple of 8. */
const MESSAGE_BYTES = (16 + 16 + NAME_MAX + 8) & ~7;
/** Offsets from which cached data are dropped; what is known of the inode is in any case. */
const ALL_DATA = 0;
const NO_DATA = -1;

export class CacheNotifier {
  readonly #fd: number;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** @param fd /dev/fuse, mounted; not closed here. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The kernel drops a name and what it knows of the directory. 0 or −errno; −ENOENT: it had cached nothing. */
  forgetName(parentLo: number, parentHi: number, name: Uint8Array): Promise<number> {
    const message = newMessage();
    message.notifyInvalEntry(parentLo, parentHi, name, 0);
    return this.#send(message);
  }

  /** The kernel drops a node's attributes and the pages of its data. 0 or −errno; −ENOENT: it does not know the node. */
  forgetInode(lo: number, hi: number): Promise<number> {
    const message = newMessage();
    message.notifyInvalInode(lo, hi, ALL_DATA, 0);
    return this.#send(message);
  }

  /** Resolves when what was to be sent so far has been. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** The kernel drops a node's attributes and keeps its data. 0 or −errno, as {@link forgetInode}. */
  forgetAttributes(lo: number, hi: number): Promise<number> {
    const message = newMessage();
    message.notifyInvalInode(lo, hi, NO_DATA, 0);
    return this.#send(message);
  }

  /**
   * What waits its turn is not sent any more. Resolves when nothing is under way: only then may the descriptor be closed,
   * or its number be somebody else's when the write is made.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
  }

  #send(message: Reply): Promise<number> {
    const sent = this.#last.then(() => (this.#isClosed ? -ENOTCONN : this.#write(message)));
    this.#last = sent;
    return sent;
  }

  async #write(message: Reply): Promise<number> {
    for (;;) {
      const sent = await new Promise<number>((done) => {
        write(this.#fd, message.u8, 0, message.length, null, (error) => done(error?.errno ?? 0));
      });
      if (sent !== -EINTR && sent !== -EAGAIN) return sent > 0 ? -EIO : sent;
    }
  }
}

/** Before this returns the kernel drops a node's attributes and keeps its data, if it has any. Any thread. */
export function forgetAttributesNow(fd: number, lo: number, hi: number): void {
  const message = newMessage();
  message.notifyInvalInode(lo, hi, NO_DATA, 0);
  try {
    writeSync(fd, message.u8, 0, message.length);
  } catch {
    // It knew nothing of the node, or is about to know nothing of any.
  }
}

function newMessage(): Reply {
  return new Reply(new ArrayBuffer(MESSAGE_BYTES), 0, MESSAGE_BYTES);
}

/**
 * io-1, io-2, …: the durability of their share of the object files. They flush when io-0 commits, once their
 * mailbox has been empty since it asked: then every object that the commit depends on is known. Of a question that one
 * of them took with it when it ended, its successor is asked again.
 */
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { JournalReader } from '../../runtime/storage/journal-ring.ts';
import type { StoreStatus } from '../../runtime/storage/store-status.ts';
import { FLUSH_OBJECTS, OBJECT_DIRTY, OBJECT_DROPPED, OBJECT_LOGGED, OBJECTS_FLUSHED } from '../messages.ts';
import type { DirtyObjects } from './objects.ts';

export interface FlushOptions {
  readonly journal: JournalReader;
  readonly objects: DirtyObjects;
  readonly status: StoreStatus;
  readonly clock: Clock;
  /** May change at any time. */
  readonly intervalMs: number;
  /** A message of two words to io-0. */
  toFirst(kind: number, first: number, second: number): void;
}

export class FlushActor {
  readonly #options: FlushOptions;
  #question = 0;
  #asked = false;
  /** Those that are logged, too. */
  #everything = false;
  #lastFlush: number;
  #errno = 0;

  constructor(options: FlushOptions) {
    this.#options = options;
    this.#lastFlush = options.clock.monotonic();
  }

  onMessage(kind: number, _u8: Uint8Array, u32: Uint32Array, _f64: Float64Array, offset: number): void {
    const { journal, objects } = this.#options;
    const first = u32[offset >> 2]!;
    if (kind === OBJECT_DIRTY) objects.dirty(first, u32[(offset >> 2) + 1]!);
    else if (kind === OBJECT_LOGGED) objects.logged(first);
    else if (kind === OBJECT_DROPPED) objects.dropped(first, journal.published());
    else if (kind === FLUSH_OBJECTS) {
      this.#question = first;
      this.#everything = u32[(offset >> 2) + 1] !== 0;
      this.#asked = true;
    } else assert(false, 'an io actor knows this kind of message');
  }

  idle(): number {
    const { intervalMs, journal, objects, status, toFirst } = this.#options;
    const isDeleting = !status.keepsObjects && objects.deleteDropped(journal.durable());
    const wait = this.#asked ? 0 : this.#msUntilFlush();
    if (wait > 0) return isDeleting ? 0 : wait;
    this.#errno ||= status.errno || Math.abs(objects.flush(this.#everything || !this.#asked));
    this.#lastFlush = this.#options.clock.monotonic();
    if (this.#asked) toFirst(OBJECTS_FLUSHED, this.#question, this.#errno);
    this.#asked = false;
    return this.#errno === 0 ? 0 : intervalMs;
  }

  /** Objects that no commit asks about, because no record depends on them, are flushed all the same. */
  #msUntilFlush(): number {
    const { clock, intervalMs, objects } = this.#options;
    const now = clock.monotonic();
    if (objects.dirtyCount + objects.loggedCount === 0) this.#lastFlush = now;
    return Math.max(0, this.#lastFlush + intervalMs - now);
  }

  stop(): void {}
}

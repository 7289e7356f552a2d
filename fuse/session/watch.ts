/**
 * Which of the threads that share one /dev/fuse waits on it (leader and followers). Every thread polling the
 * descriptor is woken for every request, and all but one find nothing; so one watches, and the others stand by until
 * they are called.
 *
 * Roles: any thread of the mount may enter, leave, stand by and call; all operations are lock-free.
 * Words: 0 the watcher's id (0 = nobody); 1 and 2 who stands by, a bit for each id from 1 to 64; 3 the eventfd (a
 * semaphore) they poll.
 *
 * Invariants:
 * 1. At most one thread watches. A thread that handles a request does not watch.
 * 2. A thread sets its bit, then looks whether anybody watches; a watcher leaves word 0, then looks whether
 *    anybody stands by. Both are sequentially consistent, so a call is not lost between the two.
 * 3. A call wakes at least one of those standing by. A thread that was woken for nothing stands by again; all
 *    look at /dev/fuse at least once a second, so a watcher that died delays requests and loses none.
 * 4. Words 0 to 2 name their threads, so what a dead one left there is known: its successor, or whoever finds it dead,
 *    takes it back (vacate). A token for a thread that died wakes another one once, for nothing.
 */
import { assert } from '../../runtime/assert.ts';
import { POLLIN, type PollSet, read, write } from '../../runtime/system/libc.ts';

const WATCHER = 0;
const STANDING_BY = 1;
const DESCRIPTOR = 3;
const NOBODY = 0;
const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

function bits(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}

export class Watch {
  static readonly WORDS = 4;
  /** The largest id. */
  static readonly THREADS = 64;
  readonly #i32: Int32Array;
  readonly #at: number;
  readonly #id: number;
  /** The word and the bit by which this thread says that it stands by. */
  readonly #word: number;
  readonly #bit: number;
  readonly #eventfd: number;
  readonly #token = new Uint8Array(8);

  /** Once per mount, before the threads start: `eventfd` is one made with `eventfd(true)`. */
  static format(i32: Int32Array, index: number, eventfd: number): void {
    i32[index + WATCHER] = NOBODY;
    i32[index + STANDING_BY] = i32[index + STANDING_BY + 1] = 0;
    i32[index + DESCRIPTOR] = eventfd;
  }

  /**
   * @param id of this thread among those of the mount, 1 … THREADS; a restarted thread takes over its predecessor's,
   * and with it what that one left behind.
   */
  constructor(i32: Int32Array, index: number, id: number) {
    assert(id >= 1 && id <= Watch.THREADS, 'a thread that watches has a bit');
    this.#i32 = i32;
    this.#at = index;
    this.#id = id;
    this.#word = index + STANDING_BY + ((id - 1) >> 5);
    this.#bit = 1 << ((id - 1) & 31);
    this.#eventfd = i32[index + DESCRIPTOR]!;
    this.vacate();
  }

  /** After the thread of this id has died: nobody counts on it any more, and another one may watch. Repeatable. */
  vacate(): void {
    Atomics.and(this.#i32, this.#word, ~this.#bit);
    const wasWatching = Atomics.compareExchange(this.#i32, this.#at + WATCHER, this.#id, NOBODY) === this.#id;
    if (wasWatching) this.call();
  }

  /** True: this thread watches now, until `leave`. */
  enter(): boolean {
    return Atomics.compareExchange(this.#i32, this.#at + WATCHER, NOBODY, this.#id) === NOBODY;
  }

  leave(): void {
    Atomics.compareExchange(this.#i32, this.#at + WATCHER, this.#id, NOBODY);
  }

  /** What a thread polls while it stands by. */
  get descriptor(): number {
    return this.#eventfd;
  }

  /** Sleeps until a call, or until another descriptor of `pollSet` is ready; its i-th one is `descriptor`. */
  standBy(pollSet: PollSet, i: number, timeoutMs: number): void {
    Atomics.or(this.#i32, this.#word, this.#bit);
    if (Atomics.load(this.#i32, this.#at + WATCHER) !== NOBODY) {
      pollSet.wait(timeoutMs);
      if (pollSet.events(i) & POLLIN) read(this.#eventfd, this.#token);
    }
    Atomics.and(this.#i32, this.#word, ~this.#bit);
  }

  /** How many threads stand by; those that are not at work and do not watch. */
  get standingBy(): number {
    const first = this.#at + STANDING_BY;
    return bits(Atomics.load(this.#i32, first)) + bits(Atomics.load(this.#i32, first + 1));
  }

  /** Wakes a thread that stands by, if one does: the caller is not going to watch for a while. */
  call(): void {
    const first = this.#at + STANDING_BY;
    if ((Atomics.load(this.#i32, first) | Atomics.load(this.#i32, first + 1)) !== 0)
      write(this.#eventfd, ONE, ONE.length);
  }
}

/**
 * The part of a shard in a move to another number of shards (route.ts): what ROUTE_CHANGED asks for, a slice at a time,
 * once all has been taken in that had been sent when it came.
 *
 * COPYING: it sends on what it holds and another is to hold. It has taken in all that it alone was sent; what comes later, the
 * other hears as well, and more truly: so the other takes what is sent on only as long as it has heard nothing of the file itself.
 * DROPPING: it drops what it does not hold.
 *
 * A walk visits the files that were there at its beginning: those that come after are sent to all whom they concern.
 */
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { Context } from '../context.ts';
import { ROUTE_DONE, tryWords } from '../messages.ts';
import { COPYING, holderOf, keeps, NO_ROUTE, phaseOf, type Route, shardsAfter } from '../route.ts';
import { tryPutChunks, tryPutVector } from '../shard-messages.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import { shardOf } from '../topology.ts';
import { FIRST_STAMP } from '../vector-order.ts';
import type { Shard } from './shard.ts';

/** How long a slice may take, milliseconds: a search waits no longer for it. */
const SLICE_MS = 1;
/** Files between two looks at the clock. */
const FILES_PER_LOOK = 16;

/** The files of one collection that are still to be visited. */
interface Walk {
  readonly collection: number;
  readonly inodes: Iterator<number>;
  /** At most so many more: those that were there at the beginning come first. */
  left: number;
}

/** True when it was sent; false when the lane was full. */
type Send = () => boolean;

export type Progress = 'nothing to do' | 'more' | 'lane full';

export class Moving {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #route: Route;
  readonly #self: number;
  readonly #metrics: MetricsBlock;
  readonly #left: number;
  /** The word that main waits for; NO_ROUTE = it does not. */
  #word = NO_ROUTE;
  /** What had been sent to this shard when it heard of that. */
  #mark: Int32Array = new Int32Array(0);
  #walks: Walk[] | undefined;
  /** What is left to send of the file that was visited last. */
  readonly #unsent: Send[] = [];

  constructor(context: Context, shard: Shard, route: Route, metrics: MetricsBlock) {
    this.#context = context;
    this.#shard = shard;
    this.#route = route;
    this.#self = context.topology.actor(context.name).index;
    this.#metrics = metrics;
    this.#left = metrics.counter('moving');
  }

  /** A ROUTE_CHANGED. */
  begin(word: number): void {
    this.#word = word;
    this.#mark = this.#context.mailbox.mark();
    this.#walks = undefined;
    this.#unsent.length = 0;
  }

  /** A slice. */
  step(): Progress {
    if (this.#word === NO_ROUTE || !this.#context.mailbox.passed(this.#mark)) return 'nothing to do';
    // The answer to a question that a predecessor left: the one of now is on its way.
    if (this.#word !== this.#route.word) {
      this.#word = NO_ROUTE;
      return 'nothing to do';
    }
    this.#walks ??= this.#allFiles();
    const progress = this.#visit(performance.now() + SLICE_MS);
    this.#metrics.set(
      this.#left,
      this.#walks.reduce((sum, { left }) => sum + left, 0),
    );
    if (progress !== 'nothing to do') return progress;
    if (!tryWords(this.#context.outbox('main'), ROUTE_DONE, this.#word, this.#self)) return 'lane full';
    this.#word = NO_ROUTE;
    this.#walks = undefined;
    return 'more';
  }

  #allFiles(): Walk[] {
    return this.#shard.collections().map((collection) => ({
      collection,
      inodes: this.#shard.inodes(collection),
      left: this.#shard.files(collection),
    }));
  }

  #visit(until: number): Progress {
    for (let looked = 1; ; looked++) {
      while (this.#unsent.length > 0) {
        if (!this.#unsent[0]!()) return 'lane full';
        this.#unsent.shift();
      }
      const walk = this.#walks!.find(({ left }) => left > 0);
      if (walk === undefined) return 'nothing to do';
      const { done, value } = walk.inodes.next();
      walk.left = done ? 0 : walk.left - 1;
      if (!done) this.#visitFile(walk.collection, value);
      if (looked % FILES_PER_LOOK === 0 && performance.now() > until) return 'more';
    }
  }

  #visitFile(collection: number, ino: number): void {
    const word = this.#word;
    if (!keeps(word, this.#self, ino)) this.#shard.drop(collection, ino);
    else if (phaseOf(word) === COPYING && holderOf(word, ino) === this.#self) {
      const owner = shardOf(ino, shardsAfter(word));
      if (owner !== this.#self) this.#sendOn(collection, ino, owner);
    }
  }

  /** What lanes have no room for is sent when they have; by then the file may be another, of which the owner has heard. */
  #sendOn(collection: number, ino: number, owner: number): void {
    const to = this.#context.outbox(`shard-${owner}`);
    if (collection === TEXT_COLLECTION) {
      this.#shard.textBatchesOf(ino, (generation, batch) => {
        this.#unsent.push(() => tryPutChunks(to, ino, generation, batch, 0, batch.length));
      });
      return;
    }
    this.#shard.vectorsOf(collection, ino, (generation, vector) => {
      const bytes = new Uint8Array(vector.slice().buffer);
      this.#unsent.push(() => tryPutVector(to, ino, generation, collection, FIRST_STAMP, bytes));
    });
  }
}

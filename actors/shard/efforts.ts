/**
 * Learns what effort the wanted recall (`vectors.recall`) takes in a shard's part of each collection, when there is nothing
 * else to do, and writes it down for whoever asks (vector-memory.ts): anew when the graphs have doubled, or another recall is wanted.
 */
import type { CollectionIndex } from '../../kernels/hnsw/collection-index.ts';
import { effortForRecall } from '../../kernels/hnsw/effort.ts';
import { EFFORT_HITS } from '../collection-status.ts';
import type { Context } from '../context.ts';
import type { Shard } from './shard.ts';

/** How long a slice takes, milliseconds, or one search if that takes longer. */
const SLICE_MS = 0.5;
const PROBES = 48;
const GROWTH = 2;

interface Known {
  readonly percent: number;
  /** Vectors in graphs when it was learnt. */
  readonly size: number;
}

interface Learning extends Known {
  readonly collection: CollectionIndex;
  readonly steps: Generator<undefined, number>;
}

export class Efforts {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #known = new WeakMap<CollectionIndex, Known>();
  #learning: Learning | undefined;

  constructor(context: Context, shard: Shard) {
    this.#context = context;
    this.#shard = shard;
  }

  /** A slice of what there is to learn; false when there is nothing. */
  step(): boolean {
    const percent = this.#context.settings.config.vectors.recall;
    if (percent === 0) return false;
    this.#learning ??= this.#next(percent);
    if (this.#learning === undefined) return false;
    const { collection, size, steps } = this.#learning;
    const until = this.#context.clock.monotonic() + SLICE_MS;
    do {
      // Its memory may be another's by now.
      const step = collection.isReleased ? { done: true, value: 0 } : steps.next();
      if (!step.done) continue;
      this.#known.set(collection, { percent, size });
      if (!collection.isReleased) collection.effort = step.value!;
      this.#learning = undefined;
      return true;
    } while (this.#context.clock.monotonic() < until);
    return true;
  }

  #next(percent: number): Learning | undefined {
    for (const collection of this.#shard.withGraphs()) {
      const known = this.#known.get(collection);
      const size = collection.graphSize;
      if (known !== undefined && known.percent === percent && size < known.size * GROWTH) continue;
      const probes = collection.sample(PROBES);
      const steps = effortForRecall(collection, EFFORT_HITS, percent / 100, probes);
      return { collection, percent, size, steps };
    }
    return undefined;
  }
}

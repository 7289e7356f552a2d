/** What a shard's thread does with the time that messages and searches leave: graphs, its own first, then those of others. */
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { Context } from '../context.ts';
import type { Graphs } from './graphs.ts';
import type { Shard } from './shard.ts';
import type { Snapshots } from './snapshots.ts';

/** How long a slice of building is to take, milliseconds: a search that comes meanwhile waits for its end. */
const SLICE_MS = 0.5;
/** The same when nobody has searched for so long: what is done once for each slice is done less often. */
const QUIET_SLICE_MS = 2;
const QUIET_MS = 100;
/** Vectors of a slice, at the beginning and at most. */
const SLICE_FIRST = 4;
export const SLICE_MAX = 64;
/** Of the time that a vector takes, the share that each slice has. */
const WEIGHT = 1 / 8;

export class Building {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #graphs: Graphs;
  readonly #snapshots: Snapshots;
  readonly #metrics: MetricsBlock;
  readonly #helped: number;
  /** Of one vector, lately. */
  #vectorMs = SLICE_MS / SLICE_FIRST;
  /** Collections' graphs of which it was said that they are full. */
  readonly #full = new WeakSet<object>();
  #searchedAt = Number.NEGATIVE_INFINITY;

  constructor(context: Context, shard: Shard, graphs: Graphs, snapshots: Snapshots, metrics: MetricsBlock) {
    this.#context = context;
    this.#shard = shard;
    this.#graphs = graphs;
    this.#snapshots = snapshots;
    this.#metrics = metrics;
    this.#helped = metrics.counter('helped');
  }

  /** A search was answered: more are likely to come. */
  searched(): void {
    this.#searchedAt = this.#context.clock.monotonic();
  }

  /** A slice of what there is to do; false when there is nothing. */
  step(): boolean {
    this.#graphs.lookForEnded();
    const started = this.#context.clock.monotonic();
    const isQuiet = started - this.#searchedAt >= QUIET_MS;
    const budget = this.#budget(isQuiet ? QUIET_SLICE_MS : SLICE_MS);
    const moved = this.#shard.absorb(budget);
    this.#note(moved, started);
    const isTidying = this.#shard.tidy();
    if (moved > 0) return true;
    if (this.#help() || isTidying) return true;
    this.#sayWhichAreFull();
    return this.#snapshots.step(this.#shard.keptGraphs());
  }

  #sayWhichAreFull(): void {
    this.#shard.eachFull((graph, figures) => {
      if (this.#full.has(graph)) return;
      this.#full.add(graph);
      this.#context.logger.warn(
        figures,
        'graphs have no room for more vectors; those are searched exactly. vectors.graph_memory, or more workers.shards, give room',
      );
    });
  }

  /** The owner of the last vectors of a batch waits for whoever has them, so they are few. */
  #help(): boolean {
    if (!this.#context.settings.config.workers.steal) return false;
    const started = this.#context.clock.monotonic();
    const helped = this.#graphs.help(this.#budget(SLICE_MS));
    if (helped === 0) return false;
    this.#note(helped, started);
    this.#metrics.add(this.#helped, helped);
    return true;
  }

  #budget(milliseconds: number): number {
    return Math.max(1, Math.min(SLICE_MAX, Math.floor(milliseconds / this.#vectorMs)));
  }

  #note(vectors: number, started: number): void {
    if (vectors === 0) return;
    // Beginning a batch takes longer than a vector.
    const each = Math.min(SLICE_MS, (this.#context.clock.monotonic() - started) / vectors);
    this.#vectorMs += WEIGHT * (each - this.#vectorMs);
  }
}

import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import { HIT_BYTES, trySearch } from '../messages.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { Trace } from '../trace.ts';
import { untilSent } from './lanes.ts';

const NO_VECTOR = new Float32Array(0);

/** One entry of a shard, as it answered. `distance` is the metric's: 1 − cosine, squared l2, or 1 − dot. */
export interface Hit {
  readonly ino: number;
  readonly generation: number;
  readonly chunk: number;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly line: number;
  readonly version: number;
  readonly distance: number;
}

interface Gathering {
  missing: number;
  readonly hits: Hit[];
  readonly done: (hits: Hit[]) => void;
}

/** Puts one query to every shard and merges what they answer. Lives on the indexer's event loop. */
export class ScatterGather {
  readonly #shards: readonly Outbox[];
  readonly #open = new Map<number, Gathering>();
  readonly #trace: Trace | undefined;
  #nextId = 1;

  constructor(shards: readonly Outbox[], trace?: Trace) {
    this.#shards = shards;
    this.#trace = trace;
  }

  /** Resolves when every search has its answers: no shard has another one under way then. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await new Promise((resume) => setTimeout(resume, 1));
  }

  /** The `k` nearest entries of the collection over all shards, nearest first. */
  async search(collection: number, vector: Float32Array, k: number, ef: number): Promise<Hit[]> {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0 || 1;
    this.#trace?.shardsAsked(id);
    const answer = new Promise<Hit[]>((done) => {
      this.#open.set(id, { missing: this.#shards.length, hits: [], done });
    });
    const send = (shard: Outbox) => untilSent(() => trySearch(shard, id, collection, k, ef, vector));
    await Promise.all(this.#shards.map(send));
    const hits = await answer;
    hits.sort((a, b) => a.distance - b.distance || a.ino - b.ino || a.chunk - b.chunk);
    return hits.length > k ? hits.slice(0, k) : hits;
  }

  /** Resolves when every shard has taken in what was put before: a question without a vector, which finds nothing. */
  async settled(): Promise<void> {
    await this.search(TEXT_COLLECTION, NO_VECTOR, 1, 1);
  }

  /** A shard's HITS message. */
  gather(u32: Uint32Array, offset: number): void {
    const at = offset >> 2;
    const gathering = this.#open.get(u32[at]!);
    if (!gathering) return;
    const f32 = new Float32Array(u32.buffer, u32.byteOffset, u32.length);
    const count = u32[at + 1]!;
    for (let i = 0; i < count; i++) {
      const hit = at + 2 + (i * HIT_BYTES) / 4;
      gathering.hits.push({
        ino: u32[hit]!,
        generation: u32[hit + 1]!,
        chunk: u32[hit + 2]!,
        byteOffset: u32[hit + 3]!,
        byteLength: u32[hit + 4]!,
        line: u32[hit + 5]!,
        version: u32[hit + 6]!,
        distance: f32[hit + 7]!,
      });
    }
    if (--gathering.missing > 0) return;
    this.#open.delete(u32[at]!);
    gathering.done(gathering.hits);
  }
}

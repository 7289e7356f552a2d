/**
 * What of all that is said of files' vectors a shard takes in: what it is to keep by the route, and what is later than anything it
 * knows of the file, whoever says it.
 */
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { Context } from '../context.ts';
import { keeps, type Route } from '../route.ts';
import { PUT_VECTOR_HEADER_BYTES } from '../shard-messages.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { ActorKind } from '../topology.ts';
import type { Recent } from './recent.ts';
import type { Shard } from './shard.ts';
import type { Succession } from './succession.ts';

export class Intake {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #index: number;
  readonly #route: Route;
  readonly #recent: Recent;
  readonly #succession: Succession;
  readonly #metrics: MetricsBlock;
  readonly #puts: number;
  readonly #removes: number;

  constructor(
    context: Context,
    shard: Shard,
    route: Route,
    recent: Recent,
    succession: Succession,
    metrics: MetricsBlock,
  ) {
    this.#context = context;
    this.#shard = shard;
    this.#index = context.topology.actor(context.name).index;
    this.#route = route;
    this.#recent = recent;
    this.#succession = succession;
    this.#metrics = metrics;
    this.#puts = metrics.counter('puts');
    this.#removes = metrics.counter('removes');
  }

  /** A batch of chunks of a file's text, from somebody who knows. */
  putChunks(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void {
    this.#metrics.add(this.#puts, 1);
    this.#succession.heardOf(ino);
    if (this.#refuses(ino, generation, TEXT_COLLECTION)) return;
    this.#recent.toldOfText(ino);
    this.#storeChunks(ino, generation, u8, offset, length);
  }

  /** What a shard sends on, that held the file until now: only if nobody who knows better has said anything. */
  takeSentText(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void {
    const route = this.#route.word;
    if (!this.#succession.needsWhatIsSentOn(route) || !keeps(route, this.#index, ino)) return;
    if (!this.#recent.hasHeardOfText(ino)) this.#storeChunks(ino, generation, u8, offset, length);
  }

  /** Whether the file is none of this shard's; then nothing of it stays. */
  #refuses(ino: number, generation: number, collection: number): boolean {
    if (keeps(this.#route.word, this.#index, ino)) return false;
    this.#shard.remove(ino, generation, collection);
    return true;
  }

  #storeChunks(ino: number, generation: number, u8: Uint8Array, offset: number, length: number): void {
    if (this.#recent.isGone(ino, generation)) return;
    if (!this.#shard.putChunks(ino, generation, u8, offset, length)) {
      this.#context.logger.error({ ino, generation, length }, 'a batch of chunks does not parse');
    }
  }

  /** A PUT_VECTOR. */
  putVector(u8: Uint8Array, u32: Uint32Array, offset: number, from: ActorKind): void {
    const word = offset >> 2;
    const ino = u32[word]!;
    const generation = u32[word + 1]!;
    const collection = u32[word + 2]!;
    const stamp = u32[word + 4]!;
    this.#metrics.add(this.#puts, 1);
    if (this.#refuses(ino, generation, collection)) return;
    if (!this.#isNews(from, ino, collection, stamp) || this.#recent.isGone(ino, generation)) return;
    const bytes = u8.byteOffset + offset + PUT_VECTOR_HEADER_BYTES;
    const vector = new Float32Array(u8.buffer, bytes, u32[word + 3]!);
    if (!this.#shard.putVector(ino, generation, collection, vector)) {
      this.#context.logger.error({ collection, dimension: vector.length }, 'a vector of another dimension');
    }
  }

  /** Whether a vector is later than what is known of it. The tables say it with the stamp as of which they are told. */
  #isNews(from: ActorKind, ino: number, collection: number, stamp: number): boolean {
    if (from === 'io') return this.#recent.isNoOlder(ino, collection, stamp);
    if (from !== 'shard') return this.#recent.isLatest(ino, collection, stamp);
    return this.#succession.needsWhatIsSentOn(this.#route.word) && !this.#recent.hasHeardOf(ino, collection);
  }

  /** A REMOVE_VECTORS. */
  removeVectors(ino: number, generation: number, collection: number, stamp: number): void {
    this.#metrics.add(this.#removes, 1);
    // Who never has the file need not remember: what a retired shard left in the lanes would pass for news later.
    const isKept = keeps(this.#route.word, this.#index, ino);
    if (collection === TEXT_COLLECTION) {
      this.#succession.heardOf(ino);
      if (isKept) this.#recent.toldOfText(ino);
    } else if (isKept && !this.#recent.isLatest(ino, collection, stamp)) return;
    this.#shard.remove(ino, generation, collection);
  }

  /** The file is gone; nothing of it that is still on its way is kept. */
  removeFile(ino: number, generation: number): void {
    this.#recent.gone(ino, generation);
    this.#shard.removeFile(ino, generation);
    this.#metrics.add(this.#removes, 1);
  }
}

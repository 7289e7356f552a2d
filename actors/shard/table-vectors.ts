/**
 * How a shard gets users' vectors at a mount: it reads those of its files from the tables, a slice at a time, while the
 * mount is used already. Searches wait until it is through; what fuse actors tell meanwhile is taken in at once, and is
 * at least as new as what the tables say at that moment.
 */
import { type Namespace, VectorSnapshot } from '../../fuse/namespace/namespace.ts';
import type { Context } from '../context.ts';
import { VECTORS_LOADED, writeNumber } from '../messages.ts';
import { keeps, Route } from '../route.ts';
import { viewTree } from '../tree.ts';
import type { Recent } from './recent.ts';
import type { Shard } from './shard.ts';

/** How long a slice may take, milliseconds: what waits in the mailbox waits no longer for it. */
const SLICE_MS = 3;
/** Inodes between two looks at the clock. */
const INODES_PER_LOOK = 64;
/** How soon tables that are being changed are looked at again, milliseconds. */
const RETRY_MS = 1;

export class TableVectors {
  readonly #context: Context;
  readonly #shard: Shard;
  readonly #recent: Recent;
  readonly #route: Route;
  readonly #index: number;
  readonly #file = new VectorSnapshot();
  #namespace: Namespace | undefined;
  /** The next inode to look at. */
  #ino = 1;
  #vectors = 0;

  constructor(context: Context, shard: Shard, recent: Recent) {
    this.#context = context;
    this.#shard = shard;
    this.#recent = recent;
    this.#route = new Route(context.arena);
    this.#index = context.topology.actor(context.name).index;
  }

  /** Whether there are vectors in the tables that the shard has not taken in. */
  get isUnderWay(): boolean {
    return this.#namespace !== undefined;
  }

  /** A LOAD_VECTORS. */
  begin(): void {
    this.#namespace = viewTree(this.#context);
    this.#ino = 1;
    this.#vectors = 0;
  }

  /** What is there, and what comes, is told otherwise. */
  cancel(): void {
    this.#namespace = undefined;
  }

  /** Works for a slice. How many milliseconds the thread may sleep then. */
  step(): number {
    const namespace = this.#namespace!;
    const route = this.#route.word;
    const until = performance.now() + SLICE_MS;
    for (let looked = 1; this.#ino < namespace.inodesEnd; looked++) {
      if (keeps(route, this.#index, this.#ino) && !this.#take(namespace, this.#ino)) return RETRY_MS;
      this.#ino++;
      if (looked % INODES_PER_LOOK === 0 && performance.now() > until) return 0;
    }
    this.#namespace = undefined;
    writeNumber(this.#context.outbox('main'), VECTORS_LOADED, this.#vectors);
    return 0;
  }

  /** False when the file is being changed. */
  #take(namespace: Namespace, ino: number): boolean {
    const file = this.#file;
    const found = namespace.vectorSnapshot(ino, file);
    if (found < 0) return false;
    if (found === 0 || this.#recent.isGone(ino, file.generation)) return true;
    for (let i = 0; i < file.count; i++) {
      const collection = file.collection(i);
      if (this.#recent.hasHeardOf(ino, collection)) continue;
      if (this.#shard.putVector(ino, file.generation, collection, file.vector(i))) this.#vectors++;
      else this.#context.logger.error({ ino, collection }, 'a vector of another dimension');
    }
    return true;
  }
}

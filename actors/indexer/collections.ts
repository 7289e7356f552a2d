import type { Asker } from '../../fuse/namespace/change-set.ts';
import { type Collection, type Namespace, packOptions } from '../../fuse/namespace/namespace.ts';
import { EINVAL } from '../../runtime/errno.ts';
import type { Logger } from '../../runtime/log.ts';
import type { Refusal } from '../indexer-remote.ts';
import type { StoreChanges } from './changes.ts';
import { vectorAttribute } from './query-request.ts';

export interface CollectionRequest {
  readonly name: string;
  readonly dimension: number;
  readonly metric: Collection['metric'];
  readonly m?: number | undefined;
  readonly efConstruction?: number | undefined;
}

/** What is said of a collection. */
interface Described {
  readonly name: string;
  readonly dimension: number;
  readonly metric: Collection['metric'];
  /** Of its graph; 0 = as configured. */
  readonly m: number;
  readonly efConstruction: number;
  readonly vectors: number;
  readonly state: 'ready' | 'being dropped';
}

/** The users' collections of vectors: what there is, making one, dropping one. */
export class Collections {
  readonly #namespace: Namespace;
  readonly #changes: StoreChanges;

  constructor(namespace: Namespace, changes: StoreChanges) {
    this.#namespace = namespace;
    this.#changes = changes;
  }

  /** Goes on with what a predecessor, or the last mount, was dropping. */
  start(logger: Logger): void {
    for (const collection of this.#namespace.collections()) {
      if (!collection.isDropping) continue;
      const dropped = this.#changes.dropCollection(collection, vectorAttribute(collection.name));
      void dropped.then((errno) =>
        logger.info({ collection: collection.name, errno }, 'a collection was dropped'),
      );
    }
  }

  /** Counted file by file: some milliseconds for each 100,000 files. */
  list(): { collections: Described[] } {
    const collections = this.#namespace.collections().map((collection) => this.#describe(collection));
    return { collections };
  }

  create({ name, dimension, metric, m = 0, efConstruction = 0 }: CollectionRequest): object | Refusal {
    const options = packOptions({ metric, m, efConstruction });
    const id = this.#namespace.createCollection(name, dimension, options);
    if (id > 0) return { created: name };
    const existing = this.#namespace.collection(name);
    if (id === -EINVAL && existing !== undefined) {
      const { dimension: own, metric: ownMetric } = existing;
      return {
        refused: `there is a collection "${name}" already, of ${own} elements compared by ${ownMetric}; drop it first, or choose another name`,
      };
    }
    return { refused: `the collection "${name}" cannot be made (errno ${-id}): there can be 64` };
  }

  /** Its vectors go from the files. Of all users: so only the owner of the store, or root, may. */
  async drop(name: string, who: Asker): Promise<object | Refusal> {
    if (who.uid !== 0 && who.uid !== process.getuid!())
      return { refused: 'only the owner of the store drops a collection' };
    const collection = this.#namespace.collection(name);
    if (!collection) return { refused: `there is no collection "${name}"` };
    const errno = await this.#changes.dropCollection(collection, vectorAttribute(name));
    return errno === 0
      ? { dropped: name }
      : { refused: `the collection "${name}" was not dropped as a whole (errno ${errno}); try again` };
  }

  #describe({ name, dimension, metric, m, efConstruction, isDropping }: Collection): Described {
    const namespace = this.#namespace;
    const attribute = vectorAttribute(name);
    let vectors = 0;
    for (let ino = 1; ino < namespace.inodesEnd; ino++) {
      if (namespace.getxattr(ino, attribute, 0, attribute.length, attribute, 0, 0) >= 0) vectors++;
    }
    return {
      name,
      dimension,
      metric,
      m,
      efConstruction,
      vectors,
      state: isDropping ? 'being dropped' : 'ready',
    };
  }
}

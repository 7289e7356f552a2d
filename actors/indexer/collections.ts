import type { Asker } from '../../fuse/namespace/change-set.ts';
import { ELEMENTS, isKeeper, METRICS } from '../../fuse/namespace/collections.ts';
import { type Collection, type Namespace, packOptions } from '../../fuse/namespace/namespace.ts';
import { COLLECTIONS_MAX, VECTOR_DIMENSION_MAX } from '../../runtime/config/bounds.ts';
import { EINVAL, ENOSPC } from '../../runtime/errno.ts';
import type { Logger } from '../../runtime/log.ts';
import { type CollectionStatus, collectionStatus } from '../collection-status.ts';
import type { Context } from '../context.ts';
import type { Refusal } from '../indexer-remote.ts';
import type { StoreChanges } from './changes.ts';
import { vectorAttribute } from './query-request.ts';
import { reason } from './refusals.ts';

const FULL = `there are ${COLLECTIONS_MAX}, and no more can be`;

export interface CollectionRequest {
  readonly name: string;
  readonly dimension: number;
  readonly metric: Collection['metric'];
  readonly element?: Collection['element'] | undefined;
  readonly m?: number | undefined;
  readonly efConstruction?: number | undefined;
}

/** What is said of a collection. */
interface Described {
  readonly name: string;
  readonly dimension: number;
  readonly metric: Collection['metric'];
  readonly element: Collection['element'];
  /** Of its graph; 0 = as configured. */
  readonly m: number;
  readonly efConstruction: number;
  readonly vectors: number;
  readonly state: 'ready' | 'being dropped';
  /** As the shards have it; left out as long as they have nothing of it. */
  readonly figures?: Omit<CollectionStatus, 'name' | 'dimension' | 'metric'>;
}

/** The users' collections of vectors: what there is, making one, dropping one. */
export class Collections {
  readonly #context: Context;
  readonly #namespace: Namespace;
  readonly #changes: StoreChanges;

  constructor(context: Context, namespace: Namespace, changes: StoreChanges) {
    this.#context = context;
    this.#namespace = namespace;
    this.#changes = changes;
  }

  /** Makes those that are configured, and goes on with what a predecessor, or the last mount, was dropping. */
  start(configured: readonly string[], logger: Logger): void {
    for (const text of configured) {
      const answer = this.create(configuredCollection(text), { uid: 0, gids: [] });
      if ('refused' in answer) logger.warn({ collection: text }, answer.refused as string);
    }
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

  create(
    { name, dimension, metric, element = 'int8', m = 0, efConstruction = 0 }: CollectionRequest,
    who: Asker,
  ): object | Refusal {
    if (dimension < 1 || dimension > VECTOR_DIMENSION_MAX)
      return { refused: `vectors have 1 to ${VECTOR_DIMENSION_MAX} elements, not ${dimension}` };
    if ((m !== 0 && (m < 2 || m > 128)) || efConstruction > 10_000)
      return { refused: `M is 2 to 128 and efConstruction 1 to 10,000, not ${m} and ${efConstruction}` };
    const options = packOptions({ metric, element, m, efConstruction });
    const id = this.#namespace.createCollection(name, dimension, options, who.uid);
    if (id > 0) return { created: name };
    const existing = this.#namespace.collection(name);
    if (id === -EINVAL && existing !== undefined) {
      return {
        refused: `there is a collection "${name}" already, ${formOf(existing)}; drop it first, or choose another name`,
      };
    }
    return { refused: `the collection "${name}" was not made: ${id === -ENOSPC ? FULL : reason(-id)}` };
  }

  /** Its vectors go from the files. Of all users: so only the owner of the store, or root, may. */
  async drop(name: string, who: Asker): Promise<object | Refusal> {
    if (!isKeeper(who.uid)) return { refused: 'only the owner of the store drops a collection' };
    const collection = this.#namespace.collection(name);
    if (!collection) return { refused: `there is no collection "${name}"` };
    const errno = await this.#changes.dropCollection(collection, vectorAttribute(name));
    return errno === 0
      ? { dropped: name }
      : { refused: `the collection "${name}" was not dropped as a whole (errno ${errno}); try again` };
  }

  #describe(collection: Collection): Described {
    const { id, name, dimension, metric, element, m, efConstruction, isDropping } = collection;
    const namespace = this.#namespace;
    const attribute = vectorAttribute(name);
    let vectors = 0;
    for (let ino = 1; ino < namespace.inodesEnd; ino++) {
      if (namespace.getxattr(ino, attribute, 0, attribute.length, attribute, 0, 0) >= 0) vectors++;
    }
    const state = isDropping ? 'being dropped' : 'ready';
    const status = collectionStatus(this.#context, name, id);
    const described: Described = { name, dimension, metric, element, m, efConstruction, vectors, state };
    if (status === undefined || status.dimension !== dimension) return described;
    const { engine, tail, graph, graphs, graphsMax, walked, full, bytes, bytesPerVector } = status;
    const searched = { engine, vectors: status.vectors, tail, graph, graphs, graphsMax, walked, full };
    return { ...described, figures: { ...searched, bytes, bytesPerVector } };
  }
}

/** "NAME:DIMENSION", then in any order the metric, the element, "m=N" and "ef_construction=N" (vectors.collections). */
function configuredCollection(text: string): CollectionRequest {
  const [name = '', dimension, ...options] = text.split(':');
  const numberOf = (key: string): number | undefined => {
    const value = options.find((option) => option.startsWith(`${key}=`));
    return value === undefined ? undefined : Number(value.slice(key.length + 1));
  };
  return {
    name,
    dimension: Number(dimension),
    metric: METRICS.find((metric) => options.includes(metric)) ?? 'cosine',
    element: ELEMENTS.find((element) => options.includes(element)) ?? 'int8',
    m: numberOf('m'),
    efConstruction: numberOf('ef_construction'),
  };
}

function formOf({ dimension, metric, element, m, efConstruction }: Collection): string {
  const links = m === 0 ? '' : `, M ${m}`;
  const effort = efConstruction === 0 ? '' : `, efConstruction ${efConstruction}`;
  return `of ${dimension} elements compared by ${metric}, walked over ${element}${links}${effort}`;
}

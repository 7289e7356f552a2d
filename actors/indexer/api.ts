import type { Namespace } from '../../fuse/namespace/namespace.ts';
import { QUERY_MAX, SEARCH_K_MAX } from '../../runtime/config/bounds.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type {
  IndexerRemote,
  IndexStatus,
  Refusal,
  SearchResult,
  VectorPiece,
  Wanted,
} from '../indexer-remote.ts';
import { CLEAR_TEXT, trySignal } from '../messages.ts';
import type { Backlog } from './backlog.ts';
import type { FileIndexer } from './index-file.ts';
import { untilSent } from './lanes.ts';
import { type Queries, wrongQuery } from './queries.ts';
import { SearchTimeout } from './scatter-gather.ts';
import { countSearch, type Search } from './search.ts';
import { listVectors } from './vector-list.ts';

export interface IndexerParts {
  readonly namespace: Namespace;
  readonly search: Search;
  readonly backlog: Backlog;
  readonly files: FileIndexer;
  /** Of the shards that are there. */
  readonly shards: () => readonly Outbox[];
  /** Whether files are indexed at all. */
  readonly enabled: boolean;
  /** Resolves when the shards have taken in what was put before. */
  readonly settled: () => Promise<void>;
  readonly metrics: MetricsBlock;
  readonly queries: Queries;
  /** Text chunks in all shards. */
  readonly chunks: () => number;
}

/** What main may ask of the indexer, over Comlink. Paths are absolute within the filesystem. */
export class IndexerApi implements IndexerRemote {
  readonly #parts: IndexerParts;
  /** Takes in what waits in the mailbox, posted quietly or not. */
  readonly #drain: () => void;

  constructor(parts: IndexerParts, drain: () => void) {
    this.#parts = parts;
    this.#drain = drain;
  }

  async search(
    query: string,
    k: number,
    uid: number,
    gids: number[],
    under: string,
  ): Promise<SearchResult[] | Refusal> {
    const bytes = Buffer.byteLength(query);
    if (query.trim() === '') return { refused: 'the query is empty: say what to look for' };
    if (bytes > QUERY_MAX)
      return { refused: `the query has ${bytes} bytes; at most ${QUERY_MAX} are allowed` };
    const wrongK = checkK(k);
    if (wrongK) return wrongK;
    if (this.#parts.namespace.resolve(under) < 0)
      return { refused: `there is no ${under} in this filesystem` };
    return this.#timed(() => this.#parts.search.byText(query, k, { uid, gids }, under));
  }

  async similar(path: string, k: number, uid: number, gids: number[]): Promise<SearchResult[] | Refusal> {
    const { namespace, search } = this.#parts;
    const wrongK = checkK(k);
    if (wrongK) return wrongK;
    const ino = namespace.resolve(path);
    if (ino < 0) return { refused: `there is no ${path} in this filesystem` };
    if (!namespace.canRead(ino, uid, gids)) return { refused: `${path} may not be read` };
    return this.#timed(() => search.byFile(ino, k, { uid, gids }));
  }

  async vectorSearch(
    name: string,
    vector: Float32Array,
    k: number,
    uid: number,
    gids: number[],
    wanted: Wanted = {},
  ): Promise<SearchResult[] | Refusal> {
    const { namespace, search } = this.#parts;
    const wrongK = checkK(k);
    if (wrongK) return wrongK;
    const collection = namespace.collection(name);
    if (!collection) return { refused: `there is no collection "${name}"` };
    const wrong = wrongQuery(vector, collection);
    if (wrong !== undefined) return { refused: wrong };
    return this.#timed(() => search.byVector(collection, vector, k, { uid, gids }, undefined, wanted));
  }

  ask(
    request: unknown,
    payload: Uint8Array | undefined,
    uid: number,
    gids: number[],
  ): Promise<object | Refusal> {
    this.#drain();
    return this.#parts.queries.ask(request, payload, { uid, gids });
  }

  async vectorList(
    name: string,
    from: number,
    under: string,
    uid: number,
    gids: number[],
  ): Promise<VectorPiece | Refusal> {
    const { namespace } = this.#parts;
    const collection = namespace.collection(name);
    if (!collection) return { refused: `there is no collection "${name}"` };
    if (namespace.resolve(under) < 0) return { refused: `there is no ${under} in this filesystem` };
    return listVectors(namespace, collection, from, under, { uid, gids });
  }

  status(): IndexStatus {
    this.#drain();
    return { ...this.#parts.backlog.progress, chunks: this.#parts.chunks() };
  }

  /** Resolves once everything that was written before the call is searchable, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<IndexStatus> {
    this.#drain();
    await this.#parts.backlog.caughtUp(timeoutMs);
    await this.#parts.settled();
    this.publishMetrics();
    return this.status();
  }

  /**
   * Indexes a file, or everything below a directory, anew; says how many files that is. The journal has it: what an
   * unmount or a crash interrupts goes on at the next mount.
   */
  async rebuild(path: string): Promise<{ queued: number } | Refusal> {
    const { namespace, backlog, files, shards, enabled } = this.#parts;
    const root = namespace.resolve(path);
    if (root < 0) return { refused: `there is no ${path} in this filesystem` };
    let concerned = filesBelow(path, namespace);
    let failed = forgetAll(concerned, files);
    if (failed === 0 && path === '/') {
      // Whatever else the shards hold, of files that are no more, goes as well. The journal had to say so before: a
      // thread that ends in between leaves files to be indexed, and none that are said to be and are not.
      for (const shard of shards()) await untilSent(() => trySignal(shard, CLEAR_TEXT));
      // What was indexed while the lanes were full has been cleared again.
      concerned = filesBelow(path, namespace);
      failed = forgetAll(concerned, files);
    }
    if (failed !== 0) return { refused: `the store takes no changes (errno ${-failed})` };
    if (!enabled) return { queued: 0 };
    for (const ino of concerned) backlog.changed(ino);
    return { queued: concerned.length };
  }

  publishMetrics(): void {
    const { metrics, backlog } = this.#parts;
    for (const [name, value] of Object.entries(backlog.progress)) metrics.set(metrics.counter(name), value);
  }

  async #timed<T>(search: () => Promise<T>): Promise<T | Refusal> {
    const { metrics } = this.#parts;
    this.#drain();
    const started = performance.now();
    const found = await search().catch((error: unknown): Refusal => {
      if (error instanceof SearchTimeout) return { refused: error.message };
      throw error;
    });
    countSearch(metrics, started);
    return found;
  }
}

/** Inodes of the file at the path, or of all files below it. */
function filesBelow(path: string, namespace: Namespace): number[] {
  const files: number[] = [];
  namespace.scanFiles((ino) => {
    const found = path === '/' ? path : namespace.pathOf(ino);
    if (found === path || found?.startsWith(`${path}/`)) files.push(ino);
  });
  return files;
}

/** 0, or the −errno of the first that could not be journalled. */
function forgetAll(inodes: readonly number[], files: FileIndexer): number {
  for (const ino of inodes) {
    const failed = files.forget(ino);
    if (failed !== 0) return failed;
  }
  return 0;
}

function checkK(k: number): Refusal | undefined {
  if (Number.isInteger(k) && k >= 1 && k <= SEARCH_K_MAX) return undefined;
  return { refused: `the number of results is ${k}; it must be from 1 to ${SEARCH_K_MAX}` };
}

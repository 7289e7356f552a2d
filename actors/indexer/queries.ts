import type { Asker } from '../../fuse/namespace/change-set.ts';
import { SQUARED_LENGTH_MAX } from '../../fuse/namespace/collections.ts';
import { type Collection, IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import { VectorBatch } from '../../fuse/namespace/vector-batch.ts';
import { QUERY_MAX, XATTR_SIZE_MAX } from '../../runtime/config/bounds.ts';
import * as errnos from '../../runtime/errno.ts';
import type { Refusal, SearchResult } from '../indexer-remote.ts';
import type { StoreChanges } from './changes.ts';
import type { Collections } from './collections.ts';
import { FileFilter } from './file-filter.ts';
import {
  changeOf,
  describeIssue,
  type QueryRequest,
  queryRequest,
  vectorAttribute,
  vectorBytes,
} from './query-request.ts';
import { reason } from './refusals.ts';
import { SearchTimeout } from './scatter-gather.ts';
import type { Search } from './search.ts';

export interface QueryParts {
  readonly namespace: Namespace;
  readonly search: Search;
  readonly changes: StoreChanges;
  readonly collections: Collections;
  /** Nothing may be changed. */
  readonly isReadOnly: boolean;
  /** Takes in what waits in the mailbox. */
  readonly drain: () => void;
}

const DOT = 0x2e;
/** How many files that were refused are named. */
const NAMED_MAX = 20;

/** Requests that change something. */
const CHANGING: ReadonlySet<QueryRequest['op']> = new Set([
  'create-collection',
  'drop-collection',
  'transaction',
  'vectors',
]);

/** Answers the requests of query-request.ts, for whoever asks with these permissions. */
export class Queries {
  readonly #parts: QueryParts;

  constructor(parts: QueryParts) {
    this.#parts = parts;
  }

  /** `payload`: bytes that came beside the request. A {@link Refusal} says what is wrong with it; nothing was changed then. */
  async ask(request: unknown, payload: Uint8Array | undefined, who: Asker): Promise<object | Refusal> {
    const parsed = queryRequest.safeParse(request);
    if (!parsed.success) return { refused: describeIssue(parsed.error.issues[0]!) };
    if (this.#parts.isReadOnly && CHANGING.has(parsed.data.op)) return { refused: reason(errnos.EROFS) };
    this.#parts.drain();
    try {
      return await this.#run(parsed.data, payload, who);
    } catch (error) {
      if (error instanceof SearchTimeout) return { refused: error.message };
      throw error;
    }
  }

  async #run(request: QueryRequest, payload: Uint8Array | undefined, who: Asker): Promise<object | Refusal> {
    switch (request.op) {
      case 'search':
      case 'similar':
      case 'nearest':
        return this.#find(request, who);
      case 'collections':
        return this.#parts.collections.list();
      case 'create-collection':
        return this.#parts.collections.create(request, who);
      case 'drop-collection':
        return this.#parts.collections.drop(request.name, who);
      case 'transaction':
        return this.#transact(request, who);
      case 'vectors':
        return this.#putVectors(request, payload, who);
    }
  }

  async #find(
    request: Extract<QueryRequest, { op: 'search' | 'similar' | 'nearest' }>,
    who: Asker,
  ): Promise<{ results: SearchResult[] } | Refusal> {
    const { namespace, search } = this.#parts;
    const { k } = request;
    const { under } = request.filter;
    if (under !== undefined) {
      const directory = this.#reachable(under, who);
      if (typeof directory !== 'number') return directory;
    }
    const filter = new FileFilter(namespace, request.filter);
    if (request.op === 'search') {
      if (request.text.trim() === '') return { refused: 'the text is empty: say what to look for' };
      if (Buffer.byteLength(request.text) > QUERY_MAX)
        return { refused: `the text is longer than ${QUERY_MAX} bytes` };
      return { results: await search.byText(request.text, k, who, '/', filter) };
    }
    if (request.op === 'similar') {
      const ino = this.#readable(request.path, who);
      return typeof ino === 'number' ? { results: await search.byFile(ino, k, who, filter) } : ino;
    }
    return this.#nearest(request, who, filter);
  }

  async #nearest(
    request: Extract<QueryRequest, { op: 'nearest' }>,
    who: Asker,
    filter: FileFilter,
  ): Promise<{ results: SearchResult[] } | Refusal> {
    const { namespace, search } = this.#parts;
    const { collection: name, like, k } = request;
    if ((request.vector === undefined) === (like === undefined))
      return { refused: 'give either a "vector" or the file whose vector it is, "like"' };
    const collection = namespace.collection(name);
    if (!collection) return { refused: `there is no collection "${name}"` };
    const bytes =
      request.vector === undefined ? this.#vectorOf(like!, name, who) : vectorBytes(request.vector);
    if ('refused' in bytes) return bytes;
    const vector = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    const wrong = wrongQuery(vector, collection);
    if (wrong !== undefined) return { refused: wrong };
    return { results: await search.byVector(collection, vector, k, who, filter, request) };
  }

  async #transact(
    request: Extract<QueryRequest, { op: 'transaction' }>,
    who: Asker,
  ): Promise<object | Refusal> {
    const changes = [];
    for (const [i, given] of request.changes.entries()) {
      const change = changeOf(given);
      if (typeof change === 'string') return { refused: `change ${i}: ${change}` };
      changes.push(change);
    }
    const { errno, refusedAt } = await this.#parts.changes.transact(changes, who, request.durable);
    if (errno === 0) return { changes: changes.length };
    const { op, path } = request.changes[refusedAt] ?? {};
    const where = op === undefined ? '' : `change ${refusedAt} (${op} ${path}): `;
    return { refused: `${where}${reason(errno)}; nothing was changed` };
  }

  async #putVectors(
    request: Extract<QueryRequest, { op: 'vectors' }>,
    payload: Uint8Array | undefined,
    who: Asker,
  ): Promise<object | Refusal> {
    const { collection, paths, create } = request;
    const bytes = request.vectors === undefined ? payload : Buffer.from(request.vectors, 'base64');
    if (bytes === undefined)
      return { refused: 'give the vectors, one after the other, as "vectors" in base64' };
    const each = bytes.length / paths.length;
    const isWhole = Number.isInteger(each) && each % 4 === 0 && each > 0 && each <= XATTR_SIZE_MAX;
    if (!isWhole) {
      return { refused: `${bytes.length} bytes are not ${paths.length} vectors of as many float32 each` };
    }
    const names = encodedNames(paths);
    const batch = new VectorBatch(vectorAttribute(collection), names, bytes, create ? 0o644 : -1, who);
    this.#findDirectories(paths, batch);
    const errno = await this.#parts.changes.putVectors(batch, request.durable);
    if (errno !== 0) return { refused: reason(errno) };
    const errors: { path: string; error: string }[] = [];
    let count = 0;
    for (const [i, result] of batch.results.entries()) {
      if (result === 0) continue;
      count++;
      if (errors.length < NAMED_MAX) errors.push({ path: paths[i]!, error: reason(-result) });
    }
    return { set: paths.length - count, notSet: count, errors };
  }

  /** Most paths of a batch are in one directory: each is looked up once. */
  #findDirectories(paths: readonly string[], batch: VectorBatch): void {
    const known = new Map<string, Place>();
    for (const [i, path] of paths.entries()) {
      const end = path.lastIndexOf('/') + 1;
      const directory = path.slice(0, end);
      let place = known.get(directory);
      if (place === undefined) {
        place = this.#placeOf(directory);
        known.set(directory, place);
      }
      if (place.ino < 0 || !isName(path, end, place))
        batch.results[i] = place.ino < 0 ? place.ino : -errnos.EINVAL;
      batch.directories[i] = Math.max(0, place.ino);
      batch.generations[i] = place.generation;
    }
  }

  /** `directory` ends with a slash, or is empty. */
  #placeOf(directory: string): Place {
    const { namespace } = this.#parts;
    const state = new IndexState();
    const isReserved = directory === '' || /^\/+\.vexfs\//.test(directory) || /(^|\/)\.\.?\//.test(directory);
    const ino = isReserved ? -errnos.EINVAL : namespace.resolve(directory);
    const isMissing = ino > 0 && namespace.indexState(ino, state) < 0;
    return {
      ino: isMissing ? -errnos.ENOENT : ino,
      generation: state.generation,
      isRoot: /^\/+$/.test(directory),
    };
  }

  #readable(path: string, who: Asker): number | Refusal {
    const ino = this.#reachable(path, who);
    if (typeof ino !== 'number' || this.#parts.namespace.canRead(ino, who.uid, who.gids)) return ino;
    return { refused: `${path} may not be read` };
  }

  #reachable(path: string, who: Asker): number | Refusal {
    const ino = this.#parts.namespace.resolveFor(path, who.uid, who.gids);
    if (ino === -errnos.EACCES) return { refused: `${path} may not be read` };
    return ino < 0 ? { refused: `there is no ${path}` } : ino;
  }

  #vectorOf(path: string, collection: string, who: Asker): Uint8Array | Refusal {
    const ino = this.#readable(path, who);
    if (typeof ino !== 'number') return ino;
    const attribute = vectorAttribute(collection);
    const value = new Uint8Array(XATTR_SIZE_MAX);
    const length = this.#parts.namespace.getxattr(
      ino,
      attribute,
      0,
      attribute.length,
      value,
      0,
      value.length,
    );
    if (length < 0) return { refused: `${path} has no vector in the collection "${collection}"` };
    return value.subarray(0, length);
  }
}

/** Where the directory of a path is; `ino` is −errno if there is none. */
interface Place {
  readonly ino: number;
  readonly generation: number;
  readonly isRoot: boolean;
}

/** Whether a file of this place may have the name that begins at `start` of the path. */
function isName(path: string, start: number, { isRoot }: Place): boolean {
  if (start === path.length) return false;
  if (path.charCodeAt(start) !== DOT) return true;
  const name = path.slice(start);
  return name !== '.' && name !== '..' && !(isRoot && name === '.vexfs');
}

/** What follows the last slash of each, in UTF-8: parts of one array where all of it is ASCII. */
function encodedNames(paths: readonly string[]): Uint8Array[] {
  const names = paths.map((path) => path.slice(path.lastIndexOf('/') + 1));
  const joined = names.join('');
  const bytes = Buffer.from(joined);
  if (bytes.length !== joined.length) return names.map((name) => Buffer.from(name));
  let end = 0;
  return names.map((name) => {
    const start = end;
    end += name.length;
    return bytes.subarray(start, end);
  });
}

/** Why nothing can be near to this, in a sentence. */
export function wrongQuery(
  vector: Float32Array,
  { name, dimension, metric }: Pick<Collection, 'name' | 'dimension' | 'metric'>,
): string | undefined {
  if (vector.length !== dimension)
    return `vectors of the collection "${name}" have ${dimension} elements, the query has ${vector.length}`;
  let squares = 0;
  for (let i = 0; i < dimension; i++) {
    if (!Number.isFinite(vector[i]!)) return `element ${i} of the query is not a finite float32`;
    squares += vector[i]! * vector[i]!;
  }
  if (metric !== 'cosine' && squares > SQUARED_LENGTH_MAX)
    return 'the query is too long: distances to it are no finite float32';
  if (metric === 'cosine' && squares === 0)
    return 'a vector of zeros has no direction, and is near to nothing';
  return undefined;
}

/** The indexer as main calls it, over Comlink. Everything here crosses threads as a copy. */

/** A request that cannot be carried out, said in a sentence; anything else that goes wrong is a bug. */
export interface Refusal {
  readonly refused: string;
}

export interface SearchResult {
  /** Absolute within the filesystem, as `/notes/a.md`. */
  readonly path: string;
  /** 1 = the same direction, for text and cosine collections. */
  readonly score: number;
  /** 1-based line where the best passage starts; 0 where there is no text. */
  readonly line: number;
  readonly snippet: string;
}

export interface VectorPiece {
  readonly dimension: number;
  readonly paths: readonly string[];
  /** Base64 of little-endian float32, one vector after the other. */
  readonly vectors: string;
  /** Where to go on; −1 = that was all. */
  readonly next: number;
}

export interface IndexStatus {
  /** Files that wait or are being indexed. */
  readonly pending: number;
  /** Files indexed, passed over (not text, too large, excluded), and failed, since the mount. */
  readonly indexed: number;
  readonly passedOver: number;
  readonly failed: number;
  /** Passages in the index. */
  readonly chunks: number;
}

/** How a search for vectors is to be done, beside what is configured. */
export interface Wanted {
  /** Candidates looked at; learnt or configured if it is not said. */
  readonly ef?: number | undefined;
  /** It ends when so many candidates in a row have led to nothing nearer; 0 = it does not. */
  readonly patience?: number | undefined;
  /** Nothing that scores less is wanted. */
  readonly minScore?: number | undefined;
}

/** Paths are absolute within the filesystem; `uid` and `gids` are whose permissions count. */
export interface IndexerRemote {
  search(
    query: string,
    k: number,
    uid: number,
    gids: number[],
    under: string,
  ): Promise<SearchResult[] | Refusal>;
  similar(path: string, k: number, uid: number, gids: number[]): Promise<SearchResult[] | Refusal>;
  vectorSearch(
    collection: string,
    vector: Float32Array,
    k: number,
    uid: number,
    gids: number[],
    wanted?: Wanted,
  ): Promise<SearchResult[] | Refusal>;
  /** A request of query-request.ts with the bytes that came beside it. */
  ask(
    request: unknown,
    payload: Uint8Array | undefined,
    uid: number,
    gids: number[],
  ): Promise<object | Refusal>;
  /** Some of the vectors of a collection, from inode `from` on. */
  vectorList(
    collection: string,
    from: number,
    under: string,
    uid: number,
    gids: number[],
  ): Promise<VectorPiece | Refusal>;
  status(): IndexStatus;
  /** Resolves once everything that was written before the call is searchable, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<IndexStatus>;
  /** Indexes a file, or everything below a directory, anew. */
  rebuild(path: string): Promise<{ queued: number } | Refusal>;
}

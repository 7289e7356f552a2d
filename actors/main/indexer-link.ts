import type { Worker } from 'node:worker_threads';
import { type Remote, transfer, wrap } from 'comlink';
import { UserError } from '../../runtime/user-error.ts';
import { nodeEndpoint } from '../comlink-endpoint.ts';
import type {
  IndexerRemote,
  IndexStatus,
  Refusal,
  SearchResult,
  VectorPiece,
  Wanted,
} from '../indexer-remote.ts';

/** {@link IndexerRemote} from another thread. */
export type Indexer = {
  readonly [Name in keyof IndexerRemote]: (
    ...parameters: Parameters<IndexerRemote[Name]>
  ) => Promise<Awaited<ReturnType<IndexerRemote[Name]>>>;
};

type Found = SearchResult[] | Refusal;

/** One thread of the indexer. */
interface Line {
  readonly remote: Remote<IndexerRemote>;
  /** Of each call that is not answered: what to do when the thread ends, and nothing is answered any more. */
  readonly open: Set<() => void>;
}

const LOST = Symbol('lost');

/**
 * The indexer as main calls it, whichever thread it has. What its thread leaves unanswered when it dies is asked
 * again of the next one, unless it changes something.
 */
export class IndexerLink implements Indexer {
  #line: Promise<Line>;
  #connected: (line: Line) => void = () => {};

  constructor() {
    this.#line = this.#nextLine();
  }

  /** To be called with each thread of the indexer, when it was started. */
  connect(worker: Worker): void {
    const open = new Set<() => void>();
    worker.on('exit', () => {
      this.#line = this.#nextLine();
      for (const lose of open) lose();
    });
    this.#connected({ remote: wrap<IndexerRemote>(nodeEndpoint(worker)), open });
  }

  search(query: string, k: number, uid: number, gids: number[], under: string): Promise<Found> {
    return this.#read<Found>((indexer) => indexer.search(query, k, uid, gids, under));
  }

  similar(path: string, k: number, uid: number, gids: number[]): Promise<Found> {
    return this.#read<Found>((indexer) => indexer.similar(path, k, uid, gids));
  }

  vectorSearch(
    collection: string,
    vector: Float32Array,
    k: number,
    uid: number,
    gids: number[],
    wanted?: Wanted,
  ): Promise<Found> {
    return this.#read<Found>((indexer) => indexer.vectorSearch(collection, vector, k, uid, gids, wanted));
  }

  vectorList(
    collection: string,
    from: number,
    under: string,
    uid: number,
    gids: number[],
  ): Promise<VectorPiece | Refusal> {
    return this.#read<VectorPiece | Refusal>((indexer) =>
      indexer.vectorList(collection, from, under, uid, gids),
    );
  }

  /** Not asked again when the indexer dies over it: whether it has changed anything is not known. */
  async ask(
    request: unknown,
    payload: Uint8Array | undefined,
    uid: number,
    gids: number[],
  ): Promise<object | Refusal> {
    const bytes = payload === undefined ? undefined : transfer(payload, [payload.buffer as ArrayBuffer]);
    const answer = await this.#ask<object | Refusal>((indexer) => indexer.ask(request, bytes, uid, gids));
    if (answer === LOST)
      throw new UserError('the indexer was restarted while it was at this; look whether it was done');
    return answer;
  }

  status(): Promise<IndexStatus> {
    return this.#read((indexer) => indexer.status());
  }

  wait(timeoutMs: number): Promise<IndexStatus> {
    const deadline = performance.now() + timeoutMs;
    return this.#read((indexer) => indexer.wait(Math.max(1, deadline - performance.now())));
  }

  async rebuild(path: string): Promise<{ queued: number } | Refusal> {
    const answer = await this.#ask<{ queued: number } | Refusal>((indexer) => indexer.rebuild(path));
    if (answer === LOST) throw new UserError('the indexer was restarted while it was at this; ask again');
    return answer;
  }

  async #read<T>(ask: (indexer: Remote<IndexerRemote>) => Promise<T>): Promise<T> {
    for (;;) {
      const answer = await this.#ask(ask);
      if (answer !== LOST) return answer;
    }
  }

  /** Not a race with one promise for the end of the thread: that would keep something of every call until then. */
  async #ask<T>(ask: (indexer: Remote<IndexerRemote>) => Promise<T>): Promise<T | typeof LOST> {
    const { remote, open } = await this.#line;
    let lose: () => void = () => {};
    try {
      return await new Promise<T | typeof LOST>((resolve, reject) => {
        lose = () => resolve(LOST);
        open.add(lose);
        ask(remote).then(resolve, reject);
      });
    } finally {
      open.delete(lose);
    }
  }

  #nextLine(): Promise<Line> {
    return new Promise((resolve) => {
      this.#connected = resolve;
    });
  }
}

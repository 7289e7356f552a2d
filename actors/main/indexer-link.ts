import type { Worker } from 'node:worker_threads';
import { type Remote, wrap } from 'comlink';
import { UserError } from '../../runtime/user-error.ts';
import { nodeEndpoint } from '../comlink-endpoint.ts';
import type { IndexerRemote, IndexStatus, Refusal, SearchResult } from '../indexer-remote.ts';

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
  /** Resolves when the thread has ended: nothing is answered any more. */
  readonly lost: Promise<typeof LOST>;
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
    const lost = new Promise<typeof LOST>((resolve) => {
      worker.on('exit', () => {
        this.#line = this.#nextLine();
        resolve(LOST);
      });
    });
    this.#connected({ remote: wrap<IndexerRemote>(nodeEndpoint(worker)), lost });
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
  ): Promise<Found> {
    return this.#read<Found>((indexer) => indexer.vectorSearch(collection, vector, k, uid, gids));
  }

  status(): Promise<IndexStatus> {
    return this.#read((indexer) => indexer.status());
  }

  wait(timeoutMs: number): Promise<IndexStatus> {
    const deadline = performance.now() + timeoutMs;
    return this.#read((indexer) => indexer.wait(Math.max(1, deadline - performance.now())));
  }

  async rebuild(path: string): Promise<{ queued: number } | Refusal> {
    const line = await this.#line;
    const answer = await Promise.race([line.remote.rebuild(path), line.lost]);
    if (answer === LOST) throw new UserError('the indexer was restarted while it was at this; ask again');
    return answer;
  }

  async #read<T>(ask: (indexer: Remote<IndexerRemote>) => Promise<T>): Promise<T> {
    for (;;) {
      const line = await this.#line;
      const answer = await Promise.race([ask(line.remote), line.lost]);
      if (answer !== LOST) return answer;
    }
  }

  #nextLine(): Promise<Line> {
    return new Promise((resolve) => {
      this.#connected = resolve;
    });
  }
}

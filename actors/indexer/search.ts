import type { Namespace } from '../../fuse/namespace/namespace.ts';
import type { Embedder } from '../../kernels/text/embedder.ts';
import { snippetOf } from '../../kernels/text/snippet.ts';
import { SEARCH_K_MAX } from '../../runtime/config/bounds.ts';
import type { SearchResult } from '../indexer-remote.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { Credentials } from './credentials.ts';
import type { FileContent } from './file-content.ts';
import type { Hit, ScatterGather } from './scatter-gather.ts';

interface Ranked {
  readonly hit: Hit;
  readonly path: string;
}

/** Finds files by meaning. Every answer is filtered by what the asker may read. */
export class Search {
  readonly #namespace: Namespace;
  readonly #shards: ScatterGather;
  readonly #embedder: Embedder;
  readonly #content: FileContent;
  readonly #ef: number;

  constructor(
    namespace: Namespace,
    shards: ScatterGather,
    embedder: Embedder,
    content: FileContent,
    ef: number,
  ) {
    this.#namespace = namespace;
    this.#shards = shards;
    this.#embedder = embedder;
    this.#content = content;
    this.#ef = ef;
  }

  async byText(query: string, k: number, who: Credentials, under = '/'): Promise<SearchResult[]> {
    const ranked = await this.#rank(TEXT_COLLECTION, this.#embedder.embed(query), k, who, under);
    return Promise.all(ranked.map((one) => this.#describe(one, query)));
  }

  /** Files like this one. The file itself is not among them. `ino` must be a file with text. */
  async byFile(ino: number, k: number, who: Credentials): Promise<SearchResult[]> {
    const text = await this.#content.text(ino);
    if (text === undefined) return [];
    const ranked = await this.#rank(TEXT_COLLECTION, this.#embedder.embed(text), k + 1, who, '/');
    const others = ranked.filter(({ hit }) => hit.ino !== ino).slice(0, k);
    return Promise.all(others.map((one) => this.#describe(one, text.slice(0, 2000))));
  }

  async byVector(
    collection: number,
    vector: Float32Array,
    k: number,
    who: Credentials,
  ): Promise<SearchResult[]> {
    const ranked = await this.#rank(collection, vector, k, who, '/');
    return ranked.map(({ hit, path }) => ({ path, score: scoreOf(hit), line: 0, snippet: '' }));
  }

  /** The best hit of each of the `k` best files. Asks for more while filtering leaves too few. */
  async #rank(
    collection: number,
    vector: Float32Array,
    k: number,
    who: Credentials,
    under: string,
  ): Promise<Ranked[]> {
    const wanted = Math.min(k, SEARCH_K_MAX);
    for (let asked = wanted * 4 + 16; ; asked *= 4) {
      const hits = await this.#shards.search(collection, vector, asked, Math.max(this.#ef, asked));
      const ranked = this.#filter(hits, wanted, who, under);
      if (ranked.length === wanted || hits.length < asked) return ranked;
    }
  }

  #filter(hits: readonly Hit[], wanted: number, who: Credentials, under: string): Ranked[] {
    const prefix = under.endsWith('/') ? under : `${under}/`;
    const seen = new Set<number>();
    const ranked: Ranked[] = [];
    for (const hit of hits) {
      if (ranked.length === wanted) break;
      if (seen.has(hit.ino)) continue;
      seen.add(hit.ino);
      if (!this.#namespace.exists(hit.ino, hit.generation)) continue;
      if (!this.#namespace.canRead(hit.ino, who.uid, who.gids)) continue;
      const path = this.#namespace.pathOf(hit.ino);
      if (path === undefined || !(path === under || path.startsWith(prefix))) continue;
      ranked.push({ hit, path });
    }
    return ranked;
  }

  async #describe({ hit, path }: Ranked, query: string): Promise<SearchResult> {
    const passage = await this.#content.passage(hit.ino, hit.byteOffset, hit.byteLength);
    const best = snippetOf(passage, query);
    return { path, score: scoreOf(hit), line: hit.line + best.line, snippet: best.text };
  }
}

function scoreOf(hit: Hit): number {
  return Math.round((1 - hit.distance) * 10_000) / 10_000;
}

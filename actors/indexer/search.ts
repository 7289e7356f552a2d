import type { Collection, Namespace } from '../../fuse/namespace/namespace.ts';
import type { Embedder } from '../../kernels/text/embedder.ts';
import { Relevance } from '../../kernels/text/relevance.ts';
import { snippet } from '../../kernels/text/snippet.ts';
import { SEARCH_K_MAX } from '../../runtime/config/bounds.ts';
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import type { SearchResult } from '../indexer-remote.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { Credentials } from './credentials.ts';
import { searchExactly } from './exact-search.ts';
import type { FileContent } from './file-content.ts';
import { type FileFilter, isUnder } from './file-filter.ts';
import type { Hit, ScatterGather } from './scatter-gather.ts';

/** Files that the vectors propose and whose words then decide the order. */
const CANDIDATES = 50;
/** Passages of one file that are looked at. */
const PASSAGES = 3;
/** Effort of an approximate search per hit that is asked for: what is not found first cannot be put in order later. */
const EF_PER_HIT = 4;
/** Most hits asked of a shard: what its answer's lane holds several of. */
const HITS_MAX = 4096;

/** A file that was found and may be shown, with its best hits, best first. */
interface Candidate {
  readonly path: string;
  readonly hits: Hit[];
}

/** What may be shown. */
interface Scope {
  readonly who: Credentials;
  readonly under: string;
  readonly filter: FileFilter | undefined;
}

/** Finds files by meaning. Every answer is filtered by what the asker may read. */
export class Search {
  readonly #namespace: Namespace;
  readonly #shards: ScatterGather;
  readonly #embedder: Embedder;
  readonly #content: FileContent;
  readonly #effort: { readonly ef: number };

  constructor(
    namespace: Namespace,
    shards: ScatterGather,
    embedder: Embedder,
    content: FileContent,
    effort: { readonly ef: number },
  ) {
    this.#namespace = namespace;
    this.#shards = shards;
    this.#embedder = embedder;
    this.#content = content;
    this.#effort = effort;
  }

  byText(
    query: string,
    k: number,
    who: Credentials,
    under = '/',
    filter?: FileFilter,
  ): Promise<SearchResult[]> {
    return this.#inOrder(query, k, { who, under, filter });
  }

  /** Files like this one. The file itself is not among them; one without text is like none. */
  async byFile(ino: number, k: number, who: Credentials, filter?: FileFilter): Promise<SearchResult[]> {
    const text = await this.#content.text(ino);
    const own = this.#namespace.pathOf(ino);
    if (text === undefined || own === undefined) return [];
    const found = await this.#inOrder(text, k + 1, { who, under: '/', filter });
    return found.filter(({ path }) => path !== own).slice(0, k);
  }

  async byVector(
    collection: Pick<Collection, 'id' | 'name' | 'metric'>,
    vector: Float32Array,
    k: number,
    who: Credentials,
    filter?: FileFilter,
  ): Promise<SearchResult[]> {
    const scope = { who, under: '/', filter };
    const { candidates, isCut } = await this.#candidates(collection.id, vector, k, scope);
    const found = isCut
      ? await this.#exactly(collection, vector, k, scope)
      : candidates.map(({ path, hits }) => ({ path, distance: hits[0]!.distance }));
    return found.map(({ path, distance }) => ({
      path,
      score: rounded(scoreOf(distance, collection.metric)),
      line: 0,
      snippet: '',
    }));
  }

  /** Where all that the shards proposed was little of what may be shown. */
  async #exactly(
    collection: Pick<Collection, 'name' | 'metric'>,
    vector: Float32Array,
    k: number,
    scope: Scope,
  ): Promise<{ path: string; distance: number }[]> {
    const accepts = (ino: number): boolean => this.#shownPath(ino, scope) !== undefined;
    const near = await searchExactly(this.#namespace, collection, vector, k, accepts);
    return near.flatMap(({ ino, distance }) => {
      const path = this.#shownPath(ino, scope);
      return path === undefined ? [] : [{ path, distance }];
    });
  }

  /** Vectors propose, words put in order (relevance.ts). */
  async #inOrder(query: string, k: number, scope: Scope): Promise<SearchResult[]> {
    const vector = this.#embedder.embed(query);
    const most = Math.max(k, CANDIDATES);
    const { candidates } = await this.#candidates(TEXT_COLLECTION, vector, most, scope);
    const passages = await Promise.all(candidates.map((candidate) => this.#passages(candidate)));
    // No await from here on: the lexicon behind the relevance belongs to one question at a time.
    const relevance = new Relevance(this.#embedder.lexicon, query);
    const results = candidates
      .map((candidate, i) => describe(candidate, passages[i]!, relevance))
      .filter(({ score }) => score > 0);
    results.sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1));
    return results.slice(0, k);
  }

  #passages({ hits }: Candidate): Promise<string[]> {
    return Promise.all(
      hits.map(({ ino, byteOffset, byteLength }) => this.#content.passage(ino, byteOffset, byteLength)),
    );
  }

  /** The best `wanted` files. Asks for more while filtering leaves too few; `isCut` when there are more, and too many to ask for. */
  async #candidates(
    collection: number,
    vector: Float32Array,
    wanted: number,
    scope: Scope,
  ): Promise<{ candidates: Candidate[]; isCut: boolean }> {
    const most = Math.min(wanted, SEARCH_K_MAX);
    for (let asked = Math.min(most * 4 + 16, HITS_MAX); ; asked = Math.min(asked * 4, HITS_MAX)) {
      const hits = await this.#shards.search(
        collection,
        vector,
        asked,
        Math.max(this.#effort.ef, asked * EF_PER_HIT),
      );
      const candidates = this.#readable(hits, most, scope);
      if (candidates.length === most || hits.length < asked) return { candidates, isCut: false };
      if (asked === HITS_MAX) return { candidates, isCut: true };
    }
  }

  #readable(hits: readonly Hit[], most: number, scope: Scope): Candidate[] {
    const byFile = new Map<number, Candidate | undefined>();
    const candidates: Candidate[] = [];
    for (const hit of hits) {
      if (!byFile.has(hit.ino)) {
        const path = candidates.length < most ? this.#visiblePath(hit, scope) : undefined;
        const candidate = path === undefined ? undefined : { path, hits: [] };
        byFile.set(hit.ino, candidate);
        if (candidate) candidates.push(candidate);
      }
      const candidate = byFile.get(hit.ino);
      if (candidate && candidate.hits.length < PASSAGES) candidate.hits.push(hit);
    }
    return candidates;
  }

  /** Path of the file a hit belongs to, unless it is gone, elsewhere, or not for this asker's eyes. */
  #visiblePath({ ino, generation }: Hit, scope: Scope): string | undefined {
    return this.#namespace.exists(ino, generation) ? this.#shownPath(ino, scope) : undefined;
  }

  #shownPath(ino: number, { who, under, filter }: Scope): string | undefined {
    if (!this.#namespace.canRead(ino, who.uid, who.gids)) return undefined;
    const path = this.#namespace.pathOf(ino);
    if (path === undefined || !isUnder(path, under)) return undefined;
    return filter === undefined || filter.accepts(ino, path) ? path : undefined;
  }
}

function describe(
  { path, hits }: Candidate,
  passages: readonly string[],
  relevance: Relevance,
): SearchResult {
  let best = 0;
  let score = Number.NEGATIVE_INFINITY;
  passages.forEach((passage, i) => {
    const combined = relevance.combined(passage, 1 - hits[i]!.distance);
    if (combined > score) {
      best = i;
      score = combined;
    }
  });
  const shown = snippet(passages[best]!, relevance);
  return { path, score: rounded(score), line: hits[best]!.line + shown.line, snippet: shown.text };
}

/** Counts a search that was begun at `started` of performance.now(), wherever it was asked. */
export function countSearch(metrics: MetricsBlock, started: number): void {
  metrics.histogram('search').record((performance.now() - started) * 1e6);
  metrics.add(metrics.counter('searches'), 1);
}

/** Of a distance (Hit): 1 − it, which is the cosine or the product; of an l2 distance 1 for none, falling to 0. */
function scoreOf(distance: number, metric: Collection['metric']): number {
  return metric === 'l2' ? 1 / (1 + Math.sqrt(Math.max(0, distance))) : 1 - distance;
}

function rounded(score: number): number {
  return Math.round(score * 10_000) / 10_000;
}

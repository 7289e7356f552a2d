import { basename } from 'node:path';
import type { Collection, Namespace } from '../../fuse/namespace/namespace.ts';
import { effortOf } from '../../kernels/hnsw/effort.ts';
import type { Embedder } from '../../kernels/text/embedder.ts';
import { Relevance } from '../../kernels/text/relevance.ts';
import { snippet } from '../../kernels/text/snippet.ts';
import { SEARCH_K_MAX } from '../../runtime/config/bounds.ts';
import type { MetricsBlock } from '../../runtime/metrics/metrics.ts';
import { EFFORT_HITS } from '../collection-status.ts';
import type { SearchResult, Wanted } from '../indexer-remote.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import type { Credentials } from './credentials.ts';
import type { FileContent } from './file-content.ts';
import { type FileFilter, isUnder } from './file-filter.ts';
import { passingBelow, passingOfAll } from './passing-files.ts';
import type { Hit, ScatterGather } from './scatter-gather.ts';

/** Files that the vectors propose and whose words then decide the order. */
const CANDIDATES = 50;
/** Passages of one file that are looked at. */
const PASSAGES = 3;
/** Effort of an approximate search per hit that is asked for: what is not found first cannot be put in order later. */
const EF_PER_HIT = 4;
/** Most hits asked of a shard: what its answer's lane holds several of. */
const HITS_MAX = 4096;
/** Files that a shard compares for one question before the next has its turn: some milliseconds. */
const AMONG_MAX = 2048;
/** Of more files than this so many are asked for at once: shards walk, unless these are too few of all, and compare for up to 30 ms then. */
const WALKED_MIN = 4096;
const WALKED_MAX = 16_384;

/** How much a search looks at (`vectors`). */
export interface Effort {
  readonly ef: number;
  readonly recall: number;
}

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
  readonly #effort: Effort;
  readonly #learnt: (collection: number) => number;

  /** `learnt`: the effort that the wanted recall takes in a collection; 0 = it is not known. */
  constructor(
    namespace: Namespace,
    shards: ScatterGather,
    embedder: Embedder,
    content: FileContent,
    effort: Effort,
    learnt: (collection: number) => number,
  ) {
    this.#namespace = namespace;
    this.#shards = shards;
    this.#embedder = embedder;
    this.#content = content;
    this.#effort = effort;
    this.#learnt = learnt;
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
    collection: Pick<Collection, 'id' | 'metric'>,
    vector: Float32Array,
    k: number,
    who: Credentials,
    filter?: FileFilter,
    wanted: Wanted = {},
  ): Promise<SearchResult[]> {
    const scope = { who, under: '/', filter };
    const { minScore = Number.NEGATIVE_INFINITY } = wanted;
    const candidates = await this.#candidates(collection.id, vector, k, scope, wanted);
    const scores = candidates.map(({ hits }) => scoreOf(hits[0]!.distance, collection.metric));
    return candidates
      .map(({ path }, i) => ({ path, score: rounded(scores[i]!), line: 0, snippet: '' }))
      .filter((_, i) => scores[i]! >= minScore);
  }

  /** Vectors propose, words put in order (relevance.ts). */
  async #inOrder(query: string, k: number, scope: Scope): Promise<SearchResult[]> {
    const vector = this.#embedder.embed(query);
    const most = Math.max(k, CANDIDATES);
    const candidates = await this.#candidates(TEXT_COLLECTION, vector, most, scope);
    const passages = await Promise.all(candidates.map((candidate) => this.#passages(candidate)));
    // No await from here on: the lexicon behind the relevance belongs to one question at a time.
    const relevance = new Relevance(this.#embedder.lexicon, query);
    const matches = candidates.map(({ path }, i) =>
      passages[i]!.map((text) => relevance.matches(text, basename(path))),
    );
    relevance.weigh(matches);
    const results = candidates
      .map((candidate, i) => describe(candidate, passages[i]!, matches[i]!, relevance))
      .filter(({ score }) => score > 0);
    results.sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1));
    return results.slice(0, k);
  }

  #passages({ hits }: Candidate): Promise<string[]> {
    return Promise.all(
      hits.map(({ ino, byteOffset, byteLength }) => this.#content.passage(ino, byteOffset, byteLength)),
    );
  }

  /**
   * The best `wanted` files. Where filtering leaves too few of what the index proposes, it is asked for more, and in the end all vectors of
   * the files that pass are compared; at once when few files are below the directory that is wanted.
   */
  async #candidates(
    collection: number,
    vector: Float32Array,
    k: number,
    scope: Scope,
    wanted: Wanted = {},
  ): Promise<Candidate[]> {
    const most = Math.min(k, SEARCH_K_MAX);
    const first = Math.min(most * 4 + 16, HITS_MAX);
    let among: Uint32Array | undefined;
    let isLookedBelow = false;
    for (let asked = first; ; asked = Math.min(asked * 4, HITS_MAX)) {
      const effort = this.#effortFor(collection, most, asked, wanted);
      const hits = await this.#hits(collection, vector, asked, effort, among);
      const candidates = this.#readable(hits, most, scope);
      const isAll = hits.length < asked || (asked === HITS_MAX && among !== undefined);
      if (candidates.length === most || isAll) return candidates;
      if (among !== undefined) continue;
      if (!isLookedBelow) among = this.#passingBelow(scope);
      isLookedBelow = true;
      if (asked === HITS_MAX) among ??= await passingOfAll(this.#namespace, this.#passes(scope));
      // A walk among many goes on for longer the more is asked of it.
      if (among !== undefined && among.length > WALKED_MIN) asked = first / 4;
    }
  }

  /** For `wanted` that are to be among the nearest, and more that are asked for as some may not be shown. */
  #effortFor(collection: number, most: number, asked: number, { ef, patience = 0 }: Wanted): number {
    return effortOf(ef ?? this.#ef(collection, most, asked), patience);
  }

  #ef(collection: number, most: number, asked: number): number {
    const { ef, recall } = this.#effort;
    const effort = recall === 0 ? 0 : this.#learnt(collection);
    if (effort === 0) return Math.max(ef, asked * EF_PER_HIT);
    return Math.max(asked, Math.ceil(effort * Math.max(1, most / EFFORT_HITS)));
  }

  async #hits(
    collection: number,
    vector: Float32Array,
    asked: number,
    effort: number,
    among: Uint32Array | undefined,
  ): Promise<Hit[]> {
    if (among === undefined) return this.#shards.search(collection, vector, asked, effort);
    let hits: Hit[] = [];
    const step = among.length > WALKED_MIN ? WALKED_MAX : AMONG_MAX;
    for (let at = 0; at < among.length; at += step) {
      const some = among.subarray(at, at + step);
      hits = hits.concat(await this.#shards.search(collection, vector, asked, effort, some));
      hits = hits.sort((a, b) => a.distance - b.distance).slice(0, asked);
    }
    return hits;
  }

  /** The files that may be shown, if few are below the directory that is wanted. */
  #passingBelow(scope: Scope): Uint32Array | undefined {
    const under = scope.filter?.under ?? scope.under;
    return under === '/' ? undefined : passingBelow(this.#namespace, under, this.#passes(scope));
  }

  #passes(scope: Scope): (ino: number) => boolean {
    return (ino) => this.#shownPath(ino, scope) !== undefined;
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
  matches: readonly Float64Array[],
  relevance: Relevance,
): SearchResult {
  let best = 0;
  let score = Number.NEGATIVE_INFINITY;
  matches.forEach((met, i) => {
    const combined = relevance.combined(met, 1 - hits[i]!.distance);
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

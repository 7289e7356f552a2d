/**
 * Search in the shared memory of another thread's shard, while that thread goes on (contract in vector-memory.ts): exactly among what is
 * in rows, and by a walk in the collection's graph.
 */
import { SequenceLock } from '../../runtime/sync/sequence-lock.ts';
import type { GraphReader } from './graph-reader.ts';
import { METRICS, scanRows } from './scan.ts';
import { copyNormalised, SearchHits } from './vector-index.ts';
import {
  CHANGES,
  CHUNKS,
  CHUNKS_MAX,
  COUNT,
  chunkOfRow,
  chunkWords,
  DIMENSION,
  ELSEWHERE,
  ENTRY_WORDS,
  entryOf,
  firstRowOf,
  GRAPHS,
  LABEL_CHUNKS,
  LABEL_WORDS,
  METRIC,
  RECORD_WORDS,
  rowsOf,
  type VectorViews,
  viewsOf,
} from './vector-memory.ts';

/** The owner must be asked: it has vectors elsewhere, or changes what is here all the time. */
export const ASK_OWNER = -1;

/** Scans that a change of the owner may spoil before it is left to the owner. */
const TRIES = 2;
/** Rows between two looks whether the scan is spoilt already. */
const BLOCK = 2048;

/** Marks a hit of the graph, by its label, among those that are rows. */
const IN_GRAPH = 0x8000_0000;

/** A thread's way into the graphs of one shard. */
export interface GraphDoor {
  /** The graph of that number, until {@link leave}; undefined = it is not known here, or its owner wants to be alone in it. */
  enter(number: number): GraphReader | undefined;
  leave(): void;
}

/** Words of a hit: its record without the label, then the distance, a float32. */
const HIT_WORDS = RECORD_WORDS;

export class SharedVectors {
  /** What search() found, nearest first: of each hit ino, generation, chunk, byte offset, byte length, line, version, f32 distance. */
  hits = new Uint32Array(0);
  #distances = new Float32Array(0);
  readonly #views: VectorViews;
  #nearest = new SearchHits(256);
  #query = new Float32Array(0);
  /** 0, 1, 2 …: hits are offered by the number of their row. */
  #numbers = new Uint32Array(0);
  /** Labels of the nearest rows: what is on its way into the graph may be found twice. */
  readonly #labels = new Set<number>();
  readonly #door: GraphDoor | undefined;

  constructor(region: { readonly u8: Uint8Array; readonly bytes: number }, door?: GraphDoor) {
    this.#views = viewsOf(region);
    this.#door = door;
  }

  /** The min(k, size) nearest into `hits`; returns how many, or ASK_OWNER. A query of another dimension finds none. */
  search(collection: number, query: Float32Array, k: number, ef = k): number {
    const entry = entryOf(collection);
    const { i32 } = this.#views;
    const changes = new SequenceLock(i32, entry + CHANGES);
    for (let i = 0; i < TRIES; i++) {
      const seen = Atomics.load(i32, entry + CHANGES);
      if ((seen & 1) !== 0) return ASK_OWNER;
      const found = this.#scan(entry, seen, query, k, ef);
      if (found === ASK_OWNER) return ASK_OWNER;
      if (Atomics.load(i32, entry + ELSEWHERE) !== 0) return ASK_OWNER;
      if (!changes.readRetry(seen)) return found;
    }
    return ASK_OWNER;
  }

  /** What comes out counts only if CHANGES is still `seen` afterwards; until then every word may be anything. */
  #scan(entry: number, seen: number, query: Float32Array, k: number, ef: number): number {
    const { i32, u32, f32 } = this.#views;
    const count = Atomics.load(i32, entry + COUNT);
    const metric = METRICS[i32[entry + METRIC]!];
    if (k === 0 || i32[entry + DIMENSION] !== query.length || metric === undefined) return 0;
    this.#prepare(query, k, metric === 'cosine');
    const nearest = this.#nearest;
    nearest.begin(k);
    for (let chunk = 0; chunk < CHUNKS_MAX && firstRowOf(chunk) < count; chunk++) {
      const at = u32[entry + CHUNKS + chunk]!;
      if (at + chunkWords(chunk, query.length) > u32.length) return 0;
      const vectors = at + rowsOf(chunk) * RECORD_WORDS;
      const rows = Math.min(rowsOf(chunk), count - firstRowOf(chunk));
      for (let from = 0; from < rows; from += BLOCK) {
        if (Atomics.load(i32, entry + CHANGES) !== seen) return 0;
        const block = Math.min(BLOCK, rows - from);
        const first = firstRowOf(chunk) + from;
        this.#number(first + block);
        scanRows(
          f32,
          vectors + from * query.length,
          block,
          this.#query,
          metric,
          nearest,
          this.#numbers,
          first,
          1,
        );
      }
    }
    if (!this.#walk(entry, query, k, ef)) return ASK_OWNER;
    this.#copyHits(entry);
    return nearest.count;
  }

  /** Adds what the graphs have. False when this thread cannot look there. */
  #walk(entry: number, query: Float32Array, k: number, ef: number): boolean {
    const { i32, u32 } = this.#views;
    const nearest = this.#nearest;
    const labels = this.#labels;
    labels.clear();
    for (let i = 0; i < nearest.count; i++) labels.add(u32[this.#recordOf(entry, nearest.labels[i]!)]!);
    for (let at = entry + GRAPHS; at < entry + ENTRY_WORDS; at += 2) {
      const wanted = Atomics.load(i32, at + 1);
      if (wanted === 0) continue;
      const reader = this.#door?.enter(Atomics.load(i32, at));
      if (reader === undefined) return false;
      const found = reader.search(query, k, ef, wanted);
      for (let i = 0; i < found; i++) {
        const label = reader.labelAt(i);
        if (!labels.has(label)) nearest.offer((IN_GRAPH | label) >>> 0, reader.distanceAt(i));
      }
      this.#door!.leave();
    }
    return true;
  }

  #recordOf(entry: number, row: number): number {
    const chunk = chunkOfRow(row);
    return this.#views.u32[entry + CHUNKS + chunk]! + (row - firstRowOf(chunk)) * RECORD_WORDS;
  }

  /** Of a label: the word before its first, as a row's begins with the label. */
  #labelOf(entry: number, label: number): number {
    const chunk = chunkOfRow(label);
    const at = this.#views.u32[entry + LABEL_CHUNKS + chunk]!;
    return at + (label - firstRowOf(chunk)) * LABEL_WORDS - 1;
  }

  #prepare(query: Float32Array, k: number, isNormalised: boolean): void {
    if (this.#nearest.capacity < k) this.#nearest = new SearchHits(k);
    if (this.#query.length !== query.length) this.#query = new Float32Array(query.length);
    if (isNormalised) copyNormalised(query, this.#query, 0);
    else this.#query.set(query);
  }

  #number(rows: number): void {
    if (this.#numbers.length >= rows) return;
    this.#numbers = Uint32Array.from({ length: Math.max(rows, 2 * this.#numbers.length) }, (_, row) => row);
  }

  #copyHits(entry: number): void {
    const { labels, distances, count } = this.#nearest;
    const { u32 } = this.#views;
    if (this.hits.length < count * HIT_WORDS) {
      this.hits = new Uint32Array(2 * count * HIT_WORDS);
      this.#distances = new Float32Array(this.hits.buffer);
    }
    for (let hit = 0, to = 0; hit < count; hit++, to += HIT_WORDS) {
      const row = labels[hit]!;
      const record = row < IN_GRAPH ? this.#recordOf(entry, row) : this.#labelOf(entry, row & (IN_GRAPH - 1));
      for (let word = 1; word < RECORD_WORDS; word++) this.hits[to + word - 1] = u32[record + word]!;
      this.#distances[to + HIT_WORDS - 1] = distances[hit]!;
    }
  }
}

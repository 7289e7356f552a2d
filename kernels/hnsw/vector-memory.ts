/**
 * The memory of one shard's vectors that other threads may search: a table of collections, and chunks of rows.
 * The owner writes through VectorRows (vector-rows.ts), others search through SharedVectors (shared-vectors.ts).
 *
 * Roles: one owner thread; any number of readers. A successor of an owner that died begins with reset().
 *
 * Layout: a line (0 magic); per collection, by its number, an entry of ENTRY_WORDS: 0 CHANGES (a sequence lock), 1 COUNT,
 * 2 DIMENSION (0 = none yet), 3 METRIC, 4 ELSEWHERE, 5 GRAPH_COUNT, 6 TOTAL, 7 BYTES_KIB, 8 FORM (these four for whoever wants
 * figures), 9 EFFORT, 16 … where its chunks begin (word indexes), 40 … where those of its labels begin, 64 … GRAPHS: of each
 * graph its number (0 = there is none) and its count; then the chunks. Chunk c holds 64 · 2^c rows: their records
 * (RECORD_WORDS u32 each: label, ino, generation, chunk, byte offset, byte length, line, version), then their vectors (float32
 * × dimension). A chunk of labels holds as many rows of LABEL_WORDS u32 (chunk-table.ts), by label.
 *
 * Invariants:
 * 1. Rows 0 … COUNT − 1 are the vectors that the collection has here, dense. A row is written before the store of COUNT
 *    that publishes it, and does not change until a reader can tell: appending changes nothing that a reader has seen.
 * 2. Whatever is not appending (removing, replacing, creating, emptying) happens while CHANGES is odd. What belongs together, such as
 *    a file's old and new chunks, happens in one such time. A reader uses nothing of what it read unless CHANGES was even
 *    before and is the same after.
 *    What a label stands for changes in such a time only, unless nothing that can be found has the label.
 * 3. ELSEWHERE ≠ 0: the owner must be asked, as some vectors are where only it can look (in a graph, or in memory of its own
 *    because this is full), or still to come (from a segment, for a successor). The owner sets it at the beginning and before
 *    the first vector leaves, and clears it when it hands a search out; a reader that finds it 0 at the end has missed none.
 * 4. GRAPHS with a count above 0: a reader has to search the graph of that number, too, which its owner handed to it (graph-reader.ts);
 *    so many of its vectors are nowhere else, and GRAPH_COUNT in all graphs together. Vectors move there from the rows in two
 *    steps: into the graph, where they are found twice, and in a change of invariant 2 out of the rows.
 * 5. A reader never waits: an odd CHANGES, which an owner that died may have left, sends it back to the owner.
 */
import { assert } from '../../runtime/assert.ts';
import { COLLECTIONS_MAX, GRAPHS_MAX, SHARED_LINE } from '../../runtime/config/bounds.ts';

export const CHANGES = 0;
export const COUNT = 1;
export const DIMENSION = 2;
export const METRIC = 3;
export const ELSEWHERE = 4;
export const GRAPH_COUNT = 5;
/** Vectors of the collection in this shard, whether or not they are here; KiB of memory for them; bits of {@link WALKS_CODES} … */
export const TOTAL = 6;
export const BYTES_KIB = 7;
export const FORM = 8;
/** Least effort that finds the wanted share of the nearest; 0 = it is not known. */
export const EFFORT = 9;
/** The graph is walked over int8 codes, or over float32. */
export const WALKS_CODES = 1;
export const WALKS_FLOATS = 2;
/** Graphs have no room for more. */
export const IS_FULL = 4;
export const CHUNKS = 16;
/** Chunks 0 … 23 together hold more rows than 32-bit words can address. */
export const CHUNKS_MAX = 24;
export const LABEL_CHUNKS = CHUNKS + CHUNKS_MAX;
export const GRAPHS = LABEL_CHUNKS + CHUNKS_MAX;
export const ENTRY_WORDS = GRAPHS + 2 * GRAPHS_MAX;
/** Text chunks are collection 0, users' collections are 1 … COLLECTIONS_MAX. */
const ENTRIES = COLLECTIONS_MAX + 1;
const FIRST_ENTRY = SHARED_LINE / 4;
const HEADER_WORDS = FIRST_ENTRY + ENTRIES * ENTRY_WORDS;
const MAGIC = 0x54434556; // "VECT"

export const RECORD_WORDS = 8;
/** A row of labels: the record without the label, and the next label of the same file. */
export const LABEL_WORDS = 8;
const FIRST_CHUNK_SHIFT = 6;
const FIRST_CHUNK_ROWS = 1 << FIRST_CHUNK_SHIFT;
/** Chunks begin on cache lines. */
const LINE_WORDS = 16;

/** Bytes of a region that holds the table and nothing else. */
export const VECTOR_MEMORY_MIN = HEADER_WORDS * 4;

export interface VectorViews {
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
}

/** First word of a collection's entry. */
export function entryOf(collection: number): number {
  assert(collection >= 0 && collection < ENTRIES, 'a collection has a number');
  return FIRST_ENTRY + collection * ENTRY_WORDS;
}

export function chunkOfRow(row: number): number {
  return 31 - Math.clz32((row >>> FIRST_CHUNK_SHIFT) + 1);
}

/** First row of chunk `chunk`; of the chunk after the last, the rows there are. */
export function firstRowOf(chunk: number): number {
  return FIRST_CHUNK_ROWS * ((1 << chunk) - 1);
}

export function rowsOf(chunk: number): number {
  return FIRST_CHUNK_ROWS << chunk;
}

export function chunkWords(chunk: number, dimension: number): number {
  const words = rowsOf(chunk) * (RECORD_WORDS + dimension);
  return Math.ceil(words / LINE_WORDS) * LINE_WORDS;
}

export function labelChunkWords(chunk: number): number {
  return rowsOf(chunk) * LABEL_WORDS;
}

/** The owner's side: hands out chunks. */
export class VectorMemory {
  readonly views: VectorViews;
  #end = HEADER_WORDS;
  /** Chunks given back, by their size in words. */
  readonly #spare = new Map<number, number[]>();

  /** `region` starts at a cache line. What an earlier owner left in it is gone afterwards. */
  constructor(region: { readonly u8: Uint8Array; readonly bytes: number }) {
    assert(region.bytes >= VECTOR_MEMORY_MIN, 'the table fits the region');
    this.views = viewsOf(region);
    this.#reset();
  }

  /** Index of the first of `words` words, 0 when there is no room. They hold whatever was there. */
  allocate(words: number): number {
    const spare = this.#spare.get(words)?.pop();
    if (spare !== undefined) return spare;
    if (this.#end + words > this.views.u32.length) return 0;
    const at = this.#end;
    this.#end += words;
    return at;
  }

  free(at: number, words: number): void {
    const spare = this.#spare.get(words);
    if (spare) spare.push(at);
    else this.#spare.set(words, [at]);
  }

  /** Readers of what was there before find CHANGES moved. */
  #reset(): void {
    const { i32 } = this.views;
    for (let collection = 0; collection < ENTRIES; collection++) {
      const entry = entryOf(collection);
      if ((Atomics.load(i32, entry + CHANGES) & 1) === 0) Atomics.add(i32, entry + CHANGES, 1);
      Atomics.store(i32, entry + COUNT, 0);
      Atomics.store(i32, entry + DIMENSION, 0);
      Atomics.store(i32, entry + ELSEWHERE, 1);
      for (let word = GRAPHS; word < ENTRY_WORDS; word++) Atomics.store(i32, entry + word, 0);
      Atomics.store(i32, entry + GRAPH_COUNT, 0);
      Atomics.add(i32, entry + CHANGES, 1);
    }
    Atomics.store(i32, 0, MAGIC);
  }
}

/** A collection of one shard in figures, a snapshot. */
export interface CollectionFigures {
  readonly dimension: number;
  readonly metric: number;
  readonly vectors: number;
  /** Vectors that are found in graphs alone, and how many graphs there are. */
  readonly inGraph: number;
  readonly graphs: number;
  readonly bytes: number;
  /** Bits of {@link FORM}. */
  readonly form: number;
  readonly effort: number;
}

/** Any thread: what the region's owner says of a collection; undefined when it has none of it. */
export function figuresOf(
  { i32 }: { readonly i32: Int32Array },
  collection: number,
): CollectionFigures | undefined {
  const entry = entryOf(collection);
  const dimension = Atomics.load(i32, entry + DIMENSION);
  if (dimension === 0) return undefined;
  return {
    dimension,
    metric: i32[entry + METRIC]!,
    vectors: i32[entry + TOTAL]!,
    inGraph: i32[entry + GRAPH_COUNT]!,
    graphs: countGraphs(i32, entry),
    bytes: i32[entry + BYTES_KIB]! * 1024,
    form: i32[entry + FORM]!,
    effort: i32[entry + EFFORT]!,
  };
}

function countGraphs(i32: Int32Array, entry: number): number {
  let graphs = 0;
  for (let i = 0; i < GRAPHS_MAX; i++) if (i32[entry + GRAPHS + 2 * i + 1]! > 0) graphs++;
  return graphs;
}

export function viewsOf({ u8, bytes }: { readonly u8: Uint8Array; readonly bytes: number }): VectorViews {
  // Not with a shift: 4 GiB are more bytes than 32 bits can say.
  const words = Math.floor(bytes / 4);
  return {
    i32: new Int32Array(u8.buffer, u8.byteOffset, words),
    u32: new Uint32Array(u8.buffer, u8.byteOffset, words),
    f32: new Float32Array(u8.buffer, u8.byteOffset, words),
  };
}

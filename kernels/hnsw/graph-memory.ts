/**
 * Makes the WASM memory of one graph (kernels/assembly/layout.ts) and views of it. All of it is reserved at once and costs nothing until
 * touched: no view ever grows old, nothing moves, and the number of nodes it has room for is known.
 */
import { assert } from '../../runtime/assert.ts';
import { CACHE_LINE, VECTOR_DIMENSION_MAX } from '../../runtime/config/bounds.ts';
import * as layout from '../assembly/layout.ts';
import type { IndexOptions } from './vector-index.ts';

export type ElementType = 'f32' | 'i8';

/** Largest M; buffers of threads are made for it. */
const LINKS_MAX = 128;
const PAGE = 65536;
/** One page short of 4 GiB, so that every end of a region is a 32-bit number. */
const PAGES_MAX = 65535;
const PAGES_MIN = 64;
/** Links a node above the ground has on average, in levels: 1 / (M − 1), and some more than chance may want. */
const UPPER_SHARE = 1.25;

export interface GraphMemory {
  readonly memory: WebAssembly.Memory;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
}

export function viewsOfGraph(memory: WebAssembly.Memory): GraphMemory {
  const { buffer } = memory;
  return {
    memory,
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    f32: new Float32Array(buffer),
  };
}

/** Word of the header, as an index of 32-bit views. */
export function headerWord(word: number): number {
  return layout.HEADER / 4 + word;
}

/** A memory with an empty graph. `capacity` nodes at most; as many as there is room for when the address space is short of them. */
export function makeGraphMemory(
  options: IndexOptions,
  element: ElementType,
  capacity = Number.POSITIVE_INFINITY,
): GraphMemory {
  const sizes = rowSizes(options, element);
  const wanted = Math.ceil((fixedBytes(sizes) + capacity * bytesPerNode(sizes)) / PAGE) + 1;
  let pages = Math.min(PAGES_MAX, Math.max(PAGES_MIN, wanted));
  for (;;) {
    try {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      const views = viewsOfGraph(memory);
      describe(views, options, sizes, Math.min(capacity, roomFor(sizes, pages)));
      if (options.onRows !== undefined) announceRows(views, options.onRows);
      return views;
    } catch (error) {
      // a limit of address space (ulimit -v) refuses large reservations
      if (!(error instanceof RangeError) || pages <= PAGES_MIN) throw error;
      pages = Math.max(PAGES_MIN, pages >>> 1);
    }
  }
}

function announceRows({ memory, u32 }: GraphMemory, announce: NonNullable<IndexOptions['onRows']>): void {
  const u8 = new Uint8Array(memory.buffer);
  const word = (name: number) => u32[headerWord(name)]!;
  const rows: readonly [region: number, bytes: number][] = [
    [layout.LINKS, word(layout.LINKS_MAX) * 8],
    [layout.CODES, word(layout.CODE_BYTES)],
    [layout.VECTORS, word(layout.VECTOR_BYTES)],
  ];
  for (const [region, bytes] of rows) {
    if (bytes > 0) announce(u8, word(region), word(region) + bytes * word(layout.CAPACITY));
  }
}

interface RowSizes {
  readonly vectorBytes: number;
  readonly codeBytes: number;
  readonly codeLength: number;
  readonly linkBytes: number;
  readonly upperBytes: number;
}

function rowSizes({ dimension, m }: IndexOptions, element: ElementType): RowSizes {
  assert(dimension >= 1 && dimension <= VECTOR_DIMENSION_MAX, 'the dimension is in range');
  assert(m >= 2 && m <= LINKS_MAX, 'the links are in range');
  const codeLength = roundUp(dimension, 16);
  return {
    vectorBytes: roundUp(dimension * 4, CACHE_LINE),
    codeBytes: element === 'f32' ? 0 : codeLength <= 32 ? codeLength : roundUp(codeLength, CACHE_LINE),
    codeLength,
    linkBytes: 2 * m * 4,
    upperBytes: Math.ceil((m * 4 * UPPER_SHARE) / (m - 1)),
  };
}

/** Bytes of the quantiser for a component: centre, step, its inverse, weight. */
const QUANTISER_BYTES = 14;

/** Words of one node in regions of their own: norm, upper links, state, label, indegree, twin. */
const NODE_WORDS = 6;
/** A thread's of a node: whether it was visited, and whether it passes the filter. */
const MARK_BYTES = 1 + 1 / 8;

function bytesPerNode({ vectorBytes, codeBytes, linkBytes, upperBytes }: RowSizes): number {
  return vectorBytes + codeBytes + linkBytes + upperBytes + NODE_WORDS * 4 + layout.SLOTS_MAX * MARK_BYTES;
}

function threadBytes({ vectorBytes, codeBytes, linkBytes }: RowSizes, capacity: number): number {
  const forms = 2 * Math.max(codeBytes * 2, CACHE_LINE);
  const lists = layout.EF_MAX * (8 + 8);
  const small =
    layout.SMALL_BUFFERS * roundUp(linkBytes + layout.SMALL_MORE * 4, CACHE_LINE) + 2 * CACHE_LINE;
  return roundUp(layout.QUERY + vectorBytes + forms + lists + small + markBytes(capacity), 2 * CACHE_LINE);
}

/** Bytes of a thread for its marks of all nodes. */
function markBytes(capacity: number): number {
  return Math.ceil(capacity / 512) * CACHE_LINE + capacity;
}

/** What the nodes given out occupy, what they share, and what a thread takes. */
export function bytesUsed({ u32 }: GraphMemory): number {
  const word = (name: number) => u32[headerWord(name)]!;
  const perNode =
    word(layout.VECTOR_BYTES) +
    word(layout.CODE_BYTES) +
    word(layout.LINKS_MAX) * 8 +
    NODE_WORDS * 4 +
    MARK_BYTES;
  const buffers = word(layout.THREAD_BYTES) - markBytes(word(layout.CAPACITY));
  const shared = layout.LOCKS_MAX * 4 + word(layout.CODE_LENGTH) * QUANTISER_BYTES;
  return word(layout.NODES) * perNode + word(layout.UPPER_NEXT) + buffers + shared;
}

/** All that does not depend on the number of nodes, with room for alignment and for the upper links of a few. */
function fixedBytes(sizes: RowSizes): number {
  return (
    layout.FIRST_REGION +
    layout.SLOTS_MAX * (threadBytes(sizes, 0) + 2 * CACHE_LINE) +
    sizes.codeLength * QUANTISER_BYTES +
    layout.LOCKS_MAX * 4 +
    4 * PAGE
  );
}

function roomFor(sizes: RowSizes, pages: number): number {
  return Math.floor((pages * PAGE - fixedBytes(sizes)) / bytesPerNode(sizes));
}

/** Vectors that a graph of so many bytes has room for: at least one. */
export function capacityOf(options: IndexOptions, element: ElementType, bytes: number): number {
  return Math.max(1, roomFor(rowSizes(options, element), Math.floor(bytes / PAGE)));
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

function describe(views: GraphMemory, options: IndexOptions, sizes: RowSizes, capacity: number): void {
  const { u32 } = views;
  let next = layout.FIRST_REGION;
  const set = (word: number, value: number) => {
    u32[headerWord(word)] = value;
  };
  const region = (word: number, bytes: number) => {
    set(word, next);
    next = roundUp(next + bytes, CACHE_LINE);
  };
  set(layout.VECTOR_BYTES, sizes.vectorBytes);
  set(layout.CODE_BYTES, sizes.codeBytes);
  set(layout.CODE_LENGTH, sizes.codeLength);
  set(layout.METRIC, { l2: layout.SQUARED, dot: layout.DOT, cosine: layout.COSINE }[options.metric]);
  set(layout.LINKS_MAX, options.m);
  set(layout.CAPACITY, capacity);
  set(layout.EF_CONSTRUCTION, Math.max(1, Math.min(options.efConstruction, layout.EF_MAX)));
  set(layout.ENTRY, layout.NONE);
  set(layout.EPOCH, 1);
  const perNode: readonly [word: number, bytes: number][] = [
    [layout.LINKS, sizes.linkBytes],
    [layout.CODES, sizes.codeBytes],
    [layout.NORMS, 4],
    [layout.VECTORS, sizes.vectorBytes],
    [layout.UPPER, 4],
    [layout.STATES, 4],
    [layout.LABELS, 4],
    [layout.INDEGREES, 4],
    [layout.TWINS, 4],
  ];
  for (const [word, bytes] of perNode) region(word, bytes * capacity);
  region(layout.LOCKS, layout.LOCKS_MAX * 4);
  region(layout.CENTRES, sizes.codeLength * 4);
  region(layout.STEPS, sizes.codeLength * 4);
  region(layout.INVERSES, sizes.codeLength * 4);
  region(layout.WEIGHTS, sizes.codeLength * 2);
  const each = threadBytes(sizes, capacity);
  set(layout.THREAD_BYTES, each);
  region(layout.THREADS, each * layout.SLOTS_MAX);
  const upperBytes = sizes.upperBytes * capacity + PAGE;
  region(layout.UPPER_LINKS, upperBytes);
  set(layout.UPPER_LIMIT, upperBytes);
  // An offset of 0 is that of a node without such links.
  set(layout.UPPER_NEXT, CACHE_LINE);
  assert(next <= views.memory.buffer.byteLength, 'all regions fit the memory');
  Atomics.store(views.i32, headerWord(layout.MAGIC_WORD), layout.MAGIC);
}

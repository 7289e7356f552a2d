/**
 * Where everything lies in the memory of one index: read by the AssemblyScript beside this file and by its owner in TypeScript
 * (kernels/hnsw/native-memory.ts), so it keeps to what both languages mean alike. The contract is in graph.ts.
 *
 * The header is an array of 32-bit words at {@link HEADER}; arrays are one element per node, each in a region that is reserved in full
 * when the memory is made. Pages that no node has touched cost nothing, so nothing ever moves.
 */

/** Raised when a function of the module takes something else, or does something else for its callers. */
export const VERSION = 1;

/** Byte address of the header; static data of the module follows, regions begin at {@link FIRST_REGION}. */
export const HEADER = 1024;
export const FIRST_REGION = 65536;

/** No node; ends a list of links. */
export const NONE = 0xffffffff;

// header words: set once, before any thread attaches
export const MAGIC_WORD = 0;
export const MAGIC = 0x57534e48; // "HNSW"
/** Bytes of a float32 row: the dimension, padded with zeros to whole cache lines. */
export const VECTOR_BYTES = 1;
/** Bytes of an int8 row, padded with zeros; 0 = the graph is walked over float32. */
export const CODE_BYTES = 2;
/** Components that are quantised: the dimension rounded up to 16. */
export const CODE_LENGTH = 3;
/** How vectors are compared: cosine is the inner product of unit vectors. */
export const METRIC = 4;
export const SQUARED = 0;
export const DOT = 1;
export const COSINE = 2;
/** Links of a node above the ground level; twice as many on it. */
export const LINKS_MAX = 5;
export const CAPACITY = 6;
export const EF_CONSTRUCTION = 7;
// header words: first byte of each region
export const LINKS = 8;
export const CODES = 9;
export const NORMS = 10;
export const VECTORS = 11;
export const UPPER = 12;
export const STATES = 13;
export const LOCKS = 14;
export const LABELS = 15;
export const INDEGREES = 16;
/** float32 each: what a component is multiplied with, its centre, and the step of its code, both after that. */
export const CENTRES = 17;
export const STEPS = 18;
/** float32: 1 / step, 0 for a constant component. */
export const INVERSES = 19;
/** int16: makes the query form of a vector out of its code. */
export const WEIGHTS = 20;
/** First byte of the first thread's block, and bytes of each. */
export const THREADS = 21;
export const THREAD_BYTES = 22;
/** Bytes of the region for links above the ground level. */
export const UPPER_LIMIT = 23;
// header words that change (quantiser: only while nobody walks)
/** float32: brings components near 1, so that no square over- or underflows. */
export const UNIT = 24;
/** float32: a query form made of a code is in multiples of this. */
export const WEIGHT_UNIT = 25;
/** float32: squared length of the centre. */
export const CENTRE_SQUARED = 26;
export const NODES = 27;
export const ENTRY = 28;
export const UPPER_NEXT = 29;
export const EPOCH = 30;
/** Nodes that are marked and not yet free again. */
export const DELETED_COUNT = 31;
export const BATCH_NEXT = 32;
export const BATCH_END = 33;
/** Nodes coded since the quantiser was trained, and those of them that are far outside its range. */
export const CODED = 34;
export const OUTSIDE = 35;
/** First byte of the region for links above the ground level; UPPER has offsets into it. */
export const UPPER_LINKS = 36;
/** Next of the chain of twins + 1, 0 = none; of a node that is none, the first of its chain. */
export const TWINS = 37;
/** Nodes when the quantiser was trained. */
export const TRAINED_WITH = 38;
export const HEADER_WORDS = 64;

/** Threads that may be attached at a time. */
export const SLOTS_MAX = 16;

// a thread's block: words, then buffers
/** EPOCH when its operation began, 0 = it is at none. */
export const ACTIVE = 0;
/** Node it is inserting + 1, 0 = none. */
export const INSERTING = 1;
/** Nodes whose lock it did not get and left alone. */
export const SKIPPED = 2;
export const QUERY = 256;

/** A power of two: nodes that are equal modulo it share a lock, as nobody ever holds two. */
export const LOCKS_MAX = 512;
/** Bit of a lock, which is its holder's slot + 1: somebody waits for it. */
export const AWAITED = 0x80000000;

// bits of a node's state
export const LEVEL_MASK = 0xff;
export const LIVE = 0x100;
export const DELETED = 0x200;
/** Deleted before the sweep began: no link to it remains when the sweep ends. */
export const DOOMED = 0x400;

/** No node of the graph: its vector is that of another, whose number is its norm. Its indegree is the one before it in the chain. */
export const TWIN = 0x800;
/** Was removed, and stays in the graph for its twins. */
export const HIDDEN = 0x1000;
/** Of a doomed node: it has no links any more. */
export const UNLINKED = 0x2000;
/** Has no vector: not a placed node that waits for its insertion. */
export const FREE = 0x4000;
/** From this bit on, under the node's lock: how many of the first links on the ground level were chosen together. */
export const SETTLED_SHIFT = 16;

/** Longest list of a walk. */
export const EF_MAX = 4096;
/** Buffers for as many nodes as a list on the ground level has, and SMALL_MORE: its newcomer, or what makes their number one of fours. */
export const SMALL_BUFFERS = 4;
export const SMALL_MORE = 4;

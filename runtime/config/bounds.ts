/**
 * Every fixed bound of the system, and the relations between them, asserted when this file is loaded.
 * What a user may tune is in `schema.ts`; what is here follows from the kernel's ABI or from the layout
 * of shared memory and cannot change while a store exists.
 */
import { assert } from '../assert.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** Longest file name in bytes (NAME_MAX). */
export const NAME_MAX = 255;
/** Longest symlink target in bytes, without the terminator (PATH_MAX − 1). */
export const SYMLINK_MAX = 4095;
/** Longest xattr name (XATTR_NAME_MAX) and value (XATTR_SIZE_MAX) in bytes. */
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 64 * KIB;
/** All xattrs of one inode, names and values, bytes. */
export const XATTRS_MAX = 256 * KIB;
/** Most hard links to one inode (as ext4). */
export const LINK_MAX = 65_000;

/** Largest WRITE or READ payload we negotiate with the kernel, bytes. */
export const FUSE_MAX_WRITE = 1 * MIB;
/** Request buffer: payload, fuse_in_header, the largest fixed struct, and room for xattr names. */
export const FUSE_REQUEST_BYTES = FUSE_MAX_WRITE + 8 * KIB;
export const FUSE_REPLY_BYTES = FUSE_MAX_WRITE + 8 * KIB;

/** Largest file offset: 2^53 − 1 would be exact in a double; the kernel's own limit is MAX_LFS_FILESIZE. */
export const FILE_SIZE_MAX = Number.MAX_SAFE_INTEGER;

/** Smallest and largest slab block. */
export const SLAB_MIN = 64;
export const SLAB_MAX = 1 * MIB;

/** Largest region of shared memory: the longest typed array of Node 20, in bytes. */
export const REGION_MAX = 4 * GIB;
/** Largest `store.inline_limit`: the data of one small file, bytes. */
export const INLINE_LIMIT_MAX = 64 * KIB;
/** Largest `memory.max_files`: the inode columns (about 200 B a file) must fit one region. */
export const FILES_MAX = 16_000_000;

/** Dimension of a vector: 1 … 8,192 float32, which also fits an xattr value. */
export const VECTOR_DIMENSION_MAX = 8192;
/** Collections a store may hold, and the longest name of one in bytes. */
export const COLLECTIONS_MAX = 64;
export const COLLECTION_NAME_MAX = 63;
/** Of those, how many only the owner of the store and root can make: nobody else can use up all. */
export const COLLECTIONS_KEPT = 16;
/** Graphs that a shard may have of one collection, each of `vectors.graph_memory`, 4 GiB at most: 64 GiB. */
export const GRAPHS_MAX = 16;

/** Longest search query in bytes accepted by the API (as a file name, NAME_MAX applies). */
export const QUERY_MAX = 8 * KIB;
/** Largest `memory.max_results`: a node of the virtual tree is numbered in 13 bits. */
export const RESULT_NODES_MAX = 8191;
/** Most candidates that a search may be told to look at. */
export const SEARCH_EF_MAX = 10_000;
/** Most results one search returns. */
export const SEARCH_K_MAX = 1000;

/** Largest query file, `.vexfs/query`: all that was written to it and answered, bytes. */
export const QUERY_BYTES_MAX = 64 * MIB;
/** Bytes of all query files together, whoever they belong to: beyond it the largest are forgotten. */
export const QUERY_FILES_BYTES_MAX = 256 * MIB;
/** Values of one request there, as a value takes some 64 bytes when it is parsed: a path and more for each of the most vectors. */
export const QUERY_VALUES_MAX = 256 * KIB;
/** Most bytes that may follow a request on the control socket. */
export const CONTROL_PAYLOAD_MAX = 64 * MIB;

/** Longest request on the control socket, characters: several of the largest vectors as JSON. */
export const CONTROL_LINE_MAX = 1 * MIB;

/** Smallest `store.checkpoint_bytes`: a checkpoint takes a few files and some milliseconds, however little is in it. */
export const CHECKPOINT_BYTES_MIN = 64 * KIB;

/** Journal payload of one transaction, bytes: the largest is a 64 KiB inline write or xattr with its headers. */
export const TRANSACTION_MAX = 512 * KIB;

/**
 * Zeros written ahead of the log's end, bytes: a small commit then changes no metadata of the segment's file, and the host
 * filesystem need not commit its own journal for it. More takes longer each time, less is due more often.
 */
export const LOG_AHEAD = 256 * KIB;

/**
 * What the log's reserve has beyond the bytes of the journal's ring: records of removals while the disk is full, and blocks that the host's
 * filesystem takes for itself, bytes.
 */
export const RESERVE_BEYOND_RING = 2 * MIB;
/** The journal's ring takes at most one of so many parts of the store's disk, as the log has a reserve of its size. */
export const JOURNAL_DISK_SHARE = 16;
/** What is to be free on the store's disk besides the reserve: so much, and what a checkpoint takes, up to a limit, bytes. */
export const LEAST_FREE = 1 * MIB;
export const CHECKPOINT_ROOM_MAX = 1 * GIB;

/**
 * Most bytes of records that a fuse actor commits itself, and longest fdatasync after which it does so, milliseconds: other requests
 * wait meanwhile.
 */
export const FUSE_COMMIT_BYTES = 256 * KIB;
export const FUSE_COMMIT_MS = 1;

/** Bytes written to a large file between two fsyncs of it that go into the log, not only to the file's object. */
export const LOGGED_PER_SYNC = 64 * KIB;
/** Objects that are durable only in the log, at most: a commit makes them durable before there are many more. */
export const LOGGED_OBJECTS_MAX = 256;

/**
 * Bytes written to one object, none of them durable, after which the disk begins with them, so that the next fsync, of whatever
 * file, has less to wait for.
 */
export const WRITE_BEHIND_BYTES = 16 * MIB;

/** Bytes of a file in one frame of a compressed object: what a read of a single byte expands. */
export const COMPRESSED_FRAME_BYTES = 64 * KIB;
/** Largest file that is compressed, and the most frames of one. */
export const COMPRESSED_SIZE_MAX = 64 * GIB;
export const COMPRESSED_FRAMES_MAX = 2 ** 20;
/** Smallest file that is compressed: it takes two blocks of the host. */
export const COMPRESSED_SIZE_MIN = 8 * KIB;
/** Frames of compressed objects of which one thread remembers where they are, at 8 bytes each. */
export const COMPRESSED_INDEX_FRAMES = 256 * KIB;

/** Bytes of a large file under one checksum: what a read of a single byte reads and sums. Of the largest files more (sums.ts). */
export const SUMMED_PIECE_BYTES = 64 * KIB;
/** Most checksums of one file. A file that would need pieces of more than SUMMED_PIECE_MAX has none. */
export const SUMS_MAX = 64 * KIB;
export const SUMMED_PIECE_MAX = 1 * MIB;

/** Files that the kernel reads and writes past us at a time; what is opened beyond them is not passed through. */
export const PASSED_FILES_MAX = 1024;

/** Shared-memory words that different threads write are kept this far apart, bytes. */
export const CACHE_LINE = 64;

/** Distance between two words that different threads write often: x64 fetches cache lines in adjacent pairs. */
export const SHARED_LINE = 2 * CACHE_LINE;

/** Alignment of a region in the arena (the page size, so that a region's untouched tail costs nothing). */
export const REGION_ALIGN = 4 * KIB;
/** Longest region name, ASCII bytes. */
export const REGION_NAME_MAX = 48;

/** Atomic loads tried before a thread parks (~2 µs); a single CPU does not spin at all. */
export const SPIN_LOADS = 2000;
/** No thread sleeps longer than this without looking again, milliseconds. */
export const WAIT_SLICE_MS = 1000;

/** Capacity of one ring, bytes: a power of two, so that free-running u32 indexes wrap with it. */
export const RING_MIN = 256;
export const RING_MAX = 1 * GIB;

export const WORKERS_MAX = 64;

/** Largest configuration file, bytes. */
export const CONFIG_FILE_MAX = 1 * MIB;

assert(VECTOR_DIMENSION_MAX * 4 <= XATTR_SIZE_MAX, 'a vector must fit an xattr value');
assert(
  FUSE_REQUEST_BYTES > FUSE_MAX_WRITE + 80,
  'a WRITE request with its headers must fit the request buffer',
);
assert(SLAB_MAX >= FUSE_MAX_WRITE, 'a request payload must fit one slab block');
assert(SLAB_MAX >= XATTRS_MAX && SLAB_MAX >= SYMLINK_MAX, 'xattrs and symlinks must fit one slab block');
assert(TRANSACTION_MAX >= 2 * XATTR_SIZE_MAX, 'a transaction must hold an xattr with its vector');
assert(SLAB_MAX >= INLINE_LIMIT_MAX, 'an inline file must fit one slab block');
assert(TRANSACTION_MAX >= 2 * INLINE_LIMIT_MAX, 'a transaction must hold an inline file');
assert(TRANSACTION_MAX >= 2 * LOGGED_PER_SYNC, 'a transaction must hold a write that is logged');
assert(RESERVE_BEYOND_RING >= 4 * LOG_AHEAD, 'the reserve is more than the zeros that the log writes ahead');
assert(FILES_MAX * 256 <= REGION_MAX, 'the inode columns must fit one region');
assert(
  COMPRESSED_SIZE_MAX / COMPRESSED_FRAME_BYTES <= COMPRESSED_FRAMES_MAX,
  'the largest compressed file has no more frames than can be',
);
assert(TRANSACTION_MAX >= 2 * 4 * SUMS_MAX, 'a transaction must hold the checksums of a file');
assert(SLAB_MAX >= 4 * SUMS_MAX, 'the checksums of a file must fit one slab block');
assert(SLAB_MIN === CACHE_LINE, 'the smallest slab block is one cache line');
assert(SHARED_LINE % CACHE_LINE === 0 && REGION_ALIGN % SHARED_LINE === 0, 'regions start on a shared line');
assert(Number.isInteger(Math.log2(RING_MIN)) && Number.isInteger(Math.log2(RING_MAX)), 'a ring is 2^n bytes');

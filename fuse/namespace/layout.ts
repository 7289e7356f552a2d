/**
 * Where everything lies in the namespace's regions. An inode is one record of 128 bytes (two cache lines),
 * a directory entry one of 64 (one line): `stat` and `lookup` of a cold file then cost three cache misses,
 * where one array per field costs one per field. All references are indexes, 0 = none, so a region's used
 * prefix can be put back into a larger region and stays valid.
 *
 * Regions
 *   namespace     header words, the lock, the sequence counter, the collections
 *   inodes        record `ino`, 1 = the root
 *   dentries      record `slot`
 *   dentry-hash   u32 heads of the (parent, name) chains; derived, never saved
 *   survivors     what no log knows, kept while the tables are loaded anew (survivors.ts); never saved
 * Names longer than {@link NAME_INLINE}, file data, symlink targets and xattrs are slab blocks.
 */
import type { RegionPlan } from '../../runtime/memory/arena.ts';

export const NAMESPACE_MAGIC = 0x534e5856;
/** Raised when a layout below changes its meaning; an image of another one is refused. */
export const LAYOUT_VERSION = 1;

// Header: u32 words of region 'namespace'. Written under the lock, except H_NEXT_OBJECT (atomic).
export const H_MAGIC = 0;
export const H_VERSION = 1;
/** First inode number never used. */
export const H_INODES_END = 2;
export const H_INODE_FREE = 3;
export const H_INODES_LIVE = 4;
/** First dentry slot never used. */
export const H_DENTRIES_END = 5;
export const H_DENTRY_FREE = 6;
export const H_DENTRIES_LIVE = 7;
export const H_NEXT_OBJECT = 8;
export const H_COLLECTIONS = 9;
/** 1 = a mutation threw: the tables may not be what the journal says, and are not changed any more. */
export const H_BROKEN = 10;
/** The lock and the counter lie on cache lines of their own. */
export const H_MUTEX = 16;
export const H_SEQUENCE = 32;
/** Where the transaction under way found things: LSN (f64) and position of the journal, and the sequence. */
export const H_BEGAN_LSN = 34;
export const H_BEGAN_POSITION = 36;
export const H_BEGAN_SEQUENCE = 37;

/** Collections: records of {@link COLLECTION_BYTES} from here on; id 1 is the first. */
export const COLLECTIONS_AT = 256;
export const COLLECTION_BYTES = 128;
export const C_DIMENSION = 0;
export const C_NAME_LENGTH = 1;
/** Byte offset of the name in a collection's record. */
export const C_NAME = 8;
/** How its vectors are compared and their graph is made (collections.ts); 0 = as collections were before there was a choice. */
export const C_OPTIONS = 18;

// Inode: u32 word offsets; those marked f64 take two words.
export const INODE_WORDS = 32;
export const INODE_BYTES = 128;
export const ROOT = 1;
/** Type and permission bits; 0 = the record is free. */
export const I_MODE = 0;
export const I_NLINK = 1;
export const I_UID = 2;
export const I_GID = 3;
export const I_RDEV = 4;
export const I_GENERATION = 5;
/** What the kernel holds (atomic, any thread). */
export const I_LOOKUPS = 6;
/** Slab handle. */
export const I_XATTRS = 7;
/** f64. */
export const I_SIZE = 8;
/** f64 seconds since the epoch. */
export const I_ATIME = 10;
export const I_MTIME = 12;
export const I_CTIME = 14;
export const I_BTIME = 16;
export const I_ATIME_NS = 18;
export const I_MTIME_NS = 19;
export const I_CTIME_NS = 20;
export const I_BTIME_NS = 21;
/** First of the dentries that name this inode (a directory has at most one, the root none). */
export const I_NAMES = 22;
/** Regular file without an object: slab handle of the inline bytes. Symlink: of the target. */
export const I_DATA = 23;
/** Regular file with an object: slab handle of its checksums, 0 = it has none (sums.ts). */
export const I_SUMS = 23;
/** Directory: its first entry. */
export const I_FIRST = 23;
/** Free record: the next free one. */
export const I_NEXT_FREE = 23;
/** Regular file: object that holds the bytes, 0 = they are inline. */
export const I_OBJECT = 24;
/** Regular file with an object: in what form that has the bytes, one of the following (stored.ts). */
export const I_STORED = 31;
/** As they are. */
export const PLAIN = 0;
/** As they are; compressing these very bytes was tried and gained too little. A change of them makes it {@link PLAIN}. */
export const KEPT_PLAIN = 0xffff_ffff;
/** Any other value: compressed. It is the space that the object takes, in blocks of so many bytes. */
export const STORED_BLOCK = 4096;
/** Directory: sequence number of the newest entry. */
export const I_SEQUENCE = 24;
/** Flags of chattr(1) and others, see inode-flags.ts. */
export const I_FLAGS = 25;
/** Changes to the data, modulo 2^32, and the one the index has seen. */
export const I_VERSION = 26;
export const I_INDEXED = 27;
export const I_INDEX_STATUS = 28;
export const I_CHUNKS = 29;

// Dentry: u32 word offsets.
export const DENTRY_WORDS = 16;
export const DENTRY_BYTES = 64;
/** Inode named; 0 = the record is free (parent, sequence and next then still hold what they held). */
export const D_INODE = 0;
export const D_PARENT = 1;
/** i32, see `hashName`. */
export const D_HASH = 2;
/** Next in the hash chain; of a free record the next free one. */
export const D_CHAIN = 3;
/** Next older and next newer entry of the directory. */
export const D_NEXT = 4;
export const D_PREVIOUS = 5;
/** Position in the directory: 1 … 2^31 − 1, falling along D_NEXT. */
export const D_SEQUENCE = 6;
/** Next and previous dentry that names the same inode. */
export const D_LINK_NEXT = 7;
export const D_LINK_PREVIOUS = 8;
/** Bytes. */
export const D_NAME_LENGTH = 9;
/** The name itself when it fits, else its slab handle. */
export const D_NAME = 10;
export const NAME_INLINE = (DENTRY_WORDS - D_NAME) * 4;
export const SEQUENCE_MAX = 0x7fff_ffff;

/** Whether a value of {@link I_STORED} is one of a compressed object. */
export function isCompressed(stored: number): boolean {
  return stored !== PLAIN && stored !== KEPT_PLAIN;
}

// File types (S_IFMT, include/uapi/linux/stat.h).
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_IRWXG = 0o0070;
export const S_IXGRP = 0o0010;

export interface NamespaceCapacity {
  /** Files, directories, … that can exist at a time, the root included: 2 … 2^25. */
  readonly maxInodes: number;
  /** Names that can exist at a time: 1 … 2^26. */
  readonly maxDentries: number;
}

/** Heads of hash chains for `dentries` records: a power of two, so that chains stay about one long. */
function bucketCount(dentries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(64, dentries)));
}

/** Words of region 'survivors' before the pairs of (generation, lookups), one for each inode number. */
export const SURVIVORS_HEADER_WORDS = 8;

function survivorsBytes(inodes: number): number {
  return (SURVIVORS_HEADER_WORDS + inodes * 2) * 4;
}

/** The regions a namespace lives in; untouched capacity costs no memory. */
export function planNamespace(capacity: NamespaceCapacity): RegionPlan[] {
  return [
    { name: 'namespace', bytes: 16 * 1024 },
    { name: 'inodes', bytes: (capacity.maxInodes + 1) * INODE_BYTES },
    { name: 'dentries', bytes: (capacity.maxDentries + 1) * DENTRY_BYTES },
    { name: 'dentry-hash', bytes: bucketCount(capacity.maxDentries) * 4 },
    { name: 'survivors', bytes: survivorsBytes(capacity.maxInodes + 1) },
  ];
}

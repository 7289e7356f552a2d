/**
 * The Linux FUSE kernel ABI, major 7, minors 31 … 45: opcodes, flags and struct layouts of
 * `include/uapi/linux/fuse.h`, under the header's own names. All fields are in the machine's byte order
 * (little endian on everything Node runs on); offsets are bytes from the start of their struct.
 */
export const FUSE_KERNEL_VERSION = 7;
/** Newest minor whose layouts are described here. */
export const FUSE_KERNEL_MINOR_VERSION = 45;
/** Oldest minor served (Linux 5.4). */
export const FUSE_MINOR_MIN = 31;
export const FUSE_ROOT_ID = 1;

// ---- enum fuse_opcode
export const FUSE_LOOKUP = 1;
/** No reply. */
export const FUSE_FORGET = 2;
export const FUSE_GETATTR = 3;
export const FUSE_SETATTR = 4;
export const FUSE_READLINK = 5;
export const FUSE_SYMLINK = 6;
export const FUSE_MKNOD = 8;
export const FUSE_MKDIR = 9;
export const FUSE_UNLINK = 10;
export const FUSE_RMDIR = 11;
export const FUSE_RENAME = 12;
export const FUSE_LINK = 13;
export const FUSE_OPEN = 14;
export const FUSE_READ = 15;
export const FUSE_WRITE = 16;
export const FUSE_STATFS = 17;
export const FUSE_RELEASE = 18;
export const FUSE_FSYNC = 20;
export const FUSE_SETXATTR = 21;
export const FUSE_GETXATTR = 22;
export const FUSE_LISTXATTR = 23;
export const FUSE_REMOVEXATTR = 24;
export const FUSE_FLUSH = 25;
export const FUSE_INIT = 26;
export const FUSE_OPENDIR = 27;
export const FUSE_READDIR = 28;
export const FUSE_RELEASEDIR = 29;
export const FUSE_FSYNCDIR = 30;
export const FUSE_GETLK = 31;
export const FUSE_SETLK = 32;
export const FUSE_SETLKW = 33;
export const FUSE_ACCESS = 34;
export const FUSE_CREATE = 35;
export const FUSE_INTERRUPT = 36;
export const FUSE_BMAP = 37;
export const FUSE_DESTROY = 38;
export const FUSE_IOCTL = 39;
export const FUSE_POLL = 40;
export const FUSE_NOTIFY_REPLY = 41;
/** No reply. */
export const FUSE_BATCH_FORGET = 42;
export const FUSE_FALLOCATE = 43;
export const FUSE_READDIRPLUS = 44;
export const FUSE_RENAME2 = 45;
export const FUSE_LSEEK = 46;
export const FUSE_COPY_FILE_RANGE = 47;
export const FUSE_SETUPMAPPING = 48;
export const FUSE_REMOVEMAPPING = 49;
export const FUSE_SYNCFS = 50;
export const FUSE_TMPFILE = 51;
/** Since 7.39. */
export const FUSE_STATX = 52;
/** Since 7.45. */
export const FUSE_COPY_FILE_RANGE_64 = 53;
/** One more than the largest opcode: the length of a table by opcode. */
export const OPCODES = 54;

const OPCODE_NAMES: readonly string[] = (() => {
  const names: string[] = new Array(OPCODES).fill('');
  const listed =
    '1 LOOKUP 2 FORGET 3 GETATTR 4 SETATTR 5 READLINK 6 SYMLINK 8 MKNOD 9 MKDIR 10 UNLINK 11 RMDIR 12 RENAME ' +
    '13 LINK 14 OPEN 15 READ 16 WRITE 17 STATFS 18 RELEASE 20 FSYNC 21 SETXATTR 22 GETXATTR 23 LISTXATTR ' +
    '24 REMOVEXATTR 25 FLUSH 26 INIT 27 OPENDIR 28 READDIR 29 RELEASEDIR 30 FSYNCDIR 31 GETLK 32 SETLK ' +
    '33 SETLKW 34 ACCESS 35 CREATE 36 INTERRUPT 37 BMAP 38 DESTROY 39 IOCTL 40 POLL 41 NOTIFY_REPLY ' +
    '42 BATCH_FORGET 43 FALLOCATE 44 READDIRPLUS 45 RENAME2 46 LSEEK 47 COPY_FILE_RANGE 48 SETUPMAPPING ' +
    '49 REMOVEMAPPING 50 SYNCFS 51 TMPFILE 52 STATX 53 COPY_FILE_RANGE_64';
  const words = listed.split(' ');
  for (let i = 0; i < words.length; i += 2) names[Number(words[i])] = words[i + 1]!;
  return names;
})();

/** Name of an opcode without its FUSE_ prefix, for logs and metrics; `OPCODE_n` for one not listed. */
export function opcodeName(opcode: number): string {
  return OPCODE_NAMES[opcode] || `OPCODE_${opcode}`;
}

const KNOWN = Uint8Array.from(OPCODE_NAMES, (name) => (name === '' ? 0 : 1));

/** Whether the opcode is listed here; the answer to others is ENOSYS. */
export function isKnownOpcode(opcode: number): boolean {
  return KNOWN[opcode] === 1;
}

// ---- INIT flags, low word (fuse_init_in.flags)
export const FUSE_ASYNC_READ = 1 << 0;
export const FUSE_POSIX_LOCKS = 1 << 1;
export const FUSE_FILE_OPS = 1 << 2;
export const FUSE_ATOMIC_O_TRUNC = 1 << 3;
export const FUSE_EXPORT_SUPPORT = 1 << 4;
export const FUSE_BIG_WRITES = 1 << 5;
export const FUSE_DONT_MASK = 1 << 6;
export const FUSE_SPLICE_WRITE = 1 << 7;
export const FUSE_SPLICE_MOVE = 1 << 8;
export const FUSE_SPLICE_READ = 1 << 9;
export const FUSE_FLOCK_LOCKS = 1 << 10;
export const FUSE_HAS_IOCTL_DIR = 1 << 11;
export const FUSE_AUTO_INVAL_DATA = 1 << 12;
export const FUSE_DO_READDIRPLUS = 1 << 13;
export const FUSE_READDIRPLUS_AUTO = 1 << 14;
export const FUSE_ASYNC_DIO = 1 << 15;
export const FUSE_WRITEBACK_CACHE = 1 << 16;
export const FUSE_NO_OPEN_SUPPORT = 1 << 17;
export const FUSE_PARALLEL_DIROPS = 1 << 18;
export const FUSE_HANDLE_KILLPRIV = 1 << 19;
export const FUSE_POSIX_ACL = 1 << 20;
export const FUSE_ABORT_ERROR = 1 << 21;
export const FUSE_MAX_PAGES = 1 << 22;
export const FUSE_CACHE_SYMLINKS = 1 << 23;
export const FUSE_NO_OPENDIR_SUPPORT = 1 << 24;
export const FUSE_EXPLICIT_INVAL_DATA = 1 << 25;
export const FUSE_MAP_ALIGNMENT = 1 << 26;
export const FUSE_SUBMOUNTS = 1 << 27;
export const FUSE_HANDLE_KILLPRIV_V2 = 1 << 28;
export const FUSE_SETXATTR_EXT = 1 << 29;
export const FUSE_INIT_EXT = 1 << 30;

// ---- INIT flags, high word (bits 32 … 63 of the header's numbering, carried in fuse_init_in.flags2)
export const FUSE_SECURITY_CTX_2 = 1 << (32 - 32);
export const FUSE_HAS_INODE_DAX_2 = 1 << (33 - 32);
export const FUSE_CREATE_SUPP_GROUP_2 = 1 << (34 - 32);
export const FUSE_HAS_EXPIRE_ONLY_2 = 1 << (35 - 32);
export const FUSE_DIRECT_IO_ALLOW_MMAP_2 = 1 << (36 - 32);
export const FUSE_PASSTHROUGH_2 = 1 << (37 - 32);
export const FUSE_NO_EXPORT_SUPPORT_2 = 1 << (38 - 32);
export const FUSE_HAS_RESEND_2 = 1 << (39 - 32);
export const FUSE_ALLOW_IDMAP_2 = 1 << (40 - 32);
export const FUSE_OVER_IO_URING_2 = 1 << (41 - 32);
export const FUSE_REQUEST_TIMEOUT_2 = 1 << (42 - 32);

// ---- flags of single requests
export const FATTR_MODE = 1 << 0;
export const FATTR_UID = 1 << 1;
export const FATTR_GID = 1 << 2;
export const FATTR_SIZE = 1 << 3;
export const FATTR_ATIME = 1 << 4;
export const FATTR_MTIME = 1 << 5;
export const FATTR_FH = 1 << 6;
export const FATTR_ATIME_NOW = 1 << 7;
export const FATTR_MTIME_NOW = 1 << 8;
export const FATTR_LOCKOWNER = 1 << 9;
export const FATTR_CTIME = 1 << 10;
/** Only with HANDLE_KILLPRIV_V2: the truncating caller lacks CAP_FSETID. */
export const FATTR_KILL_SUIDGID = 1 << 11;

export const FOPEN_DIRECT_IO = 1 << 0;
export const FOPEN_KEEP_CACHE = 1 << 1;
export const FOPEN_NONSEEKABLE = 1 << 2;
export const FOPEN_CACHE_DIR = 1 << 3;
export const FOPEN_STREAM = 1 << 4;
export const FOPEN_NOFLUSH = 1 << 5;
export const FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6;
export const FOPEN_PASSTHROUGH = 1 << 7;

export const FUSE_GETATTR_FH = 1 << 0;
export const FUSE_WRITE_CACHE = 1 << 0;
export const FUSE_WRITE_LOCKOWNER = 1 << 1;
/** Only with HANDLE_KILLPRIV_V2: the writing caller lacks CAP_FSETID. */
export const FUSE_WRITE_KILL_SUIDGID = 1 << 2;
export const FUSE_OPEN_KILL_SUIDGID = 1 << 0;
export const FUSE_FSYNC_FDATASYNC = 1 << 0;
export const FUSE_SETXATTR_ACL_KILL_SGID = 1 << 0;
export const FUSE_EXPIRE_ONLY = 1 << 0;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
export const RENAME_NOREPLACE = 1 << 0;
export const RENAME_EXCHANGE = 1 << 1;
export const RENAME_WHITEOUT = 1 << 2;
export const FALLOC_FL_KEEP_SIZE = 0x01;
export const FALLOC_FL_PUNCH_HOLE = 0x02;
export const FALLOC_FL_COLLAPSE_RANGE = 0x08;
export const FALLOC_FL_ZERO_RANGE = 0x10;
export const FALLOC_FL_INSERT_RANGE = 0x20;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

// ---- file types (inode(7)); d_type of a directory entry is `mode >>> 12`
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

// ---- statx(2): what is known of a file (STATX_BASIC_STATS | STATX_BTIME), and of its flags
export const STATX_BASIC_STATS_AND_BTIME = 0xfff;

// ---- ioctl(2) requests, as _IOR and _IOW make them (include/uapi/linux/fs.h); the second of a pair is for 32-bit callers
export const FS_IOC_GETFLAGS = 0x80086601;
export const FS_IOC32_GETFLAGS = 0x80046601;
export const FS_IOC_SETFLAGS = 0x40086602;
export const FS_IOC32_SETFLAGS = 0x40046602;
export const FS_IOC_GETVERSION = 0x80087601;
export const FS_IOC32_GETVERSION = 0x80047601;
export const FS_IOC_FSGETXATTR = 0x801c581f;
export const FS_IOC_FSSETXATTR = 0x401c5820;
/** struct fsxattr: xflags, extsize, nextents, projid, cowextsize as u32, then padding. */
export const FSXATTR_BYTES = 28;
export const FS_XFLAG_IMMUTABLE = 0x8;
export const FS_XFLAG_APPEND = 0x10;
export const FS_XFLAG_NOATIME = 0x40;
export const FS_XFLAG_NODUMP = 0x80;

// ---- enum fuse_notify_code (in fuse_out_header.error of a message whose unique is 0)
export const FUSE_NOTIFY_POLL = 1;
export const FUSE_NOTIFY_INVAL_INODE = 2;
export const FUSE_NOTIFY_INVAL_ENTRY = 3;
export const FUSE_NOTIFY_STORE = 4;
export const FUSE_NOTIFY_RETRIEVE = 5;
export const FUSE_NOTIFY_DELETE = 6;

// ---- struct fuse_in_header
export const FUSE_IN_HEADER_BYTES = 40;
export const IN_HEADER_LEN = 0;
export const IN_HEADER_OPCODE = 4;
export const IN_HEADER_UNIQUE = 8;
export const IN_HEADER_NODEID = 16;
export const IN_HEADER_UID = 24;
export const IN_HEADER_GID = 28;
export const IN_HEADER_PID = 32;
/** u16, in units of 8 bytes; since 7.38, zero before. */
export const IN_HEADER_TOTAL_EXTLEN = 36;

// ---- struct fuse_out_header
export const FUSE_OUT_HEADER_BYTES = 16;
export const OUT_HEADER_LEN = 0;
export const OUT_HEADER_ERROR = 4;
export const OUT_HEADER_UNIQUE = 8;

// ---- request bodies: field offsets from the body, and each struct's size
export const FORGET_IN_NLOOKUP = 0;
export const FORGET_IN_BYTES = 8;
export const BATCH_FORGET_IN_COUNT = 0;
export const BATCH_FORGET_IN_BYTES = 8;
export const FORGET_ONE_NODEID = 0;
export const FORGET_ONE_NLOOKUP = 8;
export const FORGET_ONE_BYTES = 16;
export const GETATTR_IN_FLAGS = 0;
export const GETATTR_IN_FH = 8;
export const GETATTR_IN_BYTES = 16;
export const SETATTR_IN_VALID = 0;
export const SETATTR_IN_FH = 8;
export const SETATTR_IN_SIZE = 16;
export const SETATTR_IN_LOCK_OWNER = 24;
export const SETATTR_IN_ATIME = 32;
export const SETATTR_IN_MTIME = 40;
export const SETATTR_IN_CTIME = 48;
export const SETATTR_IN_ATIMENSEC = 56;
export const SETATTR_IN_MTIMENSEC = 60;
export const SETATTR_IN_CTIMENSEC = 64;
export const SETATTR_IN_MODE = 68;
export const SETATTR_IN_UID = 76;
export const SETATTR_IN_GID = 80;
export const SETATTR_IN_BYTES = 88;
export const MKNOD_IN_MODE = 0;
export const MKNOD_IN_RDEV = 4;
export const MKNOD_IN_UMASK = 8;
export const MKNOD_IN_BYTES = 16;
export const MKDIR_IN_MODE = 0;
export const MKDIR_IN_UMASK = 4;
export const MKDIR_IN_BYTES = 8;
export const RENAME_IN_NEWDIR = 0;
export const RENAME_IN_BYTES = 8;
export const RENAME2_IN_NEWDIR = 0;
export const RENAME2_IN_FLAGS = 8;
export const RENAME2_IN_BYTES = 16;
export const LINK_IN_OLDNODEID = 0;
export const LINK_IN_BYTES = 8;
export const OPEN_IN_FLAGS = 0;
export const OPEN_IN_OPEN_FLAGS = 4;
export const OPEN_IN_BYTES = 8;
export const CREATE_IN_FLAGS = 0;
export const CREATE_IN_MODE = 4;
export const CREATE_IN_UMASK = 8;
export const CREATE_IN_OPEN_FLAGS = 12;
export const CREATE_IN_BYTES = 16;
export const RELEASE_IN_FH = 0;
export const RELEASE_IN_FLAGS = 8;
export const RELEASE_IN_BYTES = 24;
export const FLUSH_IN_FH = 0;
export const FLUSH_IN_BYTES = 24;
/** fuse_read_in serves READ, READDIR and READDIRPLUS. */
export const READ_IN_FH = 0;
export const READ_IN_OFFSET = 8;
export const READ_IN_SIZE = 16;
export const READ_IN_READ_FLAGS = 20;
export const READ_IN_FLAGS = 32;
export const READ_IN_BYTES = 40;
export const WRITE_IN_FH = 0;
export const WRITE_IN_OFFSET = 8;
export const WRITE_IN_SIZE = 16;
export const WRITE_IN_WRITE_FLAGS = 20;
export const WRITE_IN_FLAGS = 32;
export const WRITE_IN_BYTES = 40;
export const FSYNC_IN_FH = 0;
export const FSYNC_IN_FLAGS = 8;
export const FSYNC_IN_BYTES = 16;
export const SETXATTR_IN_SIZE = 0;
export const SETXATTR_IN_FLAGS = 4;
/** Only with SETXATTR_EXT. */
export const SETXATTR_IN_SETXATTR_FLAGS = 8;
export const SETXATTR_IN_BYTES = 16;
export const FUSE_COMPAT_SETXATTR_IN_SIZE = 8;
/** fuse_getxattr_in serves GETXATTR and LISTXATTR. */
export const GETXATTR_IN_SIZE = 0;
export const GETXATTR_IN_BYTES = 8;
export const LK_IN_BYTES = 48;
export const ACCESS_IN_MASK = 0;
export const ACCESS_IN_BYTES = 8;
export const INIT_IN_MAJOR = 0;
export const INIT_IN_MINOR = 4;
export const INIT_IN_MAX_READAHEAD = 8;
export const INIT_IN_FLAGS = 12;
/** Only with INIT_EXT. */
export const INIT_IN_FLAGS2 = 16;
export const FUSE_COMPAT_INIT_IN_BYTES = 16;
export const INIT_IN_BYTES = 64;
export const INTERRUPT_IN_UNIQUE = 0;
export const INTERRUPT_IN_BYTES = 8;
export const BMAP_IN_BYTES = 16;
export const IOCTL_IN_FH = 0;
export const IOCTL_IN_FLAGS = 8;
export const IOCTL_IN_CMD = 12;
export const IOCTL_IN_ARG = 16;
export const IOCTL_IN_IN_SIZE = 24;
export const IOCTL_IN_OUT_SIZE = 28;
export const IOCTL_IN_BYTES = 32;
export const POLL_IN_BYTES = 24;
export const NOTIFY_RETRIEVE_IN_BYTES = 40;
export const FALLOCATE_IN_FH = 0;
export const FALLOCATE_IN_OFFSET = 8;
export const FALLOCATE_IN_LENGTH = 16;
export const FALLOCATE_IN_MODE = 24;
export const FALLOCATE_IN_BYTES = 32;
export const LSEEK_IN_FH = 0;
export const LSEEK_IN_OFFSET = 8;
export const LSEEK_IN_WHENCE = 16;
export const LSEEK_IN_BYTES = 24;
export const COPY_FILE_RANGE_IN_FH_IN = 0;
export const COPY_FILE_RANGE_IN_OFF_IN = 8;
export const COPY_FILE_RANGE_IN_NODEID_OUT = 16;
export const COPY_FILE_RANGE_IN_FH_OUT = 24;
export const COPY_FILE_RANGE_IN_OFF_OUT = 32;
export const COPY_FILE_RANGE_IN_LEN = 40;
export const COPY_FILE_RANGE_IN_FLAGS = 48;
export const COPY_FILE_RANGE_IN_BYTES = 56;
export const SYNCFS_IN_BYTES = 8;
export const STATX_IN_BYTES = 24;
export const STATX_IN_SX_MASK = 20;

// ---- reply bodies
export const ATTR_INO = 0;
export const ATTR_SIZE = 8;
export const ATTR_BLOCKS = 16;
export const ATTR_ATIME = 24;
export const ATTR_MTIME = 32;
export const ATTR_CTIME = 40;
export const ATTR_ATIMENSEC = 48;
export const ATTR_MTIMENSEC = 52;
export const ATTR_CTIMENSEC = 56;
export const ATTR_MODE = 60;
export const ATTR_NLINK = 64;
export const ATTR_UID = 68;
export const ATTR_GID = 72;
export const ATTR_RDEV = 76;
export const ATTR_BLKSIZE = 80;
export const ATTR_FLAGS = 84;
export const ATTR_BYTES = 88;
export const ENTRY_OUT_NODEID = 0;
export const ENTRY_OUT_GENERATION = 8;
export const ENTRY_OUT_ENTRY_VALID = 16;
export const ENTRY_OUT_ATTR_VALID = 24;
export const ENTRY_OUT_ENTRY_VALID_NSEC = 32;
export const ENTRY_OUT_ATTR_VALID_NSEC = 36;
export const ENTRY_OUT_ATTR = 40;
export const ENTRY_OUT_BYTES = 128;
export const ATTR_OUT_ATTR_VALID = 0;
export const ATTR_OUT_ATTR_VALID_NSEC = 8;
export const ATTR_OUT_ATTR = 16;
export const ATTR_OUT_BYTES = 104;
export const OPEN_OUT_FH = 0;
export const OPEN_OUT_OPEN_FLAGS = 8;
export const OPEN_OUT_BYTES = 16;
export const WRITE_OUT_SIZE = 0;
export const WRITE_OUT_BYTES = 8;
export const STATFS_OUT_BYTES = 80;
export const GETXATTR_OUT_SIZE = 0;
export const GETXATTR_OUT_BYTES = 8;
export const LSEEK_OUT_OFFSET = 0;
export const LSEEK_OUT_BYTES = 8;
export const COPY_FILE_RANGE_OUT_BYTES = 8;
export const IOCTL_OUT_RESULT = 0;
/** The answer's data follows. */
export const IOCTL_OUT_BYTES = 16;
/** fuse_statx_out: a time-out, then struct fuse_statx at STATX_OUT_STAT, whose fields are offsets from there. */
export const STATX_OUT_ATTR_VALID = 0;
export const STATX_OUT_ATTR_VALID_NSEC = 8;
export const STATX_OUT_STAT = 32;
export const STATX_OUT_BYTES = 288;
export const STATX_MASK = 0;
export const STATX_BLKSIZE = 4;
export const STATX_ATTRIBUTES = 8;
export const STATX_NLINK = 16;
export const STATX_UID = 20;
export const STATX_GID = 24;
/** u16 */
export const STATX_MODE = 28;
export const STATX_INO = 32;
export const STATX_SIZE = 40;
export const STATX_BLOCKS = 48;
export const STATX_ATTRIBUTES_MASK = 56;
/** Each a fuse_sx_time: s64 seconds, u32 nanoseconds. */
export const STATX_ATIME = 64;
export const STATX_BTIME = 80;
export const STATX_CTIME = 96;
export const STATX_MTIME = 112;
export const STATX_RDEV_MAJOR = 128;
export const STATX_RDEV_MINOR = 132;
export const INIT_OUT_MAJOR = 0;
export const INIT_OUT_MINOR = 4;
export const INIT_OUT_MAX_READAHEAD = 8;
export const INIT_OUT_FLAGS = 12;
/** u16 */
export const INIT_OUT_MAX_BACKGROUND = 16;
/** u16 */
export const INIT_OUT_CONGESTION_THRESHOLD = 18;
export const INIT_OUT_MAX_WRITE = 20;
export const INIT_OUT_TIME_GRAN = 24;
/** u16 */
export const INIT_OUT_MAX_PAGES = 28;
/** u16 */
export const INIT_OUT_MAP_ALIGNMENT = 30;
export const INIT_OUT_FLAGS2 = 32;
export const INIT_OUT_MAX_STACK_DEPTH = 36;
export const INIT_OUT_BYTES = 64;
export const DIRENT_INO = 0;
export const DIRENT_OFF = 8;
export const DIRENT_NAMELEN = 16;
export const DIRENT_TYPE = 20;
/** FUSE_NAME_OFFSET: the name follows, padded to 8 bytes. */
export const DIRENT_NAME = 24;
export const NOTIFY_INVAL_INODE_OUT_BYTES = 24;
export const NOTIFY_INVAL_ENTRY_OUT_BYTES = 16;
export const NOTIFY_DELETE_OUT_BYTES = 24;
export const NOTIFY_RETRIEVE_OUT_BYTES = 32;

// ---- enum fuse_uring_cmd, struct fuse_uring_req_header and, within it, struct fuse_uring_ent_in_out
export const FUSE_IO_URING_CMD_REGISTER = 1;
export const FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2;
export const FUSE_URING_OP_IN_OUT_SZ = 128;
export const FUSE_URING_REQ_HEADER_BYTES = 288;
export const URING_REQ_HEADER_OP_IN = 128;
export const URING_ENT_COMMIT_ID = 256 + 8;
export const URING_ENT_PAYLOAD_SZ = 256 + 16;

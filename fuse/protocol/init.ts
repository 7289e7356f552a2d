/**
 * INIT: what this filesystem wants of the kernel, cut down to what the kernel offers. An older kernel lacks some
 * flags and is served without them; nothing else depends on the minor version.
 *
 * Not wanted, and why:
 * - ATOMIC_O_TRUNC: there is no OPEN to carry O_TRUNC; the kernel sends SETATTR(size = 0).
 * - HANDLE_KILLPRIV (version 1): asks the filesystem to clear set-id bits without telling whether the writer had
 *   CAP_FSETID, so it cannot be done right. Kernels before 5.12, which lack V2, clear the bits themselves.
 * - POSIX_LOCKS, FLOCK_LOCKS: one kernel is the only client, so its own lock tables are exact and cost no request.
 *   (Another machine cannot have a file of this store open: the store is locked by the process that mounts it.)
 * - HAS_IOCTL_DIR: says what the kernel can do and is not asked for.
 * - CREATE_SUPP_GROUP: a set-group-ID directory's group is given whoever asks, and may_create is the kernel's.
 * - ALLOW_IDMAP: on an id-mapped mount only requests that make a file come with the caller's ids, and searches need them.
 *
 * EXPORT_SUPPORT promises LOOKUP of "." and ".." on nodes that the kernel has forgotten, for whoever has a handle of one.
 *
 * POSIX_ACL comes with DONT_MASK: a default list takes the place of the umask, so the raw mode is needed.
 */
import { FUSE_MAX_WRITE, KIB } from '../../runtime/config/bounds.ts';
import { EPROTO } from '../../runtime/errno.ts';
import {
  FUSE_ASYNC_DIO,
  FUSE_ASYNC_READ,
  FUSE_AUTO_INVAL_DATA,
  FUSE_BIG_WRITES,
  FUSE_CACHE_SYMLINKS,
  FUSE_DO_READDIRPLUS,
  FUSE_DONT_MASK,
  FUSE_EXPLICIT_INVAL_DATA,
  FUSE_EXPORT_SUPPORT,
  FUSE_HANDLE_KILLPRIV_V2,
  FUSE_INIT,
  FUSE_INIT_EXT,
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  FUSE_MAX_PAGES,
  FUSE_MINOR_MIN,
  FUSE_NO_OPEN_SUPPORT,
  FUSE_NO_OPENDIR_SUPPORT,
  FUSE_OVER_IO_URING_2,
  FUSE_PARALLEL_DIROPS,
  FUSE_PASSTHROUGH_2,
  FUSE_POSIX_ACL,
  FUSE_READDIRPLUS_AUTO,
  FUSE_SETXATTR_EXT,
  FUSE_WRITEBACK_CACHE,
  INIT_IN_BYTES,
  INIT_IN_FLAGS,
  INIT_IN_FLAGS2,
  INIT_IN_MAJOR,
  INIT_IN_MAX_READAHEAD,
  INIT_IN_MINOR,
  INIT_OUT_BYTES,
} from './abi.ts';
import { BODY, type Reply } from './reply.ts';
import { BODY as REQUEST_BODY, type Request } from './request.ts';

const PAGE = 4 * KIB;
const MAX_STACK_DEPTH = 1;
/** Pages per request where MAX_PAGES is not agreed (FUSE_DEFAULT_MAX_PAGES_PER_REQ). */
const DEFAULT_MAX_PAGES = 32;
const BACKGROUND = 64;
/** At which share of them the kernel slows down whoever causes them. */
const CONGESTION = 0.75;

export interface Wanted {
  readonly flags: number;
  readonly flags2: number;
  /** Requests the kernel may have in flight on its own account (read-ahead, writeback), 1 … 65,535. */
  readonly background: number;
}

export interface Agreed {
  readonly minor: number;
  readonly flags: number;
  readonly flags2: number;
  /** Largest WRITE payload, bytes. */
  readonly maxWrite: number;
  readonly maxReadahead: number;
}

export interface WantedOptions {
  /** The kernel gathers small writes and writes them later; mtime and size are then the kernel's. */
  readonly writeback: boolean;
  /** {@link Wanted.background}; 64 if left out. */
  readonly background?: number;
  /**
   * Who drops cached pages. `explicit`: only FUSE_NOTIFY_INVAL_INODE and the caller's own changes, right for files
   * that change through the mount alone. `auto`: also any new mtime, so a write followed by a stat costs the pages.
   */
  readonly dataCache: 'auto' | 'explicit';
  /** POSIX access control lists, kept here and enforced by the kernel. Off if left out. */
  readonly accessLists?: boolean;
  /** Files may be opened with a backing file. Not together with writeback. Off if left out. */
  readonly passthrough?: boolean;
  /** Requests come by queues of an io_uring (fuse/session/uring-channel.ts). Then nothing is answered until they are registered. */
  readonly overUring?: boolean;
}

/** Bits of the low word to do without, for whoever counts what each of them saves (bench/work). */
function withheld(): number {
  return Number(process.env.VEXFS_WITHOUT_FLAGS ?? 0) | 0;
}

export function wantedFlags(options: WantedOptions): Wanted {
  let flags =
    FUSE_ASYNC_READ |
    FUSE_EXPORT_SUPPORT |
    FUSE_BIG_WRITES |
    FUSE_DO_READDIRPLUS |
    FUSE_READDIRPLUS_AUTO |
    FUSE_ASYNC_DIO |
    FUSE_PARALLEL_DIROPS |
    FUSE_NO_OPEN_SUPPORT |
    FUSE_NO_OPENDIR_SUPPORT |
    FUSE_HANDLE_KILLPRIV_V2 |
    FUSE_MAX_PAGES |
    FUSE_CACHE_SYMLINKS |
    FUSE_SETXATTR_EXT |
    FUSE_INIT_EXT;
  flags |= options.dataCache === 'auto' ? FUSE_AUTO_INVAL_DATA : FUSE_EXPLICIT_INVAL_DATA;
  if (options.writeback) flags |= FUSE_WRITEBACK_CACHE;
  if (options.accessLists) flags |= FUSE_POSIX_ACL | FUSE_DONT_MASK;
  flags &= ~withheld();
  let flags2 = options.passthrough && !options.writeback ? FUSE_PASSTHROUGH_2 : 0;
  if (options.overUring) flags2 |= FUSE_OVER_IO_URING_2;
  return { flags, flags2, background: options.background ?? BACKGROUND };
}

/**
 * Answers a parsed INIT request into `reply`, ready to send. Undefined = no agreement: the reply is then EPROTO (the
 * request is no INIT, or a kernel before 5.4), or, for a kernel of a later major version, the offer of major 7,
 * which the kernel answers with a second INIT.
 */
export function negotiate(request: Request, reply: Reply, wanted: Wanted): Agreed | undefined {
  const { u32 } = reply;
  reply.begin(request);
  const major = request.word(INIT_IN_MAJOR);
  const minor = Math.min(request.word(INIT_IN_MINOR), FUSE_KERNEL_MINOR_VERSION);
  const isInit = request.opcode === FUSE_INIT;
  if (!isInit || major < FUSE_KERNEL_VERSION || (major === FUSE_KERNEL_VERSION && minor < FUSE_MINOR_MIN)) {
    reply.error(-EPROTO);
    return undefined;
  }
  u32.fill(0, BODY >>> 2, (BODY + INIT_OUT_BYTES) >>> 2);
  const out = BODY >>> 2;
  u32[out] = FUSE_KERNEL_VERSION;
  if (major > FUSE_KERNEL_VERSION) {
    u32[out + 1] = FUSE_KERNEL_MINOR_VERSION;
    reply.ok(INIT_OUT_BYTES);
    return undefined;
  }

  const flags = wanted.flags & request.word(INIT_IN_FLAGS);
  const extended = (flags & FUSE_INIT_EXT) !== 0 && request.end >= REQUEST_BODY + INIT_IN_BYTES;
  const flags2 = extended ? wanted.flags2 & request.word(INIT_IN_FLAGS2) : 0;
  const maxPages = flags & FUSE_MAX_PAGES ? FUSE_MAX_WRITE / PAGE : DEFAULT_MAX_PAGES;
  const maxWrite = maxPages * PAGE;
  const maxReadahead = Math.min(request.word(INIT_IN_MAX_READAHEAD), FUSE_MAX_WRITE);
  u32[out + 1] = minor;
  u32[out + 2] = maxReadahead;
  u32[out + 3] = flags;
  u32[out + 4] = (wanted.background | (Math.ceil(wanted.background * CONGESTION) << 16)) >>> 0;
  u32[out + 5] = maxWrite;
  u32[out + 6] = 1; // time_gran: nanoseconds
  u32[out + 7] = maxPages; // and map_alignment 0
  u32[out + 8] = flags2;
  // Backing files are on a filesystem that lies on none of its kind.
  if ((flags2 & FUSE_PASSTHROUGH_2) !== 0) u32[out + 9] = MAX_STACK_DEPTH;
  reply.ok(INIT_OUT_BYTES);
  return { minor, flags, flags2, maxWrite, maxReadahead };
}

/** Operations on ranges of files: allocating, emptying, finding data, copying. */
import { FILE_SIZE_MAX, FUSE_MAX_WRITE, MIB } from '../../runtime/config/bounds.ts';
import { EFBIG, EINVAL, ENOSPC, ENOSYS, ENXIO, EOPNOTSUPP, EPERM } from '../../runtime/errno.ts';
import { KEEP_TIMES, KILL_SUIDGID, SET_MTIME } from '../namespace/changes.ts';
import {
  COPY_FILE_RANGE_IN_FLAGS,
  COPY_FILE_RANGE_IN_LEN,
  COPY_FILE_RANGE_IN_NODEID_OUT,
  COPY_FILE_RANGE_IN_OFF_IN,
  COPY_FILE_RANGE_IN_OFF_OUT,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  FALLOCATE_IN_LENGTH,
  FALLOCATE_IN_MODE,
  FALLOCATE_IN_OFFSET,
  LSEEK_IN_OFFSET,
  LSEEK_IN_WHENCE,
  SEEK_DATA,
  SEEK_HOLE,
} from '../protocol/abi.ts';
import {
  BODY,
  encodeCopyFileRangeOut,
  encodeLseekOut,
  encodeWriteOut,
  type Reply,
} from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { REAL } from '../virtual/node-ids.ts';
import { type Context, finish } from './context.ts';
import { dropPrivileges } from './privileges.ts';
import { refuseChange, refuseWrite } from './protection.ts';
import { dropCapability } from './xattrs.ts';

/** Most bytes that one COPY_FILE_RANGE copies, so that other requests need not wait for long: callers ask for the rest. */
const COPY_MAX = 16 * MIB;

/**
 * What a change by this caller does to privileges and times. The kernel says so of writes and truncations; of these operations it leaves
 * it to the filesystem, and what it would ask for is the capability that root has (CAP_FSETID).
 */
function effectsOf({ options }: Context, { uid }: Request): number {
  const taken = uid === 0 ? 0 : KILL_SUIDGID;
  // With writeback the kernel knows the times, and sends them itself.
  return options.writeback ? taken | KEEP_TIMES : taken;
}

/**
 * Space is not reserved on the host: as on any copy-on-write filesystem, a later write may meet ENOSPC. What the host has no
 * room for today is refused.
 */
export function fallocate(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi !== REAL) return -EPERM;
  const start = request.u64(FALLOCATE_IN_OFFSET);
  const end = start + request.u64(FALLOCATE_IN_LENGTH);
  const mode = request.word(FALLOCATE_IN_MODE);
  if (end > FILE_SIZE_MAX) return -EFBIG;
  if (end === start) return -EINVAL;
  // What was written past us may have made it longer.
  context.content.passed?.refresh(request.nodeLo);
  const isGrowing = mode === 0 || mode === FALLOC_FL_KEEP_SIZE;
  const refused = isGrowing
    ? refuseWrite(context, request.nodeLo, start, end - start, 0, true)
    : refuseChange(context, request.nodeLo);
  if (refused < 0) return refused;
  const done = applyFallocate(context, request.nodeLo, mode, start, end, effectsOf(context, request));
  if (done < 0) return done;
  dropPrivileges(context, request, request.nodeLo);
  dropCapability(context, request.nodeLo);
  context.handover.contentChanged(request.nodeLo);
  return finish(reply, 0);
}

function applyFallocate(
  context: Context,
  ino: number,
  mode: number,
  start: number,
  end: number,
  effects: number,
): number {
  const { content, namespace } = context;
  const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  if ((mode & FALLOC_FL_PUNCH_HOLE) === 0 && namespace.isLowOnSpace) return -ENOSPC;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
      return allocate(context, ino, end, keepSize, effects);
    case FALLOC_FL_PUNCH_HOLE:
      return keepSize ? zero(context, ino, start, end, effects) : -EOPNOTSUPP;
    case FALLOC_FL_ZERO_RANGE: {
      const zeroed = zero(context, ino, start, end, effects);
      return zeroed < 0 || keepSize ? zeroed : content.allocate(ino, end, effects);
    }
    default:
      return -EOPNOTSUPP;
  }
}

function allocate(context: Context, ino: number, end: number, keepSize: boolean, effects: number): number {
  const size = context.content.size(ino);
  if (size < 0) return size;
  if (end <= size) return touch(context, ino);
  const space = context.disk.space();
  if (typeof space === 'number') return space;
  if (end - size > space.freeBytes) return -ENOSPC;
  return keepSize ? touch(context, ino) : context.content.allocate(ino, end, effects);
}

function zero(context: Context, ino: number, start: number, end: number, effects: number): number {
  const size = context.content.size(ino);
  if (size < 0) return size;
  return start < size ? context.content.zero(ino, start, end, effects) : touch(context, ino);
}

/** Where there is nothing to allocate or to zero, the times move all the same. With writeback they are the kernel's. */
function touch({ changes, clock, namespace, options }: Context, ino: number): number {
  if (options.writeback) return 0;
  const now = clock.now();
  changes.valid = SET_MTIME;
  changes.mtime = Math.floor(now / 1000);
  changes.mtimeNs = Math.floor((now - changes.mtime * 1000) * 1e6);
  return namespace.setattr(ino, changes);
}

/**
 * SEEK_DATA and SEEK_HOLE. ENOSYS where the kernel may have bytes that it has not passed on: the kernel then takes a file for
 * data up to its end, which is always right.
 */
export function lseek(context: Context, request: Request, reply: Reply): number {
  if (context.options.writeback) return -ENOSYS;
  const { nodeLo, nodeHi } = request;
  const whence = request.word(LSEEK_IN_WHENCE);
  const offset = request.u64(LSEEK_IN_OFFSET);
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return -EINVAL;
  const found =
    nodeHi === REAL
      ? context.content.seek(nodeLo, offset, whence)
      : seekVirtual(context, nodeLo, nodeHi, offset, whence);
  return found < 0 ? found : finish(reply, encodeLseekOut(reply.u32, BODY, found));
}

function seekVirtual(context: Context, lo: number, hi: number, offset: number, whence: number): number {
  const failed = context.virtual.stat(lo, hi, context.attr);
  if (failed < 0) return failed;
  const { size } = context.attr;
  if (offset >= size) return -ENXIO;
  return whence === SEEK_DATA ? offset : size;
}

export function copyFileRange(context: Context, request: Request, reply: Reply): number {
  const copied = copy(context, request);
  return copied < 0 ? copied : finish(reply, encodeWriteOut(reply.u32, BODY, copied));
}

/** The same with a wider answer. */
export function copyFileRange64(context: Context, request: Request, reply: Reply): number {
  const copied = copy(context, request);
  return copied < 0 ? copied : finish(reply, encodeCopyFileRangeOut(reply.u32, BODY, copied));
}

/** Bytes copied, fewer only at the end of the file that is read or of what one request may copy. */
function copy(context: Context, request: Request): number {
  const { nodeLo: from, nodeHi } = request;
  const to = request.word(COPY_FILE_RANGE_IN_NODEID_OUT);
  if (request.word(COPY_FILE_RANGE_IN_NODEID_OUT + 4) !== REAL) return -EPERM;
  // The kernel then copies through its page cache.
  if (nodeHi !== REAL) return -EOPNOTSUPP;
  if (request.word(COPY_FILE_RANGE_IN_FLAGS) !== 0) return -EINVAL;
  const source = request.u64(COPY_FILE_RANGE_IN_OFF_IN);
  const target = request.u64(COPY_FILE_RANGE_IN_OFF_OUT);
  const length = Math.min(request.u64(COPY_FILE_RANGE_IN_LEN), COPY_MAX);
  if (source > FILE_SIZE_MAX) return -EINVAL;
  if (target + length > FILE_SIZE_MAX) return -EFBIG;
  const refused = refuseWrite(context, to, target, length, 0, false);
  if (refused < 0) return refused;
  const copied = copyBytes(context, from, source, to, target, length, effectsOf(context, request));
  if (copied > 0) {
    dropPrivileges(context, request, to);
    dropCapability(context, to);
    context.handover.contentChanged(to);
  }
  return copied;
}

/** Bytes on their way from one file to another; made when it is needed first. */
let buffer: Uint8Array | undefined;

function copyBytes(
  { content }: Context,
  from: number,
  source: number,
  to: number,
  target: number,
  length: number,
  effects: number,
): number {
  buffer ??= new Uint8Array(FUSE_MAX_WRITE);
  let copied = 0;
  while (copied < length) {
    const got = content.read(from, source + copied, Math.min(buffer.length, length - copied), buffer, 0);
    if (got === 0) break;
    const written = got < 0 ? got : content.write(to, target + copied, buffer, 0, got, effects);
    if (written < 0) return copied > 0 ? copied : written;
    copied += written;
  }
  return copied;
}

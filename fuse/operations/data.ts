/** Operations on the bytes of files, and symlinks' targets. There are no handles: fh is always 0. */
import { FILE_SIZE_MAX } from '../../runtime/config/bounds.ts';
import { EFBIG, EINVAL, EIO, EOPNOTSUPP, EPERM } from '../../runtime/errno.ts';
import { KEEP_TIMES, KILL_SUIDGID } from '../namespace/changes.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  FALLOCATE_IN_LENGTH,
  FALLOCATE_IN_MODE,
  FALLOCATE_IN_OFFSET,
  FUSE_WRITE_CACHE,
  FUSE_WRITE_KILL_SUIDGID,
  READ_IN_OFFSET,
  READ_IN_SIZE,
  WRITE_IN_OFFSET,
  WRITE_IN_WRITE_FLAGS,
} from '../protocol/abi.ts';
import { BODY, encodeWriteOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { LATER } from '../session/server.ts';
import { REAL } from '../virtual/node-ids.ts';
import { type Context, finish } from './context.ts';
import { dropCapability } from './xattrs.ts';

export function read(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi } = request;
  const position = request.u64(READ_IN_OFFSET);
  const size = request.word(READ_IN_SIZE);
  if (size > reply.u8.length - BODY || position > FILE_SIZE_MAX) return -EINVAL;
  const bytes =
    nodeHi === REAL
      ? context.content.read(nodeLo, position, size, reply.u8, BODY)
      : context.virtual.read(nodeLo, nodeHi, position, size, reply.u8, BODY);
  return finish(reply, bytes);
}

export function readlink(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi } = request;
  if (nodeHi === REAL) return finish(reply, context.namespace.readlink(nodeLo, reply.u8, BODY));
  return finish(reply, context.virtual.readlink(nodeLo, nodeHi, reply.u8, BODY));
}

export function write(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi !== REAL) return -EPERM;
  const { nodeLo, u8, dataStart, dataEnd } = request;
  const position = request.u64(WRITE_IN_OFFSET);
  const flags = request.word(WRITE_IN_WRITE_FLAGS);
  let effects = (flags & FUSE_WRITE_KILL_SUIDGID) !== 0 ? KILL_SUIDGID : 0;
  // Pages that the kernel writes back belong to a write whose times it knows and sends itself.
  if ((flags & FUSE_WRITE_CACHE) !== 0) effects |= KEEP_TIMES;
  const written = context.content.write(nodeLo, position, u8, dataStart, dataEnd - dataStart, effects);
  if (written < 0) return written;
  dropCapability(context, nodeLo);
  context.handover.contentChanged(nodeLo);
  if (context.content.isSyncExpected(nodeLo)) context.handover.syncExpected();
  return finish(reply, encodeWriteOut(reply.u32, BODY, written));
}

/** Whoever makes things durable answers. */
export function fsync(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi !== REAL) return finish(reply, 0);
  context.content.synced(request.nodeLo);
  return sync(context, request, context.namespace.objectOf(request.nodeLo));
}

export function fsyncdir(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi !== REAL) return finish(reply, 0);
  return sync(context, request, 0);
}

function sync({ handover }: Context, { opcode, uniqueLo, uniqueHi }: Request, objectId: number): number {
  return handover.sync(opcode, uniqueLo, uniqueHi, objectId) ? LATER : -EIO;
}

/** Allocation reserves nothing on the host: as on any copy-on-write filesystem, a later write may meet ENOSPC. */
export function fallocate(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi !== REAL) return -EPERM;
  const start = request.u64(FALLOCATE_IN_OFFSET);
  const end = start + request.u64(FALLOCATE_IN_LENGTH);
  const mode = request.word(FALLOCATE_IN_MODE);
  if (end > FILE_SIZE_MAX) return -EFBIG;
  if (end === start) return -EINVAL;
  const done = applyFallocate(context, request.nodeLo, mode, start, end);
  if (done < 0) return done;
  context.handover.contentChanged(request.nodeLo);
  return finish(reply, 0);
}

function applyFallocate(context: Context, ino: number, mode: number, start: number, end: number): number {
  const { content } = context;
  const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
      return keepSize ? Math.min(content.size(ino), 0) : content.allocate(ino, end);
    case FALLOC_FL_PUNCH_HOLE:
      return keepSize ? content.zero(ino, start, end) : -EOPNOTSUPP;
    case FALLOC_FL_ZERO_RANGE: {
      const zeroed = content.zero(ino, start, end);
      return zeroed < 0 || keepSize ? zeroed : content.allocate(ino, end);
    }
    default:
      return -EOPNOTSUPP;
  }
}

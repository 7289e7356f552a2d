/** Operations on the bytes of files, and symlinks' targets. Handles mean nothing: fh is always 0. */
import { FILE_SIZE_MAX } from '../../runtime/config/bounds.ts';
import { EINVAL, EIO, EPERM } from '../../runtime/errno.ts';
import { KEEP_TIMES, KILL_SUIDGID } from '../namespace/changes.ts';
import {
  FUSE_WRITE_CACHE,
  FUSE_WRITE_KILL_SUIDGID,
  READ_IN_FLAGS,
  READ_IN_OFFSET,
  READ_IN_SIZE,
  WRITE_IN_FLAGS,
  WRITE_IN_OFFSET,
  WRITE_IN_WRITE_FLAGS,
} from '../protocol/abi.ts';
import { BODY, encodeWriteOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { LATER } from '../session/server.ts';
import { QUERY_FILE, REAL } from '../virtual/node-ids.ts';
import { type Context, finish } from './context.ts';
import { dropForeignGroupId } from './privileges.ts';
import { refuseWrite } from './protection.ts';
import { dropCapability } from './xattrs.ts';

/** A flag of open(2), the same on every architecture that Node.js runs on. */
export const O_NOATIME = 0o1000000;

export function read(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi } = request;
  const position = request.u64(READ_IN_OFFSET);
  const size = request.word(READ_IN_SIZE);
  if (size > reply.u8.length - BODY || position > FILE_SIZE_MAX) return -EINVAL;
  if (nodeHi === QUERY_FILE) return readQuery(context, request, reply, position, size);
  const bytes =
    nodeHi === REAL
      ? context.content.read(nodeLo, position, size, reply.u8, BODY)
      : context.virtual.read(nodeLo, nodeHi, position, size, reply.u8, BODY);
  if (bytes > 0 && (request.word(READ_IN_FLAGS) & O_NOATIME) === 0) accessed(context, nodeLo, nodeHi);
  return finish(reply, bytes);
}

export function readlink(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi } = request;
  if (nodeHi === REAL) {
    accessed(context, nodeLo, nodeHi);
    return finish(reply, context.namespace.readlink(nodeLo, reply.u8, BODY));
  }
  return finish(reply, context.virtual.readlink(nodeLo, nodeHi, reply.u8, BODY));
}

/** After a read of a file, a symlink, or a directory. What the kernel has in its caches is read without us hearing of it. */
export function accessed({ namespace, clock, options }: Context, nodeLo: number, nodeHi: number): void {
  if (options.accessTimes && nodeHi === REAL) namespace.accessed(nodeLo, clock.now());
}

export function write(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi === QUERY_FILE) return writeQuery(context, request);
  if (request.nodeHi !== REAL) return -EPERM;
  const { nodeLo, u8, dataStart, dataEnd } = request;
  const position = request.u64(WRITE_IN_OFFSET);
  const flags = request.word(WRITE_IN_WRITE_FLAGS);
  let effects = (flags & FUSE_WRITE_KILL_SUIDGID) !== 0 ? KILL_SUIDGID : 0;
  const isCached = (flags & FUSE_WRITE_CACHE) !== 0;
  // With writeback, pages belong to a write whose times the kernel knows and sends itself; else to a mapping.
  if (isCached && context.options.writeback) effects |= KEEP_TIMES;
  const length = dataEnd - dataStart;
  const refused = refuseWrite(context, nodeLo, position, length, request.word(WRITE_IN_FLAGS), isCached);
  if (refused < 0) return refused;
  if ((effects & KILL_SUIDGID) !== 0) dropForeignGroupId(context, request, nodeLo);
  const written = context.content.write(nodeLo, position, u8, dataStart, length, effects);
  if (written < 0) return written;
  dropCapability(context, nodeLo);
  context.handover.contentChanged(nodeLo);
  if (context.content.isSyncExpected(nodeLo)) context.handover.syncExpected();
  return finish(reply, encodeWriteOut(reply.u32, BODY, written));
}

/** Whoever has the answers answers; at the end of them nobody need be asked. */
function readQuery(context: Context, request: Request, reply: Reply, position: number, size: number): number {
  const bytes = context.virtual.queryBytes(request.nodeLo);
  if (bytes < 0 || position >= bytes || size === 0) return finish(reply, Math.min(bytes, 0));
  return askQuery(context, request, position, Math.min(size, bytes - position), undefined);
}

function writeQuery(context: Context, request: Request): number {
  const length = request.dataEnd - request.dataStart;
  return askQuery(context, request, request.u64(WRITE_IN_OFFSET), length, request.u8);
}

function askQuery(
  { handover }: Context,
  { uniqueLo, uniqueHi, uid, gid, pid, nodeLo, dataStart }: Request,
  position: number,
  length: number,
  u8: Uint8Array | undefined,
): number {
  const isPosted = handover.queryFile(
    uniqueLo,
    uniqueHi,
    uid,
    gid,
    pid,
    nodeLo,
    position,
    length,
    u8,
    dataStart,
  );
  return isPosted ? LATER : -EIO;
}

/** Whoever makes things durable answers. */
export function fsync(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi !== REAL) return finish(reply, 0);
  context.content.passed?.beforeSync(request.nodeLo);
  context.content.synced(request.nodeLo);
  return sync(context, request, reply);
}

/** FSYNCDIR, and SYNCFS for everything. */
export function syncNames(context: Context, request: Request, reply: Reply): number {
  if (request.nodeHi !== REAL) return finish(reply, 0);
  return sync(context, request, reply);
}

function sync({ handover }: Context, request: Request, reply: Reply): number {
  const { opcode, uniqueLo, uniqueHi } = request;
  const outcome = handover.sync(opcode, uniqueLo, uniqueHi);
  return outcome === 0 ? finish(reply, 0) : outcome;
}

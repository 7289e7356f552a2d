/** Operations on attributes, and statfs. */
import { FILE_SIZE_MAX, NAME_MAX } from '../../runtime/config/bounds.ts';
import { EFBIG, EPERM } from '../../runtime/errno.ts';
import {
  KEEP_TIMES,
  KILL_SUIDGID,
  SET_ATIME,
  SET_CTIME,
  SET_GID,
  SET_MODE,
  SET_MTIME,
  SET_UID,
} from '../namespace/changes.ts';
import {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_CTIME,
  FATTR_FH,
  FATTR_GID,
  FATTR_KILL_SUIDGID,
  FATTR_LOCKOWNER,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
  SETATTR_IN_ATIME,
  SETATTR_IN_ATIMENSEC,
  SETATTR_IN_CTIME,
  SETATTR_IN_CTIMENSEC,
  SETATTR_IN_GID,
  SETATTR_IN_MODE,
  SETATTR_IN_MTIME,
  SETATTR_IN_MTIMENSEC,
  SETATTR_IN_SIZE,
  SETATTR_IN_UID,
  SETATTR_IN_VALID,
} from '../protocol/abi.ts';
import { BODY, encodeAttrOut, encodeStatfsOut, encodeStatxOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { QUERY_FILE, REAL } from '../virtual/node-ids.ts';
import { type Context, finish, readAttributes } from './context.ts';
import { dropForeignGroupId } from './privileges.ts';
import { refuseChange, refuseSetattr } from './protection.ts';
import { dropCapability } from './xattrs.ts';

const BLOCK = 4096;
/** What says how, and not what; ctime comes with every change if the kernel owns the times (writeback), and alone with none. */
const NO_CHANGE = FATTR_FH | FATTR_LOCKOWNER | FATTR_KILL_SUIDGID | FATTR_CTIME;

export function getattr(context: Context, request: Request, reply: Reply): number {
  const attrValid = readNode(context, request);
  if (attrValid < 0) return attrValid;
  return finish(reply, encodeAttrOut(reply.u32, BODY, context.attr, attrValid));
}

/** As GETATTR, and the time of birth. The kernel asks so where that is wanted. */
export function statx(context: Context, request: Request, reply: Reply): number {
  const { attr } = context;
  const attrValid = readNode(context, request);
  if (attrValid < 0) return attrValid;
  if (request.nodeHi !== REAL) {
    attr.btime = attr.ctime;
    attr.btimeNs = attr.ctimeNs;
  }
  return finish(reply, encodeStatxOut(reply.u32, BODY, attr, attrValid));
}

/** Reads the attributes of any node into context.attr. How many seconds the kernel may keep them, or −errno. */
function readNode(context: Context, { nodeLo, nodeHi }: Request): number {
  const { attr, options, virtual } = context;
  if (nodeHi === REAL) return readAttributes(context, nodeLo);
  const failed = virtual.stat(nodeLo, nodeHi, attr);
  if (failed < 0) return failed;
  return virtual.attributesAreStable(nodeHi) ? options.attrTimeout : 0;
}

export function setattr(context: Context, request: Request, reply: Reply): number {
  const valid = request.word(SETATTR_IN_VALID);
  if (request.nodeHi === QUERY_FILE) return truncateQuery(context, request, reply, valid);
  if (request.nodeHi !== REAL) return -EPERM;
  const ino = request.nodeLo;
  const refused = refuseSetattr(context, ino, valid);
  if (refused < 0) return refused;
  if ((valid & FATTR_SIZE) !== 0) {
    const size = request.u64(SETATTR_IN_SIZE);
    let flags = (valid & FATTR_KILL_SUIDGID) !== 0 ? KILL_SUIDGID : 0;
    if (flags !== 0) dropForeignGroupId(context, request, ino);
    // With writeback the kernel sends the times that the change of size has, if it is one.
    if (context.options.writeback) flags |= KEEP_TIMES;
    const failed = size > FILE_SIZE_MAX ? -EFBIG : context.content.truncate(ino, size, flags);
    if (failed < 0) return failed;
    context.handover.contentChanged(ino);
  }
  // Of a change of owner the kernel does not say that it takes this.
  if ((valid & (FATTR_UID | FATTR_GID)) !== 0 && request.uid !== 0) dropForeignGroupId(context, request, ino);
  // What was written past us was written before.
  context.content.passed?.refresh(ino);
  readChanges(context, request, valid);
  const isOfNothing = (valid & ~NO_CHANGE) === 0;
  if (isOfNothing && mayDropPrivileges(context, request, ino)) context.changes.valid |= KILL_SUIDGID;
  if (context.changes.valid !== 0 || isOfNothing) {
    const failed = context.namespace.setattr(ino, context.changes);
    if (failed < 0) return failed;
    if ((valid & (FATTR_MODE | FATTR_UID | FATTR_GID)) !== 0) context.virtual.searchableChanged();
  }
  if ((valid & (FATTR_SIZE | FATTR_UID | FATTR_GID)) !== 0) dropCapability(context, ino);
  return getattr(context, request, reply);
}

/**
 * Whether a SETATTR of nothing takes set-id bits. It is chown(2) of neither user nor group, which does, if the file is the
 * caller's; or the kernel announces the write of somebody else, which will say so itself.
 */
function mayDropPrivileges(context: Context, request: Request, ino: number): boolean {
  if (context.namespace.stat(ino, context.attr) < 0 || refuseChange(context, ino) < 0) return false;
  return request.uid === 0 || request.uid === context.attr.uid;
}

/** As O_TRUNC asks for; then a new conversation begins. Nothing else of a query file can be changed. */
function truncateQuery(context: Context, request: Request, reply: Reply, valid: number): number {
  if ((valid & FATTR_SIZE) === 0 || request.u64(SETATTR_IN_SIZE) !== 0) return -EPERM;
  const failed = context.virtual.setQueryBytes(request.nodeLo, 0);
  return failed < 0 ? failed : getattr(context, request, reply);
}

/** Everything but the size. The kernel sends ctime only when it owns the times (writeback). */
function readChanges(context: Context, request: Request, valid: number): void {
  const { changes } = context;
  changes.valid = 0;
  if ((valid & FATTR_MODE) !== 0) {
    changes.valid |= SET_MODE;
    changes.mode = request.word(SETATTR_IN_MODE) & 0o7777;
  }
  if ((valid & FATTR_UID) !== 0) {
    changes.valid |= SET_UID;
    changes.uid = request.word(SETATTR_IN_UID);
  }
  if ((valid & FATTR_GID) !== 0) {
    changes.valid |= SET_GID;
    changes.gid = request.word(SETATTR_IN_GID);
  }
  if ((valid & (FATTR_UID | FATTR_GID)) !== 0 && (valid & FATTR_KILL_SUIDGID) !== 0) {
    changes.valid |= KILL_SUIDGID;
  }
  if ((valid & (FATTR_ATIME | FATTR_MTIME | FATTR_CTIME)) !== 0) readTimes(context, request, valid);
}

function readTimes(context: Context, request: Request, valid: number): void {
  const { changes } = context;
  const now = context.clock.now();
  const seconds = Math.floor(now / 1000);
  const nanoseconds = Math.floor((now - seconds * 1000) * 1e6);
  if ((valid & FATTR_ATIME) !== 0) {
    const given = (valid & FATTR_ATIME_NOW) === 0;
    changes.valid |= SET_ATIME;
    changes.atime = given ? request.s64(SETATTR_IN_ATIME) : seconds;
    changes.atimeNs = given ? request.word(SETATTR_IN_ATIMENSEC) : nanoseconds;
  }
  if ((valid & FATTR_MTIME) !== 0) {
    const given = (valid & FATTR_MTIME_NOW) === 0;
    changes.valid |= SET_MTIME;
    changes.mtime = given ? request.s64(SETATTR_IN_MTIME) : seconds;
    changes.mtimeNs = given ? request.word(SETATTR_IN_MTIMENSEC) : nanoseconds;
  }
  if ((valid & FATTR_CTIME) !== 0) {
    changes.valid |= SET_CTIME;
    changes.ctime = request.s64(SETATTR_IN_CTIME);
    changes.ctimeNs = request.word(SETATTR_IN_CTIMENSEC);
  }
}

/** The space is the host's, and none is left to take while what grows is refused; the number of files is the namespace's. */
export function statfs(context: Context, _request: Request, reply: Reply): number {
  const space = context.disk.space();
  if (typeof space === 'number') return space;
  const { files, freeFiles } = context.namespace.statfs();
  const blocks = Math.floor(space.bytes / BLOCK);
  const free = Math.floor(space.freeBytes / BLOCK);
  const available = context.namespace.isLowOnSpace ? 0 : free;
  return finish(
    reply,
    encodeStatfsOut(reply.u32, BODY, blocks, free, available, files, freeFiles, BLOCK, NAME_MAX),
  );
}

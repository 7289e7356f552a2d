/** Operations on names: finding, making, removing, renaming. Permissions are the kernel's (default_permissions). */
import { NAME_MAX } from '../../runtime/config/bounds.ts';
import { EEXIST, EINVAL, EIO, ENAMETOOLONG, ENOENT, EPERM, ESTALE } from '../../runtime/errno.ts';
import {
  CREATE_IN_FLAGS,
  CREATE_IN_MODE,
  CREATE_IN_UMASK,
  LINK_IN_OLDNODEID,
  MKDIR_IN_MODE,
  MKDIR_IN_UMASK,
  MKNOD_IN_MODE,
  MKNOD_IN_RDEV,
  MKNOD_IN_UMASK,
  RENAME_IN_NEWDIR,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  RENAME2_IN_FLAGS,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from '../protocol/abi.ts';
import { BODY, encodeNegativeEntryOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { LATER } from '../session/server.ts';
import { FIXED, isReserved, REAL, VEXFS } from '../virtual/node-ids.ts';
import { type Context, finish } from './context.ts';
import { entryOfInode, entryOfVirtual } from './lookups.ts';
import { entryOpened } from './open.ts';

const O_EXCL = 0o200;
const PERMISSIONS = 0o7777;
const DOT = 0x2e;

export function lookup(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd } = request;
  if (nameEnd - nameStart > NAME_MAX) return -ENAMETOOLONG;
  if (nodeHi !== REAL) return lookupVirtual(context, request, reply);
  if (isReserved(nodeLo, nodeHi, u8, nameStart, nameEnd)) {
    const failed = context.virtual.stat(VEXFS, FIXED, context.attr);
    return failed < 0 ? failed : finish(reply, entryOfVirtual(context, reply, context.attr));
  }
  if (nameEnd - nameStart === 1 && u8[nameStart] === DOT) return lookupSelf(context, request, reply);
  const ino = context.namespace.lookup(nodeLo, u8, nameStart, nameEnd);
  if (ino >= 0) return finish(reply, entryOfInode(context, reply, ino));
  if (ino !== -ENOENT || context.options.negativeTimeout === 0) return ino;
  context.absent.note(nodeLo, u8, nameStart, nameEnd);
  // Made meanwhile by who does not come from the kernel, and looked for the note too early to tell it.
  const made = context.namespace.lookup(nodeLo, u8, nameStart, nameEnd);
  if (made >= 0) return finish(reply, entryOfInode(context, reply, made));
  return finish(reply, encodeNegativeEntryOut(reply.u32, BODY, context.options.negativeTimeout));
}

/**
 * The node itself, of whatever type: somebody has a handle of it, and the kernel has forgotten it. So nobody has it open, and
 * one without a name is gone.
 */
function lookupSelf(context: Context, request: Request, reply: Reply): number {
  const { namespace, attr } = context;
  if (namespace.stat(request.nodeLo, attr) < 0 || attr.nlink === 0) return -ESTALE;
  return finish(reply, entryOfInode(context, reply, request.nodeLo));
}

function lookupVirtual(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd, uid, gid, pid } = request;
  const { virtual, attr } = context;
  const found = virtual.lookup(nodeLo, nodeHi, u8, nameStart, nameEnd, uid, gid, pid, attr);
  if (found < 0) return found;
  if (found === 0) return finish(reply, entryOfVirtual(context, reply, attr));
  const isPosted = context.handover.query(
    request.uniqueLo,
    request.uniqueHi,
    uid,
    gid,
    pid,
    found,
    nodeLo,
    nodeHi,
    virtual.queryIno,
    u8,
    nameStart,
    nameEnd - nameStart,
  );
  return isPosted ? LATER : -EIO;
}

export function create(context: Context, request: Request, reply: Reply): number {
  const mode = S_IFREG | (request.word(CREATE_IN_MODE) & PERMISSIONS);
  let ino = make(context, request, mode, 0, request.word(CREATE_IN_UMASK));
  if (ino === -EEXIST && (request.word(CREATE_IN_FLAGS) & O_EXCL) === 0) {
    ino = context.namespace.lookup(request.nodeLo, request.u8, request.nameStart, request.nameEnd);
  }
  return ino < 0 ? ino : entryOpened(context, request, reply, ino);
}

export function mknod(context: Context, request: Request, reply: Reply): number {
  const mode = request.word(MKNOD_IN_MODE);
  if ((mode & S_IFMT) === S_IFDIR) return -EPERM;
  const ino = make(context, request, mode, request.word(MKNOD_IN_RDEV), request.word(MKNOD_IN_UMASK));
  return ino < 0 ? ino : finish(reply, entryOfInode(context, reply, ino));
}

export function mkdir(context: Context, request: Request, reply: Reply): number {
  const mode = S_IFDIR | (request.word(MKDIR_IN_MODE) & PERMISSIONS);
  const ino = make(context, request, mode, 0, request.word(MKDIR_IN_UMASK));
  return ino < 0 ? ino : finish(reply, entryOfInode(context, reply, ino));
}

/** O_TMPFILE. The name in the request is none; nobody but the opener can find the file. */
export function tmpfile(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, uid, gid } = request;
  if (nodeHi !== REAL) return -EPERM;
  const mode = S_IFREG | (request.word(CREATE_IN_MODE) & PERMISSIONS);
  const linkable = (request.word(CREATE_IN_FLAGS) & O_EXCL) === 0;
  const umask = request.word(CREATE_IN_UMASK);
  const ino = context.namespace.createUnnamed(nodeLo, mode, uid, gid, umask, linkable);
  return ino < 0 ? ino : entryOpened(context, request, reply, ino);
}

/** `umask` is the caller's where the kernel has left it to us (FUSE_DONT_MASK); where it has not, it says the same again. */
function make(context: Context, request: Request, mode: number, rdev: number, umask: number): number {
  const { nodeLo, u8, nameStart, nameEnd, uid, gid } = request;
  const refused = refuseName(request, request.nodeLo, request.nodeHi, nameStart, nameEnd);
  if (refused < 0) return refused;
  return context.namespace.create(nodeLo, u8, nameStart, nameEnd, mode, uid, gid, rdev, umask);
}

export function symlink(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd, name2Start, name2End, uid, gid } = request;
  const refused = refuseName(request, nodeLo, nodeHi, nameStart, nameEnd);
  if (refused < 0) return refused;
  const { namespace } = context;
  const ino = namespace.symlink(nodeLo, u8, nameStart, nameEnd, u8, name2Start, name2End, uid, gid);
  return ino < 0 ? ino : finish(reply, entryOfInode(context, reply, ino));
}

export function link(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd } = request;
  const refused = refuseName(request, nodeLo, nodeHi, nameStart, nameEnd);
  if (refused < 0) return refused;
  if (request.word(LINK_IN_OLDNODEID + 4) !== REAL) return -EPERM;
  const ino = request.word(LINK_IN_OLDNODEID);
  const failed = context.namespace.link(ino, nodeLo, u8, nameStart, nameEnd);
  if (failed < 0) return failed;
  const entry = entryOfInode(context, reply, ino);
  // Its first name: until now the index had no reason to look at it.
  if (context.attr.nlink === 1) context.handover.contentChanged(ino);
  return finish(reply, entry);
}

export function unlink(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd } = request;
  const refused = refuseName(request, nodeLo, nodeHi, nameStart, nameEnd);
  if (refused < 0) return refused;
  const failed = context.namespace.unlink(nodeLo, u8, nameStart, nameEnd);
  if (failed < 0) return failed;
  reportRemoved(context);
  return finish(reply, 0);
}

export function rmdir(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd } = request;
  const refused = refuseName(request, nodeLo, nodeHi, nameStart, nameEnd);
  if (refused < 0) return refused;
  const failed = context.namespace.rmdir(nodeLo, u8, nameStart, nameEnd);
  if (failed < 0) return failed;
  reportRemoved(context);
  return finish(reply, 0);
}

export function rename(context: Context, request: Request, reply: Reply): number {
  return move(context, request, reply, 0);
}

export function rename2(context: Context, request: Request, reply: Reply): number {
  return move(context, request, reply, request.word(RENAME2_IN_FLAGS));
}

function move(context: Context, request: Request, reply: Reply, flags: number): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd, name2Start, name2End } = request;
  const newLo = request.word(RENAME_IN_NEWDIR);
  const refused = refuseName(request, nodeLo, nodeHi, nameStart, nameEnd);
  if (refused < 0) return refused;
  const refusedNew = refuseName(request, newLo, request.word(RENAME_IN_NEWDIR + 4), name2Start, name2End);
  if (refusedNew < 0) return refusedNew;
  const failed =
    (flags & RENAME_WHITEOUT) !== 0
      ? moveLeavingWhiteout(context, request, newLo, flags & ~RENAME_WHITEOUT)
      : context.namespace.rename(nodeLo, u8, nameStart, nameEnd, newLo, u8, name2Start, name2End, flags);
  if (failed < 0) return failed;
  // What is found has another path now, perhaps in a directory that is closed to some.
  context.virtual.searchableChanged();
  reportRemoved(context);
  return finish(reply, 0);
}

function moveLeavingWhiteout(context: Context, request: Request, newLo: number, flags: number): number {
  const { nodeLo, u8, nameStart, nameEnd, name2Start, name2End, uid, gid } = request;
  if ((flags & ~RENAME_NOREPLACE) !== 0) return -EINVAL;
  return context.namespace.renameLeavingWhiteout(
    nodeLo,
    u8,
    nameStart,
    nameEnd,
    newLo,
    name2Start,
    name2End,
    flags,
    uid,
    gid,
  );
}

/** Why no entry of this name may come, go or change: 0, or −errno. */
function refuseName(request: Request, lo: number, hi: number, start: number, end: number): number {
  if (hi !== REAL) return -EPERM;
  if (end - start > NAME_MAX) return -ENAMETOOLONG;
  return isReserved(lo, hi, request.u8, start, end) ? -EPERM : 0;
}

/** After a name went: was it the inode's last? */
function reportRemoved(context: Context): void {
  const { namespace, content, handover } = context;
  if (namespace.removedIno === 0) return;
  handover.removed(namespace.removedIno, namespace.removedGeneration);
  content.passOnDropped();
}

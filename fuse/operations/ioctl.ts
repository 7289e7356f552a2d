/**
 * IOCTL: the flags of chattr(1) and lsattr(1), in the two forms that Linux has for them, and the generation that
 * `lsattr -v` shows. Everything else is ENOTTY. The kernel checks most of what a caller must be allowed; kernels before 5.13
 * do not, so it is checked here again.
 */
import { EINVAL, ENOTTY, EOPNOTSUPP, EPERM } from '../../runtime/errno.ts';
import { APPEND_ONLY, IMMUTABLE, NO_ACCESS_TIME, NO_DUMP } from '../namespace/inode-flags.ts';
import * as abi from '../protocol/abi.ts';
import { BODY, encodeIoctlOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { REAL } from '../virtual/node-ids.ts';
import { type Context, finish } from './context.ts';

/** The same flags in struct fsxattr. */
const XFLAGS = [
  [abi.FS_XFLAG_IMMUTABLE, IMMUTABLE],
  [abi.FS_XFLAG_APPEND, APPEND_ONLY],
  [abi.FS_XFLAG_NOATIME, NO_ACCESS_TIME],
  [abi.FS_XFLAG_NODUMP, NO_DUMP],
] as const;
const KNOWN_XFLAGS = XFLAGS.reduce((all, [xflag]) => all | xflag, 0);
const DATA = BODY + abi.IOCTL_OUT_BYTES;
const INT_BYTES = 4;

export function ioctl(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi } = request;
  if (nodeHi !== REAL) return -ENOTTY;
  const room = request.word(abi.IOCTL_IN_OUT_SIZE);
  switch (request.word(abi.IOCTL_IN_CMD)) {
    case abi.FS_IOC_GETFLAGS:
    case abi.FS_IOC32_GETFLAGS:
      return answer(reply, room, context.namespace.flags(nodeLo));
    case abi.FS_IOC_GETVERSION:
    case abi.FS_IOC32_GETVERSION:
      return answer(reply, room, generationOf(context, nodeLo));
    case abi.FS_IOC_FSGETXATTR:
      return answerXflags(reply, room, context.namespace.flags(nodeLo));
    case abi.FS_IOC_SETFLAGS:
    case abi.FS_IOC32_SETFLAGS:
      if (request.dataEnd - request.dataStart < INT_BYTES) return -EINVAL;
      return set(context, request, reply, request.u32[request.dataStart >>> 2]!);
    case abi.FS_IOC_FSSETXATTR:
      return setXflags(context, request, reply);
    default:
      return -ENOTTY;
  }
}

function generationOf({ namespace, attr }: Context, ino: number): number {
  const failed = namespace.stat(ino, attr);
  return failed < 0 ? failed : attr.generation;
}

/** One number in 4 bytes. The request's own code says that it is a long, but callers have room for an int, as ext4 gives. */
function answer(reply: Reply, room: number, value: number): number {
  if (value < 0) return value;
  if (room < INT_BYTES) return -EINVAL;
  encodeIoctlOut(reply.u32, BODY);
  reply.u32[DATA >>> 2] = value;
  return finish(reply, abi.IOCTL_OUT_BYTES + INT_BYTES);
}

function answerXflags(reply: Reply, room: number, flags: number): number {
  if (flags < 0) return flags;
  if (room !== abi.FSXATTR_BYTES) return -EINVAL;
  encodeIoctlOut(reply.u32, BODY);
  reply.u32.fill(0, DATA >>> 2, (DATA + abi.FSXATTR_BYTES) >>> 2);
  let xflags = 0;
  for (const [xflag, flag] of XFLAGS) if ((flags & flag) !== 0) xflags |= xflag;
  reply.u32[DATA >>> 2] = xflags;
  return finish(reply, abi.IOCTL_OUT_BYTES + abi.FSXATTR_BYTES);
}

/** Extents' sizes and projects, which struct fsxattr has beside the flags, are not offered. */
function setXflags(context: Context, request: Request, reply: Reply): number {
  if (request.dataEnd - request.dataStart < abi.FSXATTR_BYTES) return -EINVAL;
  const word = request.dataStart >>> 2;
  const { u32 } = request;
  const xflags = u32[word]!;
  if ((xflags & ~KNOWN_XFLAGS) !== 0 || u32[word + 1] !== 0 || u32[word + 3] !== 0 || u32[word + 4] !== 0)
    return -EOPNOTSUPP;
  let flags = 0;
  for (const [xflag, flag] of XFLAGS) if ((xflags & xflag) !== 0) flags |= flag;
  return set(context, request, reply, flags);
}

function set(context: Context, request: Request, reply: Reply, flags: number): number {
  const { namespace, attr, handover } = context;
  const { nodeLo, nodeHi, uid } = request;
  const now = namespace.flags(nodeLo);
  const failed = now < 0 ? now : namespace.stat(nodeLo, attr);
  if (failed < 0) return failed;
  const isGuarded = ((now ^ flags) & (IMMUTABLE | APPEND_ONLY)) !== 0;
  if (uid !== 0 && (uid !== attr.uid || isGuarded)) return -EPERM;
  const done = namespace.setFlags(nodeLo, flags);
  if (done < 0) return done;
  // Of an ioctl the kernel does not know that it moves ctime.
  handover.forgetAttributes(nodeLo, nodeHi);
  return finish(reply, encodeIoctlOut(reply.u32, BODY));
}

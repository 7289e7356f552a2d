/**
 * Extended attributes. Most are stored as given; what the kernel enforces about `user.`, `trusted.` and `security.`
 * is left to it. Of our own:
 *
 *     user.vexfs.vector[.COLLECTION]   little-endian float32; checked by the namespace, passed on to the index
 *     user.vexfs.indexed               read-only, on regular files: "pending" (changed since the index saw it),
 *                                      "yes", or "no" (nothing in it to index)
 *     user.vexfs.chunks                read-only, where indexed is "yes": how many pieces of text, in decimal
 *     user.vexfs.model                 read-only, where indexed is "yes": what embedded them
 *
 * The read-only ones are not listed. Everything else under user.vexfs. is refused (EPERM), so that it can mean something
 * later. Of `system.` there are the access control lists, which the kernel enforces as it finds them here
 * (fuse/namespace/access-lists.ts); the rest is EOPNOTSUPP, as every name is that begins otherwise.
 */
import { XATTR_NAME_MAX } from '../../runtime/config/bounds.ts';
import { EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE } from '../../runtime/errno.ts';
import { ACL_KILL_SGID } from '../namespace/access-lists.ts';
import { listKind, NO_LIST } from '../namespace/acl.ts';
import { BY_OTHERS, isKeeper } from '../namespace/collections.ts';
import {
  FUSE_SETXATTR_ACL_KILL_SGID,
  GETXATTR_IN_SIZE,
  SETXATTR_IN_FLAGS,
  SETXATTR_IN_SETXATTR_FLAGS,
} from '../protocol/abi.ts';
import { BODY, encodeGetxattrOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { REAL } from '../virtual/node-ids.ts';
import { computedValue } from './computed-xattrs.ts';
import { type Context, finish } from './context.ts';
import { refuseChange } from './protection.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

const SYSTEM = ascii('system.');
const TRUSTED = ascii('trusted.');
/** The kernel passes on every name, also of no namespace that Linux has. */
const NAMESPACES = [ascii('user.'), ascii('security.'), TRUSTED];
const OURS = ascii('user.vexfs.');
const VECTOR = ascii('user.vexfs.vector');
const CAPABILITY = ascii('security.capability');
const DOT = 0x2e;

/** What a name is to us. */
const PLAIN = 0;
const OUR_VECTOR = 1;
const READ_ONLY = 2;
const UNSUPPORTED = 3;
const LIST = 4;
/** A namespace without a name in it. */
const NAMELESS = 5;

function kindOf({ options }: Context, u8: Uint8Array, start: number, end: number): number {
  if (startsWith(u8, start, end, SYSTEM))
    return options.accessLists && listKind(u8, start, end) !== NO_LIST ? LIST : UNSUPPORTED;
  if (!startsWith(u8, start, end, OURS)) return stored(u8, start, end);
  if (!startsWith(u8, start, end, VECTOR)) return READ_ONLY;
  return end - start === VECTOR.length || u8[start + VECTOR.length] === DOT ? OUR_VECTOR : READ_ONLY;
}

/** What a name is that is stored as given, if it is one. */
function stored(u8: Uint8Array, start: number, end: number): number {
  for (const prefix of NAMESPACES)
    if (startsWith(u8, start, end, prefix)) return end - start === prefix.length ? NAMELESS : PLAIN;
  return UNSUPPORTED;
}

function startsWith(u8: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (u8[start + i] !== prefix[i]) return false;
  return true;
}

/** Why the attribute named in the request can't be changed: 0, or −errno. */
function refuse(context: Context, request: Request): number {
  const { u8, nameStart, nameEnd, nodeLo, nodeHi } = request;
  if (nameEnd - nameStart > XATTR_NAME_MAX) return -ERANGE;
  const kind = kindOf(context, u8, nameStart, nameEnd);
  if (kind === UNSUPPORTED) return -EOPNOTSUPP;
  if (kind === NAMELESS) return -EINVAL;
  return kind === READ_ONLY || nodeHi !== REAL ? -EPERM : refuseChange(context, nodeLo);
}

export function setxattr(context: Context, request: Request, reply: Reply): number {
  const refused = refuse(context, request);
  if (refused < 0) return refused;
  const { nodeLo, u8, nameStart, nameEnd, dataStart, dataEnd } = request;
  const { namespace, virtual, handover, attr } = context;
  const isList = listKind(u8, nameStart, nameEnd) !== NO_LIST;
  const flags =
    request.word(SETXATTR_IN_FLAGS) |
    (isList && losesSetGroupId(context, request) ? ACL_KILL_SGID : 0) |
    (isKeeper(request.uid) ? 0 : BY_OTHERS);
  const collection = namespace.setxattr(nodeLo, u8, nameStart, nameEnd, u8, dataStart, dataEnd, flags);
  if (collection < 0) return collection;
  if (collection > 0 && namespace.stat(nodeLo, attr) >= 0) {
    const { vectorStamp } = namespace;
    handover.vectorSet(collection, nodeLo, attr.generation, vectorStamp, u8, dataStart, dataEnd - dataStart);
  }
  if (collection > 0 || isList) virtual.searchableChanged();
  return finish(reply, 0);
}

/** Whether set-group-ID goes with a new access list: the caller is not in the file's group. Kernels before 5.11 don't say. */
function losesSetGroupId({ namespace, attr }: Context, request: Request): boolean {
  if (request.setxattrExt)
    return (request.word(SETXATTR_IN_SETXATTR_FLAGS) & FUSE_SETXATTR_ACL_KILL_SGID) !== 0;
  return request.uid !== 0 && namespace.stat(request.nodeLo, attr) >= 0 && attr.gid !== request.gid;
}

export function removexattr(context: Context, request: Request, reply: Reply): number {
  const refused = refuse(context, request);
  if (refused < 0) return refused;
  const { nodeLo, u8, nameStart, nameEnd } = request;
  const { namespace, virtual, handover, attr } = context;
  const isList = listKind(u8, nameStart, nameEnd) !== NO_LIST;
  const collection = namespace.removexattr(nodeLo, u8, nameStart, nameEnd);
  // Without a list there is still what the mode says, so none is ever missing.
  if (collection < 0) return isList && collection === -ENODATA ? finish(reply, 0) : collection;
  if (collection > 0 && namespace.stat(nodeLo, attr) >= 0) {
    handover.vectorRemoved(collection, nodeLo, attr.generation, namespace.vectorStamp);
  }
  if (collection > 0 || isList) virtual.searchableChanged();
  return finish(reply, 0);
}

/** REMOVEXATTR of an attribute that is gone already: what is left to do is to tell whoever has copies of it. */
export function finishRemoval(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, u8, nameStart, nameEnd } = request;
  const { namespace, virtual, handover, attr } = context;
  if (kindOf(context, u8, nameStart, nameEnd) === OUR_VECTOR && namespace.stat(nodeLo, attr) >= 0) {
    const suffix = Buffer.from(
      u8.subarray(nameStart + VECTOR.length + 1, Math.max(nameEnd, nameStart + VECTOR.length + 1)),
    );
    const name = suffix.length === 0 ? 'default' : suffix.toString();
    const collection = namespace.collection(name);
    // Numbered before the look: whoever has set another one since then comes after this.
    const stamp = namespace.freshStamp();
    const isGone = namespace.getxattr(nodeLo, u8, nameStart, nameEnd, u8, 0, 0) < 0;
    if (collection !== undefined && isGone)
      handover.vectorRemoved(collection.id, nodeLo, attr.generation, stamp);
  }
  virtual.searchableChanged();
  return finish(reply, 0);
}

export function getxattr(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi, u8, nameStart, nameEnd } = request;
  if (nameEnd - nameStart > XATTR_NAME_MAX) return -ERANGE;
  const kind = kindOf(context, u8, nameStart, nameEnd);
  if (kind === UNSUPPORTED) return -EOPNOTSUPP;
  if (kind === NAMELESS) return -EINVAL;
  if (nodeHi !== REAL) return -ENODATA;
  const room = roomFor(request, reply);
  if (kind === READ_ONLY) {
    const value = computedValue(context, nodeLo, u8, nameStart, nameEnd);
    if (value === undefined) return -ENODATA;
    return finishSized(request, reply, put(value, reply, room));
  }
  const bytes = context.namespace.getxattr(nodeLo, u8, nameStart, nameEnd, reply.u8, BODY, room);
  return finishSized(request, reply, bytes);
}

export function listxattr(context: Context, request: Request, reply: Reply): number {
  const { nodeLo, nodeHi } = request;
  if (nodeHi !== REAL) return finishSized(request, reply, 0);
  const room = roomFor(request, reply);
  if (request.uid === 0) {
    return finishSized(request, reply, context.namespace.listxattr(nodeLo, reply.u8, BODY, room));
  }
  const all = context.namespace.listxattr(nodeLo, reply.u8, BODY, reply.u8.length - BODY);
  const bytes = cutTrusted(reply.u8, BODY, all);
  return finishSized(request, reply, room !== 0 && bytes > room ? -ERANGE : bytes);
}

/**
 * Takes the names out of a list of `bytes` (or −errno) that only root is to see, and answers what is left. The kernel refuses
 * others their values, but lists what it is given. (What it would ask for is the capability CAP_SYS_ADMIN.)
 */
function cutTrusted(u8: Uint8Array, start: number, bytes: number): number {
  const end = start + bytes;
  let kept = start;
  for (let name = start; name < end; ) {
    const next = u8.indexOf(0, name) + 1;
    if (!startsWith(u8, name, next, TRUSTED)) {
      u8.copyWithin(kept, name, next);
      kept += next - name;
    }
    name = next;
  }
  return bytes < 0 ? bytes : kept - start;
}

/** Bytes the caller has room for; 0 = it asks for the size. */
function roomFor(request: Request, reply: Reply): number {
  return Math.min(request.word(GETXATTR_IN_SIZE), reply.u8.length - BODY);
}

/** Puts `value` into the body: its bytes, or −ERANGE. Room 0 only counts. */
function put(value: Uint8Array, reply: Reply, room: number): number {
  if (room === 0) return value.length;
  if (value.length > room) return -ERANGE;
  reply.u8.set(value, BODY);
  return value.length;
}

/** The value itself, or its size if the caller asked for that. */
function finishSized(request: Request, reply: Reply, bytes: number): number {
  if (bytes < 0 || request.word(GETXATTR_IN_SIZE) !== 0) return finish(reply, bytes);
  return finish(reply, encodeGetxattrOut(reply.u32, BODY, bytes));
}

/** A file whose data or owner changed has no capabilities any more, whoever changed it. */
export function dropCapability(context: Context, ino: number): void {
  const { namespace } = context;
  if (namespace.getxattr(ino, CAPABILITY, 0, CAPABILITY.length, CAPABILITY, 0, 0) < 0) return;
  namespace.removexattr(ino, CAPABILITY, 0, CAPABILITY.length);
}

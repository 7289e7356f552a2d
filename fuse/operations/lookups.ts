/** Replies that carry nodes: how the lookups they stand for are counted, given back, and taken back. */
import {
  BATCH_FORGET_IN_COUNT,
  DIRENT_NAME,
  DIRENT_NAMELEN,
  ENTRY_OUT_BYTES,
  FORGET_IN_NLOOKUP,
  FORGET_ONE_BYTES,
  FORGET_ONE_NLOOKUP,
  FUSE_CREATE,
  FUSE_LINK,
  FUSE_LOOKUP,
  FUSE_MKDIR,
  FUSE_MKNOD,
  FUSE_READDIRPLUS,
  FUSE_SYMLINK,
} from '../protocol/abi.ts';
import type { Attr } from '../protocol/attr.ts';
import { BODY, encodeEntryOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { NO_REPLY } from '../session/server.ts';
import { REAL } from '../virtual/node-ids.ts';
import type { Context } from './context.ts';

/** Counts a lookup of a real inode and encodes its fuse_entry_out at BODY. Its size, or −errno. */
export function entryOfInode(context: Context, reply: Reply, ino: number): number {
  const { namespace, attr, options } = context;
  namespace.addLookup(ino, 1);
  const failed = namespace.stat(ino, attr);
  if (failed < 0) {
    giveBack(context, ino, REAL, 1);
    return failed;
  }
  return encodeEntryOut(reply.u32, BODY, attr, options.entryTimeout, options.attrTimeout);
}

/** Encodes the fuse_entry_out of a virtual node, whose lookup is counted already. Its size. */
export function entryOfVirtual(context: Context, reply: Reply, attr: Attr): number {
  const { virtual, options } = context;
  const entryValid = virtual.nameIsStable(attr.inoHi) ? options.entryTimeout : 0;
  const attrValid = virtual.attributesAreStable(attr.inoHi) ? options.attrTimeout : 0;
  return encodeEntryOut(reply.u32, BODY, attr, entryValid, attrValid);
}

export function forget(context: Context, request: Request): number {
  giveBack(context, request.nodeLo, request.nodeHi, request.u64(FORGET_IN_NLOOKUP));
  return NO_REPLY;
}

export function batchForget(context: Context, request: Request): number {
  const { u32 } = request;
  const count = request.word(BATCH_FORGET_IN_COUNT);
  for (let n = 0; n < count; n++) {
    const word = (request.dataStart + n * FORGET_ONE_BYTES) >>> 2;
    const lookups = word + (FORGET_ONE_NLOOKUP >>> 2);
    giveBack(context, u32[word]!, u32[word + 1]!, u32[lookups + 1]! * 4294967296 + u32[lookups]!);
  }
  return NO_REPLY;
}

/** Takes back the lookups of a finished reply to a request of this opcode that the kernel did not take. */
export function undoLookups(context: Context, opcode: number, reply: Reply): void {
  if (reply.i32[1] !== 0) return;
  if (opcode === FUSE_READDIRPLUS) undoListed(context, reply);
  else if (carriesEntry(opcode)) giveBack(context, reply.u32[BODY >>> 2]!, reply.u32[(BODY >>> 2) + 1]!, 1);
}

function carriesEntry(opcode: number): boolean {
  return (
    opcode === FUSE_LOOKUP ||
    opcode === FUSE_CREATE ||
    opcode === FUSE_MKNOD ||
    opcode === FUSE_MKDIR ||
    opcode === FUSE_SYMLINK ||
    opcode === FUSE_LINK
  );
}

function undoListed(context: Context, reply: Reply): void {
  for (let at = BODY; at < reply.length; ) {
    const nameBytes = reply.u32[(at + ENTRY_OUT_BYTES + DIRENT_NAMELEN) >>> 2]!;
    giveBack(context, reply.u32[at >>> 2]!, reply.u32[(at >>> 2) + 1]!, 1);
    at += ENTRY_OUT_BYTES + ((DIRENT_NAME + nameBytes + 7) & ~7);
  }
}

function giveBack(context: Context, nodeLo: number, nodeHi: number, lookups: number): void {
  if (nodeHi !== REAL) {
    context.virtual.forget(nodeLo, nodeHi, lookups);
  } else if (nodeLo !== 0) {
    context.namespace.forget(nodeLo, lookups);
    context.content.passOnDropped();
  }
}

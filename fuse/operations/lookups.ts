/** Replies that carry nodes: how the lookups they stand for are counted, given back, and taken back. */
import {
  BATCH_FORGET_IN_COUNT,
  DIRENT_NAME,
  DIRENT_NAMELEN,
  ENTRY_OUT_BYTES,
  FORGET_IN_NLOOKUP,
  FORGET_ONE_BYTES,
  FORGET_ONE_NLOOKUP,
  FUSE_BATCH_FORGET,
  FUSE_FORGET,
  FUSE_OPEN,
  FUSE_READDIRPLUS,
  FUSE_RELEASE,
} from '../protocol/abi.ts';
import type { Attr } from '../protocol/attr.ts';
import { BODY, encodeEntryOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { NO_REPLY } from '../session/server.ts';
import { REAL } from '../virtual/node-ids.ts';
import { type Context, readAttributes } from './context.ts';

/** Counts a lookup of a real inode and encodes its fuse_entry_out at BODY. Its size, or −errno. */
export function entryOfInode(context: Context, reply: Reply, ino: number): number {
  const { namespace, attr, options } = context;
  namespace.addLookup(ino, 1);
  const attrValid = readAttributes(context, ino);
  if (attrValid < 0) {
    giveBack(context, ino, REAL, 1);
    return attrValid;
  }
  const bytes = encodeEntryOut(reply.u32, BODY, attr, options.entryTimeout, attrValid);
  context.flight.counted = BODY + bytes;
  return bytes;
}

/** Encodes the fuse_entry_out of a virtual node, whose lookup is counted already. Its size. */
export function entryOfVirtual(context: Context, reply: Reply, attr: Attr): number {
  const { virtual, options } = context;
  const entryValid = virtual.nameIsStable(attr.inoHi) ? options.entryTimeout : 0;
  const attrValid = virtual.attributesAreStable(attr.inoHi) ? options.attrTimeout : 0;
  const bytes = encodeEntryOut(reply.u32, BODY, attr, entryValid, attrValid);
  context.flight.counted = BODY + bytes;
  return bytes;
}

/** At most once: what a thread died in the middle of is not done again by its successor (fuse/session/flight.ts). */
export function forget(context: Context, request: Request): number {
  if (context.flight.counted > 0) return NO_REPLY;
  context.flight.counted = 1;
  giveBack(context, request.nodeLo, request.nodeHi, request.u64(FORGET_IN_NLOOKUP));
  return NO_REPLY;
}

export function batchForget(context: Context, request: Request): number {
  const { u32 } = request;
  const { flight } = context;
  const count = request.word(BATCH_FORGET_IN_COUNT);
  for (let n = flight.counted; n < count; n++) {
    flight.counted = n + 1;
    const word = (request.dataStart + n * FORGET_ONE_BYTES) >>> 2;
    const lookups = word + (FORGET_ONE_NLOOKUP >>> 2);
    giveBack(context, u32[word]!, u32[word + 1]!, u32[lookups + 1]! * 4294967296 + u32[lookups]!);
  }
  return NO_REPLY;
}

/** Takes back the lookups, and the open, counted for a reply, finished or not, to this request, that the kernel did not take. */
export function undoLookups(context: Context, request: Request, reply: Reply): void {
  const { opcode } = request;
  if (opcode === FUSE_FORGET || opcode === FUSE_BATCH_FORGET || opcode === FUSE_RELEASE) return;
  const counted = context.flight.takeCounted();
  if (counted === 0) return;
  const lo = reply.u32[BODY >>> 2]!;
  if (opcode === FUSE_READDIRPLUS) undoListed(context, reply, counted);
  else if (opcode === FUSE_OPEN) context.content.passed?.release(request.nodeLo, false);
  else {
    if (counted > BODY + ENTRY_OUT_BYTES) context.content.passed?.release(lo, false);
    giveBack(context, lo, reply.u32[(BODY >>> 2) + 1]!, 1);
  }
}

function undoListed(context: Context, reply: Reply, end: number): void {
  for (let at = BODY; at < end; ) {
    const nameBytes = reply.u32[(at + ENTRY_OUT_BYTES + DIRENT_NAMELEN) >>> 2]!;
    giveBack(context, reply.u32[at >>> 2]!, reply.u32[(at >>> 2) + 1]!, 1);
    at += ENTRY_OUT_BYTES + ((DIRENT_NAME + nameBytes + 7) & ~7);
  }
}

function giveBack(context: Context, nodeLo: number, nodeHi: number, lookups: number): void {
  if (nodeHi !== REAL) {
    context.virtual.forget(nodeLo, nodeHi, lookups);
  } else if (nodeLo !== 0) {
    if (context.namespace.forget(nodeLo, lookups) === 1) context.content.passed?.forgotten(nodeLo);
    context.content.passOnDropped();
  }
}

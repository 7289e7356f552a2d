/** READDIR and READDIRPLUS: as many entries after the cookie as fit the caller's buffer. */
import { EINVAL, ENOENT } from '../../runtime/errno.ts';
import { ENTRY_OUT_BYTES, READ_IN_OFFSET, READ_IN_SIZE } from '../protocol/abi.ts';
import {
  BODY,
  direntBytes,
  encodeDirent,
  encodeDirentplus,
  encodeNegativeEntryOut,
  type Reply,
} from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { REAL } from '../virtual/node-ids.ts';
import { type Context, finish, readAttributes } from './context.ts';
import { accessed } from './data.ts';

const DOT = 0x2e;

export function readdir(context: Context, request: Request, reply: Reply): number {
  return list(context, request, reply, false);
}

export function readdirplus(context: Context, request: Request, reply: Reply): number {
  return list(context, request, reply, true);
}

function list(context: Context, request: Request, reply: Reply, plus: boolean): number {
  const { entry } = context;
  const room = Math.min(request.word(READ_IN_SIZE), reply.u8.length - BODY);
  let at = BODY;
  let more = next(context, request, request.word(READ_IN_OFFSET), request.word(READ_IN_OFFSET + 4));
  while (more > 0 && at - BODY + direntBytes(entry.nameLength, plus) <= room) {
    if (plus) {
      at += putWithAttributes(context, request, reply, at);
      context.flight.counted = at;
    } else at += putName(context, reply, at);
    more = next(context, request, entry.cookieLo, entry.cookieHi);
  }
  if (at === BODY && more !== 0) return more < 0 ? more : -EINVAL;
  if (at !== BODY) accessed(context, request.nodeLo, request.nodeHi);
  return finish(reply, at - BODY);
}

function next(context: Context, request: Request, cookieLo: number, cookieHi: number): number {
  const { nodeLo, nodeHi } = request;
  if (nodeHi === REAL) return context.namespace.readdir(nodeLo, cookieLo, cookieHi, context.entry) ? 1 : 0;
  return context.virtual.readdir(nodeLo, nodeHi, cookieLo, cookieHi, context.entry);
}

function putName(context: Context, reply: Reply, at: number): number {
  const { entry } = context;
  const { ino, cookieLo, cookieHi, mode, name, nameLength } = entry;
  return encodeDirent(reply, at, ino, 0, cookieLo, cookieHi, mode >>> 12, name, 0, nameLength);
}

/** Counts a lookup of the entry, except where the kernel does not: ".", ".." and what it shall look up itself. */
function putWithAttributes(context: Context, request: Request, reply: Reply, at: number): number {
  const { entry, namespace, attr, options } = context;
  const isListedOnly = request.nodeHi !== REAL || isDots(entry.name, entry.nameLength);
  const attrValid = isListedOnly ? -ENOENT : readAttributes(context, entry.ino);
  if (attrValid < 0) {
    return encodeNegativeEntryOut(reply.u32, at, 0) + putName(context, reply, at + ENTRY_OUT_BYTES);
  }
  namespace.addLookup(entry.ino, 1);
  return encodeDirentplus(
    reply,
    at,
    attr,
    options.entryTimeout,
    attrValid,
    entry.cookieLo,
    entry.cookieHi,
    entry.name,
    0,
    entry.nameLength,
  );
}

function isDots(name: Uint8Array, length: number): boolean {
  return name[0] === DOT && (length === 1 || (length === 2 && name[1] === DOT));
}

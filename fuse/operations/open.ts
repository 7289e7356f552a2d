/**
 * OPEN and RELEASE, which the kernel asks for where files may be passed through to their objects (fuse/objects/passed-files.ts). Where
 * they may not, OPEN is declined once, and files are open without us hearing of it.
 */
import { ENOSYS } from '../../runtime/errno.ts';
import {
  CREATE_IN_FLAGS,
  FOPEN_KEEP_CACHE,
  OPEN_IN_FLAGS,
  OPEN_OUT_BYTES,
  RELEASE_IN_FLAGS,
} from '../protocol/abi.ts';
import { BODY, encodeOpenOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { REAL } from '../virtual/node-ids.ts';
import { type Context, finish } from './context.ts';
import { accessed, O_NOATIME } from './data.ts';
import { entryOfInode } from './lookups.ts';
import { refuseOpen } from './protection.ts';

const O_ACCMODE = 3;
const O_RDONLY = 0;

export function open(context: Context, request: Request, reply: Reply): number {
  const { passed } = context.content;
  if (passed === undefined) return -ENOSYS;
  const { nodeLo, nodeHi } = request;
  if (nodeHi !== REAL) return finish(reply, encodeOpenOut(reply.u32, BODY, FOPEN_KEEP_CACHE, 0));
  const opened = request.word(OPEN_IN_FLAGS);
  const refused = refuseOpen(context, nodeLo, opened);
  if (refused < 0) return refused;
  const flags = passed.open(nodeLo, (opened & O_ACCMODE) !== O_RDONLY);
  if (flags < 0) return flags;
  if (passed.backingId !== 0 && (opened & O_NOATIME) === 0) accessed(context, nodeLo, nodeHi);
  const bytes = encodeOpenOut(reply.u32, BODY, flags, passed.backingId);
  context.flight.counted = BODY + bytes;
  return finish(reply, bytes);
}

/** The answer to CREATE and TMPFILE: the entry of the inode, which is open. */
export function entryOpened(context: Context, request: Request, reply: Reply, ino: number): number {
  const { passed } = context.content;
  const entry = entryOfInode(context, reply, ino);
  if (entry < 0) return entry;
  let flags = FOPEN_KEEP_CACHE;
  if (passed !== undefined) {
    flags = passed.open(ino, (request.word(CREATE_IN_FLAGS) & O_ACCMODE) !== O_RDONLY);
    if (flags < 0) return flags;
    context.flight.counted = BODY + entry + OPEN_OUT_BYTES;
  }
  return finish(reply, entry + encodeOpenOut(reply.u32, BODY + entry, flags, passed?.backingId ?? 0));
}

/** At most once, as FORGET: of an open that is counted and closed nothing is lost, of one that is not the mode would be. */
export function release(context: Context, request: Request, reply: Reply): number {
  const { passed } = context.content;
  if (passed !== undefined && request.nodeHi === REAL && context.flight.counted === 0) {
    context.flight.counted = 1;
    passed.release(request.nodeLo, (request.word(RELEASE_IN_FLAGS) & O_ACCMODE) !== O_RDONLY);
  }
  return finish(reply, 0);
}

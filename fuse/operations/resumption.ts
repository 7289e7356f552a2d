/**
 * How a request is brought to an end that another thread had begun when it died, by what the flight says of it
 * (fuse/session/flight.ts):
 *
 *     nothing published   run it again, as if it had just come
 *     published           what it was to do is done, or the first of several steps: see the table below
 *     unknown             run it again where a second time does no harm, and read "it is so already" as "done"; this is
 *                         exact, because the kernel holds the directory's lock while the request is under way, sends it
 *                         only when its own view (which nobody else can change) lets it succeed, and so nobody else
 *                         has done what is found done
 *
 * What cannot be known is answered EIO, and the kernel is told to forget what it has cached of the nodes concerned.
 * Lost with the thread are, at worst: that the vectors of a file whose last name went need not be kept (a search never
 * shows them), and that its object can be deleted before the next recovery.
 */
import { EEXIST, EIO, ENOENT } from '../../runtime/errno.ts';
import * as abi from '../protocol/abi.ts';
import { BODY, encodeOpenOut, type Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import type { Recovery } from '../session/server.ts';
import { REAL } from '../virtual/node-ids.ts';
import { type Context, finish } from './context.ts';
import { entryOfInode, undoLookups } from './lookups.ts';
import type { Operations } from './operations.ts';
import { finishRemoval } from './xattrs.ts';

/** What a second run of a request would do, and so how it is brought to an end. */
export type Repetition =
  /** The same as the first. */
  | 'idempotent'
  /** Find the name taken: by the first run. The answer is the entry. */
  | 'makes a name'
  /** Find no such name: the first run took it. The answer is success. */
  | 'takes a name'
  /** Something else than the first run, with these flags or always. */
  | 'depends';

/** By opcode; what is not here changes nothing that is journalled, and is idempotent. */
const REPETITIONS: ReadonlyMap<number, Repetition> = new Map([
  [abi.FUSE_CREATE, 'makes a name'],
  [abi.FUSE_MKNOD, 'makes a name'],
  [abi.FUSE_MKDIR, 'makes a name'],
  [abi.FUSE_SYMLINK, 'makes a name'],
  [abi.FUSE_LINK, 'makes a name'],
  [abi.FUSE_UNLINK, 'takes a name'],
  [abi.FUSE_RMDIR, 'takes a name'],
  [abi.FUSE_RENAME, 'takes a name'],
  [abi.FUSE_RENAME2, 'takes a name'],
  [abi.FUSE_SETXATTR, 'depends'],
  [abi.FUSE_REMOVEXATTR, 'depends'],
]);

export function repetitionOf(opcode: number): Repetition {
  return REPETITIONS.get(opcode) ?? 'idempotent';
}

export class Resumption implements Recovery {
  readonly #operations: Operations;
  readonly #context: Context;

  constructor(operations: Operations) {
    this.#operations = operations;
    this.#context = operations.context;
  }

  withdraw(request: Request, reply: Reply): void {
    undoLookups(this.#context, request.opcode, reply);
    this.#context.handover.withdraw(request.uniqueLo, request.uniqueHi);
  }

  settle(request: Request, reply: Reply, isPublished: boolean): number {
    switch (repetitionOf(request.opcode)) {
      case 'idempotent':
        return this.#operations.dispatch(request, reply);
      case 'makes a name':
        return this.#settleMaking(request, reply, isPublished);
      case 'takes a name':
        return this.#settleTaking(request, reply, isPublished);
      case 'depends':
        return this.#settleXattr(request, reply, isPublished);
    }
  }

  /** Nothing is known: whatever the kernel has cached of the nodes that the request names is to go. */
  giveUp(request: Request): void {
    const { handover } = this.#context;
    const { opcode, nodeLo, nodeHi, u8, nameStart, nameEnd, name2Start, name2End } = request;
    if (opcode === abi.FUSE_FORGET || opcode === abi.FUSE_BATCH_FORGET) return;
    const repetition = repetitionOf(opcode);
    if (repetition !== 'makes a name' && repetition !== 'takes a name') {
      handover.forgetInode(nodeLo, nodeHi);
      return;
    }
    handover.forgetName(nodeLo, nodeHi, u8, nameStart, nameEnd - nameStart);
    if (opcode === abi.FUSE_LINK)
      handover.forgetInode(request.word(abi.LINK_IN_OLDNODEID), request.word(abi.LINK_IN_OLDNODEID + 4));
    if (opcode === abi.FUSE_RENAME || opcode === abi.FUSE_RENAME2) {
      const [lo, hi] = [request.word(abi.RENAME_IN_NEWDIR), request.word(abi.RENAME_IN_NEWDIR + 4)];
      handover.forgetName(lo, hi, u8, name2Start, name2End - name2Start);
    }
  }

  #settleMaking(request: Request, reply: Reply, isPublished: boolean): number {
    const outcome = isPublished ? -EEXIST : this.#operations.dispatch(request, reply);
    if (outcome !== -EEXIST) return outcome;
    const { nodeLo, nodeHi, u8, nameStart, nameEnd } = request;
    const ino = nodeHi === REAL ? this.#context.namespace.lookup(nodeLo, u8, nameStart, nameEnd) : -EIO;
    if (ino < 0) return -EIO;
    const entry = entryOfInode(this.#context, reply, ino);
    if (entry < 0 || request.opcode !== abi.FUSE_CREATE) return finish(reply, entry);
    return finish(reply, entry + encodeOpenOut(reply.u32, BODY + entry, abi.FOPEN_KEEP_CACHE));
  }

  #settleTaking(request: Request, reply: Reply, isPublished: boolean): number {
    const { virtual } = this.#context;
    // Exchanged twice is as if never exchanged.
    const isExchange =
      request.opcode === abi.FUSE_RENAME2 && (request.word(abi.RENAME2_IN_FLAGS) & abi.RENAME_EXCHANGE) !== 0;
    if (!isPublished) {
      if (isExchange) return -EIO;
      const outcome = this.#operations.dispatch(request, reply);
      if (outcome !== -ENOENT) return outcome;
    }
    virtual.searchableChanged();
    return finish(reply, 0);
  }

  /** XATTR_CREATE and XATTR_REPLACE ask what was before; without them a second time is as the first. */
  #settleXattr(request: Request, reply: Reply, isPublished: boolean): number {
    if (request.opcode === abi.FUSE_REMOVEXATTR)
      return isPublished ? finishRemoval(this.#context, request, reply) : -EIO;
    const flags = (abi.FUSE_IN_HEADER_BYTES + abi.SETXATTR_IN_FLAGS) >>> 2;
    if (request.u32[flags] !== 0 && !isPublished) return -EIO;
    // Set again, so that whoever keeps copies of vectors hears of it.
    request.u32[flags] = 0;
    return this.#operations.dispatch(request, reply);
  }
}

/**
 * How a request is brought to an end that another thread had begun when it died, by what the flight says of it
 * (fuse/session/flight.ts):
 *
 *     nothing published   run it again, as if it had just come
 *     published           what it was to do is done, or the first of several steps: see the table below. What a name
 *                         stands for is still what the request made it: the kernel holds the directory's lock until
 *                         the request is answered, and nobody else changes names
 *
 * A request that is given up is answered EIO, and the kernel is told to forget what it has cached of the nodes concerned.
 * Lost with the thread are, at worst: that the vectors of a file whose last name went need not be kept (a search never
 * shows them), and that its object can be deleted before the next recovery.
 */
import { EIO } from '../../runtime/errno.ts';
import * as abi from '../protocol/abi.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import type { Recovery } from '../session/server.ts';
import { type Context, finish } from './context.ts';
import { entryOfInode, undoLookups } from './lookups.ts';
import { entryOpened } from './open.ts';
import type { Operations } from './operations.ts';
import { finishRemoval } from './xattrs.ts';

/** How a request is completed whose change is published. */
export type Completion =
  /** By running it again: a second time does what the first did. */
  | 'again'
  /** The answer is the entry of the name that it made. */
  | 'name made'
  /** The answer is success. */
  | 'name taken'
  /** The answer is success, once whoever keeps copies of vectors has heard of it. */
  | 'attribute';

/** By opcode; for what is not here: 'again'. */
const COMPLETIONS: ReadonlyMap<number, Completion> = new Map([
  [abi.FUSE_CREATE, 'name made'],
  [abi.FUSE_MKNOD, 'name made'],
  [abi.FUSE_MKDIR, 'name made'],
  [abi.FUSE_SYMLINK, 'name made'],
  [abi.FUSE_LINK, 'name made'],
  [abi.FUSE_UNLINK, 'name taken'],
  [abi.FUSE_RMDIR, 'name taken'],
  [abi.FUSE_RENAME, 'name taken'],
  [abi.FUSE_RENAME2, 'name taken'],
  [abi.FUSE_SETXATTR, 'attribute'],
  [abi.FUSE_REMOVEXATTR, 'attribute'],
]);

export function completionOf(opcode: number): Completion {
  return COMPLETIONS.get(opcode) ?? 'again';
}

export class Resumption implements Recovery {
  readonly #operations: Operations;
  readonly #context: Context;

  constructor(operations: Operations) {
    this.#operations = operations;
    this.#context = operations.context;
  }

  withdraw(request: Request, reply: Reply): void {
    undoLookups(this.#context, request, reply);
    this.#context.handover.withdraw(request.uniqueLo, request.uniqueHi);
  }

  complete(request: Request, reply: Reply): number {
    switch (completionOf(request.opcode)) {
      case 'again':
        return this.#operations.dispatch(request, reply);
      case 'name made':
        return this.#entryMade(request, reply);
      case 'name taken':
        this.#context.virtual.searchableChanged();
        return finish(reply, 0);
      case 'attribute':
        return this.#passAttributeOn(request, reply);
    }
  }

  /** Nothing is known: whatever the kernel has cached of the nodes that the request names is to go. */
  giveUp(request: Request): void {
    const { handover } = this.#context;
    const { opcode, nodeLo, nodeHi, u8, nameStart, nameEnd, name2Start, name2End } = request;
    if (opcode === abi.FUSE_FORGET || opcode === abi.FUSE_BATCH_FORGET) return;
    const completion = completionOf(opcode);
    if (completion !== 'name made' && completion !== 'name taken') {
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

  #entryMade(request: Request, reply: Reply): number {
    const { opcode, nodeLo, u8, nameStart, nameEnd } = request;
    const ino = this.#context.namespace.lookup(nodeLo, u8, nameStart, nameEnd);
    if (ino < 0) return -EIO;
    if (opcode === abi.FUSE_CREATE) return entryOpened(this.#context, request, reply, ino);
    return finish(reply, entryOfInode(this.#context, reply, ino));
  }

  #passAttributeOn(request: Request, reply: Reply): number {
    if (request.opcode === abi.FUSE_REMOVEXATTR) return finishRemoval(this.#context, request, reply);
    // Set again; XATTR_CREATE and XATTR_REPLACE asked what was before.
    request.u32[(abi.FUSE_IN_HEADER_BYTES + abi.SETXATTR_IN_FLAGS) >>> 2] = 0;
    return this.#operations.dispatch(request, reply);
  }
}

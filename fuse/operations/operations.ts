/**
 * The table of operations by opcode, and their run. Every thread that serves requests has its own instance.
 *
 * What is missing from the table is answered ENOSYS, which the kernel takes as "never ask again" and, for these, as
 * leave to do something cheaper:
 *   OPEN, OPENDIR     needs no handle: open without asking, keep pages and directory contents cached
 *   FLUSH             close without asking
 *   ACCESS            check against the attributes, as default_permissions does anyway
 *   LSEEK             SEEK_DATA, SEEK_HOLE: a file is data up to its end
 *   COPY_FILE_RANGE   copy through the page cache
 *   STATX             what GETATTR has
 *   INTERRUPT         operations end soon by themselves
 *   TMPFILE           EOPNOTSUPP to the caller
 */
import { ENOSYS } from '../../runtime/errno.ts';
import * as abi from '../protocol/abi.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import type { Dispatcher } from '../session/server.ts';
import * as attributes from './attributes.ts';
import { Context, finish, type Operation, type Parts } from './context.ts';
import * as data from './data.ts';
import * as directories from './directories.ts';
import * as lookups from './lookups.ts';
import * as names from './names.ts';
import * as xattrs from './xattrs.ts';

const unsupported: Operation = () => -ENOSYS;

/** The last request; the tree is then closed by whoever mounted it. */
const destroy: Operation = (_context, _request, reply) => finish(reply, 0);

const TABLE: readonly Operation[] = (() => {
  const table = new Array<Operation>(abi.OPCODES).fill(unsupported);
  table[abi.FUSE_LOOKUP] = names.lookup;
  table[abi.FUSE_FORGET] = lookups.forget;
  table[abi.FUSE_GETATTR] = attributes.getattr;
  table[abi.FUSE_SETATTR] = attributes.setattr;
  table[abi.FUSE_READLINK] = data.readlink;
  table[abi.FUSE_SYMLINK] = names.symlink;
  table[abi.FUSE_MKNOD] = names.mknod;
  table[abi.FUSE_MKDIR] = names.mkdir;
  table[abi.FUSE_UNLINK] = names.unlink;
  table[abi.FUSE_RMDIR] = names.rmdir;
  table[abi.FUSE_RENAME] = names.rename;
  table[abi.FUSE_LINK] = names.link;
  table[abi.FUSE_READ] = data.read;
  table[abi.FUSE_WRITE] = data.write;
  table[abi.FUSE_STATFS] = attributes.statfs;
  table[abi.FUSE_FSYNC] = data.fsync;
  table[abi.FUSE_SETXATTR] = xattrs.setxattr;
  table[abi.FUSE_GETXATTR] = xattrs.getxattr;
  table[abi.FUSE_LISTXATTR] = xattrs.listxattr;
  table[abi.FUSE_REMOVEXATTR] = xattrs.removexattr;
  table[abi.FUSE_READDIR] = directories.readdir;
  table[abi.FUSE_FSYNCDIR] = data.fsyncdir;
  table[abi.FUSE_CREATE] = names.create;
  table[abi.FUSE_DESTROY] = destroy;
  table[abi.FUSE_BATCH_FORGET] = lookups.batchForget;
  table[abi.FUSE_FALLOCATE] = data.fallocate;
  table[abi.FUSE_READDIRPLUS] = directories.readdirplus;
  table[abi.FUSE_RENAME2] = names.rename2;
  return table;
})();

export class Operations implements Dispatcher {
  readonly context: Context;

  constructor(parts: Parts) {
    this.context = new Context(parts);
  }

  /** Runs one well-formed request (Request.parse): REPLY_READY, NO_REPLY, LATER, or −errno to reply. */
  dispatch(request: Request, reply: Reply): number {
    return (TABLE[request.opcode] ?? unsupported)(this.context, request, reply);
  }

  /** The kernel did not take a finished reply: takes back the lookups it carries. */
  undelivered(request: Request, reply: Reply): void {
    lookups.undoLookups(this.context, request.opcode, reply);
  }
}

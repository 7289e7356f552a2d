/**
 * The table of operations by opcode, and their run. Every thread that serves requests has its own instance.
 *
 * What is missing from the table is answered ENOSYS, which the kernel takes as "never ask again" and, for these, as
 * leave to do something cheaper:
 *   OPENDIR           needs no handle: open without asking, keep directory contents cached; and OPEN (open.ts)
 *   FLUSH             close without asking
 *   ACCESS            check against the attributes, as default_permissions does anyway
 *   POLL              files are ready at any time
 *   BMAP              no blocks of a device to be named
 *   GETLK, SETLK(W)   not asked for: see protocol/init.ts
 */
import { ENOSYS } from '../../runtime/errno.ts';
import * as abi from '../protocol/abi.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { type Dispatcher, NO_REPLY } from '../session/server.ts';
import * as attributes from './attributes.ts';
import { Context, finish, type Operation, type Parts } from './context.ts';
import * as data from './data.ts';
import * as directories from './directories.ts';
import { ioctl } from './ioctl.ts';
import * as lookups from './lookups.ts';
import * as names from './names.ts';
import * as opening from './open.ts';
import * as ranges from './ranges.ts';
import * as xattrs from './xattrs.ts';

const unsupported: Operation = () => -ENOSYS;

/** The last request; the tree is then closed by whoever mounted it. */
const destroy: Operation = (_context, _request, reply) => finish(reply, 0);

/**
 * A signal has come for whoever waits for a request. A search is given up; an fsync is not, as on other filesystems: the
 * kernel tells of any signal, and a database that gets EINTR from its fsync takes its disk for broken. What is not found here
 * is being run and ends soon by itself, so it need not be asked for again (EAGAIN).
 */
const interrupt: Operation = ({ handover }, request) => {
  handover.interrupt(request.word(abi.INTERRUPT_IN_UNIQUE), request.word(abi.INTERRUPT_IN_UNIQUE + 4));
  return NO_REPLY;
};

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
  table[abi.FUSE_OPEN] = opening.open;
  table[abi.FUSE_RELEASE] = opening.release;
  table[abi.FUSE_READ] = data.read;
  table[abi.FUSE_WRITE] = data.write;
  table[abi.FUSE_STATFS] = attributes.statfs;
  table[abi.FUSE_FSYNC] = data.fsync;
  table[abi.FUSE_SETXATTR] = xattrs.setxattr;
  table[abi.FUSE_GETXATTR] = xattrs.getxattr;
  table[abi.FUSE_LISTXATTR] = xattrs.listxattr;
  table[abi.FUSE_REMOVEXATTR] = xattrs.removexattr;
  table[abi.FUSE_READDIR] = directories.readdir;
  table[abi.FUSE_FSYNCDIR] = data.syncNames;
  table[abi.FUSE_CREATE] = names.create;
  table[abi.FUSE_DESTROY] = destroy;
  table[abi.FUSE_BATCH_FORGET] = lookups.batchForget;
  table[abi.FUSE_FALLOCATE] = ranges.fallocate;
  table[abi.FUSE_READDIRPLUS] = directories.readdirplus;
  table[abi.FUSE_RENAME2] = names.rename2;
  table[abi.FUSE_LSEEK] = ranges.lseek;
  table[abi.FUSE_COPY_FILE_RANGE] = ranges.copyFileRange;
  table[abi.FUSE_COPY_FILE_RANGE_64] = ranges.copyFileRange64;
  table[abi.FUSE_SYNCFS] = data.syncNames;
  table[abi.FUSE_TMPFILE] = names.tmpfile;
  table[abi.FUSE_STATX] = attributes.statx;
  table[abi.FUSE_IOCTL] = ioctl;
  table[abi.FUSE_INTERRUPT] = interrupt;
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
    lookups.undoLookups(this.context, request, reply);
  }
}

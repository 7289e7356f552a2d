/**
 * What the operations of one thread work on. Everything is made once; a request allocates nothing.
 *
 * Contract of lookups: a reply that carries a node (LOOKUP, CREATE, TMPFILE, MKNOD, MKDIR, SYMLINK, LINK, READDIRPLUS, and the
 * answer to a query) has counted one lookup of it, which the kernel gives back with FORGET, and has noted so in the
 * thread's flight. Who sends the reply and learns that the kernel did not take it must call {@link undoLookups}
 * (lookups.ts) with it.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { AttrChanges } from '../namespace/changes.ts';
import { DirEntry, type Namespace } from '../namespace/namespace.ts';
import type { Content } from '../objects/content.ts';
import { Attr } from '../protocol/attr.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Request } from '../protocol/request.ts';
import { AbsentNames } from '../session/absent-names.ts';
import type { Flight } from '../session/flight.ts';
import { REPLY_READY } from '../session/server.ts';
import type { VirtualTree } from '../virtual/virtual-tree.ts';
import type { Handover } from './ports.ts';

/** Filesystems allocate so many bytes at once, or a multiple. */
const HOST_BLOCK = 4096;

export interface OperationsOptions {
  /** Seconds the kernel may keep a name, the absence of a name, and attributes. FOREVER: it is the only writer. May change. */
  readonly entryTimeout: number;
  readonly negativeTimeout: number;
  readonly attrTimeout: number;
  /** Value of the xattr user.vexfs.model: the embedder of text. */
  readonly model: string;
  /** Access control lists can be set and read. */
  readonly accessLists: boolean;
  /** Reading changes access times, as relatime has it. */
  readonly accessTimes: boolean;
  /** The kernel may have bytes of files that it has not written yet, beside those of mappings. */
  readonly writeback: boolean;
}

export interface Parts {
  readonly namespace: Namespace;
  readonly content: Content;
  readonly virtual: VirtualTree;
  readonly handover: Handover;
  /** The store's disk, for the space that is left. */
  readonly disk: Disk;
  readonly clock: Clock;
  readonly options: OperationsOptions;
  /** The same that the thread's server has. */
  readonly flight: Flight;
  /** Needed where names are made without the kernel. */
  readonly absent?: AbsentNames;
}

export class Context {
  readonly namespace: Namespace;
  readonly content: Content;
  readonly virtual: VirtualTree;
  readonly handover: Handover;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly options: OperationsOptions;
  readonly flight: Flight;
  readonly absent: AbsentNames;
  /** Scratch of the operation that runs. */
  readonly attr = new Attr();
  readonly changes = new AttrChanges();
  readonly entry = new DirEntry();

  constructor(parts: Parts) {
    this.namespace = parts.namespace;
    this.content = parts.content;
    this.virtual = parts.virtual;
    this.handover = parts.handover;
    this.disk = parts.disk;
    this.clock = parts.clock;
    this.options = parts.options;
    this.flight = parts.flight;
    this.absent = parts.absent ?? AbsentNames.alone();
  }
}

/** Runs one well-formed request: REPLY_READY, NO_REPLY, LATER (fuse/session/server.ts) or −errno. */
export type Operation = (context: Context, request: Request, reply: Reply) => number;

/**
 * Reads the attributes of a real inode, up to date, into context.attr. How many seconds the kernel may keep them: none, while it
 * changes the file itself. Or −ESTALE.
 */
export function readAttributes({ attr, content, namespace, options }: Context, ino: number): number {
  const { passed } = content;
  const isPassed = passed?.has(ino) === true;
  if (isPassed) passed.refresh(ino);
  const failed = namespace.stat(ino, attr);
  if (failed < 0) return failed;
  if (attr.object !== 0) readBlocks(content, attr);
  return isPassed ? 0 : options.attrTimeout;
}

/**
 * Of a file in a plain object only the host knows the holes. What the object has past the end of the file does not count; of an object
 * that is gone meanwhile, the size says how many blocks it had.
 */
function readBlocks(content: Content, attr: Attr): void {
  const allocated = content.allocated(attr.object);
  const most = Math.ceil(attr.size / HOST_BLOCK) * HOST_BLOCK;
  if (allocated >= 0) attr.blocks = Math.min(allocated, most) / 512;
}

/** Ends the reply with the `bytes` encoded at its BODY, or passes −errno on. */
export function finish(reply: Reply, bytes: number): number {
  if (bytes < 0) return bytes;
  reply.ok(bytes);
  return REPLY_READY;
}

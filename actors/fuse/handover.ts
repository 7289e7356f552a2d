import type { Handover } from '../../fuse/operations/ports.ts';
import { FUSE_LOOKUP, FUSE_OUT_HEADER_BYTES, FUSE_READ, FUSE_WRITE } from '../../fuse/protocol/abi.ts';
import { Reply } from '../../fuse/protocol/reply.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { WRITE_BEHIND_BYTES } from '../../runtime/config/bounds.ts';
import { EINTR } from '../../runtime/errno.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { Context } from '../context.ts';
import { lateReplies, type SendLate } from '../late-reply.ts';
import { LOG_STATE, LogState } from '../log-state.ts';
import {
  FORGET_INODE,
  ioOf,
  OBJECT_DIRTY,
  OBJECT_DROPPED,
  OBJECT_LOGGED,
  postContentChanged,
  postObject,
  QUERY,
  QUERY_READ,
  QUERY_WRITE,
  REMOVE_FILE,
  REMOVE_VECTORS,
  tryDamaged,
  writeForgetName,
  writeWords,
} from '../messages.ts';
import type { Pending } from '../pending.ts';
import { writeQuery, writeQueryFile } from '../query-messages.ts';
import { holderOf, otherOf, Route } from '../route.ts';
import { writePutVector, writeRemove } from '../shard-messages.ts';
import type { Trace } from '../trace.ts';
import { forgetAttributes } from './cached-attributes.ts';
import { type FuseCommits, openCommits } from './commits.ts';

/** What a fuse actor passes on to others. Only a sync and a query wake anybody: somebody waits for those. */
export class FuseHandover implements Handover {
  readonly commits: FuseCommits;
  readonly #log: LogState;
  readonly #indexer: Outbox;
  readonly #shards: readonly Outbox[];
  readonly #route: Route;
  readonly #io: readonly Outbox[];
  readonly #main: Outbox;
  readonly #virtual: VirtualTree;
  readonly #indexes: boolean;
  readonly #pending: Pending;
  readonly #trace: Trace;
  readonly #context: Context;
  readonly #sendLate: SendLate;
  /** Bytes of objects that were written since an io actor was woken for them. */
  #unheard = 0;
  readonly #interrupted = new Reply(undefined, 0, FUSE_OUT_HEADER_BYTES);

  constructor(context: Context, virtual: VirtualTree, pending: Pending) {
    this.commits = openCommits(context, pending);
    this.#log = new LogState(context.arena.region(LOG_STATE));
    const { topology, settings } = context;
    this.#indexer = context.outbox('indexer');
    this.#shards = topology.ofKind('shard').map(({ name }) => context.outbox(name));
    this.#route = new Route(context.arena);
    const workers = topology.ofKind('io').length;
    this.#io = Array.from({ length: workers }, (_, id) => context.outbox(ioOf(id, workers)));
    this.#main = context.outbox('main');
    this.#virtual = virtual;
    this.#indexes = settings.config.index.enabled;
    this.#pending = pending;
    this.#trace = context.trace;
    this.#sendLate = lateReplies(context);
    this.#context = context;
  }

  sync(opcode: number, uniqueLo: number, uniqueHi: number): number {
    return this.commits.sync(opcode, uniqueLo, uniqueHi);
  }

  syncExpected(): void {
    this.commits.expect();
  }

  objectDirty(objectId: number, bytes = 0): void {
    const io = this.#io[objectId % this.#io.length]!;
    postObject(io, OBJECT_DIRTY, objectId, bytes);
    this.#log.dirtied();
    this.#unheard += bytes;
    if (this.#unheard < WRITE_BEHIND_BYTES) return;
    this.#unheard = 0;
    io.send();
  }

  objectLogged(objectId: number): void {
    postObject(this.#io[objectId % this.#io.length]!, OBJECT_LOGGED, objectId);
  }

  objectDropped(objectId: number): void {
    postObject(this.#io[objectId % this.#io.length]!, OBJECT_DROPPED, objectId);
  }

  objectDamaged(ino: number, objectId: number, position: number): void {
    tryDamaged(this.#main, ino, objectId, position);
  }

  contentChanged(ino: number): void {
    if (this.#indexes) postContentChanged(this.#indexer, ino);
  }

  removed(ino: number, generation: number): void {
    this.#remove(REMOVE_FILE, ino, generation, 0, 0);
    this.#virtual.searchableChanged();
  }

  vectorSet(
    collection: number,
    ino: number,
    generation: number,
    stamp: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): void {
    const end = start + length;
    let route: number;
    do {
      route = this.#route.word;
      const other = otherOf(route, ino);
      const holder = this.#shards[holderOf(route, ino)]!;
      writePutVector(holder, ino, generation, collection, stamp, u8, start, end);
      if (other >= 0)
        writePutVector(this.#shards[other]!, ino, generation, collection, stamp, u8, start, end);
    } while (this.#route.word !== route);
    this.#virtual.searchableChanged();
  }

  vectorRemoved(collection: number, ino: number, generation: number, stamp: number): void {
    this.#remove(REMOVE_VECTORS, ino, generation, collection, stamp);
    this.#virtual.searchableChanged();
  }

  query(
    uniqueLo: number,
    uniqueHi: number,
    uid: number,
    gid: number,
    pid: number,
    kind: number,
    parentLo: number,
    parentHi: number,
    ino: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    const slot = this.#pending.enter(QUERY, uniqueLo, uniqueHi, FUSE_LOOKUP);
    if (slot < 0) return false;
    this.#trace.handedOver(uniqueLo, uniqueHi, QUERY);
    writeQuery(
      this.#indexer,
      uniqueLo,
      uniqueHi,
      uid,
      gid,
      pid,
      kind,
      parentLo,
      parentHi,
      ino,
      slot,
      u8,
      start,
      length,
    );
    return true;
  }

  interrupt(uniqueLo: number, uniqueHi: number): void {
    this.#pending.each(QUERY, (slot, lo, hi) => {
      if (lo !== uniqueLo || hi !== uniqueHi || !this.#pending.take(slot, lo, hi)) return;
      this.#interrupted.beginUnique(lo, hi);
      this.#interrupted.error(-EINTR);
      this.#sendLate(this.#interrupted);
      this.#pending.answered(slot);
    });
  }

  queryFile(
    uniqueLo: number,
    uniqueHi: number,
    uid: number,
    gid: number,
    pid: number,
    node: number,
    position: number,
    length: number,
    u8: Uint8Array | undefined,
    start: number,
  ): boolean {
    const kind = u8 === undefined ? QUERY_READ : QUERY_WRITE;
    const slot = this.#pending.enter(kind, uniqueLo, uniqueHi, u8 === undefined ? FUSE_READ : FUSE_WRITE);
    if (slot < 0) return false;
    this.#trace.handedOver(uniqueLo, uniqueHi, kind);
    writeQueryFile(this.#indexer, uniqueLo, uniqueHi, uid, gid, pid, node, slot, position, length, u8, start);
    return true;
  }

  withdraw(uniqueLo: number, uniqueHi: number): void {
    const slot = this.#pending.find(uniqueLo, uniqueHi);
    if (slot >= 0 && this.#pending.take(slot, uniqueLo, uniqueHi)) this.#pending.answered(slot);
  }

  forgetName(parentLo: number, parentHi: number, u8: Uint8Array, start: number, length: number): void {
    writeForgetName(this.#main, parentLo, parentHi, u8, start, length);
  }

  forgetAttributes(lo: number, hi: number): void {
    forgetAttributes(this.#context, lo, hi);
  }

  forgetInode(lo: number, hi: number): void {
    writeWords(this.#main, FORGET_INODE, lo, hi);
  }

  #remove(kind: number, ino: number, generation: number, collection: number, stamp: number): void {
    let route: number;
    do {
      route = this.#route.word;
      const other = otherOf(route, ino);
      writeRemove(this.#shards[holderOf(route, ino)]!, kind, ino, generation, collection, stamp);
      if (other >= 0) writeRemove(this.#shards[other]!, kind, ino, generation, collection, stamp);
    } while (this.#route.word !== route);
  }
}

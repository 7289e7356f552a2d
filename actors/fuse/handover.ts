import type { Handover } from '../../fuse/operations/ports.ts';
import type { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { Context } from '../context.ts';
import {
  ioOf,
  OBJECT_DIRTY,
  OBJECT_DROPPED,
  postContentChanged,
  postObject,
  QUERY,
  REMOVE_FILE,
  REMOVE_VECTORS,
  SYNC,
  writePutVector,
  writeQuery,
  writeRemove,
  writeSync,
} from '../messages.ts';
import { shardOf } from '../topology.ts';
import type { Trace } from '../trace.ts';

/** What a fuse actor passes on to others. Only a sync and a query wake anybody: somebody waits for those. */
export class FuseHandover implements Handover {
  readonly #indexer: Outbox;
  readonly #shards: readonly Outbox[];
  readonly #io: readonly Outbox[];
  readonly #first: Outbox;
  readonly #virtual: VirtualTree;
  readonly #indexes: boolean;
  readonly #trace: Trace;

  constructor(context: Context, virtual: VirtualTree) {
    const { topology, settings } = context;
    this.#indexer = context.outbox('indexer');
    this.#shards = topology.ofKind('shard').map(({ name }) => context.outbox(name));
    const workers = topology.ofKind('io').length;
    this.#io = Array.from({ length: workers }, (_, id) => context.outbox(ioOf(id, workers)));
    this.#first = context.outbox('io-0');
    this.#virtual = virtual;
    this.#trace = context.trace;
    this.#indexes = settings.config.index.enabled;
  }

  sync(uniqueLo: number, uniqueHi: number, objectId: number): void {
    this.#trace.handedOver(uniqueLo, uniqueHi, SYNC);
    writeSync(this.#first, uniqueLo, uniqueHi, objectId);
  }

  objectDirty(objectId: number): void {
    postObject(this.#io[objectId % this.#io.length]!, OBJECT_DIRTY, objectId);
  }

  objectDropped(objectId: number): void {
    postObject(this.#io[objectId % this.#io.length]!, OBJECT_DROPPED, objectId);
  }

  contentChanged(ino: number): void {
    if (this.#indexes) postContentChanged(this.#indexer, ino);
  }

  removed(ino: number, generation: number): void {
    writeRemove(this.#shard(ino), REMOVE_FILE, ino, generation, 0);
    this.#virtual.searchableChanged();
  }

  vectorSet(
    collection: number,
    ino: number,
    generation: number,
    u8: Uint8Array,
    start: number,
    length: number,
  ): void {
    writePutVector(this.#shard(ino), ino, generation, collection, u8, start, start + length);
    this.#virtual.searchableChanged();
  }

  vectorRemoved(collection: number, ino: number, generation: number): void {
    writeRemove(this.#shard(ino), REMOVE_VECTORS, ino, generation, collection);
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
  ): void {
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
      u8,
      start,
      length,
    );
  }

  #shard(ino: number): Outbox {
    return this.#shards[shardOf(ino, this.#shards.length)]!;
  }
}

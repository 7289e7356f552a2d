/** What a checkpoint of the tree holds and the log changes; on the way, the shards hear of what concerns them. */
import { IndexState, Namespace, type ObjectVisitor } from '../../fuse/namespace/namespace.ts';
import { assert } from '../../runtime/assert.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { rebuildSlab } from '../../runtime/memory/slab-rebuild.ts';
import type { Outbox } from '../../runtime/messaging/mailbox.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import type { ReadCheckpoint } from '../checkpoint-files.ts';
import type { Context } from '../context.ts';
import { withHelp } from '../load-blocks.ts';
import { LoadBoard } from '../load-board.ts';
import {
  LOAD_BLOCKS,
  LOAD_SEGMENT,
  LOAD_VECTORS,
  REMOVE_FILE,
  REMOVE_VECTORS,
  writeNumber,
  writeWords,
} from '../messages.ts';
import { JOURNAL, LOAD_BOARD, SLAB } from '../regions.ts';
import { holderOf, holders, otherOf, Route } from '../route.ts';
import { writePutChunks, writePutVector, writeRemove } from '../shard-messages.ts';
import { openSlab } from '../slab.ts';
import { TEXT_COLLECTION } from '../text-collection.ts';
import { openTree } from '../tree.ts';
import { VectorOrder } from '../vector-order.ts';
import { ObjectRedo } from './object-redo.ts';
import { settleLengths } from './own-lengths.ts';
import type { Rebuilt } from './rebuild.ts';
import type { Recoverable } from './recovery.ts';

const ROOT_MODE = 0o755;

export class TreeState implements Recoverable {
  readonly redo = new ObjectRedo();
  readonly #context: Context;
  readonly #shards: readonly Outbox[];
  readonly read: ReadCheckpoint;
  readonly #route: Route;
  #slab: SlabAllocator | undefined;
  #namespace: Namespace | undefined;
  #formatted = false;
  /** Files whose object's length counts, as of the end of the recovery. */
  readonly #ownLengths: number[] = [];

  constructor(context: Context) {
    this.#context = context;
    this.#route = new Route(context.arena);
    this.#shards = context.topology.ofKind('shard').map(({ name }) => context.outbox(name));
    this.read = withHelp(new LoadBoard(context.arena.region(LOAD_BOARD)), (sequence) => {
      for (const shard of this.#holders()) writeWords(shard, LOAD_BLOCKS, sequence);
    });
  }

  get namespace(): Namespace {
    assert(this.#namespace !== undefined, 'the tree is loaded before it is used');
    return this.#namespace;
  }

  /** In a successor: the tree is in shared memory as it was. */
  attach(): void {
    if (this.#namespace !== undefined) return;
    const { slab, namespace } = openTree(this.#context);
    this.#slab = slab;
    this.#namespace = namespace;
  }

  /** The tables are another's work now; the shards hear of what may have been lost on its way to them. */
  rebuilt({ slab, namespace, touched, freed }: Rebuilt): void {
    this.#slab = slab;
    this.#namespace = namespace;
    for (const { ino, generation } of freed) this.inodeFreed(ino, generation);
    const state = new IndexState();
    for (const ino of touched) {
      if (namespace.indexState(ino, state) === 0) this.#sendVectorsOf(ino, state.generation);
    }
  }

  region(name: string): Uint8Array | undefined {
    const { arena } = this.#context;
    return arena.names().includes(name) ? arena.region(name).u8 : undefined;
  }

  image(): { name: string; bytes: number }[] {
    assert(this.#slab !== undefined, 'the tree is loaded before it is copied');
    this.#slab.flush();
    return [...this.namespace.image(), { name: SLAB, bytes: this.#slab.highWater() }];
  }

  format(): void {
    const { arena, clock } = this.#context;
    SlabAllocator.format(arena.region(SLAB));
    const owner = { uid: process.getuid!(), gid: process.getgid!(), mode: ROOT_MODE };
    Namespace.format(arena, new SlabAllocator(arena.region(SLAB)), { ...owner, now: clock.now() });
    this.#formatted = true;
  }

  loaded(checkpointLsn: number): void {
    const { arena, clock, settings } = this.#context;
    this.#slab = openSlab(this.#context);
    const journal = new JournalWriter(arena.region(JOURNAL));
    const inlineLimit = settings.config.store.inline_limit;
    this.#namespace = new Namespace(arena, this.#slab, journal, { inlineLimit, clock });
    if (!this.#formatted) {
      this.#namespace.restored();
      // Blocks that nobody gave back before the checkpoint was written end with it.
      const { misfits } = rebuildSlab(this.#slab, (visit) => this.namespace.slabHandles(visit));
      if (misfits > 0)
        this.#context.logger.error({ misfits }, 'the checkpoint refers to memory that it does not have');
    }
    // The lanes keep the order: a shard reads its segment before it hears of what the log changed after it.
    for (const shard of this.#holders()) {
      writeNumber(shard, LOAD_SEGMENT, this.#formatted ? 0 : checkpointLsn);
    }
  }

  apply(
    type: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
  ): void {
    this.namespace.apply(type, u8, u32, f64, offset, length, this);
  }

  afterRecovery(): void {
    this.#ownLengths.length = 0;
    this.namespace.afterRecovery(this);
  }

  forEachObject(visit: ObjectVisitor): void {
    this.namespace.objects(visit);
  }

  /** The shards read users' vectors from the tables themselves, beside whoever uses the mount by then. */
  announce(): void {
    const { last } = new VectorOrder(this.#context.arena);
    for (const shard of this.#holders()) writeWords(shard, LOAD_VECTORS, last);
  }

  /** Lanes to the shards that hold files. */
  #holders(): readonly Outbox[] {
    return this.#shards.slice(0, holders(this.#route.word));
  }

  /** With a new stamp: what the shards were told meanwhile may not be in the tables any more. */
  #sendVectorsOf(ino: number, generation: number): void {
    const found = new Set<number>();
    const stamp = new VectorOrder(this.#context.arena).next();
    this.namespace.vectorsOf(ino, (collection, _ino, _generation, u8, start, end) => {
      found.add(collection);
      this.#told(ino, (shard) => writePutVector(shard, ino, generation, collection, stamp, u8, start, end));
    });
    for (const { id } of this.namespace.collections()) {
      if (found.has(id)) continue;
      this.#told(ino, (shard) => writeRemove(shard, REMOVE_VECTORS, ino, generation, id, stamp));
    }
  }

  indexed(
    ino: number,
    generation: number,
    _version: number,
    u8: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#told(ino, (shard) => {
      if (start === end) writeRemove(shard, REMOVE_VECTORS, ino, generation, TEXT_COLLECTION);
      else writePutChunks(shard, ino, generation, u8, start, end);
    });
  }

  lengthCounts(ino: number): void {
    this.#ownLengths.push(ino);
  }

  /** After a recovery, with the journal. How many files there were (own-lengths.ts). */
  settleLengths(disk: Disk): number {
    return settleLengths(this.namespace, disk, this.#ownLengths.splice(0));
  }

  objectWritten(object: number, position: number, u8: Uint8Array, start: number, end: number): void {
    this.redo.objectWritten(object, position, u8, start, end);
  }

  objectFlushed(object: number): void {
    this.redo.objectFlushed(object);
  }

  inodeFreed(ino: number, generation: number): void {
    this.#told(ino, (shard) => writeRemove(shard, REMOVE_FILE, ino, generation, 0));
  }

  /** Tells the shards that have to hear of the file. */
  #told(ino: number, tell: (shard: Outbox) => void): void {
    let route: number;
    do {
      route = this.#route.word;
      const other = otherOf(route, ino);
      tell(this.#shards[holderOf(route, ino)]!);
      if (other >= 0) tell(this.#shards[other]!);
    } while (this.#route.word !== route);
  }
}

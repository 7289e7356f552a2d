/**
 * The tables made anew from the newest checkpoint and the log after it, while the kernel goes on using the mount: for
 * when a thread ended in the middle of a change. fuse/namespace/survivors.ts is the contract.
 *
 * No file is swept, cut or deleted here: an object that nothing refers to may belong to a file that has no name and is
 * open. Objects that the log drops are reported; their files may be there still, if who dropped them ended before it
 * said so.
 */
import { Namespace, type ReplayObserver, type Survived, Survivors } from '../../fuse/namespace/namespace.ts';
import { DataLocks } from '../../fuse/objects/data-locks.ts';
import { resetNodes } from '../../fuse/virtual/node-table.ts';
import { assert } from '../../runtime/assert.ts';
import type { SlabAllocator } from '../../runtime/memory/slab.ts';
import { SlabCaches } from '../../runtime/memory/slab-caches.ts';
import { rebuildSlab } from '../../runtime/memory/slab-rebuild.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import type { Context } from '../context.ts';
import { JOURNAL, SLAB_CACHES } from '../regions.ts';
import { openSlab } from '../slab.ts';
import { type Replayable, replayInto, wholeLog } from './log-recovery.ts';
import { type Loadable, loadState } from './recovery.ts';

export interface Freed {
  readonly ino: number;
  readonly generation: number;
}

export interface Rebuilt extends Survived {
  readonly namespace: Namespace;
  readonly slab: SlabAllocator;
  readonly checkpointLsn: number;
  readonly transactions: number;
  /** Objects that nothing refers to any more. */
  readonly dropped: readonly number[];
  /** Inodes whose vectors changed since the checkpoint, and files that are gone: the shards may not have heard of it. */
  readonly touched: ReadonlySet<number>;
  readonly freed: readonly Freed[];
  readonly milliseconds: number;
}

/** The pool actor leaves the slab between two of its steps, milliseconds. */
const POOL_LEAVES_MS = 2000;

/**
 * `lastLsn` is that of the last record of the log. Or the sentence that says why it cannot be done: then the tables take
 * no changes.
 */
export function rebuild(context: Context, disk: Disk, lastLsn: number): Rebuilt | string {
  const { clock, settings } = context;
  const { identity } = settings;
  const started = clock.monotonic();
  const state = new RebuiltState(context);
  const loaded = loadState(disk, identity, state);
  if (typeof loaded === 'string') return loaded;
  const outcome = wholeLog(replayInto(state, disk, identity.bytes, loaded.lsn), lastLsn);
  if (typeof outcome === 'string') return outcome;
  const survived = state.finish();
  const { namespace, slab, touched, freed } = state;
  const dropped: number[] = [];
  for (let id = namespace.takeDropped(); id !== 0; id = namespace.takeDropped()) dropped.push(id);
  const { transactions } = outcome;
  const milliseconds = clock.monotonic() - started;
  const checkpointLsn = loaded.lsn;
  return {
    ...survived,
    namespace,
    slab,
    checkpointLsn,
    transactions,
    dropped,
    touched,
    freed,
    milliseconds,
  };
}

/** The regions as a recovery sees them, except that lock, sequence and what the kernel holds are kept out of it. */
class RebuiltState implements Loadable, Replayable {
  readonly touched = new Set<number>();
  readonly freed: Freed[] = [];
  readonly #context: Context;
  readonly #caches: SlabCaches;
  readonly #survivors: Survivors;
  readonly #replay: ReplayObserver = {
    vectorSet: (_collection, ino) => this.touched.add(ino),
    vectorRemoved: (_collection, ino) => this.touched.add(ino),
  };
  readonly #end: ReplayObserver = {
    inodeFreed: (ino, generation) => this.freed.push({ ino, generation }),
  };
  #slab: SlabAllocator | undefined;
  #namespace: Namespace | undefined;

  constructor(context: Context) {
    const { arena } = context;
    this.#context = context;
    this.#survivors = new Survivors(arena);
    this.#survivors.setAside();
    this.#caches = new SlabCaches(arena.region(SLAB_CACHES));
    // A pool actor that has not left by then has ended, as the others have.
    if (!this.#caches.suspend(POOL_LEAVES_MS)) this.#caches.forget();
    // Their nodes have blobs in the slab that is about to be another.
    resetNodes(arena);
    new DataLocks(arena).breakAll();
  }

  get slab(): SlabAllocator {
    assert(this.#slab !== undefined, 'the slab is loaded before it is used');
    return this.#slab;
  }

  get namespace(): Namespace {
    assert(this.#namespace !== undefined, 'the tree is loaded before it is used');
    return this.#namespace;
  }

  region(name: string): Uint8Array | undefined {
    const { arena } = this.#context;
    if (name === 'namespace') return this.#survivors.header;
    return arena.names().includes(name) ? arena.region(name).u8 : undefined;
  }

  loaded(): void {
    const { arena, clock, settings, logger } = this.#context;
    const { inline_limit: inlineLimit } = settings.config.store;
    this.#survivors.putHeader();
    this.#slab = openSlab(this.#context);
    const journal = new JournalWriter(arena.region(JOURNAL));
    this.#namespace = new Namespace(arena, this.#slab, journal, { inlineLimit, clock });
    this.#namespace.restoredBy(this.#survivors);
    const { misfits } = rebuildSlab(this.#slab, (visit) => this.namespace.slabHandles(visit));
    if (misfits > 0) logger.error({ misfits }, 'the checkpoint refers to memory that it does not have');
  }

  apply(
    type: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
  ): void {
    this.namespace.apply(type, u8, u32, f64, offset, length, this.#replay);
  }

  afterRecovery(): void {
    this.namespace.afterRecovery();
  }

  finish(): Survived {
    const survived = this.namespace.survivedBy(this.#survivors, this.#end);
    this.slab.flush();
    this.#caches.resume();
    return survived;
  }

  format(): void {
    assert(false, 'a store that is mounted has a checkpoint');
  }
}

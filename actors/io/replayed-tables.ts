/**
 * The tables of a store in memory of their own: read from a checkpoint, changed by the log after it. Nobody who serves a
 * mount sees this memory or waits for it. It takes what the tables in use take, while it lasts.
 */
import {
  Namespace,
  type ObjectVisitor,
  planNamespace,
  type ReplayObserver,
} from '../../fuse/namespace/namespace.ts';
import { Tables } from '../../fuse/namespace/tables.ts';
import { freeUnnamed, unnamedInodes } from '../../fuse/namespace/unnamed.ts';
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import { MIB } from '../../runtime/config/bounds.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { CLASS_UNITS, UNIT } from '../../runtime/memory/size-classes.ts';
import { SlabAllocator, type SlabHandle } from '../../runtime/memory/slab.ts';
import { rebuildSlab } from '../../runtime/memory/slab-rebuild.ts';
import { formatJournal, JournalWriter, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';
import { JOURNAL, namespaceCapacity, SLAB } from '../regions.ts';
import type { Part } from './checkpoint.ts';
import type { Replayable } from './log-recovery.ts';
import type { Loadable } from './recovery.ts';

/** Replaying writes nothing, but tables are not to be had without a journal; and a repair makes changes. */
const JOURNAL_BYTES = MIB;
const ROOT_MODE = 0o755;

/** Of the mount, so that whatever it holds fits. */
export interface TablesCapacity {
  readonly maxFiles: number;
  /** Bytes of the slab. */
  readonly budget: number;
  readonly inlineLimit: number;
}

/** The first bytes of a free block, which say that it is free. */
const FREE_MARK = 8;

/** A slab whose free blocks are zeros: a checkpoint of it takes no room for what was removed, and has nothing of it. */
class ClearedSlab extends SlabAllocator {
  override free(handle: SlabHandle): void {
    this.#clear(handle, this.core.classOfBlock(handle));
    super.free(handle);
  }

  override release(handle: SlabHandle, c: number): void {
    this.#clear(handle, c);
    super.release(handle, c);
  }

  #clear(handle: SlabHandle, c: number): void {
    this.u8.fill(0, handle * UNIT + FREE_MARK, (handle + CLASS_UNITS[c]!) * UNIT);
  }
}

export class ReplayedTables implements Loadable, Replayable {
  readonly arena: Arena;
  readonly #capacity: TablesCapacity;
  readonly #clock: Clock;
  readonly #observer: ReplayObserver;
  #slab: SlabAllocator | undefined;
  #namespace: Namespace | undefined;
  #tables: Tables | undefined;
  #misfits = 0;
  #isFormatted = false;

  /** Throws RangeError when the address space cannot be had. */
  constructor(capacity: TablesCapacity, clock: Clock, observer: ReplayObserver = {}) {
    this.#capacity = capacity;
    this.#clock = clock;
    this.#observer = observer;
    this.arena = Arena.create([
      ...planNamespace(namespaceCapacity(capacity.maxFiles)),
      { name: SLAB, bytes: capacity.budget },
      { name: JOURNAL, bytes: journalRegionBytes(JOURNAL_BYTES) },
    ]);
    formatJournal(this.arena.region(JOURNAL), 1);
  }

  get namespace(): Namespace {
    assert(this.#namespace !== undefined, 'the tables are loaded before they are used');
    return this.#namespace;
  }

  get tables(): Tables {
    assert(this.#tables !== undefined, 'the tables are loaded before they are looked at');
    return this.#tables;
  }

  /** References of what was loaded to memory that it does not have. */
  get misfits(): number {
    return this.#misfits;
  }

  region(name: string): Uint8Array | undefined {
    return this.arena.names().includes(name) ? this.arena.region(name).u8 : undefined;
  }

  format(): void {
    const region = this.arena.region(SLAB);
    SlabAllocator.format(region);
    const owner = { uid: process.getuid!(), gid: process.getgid!(), mode: ROOT_MODE };
    Namespace.format(this.arena, new SlabAllocator(region), { ...owner, now: this.#clock.now() });
    this.#isFormatted = true;
  }

  loaded(): void {
    const { inlineLimit } = this.#capacity;
    const slab = new ClearedSlab(this.arena.region(SLAB));
    const journal = new JournalWriter(this.arena.region(JOURNAL));
    const namespace = new Namespace(this.arena, slab, journal, { inlineLimit, clock: this.#clock });
    this.#slab = slab;
    this.#namespace = namespace;
    this.#tables = new Tables(this.arena, slab);
    if (this.#isFormatted) return;
    namespace.restored();
    this.#misfits = rebuildSlab(slab, (visit) => namespace.slabHandles(visit)).misfits;
  }

  apply(
    type: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
  ): void {
    this.namespace.apply(type, u8, u32, f64, offset, length, this.#observer);
    this.#forgetDropped();
  }

  afterRecovery(): void {
    this.namespace.afterRecovery(this.#observer);
    this.#forgetDropped();
  }

  /** Inodes without a name (unnamed.ts). */
  get unnamed(): Uint32Array {
    return unnamedInodes(this.tables);
  }

  /** Of those, these are no more: no record after what was replayed tells of them. */
  free(ended: Uint32Array): void {
    freeUnnamed(this.tables, ended, this.#observer);
    this.#forgetDropped();
  }

  forEachObject(visit: ObjectVisitor): void {
    this.namespace.objects(visit);
  }

  image(): { name: string; bytes: number }[] {
    assert(this.#slab !== undefined, 'the tables are loaded before they are copied');
    this.#slab.flush();
    return [...this.namespace.image(), { name: SLAB, bytes: this.#slab.highWater() }];
  }

  /** What a checkpoint of the tables as they are now consists of: views of this memory. */
  parts(): Part[] {
    return this.image().map(({ name, bytes }) => ({
      name,
      bytes: this.arena.region(name).u8.subarray(0, bytes),
    }));
  }

  /** Object files are the business of those who serve the mount. */
  #forgetDropped(): void {
    while (this.namespace.takeDropped() !== 0);
  }
}

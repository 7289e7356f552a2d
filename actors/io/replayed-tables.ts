/**
 * The tables as of some LSN in memory of their own: read from the newest checkpoint, changed by the log after it. Nobody
 * who serves the mount sees this memory or waits for it. It takes what the tables in use take, while it lasts.
 */
import { Namespace, planNamespace, type ReplayObserver } from '../../fuse/namespace/namespace.ts';
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import { KIB } from '../../runtime/config/bounds.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { rebuildSlab } from '../../runtime/memory/slab-rebuild.ts';
import { JournalWriter, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';
import { JOURNAL, namespaceCapacity, SLAB } from '../regions.ts';
import type { Part } from './checkpoint.ts';
import type { Loadable } from './recovery.ts';

/** Of the mount, so that whatever it holds fits. */
export interface TablesCapacity {
  readonly maxFiles: number;
  /** Bytes of the slab. */
  readonly budget: number;
  readonly inlineLimit: number;
}

export class ReplayedTables implements Loadable {
  readonly #arena: Arena;
  readonly #capacity: TablesCapacity;
  readonly #clock: Clock;
  readonly #observer: ReplayObserver;
  #slab: SlabAllocator | undefined;
  #namespace: Namespace | undefined;

  /** Throws RangeError when the address space cannot be had. */
  constructor(capacity: TablesCapacity, clock: Clock, observer: ReplayObserver) {
    this.#capacity = capacity;
    this.#clock = clock;
    this.#observer = observer;
    this.#arena = Arena.create([
      ...planNamespace(namespaceCapacity(capacity.maxFiles)),
      { name: SLAB, bytes: capacity.budget },
      // Replaying writes nothing, but tables are not to be had without a journal.
      { name: JOURNAL, bytes: journalRegionBytes(4 * KIB) },
    ]);
  }

  get namespace(): Namespace {
    assert(this.#namespace !== undefined, 'the tables are loaded before they are used');
    return this.#namespace;
  }

  region(name: string): Uint8Array | undefined {
    return this.#arena.names().includes(name) ? this.#arena.region(name).u8 : undefined;
  }

  format(): void {
    assert(false, 'a store that is mounted has a checkpoint');
  }

  loaded(): void {
    const { inlineLimit } = this.#capacity;
    const slab = new SlabAllocator(this.#arena.region(SLAB));
    const journal = new JournalWriter(this.#arena.region(JOURNAL));
    const namespace = new Namespace(this.#arena, slab, journal, { inlineLimit, clock: this.#clock });
    namespace.restored();
    const { misfits } = rebuildSlab(slab, (visit) => namespace.slabHandles(visit));
    if (misfits > 0) throw new Error(`it refers ${misfits} times to memory that it does not have`);
    this.#slab = slab;
    this.#namespace = namespace;
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
    this.namespace.afterRecovery();
    this.#forgetDropped();
  }

  /** What a checkpoint of the tables as they are now consists of: views of this memory. */
  parts(): Part[] {
    assert(this.#slab !== undefined, 'the tables are loaded before they are copied');
    this.#slab.flush();
    const image = [...this.namespace.image(), { name: SLAB, bytes: this.#slab.highWater() }];
    return image.map(({ name, bytes }) => ({ name, bytes: this.#arena.region(name).u8.subarray(0, bytes) }));
  }

  /** Object files are the business of those who serve the mount. */
  #forgetDropped(): void {
    while (this.namespace.takeDropped() !== 0);
  }
}

/** The tree of a store in memory of this process's own: what a checkpoint and the log after it say, for looking at. */

import type { Recoverable } from '../../actors/io/recovery.ts';
import { DENTRIES_PER_INODE, JOURNAL, SLAB } from '../../actors/regions.ts';
import { Namespace, type ObjectVisitor, planNamespace } from '../../fuse/namespace/namespace.ts';
import { Tables } from '../../fuse/namespace/tables.ts';
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import { INLINE_LIMIT_MAX, MIB } from '../../runtime/config/bounds.ts';
import type { Config } from '../../runtime/config/schema.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { rebuildSlab } from '../../runtime/memory/slab-rebuild.ts';
import { formatJournal, JournalWriter, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';

/** Nothing is journalled, but a namespace has a journal. */
const JOURNAL_BYTES = MIB;
const ROOT_MODE = 0o755;

export class PrivateTree implements Recoverable {
  readonly arena: Arena;
  readonly #clock: Clock;
  #slab: SlabAllocator | undefined;
  #namespace: Namespace | undefined;
  #tables: Tables | undefined;
  #formatted = false;

  constructor({ memory }: Pick<Config, 'memory'>, clock: Clock) {
    const maxInodes = memory.max_files;
    this.arena = Arena.create([
      { name: SLAB, bytes: memory.budget },
      { name: JOURNAL, bytes: journalRegionBytes(JOURNAL_BYTES) },
      ...planNamespace({ maxInodes, maxDentries: Math.ceil(maxInodes * DENTRIES_PER_INODE) }),
    ]);
    this.#clock = clock;
    formatJournal(this.arena.region(JOURNAL), 1);
  }

  get namespace(): Namespace {
    assert(this.#namespace !== undefined, 'the tree is loaded before it is used');
    return this.#namespace;
  }

  get tables(): Tables {
    assert(this.#tables !== undefined, 'the tree is loaded before it is used');
    return this.#tables;
  }

  region(name: string): Uint8Array | undefined {
    return this.arena.names().includes(name) ? this.arena.region(name).u8 : undefined;
  }

  image(): { name: string; bytes: number }[] {
    this.tables.slab.flush();
    return [...this.namespace.image(), { name: SLAB, bytes: this.tables.slab.highWater() }];
  }

  format(): void {
    const region = this.arena.region(SLAB);
    SlabAllocator.format(region);
    const owner = { uid: process.getuid!(), gid: process.getgid!(), mode: ROOT_MODE };
    Namespace.format(this.arena, new SlabAllocator(region), { ...owner, now: this.#clock.now() });
    this.#formatted = true;
  }

  loaded(): void {
    this.#slab = new SlabAllocator(this.arena.region(SLAB));
    const journal = new JournalWriter(this.arena.region(JOURNAL));
    const options = { inlineLimit: INLINE_LIMIT_MAX, clock: this.#clock };
    this.#namespace = new Namespace(this.arena, this.#slab, journal, options);
    this.#tables = new Tables(this.arena, this.#slab);
    if (this.#formatted) return;
    this.#namespace.restored();
    rebuildSlab(this.#slab, (visit) => this.namespace.slabHandles(visit));
  }

  apply(
    type: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
  ): void {
    this.namespace.apply(type, u8, u32, f64, offset, length);
  }

  afterRecovery(): void {
    this.namespace.afterRecovery();
  }

  forEachObject(visit: ObjectVisitor): void {
    this.namespace.objects(visit);
  }
}

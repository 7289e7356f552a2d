/** The tree of a simulated store and the text vectors that its shard would hold: what checkpoint and log bring back. */
import { ObjectRedo } from '../../actors/io/object-redo.ts';
import type { Recoverable } from '../../actors/io/recovery.ts';
import { readSegments, SegmentWriter } from '../../actors/text-segment.ts';
import {
  Namespace,
  type NamespaceOptions,
  type ObjectVisitor,
  type ReplayObserver,
} from '../../fuse/namespace/namespace.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import { SPAN_BYTES } from '../../runtime/memory/size-classes.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import { HEADER_BYTES } from '../../runtime/memory/slab-layout.ts';
import { rebuildSlab } from '../../runtime/memory/slab-rebuild.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { JournalWriter, type Wakeable } from '../../runtime/storage/journal-ring.ts';

export interface TextOf {
  readonly generation: number;
  readonly bytes: Uint8Array;
}

export class SimulatedTree implements Recoverable, ReplayObserver {
  /** Text vectors by inode, as one shard that holds all of them has them. */
  readonly texts = new Map<number, TextOf>();
  /** Set when the segment of the checkpoint that was loaded could not be read. */
  segmentIsMissing = false;
  /** Path of that segment. */
  segment = '';
  readonly redo = new ObjectRedo();
  slab: SlabAllocator | undefined;
  namespace!: Namespace;
  readonly #arena: Arena;
  readonly #disk: Disk;
  readonly #options: NamespaceOptions;
  readonly #reader: Wakeable;
  #isFresh = false;

  constructor(arena: Arena, disk: Disk, options: NamespaceOptions, reader: Wakeable) {
    this.#arena = arena;
    this.#disk = disk;
    this.#options = options;
    this.#reader = reader;
  }

  region(name: string): Uint8Array | undefined {
    return this.#arena.names().includes(name) ? this.#arena.region(name).u8 : undefined;
  }

  image(): { name: string; bytes: number }[] {
    const slab = this.slab!;
    slab.flush();
    // Most stores here begin with a slab that is empty: not to read a span for its header alone is what counts.
    const bytes = slab.highWater() === SPAN_BYTES ? HEADER_BYTES : slab.highWater();
    return [...this.namespace.image(), { name: 'slab', bytes }];
  }

  format(): void {
    const slab = this.#arena.region('slab');
    SlabAllocator.format(slab);
    const now = this.#options.clock.now();
    Namespace.format(this.#arena, new SlabAllocator(slab), { uid: 0, gid: 0, mode: 0o755, now });
    this.#isFresh = true;
  }

  loaded(checkpointLsn: number): void {
    this.slab = new SlabAllocator(this.#arena.region('slab'));
    const journal = new JournalWriter(this.#arena.region('journal'), this.#reader);
    this.namespace = new Namespace(this.#arena, this.slab, journal, this.#options);
    if (this.#isFresh) return;
    this.namespace.restored();
    const { misfits } = rebuildSlab(this.slab, (visit) => this.namespace.slabHandles(visit));
    if (misfits > 0) throw new Error(`${misfits} references into the slab are wrong`);
    // The first checkpoint of a store has no segment.
    if (checkpointLsn === 0) return;
    this.segment = `vectors/${checkpointLsn.toString(16).padStart(14, '0')}-0.seg`;
    const isComplete = readSegments(
      this.#disk,
      checkpointLsn,
      0,
      1,
      (ino, generation, u8, offset, length) =>
        void this.texts.set(ino, { generation, bytes: u8.slice(offset, offset + length) }),
    );
    this.segmentIsMissing = !isComplete;
    if (!isComplete) this.texts.clear();
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
    this.namespace.afterRecovery(this);
    while (this.namespace.takeDropped() !== 0);
  }

  forEachObject(visit: ObjectVisitor): void {
    this.namespace.objects(visit);
  }

  indexed(
    ino: number,
    generation: number,
    _version: number,
    u8: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (start === end) this.texts.delete(ino);
    else this.texts.set(ino, { generation, bytes: u8.slice(start, end) });
  }

  objectWritten(object: number, position: number, u8: Uint8Array, start: number, end: number): void {
    this.redo.objectWritten(object, position, u8, start, end);
  }

  objectFlushed(object: number): void {
    this.redo.objectFlushed(object);
  }

  inodeFreed(ino: number, generation: number): void {
    if (this.texts.get(ino)?.generation === generation) this.texts.delete(ino);
  }

  /** As the shards do it before a checkpoint: 0 or −errno. */
  saveSegment(lsn: number): number {
    const writer = new SegmentWriter(this.#disk, lsn, 0, 1);
    for (const [ino, { generation, bytes }] of this.texts) writer.add(ino, generation, bytes);
    return writer.finish();
  }
}

/**
 * The tree: all names, attributes, small files' bytes and extended attributes, in shared tables (tables.ts is the
 * contract). Reading: inode-reader.ts, reader.ts. Changing: names and attributes in tree.ts and linux-changes.ts, the rest
 * here; all of it takes the lock, waits for room in the journal, runs the mutation (which checks), puts its record into the
 * journal and releases (transaction.ts). So the journal's order is the order of the mutations, and what a reader sees is in
 * the journal or about to be.
 *
 * Every changing call returns ≥ 0 or −errno; once the log has failed, the errno that stopped it.
 */
import { assert } from '../../runtime/assert.ts';
import type { Clock } from '../../runtime/clock.ts';
import { INLINE_LIMIT_MAX, TRANSACTION_MAX, XATTR_SIZE_MAX } from '../../runtime/config/bounds.ts';
import { E2BIG, EINVAL } from '../../runtime/errno.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import type { SlabAllocator } from '../../runtime/memory/slab.ts';
import { type JournalWriter, SPACE_ENOUGH } from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { BY_OTHERS } from './collections.ts';
import * as content from './content.ts';
import { NEEDS_OBJECT } from './content.ts';
import { formatNamespace } from './format.ts';
import * as images from './image.ts';
import * as inodes from './inodes.ts';
import { H_NEXT_OBJECT, I_LOOKUPS, I_MODE, I_NLINK, I_OBJECT, INODE_WORDS, ROOT } from './layout.ts';
import * as records from './records.ts';
import { AS_STORED, type ShownOwner } from './shown-owner.ts';
import { type HandleVisitor, handleRecords, slabHandles } from './slab-handles.ts';
import type { Survived, Survivors } from './survivors.ts';
import { Tables } from './tables.ts';
import { NamespaceChanges } from './transact.ts';
import { Transaction, type WhenBroken } from './transaction.ts';
import { nameBound } from './tree.ts';

export { AttrChanges } from './changes.ts';
export { type CollectionOptions, packOptions } from './collections.ts';
export { IS_OBJECT, NEEDS_OBJECT, XATTR_CREATE, XATTR_REPLACE } from './content.ts';
export { FileSnapshot } from './file-snapshot.ts';
export { ImageError, type ImagePart, type ObjectVisitor, type VectorVisitor } from './image.ts';
export { DirEntry } from './inode-reader.ts';
export { isCompressed, KEPT_PLAIN, PLAIN, planNamespace, ROOT, STORED_BLOCK } from './layout.ts';
export { RENAME_EXCHANGE, RENAME_NOREPLACE } from './mutations.ts';
export { RecordError } from './payload.ts';
export { type Collection, IndexState, type NamespaceUse, namespaceUse } from './reader.ts';
export type { ReplayObserver } from './records.ts';
export { Place } from './stored.ts';
export { type Survived, Survivors } from './survivors.ts';
export { endedOf } from './unnamed.ts';
export { VectorSnapshot } from './vector-snapshot.ts';
export { hasPublished, inspectNamespace, isBroken, type Wreck } from './wreck.ts';

export interface NamespaceOptions {
  /** Largest file kept in shared memory, bytes: 0 … 64 KiB. */
  readonly inlineLimit: number;
  readonly clock: Clock;
  /** By default 'refuse'. */
  readonly whenBroken?: WhenBroken;
  /** Numbers the changes of vectors in their order (see {@link Namespace.vectorStamp}); without it all are 0. */
  readonly stamp?: () => number;
  /** Default: as stored. */
  readonly shown?: ShownOwner;
}

export interface FormatOptions {
  /** Owner and permission bits of the root directory. */
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const NOTHING: Uint8Array = new Uint8Array(0);
const NO_OBSERVER: records.ReplayObserver = {};

export class Namespace extends NamespaceChanges {
  readonly #inlineLimit: number;

  /** Makes the regions an empty namespace: a root directory and nothing else. */
  static format(arena: Arena, slab: SlabAllocator, options: FormatOptions): void {
    formatNamespace(new Tables(arena, slab), options);
  }

  /** Over regions that were formatted or got an image's bytes back. One instance per thread. */
  constructor(arena: Arena, slab: SlabAllocator, journal: JournalWriter, options: NamespaceOptions) {
    const tables = new Tables(arena, slab);
    const transaction = new Transaction(tables, journal, options.clock, options.whenBroken ?? 'refuse');
    super(tables, transaction, options.stamp);
    assert(tables.formatted, 'the regions hold a namespace');
    assert(
      options.inlineLimit >= 0 && options.inlineLimit <= INLINE_LIMIT_MAX,
      'the inline limit is 0 to 64 KiB',
    );
    this.#inlineLimit = options.inlineLimit;
    tables.shown = options.shown ?? AS_STORED;
  }

  /**
   * Sets a file's size; `flags` is 0 or KILL_SUIDGID. NEEDS_OBJECT when an inline file would get too large. For a file
   * with an object the caller truncates that too, afterwards; size 0 drops the object instead (see takeDropped).
   */
  truncate(ino: number, size: number, flags = 0): number {
    const t = this.tables;
    if (!(size >= 0)) return -EINVAL;
    const refusal = this.transaction.begin(recordBytes(records.SIZE_BYTES), true);
    if (refusal !== 0) return refusal;
    try {
      if (size > this.#inlineLimit && this.#isInline(ino, size)) return this.transaction.end(NEEDS_OBJECT);
      const result = content.truncate(t, ino, size, flags);
      if (result < 0) return this.transaction.end(result);
      records.encodeSize(this.transaction.journal, t, records.TRUNCATE, ino, size, flags, 0);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** Whether growing to `size` would make an inline file longer. */
  #isInline(ino: number, size: number): boolean {
    const t = this.tables;
    if (!inodes.isLive(t, ino) || !inodes.isRegular(t, ino)) return false;
    return t.inode[ino * INODE_WORDS + I_OBJECT] === 0 && size > inodes.sizeOf(t, ino);
  }

  /** Writes into an inline file; `flags` is 0 or KILL_SUIDGID. Returns `length`, NEEDS_OBJECT or IS_OBJECT. */
  writeInline(ino: number, offset: number, u8: Uint8Array, start: number, length: number, flags = 0): number {
    const t = this.tables;
    if (length === 0) return 0;
    if (offset + length > this.#inlineLimit) return this.#whereTo(ino);
    const refusal = this.transaction.begin(recordBytes(records.SIZE_BYTES + length));
    if (refusal !== 0) return refusal;
    try {
      const result = content.write(t, ino, offset, u8, start, length, flags);
      if (result < 0) return this.transaction.end(result);
      records.encodeWrite(this.transaction.journal, t, ino, offset, u8, start, length, flags);
      this.transaction.commit();
      return this.transaction.end(result);
    } finally {
      this.transaction.release();
    }
  }

  /** The answer to a write beyond the inline limit. */
  #whereTo(ino: number): number {
    const state = this.readInline(ino, 0, 0, NOTHING, 0);
    return state === 0 ? NEEDS_OBJECT : state;
  }

  /** An object id nobody had before, from 1 on. */
  newObjectId(): number {
    const id = Atomics.add(this.tables.header, H_NEXT_OBJECT, 1);
    assert(id > 0 && id <= content.OBJECT_MAX, 'object ids are not used up');
    return id;
  }

  /** The file's `size` bytes are in object `id` from now on. The caller has written them there. */
  attachObject(ino: number, id: number, size: number, flags = 0): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(records.SIZE_BYTES));
    if (refusal !== 0) return refusal;
    try {
      const result = content.attach(t, ino, id, size, flags);
      if (result < 0) return this.transaction.end(result);
      records.encodeSize(this.transaction.journal, t, records.ATTACH, ino, size, flags, id);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** Bytes before `endOffset` were written to the file's object; u8[start, start + length) are for the log, to vouch for. */
  wroteObject(ino: number, endOffset: number, flags = 0, u8 = NOTHING, start = 0, length = 0): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(records.SIZE_BYTES + length), true);
    if (refusal !== 0) return refusal;
    try {
      const result = content.extend(t, ino, endOffset, flags);
      if (result < 0) return this.transaction.end(result);
      records.encodeExtend(this.transaction.journal, t, ino, endOffset, flags, u8, start, length);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** setxattr(2); errors as in content.ts. Returns the id of the collection whose vector was set, 0 = it is no vector. */
  setxattr(
    ino: number,
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    flags: number,
  ): number {
    const t = this.tables;
    if (valueEnd - valueStart > XATTR_SIZE_MAX) return -E2BIG;
    const bytes = nameBound(nameEnd - nameStart) + valueEnd - valueStart;
    const refusal = this.transaction.begin(recordBytes(records.SETXATTR_BYTES + bytes));
    if (refusal !== 0) return refusal;
    try {
      const id = content.setxattr(t, ino, name, nameStart, nameEnd, value, valueStart, valueEnd, flags);
      if (id < 0) return this.transaction.end(id);
      records.encodeSetxattr(
        this.transaction.journal,
        t,
        ino,
        name,
        nameStart,
        nameEnd,
        value,
        valueStart,
        valueEnd,
        flags & ~BY_OTHERS,
      );
      if (id > 0) this.stampVector();
      this.transaction.commit();
      return this.transaction.end(id);
    } finally {
      this.transaction.release();
    }
  }

  /** removexattr(2). Returns the id of the collection whose vector is gone, 0 = it was no vector. */
  removexattr(ino: number, name: Uint8Array, nameStart: number, nameEnd: number): number {
    const t = this.tables;
    const refusal = this.transaction.begin(
      recordBytes(records.REMOVEXATTR_BYTES + nameBound(nameEnd - nameStart)),
      true,
    );
    if (refusal !== 0) return refusal;
    try {
      const id = content.removexattr(t, ino, name, nameStart, nameEnd);
      if (id < 0) return this.transaction.end(id);
      records.encodeRemovexattr(this.transaction.journal, t, ino, name, nameStart, nameEnd);
      if (id > 0) this.stampVector();
      this.transaction.commit();
      return this.transaction.end(id);
    } finally {
      this.transaction.release();
    }
  }

  /**
   * The index has seen `version` of the file: `status` and `chunks` are kept, the vectors u8[start, end) only go into
   * the log, for whoever replays it. ESTALE when the inode is no longer that file, E2BIG over 512 KiB.
   */
  setIndexed(
    ino: number,
    generation: number,
    version: number,
    chunks: number,
    status: number,
    u8: Uint8Array,
    start: number,
    end: number,
  ): number {
    const t = this.tables;
    const bytes = recordBytes(records.INDEXED_BYTES + end - start);
    if (bytes > TRANSACTION_MAX) return -E2BIG;
    // Without vectors it says that they are to be made, for which there will be room.
    const refusal = this.transaction.begin(bytes, end === start);
    if (refusal !== 0) return refusal;
    try {
      const result = content.setIndexed(t, ino, generation, version, status, chunks);
      if (result < 0) return this.transaction.end(result);
      records.encodeIndexed(
        this.transaction.journal,
        t,
        ino,
        generation,
        version,
        status,
        chunks,
        u8,
        start,
        end,
      );
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /**
   * The kernel was given the inode `n` more times. Any thread. The caller knows that the inode lives meanwhile: the
   * kernel does not remove a name while it looks it up.
   */
  addLookup(ino: number, n: number): void {
    Atomics.add(this.tables.inode, ino * INODE_WORDS + I_LOOKUPS, n);
  }

  /** The kernel gives `n` of them back. Any thread. 1 if that freed the inode (nobody names it any more), else 0. */
  forget(ino: number, n: number): number {
    const t = this.tables;
    const at = ino * INODE_WORDS;
    if (ino === ROOT || !inodes.isLive(t, ino)) return 0;
    const before = Atomics.sub(t.inode, at + I_LOOKUPS, n);
    assert(before >= n, 'the kernel forgets what it was given');
    if (before !== n || Atomics.load(t.inode, at + I_NLINK) !== 0) return 0;
    this.transaction.beginUnlogged();
    try {
      const isGone =
        t.inode[at + I_MODE] !== 0 &&
        t.inode[at + I_NLINK] === 0 &&
        Atomics.load(t.inode, at + I_LOOKUPS) === 0;
      if (isGone) this.free(ino);
      return this.transaction.end(isGone ? 1 : 0);
    } finally {
      this.transaction.release();
    }
  }

  /** While the disk has no room for it, what would grow is refused with ENOSPC: what writes elsewhere before it is logged looks here first. */
  get isLowOnSpace(): boolean {
    return this.transaction.journal.space !== SPACE_ENOUGH;
  }

  /** An object nothing refers to any more since a call of this instance; 0 = no more. Delete it after the next commit. */
  takeDropped(): number {
    return this.tables.dropped.pop() ?? 0;
  }

  // Recovery and checkpoint: one thread, before the first request or after the last.

  /** After an image was put back and before {@link apply}. Throws ImageError when it does not fit. */
  restored(): void {
    images.restored(this.tables);
  }

  /** Replays one committed record. Throws RecordError when it is not one of ours or does not fit. */
  apply(
    type: number,
    u8: Uint8Array,
    u32: Uint32Array,
    f64: Float64Array,
    offset: number,
    length: number,
    observer: records.ReplayObserver = NO_OBSERVER,
  ): void {
    records.apply(this.tables, observer, type, u8, u32, f64, offset, length);
  }

  /** Ends recovery: frees what nobody names (objects by {@link takeDropped}), makes the free lists. Repeatable. */
  afterRecovery(observer: records.ReplayObserver = NO_OBSERVER): void {
    images.afterRecovery(this.tables, observer);
  }

  // Made anew beside a kernel that goes on (survivors.ts): one thread, while no other has the tree.

  /** After the image was put back by `survivors`, in place of {@link restored}; throws as that. */
  restoredBy(survivors: Survivors): void {
    images.restored(this.tables);
    survivors.keepClosed(this.tables);
  }

  /** In place of {@link afterRecovery}, once: what the kernel holds lives on, and the tables take changes again. */
  survivedBy(survivors: Survivors, observer: records.ReplayObserver): Survived {
    return survivors.finish(this.tables, observer);
  }

  /** The vector xattrs of an inode, none if it has no name. Not beside live requests. */
  vectorsOf(ino: number, visit: images.VectorVisitor): void {
    images.vectorsOf(this.tables, ino, visit);
  }

  /** Whether a call threw midway, or its thread ended: no checkpoint may be made of these tables; the log is what counts. */
  get broken(): boolean {
    return this.transaction.broken;
  }

  /** The regions' prefixes that a checkpoint copies, beside the slab. */
  image(): images.ImagePart[] {
    return images.image(this.tables);
  }

  /** Every object in use: what is not among them is an orphan, a plain one that is longer than its file is to be cut. */
  objects(visit: images.ObjectVisitor): void {
    images.objects(this.tables, visit);
  }

  /** Every vector xattr of a file that has a name. */
  vectors(visit: images.VectorVisitor): void {
    images.vectors(this.tables, visit);
  }

  /**
   * Every slab block that the tables refer to, or those of the records `from` up to `to` of {@link slabRecords}. In any
   * thread at any time: slab-handles.ts says what it is worth then.
   */
  slabHandles(visit: HandleVisitor, from?: number, to?: number): void {
    slabHandles(this.tables, visit, from, to);
  }

  get slabRecords(): number {
    return handleRecords(this.tables);
  }

  /** The next object id; persisted with the image and raised by replay. */
  get nextObjectId(): number {
    return Atomics.load(this.tables.header, H_NEXT_OBJECT);
  }
}

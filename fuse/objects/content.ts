/**
 * The bytes of regular files, wherever they live: inline in the namespace up to its limit, in an object file above
 * it. One instance per thread; changes to one inode are serialised by {@link DataLocks}, readers take no lock.
 *
 * What an object file holds past its inode's size does not count and may be anything: a write that never got its
 * journal record, or what a truncate left (cutting would destroy data that a crash may bring back with the old
 * size). Hence the one rule: before a size grows, the gap that becomes part of the file, and nothing else, is zeroed.
 *
 * Small writes to a file that is synced again and again go into the log as well, which then vouches for them alone: a recovery
 * writes them to the object once more (actors/io/object-redo.ts). Any other change of an object's bytes is followed by a record
 * that says so, and the object is made durable before that record is.
 *
 * An object that was left alone for a while has checksums (namespace/sums.ts). Reading compares with them; whoever changes the bytes
 * first waits until the log says durably that they no longer count.
 *
 * An object may be compressed (compressed-format.ts). It is only read: whoever changes the bytes makes it plain first, that
 * is, makes a plain object of it that takes its place. Both directions change nothing of the file but where its bytes are.
 *
 * Positions and sizes are bytes, at most FILE_SIZE_MAX. Results are ≥ 0 or −errno.
 */
import { FILE_SIZE_MAX, INLINE_LIMIT_MAX } from '../../runtime/config/bounds.ts';
import { EEXIST, EFBIG, EINVAL, EIO, EISDIR, ENOSPC, ENXIO, ESTALE } from '../../runtime/errno.ts';
import {
  IS_OBJECT,
  isCompressed,
  type Namespace,
  NEEDS_OBJECT,
  PLAIN,
  Place,
} from '../namespace/namespace.ts';
import { S_IFDIR, S_IFMT, S_IFREG, SEEK_DATA } from '../protocol/abi.ts';
import { Attr } from '../protocol/attr.ts';
import type { Compressed } from './compress.ts';
import { CompressedObjects } from './compressed-objects.ts';
import { ContentReads } from './content-reads.ts';
import type { DataLocks } from './data-locks.ts';
import type { LastReads } from './last-reads.ts';
import type { ObjectFiles } from './object-files.ts';
import type { PassedFiles } from './passed-files.ts';
import type { StagedSums } from './staged-sums.ts';
import type { Summed } from './summed-objects.ts';
import type { SyncHabits } from './sync-habits.ts';

const ZEROS = new Uint8Array(INLINE_LIMIT_MAX);

/** What the owner of durability must hear of. */
export interface ObjectEvents {
  /** The object has `bytes` more, as far as known, that no fsync has made durable. */
  objectDirty(id: number, bytes?: number): void;
  /** The object has bytes that the log makes durable, until their log is given up. */
  objectLogged(id: number): void;
  /** No inode refers to the object any more: delete its file once the journal says so durably. */
  objectDropped(id: number): void;
  /** What is read of the file from `position` on is EIO: the host says so, or a checksum does not agree. */
  objectDamaged(ino: number, id: number, position: number): void;
}

export interface ContentOptions {
  /** Which files are synced again and again. */
  readonly habits: SyncHabits;
  /** Bytes of compressed objects that are kept expanded; at least one piece is. */
  readonly cacheBytes?: number;
  /** When files were read last, for whoever wants to know. */
  readonly reads?: LastReads;
  /** Where checksums come from, and that they must not come of bytes whose writing has failed. */
  readonly staged: StagedSums;
  /** Where the kernel may read and write files by itself. */
  readonly passed?: PassedFiles | undefined;
}

export class Content {
  readonly passed: PassedFiles | undefined;
  readonly #namespace: Namespace;
  readonly #objects: ObjectFiles;
  readonly #compressed: CompressedObjects;
  readonly #reads: ContentReads;
  readonly #staged: StagedSums;
  readonly #locks: DataLocks;
  readonly #events: ObjectEvents;
  readonly #habits: SyncHabits;
  readonly #attr = new Attr();
  readonly #place = new Place();
  /** Inline content on its way into an object. */
  readonly #inline = new Uint8Array(INLINE_LIMIT_MAX);

  constructor(
    namespace: Namespace,
    objects: ObjectFiles,
    locks: DataLocks,
    events: ObjectEvents,
    { habits, cacheBytes = 0, reads, passed, staged }: ContentOptions,
  ) {
    this.#namespace = namespace;
    this.#objects = objects;
    this.#compressed = new CompressedObjects(objects, cacheBytes);
    this.#reads = new ContentReads(namespace, objects, this.#compressed, events, reads);
    this.#staged = staged;
    this.#locks = locks;
    this.#events = events;
    this.#habits = habits;
    this.passed = passed;
  }

  /** Copies up to `length` bytes to `u8[at]`; fewer only at the end of the file. */
  read(ino: number, position: number, length: number, u8: Uint8Array, at: number): number {
    this.passed?.refresh(ino);
    return this.#reads.read(ino, position, length, u8, at);
  }

  /** Size of a regular file, or −errno. */
  size(ino: number): number {
    const failed = this.#namespace.stat(ino, this.#attr);
    if (failed < 0) return failed;
    const type = this.#attr.mode & S_IFMT;
    if (type === S_IFREG) return this.#attr.size;
    return type === S_IFDIR ? -EISDIR : -EINVAL;
  }

  /** What the host has allocated for a plain object, bytes; or −errno. */
  allocated(object: number): number {
    return this.#objects.allocated(object);
  }

  /** Bytes written. `flags` as in `Namespace.writeInline`: what the write does to privileges and times. */
  write(ino: number, position: number, u8: Uint8Array, start: number, length: number, flags: number): number {
    if (position + length > FILE_SIZE_MAX) return -EFBIG;
    if (this.#namespace.isLowOnSpace) return -ENOSPC;
    this.#locks.lock(ino);
    try {
      if (this.passed?.has(ino)) return this.passed.write(ino, position, u8, start, length, flags);
      const inline = this.#namespace.writeInline(ino, position, u8, start, length, flags);
      if (inline === IS_OBJECT) return this.#writeObject(ino, position, u8, start, length, flags);
      if (inline === NEEDS_OBJECT) return this.#promote(ino, position, u8, start, length, 0, flags);
      return inline;
    } finally {
      this.#locks.unlock(ino);
    }
  }

  /** `flags` is 0 or KILL_SUIDGID. */
  truncate(ino: number, size: number, flags: number): number {
    if (size > FILE_SIZE_MAX) return -EFBIG;
    this.#locks.lock(ino);
    try {
      return this.#resize(ino, size, flags);
    } finally {
      this.#locks.unlock(ino);
    }
  }

  /** posix_fallocate: the file is at least `end` bytes long afterwards; the host allocates when data comes. */
  allocate(ino: number, end: number, flags = 0): number {
    if (end > FILE_SIZE_MAX) return -EFBIG;
    this.#locks.lock(ino);
    try {
      this.passed?.settle(ino);
      const size = this.size(ino);
      if (size < 0 || end <= size) return Math.min(size, 0);
      return this.#namespace.isLowOnSpace ? -ENOSPC : this.#resize(ino, end, flags);
    } finally {
      this.#locks.unlock(ino);
    }
  }

  /** Makes [start, end), as far as it lies within the file, read as zeros. */
  zero(ino: number, start: number, end: number, flags = 0): number {
    this.#locks.lock(ino);
    try {
      this.passed?.settle(ino);
      const size = this.size(ino);
      if (size < 0 || start >= size) return Math.min(size, 0);
      return this.#zeroWithin(ino, start, Math.min(end, size), flags);
    } finally {
      this.#locks.unlock(ino);
    }
  }

  /** After a write: whether an fsync is to be expected next, by what was done before. */
  isSyncExpected(ino: number): boolean {
    return this.#habits.wrote(ino);
  }

  /** Somebody wants the file durable, and will again. */
  synced(ino: number): void {
    this.#habits.synced(ino);
  }

  /**
   * Where data (SEEK_DATA) or a hole (SEEK_HOLE) begins from `offset` on; the end of the file counts as a hole. −ENXIO:
   * `offset` is not within the file, or there is no more data.
   */
  seek(ino: number, offset: number, whence: number): number {
    this.passed?.refresh(ino);
    const failed = this.size(ino);
    if (failed < 0) return failed;
    const place = this.#place;
    if (this.#namespace.locate(ino, place) < 0) return -ESTALE;
    const { object, size, stored } = place;
    if (offset >= size) return -ENXIO;
    if (object === 0 || isCompressed(stored)) return whence === SEEK_DATA ? offset : size;
    const found = this.#objects.seek(object, offset, whence);
    // The object's file ends before `offset`.
    if (found === -ENXIO) return whence === SEEK_DATA ? found : offset;
    return whence === SEEK_DATA && found >= size ? -ENXIO : Math.min(found, size);
  }

  /**
   * An object was compressed (compress.ts): from now on the file's bytes are there, if they are still those that it was made
   * of. 0, or −errno, ESTALE if they are not; then the compressed object is given up.
   */
  compressed({ ino, generation, version, from, to, stored }: Compressed): number {
    this.#locks.lock(ino);
    let done = -ESTALE;
    try {
      const place = this.#place;
      const isKnown = this.#namespace.locate(ino, place) === 0 && !this.passed?.has(ino);
      // With the lock, nobody is between writing to the object and saying so.
      if (isKnown && place.generation === generation && place.version === version && place.object === from) {
        if (to !== from) this.#events.objectDirty(to);
        done = this.#namespace.placeObject(ino, from, to, stored);
      }
    } finally {
      this.#locks.unlock(ino);
    }
    if (done < 0 && to !== from) this.#giveUp(to);
    this.passOnDropped();
    return done;
  }

  /**
   * The checksums of an object were taken (summed-objects.ts): from now on the file has them, if its bytes are still those that they
   * are of. 0, or −errno, ESTALE if they are not.
   */
  summed({ ino, generation, version, object, spoils, sums }: Summed): number {
    this.#locks.lock(ino);
    try {
      const place = this.#place;
      if (this.#namespace.locate(ino, place) < 0 || this.passed?.has(ino)) return -ESTALE;
      const isSame = place.generation === generation && place.version === version && place.object === object;
      // With the lock, nobody is between writing to the object and saying so, or that it has failed.
      if (!isSame || this.#staged.spoils !== spoils) return -ESTALE;
      this.#events.objectDirty(object);
      return this.#namespace.setSums(ino, object, sums, 0, sums.length / 4);
    } finally {
      this.#locks.unlock(ino);
    }
  }

  /** A change of an object has failed, and may have changed some of it. */
  #failed(result: number): number {
    this.#staged.spoil();
    return result;
  }

  /** Objects that the namespace gave up since the last call are passed on. After unlink, rename, forget. */
  passOnDropped(): void {
    for (let id = this.#namespace.takeDropped(); id !== 0; id = this.#namespace.takeDropped()) {
      this.#giveUp(id);
    }
  }

  #giveUp(id: number): void {
    this.#objects.forget(id);
    this.#compressed.forget(id);
    this.#events.objectDropped(id);
  }

  /** An object that nobody refers to yet, with an empty file; or −errno. */
  #newObject(): number {
    if (this.#namespace.isLowOnSpace) return -ENOSPC;
    for (;;) {
      const id = this.#namespace.newObjectId();
      const made = this.#objects.create(id);
      if (made >= 0) return id;
      // Taken by a compressed object that nobody has heard of yet, while the tables were made anew.
      if (made === -EEXIST) continue;
      this.#giveUp(id);
      return made;
    }
  }

  /**
   * The object that a file's bytes are in, plain and without checksums, 0 = it has none; or −errno. Before a change of it, with
   * the lock of the file's data.
   */
  #plainObject(ino: number): number {
    const place = this.#place;
    if (this.#namespace.locate(ino, place) < 0) return 0;
    const { object, size, stored, hasSums } = place;
    if (hasSums) return this.#namespace.endSums(ino, object) || object;
    if (!isCompressed(stored)) return object;
    const id = this.#newObject();
    if (id < 0) return id;
    let done = this.#compressed.writeTo(object, size, id);
    if (done >= 0) {
      this.#events.objectDirty(id);
      done = this.#namespace.placeObject(ino, object, id, PLAIN);
    }
    if (done < 0) this.#giveUp(id);
    this.passOnDropped();
    return done < 0 ? done : id;
  }

  #writeObject(
    ino: number,
    position: number,
    u8: Uint8Array,
    start: number,
    length: number,
    flags: number,
  ): number {
    const id = this.#plainObject(ino);
    if (id < 0) return id;
    const size = this.size(ino);
    if (size < 0) return size;
    if (position > size) {
      const zeroed = this.#objects.zero(id, size, position);
      if (zeroed < 0) return this.#failed(zeroed);
    }
    // A gap was zeroed in the object only: what depends on that is not for the log.
    const isLogged = position <= size && this.#habits.take(ino, length);
    const written = this.#objects.write(id, position, u8, start, length);
    if (written < 0) return this.#failed(written);
    if (isLogged) this.#events.objectLogged(id);
    else this.#events.objectDirty(id, Math.max(0, written));
    const end = position + written;
    const recorded = this.#namespace.wroteObject(ino, end, flags, u8, start, isLogged ? written : 0);
    return recorded < 0 ? recorded : written;
  }

  /**
   * Moves an inline file into a new object, together with the write that made it too large (`length` may be 0) or
   * the size it grows to. Nothing refers to the object before attachObject, so a failure only leaves an orphan.
   */
  #promote(
    ino: number,
    position: number,
    u8: Uint8Array,
    start: number,
    length: number,
    grown: number,
    flags: number,
  ): number {
    const size = this.size(ino);
    if (size < 0) return size;
    const inline = this.#namespace.readInline(ino, 0, size, this.#inline, 0);
    if (inline !== size) return inline < 0 && inline !== IS_OBJECT ? inline : -EIO;
    const id = this.#newObject();
    if (id < 0) return id;
    let done = 0;
    if (size > 0) done = this.#objects.write(id, 0, this.#inline, 0, size);
    if (done >= 0 && length > 0) done = this.#objects.write(id, position, u8, start, length);
    if (done >= 0) {
      // Before the record that depends on it: a commit makes durable what it has heard of.
      this.#events.objectDirty(id);
      const end = length > 0 ? position + length : grown;
      done = this.#namespace.attachObject(ino, id, Math.max(size, end), flags);
    }
    if (done < 0) {
      this.#giveUp(id);
      return done;
    }
    return length;
  }

  #resize(ino: number, size: number, flags: number): number {
    if (this.passed?.has(ino)) return this.passed.resize(ino, size, flags);
    const id = size > 0 ? this.#plainObject(ino) : 0;
    if (id < 0) return id;
    if (id > 0) {
      const old = this.size(ino);
      if (old < 0) return old;
      if (size > old) {
        const zeroed = this.#objects.zero(id, old, size);
        if (zeroed < 0) return this.#failed(zeroed);
        this.#events.objectDirty(id);
      }
    }
    const done = this.#namespace.truncate(ino, size, flags);
    if (done === NEEDS_OBJECT) return this.#promote(ino, 0, this.#inline, 0, 0, size, flags);
    this.passOnDropped();
    return done;
  }

  #zeroWithin(ino: number, start: number, end: number, flags: number): number {
    if (this.passed?.has(ino)) return this.passed.zero(ino, start, end, flags);
    const id = this.#plainObject(ino);
    if (id < 0) return id;
    if (id > 0) {
      const failed = this.#objects.zero(id, start, end);
      if (failed < 0) return this.#failed(failed);
      this.#events.objectDirty(id);
      return this.#namespace.wroteObject(ino, end, flags);
    }
    const written = this.#namespace.writeInline(ino, start, ZEROS, 0, end - start, flags);
    if (written === NEEDS_OBJECT) return this.#promote(ino, start, ZEROS, 0, end - start, 0, flags);
    return Math.min(written, 0);
  }
}

/**
 * The bytes of regular files, wherever they live: inline in the namespace up to its limit, in an object file above
 * it. One instance per thread; changes to one inode are serialised by {@link DataLocks}, readers take no lock.
 *
 * What an object file holds past its inode's size does not count and may be anything: a write that never got its
 * journal record, or what a truncate left (cutting would destroy data that a crash may bring back with the old
 * size). Hence the one rule: before a size grows, the gap that becomes part of the file, and nothing else, is zeroed.
 *
 * Positions and sizes are bytes, at most FILE_SIZE_MAX. Results are ≥ 0 or −errno.
 */
import { FILE_SIZE_MAX, INLINE_LIMIT_MAX } from '../../runtime/config/bounds.ts';
import { EFBIG, EINVAL, EIO, EISDIR, ENXIO } from '../../runtime/errno.ts';
import { IS_OBJECT, type Namespace, NEEDS_OBJECT } from '../namespace/namespace.ts';
import { S_IFDIR, S_IFMT, S_IFREG, SEEK_DATA } from '../protocol/abi.ts';
import { Attr } from '../protocol/attr.ts';
import type { DataLocks } from './data-locks.ts';
import type { ObjectFiles } from './object-files.ts';

const ZEROS = new Uint8Array(INLINE_LIMIT_MAX);

/** What the owner of durability must hear of. */
export interface ObjectEvents {
  /** The object has bytes that no fsync has made durable. */
  objectDirty(id: number): void;
  /** No inode refers to the object any more: delete its file once the journal says so durably. */
  objectDropped(id: number): void;
}

export class Content {
  readonly #namespace: Namespace;
  readonly #objects: ObjectFiles;
  readonly #locks: DataLocks;
  readonly #events: ObjectEvents;
  readonly #attr = new Attr();
  /** Inline content on its way into an object. */
  readonly #inline = new Uint8Array(INLINE_LIMIT_MAX);

  constructor(namespace: Namespace, objects: ObjectFiles, locks: DataLocks, events: ObjectEvents) {
    this.#namespace = namespace;
    this.#objects = objects;
    this.#locks = locks;
    this.#events = events;
  }

  /** Copies up to `length` bytes to `u8[at]`; fewer only at the end of the file. */
  read(ino: number, position: number, length: number, u8: Uint8Array, at: number): number {
    for (;;) {
      const inline = this.#namespace.readInline(ino, position, length, u8, at);
      if (inline !== IS_OBJECT) return inline;
      const size = this.size(ino);
      if (size < 0) return size;
      if (position >= size) return 0;
      const id = this.#namespace.objectOf(ino);
      if (id === 0) continue;
      const got = this.#objects.read(id, position, Math.min(length, size - position), u8, at);
      // Unless a truncate dropped the object meanwhile: its file may be gone, or cut, already.
      if (this.#namespace.objectOf(ino) === id) return got;
    }
  }

  /** Size of a regular file, or −errno. */
  size(ino: number): number {
    const failed = this.#namespace.stat(ino, this.#attr);
    if (failed < 0) return failed;
    const type = this.#attr.mode & S_IFMT;
    if (type === S_IFREG) return this.#attr.size;
    return type === S_IFDIR ? -EISDIR : -EINVAL;
  }

  /** Bytes written. `flags` as in `Namespace.writeInline`: what the write does to privileges and times. */
  write(ino: number, position: number, u8: Uint8Array, start: number, length: number, flags: number): number {
    if (position + length > FILE_SIZE_MAX) return -EFBIG;
    this.#locks.lock(ino);
    try {
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
      const size = this.size(ino);
      if (size < 0 || end <= size) return Math.min(size, 0);
      return this.#resize(ino, end, flags);
    } finally {
      this.#locks.unlock(ino);
    }
  }

  /** Makes [start, end), as far as it lies within the file, read as zeros. */
  zero(ino: number, start: number, end: number, flags = 0): number {
    this.#locks.lock(ino);
    try {
      const size = this.size(ino);
      if (size < 0 || start >= size) return Math.min(size, 0);
      return this.#zeroWithin(ino, start, Math.min(end, size), flags);
    } finally {
      this.#locks.unlock(ino);
    }
  }

  /**
   * Where data (SEEK_DATA) or a hole (SEEK_HOLE) begins from `offset` on; the end of the file counts as a hole. −ENXIO:
   * `offset` is not within the file, or there is no more data.
   */
  seek(ino: number, offset: number, whence: number): number {
    const size = this.size(ino);
    if (size < 0) return size;
    if (offset >= size) return -ENXIO;
    const id = this.#namespace.objectOf(ino);
    if (id === 0) return whence === SEEK_DATA ? offset : size;
    const found = this.#objects.seek(id, offset, whence);
    // The object's file ends before `offset`.
    if (found === -ENXIO) return whence === SEEK_DATA ? found : offset;
    return whence === SEEK_DATA && found >= size ? -ENXIO : Math.min(found, size);
  }

  /** Objects that the namespace gave up since the last call are passed on. After unlink, rename, forget. */
  passOnDropped(): void {
    for (let id = this.#namespace.takeDropped(); id !== 0; id = this.#namespace.takeDropped()) {
      this.#objects.forget(id);
      this.#events.objectDropped(id);
    }
  }

  #writeObject(
    ino: number,
    position: number,
    u8: Uint8Array,
    start: number,
    length: number,
    flags: number,
  ): number {
    const id = this.#namespace.objectOf(ino);
    const size = this.size(ino);
    if (size < 0) return size;
    if (position > size) {
      const zeroed = this.#objects.zero(id, size, position);
      if (zeroed < 0) return zeroed;
    }
    const written = this.#objects.write(id, position, u8, start, length);
    if (written < 0) return written;
    this.#events.objectDirty(id);
    const recorded = this.#namespace.wroteObject(ino, position + written, flags);
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
    const id = this.#namespace.newObjectId();
    let done = this.#objects.create(id);
    if (done >= 0 && size > 0) done = this.#objects.write(id, 0, this.#inline, 0, size);
    if (done >= 0 && length > 0) done = this.#objects.write(id, position, u8, start, length);
    if (done >= 0) {
      // Before the record that depends on it: a commit makes durable what it has heard of.
      this.#events.objectDirty(id);
      const end = length > 0 ? position + length : grown;
      done = this.#namespace.attachObject(ino, id, Math.max(size, end), flags);
    }
    if (done < 0) {
      this.#objects.forget(id);
      this.#events.objectDropped(id);
      return done;
    }
    return length;
  }

  #resize(ino: number, size: number, flags: number): number {
    const id = this.#namespace.objectOf(ino);
    if (id > 0) {
      const old = this.size(ino);
      if (old < 0) return old;
      if (size > old) {
        const zeroed = this.#objects.zero(id, old, size);
        if (zeroed < 0) return zeroed;
        this.#events.objectDirty(id);
      }
    }
    const done = this.#namespace.truncate(ino, size, flags);
    if (done === NEEDS_OBJECT) return this.#promote(ino, 0, this.#inline, 0, 0, size, flags);
    this.passOnDropped();
    return done;
  }

  #zeroWithin(ino: number, start: number, end: number, flags: number): number {
    const id = this.#namespace.objectOf(ino);
    if (id > 0) {
      const failed = this.#objects.zero(id, start, end);
      if (failed < 0) return failed;
      this.#events.objectDirty(id);
      return this.#namespace.wroteObject(ino, end, flags);
    }
    const written = this.#namespace.writeInline(ino, start, ZEROS, 0, end - start, flags);
    if (written === NEEDS_OBJECT) return this.#promote(ino, start, ZEROS, 0, end - start, 0, flags);
    return Math.min(written, 0);
  }
}

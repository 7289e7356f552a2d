/**
 * Files that the kernel reads and writes by itself (passthrough, Linux 6.9): what an OPEN is answered, and how the tables keep up
 * with objects that are changed past us. One instance per thread, over open-files.ts.
 *
 * 1. A file whose bytes are in a plain object is passed through if nobody has it open otherwise, and then for everybody
 *    until the last one has closed it, and a while longer: who opens it again finds everything done. Meanwhile it keeps its
 *    object, which is as long as the file at any moment: what lies behind the end of it is cut before the first open, and
 *    changes that come as requests keep the length in step.
 * 2. Before the first byte goes past us, or the object is cut, the log says durably that the object's length and time
 *    count (namespace/passed.ts). So whatever the host filesystem has kept after a crash is the file: an O_SYNC write that
 *    we never hear of survives, and no cut undoes what a shorter log would bring back.
 * 3. The tables follow when they are asked for ({@link refresh}: attributes, fsync, a change), at each close by a writer, and
 *    after a while (main sends REFRESH_PASSED). What changed is then a record, and a file to be indexed.
 * 4. An fsync makes the object durable, and so does the end of it, before the record that its length no longer counts. In
 *    between that is left to the host filesystem, as it would be without us: the records depend on nothing in the object.
 *
 * Results are ≥ 0 or −errno.
 */
import { ESTALE } from '../../runtime/errno.ts';
import type { OpenStatus } from '../../runtime/storage/disk.ts';
import { KILL_SUIDGID } from '../namespace/changes.ts';
import { APPEND_ONLY, IMMUTABLE } from '../namespace/inode-flags.ts';
import { isCompressed, type Namespace, Place } from '../namespace/namespace.ts';
import { BYTES_CHANGED, LENGTH_COUNTS, PRIVILEGES_END, TIME_CHANGED } from '../namespace/passed.ts';
import { FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, FOPEN_PASSTHROUGH } from '../protocol/abi.ts';
import { Attr } from '../protocol/attr.ts';
import type { Backing } from '../session/backing.ts';
import type { DataLocks } from './data-locks.ts';
import type { LastReads } from './last-reads.ts';
import type { ObjectFiles } from './object-files.ts';
import { NO_ROW, type OpenFiles } from './open-files.ts';

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
/** Two changes within this may have one time: the ticks of kernels without finer ones (before 6.13), with some to spare, ms. */
const TICK_MS = 20;

export interface PassedParts {
  readonly namespace: Namespace;
  readonly objects: ObjectFiles;
  readonly locks: DataLocks;
  readonly openFiles: OpenFiles;
  readonly backing: Backing;
  readonly reads?: LastReads;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly events: {
    objectDirty(id: number): void;
    contentChanged(ino: number): void;
    forgetInode(lo: number, hi: number): void;
  };
}

export class PassedFiles {
  /** Of the last {@link open}: 0 = the file is not passed through. */
  backingId = 0;
  readonly #parts: PassedParts;
  readonly #open: OpenFiles;
  readonly #place = new Place();
  readonly #attr = new Attr();

  constructor(parts: PassedParts) {
    this.#parts = parts;
    this.#open = parts.openFiles;
  }

  has(ino: number): boolean {
    return this.#open.rowOf(ino) !== NO_ROW;
  }

  /** Counts an open, to be answered with these FOPEN flags and {@link backingId}; `writes` as its access mode says. */
  open(ino: number, writes: boolean): number {
    this.#parts.locks.lock(ino);
    try {
      return this.#openLocked(ino, writes);
    } finally {
      this.#parts.locks.unlock(ino);
    }
  }

  #openLocked(ino: number, writes: boolean): number {
    const { namespace, reads } = this.#parts;
    const place = this.#place;
    this.backingId = 0;
    if (namespace.locate(ino, place) < 0) return -ESTALE;
    const isFirst = this.#open.opens(ino) === 0;
    if (isFirst && this.#open.rowOf(ino) === NO_ROW) this.#begin(ino, place, writes);
    const row = this.#open.rowOf(ino);
    this.#open.opened(ino);
    // Pages of a file that was passed through meanwhile may be old; one that is inline was not since it is.
    if (row === NO_ROW) return place.object === 0 ? FOPEN_KEEP_CACHE : 0;
    reads?.note(ino);
    this.backingId = this.#open.backingOf(row);
    const isDirect = writes && (this.#isGuarded(ino) || this.#mark(ino, row) < 0);
    return isDirect ? FOPEN_PASSTHROUGH | FOPEN_DIRECT_IO : FOPEN_PASSTHROUGH;
  }

  /** Whether each change is to be looked at before it is made. */
  #isGuarded(ino: number): boolean {
    const { namespace } = this.#parts;
    const flags = namespace.flags(ino);
    return flags < 0 || (flags & (IMMUTABLE | APPEND_ONLY)) !== 0 || this.#hasPrivileges(ino);
  }

  #hasPrivileges(ino: number): boolean {
    const isKnown = this.#parts.namespace.stat(ino, this.#attr) === 0;
    return isKnown && (this.#attr.mode & (S_ISUID | S_ISGID)) !== 0;
  }

  /** The file gets a row, if it can be passed through. */
  #begin(ino: number, place: Place, writes: boolean): void {
    const { object, size, stored } = place;
    if (object === 0 || isCompressed(stored) || (writes && this.#isGuarded(ino))) return;
    const { backing, namespace, objects } = this.#parts;
    const status = objects.status(object);
    if (typeof status === 'number') return;
    // The log that is durable may still have the file longer.
    if (status.bytes > size && namespace.waitUntilDurable() < 0) return;
    if (status.bytes !== size && objects.setLength(object, size) < 0) return;
    const descriptor = objects.descriptor(object);
    const id = descriptor < 0 ? descriptor : backing.open(descriptor);
    if (id <= 0) return;
    const row = this.#open.take(ino, object, id);
    if (row === NO_ROW) backing.close(id);
  }

  /** Notes the object's time. */
  #look(row: number, { seconds, nanoseconds }: OpenStatus): void {
    const isFresh = this.#parts.now() - (seconds * 1000 + nanoseconds / 1e6) < TICK_MS;
    this.#open.looked(row, seconds, nanoseconds, isFresh);
  }

  /** From now on the object's length counts, whatever happens. 0 or −errno. */
  #mark(ino: number, row: number): number {
    if (this.#open.lengthCounts(row)) return 0;
    const { events, namespace, objects } = this.#parts;
    const object = this.#open.objectOf(row);
    const status = objects.status(object);
    if (typeof status === 'number') return status;
    this.#look(row, status);
    events.objectDirty(object);
    const marked = namespace.passed(ino, 0, 0, 0, LENGTH_COUNTS) || namespace.waitUntilDurable();
    if (marked === 0) this.#open.setLengthCounts(row, true);
    return marked;
  }

  /** Counts a release; `wrote` as its access mode says. */
  release(ino: number, wrote: boolean): void {
    this.#parts.locks.lock(ino);
    try {
      const left = this.#open.released(ino);
      if (wrote || left === 0) this.settle(ino);
    } finally {
      this.#parts.locks.unlock(ino);
    }
  }

  /** The tables have what the object is: from now on they count. A log that has failed leaves that to the next mount. */
  #end(ino: number, row: number): void {
    const { backing, events, namespace } = this.#parts;
    if (this.#open.lengthCounts(row)) {
      this.#open.setLengthCounts(row, false);
      events.objectDirty(this.#open.objectOf(row));
      namespace.passed(ino, 0, 0, 0, 0);
    }
    backing.close(this.#open.backingOf(row));
    this.#open.give(ino);
  }

  /** The inode was freed: nobody has it open, whatever was counted. */
  forgotten(ino: number): void {
    if (this.#open.opens(ino) === 0 && !this.has(ino)) return;
    this.#parts.locks.lock(ino);
    const row = this.#open.rowOf(ino);
    if (row !== NO_ROW) this.#parts.backing.close(this.#open.backingOf(row));
    this.#open.give(ino);
    this.#parts.locks.unlock(ino);
  }

  /** Brings the tables up to date with the object. */
  refresh(ino: number): void {
    const row = this.#open.rowOf(ino);
    if (row === NO_ROW || !this.#open.lengthCounts(row)) return;
    this.#parts.locks.lock(ino);
    try {
      this.settle(ino);
    } finally {
      this.#parts.locks.unlock(ino);
    }
  }

  /** For all files; those that nobody has open are passed through no more. */
  refreshAll(): void {
    this.#open.each((ino) => {
      if (this.#open.opens(ino) === 0) this.#endIdle(ino);
      else this.refresh(ino);
    });
  }

  /** The connection is over: nobody has a file open any more. */
  endAll(): void {
    this.#open.each((ino) => {
      while (this.#open.released(ino) > 0);
      this.#endIdle(ino);
    });
  }

  #endIdle(ino: number): void {
    this.#parts.locks.lock(ino);
    try {
      const row = this.#open.rowOf(ino);
      if (row === NO_ROW || this.#open.opens(ino) > 0) return;
      this.settle(ino);
      this.#end(ino, row);
    } finally {
      this.#parts.locks.unlock(ino);
    }
  }

  /** Before an fsync of the file: besides, the object is to be durable, and the log to have said so, whatever it looks like. */
  beforeSync(ino: number): void {
    const row = this.#open.rowOf(ino);
    if (row === NO_ROW || !this.#open.lengthCounts(row)) return;
    this.#parts.locks.lock(ino);
    try {
      this.#parts.events.objectDirty(this.#open.objectOf(row));
      this.settle(ino, true);
    } finally {
      this.#parts.locks.unlock(ino);
    }
  }

  // With the lock of the file's data.

  /** As refresh; `always`: even if nothing seems to have changed. `flags` is 0 or KILL_SUIDGID. 0 or −errno. */
  settle(ino: number, always = false, flags = KILL_SUIDGID): number {
    const { events, namespace } = this.#parts;
    const row = this.#open.rowOf(ino);
    if (row === NO_ROW || !this.#open.lengthCounts(row)) return 0;
    if (namespace.locate(ino, this.#place) < 0) return -ESTALE;
    const { size } = this.#place;
    const object = this.#open.objectOf(row);
    const status = this.#parts.objects.status(object);
    if (typeof status === 'number') return status;
    const { bytes, seconds, nanoseconds } = status;
    const isOther = bytes !== size || this.#open.hasOtherTime(row, seconds, nanoseconds);
    const isChanged = isOther || this.#open.wasFresh(row);
    if (!isChanged && !always) return 0;
    let how = LENGTH_COUNTS | (isOther ? TIME_CHANGED : 0);
    if (isChanged) how |= BYTES_CHANGED | ((flags & KILL_SUIDGID) === 0 ? 0 : PRIVILEGES_END);
    const hadPrivileges = (how & PRIVILEGES_END) !== 0 && this.#hasPrivileges(ino);
    const done = namespace.passed(ino, bytes, seconds, nanoseconds, how);
    if (done < 0) return done;
    this.#look(row, status);
    if (isChanged) events.contentChanged(ino);
    // The kernel does not know that the mode is another.
    if (hadPrivileges) events.forgetInode(ino, 0);
    return 0;
  }

  /** Before the object is changed here: its number, or −errno. */
  #change(ino: number): number {
    const row = this.#open.rowOf(ino);
    const marked = this.#mark(ino, row);
    return marked < 0 ? marked : this.settle(ino) || this.#open.objectOf(row);
  }

  #changed(ino: number, done: number, flags: number): number {
    const settled = done < 0 ? done : this.settle(ino, true, flags);
    return settled < 0 ? settled : done;
  }

  /**
   * As Content.write, and durable: a write that comes as a request although the file is passed through is one of direct I/O
   * (FOPEN_DIRECT_IO), after which the kernel asks for no fsync, not even where it was to be synchronous.
   */
  write(ino: number, position: number, u8: Uint8Array, start: number, length: number, flags: number): number {
    const { events, namespace, objects } = this.#parts;
    const object = this.#change(ino);
    if (object < 0) return object;
    const done = objects.write(object, position, u8, start, length);
    // Before the record: a commit makes durable what it has heard of.
    events.objectDirty(object);
    const written = this.#changed(ino, done, flags);
    if (written < 0) return written;
    return namespace.waitUntilDurable() || written;
  }

  /** The file has `size` bytes afterwards. */
  resize(ino: number, size: number, flags: number): number {
    const object = this.#change(ino);
    if (object < 0) return object;
    return this.#changed(ino, this.#parts.objects.setLength(object, size), flags);
  }

  /** [start, end), which lies within the file, is zeros afterwards. */
  zero(ino: number, start: number, end: number, flags: number): number {
    const object = this.#change(ino);
    if (object < 0) return object;
    return this.#changed(ino, this.#parts.objects.clear(object, start, end), flags);
  }
}

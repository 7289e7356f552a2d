/**
 * Object files: `objects/xx/ID`, ID in hexadecimal, xx its low byte. Fuse actors write them; here they are made
 * durable and deleted.
 *
 * 1. An object is durable only when its bytes and, once per run, its name and its directory's are.
 * 2. What a predecessor knew of dirty objects ended with it: a successor makes the whole filesystem of the store durable,
 *    once, in place of them. Dropped ones that it knew of are found again when the tables are made anew, else by the
 *    sweep of the next mount.
 * 3. A dropped object stays until the journal position at which the drop was seen is durable, and counts as
 *    dirty until then: records before the drop may still depend on it.
 * 4. The disk begins with much that is dirty at once, so that whoever wants it durable has less to wait for. What it cannot
 *    write counts as a flush that has failed.
 * 5. An object whose last bytes are in the log as well (logged) is as durable as the log is; it has to be made durable itself
 *    before those records are given up.
 */
import { OBJECT_DIRECTORY, objectDirectory, objectPath } from '../../fuse/objects/object-path.ts';
import { KIB, MIB, WRITE_BEHIND_BYTES } from '../../runtime/config/bounds.ts';
import { ENOENT } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { reached } from '../../runtime/storage/journal-ring.ts';

/** Objects made durable at the same time, each with a descriptor meanwhile. */
const AT_ONCE = 64;
/**
 * What one call deletes at most, bytes, and what any object counts as at least. The host's filesystem frees a file extent by extent, so
 * one of many small pieces can take it many seconds, in which nobody's fsync would be answered.
 */
const DELETED_AT_ONCE = 4 * MIB;
const DELETED_AT_LEAST = 64 * KIB;

export class DirtyObjects {
  /** Totals since the start. */
  synced = 0;
  deleted = 0;
  readonly #disk: Disk;
  readonly #dirty = new Set<number>();
  /** What has bytes that the log makes durable; may be dirty beside. */
  readonly #logged = new Set<number>();
  /** Objects, and directories of them, whose names are known to be durable. */
  readonly #named = new Set<number>();
  readonly #directories = new Set<string>();
  /** Dropped objects with the journal position of the drop, oldest first. */
  readonly #dropped: { readonly id: number; readonly position: number }[] = [];

  /** Bytes of each dirty object with which the disk has not been told to begin. */
  readonly #unwritten = new Map<number, number>();
  /** −errno of what the disk could not begin to write. */
  #failed = 0;
  #allDirty: boolean;

  /** `allDirty`: this is a successor, and any object may have bytes that are not durable. */
  constructor(disk: Disk, allDirty = false) {
    this.#disk = disk;
    this.#allDirty = allDirty;
  }

  get dirtyCount(): number {
    return this.#dirty.size + (this.#allDirty ? 1 : 0);
  }

  get loggedCount(): number {
    return this.#logged.size;
  }

  get droppedCount(): number {
    return this.#dropped.length;
  }

  /** `bytes` more of it, as far as known. */
  dirty(id: number, bytes = 0): void {
    this.#dirty.add(id);
    const unwritten = (this.#unwritten.get(id) ?? 0) + bytes;
    this.#unwritten.set(id, unwritten < WRITE_BEHIND_BYTES ? unwritten : 0);
    if (unwritten >= WRITE_BEHIND_BYTES) this.#startWriting(id);
  }

  logged(id: number): void {
    this.#logged.add(id);
  }

  dropped(id: number, position: number): void {
    this.#dropped.push({ id, position });
  }

  /**
   * Makes all dirty objects durable, and with `logged` those that the log vouches for. 0 or −errno: then nothing may be
   * acknowledged that depends on them.
   */
  flush(logged: boolean): number {
    if (this.#failed < 0) return this.#failed;
    if (this.#allDirty) return this.#flushAll();
    if (logged) for (const id of this.#logged) this.#dirty.add(id);
    if (this.#dirty.size === 0) return 0;
    const directories = new Set<string>();
    const ids = [...this.#dirty];
    for (let from = 0; from < ids.length; from += AT_ONCE) {
      const failed = this.#syncObjects(ids.slice(from, from + AT_ONCE), directories);
      if (failed < 0) return failed;
    }
    for (const directory of directories) {
      const failed = this.#syncNames(directory);
      if (failed < 0) return failed;
    }
    this.#flushed();
    return 0;
  }

  /**
   * Deletes of the dropped objects whose drop lies before `durablePosition` as much as a call may. Whether there is more: then
   * it is to be called again, once others have had their turn.
   */
  deleteDropped(durablePosition: number): boolean {
    for (let left = DELETED_AT_ONCE; ; this.#dropped.shift()) {
      const next = this.#dropped[0];
      if (next === undefined || !reached(durablePosition, next.position)) return false;
      if (left <= 0) return true;
      left -= this.#shorten(next.id, left);
      if (left === Number.NEGATIVE_INFINITY) return true;
      this.#dirty.delete(next.id);
      this.#unwritten.delete(next.id);
      this.#logged.delete(next.id);
      this.#named.delete(next.id);
      if (this.#disk.unlink(objectPath(next.id)) === 0) this.deleted++;
    }
  }

  #startWriting(id: number): void {
    const descriptor = this.#disk.open(objectPath(id), 'write');
    if (descriptor < 0) return;
    this.#failed ||= this.#disk.startWriting?.(descriptor, 0, 0) ?? 0;
    this.#disk.close(descriptor);
  }

  #flushAll(): number {
    const failed = this.#disk.syncAll();
    if (failed < 0) return failed;
    this.#allDirty = false;
    for (const id of this.#logged) this.#dirty.add(id);
    this.#flushed();
    return 0;
  }

  /** All that is dirty is durable. */
  #flushed(): void {
    for (const id of this.#dirty) {
      this.#named.add(id);
      this.#logged.delete(id);
    }
    this.#dirty.clear();
    this.#unwritten.clear();
  }

  /** The names in a directory of objects, and the first time also its own. */
  #syncNames(directory: string): number {
    const failed = this.#disk.syncDirectory(directory);
    if (failed < 0 || this.#directories.has(directory)) return failed;
    const above = this.#disk.syncDirectory(OBJECT_DIRECTORY);
    if (above === 0) this.#directories.add(directory);
    return above;
  }

  /**
   * Cuts off the end what takes up to `most` bytes: a fuse actor may keep the file open for a while, and its space is to be free at
   * once. What it counts for; Infinity when something is left.
   */
  #shorten(id: number, most: number): number {
    const path = objectPath(id);
    const status = this.#disk.stat(path);
    if (typeof status === 'number') return DELETED_AT_LEAST;
    const { bytes, allocated = bytes } = status;
    const kept = allocated <= most ? 0 : Math.floor(bytes * (1 - most / allocated));
    const descriptor = this.#disk.open(path, 'write');
    if (descriptor < 0) return DELETED_AT_LEAST;
    const failed = this.#disk.truncate(descriptor, kept);
    this.#disk.close(descriptor);
    return failed === 0 && kept > 0 ? Number.POSITIVE_INFINITY : Math.max(DELETED_AT_LEAST, allocated);
  }

  /** Adds to `directories` those whose names are not known to be durable. An object that is gone needs nothing. */
  #syncObjects(ids: readonly number[], directories: Set<string>): number {
    const descriptors: number[] = [];
    let failed = 0;
    for (const id of ids) {
      const descriptor = this.#disk.open(objectPath(id), 'write');
      if (descriptor >= 0) {
        descriptors.push(descriptor);
        if (!this.#named.has(id)) directories.add(objectDirectory(id));
      } else if (descriptor !== -ENOENT) {
        failed = descriptor;
        break;
      }
    }
    failed ||= this.#syncAll(descriptors);
    for (const descriptor of descriptors) this.#disk.close(descriptor);
    return failed;
  }

  #syncAll(descriptors: readonly number[]): number {
    this.synced += descriptors.length;
    if (descriptors.length > 1 && this.#disk.fdatasyncAll) return this.#disk.fdatasyncAll(descriptors);
    for (const descriptor of descriptors) {
      const failed = this.#disk.fdatasync(descriptor);
      if (failed < 0) return failed;
    }
    return 0;
  }
}

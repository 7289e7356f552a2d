/**
 * The plain files that hold the data of everything over the inline limit: `objects/xx/ID`, where ID is the
 * object's number in lower-case hexadecimal and xx its low byte, so that no directory grows without end.
 *
 * One instance per thread. An object's number is never reused within a store's life, so a descriptor kept
 * here past the object's end can only read what nobody refers to any more. Nothing here knows of inodes: how
 * many bytes of an object count is the caller's to say, and what a host file lacks reads as zeros.
 *
 * Results are ≥ 0, or the host's errno negated.
 */
import { assert } from '../../runtime/assert.ts';
import { EIO, EMFILE, ENFILE, ENOENT, EOPNOTSUPP } from '../../runtime/errno.ts';
import type { Disk, OpenStatus } from '../../runtime/storage/disk.ts';
import { SEEK_DATA } from '../protocol/abi.ts';
import { objectDirectory, objectPath } from './object-path.ts';

const NONE = -1;
const ZEROS = new Uint8Array(64 * 1024);

/** An object that an inode refers to exists; if the host has lost its file, reading on would invent data. */
function lost(errno: number): number {
  return errno === -ENOENT ? -EIO : errno;
}

export class ObjectFiles {
  readonly #disk: Disk;
  /** Open descriptors, evicted by the CLOCK algorithm: a slot used since the hand last passed is spared once. */
  readonly #slots = new Map<number, number>();
  readonly #ids: Uint32Array;
  readonly #descriptors: Int32Array;
  readonly #used: Uint8Array;
  #hand = 0;

  /** `capacity`: the most descriptors this thread keeps open. */
  constructor(disk: Disk, capacity: number) {
    assert(capacity >= 1, 'at least one descriptor must fit');
    this.#disk = disk;
    this.#ids = new Uint32Array(capacity);
    this.#descriptors = new Int32Array(capacity).fill(NONE);
    this.#used = new Uint8Array(capacity);
  }

  /** Makes the file of a new object, and its directory when it is the first in it. EEXIST: the number is taken. */
  create(id: number): number {
    const slot = this.#open(id, 'create');
    return Math.min(slot, 0);
  }

  /** Fills exactly `length` bytes at `u8[at]`: what the host file does not have are zeros. */
  read(id: number, position: number, length: number, u8: Uint8Array, at: number): number {
    const slot = this.#open(id, 'write');
    if (slot < 0) return lost(slot);
    const got = this.#disk.pread(this.#descriptors[slot]!, u8, at, length, position);
    if (got < 0) return got;
    if (got < length) u8.fill(0, at + got, at + length);
    return length;
  }

  /** Copies up to `length` bytes of the host file, as they are there; fewer only at its end. */
  readStored(id: number, position: number, length: number, u8: Uint8Array, at: number): number {
    const slot = this.#open(id, 'write');
    if (slot < 0) return lost(slot);
    return this.#disk.pread(this.#descriptors[slot]!, u8, at, length, position);
  }

  /** Bytes of the host file. */
  storedBytes(id: number): number {
    const status = this.#disk.stat(objectPath(id));
    return typeof status === 'number' ? lost(status) : status.bytes;
  }

  /** What the host file takes of the host's disk, bytes; −EOPNOTSUPP where the disk cannot say. */
  allocated(id: number): number {
    return this.#disk.allocated?.(objectPath(id)) ?? -EOPNOTSUPP;
  }

  /** Writes all of it, or fails. */
  write(id: number, position: number, u8: Uint8Array, start: number, length: number): number {
    const slot = this.#open(id, 'write');
    if (slot < 0) return lost(slot);
    return this.#disk.pwrite(this.#descriptors[slot]!, u8, start, length, position);
  }

  /**
   * Makes [start, end) read as zeros and leaves every other byte as it is. What lies in the range up to the end of the
   * host file is cut off, which gives its space back; a range inside is punched, or overwritten where the host cannot do that.
   */
  zero(id: number, start: number, end: number): number {
    const slot = this.#open(id, 'write');
    if (slot < 0) return lost(slot);
    const status = this.#disk.stat(objectPath(id));
    if (typeof status === 'number') return lost(status);
    if (status.bytes <= start) return 0;
    if (status.bytes <= end) return this.#disk.truncate(this.#descriptors[slot]!, start);
    return this.clear(id, start, end);
  }

  /** Makes [start, end), which lies within the host file, read as zeros, and leaves its length as it is. */
  clear(id: number, start: number, end: number): number {
    const descriptor = this.descriptor(id);
    if (descriptor < 0) return descriptor;
    const punched = this.#disk.punch?.(descriptor, start, end - start) ?? -EOPNOTSUPP;
    if (punched !== -EOPNOTSUPP) return punched;
    for (let position = start; position < end; position += ZEROS.length) {
      const written = this.write(id, position, ZEROS, 0, Math.min(ZEROS.length, end - position));
      if (written < 0) return written;
    }
    return 0;
  }

  /** A descriptor of the object, until the next call of any method; or −errno. */
  descriptor(id: number): number {
    const slot = this.#open(id, 'write');
    return slot < 0 ? lost(slot) : this.#descriptors[slot]!;
  }

  /** Length and time of the host file, by its descriptor. */
  status(id: number): OpenStatus | number {
    const descriptor = this.descriptor(id);
    return descriptor < 0 ? descriptor : (this.#disk.statOpen?.(descriptor) ?? -EOPNOTSUPP);
  }

  /** Cuts the host file, or makes it longer by zeros. */
  setLength(id: number, bytes: number): number {
    const descriptor = this.descriptor(id);
    return descriptor < 0 ? descriptor : this.#disk.truncate(descriptor, bytes);
  }

  /** lseek(2) with SEEK_DATA or SEEK_HOLE in the host's file; −ENXIO beyond its data, or its end. Not every disk knows of holes. */
  seek(id: number, position: number, whence: number): number {
    const slot = this.#open(id, 'write');
    if (slot < 0) return lost(slot);
    if (this.#disk.seek !== undefined) return this.#disk.seek(this.#descriptors[slot]!, position, whence);
    return whence === SEEK_DATA ? position : Number.MAX_SAFE_INTEGER;
  }

  /** Closes this thread's descriptor of an object that is gone. */
  forget(id: number): void {
    const slot = this.#slots.get(id);
    if (slot !== undefined) this.#evict(slot);
  }

  close(): void {
    for (const slot of [...this.#slots.values()]) this.#evict(slot);
  }

  get openDescriptors(): number {
    return this.#slots.size;
  }

  /** The slot of an open descriptor of `id`, or −errno. */
  #open(id: number, mode: 'write' | 'create'): number {
    const known = this.#slots.get(id);
    if (known !== undefined) {
      this.#used[known] = 1;
      return known;
    }
    let descriptor = this.#openFile(id, mode);
    if ((descriptor === -EMFILE || descriptor === -ENFILE) && this.#slots.size > 0) {
      this.close();
      descriptor = this.#openFile(id, mode);
    }
    if (descriptor < 0) return descriptor;
    const slot = this.#freeSlot();
    this.#slots.set(id, slot);
    this.#ids[slot] = id;
    this.#descriptors[slot] = descriptor;
    this.#used[slot] = 1;
    return slot;
  }

  #openFile(id: number, mode: 'write' | 'create'): number {
    const path = objectPath(id);
    const descriptor = this.#disk.open(path, mode);
    if (descriptor !== -ENOENT || mode === 'write') return descriptor;
    this.#disk.mkdir(objectDirectory(id));
    return this.#disk.open(path, mode);
  }

  #freeSlot(): number {
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#ids.length;
      if (this.#descriptors[slot] === NONE) return slot;
      if (this.#used[slot] === 0) {
        this.#evict(slot);
        return slot;
      }
      this.#used[slot] = 0;
    }
  }

  #evict(slot: number): void {
    this.#slots.delete(this.#ids[slot]!);
    this.#disk.close(this.#descriptors[slot]!);
    this.#descriptors[slot] = NONE;
    this.#used[slot] = 0;
  }
}

import { EINVAL, EOPNOTSUPP } from '../runtime/errno.ts';
import type { ActorState } from '../runtime/scheduling/actor-state.ts';
import type { Disk, DiskSpace, FileStatus, OpenStatus } from '../runtime/storage/disk.ts';

/**
 * How long a call into the disk may take before the thread counts as one that hangs, ms. A thread inside a system
 * call cannot be ended anyway, so nothing is won by less.
 */
const DISK_PATIENCE_MS = 600_000;

/** A disk whose calls may take long: while one is under way, the actor's state asks for patience. */
export class PatientDisk implements Disk {
  readonly #disk: Disk;
  readonly #state: ActorState;
  /** What whoever calls has asked for, and gets back. */
  #patience = 0;

  constructor(disk: Disk, state: ActorState) {
    this.#disk = disk;
    this.#state = state;
  }

  open(path: string, mode: 'read' | 'write' | 'create'): number {
    this.#begin();
    return this.#end(this.#disk.open(path, mode));
  }

  close(descriptor: number): void {
    this.#begin();
    this.#disk.close(descriptor);
    this.#end(0);
  }

  pread(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    this.#begin();
    return this.#end(this.#disk.pread(descriptor, u8, start, length, position));
  }

  pwrite(descriptor: number, u8: Uint8Array, start: number, length: number, position: number): number {
    this.#begin();
    return this.#end(this.#disk.pwrite(descriptor, u8, start, length, position));
  }

  writev(descriptor: number, parts: readonly Uint8Array[], position: number): number {
    this.#begin();
    return this.#end(this.#disk.writev(descriptor, parts, position));
  }

  truncate(descriptor: number, bytes: number): number {
    this.#begin();
    return this.#end(this.#disk.truncate(descriptor, bytes));
  }

  punch(descriptor: number, start: number, length: number): number {
    this.#begin();
    return this.#end(this.#disk.punch?.(descriptor, start, length) ?? -EOPNOTSUPP);
  }

  allocate(descriptor: number, bytes: number): number {
    this.#begin();
    return this.#end(this.#disk.allocate?.(descriptor, bytes) ?? -EOPNOTSUPP);
  }

  seek(descriptor: number, position: number, whence: number): number {
    this.#begin();
    return this.#end(this.#disk.seek?.(descriptor, position, whence) ?? -EINVAL);
  }

  statOpen(descriptor: number): OpenStatus | number {
    this.#begin();
    return this.#end(this.#disk.statOpen?.(descriptor) ?? -EINVAL);
  }

  /** Waits for the disk only when its queue is full. */
  startWriting(descriptor: number, start: number, length: number): number {
    this.#begin();
    return this.#end(this.#disk.startWriting?.(descriptor, start, length) ?? 0);
  }

  fdatasync(descriptor: number): number {
    this.#begin();
    return this.#end(this.#disk.fdatasync(descriptor));
  }

  fdatasyncAll(descriptors: readonly number[]): number {
    this.#begin();
    return this.#end(this.#syncAll(descriptors));
  }

  list(path: string): string[] | number {
    this.#begin();
    return this.#end(this.#disk.list(path));
  }

  stat(path: string): FileStatus | number {
    this.#begin();
    return this.#end(this.#disk.stat(path));
  }

  allocated(path: string): number {
    this.#begin();
    return this.#end(this.#disk.allocated?.(path) ?? -EOPNOTSUPP);
  }

  mkdir(path: string): number {
    this.#begin();
    return this.#end(this.#disk.mkdir(path));
  }

  rmdir(path: string): number {
    this.#begin();
    return this.#end(this.#disk.rmdir(path));
  }

  rename(from: string, to: string): number {
    this.#begin();
    return this.#end(this.#disk.rename(from, to));
  }

  unlink(path: string): number {
    this.#begin();
    return this.#end(this.#disk.unlink(path));
  }

  syncDirectory(path: string): number {
    this.#begin();
    return this.#end(this.#disk.syncDirectory(path));
  }

  syncAll(): number {
    this.#begin();
    return this.#end(this.#disk.syncAll());
  }

  space(): DiskSpace | number {
    this.#begin();
    return this.#end(this.#disk.space());
  }

  #syncAll(descriptors: readonly number[]): number {
    if (this.#disk.fdatasyncAll) return this.#disk.fdatasyncAll(descriptors);
    for (const descriptor of descriptors) {
      const failed = this.#disk.fdatasync(descriptor);
      if (failed < 0) return failed;
    }
    return 0;
  }

  #begin(): void {
    this.#patience = this.#state.patience;
    this.#state.patience = DISK_PATIENCE_MS;
  }

  /** The sign of life comes first: without patience the last one would be too old. */
  #end<T>(result: T): T {
    this.#state.beat();
    this.#state.patience = this.#patience;
    return result;
  }
}

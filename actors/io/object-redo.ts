/**
 * Bytes of objects that only the log has for certain: collected while the log is replayed, written to the objects after it.
 *
 * 1. The objects themselves are durable up to the log's last segment and up to the newest checkpoint (commit-actor.ts). So only
 *    what the last segment holds after that checkpoint is written again, and that is all there is to keep in memory.
 * 2. Before a record that changes an object in a way that is not in the log, the object is made durable whole: that record ends
 *    what was to be written to it. The rest is written in the order of the log, over whatever is there.
 * 3. Writing it again, after a recovery that was interrupted or to an object that has it, changes nothing.
 */
import type { ReplayObserver } from '../../fuse/namespace/namespace.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { ENOENT } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';

interface Piece {
  readonly position: number;
  readonly bytes: Uint8Array;
}

export class ObjectRedo implements Pick<ReplayObserver, 'objectWritten' | 'objectFlushed'> {
  readonly #pieces = new Map<number, Piece[]>();

  /** Objects that are to be written to. */
  get count(): number {
    return this.#pieces.size;
  }

  /** The next record is of another segment. */
  segmentBegins(): void {
    this.#pieces.clear();
  }

  objectWritten(object: number, position: number, u8: Uint8Array, start: number, end: number): void {
    const piece = { position, bytes: u8.slice(start, end) };
    const pieces = this.#pieces.get(object);
    if (pieces === undefined) this.#pieces.set(object, [piece]);
    else pieces.push(piece);
  }

  objectFlushed(object: number): void {
    this.#pieces.delete(object);
  }

  /**
   * Writes what was collected; it is durable after the next `syncAll` of the disk. An object whose file is gone was
   * dropped further on in the log, or is lost. 0 or −errno.
   */
  apply(disk: Disk): number {
    for (const [object, pieces] of this.#pieces) {
      const descriptor = disk.open(objectPath(object), 'write');
      if (descriptor === -ENOENT) continue;
      if (descriptor < 0) return descriptor;
      const failed = writePieces(disk, descriptor, pieces);
      disk.close(descriptor);
      if (failed < 0) return failed;
    }
    this.#pieces.clear();
    return 0;
  }
}

function writePieces(disk: Disk, descriptor: number, pieces: readonly Piece[]): number {
  for (const { position, bytes } of pieces) {
    const wrote = disk.pwrite(descriptor, bytes, 0, bytes.length, position);
    if (wrote < 0) return wrote;
  }
  return 0;
}

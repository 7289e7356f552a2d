/**
 * The checksums of plain objects (namespace/sums.ts): taking them, and comparing what is read with them. Whole pieces are read
 * into their place; of a piece that is asked for in part all is read and summed, and the part copied.
 */
import { crc32 } from 'node:zlib';
import { FUSE_MAX_WRITE, SUMMED_PIECE_BYTES } from '../../runtime/config/bounds.ts';
import { EIO, ESTALE } from '../../runtime/errno.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { Namespace, Place } from '../namespace/namespace.ts';
import { pieceBytes, sumCount } from '../namespace/sums.ts';
import type { ObjectFiles } from './object-files.ts';
import { objectPath } from './object-path.ts';

/** The checksum of piece `piece` of the file, or −errno when it cannot be read; false ends the walk. */
export type PieceVisitor = (piece: number, sum: number) => boolean;

/** Sums the first `size` bytes of an object; what the host file lacks are zeros. 0, or −errno when it cannot be opened. */
export function sumPieces(disk: Disk, object: number, size: number, visit: PieceVisitor): number {
  const descriptor = disk.open(objectPath(object), 'read');
  if (descriptor < 0) return descriptor;
  const bytes = pieceBytes(size);
  const buffer = new Uint8Array(Math.min(bytes, size));
  for (let piece = 0, goOn = true; goOn && piece * bytes < size; piece++) {
    const length = Math.min(bytes, size - piece * bytes);
    const got = disk.pread(descriptor, buffer, 0, length, piece * bytes);
    goOn = visit(piece, got < 0 ? got : crc32(buffer.fill(0, got, length).subarray(0, length)));
  }
  disk.close(descriptor);
  return 0;
}

/** The checksums of an object's first `size` bytes, or −errno. `goOn` is asked after each piece; false ends it with ESTALE. */
export function sumsOf(disk: Disk, object: number, size: number, goOn = () => true): Uint32Array | number {
  const sums = new Uint32Array(sumCount(size));
  let failed = 0;
  const opened = sumPieces(disk, object, size, (piece, sum) => {
    if (sum < 0) failed = sum;
    else sums[piece] = sum;
    if (failed === 0 && !goOn()) failed = -ESTALE;
    return failed === 0;
  });
  return opened < 0 ? opened : failed < 0 ? failed : sums;
}

/** The checksums of an object, and of what they were taken. */
export interface Summed {
  readonly ino: number;
  readonly generation: number;
  readonly version: number;
  readonly object: number;
  /** {@link StagedSums.spoils} before the first byte was read. */
  readonly spoils: number;
  /** u32 each. */
  readonly sums: Uint8Array;
}

/** One instance per thread. */
export class SummedObjects {
  readonly #objects: ObjectFiles;
  readonly #namespace: Namespace;
  #sums = new Uint32Array(2 + FUSE_MAX_WRITE / SUMMED_PIECE_BYTES);
  /** A piece of which a part is asked for. */
  #piece = new Uint8Array(0);

  constructor(objects: ObjectFiles, namespace: Namespace) {
    this.#objects = objects;
    this.#namespace = namespace;
  }

  /**
   * As ObjectFiles.read, of a file that is where `place` says and has checksums. EIO: a piece does not agree with its checksum;
   * ESTALE: it has no checksums any more.
   */
  read(ino: number, place: Place, position: number, length: number, u8: Uint8Array, at: number): number {
    const { object, size } = place;
    const bytes = pieceBytes(size);
    const first = Math.floor(position / bytes);
    const end = position + length;
    const count = Math.ceil(end / bytes) - first;
    if (count > this.#sums.length) this.#sums = new Uint32Array(count);
    if (bytes > this.#piece.length) this.#piece = new Uint8Array(bytes);
    if (!this.#namespace.readSums(ino, first, count, this.#sums)) return -ESTALE;
    for (let piece = first; piece < first + count; piece++) {
      const start = piece * bytes;
      const pieceEnd = Math.min(start + bytes, size);
      const isWhole = start >= position && pieceEnd <= end;
      const target = isWhole ? u8 : this.#piece;
      const into = isWhole ? at + start - position : 0;
      const got = this.#objects.read(object, start, pieceEnd - start, target, into);
      if (got < 0) return got;
      if (crc32(target.subarray(into, into + pieceEnd - start)) !== this.#sums[piece - first]) return -EIO;
      if (isWhole) continue;
      const from = Math.max(start, position);
      u8.set(target.subarray(from - start, Math.min(end, pieceEnd) - start), at + from - position);
    }
    return length;
  }
}

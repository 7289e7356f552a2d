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

/** A piece that has agreed is not compared again for so long, ms: reads of a few bytes would sum all of it each time. */
const AGREED_MS = 60_000;
/** Pieces of which that is remembered: 256 MiB of small pieces. */
const ROWS = 4096;
const ROW_WORDS = 3;

/** Which pieces have agreed lately, in rows of object, version and piece; of two pieces with the same row the later one has it. */
class Agreed {
  readonly #rows = new Uint32Array(ROWS * ROW_WORDS);
  readonly #until = new Float64Array(ROWS);

  has({ object, version }: Place, piece: number): boolean {
    const row = rowOf(object, piece);
    const at = row * ROW_WORDS;
    const rows = this.#rows;
    const isSame = rows[at] === object && rows[at + 1] === version && rows[at + 2] === piece;
    return isSame && performance.now() < this.#until[row]!;
  }

  add({ object, version }: Place, piece: number): void {
    const row = rowOf(object, piece);
    const at = row * ROW_WORDS;
    this.#rows[at] = object;
    this.#rows[at + 1] = version;
    this.#rows[at + 2] = piece;
    this.#until[row] = performance.now() + AGREED_MS;
  }
}

function rowOf(object: number, piece: number): number {
  return (Math.imul(object, 0x9e3779b1) + piece) & (ROWS - 1);
}

/** One instance per thread. */
export class SummedObjects {
  readonly #objects: ObjectFiles;
  readonly #namespace: Namespace;
  readonly #agreed = new Agreed();
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
    const bytes = pieceBytes(place.size);
    const first = Math.floor(position / bytes);
    const end = position + length;
    const count = Math.ceil(end / bytes) - first;
    if (count > this.#sums.length) this.#sums = new Uint32Array(count);
    if (!this.#namespace.readSums(ino, first, count, this.#sums)) return -ESTALE;
    for (let piece = first; piece < first + count; piece++) {
      const from = Math.max(piece * bytes, position);
      const to = Math.min((piece + 1) * bytes, end);
      const into = at + from - position;
      const got = this.#agreed.has(place, piece)
        ? this.#objects.read(place.object, from, to - from, u8, into)
        : this.#compared(place, piece, this.#sums[piece - first]!, from, to, u8, into);
      if (got < 0) return got;
    }
    return length;
  }

  /** Reads [from, to), which lies within the piece, to u8[into]: ≥ 0 or −errno. */
  #compared(
    place: Place,
    piece: number,
    sum: number,
    from: number,
    to: number,
    u8: Uint8Array,
    into: number,
  ): number {
    const { object, size } = place;
    const start = piece * pieceBytes(size);
    const bytes = Math.min(pieceBytes(size), size - start);
    const isWhole = to - from === bytes;
    if (!isWhole && bytes > this.#piece.length) this.#piece = new Uint8Array(bytes);
    const target = isWhole ? u8.subarray(into, into + bytes) : this.#piece.subarray(0, bytes);
    const got = this.#objects.read(object, start, bytes, target, 0);
    if (got < 0) return got;
    if (crc32(target) !== sum) return -EIO;
    this.#agreed.add(place, piece);
    if (!isWhole) u8.set(target.subarray(from - start, to - start), into);
    return 0;
  }
}

/**
 * A graph of a shard's part of a collection as a file, so that a mount need not link every vector again. It is a hint, never
 * the truth: it has no labels, and nothing of it is found before the collection is told of a vector that is in it, to the bit
 * (kernels/hnsw/shared-graph.ts). So it may be of any age, and stale, missing or damaged it costs nothing but the time to link
 * vectors.
 *
 * `vectors/graph-SHARD-COLLECTION.snap`, and `graph-SHARD-COLLECTION-NUMBER.snap` of those after the first: a header of 64
 * bytes, then the parts of a snapshot (kernels/hnsw/graph-snapshot.ts), the description first, in pieces of at most
 * {@link PIECE_BYTES}: u32 length, u32 CRC-32C, bytes. Each CRC continues the one before. Little-endian.
 *
 * Header: 8 bytes magic, u32 shard, u32 collection, u32 dimension, u32 bytes of the description, f64 bytes of the file, u32
 * number, zeros, and at 60 u32 CRC-32C of bytes [0, 60).
 */
import { crc32c } from '../kernels/codec/crc32c.ts';
import { assert } from '../runtime/assert.ts';
import { EIO } from '../runtime/errno.ts';
import type { Disk } from '../runtime/storage/disk.ts';

const MAGIC = new TextEncoder().encode('VXGRAPH1');
const HEADER_BYTES = 64;
const NUMBER_AT = 32;
const CRC_AT = 60;
const HEAD_BYTES = 8;
const DESCRIPTION_MAX = 4096;
/** What is written at a time while searches wait: half a millisecond. */
export const PIECE_BYTES = 512 * 1024;
const DIRECTORY = 'vectors';
const NAME = /^graph-(\d+)-(\d+)(?:-(\d+))?\.snap(\.tmp)?$/;

/** Which graph it is. */
export interface GraphName {
  readonly shard: number;
  readonly collection: number;
  /** From 0, among those of the collection in the shard. */
  readonly number: number;
}

export interface GraphFileName extends GraphName {
  readonly isUnfinished: boolean;
}

export function graphFilePath({ shard, collection, number }: GraphName): string {
  return `${DIRECTORY}/graph-${shard}-${collection}${number === 0 ? '' : `-${number}`}.snap`;
}

/** What the name of a file in `vectors` says; undefined when it is no graph. */
export function parseGraphFile(name: string): GraphFileName | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  return {
    shard: Number(match[1]),
    collection: Number(match[2]),
    number: Number(match[3] ?? 0),
    isUnfinished: match[4] !== undefined,
  };
}

/** The graphs on the disk, unfinished ones too. */
export function listGraphFiles(disk: Disk): GraphFileName[] {
  const names = disk.list(DIRECTORY);
  if (typeof names === 'number') return [];
  return names.map(parseGraphFile).filter((file) => file !== undefined);
}

/** Writes a graph a piece at a time. Only when step() has returned 0 it is there, whole and durable, in the place of an earlier one. */
export class GraphFileWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #parts: readonly Uint8Array[];
  readonly #descriptor: number;
  /** Of a piece: its length and its CRC. */
  readonly #head = new Uint32Array(2);
  #status = 0;
  #part = 0;
  #offset = 0;
  #position = HEADER_BYTES;

  constructor(disk: Disk, name: GraphName, dimension: number, parts: readonly Uint8Array[]) {
    this.#disk = disk;
    this.#path = graphFilePath(name);
    this.#parts = parts;
    disk.mkdir(DIRECTORY);
    disk.unlink(`${this.#path}.tmp`);
    this.#descriptor = disk.open(`${this.#path}.tmp`, 'create');
    if (this.#descriptor < 0) this.#status = this.#descriptor;
    else this.#writeHeader(name, dimension);
  }

  /** 1 = there is more to write; 0 = done, or −errno: then nothing of it is left. */
  step(): number {
    if (this.#status === 0 && this.#part < this.#parts.length) {
      this.#writePiece();
      if (this.#status === 0) return 1;
    }
    return this.#finish();
  }

  /** Ends it before it is done. */
  abandon(): void {
    this.#status = -EIO;
    this.#finish();
  }

  #writeHeader({ shard, collection, number }: GraphName, dimension: number): void {
    const u8 = new Uint8Array(HEADER_BYTES);
    const u32 = new Uint32Array(u8.buffer);
    u8.set(MAGIC);
    u32.set([shard, collection, dimension, this.#parts[0]!.length], 2);
    new Float64Array(u8.buffer)[3] = fileBytes(this.#parts.map(({ length }) => length));
    u32[NUMBER_AT >> 2] = number;
    u32[CRC_AT >> 2] = crc32c(u8, 0, CRC_AT);
    this.#head[1] = u32[CRC_AT >> 2]!;
    this.#write(u8, 0, HEADER_BYTES, 0);
  }

  #writePiece(): void {
    const part = this.#parts[this.#part]!;
    const end = Math.min(part.length, this.#offset + PIECE_BYTES);
    if (end > this.#offset) {
      this.#head[0] = end - this.#offset;
      this.#head[1] = crc32c(part, this.#offset, end, this.#head[1]);
      this.#write(new Uint8Array(this.#head.buffer), 0, HEAD_BYTES, this.#position);
      this.#write(part, this.#offset, end - this.#offset, this.#position + HEAD_BYTES);
      this.#position += HEAD_BYTES + end - this.#offset;
    }
    this.#offset = end;
    if (end < part.length) return;
    this.#part++;
    this.#offset = 0;
  }

  #write(u8: Uint8Array, start: number, length: number, position: number): void {
    if (this.#status !== 0) return;
    this.#status = Math.min(0, this.#disk.pwrite(this.#descriptor, u8, start, length, position));
  }

  #finish(): number {
    const disk = this.#disk;
    if (this.#descriptor >= 0) {
      if (this.#status === 0) this.#status = disk.fdatasync(this.#descriptor);
      disk.close(this.#descriptor);
    }
    if (this.#status === 0) this.#status = disk.rename(`${this.#path}.tmp`, this.#path);
    if (this.#status === 0) this.#status = disk.syncDirectory(DIRECTORY);
    else if (this.#descriptor >= 0) disk.unlink(`${this.#path}.tmp`);
    return this.#status;
  }
}

/** Of a file whose parts have these lengths. */
function fileBytes(lengths: readonly number[]): number {
  return lengths.reduce(
    (sum, length) => sum + length + HEAD_BYTES * Math.ceil(length / PIECE_BYTES),
    HEADER_BYTES,
  );
}

/** A graph that is there, being read. Damage is an exception of {@link Damaged}, as whoever is read into is in the middle then. */
export class GraphFile {
  readonly dimension: number;
  readonly description: Uint8Array;
  readonly #disk: Disk;
  readonly #descriptor: number;
  readonly #bytes: number;
  readonly #head = new Uint32Array(2);
  #crc = 0;
  #position = HEADER_BYTES;

  /** Undefined when there is none, or its beginning is damaged or another's. */
  static open(disk: Disk, name: GraphName): GraphFile | undefined {
    const path = graphFilePath(name);
    const status = disk.stat(path);
    const descriptor = typeof status === 'number' ? status : disk.open(path, 'read');
    if (typeof status === 'number' || descriptor < 0) return undefined;
    try {
      const u8 = new Uint8Array(HEADER_BYTES);
      if (disk.pread(descriptor, u8, 0, HEADER_BYTES, 0) !== HEADER_BYTES) throw new Damaged(0);
      const u32 = new Uint32Array(u8.buffer);
      const named =
        u32[2] === name.shard && u32[3] === name.collection && u32[NUMBER_AT >> 2] === name.number;
      const isOurs = named && MAGIC.every((byte, i) => u8[i] === byte);
      const isWhole =
        u32[CRC_AT >> 2] === crc32c(u8, 0, CRC_AT) && new Float64Array(u8.buffer)[3] === status.bytes;
      if (!isOurs || !isWhole || u32[5]! > DESCRIPTION_MAX) throw new Damaged(0);
      return new GraphFile(disk, descriptor, u32, status.bytes);
    } catch (error) {
      disk.close(descriptor);
      if (!(error instanceof Damaged)) throw error;
      return undefined;
    }
  }

  private constructor(disk: Disk, descriptor: number, header: Uint32Array, bytes: number) {
    this.#disk = disk;
    this.#descriptor = descriptor;
    this.#bytes = bytes;
    this.#crc = header[CRC_AT >> 2]!;
    this.dimension = header[4]!;
    this.description = new Uint8Array(header[5]!);
    this.read(this.description);
  }

  /** Bytes that have not been read. */
  get left(): number {
    return this.#bytes - this.#position;
  }

  /** Fills the next part, whose length its reader knows. @throws {Damaged} */
  read(part: Uint8Array): void {
    for (let at = 0; at < part.length; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, part.length - at);
      if (this.#pieceInto(part, at) !== length) throw new Damaged(this.#position);
    }
  }

  /** Reads the next piece, whatever it is a part of, into `u8`, which has {@link PIECE_BYTES}. @throws {Damaged} */
  skip(u8: Uint8Array): void {
    this.#pieceInto(u8, 0);
  }

  /** Returns its length. */
  #pieceInto(u8: Uint8Array, at: number): number {
    this.#take(new Uint8Array(this.#head.buffer), 0, HEAD_BYTES);
    const [length, crc] = this.#head as unknown as [number, number];
    if (length === 0 || length > PIECE_BYTES || at + length > u8.length) throw new Damaged(this.#position);
    this.#take(u8, at, length);
    this.#crc = crc32c(u8, at, at + length, this.#crc);
    if (crc !== this.#crc) throw new Damaged(this.#position);
    return length;
  }

  close(): void {
    this.#disk.close(this.#descriptor);
  }

  #take(u8: Uint8Array, start: number, length: number): void {
    const got = this.#disk.pread(this.#descriptor, u8, start, length, this.#position);
    if (got !== length) throw new Damaged(this.#position);
    this.#position += length;
  }
}

/** Where a graph is damaged, in bytes; undefined when every checksum is right. */
export function damageOfGraph(disk: Disk, name: GraphName): number | undefined {
  const file = GraphFile.open(disk, name);
  if (file === undefined) return 0;
  try {
    const piece = new Uint8Array(PIECE_BYTES);
    // The lengths of the parts follow from the description; here only that every piece is as it was written.
    while (file.left > 0) file.skip(piece);
    return undefined;
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return error.position;
  } finally {
    file.close();
  }
}

export class Damaged extends Error {
  /** Byte of the file at which it was noticed. */
  readonly position: number;

  constructor(position: number) {
    super(`damaged before byte ${position}`);
    this.position = position;
    assert(position >= 0, 'a place in a file');
  }
}

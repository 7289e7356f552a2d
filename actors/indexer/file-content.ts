import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { IS_OBJECT, isCompressed, type Namespace, Place } from '../../fuse/namespace/namespace.ts';
import { CompressedObjects } from '../../fuse/objects/compressed-objects.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { objectPath } from '../../fuse/objects/object-path.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { decodeText, isBinary } from '../../kernels/text/decode.ts';
import { KIB } from '../../runtime/config/bounds.ts';
import { HostDisk } from '../../runtime/storage/disk.ts';

/** Of a long file, this much stands for the whole when files like it are looked for. */
const TEXT_BYTES = 256 * KIB;
/** Compressed files are rarely read here: they were indexed before. */
const DESCRIPTORS = 16;
const CACHE_BYTES = 0;

/** What is looked at before a file is read to be indexed. */
const BEGINNING_BYTES = 64 * KIB;

/** The bytes of a file, or the beginning of them. */
export interface Bytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** False when the file goes on. */
  readonly complete: boolean;
}

/**
 * Reads files of the tree without going through the mount. What it returns may mix old and new bytes of a file that
 * is being written: who cares compares the file's version before and after.
 */
export class FileContent {
  readonly #namespace: Namespace;
  readonly #store: string;
  readonly #attr = new Attr();
  readonly #place = new Place();
  readonly #compressed: CompressedObjects;
  readonly #beginning = new Uint8Array(BEGINNING_BYTES);

  constructor(namespace: Namespace, store: string) {
    this.#namespace = namespace;
    this.#store = store;
    this.#compressed = new CompressedObjects(new ObjectFiles(new HostDisk(store), DESCRIPTORS), CACHE_BYTES);
  }

  /** Whether the file, of `size` bytes, can be told not to be text without waiting for the host's disk. */
  isBinary(ino: number, size: number): boolean {
    const length = Math.min(size, BEGINNING_BYTES);
    const got = this.#namespace.readInline(ino, 0, length, this.#beginning, 0);
    return got > 0 && isBinary(this.#beginning.subarray(0, got), length === size);
  }

  /** The same, of any file. */
  async beginsBinary(ino: number, size: number): Promise<boolean> {
    const read = await this.read(ino, 0, Math.min(size, BEGINNING_BYTES));
    return read !== undefined && isBinary(read.bytes, read.complete);
  }

  /** The beginning of a file as text; undefined when it is gone or not text. */
  async text(ino: number): Promise<string | undefined> {
    const read = await this.read(ino, 0, TEXT_BYTES);
    return read && decodeText(read.bytes, read.complete)?.text;
  }

  /** A passage that the index knows by its place. What no longer is text there reads as nothing. */
  async passage(ino: number, offset: number, length: number): Promise<string> {
    const read = await this.read(ino, offset, length);
    return (read && decodeText(read.bytes, false)?.text) ?? '';
  }

  /** At most `limit` bytes from `offset`; undefined when the file is gone or the host cannot read it. */
  async read(ino: number, offset: number, limit: number): Promise<Bytes | undefined> {
    if (this.#namespace.stat(ino, this.#attr) < 0) return undefined;
    const { size } = this.#attr;
    const length = Math.max(0, Math.min(limit, size - offset));
    const bytes = new Uint8Array(length);
    const got = this.#namespace.readInline(ino, offset, length, bytes, 0);
    if (got === IS_OBJECT) {
      if (!(await this.#readPlace(ino, offset, bytes))) return undefined;
    } else if (got < 0) return undefined;
    return { bytes, complete: offset + length >= size };
  }

  async #readPlace(ino: number, offset: number, into: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const place = this.#place;
    if (this.#namespace.locate(ino, place) < 0) return false;
    const { object, size, stored } = place;
    if (!isCompressed(stored)) return this.#readObject(object, offset, into);
    // Cut since: what is beyond its end is not looked at.
    const length = Math.max(0, Math.min(into.length, size - offset));
    return this.#compressed.read(object, size, offset, length, into, 0) >= 0;
  }

  async #readObject(id: number, offset: number, into: Uint8Array<ArrayBuffer>): Promise<boolean> {
    if (id <= 0) return false;
    try {
      const file = await open(join(this.#store, objectPath(id)), 'r');
      try {
        // Short reads are holes at the end of the object: zeros, as they are already.
        for (let at = 0; at < into.length; ) {
          const { bytesRead } = await file.read(into, at, into.length - at, offset + at);
          if (bytesRead === 0) break;
          at += bytesRead;
        }
        return true;
      } finally {
        await file.close();
      }
    } catch {
      return false;
    }
  }
}

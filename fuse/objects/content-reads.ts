/**
 * Reading the bytes of regular files wherever they live, without a lock, while others change them. One instance per thread.
 * What a writer may have had a hand in is read again: an object that was dropped, or bytes that do not agree with checksums of others.
 */
import { EIO, ESTALE } from '../../runtime/errno.ts';
import { IS_OBJECT, isCompressed, type Namespace, Place } from '../namespace/namespace.ts';
import type { CompressedObjects } from './compressed-objects.ts';
import type { ObjectEvents } from './content.ts';
import type { LastReads } from './last-reads.ts';
import type { ObjectFiles } from './object-files.ts';
import { SummedObjects } from './summed-objects.ts';

export class ContentReads {
  readonly #namespace: Namespace;
  readonly #objects: ObjectFiles;
  readonly #compressed: CompressedObjects;
  readonly #summed: SummedObjects;
  readonly #events: Pick<ObjectEvents, 'objectDamaged'>;
  readonly #lastReads: LastReads | undefined;
  readonly #place = new Place();
  readonly #now = new Place();

  constructor(
    namespace: Namespace,
    objects: ObjectFiles,
    compressed: CompressedObjects,
    events: Pick<ObjectEvents, 'objectDamaged'>,
    lastReads: LastReads | undefined,
  ) {
    this.#namespace = namespace;
    this.#objects = objects;
    this.#compressed = compressed;
    this.#summed = new SummedObjects(objects, namespace);
    this.#events = events;
    this.#lastReads = lastReads;
  }

  /** Copies up to `length` bytes to `u8[at]`; fewer only at the end of the file. */
  read(ino: number, position: number, length: number, u8: Uint8Array, at: number): number {
    for (;;) {
      const inline = this.#namespace.readInline(ino, position, length, u8, at);
      if (inline !== IS_OBJECT) return inline;
      const place = this.#place;
      if (this.#namespace.locate(ino, place) < 0) return -ESTALE;
      const { object, size } = place;
      if (position >= size) return 0;
      if (object === 0) continue;
      this.#lastReads?.note(ino);
      const got = this.#readObject(ino, position, Math.min(length, size - position), u8, at);
      if (got >= 0 ? this.#namespace.objectOf(ino) !== object : !this.#isSame(ino)) continue;
      if (got === -EIO) this.#events.objectDamaged(ino, object, position);
      return got;
    }
  }

  #readObject(ino: number, position: number, count: number, u8: Uint8Array, at: number): number {
    const { object, size, stored, hasSums } = this.#place;
    if (isCompressed(stored)) return this.#compressed.read(object, size, position, count, u8, at);
    if (hasSums) return this.#summed.read(ino, this.#place, position, count, u8, at);
    return this.#objects.read(object, position, count, u8, at);
  }

  /** Whether the file's bytes are still those that were located. */
  #isSame(ino: number): boolean {
    const [{ object, version, hasSums }, now] = [this.#place, this.#now];
    if (this.#namespace.locate(ino, now) < 0) return false;
    return now.object === object && now.version === version && now.hasSums === hasSums;
  }
}

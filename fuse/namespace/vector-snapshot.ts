/**
 * The vectors of one inode as of one moment, copied to memory that is used again for the next: for a thread that goes
 * over all of them, and waits neither for the lock nor for a writer. Contract: tables.ts.
 */
import { CollectionName, findCollection, parseVectorXattr } from './collections.ts';
import { isLive } from './inodes.ts';
import { I_GENERATION, I_NLINK, I_XATTRS, INODE_WORDS } from './layout.ts';
import type { Tables } from './tables.ts';
import { XattrCursor } from './xattrs.ts';

const cursor = new XattrCursor();
const name = new CollectionName();

export class VectorSnapshot {
  generation = 0;
  /** How many there are. */
  count = 0;
  readonly #collections: number[] = [];
  readonly #vectors: Float32Array[] = [];
  #slab: Float32Array = new Float32Array(0);

  collection(i: number): number {
    return this.#collections[i]!;
  }

  /** Overwritten by the next {@link take}. */
  vector(i: number): Float32Array {
    return this.#vectors[i]!;
  }

  /** 1 when the inode lives and has a name, 0 when not, −1 when a change was under way: try again later. */
  take(t: Tables, ino: number): number {
    const seen = t.sequence.tryReadBegin();
    if (seen < 0) return -1;
    this.count = 0;
    const at = ino * INODE_WORDS;
    const isNamed = isLive(t, ino) && t.inode[at + I_NLINK] !== 0;
    if (isNamed) {
      this.generation = t.inode[at + I_GENERATION]!;
      if (t.inode[at + I_XATTRS] !== 0) this.#copyAll(t, ino);
    }
    if (t.sequence.readRetry(seen)) return -1;
    return isNamed ? 1 : 0;
  }

  #copyAll(t: Tables, ino: number): void {
    cursor.open(t, ino);
    while (cursor.next(t)) {
      const end = cursor.name + cursor.nameLength;
      if (end > t.bytes.length || parseVectorXattr(t.bytes, cursor.name, end, name) <= 0) continue;
      const collection = findCollection(t, name.u8, name.start, name.end);
      // Not so is a torn read.
      if (collection > 0 && cursor.value % 4 === 0 && cursor.valueLength % 4 === 0)
        this.#copy(t, collection, cursor.value / 4, cursor.valueLength / 4);
    }
  }

  #copy(t: Tables, collection: number, from: number, dimension: number): void {
    if (this.#slab.buffer !== t.words.buffer)
      this.#slab = new Float32Array(t.words.buffer, t.words.byteOffset, t.words.length);
    const i = this.count++;
    this.#collections[i] = collection;
    if (this.#vectors[i]?.length !== dimension) this.#vectors[i] = new Float32Array(dimension);
    const vector = this.#vectors[i]!;
    for (let n = 0; n < dimension; n++) vector[n] = this.#slab[from + n]!;
  }
}

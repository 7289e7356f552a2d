/**
 * What there is of one inode that the vector shards hold copies of, as of one moment, for a thread that may wait for
 * nobody: it neither takes the lock nor waits for a writer. Contract: tables.ts.
 */
import { CollectionName, findCollection, parseVectorXattr } from './collections.ts';
import { isLive, isRegular } from './inodes.ts';
import { I_CHUNKS, I_GENERATION, I_INDEXED, I_NLINK, I_VERSION, I_XATTRS, INODE_WORDS } from './layout.ts';
import type { Tables } from './tables.ts';
import { XattrCursor } from './xattrs.ts';

const cursor = new XattrCursor();
const name = new CollectionName();

/** A copy of a vector's bytes. */
export interface VectorCopy {
  readonly collection: number;
  readonly bytes: Uint8Array;
}

export class FileSnapshot {
  generation = 0;
  /** Version of the content that is indexed, and its chunks; 0 chunks = it has no text, or is to be indexed yet. */
  version = 0;
  chunks = 0;
  readonly vectors: VectorCopy[] = [];

  /** 1 when the inode lives and has a name, 0 when not, −1 when a change was under way: try again later. */
  take(t: Tables, ino: number): number {
    const seen = t.sequence.tryReadBegin();
    if (seen < 0) return -1;
    this.vectors.length = 0;
    const at = ino * INODE_WORDS;
    const isNamed = isLive(t, ino) && t.inode[at + I_NLINK] !== 0;
    if (isNamed) {
      this.generation = t.inode[at + I_GENERATION]!;
      this.version = t.inode[at + I_VERSION]!;
      const isIndexed = isRegular(t, ino) && t.inode[at + I_INDEXED] === this.version;
      this.chunks = isIndexed ? t.inode[at + I_CHUNKS]! : 0;
      if (t.inode[at + I_XATTRS] !== 0) this.#copyVectors(t, ino);
    }
    if (t.sequence.readRetry(seen)) return -1;
    return isNamed ? 1 : 0;
  }

  #copyVectors(t: Tables, ino: number): void {
    cursor.open(t, ino);
    while (cursor.next(t)) {
      const end = cursor.name + cursor.nameLength;
      if (end > t.bytes.length || parseVectorXattr(t.bytes, cursor.name, end, name) <= 0) continue;
      const collection = findCollection(t, name.u8, name.start, name.end);
      const bytes = t.bytes.slice(cursor.value, cursor.name);
      if (collection > 0) this.vectors.push({ collection, bytes });
    }
  }
}

/**
 * Questions to the namespace as a whole: paths, what may be read, what the index knows, collections. Answered as those to
 * one inode (inode-reader.ts).
 */
import { EACCES, ESTALE } from '../../runtime/errno.ts';
import type { Arena } from '../../runtime/memory/arena.ts';
import {
  type CollectionOptions,
  collectionName,
  count,
  DROPPING,
  dimensionOf,
  findCollection,
  isFree,
  optionsOf,
  unpackOptions,
} from './collections.ts';
import type { FileSnapshot } from './file-snapshot.ts';
import { InodeReader } from './inode-reader.ts';
import { isLive, isRegular } from './inodes.ts';
import {
  H_INODES_END,
  H_INODES_LIVE,
  I_CHUNKS,
  I_GENERATION,
  I_INDEX_STATUS,
  I_INDEXED,
  I_NLINK,
  I_VERSION,
  INODE_BYTES,
  INODE_WORDS,
  ROOT,
} from './layout.ts';
import * as paths from './paths.ts';
import type { VectorSnapshot } from './vector-snapshot.ts';

/** What the index knows of a file; filled by {@link NamespaceReader.indexState}. */
export class IndexState {
  generation = 0;
  /** Changes of the file's bytes, modulo 2^32, and how many of them the index has seen. */
  version = 0;
  indexedVersion = 0;
  status = 0;
  chunks = 0;
}

export interface Collection extends CollectionOptions {
  readonly id: number;
  readonly name: string;
  readonly dimension: number;
  /** It takes no vectors any more. */
  readonly isDropping: boolean;
}

export interface NamespaceUse {
  /** Inodes there can be, and are not yet. */
  readonly files: number;
  readonly freeFiles: number;
}

const encoder = new TextEncoder();

export class NamespaceReader extends InodeReader {
  /** Absolute path by the newest of the inode's names; undefined = it has none. Bytes that are not UTF-8 become U+FFFD. */
  pathOf(ino: number): string | undefined {
    for (let attempt = 0; ; attempt++) {
      this.tables.beginRead(attempt);
      const path = paths.pathOf(this.tables, ino);
      if (this.tables.endRead()) return path;
    }
  }

  /** The inode at a path from the root ("/a/b", "a/b", "." and ".." allowed); symlinks are not followed. */
  resolve(path: string): number {
    let ino = ROOT;
    for (const part of path.split('/')) {
      if (part === '') continue;
      const name = encoder.encode(part);
      ino = this.lookup(ino, name, 0, name.length);
      if (ino < 0) return ino;
    }
    return ino;
  }

  /**
   * As {@link resolve}, for a process with these permissions: −EACCES at the first directory that it may not enter, so
   * that it learns nothing of the names in there.
   */
  resolveFor(path: string, uid: number, gids: readonly number[]): number {
    let ino = ROOT;
    for (const part of path.split('/')) {
      if (part === '') continue;
      if (!this.#mayEnter(ino, uid, gids)) return -EACCES;
      const name = encoder.encode(part);
      ino = this.lookup(ino, name, 0, name.length);
      if (ino < 0) return ino;
    }
    return ino;
  }

  #mayEnter(ino: number, uid: number, gids: readonly number[]): boolean {
    for (let attempt = 0; ; attempt++) {
      this.tables.beginRead(attempt);
      const result = paths.mayEnter(this.tables, ino, uid, gids);
      if (this.tables.endRead()) return result;
    }
  }

  /** Whether uid with these groups could open the inode for reading: r on it, x on every directory above. */
  canRead(ino: number, uid: number, gids: readonly number[]): boolean {
    for (let attempt = 0; ; attempt++) {
      this.tables.beginRead(attempt);
      const result = paths.canRead(this.tables, ino, uid, gids);
      if (this.tables.endRead()) return result;
    }
  }

  /** 0 or −ESTALE. */
  indexState(ino: number, out: IndexState): number {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const live = isLive(t, ino);
      if (live) {
        const at = ino * INODE_WORDS;
        out.generation = t.inode[at + I_GENERATION]!;
        out.version = t.inode[at + I_VERSION]!;
        out.indexedVersion = t.inode[at + I_INDEXED]!;
        out.status = t.inode[at + I_INDEX_STATUS]!;
        out.chunks = t.inode[at + I_CHUNKS]!;
      }
      if (t.endRead()) return live ? 0 : -ESTALE;
    }
  }

  /** One more than the highest inode number that was ever used. */
  get inodesEnd(): number {
    return this.tables.header[H_INODES_END]!;
  }

  /** As {@link FileSnapshot.take}: never waits. */
  snapshot(ino: number, out: FileSnapshot): number {
    return out.take(this.tables, ino);
  }

  /** Its vectors alone, with the same answers. */
  vectorSnapshot(ino: number, out: VectorSnapshot): number {
    return out.take(this.tables, ino);
  }

  /** Visits every file whose bytes changed since the index has seen it; a snapshot, file by file. */
  scanUnindexed(visit: (ino: number) => void): void {
    const t = this.tables;
    for (let ino = 1; ino < t.header[H_INODES_END]!; ino++) {
      const at = ino * INODE_WORDS;
      if (t.inode[at + I_VERSION] === t.inode[at + I_INDEXED]) continue;
      if (isRegular(t, ino) && t.inode[at + I_NLINK] !== 0) visit(ino);
    }
  }

  /** Visits every regular file that has a name; a snapshot, file by file. */
  scanFiles(visit: (ino: number) => void): void {
    const t = this.tables;
    for (let ino = 1; ino < t.header[H_INODES_END]!; ino++) {
      if (isRegular(t, ino) && t.inode[ino * INODE_WORDS + I_NLINK] !== 0) visit(ino);
    }
  }

  collection(name: string): Collection | undefined {
    const t = this.tables;
    const u8 = encoder.encode(name);
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const id = findCollection(t, u8, 0, u8.length);
      const found = id === 0 ? undefined : this.#collection(id);
      if (t.endRead()) return found;
    }
  }

  /** All collections, by rising ids. */
  collections(): Collection[] {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const ids = Array.from({ length: count(t) }, (_, i) => i + 1).filter((id) => !isFree(t, id));
      const all = ids.map((id) => this.#collection(id));
      if (t.endRead()) return all;
    }
  }

  #collection(id: number): Collection {
    const t = this.tables;
    const options = optionsOf(t, id);
    return {
      id,
      name: collectionName(t, id),
      dimension: dimensionOf(t, id),
      ...unpackOptions(options),
      isDropping: (options & DROPPING) !== 0,
    };
  }

  statfs(): NamespaceUse {
    return useOf(this.tables.inodeCapacity, this.tables.header);
  }
}

/** As statfs(), for threads that must not depend on the state of the tables: two words, whatever anybody is doing. */
export function namespaceUse(arena: Arena): NamespaceUse {
  return useOf(Math.floor(arena.region('inodes').bytes / INODE_BYTES), arena.region('namespace').u32);
}

function useOf(capacity: number, header: Uint32Array): NamespaceUse {
  const files = capacity - 1;
  return { files, freeFiles: files - header[H_INODES_LIVE]! };
}

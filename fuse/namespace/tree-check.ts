/**
 * Whether the tables say a tree: every invariant of inodes.ts, dentries.ts, directories.ts and xattrs.ts, looked at record
 * by record. Over tables that nobody else uses, after images.restored; nothing is changed.
 *
 * Every index is checked before it is followed and every walk is bounded by what it may meet, so that tables of any
 * content are described and never believed.
 */
import {
  COLLECTIONS_MAX,
  FILE_SIZE_MAX,
  SYMLINK_MAX,
  VECTOR_DIMENSION_MAX,
} from '../../runtime/config/bounds.ts';
import { BlockMarks } from '../../runtime/memory/slab-rebuild.ts';
import { listProblem } from './access-lists.ts';
import * as collections from './collections.ts';
import { find, nameBytes, nameLength, nameOffset } from './dentries.ts';
import { isDirectory, parentOf } from './directories.ts';
import { ALL_FLAGS, flagsOf } from './inode-flags.ts';
import { isLive, sizeOf } from './inodes.ts';
import {
  D_HASH,
  D_INODE,
  D_LINK_NEXT,
  D_LINK_PREVIOUS,
  D_NAME,
  D_NAME_LENGTH,
  D_NEXT,
  D_PARENT,
  D_PREVIOUS,
  D_SEQUENCE,
  DENTRY_WORDS,
  H_COLLECTIONS,
  H_DENTRIES_END,
  H_INODES_END,
  H_NEXT_OBJECT,
  I_ATIME,
  I_ATIME_NS,
  I_BTIME,
  I_BTIME_NS,
  I_CTIME,
  I_CTIME_NS,
  I_DATA,
  I_FIRST,
  I_MODE,
  I_MTIME,
  I_MTIME_NS,
  I_NAMES,
  I_NLINK,
  I_OBJECT,
  I_SEQUENCE,
  I_STORED,
  I_XATTRS,
  INODE_WORDS,
  isCompressed,
  NAME_INLINE,
  PLAIN,
  ROOT,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from './layout.ts';
import { hashName } from './names.ts';
import { FILE_TYPES, hasSoundName, holds, nameOf } from './sound-records.ts';
import { SUMMED_SIZE_MAX, sumCount } from './sums.ts';
import type { Tables } from './tables.ts';
import { XattrCursor } from './xattrs.ts';

/** A sentence about one inode (0 = about none), without its path. */
export type ReportTree = (ino: number, what: string) => void;

export interface TreeCounts {
  files: number;
  directories: number;
  /** Symbolic links, FIFOs, sockets, devices. */
  others: number;
  xattrs: number;
  vectors: number;
}

const TIMES = [
  [I_ATIME, I_ATIME_NS],
  [I_MTIME, I_MTIME_NS],
  [I_CTIME, I_CTIME_NS],
  [I_BTIME, I_BTIME_NS],
] as const;
const decoder = new TextDecoder();

/** Reports what is wrong, in no order that means anything. */
export function checkTree(t: Tables, report: ReportTree): TreeCounts {
  return new TreeCheck(t, report).run();
}

class TreeCheck {
  readonly #t: Tables;
  readonly #report: ReportTree;
  readonly #counts: TreeCounts = { files: 0, directories: 0, others: 0, xattrs: 0, vectors: 0 };
  readonly #inodes: number;
  readonly #dentries: number;
  /** Live entries that name each inode, that lie in each directory, and those of them that are directories. */
  readonly #names: Uint32Array;
  readonly #entries: Uint32Array;
  readonly #subdirectories: Uint32Array;
  readonly #blocks: BlockMarks;
  readonly #objects = new Map<number, number>();
  readonly #cursor = new XattrCursor();
  readonly #collection = new collections.CollectionName();

  constructor(t: Tables, report: ReportTree) {
    this.#t = t;
    this.#report = report;
    this.#inodes = Math.min(t.header[H_INODES_END]!, t.inodeCapacity);
    this.#dentries = Math.min(t.header[H_DENTRIES_END]!, t.dentryCapacity);
    this.#names = new Uint32Array(this.#inodes);
    this.#entries = new Uint32Array(this.#inodes);
    this.#subdirectories = new Uint32Array(this.#inodes);
    this.#blocks = new BlockMarks(t.slab.core.nextSpan);
  }

  run(): TreeCounts {
    this.#collections();
    if (!isLive(this.#t, ROOT) || !isDirectory(this.#t, ROOT)) this.#report(ROOT, 'the root is no directory');
    for (let slot = 1; slot < this.#dentries; slot++) this.#entry(slot);
    for (let ino = 1; ino < this.#inodes; ino++) if (isLive(this.#t, ino)) this.#inode(ino);
    this.#reachability();
    return this.#counts;
  }

  #collections(): void {
    const t = this.#t;
    const count = t.header[H_COLLECTIONS]!;
    if (count > COLLECTIONS_MAX)
      this.#report(0, `${count} collections of vectors, at most ${COLLECTIONS_MAX} can be`);
    const names = new Set<string>();
    for (let id = 1; id <= collections.count(t); id++) {
      if (collections.isFree(t, id)) continue;
      const name = collections.collectionName(t, id);
      const bytes = new TextEncoder().encode(name);
      const dimension = collections.dimensionOf(t, id);
      if (collections.checkCollectionName(bytes, 0, bytes.length) !== 0 || names.has(name))
        this.#report(0, `collection ${id} has no name of its own (${JSON.stringify(name)})`);
      if (dimension < 1 || dimension > VECTOR_DIMENSION_MAX)
        this.#report(0, `collection "${name}" has vectors of ${dimension} elements`);
      names.add(name);
    }
  }

  #entry(slot: number): void {
    const t = this.#t;
    const at = slot * DENTRY_WORDS;
    const ino = t.dentry[at + D_INODE]!;
    if (ino === 0) return;
    const parent = t.dentry[at + D_PARENT]!;
    const hasParent = parent < this.#inodes && isLive(t, parent) && isDirectory(t, parent);
    const hasName = hasSoundName(t, slot);
    const shown = hasName ? JSON.stringify(nameOf(t, slot)) : `number ${slot}`;
    if (!hasName) this.#report(parent, `entry ${slot} has no name that a file can have`);
    else this.#key(slot, parent, shown);
    if (t.dentry[at + D_NAME_LENGTH]! > NAME_INLINE && hasName)
      this.#block(ino, t.dentry[at + D_NAME]!, 1, 'name');
    if (!hasParent) this.#report(ino, `entry ${shown} lies in inode ${parent}, which is no directory`);
    else this.#entries[parent]!++;
    if (ino >= this.#inodes || !isLive(t, ino)) {
      this.#report(parent, `entry ${shown} names inode ${ino}, which does not exist`);
      return;
    }
    this.#names[ino]!++;
    if (hasParent && isDirectory(t, ino)) this.#subdirectories[parent]!++;
  }

  /** That the entry is found under its name, and no other is. */
  #key(slot: number, parent: number, shown: string): void {
    const t = this.#t;
    const from = nameOffset(t, slot);
    const end = from + nameLength(t, slot);
    const bytes = nameBytes(t, slot);
    const hash = hashName(parent, bytes, from, end);
    if (t.dentryI32[slot * DENTRY_WORDS + D_HASH] !== hash)
      this.#report(parent, `entry ${shown} cannot be found by its name`);
    else if (find(t, parent, hash, bytes, from, end) !== slot)
      this.#report(parent, `two entries are called ${shown}`);
  }

  #block(ino: number, handle: number, bytes: number, what: string): boolean {
    if (!holds(this.#t, handle, bytes)) this.#report(ino, `its ${what} is not in the memory that it names`);
    else if (!this.#blocks.mark(handle))
      this.#report(ino, `its ${what} lies in memory that is something else's too`);
    else return true;
    return false;
  }

  #inode(ino: number): void {
    const t = this.#t;
    const at = ino * INODE_WORDS;
    const type = t.inode[at + I_MODE]! & S_IFMT;
    if (!FILE_TYPES.has(type) || t.inode[at + I_MODE]! > 0o177777) {
      this.#report(ino, `mode 0${t.inode[at + I_MODE]!.toString(8)} is of no type of file`);
      return;
    }
    for (const [seconds, fraction] of TIMES) {
      const isTime = Number.isFinite(t.inodeF64[(at + seconds) / 2]!) && t.inode[at + fraction]! < 1e9;
      if (!isTime) this.#report(ino, 'one of its times is none');
    }
    if ((flagsOf(t, ino) & ~ALL_FLAGS) !== 0) this.#report(ino, 'it has flags that mean nothing');
    if (type === S_IFDIR) this.#directory(ino);
    else if (type === S_IFREG) this.#file(ino);
    else this.#other(ino, type);
    this.#linkCount(ino, type === S_IFDIR);
    this.#nameList(ino);
    if (t.inode[at + I_XATTRS] !== 0) this.#xattrs(ino);
  }

  #linkCount(ino: number, directory: boolean): void {
    const nlink = this.#t.inode[ino * INODE_WORDS + I_NLINK]!;
    const names = this.#names[ino]!;
    if (directory && ino !== ROOT && names > 1) this.#report(ino, `a directory with ${names} names`);
    const isNamed = names > 0 || ino === ROOT;
    const expected = directory && isNamed ? 2 + this.#subdirectories[ino]! : names;
    if (nlink !== expected) this.#report(ino, `link count ${nlink}, it should be ${expected}`);
    else if (!isNamed) this.#report(ino, 'it has no name, and was not removed');
  }

  /** The list of the entries that name the inode. */
  #nameList(ino: number): void {
    const t = this.#t;
    let previous = 0;
    let slot = t.inode[ino * INODE_WORDS + I_NAMES]!;
    let left = this.#names[ino]!;
    for (; slot !== 0 && slot < this.#dentries && left > 0; left--) {
      const at = slot * DENTRY_WORDS;
      if (t.dentry[at + D_INODE] !== ino || t.dentry[at + D_LINK_PREVIOUS] !== previous) break;
      previous = slot;
      slot = t.dentry[at + D_LINK_NEXT]!;
    }
    if (slot !== 0 || left !== 0) this.#report(ino, 'the list of its names is broken');
  }

  /** The list of a directory's entries: newest first, by falling numbers. */
  #directory(ino: number): void {
    const t = this.#t;
    this.#counts.directories++;
    let number = t.inode[ino * INODE_WORDS + I_SEQUENCE]! + 1;
    let previous = 0;
    let slot = t.inode[ino * INODE_WORDS + I_FIRST]!;
    let left = this.#entries[ino]!;
    for (; slot !== 0 && slot < this.#dentries && left > 0; left--) {
      const at = slot * DENTRY_WORDS;
      const isIn = t.dentry[at + D_INODE] !== 0 && t.dentry[at + D_PARENT] === ino;
      if (!isIn || t.dentry[at + D_PREVIOUS] !== previous || t.dentry[at + D_SEQUENCE]! >= number) break;
      number = t.dentry[at + D_SEQUENCE]!;
      previous = slot;
      slot = t.dentry[at + D_NEXT]!;
    }
    if (slot !== 0 || left !== 0) this.#report(ino, 'the list of its entries is broken');
  }

  #file(ino: number): void {
    const t = this.#t;
    const at = ino * INODE_WORDS;
    this.#counts.files++;
    const size = sizeOf(t, ino);
    const object = t.inode[at + I_OBJECT]!;
    const block = t.inode[at + I_DATA]!;
    if (!Number.isSafeInteger(size) || size < 0 || size > FILE_SIZE_MAX)
      this.#report(ino, `${size} is not a file size`);
    else if (block !== 0 && object !== 0) this.#block(ino, block, sumCount(size) * 4, 'list of checksums');
    else if (block !== 0) this.#block(ino, block, size, 'content');
    else if (object === 0 && size > 0) this.#report(ino, `its ${size} bytes are nowhere`);
    const stored = t.inode[at + I_STORED]!;
    if (stored !== PLAIN && object === 0)
      this.#report(ino, 'its bytes are compressed in an object that it has not');
    if (isCompressed(stored) && size < 1) this.#report(ino, 'nothing of it is compressed');
    if (object === 0) return;
    if (block !== 0 && (isCompressed(stored) || size > SUMMED_SIZE_MAX))
      this.#report(ino, 'it has checksums that it cannot have');
    if (object >= t.header[H_NEXT_OBJECT]!)
      this.#report(ino, `object ${object} has not been given to a file yet`);
    const other = this.#objects.get(object);
    if (other !== undefined) this.#report(ino, `its object ${object} is that of inode ${other} too`);
    this.#objects.set(object, ino);
  }

  #other(ino: number, type: number): void {
    const t = this.#t;
    this.#counts.others++;
    if (type !== S_IFLNK) return;
    const size = sizeOf(t, ino);
    if (!(size >= 1 && size <= SYMLINK_MAX)) this.#report(ino, `a symbolic link to a path of ${size} bytes`);
    else this.#block(ino, t.inode[ino * INODE_WORDS + I_DATA]!, size, 'target');
  }

  #xattrs(ino: number): void {
    const t = this.#t;
    const block = t.inode[ino * INODE_WORDS + I_XATTRS]!;
    if (!this.#block(ino, block, 4, 'list of extended attributes')) return;
    const used = t.words[block * 16]!;
    const cursor = this.#cursor;
    const names = new Set<string>();
    let end = block * 64 + 4;
    for (cursor.open(t, ino); cursor.next(t); ) {
      this.#counts.xattrs++;
      end = (cursor.name + cursor.nameLength + 3) & ~3;
      const name = decoder.decode(t.bytes.slice(cursor.name, cursor.name + cursor.nameLength));
      if (name === '' || names.has(name))
        this.#report(ino, `extended attribute ${JSON.stringify(name)} twice`);
      names.add(name);
      this.#vector(ino, name);
      const problem = listProblem(t, ino, cursor);
      if (problem !== undefined) this.#report(ino, problem);
    }
    if (used < 4 || used > t.slab.capacity(block) || end !== block * 64 + used)
      this.#report(ino, 'its extended attributes end in the middle of one');
  }

  /** The attribute at the cursor, if it is a vector, has a collection that takes it. */
  #vector(ino: number, xattr: string): void {
    const t = this.#t;
    const { name, nameLength: length, value } = this.#cursor;
    const parsed = collections.parseVectorXattr(t.bytes, name, name + length, this.#collection);
    if (parsed === 0) return;
    this.#counts.vectors++;
    const { u8, start, end } = this.#collection;
    const id = parsed < 0 ? 0 : collections.findCollection(t, u8, start, end);
    const needsDirection = collections.needsDirection(t, id);
    const dimension = parsed < 0 ? parsed : collections.checkVector(t.bytes, value, name, needsDirection);
    if (dimension < 0) this.#report(ino, `${xattr} is not a vector`);
    else if (id === 0) this.#report(ino, `${xattr} is of a collection that does not exist`);
    else if (collections.dimensionOf(t, id) !== dimension)
      this.#report(
        ino,
        `${xattr} has ${dimension} elements, its collection ${collections.dimensionOf(t, id)}`,
      );
  }

  /** Directories that lead to the root; what lies in others cannot be reached. */
  #reachability(): void {
    const t = this.#t;
    const UNKNOWN = 0;
    const REACHED = 1;
    const LOST = 2;
    const state = new Uint8Array(this.#inodes);
    const path: number[] = [];
    state[ROOT] = REACHED;
    for (let ino = 1; ino < this.#inodes; ino++) {
      if (!isLive(t, ino) || !isDirectory(t, ino)) continue;
      let at = ino;
      path.length = 0;
      while (at > 0 && at < this.#inodes && state[at] === UNKNOWN && isLive(t, at) && isDirectory(t, at)) {
        path.push(at);
        // Met again before its end is known, it is its own ancestor.
        state[at] = LOST;
        at = parentOf(t, at);
      }
      const verdict = at > 0 && at < this.#inodes && state[at] === REACHED ? REACHED : LOST;
      for (const above of path) state[above] = verdict;
      if (state[ino] === LOST) this.#report(ino, 'a directory that the root does not lead to');
    }
  }
}

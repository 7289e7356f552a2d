/**
 * What is sound of one tree, as another one: the repair of tables that tree-check.ts finds wanting. Nothing is mended in
 * place: everything is made anew by the mutations that made it at first, so the copy is sound by construction.
 *
 * Inode numbers, generations, objects and what the index knows stay as they are. What has no place (its directory is gone,
 * its name is none or taken) gets one in `lost+found`, as `inode-NUMBER`. Over private tables; `to` is freshly formatted.
 */
import { XATTR_NAME_MAX } from '../../runtime/config/bounds.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../protocol/abi.ts';
import * as collections from './collections.ts';
import * as content from './content.ts';
import * as data from './data.ts';
import { nameBytes, nameLength, nameOffset } from './dentries.ts';
import { isDirectory } from './directories.ts';
import { afterRecovery } from './image.ts';
import { ALL_FLAGS } from './inode-flags.ts';
import { isLive, setSize, sizeOf } from './inodes.ts';
import {
  D_INODE,
  D_PARENT,
  D_SEQUENCE,
  DENTRY_WORDS,
  H_DENTRIES_END,
  H_INODES_END,
  H_NEXT_OBJECT,
  I_ATIME,
  I_ATIME_NS,
  I_BTIME,
  I_BTIME_NS,
  I_CHUNKS,
  I_CTIME,
  I_CTIME_NS,
  I_DATA,
  I_FLAGS,
  I_GENERATION,
  I_MODE,
  I_MTIME,
  I_MTIME_NS,
  I_NLINK,
  I_OBJECT,
  I_RDEV,
  I_STORED,
  I_SUMS,
  I_UID,
  I_VERSION,
  I_XATTRS,
  INODE_WORDS,
  ROOT,
} from './layout.ts';
import { lostFound } from './lost-found.ts';
import * as mutations from './mutations.ts';
import { FILE_TYPES, hasSoundName, holds } from './sound-records.ts';
import { setSums, sumCount } from './sums.ts';
import type { Tables } from './tables.ts';
import { XattrCursor } from './xattrs.ts';

/** Words that an inode's record keeps as they are: owner, times, flags, and what the index knows. */
const KEPT: readonly (readonly [from: number, to: number])[] = [
  [I_UID, I_RDEV + 1],
  [I_ATIME, I_BTIME_NS + 1],
  [I_FLAGS, I_FLAGS + 1],
  [I_VERSION, I_CHUNKS + 1],
];
const SECONDS = [I_ATIME, I_MTIME, I_CTIME, I_BTIME];
const FRACTIONS = [I_ATIME_NS, I_MTIME_NS, I_CTIME_NS, I_BTIME_NS];
const LOST_XATTR = new TextEncoder().encode('user.lost.');
const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

export interface TreeCopied {
  /** Names in lost+found. */
  readonly found: readonly string[];
  /** What could not be taken over, in words. */
  readonly left: readonly string[];
}

/** `now` in milliseconds since the epoch is the time of lost+found. */
export function copyTree(from: Tables, to: Tables, now: number): TreeCopied {
  to.setTime(now);
  return new TreeCopy(from, to).run();
}

/** What is of no type may have been a file, and its bytes somebody's. */
function modeFor({ inode }: Tables, ino: number): number {
  const mode = inode[ino * INODE_WORDS + I_MODE]! & 0o177777;
  return FILE_TYPES.has(mode & S_IFMT) ? mode : S_IFREG | (mode & 0o777);
}

class TreeCopy {
  readonly #from: Tables;
  readonly #to: Tables;
  readonly #end: number;
  readonly #found: string[] = [];
  readonly #left: string[] = [];
  readonly #cursor = new XattrCursor();
  /** Slots of live entries with sound names, by directory, oldest first. */
  readonly #entries = new Map<number, number[]>();
  readonly #copied: Uint8Array;
  readonly #objects = new Set<number>();

  constructor(from: Tables, to: Tables) {
    this.#from = from;
    this.#to = to;
    this.#end = Math.min(from.header[H_INODES_END]!, from.inodeCapacity, to.inodeCapacity);
    this.#copied = new Uint8Array(this.#end);
  }

  run(): TreeCopied {
    const { header } = this.#to;
    // New inodes of lost+found must not take numbers that come later.
    header[H_INODES_END] = this.#end;
    header[H_NEXT_OBJECT] = Math.max(1, this.#from.header[H_NEXT_OBJECT]!);
    this.#copyCollections();
    this.#sortEntries();
    this.#copied[ROOT] = 1;
    this.#keep(ROOT);
    this.#copyXattrs(ROOT);
    this.#below(ROOT);
    this.#lostDirectories();
    for (let ino = 1; ino < this.#end; ino++) if (this.#isLost(ino)) this.#lose(ino);
    for (let ino = 1; ino < this.#end; ino++) this.#keep(ino);
    afterRecovery(this.#to, {});
    return { found: this.#found, left: this.#left };
  }

  #copyCollections(): void {
    const from = this.#from;
    for (let id = 1; id <= collections.count(from); id++) {
      if (collections.isFree(from, id)) {
        this.#leaveIdFree(id);
        continue;
      }
      const name = encoder.encode(collections.collectionName(from, id));
      const made = content.createCollection(
        this.#to,
        collections.dimensionOf(from, id),
        collections.optionsOf(from, id),
        name,
        0,
        name.length,
      );
      // Ids are places in a list: another of that id would get this one's vectors.
      if (made === id) continue;
      this.#left.push(`collection ${id} of vectors`);
      const placeholder = encoder.encode(`damaged-${id}`);
      content.createCollection(this.#to, 1, 0, placeholder, 0, placeholder.length);
    }
  }

  /** Of a collection that was dropped. */
  #leaveIdFree(id: number): void {
    const placeholder = encoder.encode(`dropped-${id}`);
    const { length } = placeholder;
    content.createCollection(this.#to, 1, collections.DROPPING, placeholder, 0, length);
    content.dropCollection(this.#to, true, placeholder, 0, length);
  }

  #sortEntries(): void {
    const { dentry, header, dentryCapacity } = this.#from;
    const end = Math.min(header[H_DENTRIES_END]!, dentryCapacity);
    for (let slot = 1; slot < end; slot++) {
      if (dentry[slot * DENTRY_WORDS + D_INODE] === 0 || !hasSoundName(this.#from, slot)) continue;
      const parent = dentry[slot * DENTRY_WORDS + D_PARENT]!;
      const siblings = this.#entries.get(parent);
      if (siblings === undefined) this.#entries.set(parent, [slot]);
      else siblings.push(slot);
    }
    const numberOf = (slot: number): number => dentry[slot * DENTRY_WORDS + D_SEQUENCE]!;
    for (const slots of this.#entries.values()) slots.sort((a, b) => numberOf(a) - numberOf(b));
  }

  /** Everything below a directory that has been copied. */
  #below(top: number): void {
    const directories = [top];
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      for (const slot of this.#entries.get(directory) ?? []) {
        const ino = this.#from.dentry[slot * DENTRY_WORDS + D_INODE]!;
        if (this.#copyEntry(directory, slot, ino)) directories.push(ino);
      }
    }
  }

  /** True when it is a directory that had not been met before. */
  #copyEntry(directory: number, slot: number, ino: number): boolean {
    const from = this.#from;
    if (ino >= this.#end || !isLive(from, ino)) return false;
    const start = nameOffset(from, slot);
    const bytes = nameBytes(from, slot).slice(start, start + nameLength(from, slot));
    if (this.#copied[ino] === 0) return this.#copyInode(ino, directory, bytes) && isDirectory(from, ino);
    if (!isDirectory(from, ino)) mutations.link(this.#to, ino, directory, bytes, 0, bytes.length);
    return false;
  }

  /** Whether it got that name. */
  #copyInode(ino: number, directory: number, name: Uint8Array): boolean {
    const from = this.#from;
    const target = this.#targetOf(ino);
    if (target === undefined) return false;
    const at = ino * INODE_WORDS;
    const made = mutations.create(
      this.#to,
      directory,
      ino,
      from.inode[at + I_GENERATION]!,
      modeFor(from, ino),
      0,
      0,
      0,
      name,
      0,
      name.length,
      target,
      0,
      target.length,
    );
    if (made !== 0) return false;
    this.#copied[ino] = 1;
    this.#copyContent(ino);
    this.#copyXattrs(ino);
    return true;
  }

  /** Of a symbolic link; undefined when it is lost. Of anything else nothing. */
  #targetOf(ino: number): Uint8Array | undefined {
    const { inode, bytes } = this.#from;
    const at = ino * INODE_WORDS;
    if ((inode[at + I_MODE]! & S_IFMT) !== S_IFLNK) return NOTHING;
    const size = sizeOf(this.#from, ino);
    if (!(size >= 1) || !holds(this.#from, inode[at + I_DATA]!, size)) return undefined;
    const start = inode[at + I_DATA]! * 64;
    return bytes.slice(start, start + size);
  }

  #copyContent(ino: number): void {
    const [from, to] = [this.#from, this.#to];
    const at = ino * INODE_WORDS;
    if ((modeFor(from, ino) & S_IFMT) !== S_IFREG) return;
    const size = sizeOf(from, ino);
    const isSize = Number.isSafeInteger(size) && size >= 0;
    if (from.inode[at + I_OBJECT] !== 0) {
      this.#copyObject(ino, from.inode[at + I_OBJECT]!, isSize ? size : 0);
      return;
    }
    const old = from.inode[at + I_DATA]!;
    if (!isSize || size === 0) return;
    if (!holds(from, old, size)) {
      this.#left.push(`the ${size} bytes of inode ${ino}`);
      return;
    }
    const block = data.blockFor(to, ino, size);
    if (block === 0) throw new Error('memory.budget is too small for the repair');
    to.bytes.set(from.bytes.subarray(old * 64, old * 64 + size), block * 64);
    data.replaceBlock(to, ino, block);
    setSize(to, ino, size);
  }

  /** Only one inode may have it: the end of another would take it away. */
  #copyObject(ino: number, object: number, size: number): void {
    const to = this.#to;
    if (this.#objects.has(object)) {
      this.#left.push(`the content of inode ${ino}, which is that of another`);
      return;
    }
    this.#objects.add(object);
    to.inode[ino * INODE_WORDS + I_OBJECT] = object;
    to.inode[ino * INODE_WORDS + I_STORED] = this.#from.inode[ino * INODE_WORDS + I_STORED]!;
    to.header[H_NEXT_OBJECT] = Math.max(to.header[H_NEXT_OBJECT]!, object + 1);
    setSize(to, ino, size);
    const sums = this.#from.inode[ino * INODE_WORDS + I_SUMS]!;
    const count = sums !== 0 && holds(this.#from, sums, sumCount(size) * 4) ? sumCount(size) : 0;
    // Those that it cannot have are none.
    setSums(to, ino, object, this.#from.bytes, sums * 64, count);
  }

  #copyXattrs(ino: number): void {
    const [from, cursor] = [this.#from, this.#cursor];
    const block = from.inode[ino * INODE_WORDS + I_XATTRS]!;
    if (block === 0 || !holds(from, block, 4)) return;
    for (cursor.open(from, ino); cursor.next(from); ) {
      const name = from.bytes.slice(cursor.name, cursor.name + cursor.nameLength);
      const value = from.bytes.slice(cursor.value, cursor.value + cursor.valueLength);
      if (this.#setXattr(ino, name, value)) continue;
      // A vector that its collection does not take is no vector, and still bytes of the user's.
      const kept = Buffer.concat([LOST_XATTR, name]).subarray(0, XATTR_NAME_MAX);
      if (!this.#setXattr(ino, kept, value)) this.#left.push(`an extended attribute of inode ${ino}`);
    }
  }

  #setXattr(ino: number, name: Uint8Array, value: Uint8Array): boolean {
    return content.setxattr(this.#to, ino, name, 0, name.length, value, 0, value.length, 0) >= 0;
  }

  /** Directories that the root does not lead to: first those whose own directory is no more, then rings of them. */
  #lostDirectories(): void {
    const parents = new Map<number, number>();
    for (const [parent, slots] of this.#entries) {
      for (const slot of slots) parents.set(this.#from.dentry[slot * DENTRY_WORDS + D_INODE]!, parent);
    }
    for (const rings of [false, true]) {
      for (let ino = 1; ino < this.#end; ino++) {
        if (!this.#isLost(ino) || !isDirectory(this.#from, ino)) continue;
        const parent = parents.get(ino) ?? 0;
        const hangs =
          parent !== 0 && parent < this.#end && this.#isLost(parent) && isDirectory(this.#from, parent);
        if (hangs && !rings) continue;
        this.#lose(ino);
        this.#below(ino);
      }
    }
  }

  /** Not copied, and not one that was removed and only waited for its end. */
  #isLost(ino: number): boolean {
    const nlink = this.#from.inode[ino * INODE_WORDS + I_NLINK];
    return isLive(this.#from, ino) && this.#copied[ino] === 0 && nlink !== 0;
  }

  #lose(ino: number): void {
    const name = `inode-${ino}`;
    if (this.#copyInode(ino, lostFound(this.#to), encoder.encode(name))) this.#found.push(name);
    else this.#left.push(`inode ${ino}`);
  }

  /** What the mutations have stamped or counted themselves is as it was. */
  #keep(ino: number): void {
    const [from, to] = [this.#from.inode, this.#to.inode];
    const at = ino * INODE_WORDS;
    if (this.#copied[ino] === 0) {
      // The next inode of this number must not pass for one of before.
      to[at + I_GENERATION] = from[at + I_GENERATION]!;
      return;
    }
    if (ino === ROOT) to[at + I_MODE] = S_IFDIR | (from[at + I_MODE]! & 0o7777);
    for (const [first, end] of KEPT) to.set(from.subarray(at + first, at + end), at + first);
    to[at + I_FLAGS]! &= ALL_FLAGS;
    for (const word of FRACTIONS) if (to[at + word]! >= 1e9) to[at + word] = 0;
    for (const word of SECONDS) {
      if (!Number.isFinite(this.#to.inodeF64[(at + word) / 2]!)) this.#to.inodeF64[(at + word) / 2] = 0;
    }
  }
}

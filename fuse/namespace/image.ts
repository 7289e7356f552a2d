/**
 * Checkpoint and recovery: what of the regions an image holds, and what is made anew from it. Single-threaded: before
 * the first request or after the last.
 */
import * as collections from './collections.ts';
import { chain, nameOffset } from './dentries.ts';
import { flagsOf, OWN_LENGTH } from './inode-flags.ts';
import { give, isLive, isRegular, sizeOf } from './inodes.ts';
import {
  COLLECTION_BYTES,
  COLLECTIONS_AT,
  D_CHAIN,
  D_HASH,
  D_INODE,
  DENTRY_BYTES,
  DENTRY_WORDS,
  H_BROKEN,
  H_DENTRIES_END,
  H_DENTRIES_LIVE,
  H_DENTRY_FREE,
  H_INODE_FREE,
  H_INODES_END,
  H_INODES_LIVE,
  H_MUTEX,
  H_VERSION,
  I_GENERATION,
  I_LOOKUPS,
  I_MODE,
  I_NEXT_FREE,
  I_NLINK,
  I_OBJECT,
  I_STORED,
  I_XATTRS,
  INODE_BYTES,
  INODE_WORDS,
  LAYOUT_VERSION,
} from './layout.ts';
import type { ReplayObserver } from './records.ts';
import type { Tables } from './tables.ts';
import { XattrCursor } from './xattrs.ts';

/** The image cannot be used, and why, in words for the user. */
export class ImageError extends Error {
  override name = 'ImageError';
}

export interface ImagePart {
  readonly name: string;
  /** From the region's start. */
  readonly bytes: number;
}

/** What a checkpoint copies, beside the slab. */
export function image(t: Tables): ImagePart[] {
  return [
    { name: 'namespace', bytes: COLLECTIONS_AT + collections.count(t) * COLLECTION_BYTES },
    { name: 'inodes', bytes: t.header[H_INODES_END]! * INODE_BYTES },
    { name: 'dentries', bytes: t.header[H_DENTRIES_END]! * DENTRY_BYTES },
  ];
}

/** After the image's bytes were put back: checks that they fit, and rebuilds locks and hash table. Throws ImageError. */
export function restored(t: Tables): void {
  if (!t.formatted) throw new ImageError('the checkpoint holds no namespace');
  const version = t.header[H_VERSION]!;
  if (version !== LAYOUT_VERSION) {
    throw new ImageError(`the checkpoint has format ${version}, this program reads ${LAYOUT_VERSION}`);
  }
  const inodes = t.header[H_INODES_END]!;
  const dentries = t.header[H_DENTRIES_END]!;
  if (inodes > t.inodeCapacity) throw new ImageError(`the store needs room for ${inodes} inodes`);
  if (dentries > t.dentryCapacity) throw new ImageError(`the store needs room for ${dentries} names`);
  t.header[H_BROKEN] = 0;
  t.header.fill(0, H_MUTEX, COLLECTIONS_AT / 4);
  t.buckets.fill(0);
  for (let slot = 1; slot < dentries; slot++) {
    const at = slot * DENTRY_WORDS;
    if (t.dentry[at + D_INODE] === 0) continue;
    if (nameOffset(t, slot) < 0) throw new ImageError(`the name of entry ${slot} is not in the image`);
    chain(t, slot, t.dentryI32[at + D_HASH]!);
  }
}

/** Lookups that the kernel holds of an inode; −1 = of another one of that number, which is gone. */
export type LookupsHeld = (ino: number, generation: number) => number;

const nobody: LookupsHeld = () => 0;

/**
 * Ends a recovery: inodes without a name that nobody holds go (their objects are then to be taken as dropped), and the
 * free lists are made from what is free. After a mount nobody holds any. May be called again later.
 */
export function afterRecovery(t: Tables, observer: ReplayObserver, heldOf: LookupsHeld = nobody): void {
  const end = t.header[H_INODES_END]!;
  t.header[H_INODE_FREE] = 0;
  t.header[H_INODES_LIVE] = 0;
  for (let ino = end - 1; ino > 0; ino--) {
    const at = ino * INODE_WORDS;
    const isLive = t.inode[at + I_MODE] !== 0;
    const held = heldOf(ino, t.inode[at + I_GENERATION]!);
    t.inode[at + I_LOOKUPS] = isLive && held > 0 ? held : 0;
    if (isLive && (t.inode[at + I_NLINK] !== 0 || held > 0)) {
      t.header[H_INODES_LIVE]!++;
      if ((flagsOf(t, ino) & OWN_LENGTH) !== 0) observer.lengthCounts?.(ino);
    } else if (isLive) {
      observer.inodeFreed?.(ino, t.inode[at + I_GENERATION]!);
      t.header[H_INODES_LIVE]!++;
      give(t, ino);
    } else if (held === 0) {
      t.inode[at + I_NEXT_FREE] = t.header[H_INODE_FREE]!;
      t.header[H_INODE_FREE] = ino;
    }
  }
  rebuildDentryFreeList(t);
}

function rebuildDentryFreeList(t: Tables): void {
  t.header[H_DENTRY_FREE] = 0;
  t.header[H_DENTRIES_LIVE] = 0;
  for (let slot = t.header[H_DENTRIES_END]! - 1; slot > 0; slot--) {
    const at = slot * DENTRY_WORDS;
    if (t.dentry[at + D_INODE] !== 0) {
      t.header[H_DENTRIES_LIVE]!++;
    } else {
      t.dentry[at + D_CHAIN] = t.header[H_DENTRY_FREE]!;
      t.header[H_DENTRY_FREE] = slot;
    }
  }
}

/** With the file's size, infinite where the object's own length counts (passed.ts), and the object's form (stored.ts). */
export type ObjectVisitor = (object: number, size: number, stored: number) => void;

/** Every object that holds a file's bytes. */
export function objects(t: Tables, visit: ObjectVisitor): void {
  for (let ino = 1; ino < t.header[H_INODES_END]!; ino++) {
    const object = t.inode[ino * INODE_WORDS + I_OBJECT]!;
    if (!isLive(t, ino) || !isRegular(t, ino) || object === 0) continue;
    const size = (flagsOf(t, ino) & OWN_LENGTH) === 0 ? sizeOf(t, ino) : Number.POSITIVE_INFINITY;
    visit(object, size, t.inode[ino * INODE_WORDS + I_STORED]!);
  }
}

export type VectorVisitor = (
  collection: number,
  ino: number,
  generation: number,
  u8: Uint8Array,
  start: number,
  end: number,
) => void;

const cursor = new XattrCursor();
const name = new collections.CollectionName();

/** Every vector xattr of a file that has a name; the range is little-endian float32, 4-aligned in `u8`. */
export function vectors(t: Tables, visit: VectorVisitor): void {
  for (let ino = 1; ino < t.header[H_INODES_END]!; ino++) vectorsOf(t, ino, visit);
}

/** The same of one inode. */
export function vectorsOf(t: Tables, ino: number, visit: VectorVisitor): void {
  const at = ino * INODE_WORDS;
  if (!isLive(t, ino) || t.inode[at + I_NLINK] === 0 || t.inode[at + I_XATTRS] === 0) return;
  cursor.open(t, ino);
  while (cursor.next(t)) {
    const end = cursor.name + cursor.nameLength;
    if (collections.parseVectorXattr(t.bytes, cursor.name, end, name) <= 0) continue;
    const id = collections.findCollection(t, name.u8, name.start, name.end);
    visit(id, ino, t.inode[at + I_GENERATION]!, t.bytes, cursor.value, cursor.name);
  }
}

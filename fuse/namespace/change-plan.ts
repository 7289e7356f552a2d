/**
 * Looks at a list of changes before the first is made: whether each may be made by who asks, and can be made after
 * those before it. With the namespace's lock held from here until the last is made, what was found right stays right.
 *
 * Paths are followed through what the tables have and what the changes before have planned: a node stands for an inode
 * that is there, or for one that will be made.
 */
import { NAME_MAX, XATTR_NAME_MAX, XATTR_SIZE_MAX, XATTRS_MAX } from '../../runtime/config/bounds.ts';
import {
  E2BIG,
  EACCES,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
} from '../../runtime/errno.ts';
import { TAG_CONTENT, TAG_NAME, TAG_XATTRS } from '../slab-tags.ts';
import { isReserved, REAL } from '../virtual/node-ids.ts';
import { inheritedBytes } from './access-lists.ts';
import type { Asker, Attribute, Change, Write } from './change-set.ts';
import * as collections from './collections.ts';
import { find } from './dentries.ts';
import { APPEND_ONLY, IMMUTABLE, refusal } from './inode-flags.ts';
import * as inodes from './inodes.ts';
import {
  D_INODE,
  DENTRY_WORDS,
  H_DENTRIES_LIVE,
  H_INODES_LIVE,
  I_GID,
  I_MODE,
  I_UID,
  INODE_WORDS,
  NAME_INLINE,
  ROOT,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
} from './layout.ts';
import { checkName, dots, hashName } from './names.ts';
import { allows, EXECUTE, WRITE } from './permissions.ts';
import type { Tables } from './tables.ts';
import * as xattrs from './xattrs.ts';

const S_ISVTX = 0o1000;
const encoder = new TextEncoder();
const decoder = new TextDecoder('latin1');

/** An inode as the changes before left it. */
export class PlannedNode {
  /** 0 until it is made. */
  ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a directory: names that were made (the node) or went (undefined). */
  readonly names = new Map<string, PlannedNode | undefined>();
  /** Attributes that were set (true) or removed. */
  readonly attributes = new Map<string, boolean>();
  /** Most bytes that its attributes take; −1 = as the tables say. */
  attributeBytes = -1;
  /** Of one that will be made: bytes of the attributes that it begins with, by its directory's default list. */
  inherited = 0;

  constructor(ino: number, mode: number, uid: number, gid: number) {
    this.ino = ino;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
  }

  isOf(type: number): boolean {
    return (this.mode & S_IFMT) === type;
  }
}

/** One mutation, of what is there by then. */
export type Step =
  | {
      readonly kind: 'make';
      readonly parent: PlannedNode;
      readonly node: PlannedNode;
      readonly name: Uint8Array;
    }
  | { readonly kind: 'fill'; readonly node: PlannedNode; readonly write: Write; readonly isMade: boolean }
  | { readonly kind: 'attribute'; readonly node: PlannedNode; readonly change: Attribute }
  | {
      readonly kind: 'unlink';
      readonly parent: PlannedNode;
      readonly node: PlannedNode;
      readonly name: Uint8Array;
    };

interface Place {
  readonly parent: PlannedNode;
  readonly name: Uint8Array;
  readonly node: PlannedNode | undefined;
}

export class ChangePlan {
  readonly steps: Step[] = [];
  readonly #t: Tables;
  readonly #who: Asker;
  readonly #nodes = new Map<number, PlannedNode>();
  /** Dimension of collections that will be made. */
  readonly #collections = new Map<string, number>();
  readonly #cursor = new xattrs.XattrCursor();
  readonly #collection = new collections.CollectionName();
  #made = 0;

  constructor(t: Tables, who: Asker) {
    this.#t = t;
    this.#who = who;
  }

  /** Adds the steps of one change and takes their memory: 0 or −errno. */
  add(change: Change): number {
    if (change.kind === 'attribute') return this.#attribute(change);
    const place = this.#place(change.path);
    if (typeof place === 'number') return place;
    if (change.kind === 'write') return this.#write(place, change);
    if (change.kind === 'remove') return this.#remove(place);
    if (place.node !== undefined) return -EEXIST;
    const made = this.#make(place, S_IFDIR | (change.mode & 0o1777));
    return typeof made === 'number' ? made : 0;
  }

  /** Inodes of the files that get other bytes and were there before. */
  get overwritten(): number[] {
    return this.steps.flatMap((step) => (step.kind === 'fill' && step.node.ino !== 0 ? [step.node.ino] : []));
  }

  #write(place: Place, write: Write): number {
    const { node } = place;
    if (node !== undefined) {
      if (write.isNew) return -EEXIST;
      if (node.isOf(S_IFDIR)) return -EISDIR;
      if (node.isOf(S_IFLNK)) return -ELOOP;
      if (!node.isOf(S_IFREG)) return -EINVAL;
      if (!this.#may(node, WRITE)) return -EACCES;
      if (this.#isProtected(node)) return -EPERM;
    }
    const target = node ?? this.#make(place, S_IFREG | (write.mode & 0o777));
    if (typeof target === 'number') return target;
    const { length } = write.data;
    if (length > 0 && write.object === 0 && !this.#reserve(length, TAG_CONTENT)) return -ENOSPC;
    this.steps.push({ kind: 'fill', node: target, write, isMade: node === undefined });
    return 0;
  }

  #make({ parent, name }: Place, mode: number): PlannedNode | number {
    const t = this.#t;
    if (!this.#may(parent, WRITE | EXECUTE)) return -EACCES;
    if (parent.ino !== 0 && refusal(t, parent.ino, IMMUTABLE) !== 0) return -EPERM;
    this.#made++;
    if (this.#made > t.inodeCapacity - 1 - t.header[H_INODES_LIVE]!) return -ENOSPC;
    if (this.#made > t.dentryCapacity - 1 - t.header[H_DENTRIES_LIVE]!) return -ENOSPC;
    if (name.length > NAME_INLINE && !this.#reserve(name.length, TAG_NAME)) return -ENOSPC;
    // As Linux makes inodes in a set-group-ID directory.
    const isInherited = (parent.mode & S_ISGID) !== 0;
    const bits = isInherited && (mode & S_IFMT) === S_IFDIR ? mode | S_ISGID : mode;
    const gid = isInherited ? parent.gid : (this.#who.gids[0] ?? 0);
    const node = new PlannedNode(0, bits, this.#who.uid, gid);
    node.inherited = parent.ino === 0 ? parent.inherited : inheritedBytes(t, parent.ino);
    if (node.inherited > 0 && !this.#reserve(node.inherited, TAG_XATTRS)) return -ENOSPC;
    parent.names.set(keyOf(name), node);
    this.steps.push({ kind: 'make', parent, node, name });
    return node;
  }

  #remove({ parent, name, node }: Place): number {
    if (node === undefined) return -ENOENT;
    if (node.isOf(S_IFDIR)) return -EISDIR;
    if (!this.#may(parent, WRITE | EXECUTE)) return -EACCES;
    const { uid } = this.#who;
    const isSticky = (parent.mode & S_ISVTX) !== 0;
    if (isSticky && uid !== 0 && uid !== node.uid && uid !== parent.uid) return -EPERM;
    if (this.#isProtected(node) || this.#isProtected(parent)) return -EPERM;
    parent.names.set(keyOf(name), undefined);
    this.steps.push({ kind: 'unlink', parent, node, name });
    return 0;
  }

  #attribute(change: Attribute): number {
    const { path, name, value } = change;
    const node = path === '/' ? this.#nodeOf(ROOT) : this.#place(path);
    if (typeof node === 'number') return node;
    const target = node instanceof PlannedNode ? node : node.node;
    if (target === undefined) return -ENOENT;
    const refused = this.#refuseAttribute(target, name, value);
    if (refused !== 0) return refused;
    const key = keyOf(name);
    const has = target.attributes.get(key) ?? this.#cursor.find(this.#t, target.ino, name, 0, name.length);
    if (value === undefined && !has) return -ENODATA;
    target.attributes.set(key, value !== undefined);
    if (value !== undefined) {
      const failed = this.#reserveAttribute(target, name, value);
      if (failed !== 0) return failed;
    }
    this.steps.push({ kind: 'attribute', node: target, change });
    return 0;
  }

  /** As the kernel and fuse/operations/xattrs.ts have it for a call through the mount. */
  #refuseAttribute(node: PlannedNode, name: Uint8Array, value: Uint8Array | undefined): number {
    const text = decoder.decode(name);
    if (name.length === 0 || name.length > XATTR_NAME_MAX || name.includes(0)) return -ERANGE;
    if (value !== undefined && value.length > XATTR_SIZE_MAX) return -E2BIG;
    if (/^(security|trusted)\../.test(text)) return this.#who.uid === 0 ? 0 : -EPERM;
    if (!/^user\../.test(text)) return -EOPNOTSUPP;
    if (!node.isOf(S_IFREG) && !node.isOf(S_IFDIR)) return -EPERM;
    const { uid } = this.#who;
    if (node.isOf(S_IFDIR) && (node.mode & S_ISVTX) !== 0 && uid !== 0 && uid !== node.uid) return -EPERM;
    if (!this.#may(node, WRITE)) return -EACCES;
    if (this.#isProtected(node)) return -EPERM;
    const isVector = collections.parseVectorXattr(name, 0, name.length, this.#collection);
    if (isVector < 0) return isVector;
    if (isVector === 1) return value === undefined ? 0 : this.#checkVector(value);
    return text.startsWith('user.vexfs.') ? -EPERM : 0;
  }

  #checkVector(value: Uint8Array): number {
    const t = this.#t;
    const { u8, start, end } = this.#collection;
    const id = collections.findCollection(t, u8, start, end);
    const dimension = collections.checkVector(value, 0, value.length, collections.needsDirection(t, id));
    if (dimension < 0) return dimension;
    if (id > 0 && (collections.optionsOf(t, id) & collections.DROPPING) !== 0) return -EBUSY;
    const name = keyOf(u8.subarray(start, end));
    const wanted = id > 0 ? collections.dimensionOf(t, id) : this.#collections.get(name);
    if (wanted !== undefined) return wanted === dimension ? 0 : -EINVAL;
    const isKeeper = collections.isKeeper(this.#who.uid);
    const refused = collections.refuseNew(t, this.#collections.size + 1, isKeeper);
    if (refused === 0) this.#collections.set(name, dimension);
    return refused;
  }

  #reserveAttribute(node: PlannedNode, name: Uint8Array, value: Uint8Array): number {
    if (node.attributeBytes < 0)
      node.attributeBytes =
        node.ino === 0 ? xattrs.EMPTY_BYTES + node.inherited : xattrs.usedBytesOf(this.#t, node.ino);
    node.attributeBytes += xattrs.entryBytes(name.length, value.length);
    const isFound = node.ino !== 0 && this.#cursor.find(this.#t, node.ino, name, 0, name.length);
    if (isFound) node.attributeBytes -= xattrs.entryBytes(this.#cursor.nameLength, this.#cursor.valueLength);
    if (node.attributeBytes > XATTRS_MAX) return -ENOSPC;
    // What a later change replaces counts twice at most: the block is large enough in any case.
    const bytes = Math.min(node.attributeBytes + value.length + XATTR_NAME_MAX, XATTRS_MAX);
    return this.#reserve(bytes, TAG_XATTRS) ? 0 : -ENOSPC;
  }

  #reserve(bytes: number, tag: number): boolean {
    return this.#t.reserved.reserve(bytes, tag);
  }

  /** Follows a path up to its last name: −errno, or where that name is or would be. */
  #place(path: string): Place | number {
    const parts = path.split('/').filter((part) => part !== '');
    const last = parts.pop();
    if (!path.startsWith('/') || last === undefined) return -EINVAL;
    let parent = this.#nodeOf(ROOT);
    for (const part of parts) {
      const next = this.#find(parent, encoder.encode(part));
      if (typeof next === 'number') return next;
      if (next === undefined) return -ENOENT;
      if (next.isOf(S_IFLNK)) return -ELOOP;
      parent = next;
    }
    const name = encoder.encode(last);
    const node = this.#find(parent, name);
    return typeof node === 'number' ? node : { parent, name, node };
  }

  #find(parent: PlannedNode, name: Uint8Array): PlannedNode | undefined | number {
    if (!parent.isOf(S_IFDIR)) return -ENOTDIR;
    if (!this.#may(parent, EXECUTE)) return -EACCES;
    if (name.length > NAME_MAX) return -ENAMETOOLONG;
    const refused = checkName(name, 0, name.length);
    if (refused !== 0) return refused;
    if (dots(name, 0, name.length) !== 0) return -EINVAL;
    if (isReserved(parent.ino, REAL, name, 0, name.length)) return -EPERM;
    const key = keyOf(name);
    if (parent.names.has(key)) return parent.names.get(key);
    if (parent.ino === 0) return undefined;
    const hash = hashName(parent.ino, name, 0, name.length);
    const slot = find(this.#t, parent.ino, hash, name, 0, name.length);
    return slot === 0 ? undefined : this.#nodeOf(this.#t.dentry[slot * DENTRY_WORDS + D_INODE]!);
  }

  #nodeOf(ino: number): PlannedNode {
    const known = this.#nodes.get(ino);
    if (known) return known;
    const { inode } = this.#t;
    const at = ino * INODE_WORDS;
    const node = new PlannedNode(
      ino,
      inodes.isLive(this.#t, ino) ? inode[at + I_MODE]! : 0,
      inode[at + I_UID]!,
      inode[at + I_GID]!,
    );
    this.#nodes.set(ino, node);
    return node;
  }

  /** Whether chattr(1) has made it one that does not change, or only grows. */
  #isProtected({ ino }: PlannedNode): boolean {
    return ino !== 0 && refusal(this.#t, ino, IMMUTABLE | APPEND_ONLY) !== 0;
  }

  #may(node: PlannedNode, bits: number): boolean {
    if (node.ino !== 0) return allows(this.#t, node.ino, this.#who, bits);
    // Whoever asks is about to make it, and owns it then.
    return this.#who.uid === 0 || ((node.mode >> 6) & bits) === bits;
  }
}

/** Bytes as a key, whatever their encoding. */
function keyOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

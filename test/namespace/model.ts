/**
 * What the namespace should do, said with Maps: a filesystem in memory with Linux's errors, slow and plain. A node's
 * `ino` is the number the namespace gave it.
 */
import {
  E2BIG,
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  EMLINK,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
} from '../../runtime/errno.ts';
import { ACCESS, DEFAULT, ListModel } from './list-model.ts';
import { collectionOf, ModelCollections } from './model-collections.ts';
import { checkDeparture, checkName, checkNew, checkRemoval, find } from './model-names.ts';
import { APPEND_ONLY, type Effect, IMMUTABLE, type Kind, Node, type Time } from './model-node.ts';

const NO_EFFECT: Effect = { kill: false, keepTimes: false };

export const NEEDS = -10_001;
export const IS = -10_002;

const LINKS_MAX = 65_000;
const NO_ACCESS_TIME = 0x80;

const isAfter = (a: Time, b: Time): boolean =>
  a.seconds > b.seconds || (a.seconds === b.seconds && a.nanoseconds > b.nanoseconds);
const XATTRS_MAX = 256 * 1024;

export class Model {
  readonly root: Node;
  /** All nodes that exist, named or held. */
  readonly nodes: Node[] = [];
  readonly collections = new ModelCollections();
  readonly inlineLimit: number;
  now: Time = { seconds: 0, nanoseconds: 0 };

  constructor(inlineLimit: number, created: Time) {
    this.inlineLimit = inlineLimit;
    this.root = new Node('directory', 0o755, 0, 0, created);
    this.root.ino = 1;
    this.root.links = 1;
    this.root.parent = this.root;
    this.nodes.push(this.root);
  }

  #touch(...nodes: Node[]): void {
    for (const node of nodes) {
      node.ctime = this.now;
      if (node.isDirectory) node.mtime = this.now;
    }
  }

  create(
    parent: Node,
    name: string,
    kind: Kind,
    permissions: number,
    uid: number,
    gid: number,
    target = '',
  ): Node | number {
    const refusal = checkNew(parent, name);
    if (refusal !== 0) return refusal;
    if (kind === 'symlink' && target === '') return -ENOENT;
    if (kind === 'symlink' && Buffer.byteLength(target) > 4095) return -ENAMETOOLONG;
    const inherits = (parent.permissions & 0o2000) !== 0;
    const bits = inherits && kind === 'directory' ? permissions | 0o2000 : permissions;
    const node = new Node(
      kind,
      kind === 'symlink' ? 0o777 : bits,
      uid,
      inherits ? parent.gid : gid,
      this.now,
    );
    this.#inherit(parent, node);
    node.bytes = Buffer.from(target);
    node.links = 1;
    node.parent = parent;
    parent.entries.set(name, node);
    this.nodes.push(node);
    this.#touch(parent);
    return node;
  }

  /** The directory's default list: cut down to the mode it is the access list, and for directories it stays what it is. */
  #inherit(parent: Node, node: Node): void {
    const value = parent.xattrs.get(DEFAULT);
    if (value === undefined || node.kind === 'symlink') return;
    const list = ListModel.parse(value)!;
    list.permissions &= node.permissions;
    node.permissions = (node.permissions & ~0o777) | list.permissions;
    if (list.saysMoreThanBits) node.xattrs.set(ACCESS, list.bytes);
    if (node.isDirectory) node.xattrs.set(DEFAULT, value);
  }

  createUnnamed(directory: Node, permissions: number, linkable: boolean): Node | number {
    if (!directory.isDirectory) return -ENOTDIR;
    if ((directory.flags & IMMUTABLE) !== 0) return -EPERM;
    const gid = (directory.permissions & 0o2000) !== 0 ? directory.gid : 0;
    const node = new Node('file', permissions, 0, gid, this.now);
    this.#inherit(directory, node);
    node.linkable = linkable;
    this.nodes.push(node);
    return node;
  }

  renameLeavingWhiteout(
    parent: Node,
    name: string,
    newParent: Node,
    newName: string,
    flags: number,
  ): Node | number {
    const result = this.rename(parent, name, newParent, newName, flags);
    return result < 0 || parent.entries.has(name) ? result : this.create(parent, name, 'device', 0, 0, 0);
  }

  setFlags(node: Node, flags: number): number {
    if (node.kind !== 'file' && !node.isDirectory) return -EOPNOTSUPP;
    node.flags = flags;
    node.ctime = this.now;
    return 0;
  }

  accessed(node: Node): void {
    const { atime, mtime, ctime } = node;
    const isOld = this.now.seconds - atime.seconds >= 86_400;
    const isDue = isOld || !isAfter(atime, mtime) || !isAfter(atime, ctime);
    if (isDue && (node.flags & NO_ACCESS_TIME) === 0) node.atime = this.now;
  }

  link(node: Node, parent: Node, name: string): number {
    const refusal = checkNew(parent, name);
    if (refusal !== 0) return refusal;
    if (node.isDirectory) return -EPERM;
    if (node.links === 0 && !node.linkable) return -ENOENT;
    if (node.links >= LINKS_MAX) return -EMLINK;
    if ((node.flags & (IMMUTABLE | APPEND_ONLY)) !== 0) return -EPERM;
    node.linkable = false;
    parent.entries.set(name, node);
    node.links++;
    node.ctime = this.now;
    this.#touch(parent);
    return 0;
  }

  #lose(node: Node): void {
    node.links--;
    node.ctime = this.now;
    this.#reap(node);
  }

  #reap(node: Node): void {
    if (node.links === 0 && node.lookups === 0) this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  remove(parent: Node, name: string, asDirectory: boolean): number {
    const node = find(parent, name);
    if (typeof node === 'number') return node;
    const refusal = checkDeparture(parent, node) || checkRemoval(node, asDirectory);
    if (refusal !== 0) return refusal;
    parent.entries.delete(name);
    this.#touch(parent);
    this.#lose(node);
    return 0;
  }

  #isWithin(directory: Node, ancestor: Node): boolean {
    for (let node: Node = directory; ; node = node.parent!) {
      if (node === ancestor) return true;
      if (node === this.root || node.links === 0) return false;
    }
  }

  rename(parent: Node, name: string, newParent: Node, newName: string, flags: number): number {
    if (flags > 2) return -EINVAL;
    const node = find(parent, name);
    if (typeof node === 'number') return node;
    const wrongName = checkName(newName);
    if (wrongName !== 0) return wrongName;
    const other = find(newParent, newName);
    if (typeof other === 'number' && other !== -ENOENT) return other;
    const isExchange = flags === 2;
    if (checkDeparture(parent, node) !== 0) return -EPERM;
    if (typeof other === 'number') {
      if (isExchange || newParent.links === 0) return -ENOENT;
      if (node.isDirectory && this.#isWithin(newParent, node)) return -EINVAL;
      if ((newParent.flags & IMMUTABLE) !== 0) return -EPERM;
    } else {
      if (flags === 1) return -EEXIST;
      if (checkDeparture(newParent, other) !== 0) return -EPERM;
      if (node.isDirectory && this.#isWithin(newParent, node)) return -EINVAL;
      if (other.isDirectory && this.#isWithin(parent, other)) return isExchange ? -EINVAL : -ENOTEMPTY;
      if (node === other) return 0;
      const refusal = isExchange ? 0 : checkRemoval(other, node.isDirectory);
      if (refusal !== 0) return refusal;
    }
    parent.entries.delete(name);
    newParent.entries.set(newName, node);
    node.parent = newParent;
    if (isExchange && typeof other !== 'number') {
      parent.entries.set(name, other);
      other.parent = parent;
      other.ctime = this.now;
    }
    node.ctime = this.now;
    this.#touch(parent, newParent);
    if (!isExchange && typeof other !== 'number') this.#lose(other);
    return 0;
  }

  #killPrivileges(node: Node): void {
    if (node.isDirectory) return;
    node.permissions &= ~0o4000;
    if ((node.permissions & 0o010) !== 0) node.permissions &= ~0o2000;
    node.xattrs.delete('security.capability');
  }

  setattr(
    node: Node,
    changes: {
      mode?: number;
      uid?: number;
      gid?: number;
      atime?: Time;
      mtime?: Time;
      ctime?: Time;
      kill?: boolean;
    },
  ): number {
    if (changes.mode !== undefined) this.#chmod(node, changes.mode);
    node.uid = changes.uid ?? node.uid;
    node.gid = changes.gid ?? node.gid;
    if (changes.kill) this.#killPrivileges(node);
    node.atime = changes.atime ?? node.atime;
    node.mtime = changes.mtime ?? node.mtime;
    node.ctime = changes.ctime ?? this.now;
    return 0;
  }

  #chmod(node: Node, permissions: number): void {
    node.permissions = permissions;
    const value = node.xattrs.get(ACCESS);
    if (value === undefined) return;
    const list = ListModel.parse(value)!;
    list.permissions = permissions & 0o777;
    node.xattrs.set(ACCESS, list.bytes);
  }

  /** The list that an attribute is, undefined = it is none, or why it cannot be. */
  #listOf(node: Node, name: string, value: Buffer): ListModel | number | undefined {
    if (name !== ACCESS && name !== DEFAULT) return undefined;
    if (node.kind === 'symlink') return -EOPNOTSUPP;
    if (name === DEFAULT && !node.isDirectory) return -EACCES;
    return ListModel.parse(value) ?? -EINVAL;
  }

  #changed(node: Node, effect: Effect): void {
    if (!effect.keepTimes) {
      node.mtime = this.now;
      node.ctime = this.now;
    }
    node.version++;
    if (effect.kill) this.#killPrivileges(node);
  }

  #checkFile(node: Node): number {
    if (node.kind === 'file') return 0;
    return node.isDirectory ? -EISDIR : -EINVAL;
  }

  truncate(node: Node, size: number, effect: Effect): number {
    const refusal = this.#checkFile(node);
    if (refusal !== 0) return refusal;
    if (node.objectSize < 0 && size > this.inlineLimit && size > node.bytes.length) return NEEDS;
    if (size === 0) {
      node.objectSize = -1;
      node.bytes = Buffer.alloc(0);
    } else if (node.objectSize >= 0) {
      node.objectSize = size;
    } else {
      const bytes = Buffer.alloc(size);
      node.bytes.copy(bytes);
      node.bytes = bytes;
    }
    this.#changed(node, effect);
    return 0;
  }

  write(node: Node, offset: number, data: Uint8Array, effect: Effect): number {
    if (data.length === 0) return 0;
    const refusal = this.#checkFile(node);
    if (refusal !== 0) return refusal;
    if (node.objectSize >= 0) return IS;
    const end = offset + data.length;
    if (end > this.inlineLimit) return NEEDS;
    const bytes = Buffer.alloc(Math.max(end, node.bytes.length));
    node.bytes.copy(bytes);
    bytes.set(data, offset);
    node.bytes = bytes;
    this.#changed(node, effect);
    return data.length;
  }

  attach(node: Node, size: number): number {
    const refusal = this.#checkFile(node);
    if (refusal !== 0) return refusal;
    node.bytes = Buffer.alloc(0);
    node.objectSize = size;
    this.#changed(node, NO_EFFECT);
    return 0;
  }

  wrote(node: Node, end: number): number {
    const refusal = this.#checkFile(node);
    if (refusal !== 0) return refusal;
    if (node.objectSize < 0) return -EINVAL;
    node.objectSize = Math.max(node.objectSize, end);
    this.#changed(node, NO_EFFECT);
    return 0;
  }

  static xattrBytes(name: string, value: Uint8Array): number {
    return Math.ceil((4 + Buffer.byteLength(name) + value.length) / 4) * 4;
  }

  /** Id of the collection if the attribute is a vector. */
  setxattr(node: Node, name: string, value: Buffer, flags: number): number {
    if (value.length > 65536) return -E2BIG;
    if (flags > 3) return -EINVAL;
    if (name === '' || Buffer.byteLength(name) > 255) return -ERANGE;
    if ((flags & 1) !== 0 && node.xattrs.has(name)) return -EEXIST;
    if ((flags & 2) !== 0 && !node.xattrs.has(name)) return -ENODATA;
    const list = this.#listOf(node, name, value);
    if (typeof list === 'number') return list;
    if (name === ACCESS && list !== undefined && !list.saysMoreThanBits) {
      node.xattrs.delete(name);
      node.permissions = (node.permissions & ~0o777) | list.permissions;
      node.ctime = this.now;
      return 0;
    }
    const collection = collectionOf(name);
    const refusal = collection === undefined ? 0 : this.collections.check(collection, value);
    if (refusal !== 0) return refusal;
    const others = [...node.xattrs].filter(([other]) => other !== name);
    const total = others.reduce(
      (sum, [n, v]) => sum + Model.xattrBytes(n, v),
      4 + Model.xattrBytes(name, value),
    );
    if (total > XATTRS_MAX) return -ENOSPC;
    node.xattrs.set(name, value);
    if (name === ACCESS) node.permissions = (node.permissions & ~0o777) | list!.permissions;
    node.ctime = this.now;
    return collection === undefined ? 0 : this.collections.create(collection, value.length / 4);
  }

  removexattr(node: Node, name: string): number {
    if (name === '' || Buffer.byteLength(name) > 255) return -ERANGE;
    if (!node.xattrs.delete(name)) return -ENODATA;
    node.ctime = this.now;
    const collection = collectionOf(name);
    return collection === undefined ? 0 : this.collections.idOf(collection);
  }

  addLookup(node: Node, n: number): void {
    node.lookups += n;
  }

  forget(node: Node, n: number): void {
    node.lookups -= n;
    this.#reap(node);
  }

  lookup(parent: Node, name: string): Node | number {
    if (Buffer.byteLength(name) > 255) return -ENAMETOOLONG;
    if (!parent.isDirectory) return -ENOTDIR;
    if (name === '.') return parent;
    if (name === '..') return parent.links === 0 ? -ENOENT : parent.parent!;
    return parent.entries.get(name) ?? -ENOENT;
  }
}

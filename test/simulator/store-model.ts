/** What a store should do, said with Maps: the model of the namespace, and with it what objects and shards hold. */

import { S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../fuse/protocol/abi.ts';
import { ENOENT } from '../../runtime/errno.ts';
import { Model, NEEDS } from '../namespace/model.ts';
import { collectionOf } from '../namespace/model-collections.ts';
import type { Node, Time } from '../namespace/model-node.ts';
import { listOf, type OfName, textOf, vectorOf, written } from './apply.ts';
import { type Change, type PartOfTransaction, pathsOf } from './operations.ts';
import { INLINE_LIMIT } from './store.ts';
import { ATTRIBUTE_BYTES, canTransact, partNumber } from './transactions.ts';
import { collectionsLine, lineOf } from './tree-text.ts';

const TYPES = { file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK, fifo: S_IFIFO, device: S_IFCHR };
const NO_EFFECT = { kill: false, keepTimes: false };

/** The answer to a transaction that does not happen: some −errno. */
export const REFUSED = -1_000_000;

/** Bytes of a file's object; each object that the file has had is another epoch. */
export interface ObjectContent {
  readonly epoch: number;
  readonly bytes: Buffer;
}

export interface NamedObject extends ObjectContent {
  readonly path: string;
  readonly id: number;
}

function timeOf(now: number): Time {
  const seconds = Math.floor(now / 1000);
  return { seconds, nanoseconds: Math.floor((now - seconds * 1000) * 1e6) };
}

export class StoreModel {
  /** The inodes that the last change has made, with their names; '' = it has none. */
  made: { readonly node: Node; readonly path: string }[] = [];
  /** The files whose objects the last change has changed. */
  touched: { readonly id: number; readonly content: ObjectContent }[] = [];
  readonly #model: Model;
  readonly #objects = new Map<Node, ObjectContent>();
  readonly #epochs = new Map<Node, number>();
  readonly #texts = new Map<Node, Uint8Array>();
  readonly #held: Node[] = [];
  /** Of each inode the number of the operation that made it. */
  readonly #ids = new Map<Node, number>();

  constructor(created: number) {
    this.#model = new Model(INLINE_LIMIT, timeOf(created));
  }

  /** Whether `change` can be asked of a store at all: a program names a parent that exists. */
  accepts(change: Change): boolean {
    const needsOpen = change.op === 'close' || change.op === 'writeOpen' || change.op === 'linkOpen';
    if (needsOpen && this.#held.length === 0) return false;
    if (change.op === 'transaction') return true;
    if (change.op === 'dropCollection') return !change.isGone || !this.#hasVectors(change.name);
    return pathsOf(change).every((path) => this.#parent(path)?.isDirectory === true);
  }

  #hasVectors(collection: string): boolean {
    const isOf = (name: string): boolean => collectionOf(name) === collection;
    return this.#model.nodes.some(({ xattrs }) => [...xattrs.keys()].some(isOf));
  }

  /** Makes the `n`th change: the answer that is due. */
  apply(change: Change, n: number, now: number): number {
    this.#model.now = timeOf(now);
    this.made = [];
    this.touched = [];
    if (change.op !== 'transaction') return this.#applyOne(change, n);
    if (!canTransact(this.#model, change.parts)) return REFUSED;
    for (const [i, part] of change.parts.entries()) this.#applyPart(part, partNumber(n, i));
    return 0;
  }

  #applyOne(change: Exclude<Change, { op: 'transaction' }>, n: number): number {
    const model = this.#model;
    switch (change.op) {
      case 'close':
        model.forget(this.#held.shift()!, 1);
        return 0;
      case 'collection':
        return model.collections.create(change.name, change.dimension);
      case 'dropCollection':
        return model.collections.drop(change.name, change.isGone);
      case 'unnamed':
        return this.#unnamed(change.path, change.linkable, n);
      case 'writeOpen':
        return this.#write(this.#held.at(-1)!, change.offset, written(n, change.offset, change.length));
      case 'linkOpen':
        return model.link(this.#held.at(-1)!, this.#parent(change.to)!, nameOf(change.to));
      default:
        return this.#applyToName(change, n);
    }
  }

  #unnamed(path: string, linkable: boolean, n: number): number {
    const directory = path === '' ? this.#model.root : this.#find(path);
    if (directory === undefined) return -ENOENT;
    const node = this.#model.createUnnamed(directory, 0o644, linkable);
    if (typeof node === 'number') return node;
    this.#model.addLookup(node, 1);
    this.#held.push(node);
    return this.#made(node, '', n);
  }

  /** Of a transaction that happens. */
  #applyPart(part: PartOfTransaction, n: number): void {
    const { path } = part;
    const parent = this.#parent(path)!;
    const there = parent.entries.get(nameOf(path));
    switch (part.kind) {
      case 'directory':
        this.#applyToName({ op: 'create', path, kind: 'directory' }, n);
        break;
      case 'remove':
        this.#model.remove(parent, nameOf(path), false);
        break;
      case 'write':
        this.#replace(path, there, written(n, 0, part.length), n);
        break;
      case 'vector':
        this.#model.setxattr(there!, part.name, Buffer.from(vectorOf(n)), 0);
        break;
      case 'attribute':
        this.#model.setxattr(there!, part.name, Buffer.from(written(n, 0, ATTRIBUTE_BYTES)), 0);
    }
  }

  /** The file's bytes are these, and nothing of those it had is left. */
  #replace(path: string, there: Node | undefined, bytes: Uint8Array, n: number): void {
    if (there === undefined) this.#applyToName({ op: 'create', path, kind: 'file' }, n);
    const node = there ?? this.#find(path)!;
    if (bytes.length > INLINE_LIMIT) {
      this.#attach(node, Buffer.alloc(0), bytes.length);
      this.#setObject(node, bytes.length, bytes, 0);
      return;
    }
    if (there !== undefined) this.#resize(node, 0);
    if (bytes.length > 0) this.#write(node, 0, bytes);
  }

  /** After a crash nobody holds anything open, and an object has the bytes that were found. */
  restart(find: (path: string) => Uint8Array): void {
    for (const node of this.#held.splice(0)) this.#model.forget(node, 1);
    this.#walk((path, node) => {
      const object = this.#objects.get(node);
      if (object !== undefined) this.#objects.set(node, { ...object, bytes: Buffer.from(find(path)) });
    });
  }

  objects(): NamedObject[] {
    const objects: NamedObject[] = [];
    this.#walk((path, node) => {
      const object = this.#objects.get(node);
      if (object !== undefined) objects.push({ path, id: this.#ids.get(node)!, ...object });
    });
    return objects;
  }

  tree(): string {
    const lines: string[] = [];
    const named = new Set<Node>();
    this.#walk((path, node) => {
      named.add(node);
      lines.push(this.#line(path, node));
    });
    const collections = [...this.#model.collections.dimensions].map(([name, dimension]) => ({
      id: this.#model.collections.idOf(name),
      name,
      dimension,
      isDropping: this.#model.collections.isDropping(name),
    }));
    return [...lines, `${named.size} inodes`, collectionsLine(collections)].join('\n');
  }

  #line(path: string, node: Node): string {
    const isInline = node.kind === 'symlink' || (node.kind === 'file' && node.objectSize < 0);
    const { ino, nlink, size, atime, mtime, ctime, version, flags, xattrs } = node;
    const mode = TYPES[node.kind] | node.permissions;
    const bytes = isInline ? node.bytes : undefined;
    const text = this.#texts.get(node);
    return lineOf({ path, ino, mode, nlink, size, atime, mtime, ctime, version, flags, bytes, xattrs, text });
  }

  #walk(visit: (path: string, node: Node) => void): void {
    const walk = (node: Node, path: string): void => {
      visit(path, node);
      for (const [name, child] of [...node.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
        walk(child, path === '' ? name : `${path}/${name}`);
      }
    };
    walk(this.#model.root, '');
  }

  #parent(path: string): Node | undefined {
    const slash = path.lastIndexOf('/');
    return slash < 0 ? this.#model.root : this.#find(path.slice(0, slash));
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#model.root;
    for (const name of path.split('/')) node = node?.entries.get(name);
    return node;
  }

  #applyToName(change: OfName, n: number): number {
    const model = this.#model;
    const { path } = change;
    const parent = this.#parent(path)!;
    const name = nameOf(path);
    switch (change.op) {
      case 'create': {
        const permissions = change.kind === 'directory' ? 0o755 : 0o644;
        return this.#made(model.create(parent, name, change.kind, permissions, 0, 0), path, n);
      }
      case 'symlink':
        return this.#made(model.create(parent, name, 'symlink', 0, 0, 0, change.target), path, n);
      case 'whiteout': {
        const to = this.#parent(change.to)!;
        const left = model.renameLeavingWhiteout(parent, name, to, nameOf(change.to), change.flags);
        return this.#made(left, path, n);
      }
      case 'remove':
        return model.remove(parent, name, change.directory);
      case 'rename': {
        return model.rename(parent, name, this.#parent(change.to)!, nameOf(change.to), change.flags);
      }
      default: {
        const node = parent.entries.get(name);
        return node === undefined ? -ENOENT : this.#applyToNode(change, node, n);
      }
    }
  }

  #made(made: Node | number, path: string, n: number): number {
    if (typeof made === 'number') return made;
    this.#ids.set(made, n);
    this.made.push({ node: made, path });
    return 0;
  }

  #applyToNode(
    change: Exclude<OfName, { op: 'create' | 'symlink' | 'remove' | 'rename' | 'whiteout' }>,
    node: Node,
    n: number,
  ): number {
    const model = this.#model;
    switch (change.op) {
      case 'link':
        return model.link(node, this.#parent(change.to)!, nameOf(change.to));
      case 'write':
        return this.#write(node, change.offset, written(n, change.offset, change.length));
      case 'truncate':
        return this.#resize(node, change.size);
      case 'allocate':
        return node.kind === 'file' && change.end <= node.size ? 0 : this.#resize(node, change.end);
      case 'zero':
        return this.#zero(node, change.start, change.end);
      case 'chmod':
        return model.setattr(node, { mode: change.mode });
      case 'setxattr':
        return model.setxattr(node, change.name, Buffer.from(written(n, 0, change.length)), 0);
      case 'vector':
        return model.setxattr(node, change.name, Buffer.from(vectorOf(n)), 0);
      case 'list':
        return model.setxattr(node, change.name, listOf(change.list), 0);
      case 'flags':
        return model.setFlags(node, change.flags);
      case 'removexattr':
        return model.removexattr(node, change.name);
      case 'index':
        if (node.kind !== 'file') return 0;
        if (change.chunks === 0) this.#texts.delete(node);
        else this.#texts.set(node, textOf(n, node.version, change.chunks));
        return 0;
      case 'open':
        model.addLookup(node, 1);
        this.#held.push(node);
        return 0;
    }
  }

  #write(node: Node, offset: number, bytes: Uint8Array): number {
    const end = offset + bytes.length;
    if (node.objectSize >= 0) {
      this.#model.wrote(node, end);
      this.#setObject(node, Math.max(end, node.size), bytes, offset);
      return bytes.length;
    }
    const inline = node.bytes;
    const result = this.#model.write(node, offset, bytes, NO_EFFECT);
    if (result !== NEEDS) return result;
    this.#attach(node, inline, Math.max(end, inline.length));
    this.#setObject(node, node.size, bytes, offset);
    return bytes.length;
  }

  #attach(node: Node, inline: Buffer, size: number): void {
    this.#model.attach(node, size);
    const epoch = (this.#epochs.get(node) ?? 0) + 1;
    this.#epochs.set(node, epoch);
    this.#objects.set(node, { epoch, bytes: inline });
    this.#setObject(node, size, new Uint8Array(0), 0);
  }

  #resize(node: Node, size: number): number {
    const inline = node.bytes;
    const result = this.#model.truncate(node, size, NO_EFFECT);
    if (result === NEEDS) {
      this.#attach(node, inline, size);
      return 0;
    }
    if (result < 0 || !this.#objects.has(node)) return result;
    if (size === 0) this.#objects.delete(node);
    else this.#setObject(node, size, new Uint8Array(0), 0);
    return 0;
  }

  #zero(node: Node, start: number, end: number): number {
    const file = node.kind === 'file' ? 0 : this.#model.truncate(node, 0, NO_EFFECT);
    if (file !== 0 || start >= node.size) return file;
    const until = Math.min(end, node.size);
    const written = this.#write(node, start, new Uint8Array(until - start));
    return Math.min(written, 0);
  }

  #setObject(node: Node, size: number, change: Uint8Array, offset: number): void {
    const old = this.#objects.get(node)!;
    const bytes = Buffer.alloc(size);
    old.bytes.copy(bytes);
    bytes.set(change, offset);
    const content = { epoch: old.epoch, bytes };
    this.#objects.set(node, content);
    this.touched.push({ id: this.#ids.get(node)!, content });
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

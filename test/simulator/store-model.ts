/** What a store should do, said with Maps: the model of the namespace, and with it what objects and shards hold. */

import { S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../fuse/protocol/abi.ts';
import { ENOENT } from '../../runtime/errno.ts';
import { Model, NEEDS, type Node, type Time } from '../namespace/model.ts';
import { textOf, vectorOf, written } from './apply.ts';
import type { Change } from './operations.ts';
import { INLINE_LIMIT } from './store.ts';
import { lineOf } from './tree-text.ts';

const TYPES = { file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK, fifo: S_IFIFO, device: S_IFCHR };
const NO_EFFECT = { kill: false, keepTimes: false };

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
  /** The inode that the last change has made. */
  made: Node | undefined;
  /** The file whose object the last change has changed. */
  touched: { readonly id: number; readonly content: ObjectContent } | undefined;
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
    if (change.op === 'close') return this.#held.length > 0;
    const paths = 'to' in change ? [change.path, change.to] : [change.path];
    return paths.every((path) => this.#parent(path)?.isDirectory === true);
  }

  /** Makes the `n`th change: the answer that is due. */
  apply(change: Change, n: number, now: number): number {
    this.#model.now = timeOf(now);
    this.made = undefined;
    this.touched = undefined;
    if (change.op === 'close') {
      this.#model.forget(this.#held.shift()!, 1);
      return 0;
    }
    const result = this.#applyToName(change, n);
    if (this.made !== undefined) this.#ids.set(this.made, n);
    return result;
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
    return [...lines, `${named.size} inodes`].join('\n');
  }

  #line(path: string, node: Node): string {
    const isInline = node.kind === 'symlink' || (node.kind === 'file' && node.objectSize < 0);
    const { ino, nlink, size, atime, mtime, ctime, version, xattrs } = node;
    const mode = TYPES[node.kind] | node.permissions;
    const bytes = isInline ? node.bytes : undefined;
    const text = this.#texts.get(node);
    return lineOf({ path, ino, mode, nlink, size, atime, mtime, ctime, version, bytes, xattrs, text });
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

  #applyToName(change: Exclude<Change, { op: 'close' }>, n: number): number {
    const model = this.#model;
    const parent = this.#parent(change.path)!;
    const name = change.path.slice(change.path.lastIndexOf('/') + 1);
    switch (change.op) {
      case 'create': {
        const permissions = change.kind === 'directory' ? 0o755 : 0o644;
        return this.#made(model.create(parent, name, change.kind, permissions, 0, 0));
      }
      case 'symlink':
        return this.#made(model.create(parent, name, 'symlink', 0, 0, 0, change.target));
      case 'remove':
        return model.remove(parent, name, change.directory);
      case 'rename': {
        const to = change.to.slice(change.to.lastIndexOf('/') + 1);
        return model.rename(parent, name, this.#parent(change.to)!, to, change.flags);
      }
      default: {
        const node = parent.entries.get(name);
        return node === undefined ? -ENOENT : this.#applyToNode(change, node, n);
      }
    }
  }

  #made(made: Node | number): number {
    if (typeof made === 'number') return made;
    this.made = made;
    return 0;
  }

  #applyToNode(
    change: Exclude<Change, { op: 'create' | 'symlink' | 'remove' | 'rename' | 'close' }>,
    node: Node,
    n: number,
  ): number {
    const model = this.#model;
    switch (change.op) {
      case 'link': {
        const name = change.to.slice(change.to.lastIndexOf('/') + 1);
        return model.link(node, this.#parent(change.to)!, name);
      }
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
    this.touched = { id: this.#ids.get(node)!, content };
  }
}

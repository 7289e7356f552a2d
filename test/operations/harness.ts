/** The calls that the kernel makes of the operations, one method each: what it answers is a value, or the negative errno. */
import { Place } from '../../fuse/namespace/namespace.ts';
import * as abi from '../../fuse/protocol/abi.ts';
import {
  type Attributes,
  attributesAt,
  type Caller,
  concat,
  direntsOf,
  type Entry,
  entryOf,
  type Listed,
  type Node,
  type SetattrFields,
  setattrBody,
  strings,
  words,
  writeU64,
} from './encoding.ts';
import { Filesystem } from './filesystem.ts';

export class Harness extends Filesystem {
  lookup(parent: Node, name: string, caller?: Caller): Entry | number {
    return entryOf(this.call(abi.FUSE_LOOKUP, parent, strings(name), caller));
  }

  create(parent: Node, name: string, mode = 0o644, flags = 0o100 | 0o200): Entry | number {
    return entryOf(this.call(abi.FUSE_CREATE, parent, concat(words(flags, mode, 0, 0), strings(name))));
  }

  mkdir(parent: Node, name: string, mode = 0o755): Entry | number {
    return entryOf(this.call(abi.FUSE_MKDIR, parent, concat(words(mode, 0), strings(name))));
  }

  mknod(parent: Node, name: string, mode: number, rdev = 0): Entry | number {
    return entryOf(this.call(abi.FUSE_MKNOD, parent, concat(words(mode, rdev, 0, 0), strings(name))));
  }

  symlink(parent: Node, name: string, target: string): Entry | number {
    return entryOf(this.call(abi.FUSE_SYMLINK, parent, strings(name, target)));
  }

  link(node: Node, parent: Node, name: string): Entry | number {
    return entryOf(this.call(abi.FUSE_LINK, parent, concat(words(node.lo, node.hi), strings(name))));
  }

  unlink(parent: Node, name: string): number | undefined {
    return this.call(abi.FUSE_UNLINK, parent, strings(name)).error;
  }

  rmdir(parent: Node, name: string): number | undefined {
    return this.call(abi.FUSE_RMDIR, parent, strings(name)).error;
  }

  rename(parent: Node, name: string, newParent: Node, newName: string, flags = 0): number | undefined {
    const body = concat(words(newParent.lo, newParent.hi, flags, 0), strings(name, newName));
    return this.call(abi.FUSE_RENAME2, parent, body).error;
  }

  getattr(node: Node): Attributes | number {
    const { error, body } = this.call(abi.FUSE_GETATTR, node, Buffer.alloc(16));
    return error === 0 ? attributesAt(body, 16) : error!;
  }

  setattr(node: Node, fields: SetattrFields): Attributes | number {
    const { error, body } = this.call(abi.FUSE_SETATTR, node, setattrBody(fields));
    return error === 0 ? attributesAt(body, 16) : error!;
  }

  /** FOPEN flags and backing id, or −errno. */
  open(node: Node, flags: number): { flags: number; backing: number } | number {
    const { error, body } = this.call(abi.FUSE_OPEN, node, words(flags, 0));
    return error === 0 ? { flags: body.readUInt32LE(8), backing: body.readInt32LE(12) } : error!;
  }

  release(node: Node, flags: number): number | undefined {
    return this.call(abi.FUSE_RELEASE, node, words(0, 0, flags, 0, 0, 0)).error;
  }

  /** Writes to the object of a file as the kernel does that passes it through. */
  writePastUs({ lo }: Node, position: number, bytes: Uint8Array): void {
    const place = new Place();
    this.namespace.locate(lo, place);
    this.objects.write(place.object, position, bytes, 0, bytes.length);
  }

  truncate(node: Node, size: number): number {
    const done = this.setattr(node, { valid: abi.FATTR_SIZE, size });
    return typeof done === 'number' ? done : 0;
  }

  read(node: Node, position: number, size: number): Buffer | number {
    const body = Buffer.alloc(40);
    writeU64(body, 8, position);
    body.writeUInt32LE(size, 16);
    const answer = this.call(abi.FUSE_READ, node, body);
    return answer.error === 0 ? answer.body : answer.error!;
  }

  write(node: Node, position: number, data: Uint8Array | string, flags = 0): number {
    const bytes = Buffer.from(data as string);
    const body = Buffer.alloc(40);
    writeU64(body, 8, position);
    body.writeUInt32LE(bytes.length, 16);
    body.writeUInt32LE(flags, 20);
    const answer = this.call(abi.FUSE_WRITE, node, concat(body, bytes));
    return answer.error === 0 ? answer.body.readUInt32LE(0) : answer.error!;
  }

  fallocate(node: Node, mode: number, start: number, length: number): number | undefined {
    const body = Buffer.alloc(32);
    writeU64(body, 8, start);
    writeU64(body, 16, length);
    body.writeUInt32LE(mode, 24);
    return this.call(abi.FUSE_FALLOCATE, node, body).error;
  }

  readlink(node: Node): string | number {
    const { error, body } = this.call(abi.FUSE_READLINK, node);
    return error === 0 ? body.toString() : error!;
  }

  /** One READDIR or READDIRPLUS. */
  readdirOnce(node: Node, cookie: bigint, size: number, plus = false): Listed[] | number {
    const request = Buffer.alloc(40);
    request.writeBigUInt64LE(cookie, 8);
    request.writeUInt32LE(size, 16);
    const { error, body } = this.call(plus ? abi.FUSE_READDIRPLUS : abi.FUSE_READDIR, node, request);
    return error === 0 ? direntsOf(body, plus) : error!;
  }

  /** The whole directory, in buffers of `size` bytes. */
  readdir(node: Node, size = 4096, plus = false): Listed[] {
    const all: Listed[] = [];
    for (let cookie = 0n; ; cookie = all.at(-1)!.cookie) {
      const some = this.readdirOnce(node, cookie, size, plus);
      if (typeof some === 'number') throw new Error(`readdir: errno ${-some}`);
      if (some.length === 0) return all;
      all.push(...some);
    }
  }

  names(node: Node): string[] {
    return this.readdir(node)
      .map(({ name }) => name)
      .filter((name) => name !== '.' && name !== '..')
      .sort();
  }

  setxattr(node: Node, name: string, value: Uint8Array | string, flags = 0): number | undefined {
    const bytes = Buffer.from(value as string);
    const body = concat(words(bytes.length, flags, 0, 0), strings(name), bytes);
    return this.call(abi.FUSE_SETXATTR, node, body).error;
  }

  getxattr(node: Node, name: string, size = 65536): Buffer | number {
    const { error, body } = this.call(abi.FUSE_GETXATTR, node, concat(words(size, 0), strings(name)));
    if (error !== 0) return error!;
    return size === 0 ? body.readUInt32LE(0) : body;
  }

  listxattr(node: Node, size = 65536, caller: Caller = {}): string[] | number {
    const { error, body } = this.call(abi.FUSE_LISTXATTR, node, words(size, 0), caller);
    if (error !== 0) return error!;
    if (size === 0) return body.readUInt32LE(0);
    return body.toString().split('\0').slice(0, -1).sort();
  }

  removexattr(node: Node, name: string): number | undefined {
    return this.call(abi.FUSE_REMOVEXATTR, node, strings(name)).error;
  }

  forget(node: Node, count = 1): void {
    this.call(abi.FUSE_FORGET, node, words(count, 0));
  }
}

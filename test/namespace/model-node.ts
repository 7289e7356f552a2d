/** An inode of the model, with the names in it if it is a directory. */

export type Kind = 'file' | 'directory' | 'symlink' | 'fifo' | 'device';

export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What a write does beside writing. */
export interface Effect {
  readonly kill: boolean;
  readonly keepTimes: boolean;
}

/** Flags of chattr(1). */
export const IMMUTABLE = 0x10;
export const APPEND_ONLY = 0x20;

export class Node {
  readonly kind: Kind;
  ino = 0;
  permissions: number;
  uid: number;
  gid: number;
  atime: Time;
  mtime: Time;
  ctime: Time;
  /** Names of a file; of a directory 1 or, removed, 0. */
  links = 0;
  lookups = 0;
  bytes = Buffer.alloc(0);
  /** Size of the object that has the bytes, −1 = none. */
  objectSize = -1;
  version = 0;
  /** Of chattr(1). */
  flags = 0;
  /** It has no name yet and may get one. */
  linkable = false;
  readonly xattrs = new Map<string, Buffer>();
  readonly entries = new Map<string, Node>();
  parent: Node | undefined;

  constructor(kind: Kind, permissions: number, uid: number, gid: number, now: Time) {
    this.kind = kind;
    this.permissions = permissions;
    this.uid = uid;
    this.gid = gid;
    this.atime = now;
    this.mtime = now;
    this.ctime = now;
  }

  get isDirectory(): boolean {
    return this.kind === 'directory';
  }

  get nlink(): number {
    if (!this.isDirectory) return this.links;
    if (this.links === 0) return 0;
    return 2 + [...this.entries.values()].filter((node) => node.isDirectory).length;
  }

  get size(): number {
    if (this.isDirectory) return 4096;
    return this.objectSize >= 0 ? this.objectSize : this.bytes.length;
  }
}

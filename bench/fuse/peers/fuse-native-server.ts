/**
 * A filesystem in memory on fuse-native: node fuse-native-server.js FOLDER DIRECTORY default|tuned, where FOLDER is the package
 * that has fuse-native among its modules. No work is done that the benchmark could blame on the tree: one map lookup per path
 * component, growing buffers, no copies but the one into the reply.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { mountedDevice } from '../mounts.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const ENOENT = -2;
const EEXIST = -17;
const ENOTDIR = -20;
const EISDIR = -21;
const ENOTEMPTY = -39;

interface Node {
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  size: number;
  mtime: number;
  atime: number;
  ctime: number;
  data: Buffer;
  readonly children: Map<string, Node> | undefined;
}

type Reply<T extends unknown[] = []> = (error: number, ...values: T) => void;

function makeNode(mode: number): Node {
  const now = Date.now();
  const children = (mode & S_IFMT) === S_IFDIR ? new Map<string, Node>() : undefined;
  const owner = { uid: process.getuid!(), gid: process.getgid!() };
  return {
    mode,
    ...owner,
    nlink: 1,
    size: 0,
    mtime: now,
    atime: now,
    ctime: now,
    data: Buffer.alloc(0),
    children,
  };
}

const root = makeNode(S_IFDIR | 0o755);

function find(file: string): Node | undefined {
  let node: Node | undefined = root;
  for (let at = 1; node && at < file.length; ) {
    const slash = file.indexOf('/', at);
    const end = slash < 0 ? file.length : slash;
    node = node.children?.get(file.slice(at, end));
    at = end + 1;
  }
  return node;
}

function parentOf(file: string): { children: Map<string, Node> | undefined; name: string } {
  const slash = file.lastIndexOf('/');
  return { children: find(file.slice(0, slash) || '/')?.children, name: file.slice(slash + 1) };
}

/** Adds a node; 0 or −errno. */
function add(file: string, mode: number): number {
  const { children, name } = parentOf(file);
  if (!children) return ENOENT;
  if (children.has(name)) return EEXIST;
  children.set(name, makeNode(mode));
  return 0;
}

function remove(file: string, directory: boolean): number {
  const { children, name } = parentOf(file);
  const node = children?.get(name);
  if (!node) return ENOENT;
  if (directory && !node.children) return ENOTDIR;
  if (!directory && node.children) return EISDIR;
  if (node.children?.size) return ENOTEMPTY;
  children!.delete(name);
  return 0;
}

function rename(from: string, to: string): number {
  const source = parentOf(from);
  const destination = parentOf(to);
  const node = source.children?.get(source.name);
  if (!node || !destination.children) return ENOENT;
  const old = destination.children.get(destination.name);
  if (old?.children?.size) return ENOTEMPTY;
  source.children!.delete(source.name);
  destination.children.set(destination.name, node);
  return 0;
}

function resize(node: Node, size: number): void {
  if (size > node.data.length) {
    const grown = Buffer.alloc(Math.max(size, node.data.length * 2));
    node.data.copy(grown, 0, 0, node.size);
    node.data = grown;
  } else if (size < node.size) {
    if (size === 0) node.data = Buffer.alloc(0);
    else node.data.fill(0, size, node.size);
  }
  node.size = size;
  node.mtime = node.ctime = Date.now();
}

/** Runs `change` on the node of `file`: 0, or ENOENT. */
function change(file: string, reply: Reply, apply: (node: Node) => void): void {
  const node = find(file);
  if (node) apply(node);
  reply(node ? 0 : ENOENT);
}

const operations = {
  getattr(file: string, reply: Reply<[Node?]>) {
    const node = find(file);
    if (node) reply(0, node);
    else reply(ENOENT);
  },
  fgetattr(file: string, _handle: number, reply: Reply<[Node?]>) {
    operations.getattr(file, reply);
  },
  readdir(file: string, reply: Reply<[string[]?, Node[]?]>) {
    const children = find(file)?.children;
    if (children) reply(0, [...children.keys()], [...children.values()]);
    else reply(ENOTDIR);
  },
  open(file: string, _flags: number, reply: Reply<[number?]>) {
    if (find(file)) reply(0, 1);
    else reply(ENOENT);
  },
  create(file: string, mode: number, reply: Reply<[number]>) {
    reply(add(file, (mode & ~S_IFMT) | S_IFREG), 1);
  },
  mknod(file: string, mode: number, _device: number, reply: Reply) {
    reply(add(file, mode));
  },
  mkdir(file: string, mode: number, reply: Reply) {
    reply(add(file, (mode & ~S_IFMT) | S_IFDIR));
  },
  // fuse-native takes the byte count of a read or write in place of the errno
  read(file: string, _handle: number, into: Buffer, length: number, position: number, reply: Reply) {
    const node = find(file);
    reply(node ? node.data.copy(into, 0, position, Math.min(position + length, node.size)) : ENOENT);
  },
  write(file: string, _handle: number, from: Buffer, length: number, position: number, reply: Reply) {
    const node = find(file);
    if (!node) return reply(ENOENT);
    if (position + length > node.size) resize(node, position + length);
    reply(from.copy(node.data, position, 0, length));
  },
  truncate(file: string, size: number, reply: Reply) {
    change(file, reply, (node) => resize(node, size));
  },
  ftruncate(file: string, _handle: number, size: number, reply: Reply) {
    operations.truncate(file, size, reply);
  },
  chmod(file: string, mode: number, reply: Reply) {
    change(file, reply, (node) => {
      node.mode = (node.mode & S_IFMT) | (mode & ~S_IFMT);
    });
  },
  chown(file: string, uid: number, gid: number, reply: Reply) {
    change(file, reply, (node) => Object.assign(node, { uid, gid }));
  },
  utimens(file: string, atime: number, mtime: number, reply: Reply) {
    change(file, reply, (node) => Object.assign(node, { atime, mtime }));
  },
  rename: (from: string, to: string, reply: Reply) => reply(rename(from, to)),
  unlink: (file: string, reply: Reply) => reply(remove(file, false)),
  rmdir: (file: string, reply: Reply) => reply(remove(file, true)),
  fsync: (_file: string, _dataOnly: boolean, _handle: number, reply: Reply) => reply(0),
  release: (_file: string, _handle: number, reply: Reply) => reply(0),
};

interface FuseNative {
  new (
    directory: string,
    operations: object,
    options: Record<string, unknown>,
  ): { mount(done: (error: Error | null) => void): void };
}

const [folder, directory, variant] = process.argv.slice(2) as [string, string, string];
const Fuse = createRequire(path.join(folder, 'package.json'))('fuse-native') as FuseNative;
const forever = { entryTimeout: 1e9, attrTimeout: 1e9, kernelCache: true };
new Fuse(directory, operations, {
  timeout: false, // else a timer per request
  // the package has no option for libfuse's big_writes, but passes this one on as it is
  fsname: variant === 'tuned' ? 'fuse-native,big_writes' : 'fuse-native',
  ...(variant === 'tuned' ? forever : {}),
}).mount((error) => {
  if (error) throw error;
  // the addon's handles would keep the process alive after the unmount
  setInterval(() => {
    if (mountedDevice(directory) === undefined) process.exit(0);
  }, 250);
});

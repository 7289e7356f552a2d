/** Compares a namespace with the model, node by node, and checks the tables' own invariants. */
import { expect } from 'vitest';
import * as L from '../../fuse/namespace/layout.ts';
import { hashName } from '../../fuse/namespace/names.ts';
import { DirEntry, IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import type { Tables } from '../../fuse/namespace/tables.ts';
import { IS, type Model } from './model.ts';
import type { Node, Time } from './model-node.ts';
import type { World } from './world.ts';

const TYPES = {
  file: L.S_IFREG,
  directory: L.S_IFDIR,
  symlink: L.S_IFLNK,
  fifo: L.S_IFIFO,
  device: L.S_IFCHR,
};

/** Names, without "." and "..", and the inodes they name; each exactly once. */
export function listDirectory(namespace: Namespace, ino: number): Map<string, number> {
  const names = new Map<string, number>();
  const entry = new DirEntry();
  while (namespace.readdir(ino, entry.cookieLo, entry.cookieHi, entry)) {
    const name = Buffer.from(entry.name.subarray(0, entry.nameLength)).toString();
    if (names.has(name)) throw new Error(`${name} is listed twice`);
    names.set(name, entry.ino);
  }
  names.delete('.');
  names.delete('..');
  return names;
}

/** As `expect(actual).toEqual(expected)`, which is slow, but only when they differ at a glance. */
function same(actual: unknown, expected: unknown): void {
  if (actual !== expected && JSON.stringify(actual) !== JSON.stringify(expected))
    expect(actual).toEqual(expected);
}

function sameBytes(actual: Uint8Array | number, expected: Uint8Array): void {
  if (typeof actual === 'number' || Buffer.compare(actual, expected) !== 0) {
    expect(actual).toEqual(new Uint8Array(expected));
  }
}

function expectTimes(world: World, node: Node): void {
  const attr = world.stat(node.ino);
  const time = (seconds: number, nanoseconds: number): Time => ({ seconds, nanoseconds });
  same(time(attr.atime, attr.atimeNs), node.atime);
  same(time(attr.mtime, attr.mtimeNs), node.mtime);
  same(time(attr.ctime, attr.ctimeNs), node.ctime);
}

function expectNode(world: World, node: Node): void {
  const attr = world.stat(node.ino);
  same(attr.mode.toString(8), (TYPES[node.kind] | node.permissions).toString(8));
  same(world.namespace.flags(node.ino), node.flags);
  same([attr.nlink, attr.uid, attr.gid, attr.size], [node.nlink, node.uid, node.gid, node.size]);
  expectTimes(world, node);
  const state = new IndexState();
  same(world.namespace.indexState(node.ino, state), 0);
  same(state.version, node.version);
  if (node.kind === 'file' && node.objectSize >= 0) same(world.read(node.ino), IS);
  if (node.kind === 'file' && node.objectSize < 0) sameBytes(world.read(node.ino), node.bytes);
  if (node.kind === 'symlink') {
    const out = new Uint8Array(4096);
    sameBytes(out.subarray(0, world.namespace.readlink(node.ino, out, 0)), node.bytes);
  }
  const list = new Uint8Array(64 * 1024);
  const length = world.namespace.listxattr(node.ino, list, 0, list.length);
  const names = Buffer.from(list.subarray(0, length)).toString().split('\0').slice(0, -1);
  same(names.sort(), [...node.xattrs.keys()].sort());
  for (const [name, value] of node.xattrs) sameBytes(world.getxattr(node.ino, name), value);
}

function expectTree(world: World, node: Node, path: string): void {
  expectNode(world, node);
  same(world.namespace.resolve(path === '' ? '/' : path), node.ino);
  if (node.isDirectory) same(world.namespace.pathOf(node.ino), path === '' ? '/' : path);
  const listed = listDirectory(world.namespace, node.ino);
  const expected = [...node.entries].map(([name, child]): [string, number] => [name, child.ino]);
  same([...listed].sort(), expected.sort());
  for (const [name, child] of node.entries) expectTree(world, child, `${path}/${name}`);
}

/** `held` = whether inodes that only the kernel holds still exist (not after a recovery). */
export function expectSame(world: World, model: Model, held: boolean): void {
  expectTree(world, model.root, '');
  const nodes = held ? model.nodes : model.nodes.filter((node) => node.links > 0);
  for (const node of nodes) if (node.links === 0) expectNode(world, node);
  const { files, freeFiles } = world.namespace.statfs();
  expect(files - freeFiles).toBe(nodes.length);
  const collections = world.namespace.collections().map(({ name, dimension }) => [name, dimension]);
  expect(collections).toEqual([...model.collections.dimensions]);
  checkTables(world.tables);
  expect(world.slab.usedBytes).toBe(referredBytes(world.tables));
}

/** Slab memory that names, data, targets and xattrs take. */
function referredBytes(t: Tables): number {
  let bytes = 0;
  const add = (handle: number) => {
    if (handle !== 0) bytes += t.slab.capacity(handle);
  };
  for (let ino = 1; ino < t.header[L.H_INODES_END]!; ino++) {
    const at = ino * L.INODE_WORDS;
    const type = t.inode[at + L.I_MODE]! & L.S_IFMT;
    if (type !== 0) add(t.inode[at + L.I_XATTRS]!);
    if (type === L.S_IFREG || type === L.S_IFLNK) add(t.inode[at + L.I_DATA]!);
  }
  for (let slot = 1; slot < t.header[L.H_DENTRIES_END]!; slot++) {
    const at = slot * L.DENTRY_WORDS;
    if (t.dentry[at + L.D_INODE] !== 0 && t.dentry[at + L.D_NAME_LENGTH]! > L.NAME_INLINE) {
      add(t.dentry[at + L.D_NAME]!);
    }
  }
  return bytes;
}

/** Every live dentry is in its chain, its directory's list and its inode's list of names; nothing else is. */
export function checkTables(t: Tables): void {
  let live = 0;
  for (let slot = 1; slot < t.header[L.H_DENTRIES_END]!; slot++) {
    const at = slot * L.DENTRY_WORDS;
    if (t.dentry[at + L.D_INODE] !== 0) live++;
  }
  expect(t.header[L.H_DENTRIES_LIVE]).toBe(live);
  expect(chained(t)).toBe(live);
  expect(listed(t)).toEqual({ inDirectories: live, asNames: live });
  expect(freeRecords(t)).toBe(t.header[L.H_DENTRIES_END]! - 1 - live);
}

function chained(t: Tables): number {
  let count = 0;
  for (let bucket = 0; bucket < t.buckets.length; bucket++) {
    for (let slot = t.buckets[bucket]!; slot !== 0; slot = t.dentry[slot * L.DENTRY_WORDS + L.D_CHAIN]!) {
      const at = slot * L.DENTRY_WORDS;
      const length = t.dentry[at + L.D_NAME_LENGTH]!;
      const name = length <= L.NAME_INLINE ? t.dentryU8 : t.bytes;
      const start = length <= L.NAME_INLINE ? (at + L.D_NAME) * 4 : t.dentry[at + L.D_NAME]! * 64;
      const hash = hashName(t.dentry[at + L.D_PARENT]!, name, start, start + length);
      if (t.dentryI32[at + L.D_HASH] !== hash || (hash & t.bucketMask) !== bucket)
        throw new Error('misplaced');
      count++;
    }
  }
  return count;
}

function listed(t: Tables): { inDirectories: number; asNames: number } {
  let inDirectories = 0;
  let asNames = 0;
  for (let ino = 1; ino < t.header[L.H_INODES_END]!; ino++) {
    const at = ino * L.INODE_WORDS;
    const mode = t.inode[at + L.I_MODE]!;
    if (mode === 0) continue;
    for (
      let slot = t.inode[at + L.I_NAMES]!;
      slot !== 0;
      slot = t.dentry[slot * L.DENTRY_WORDS + L.D_LINK_NEXT]!
    ) {
      if (t.dentry[slot * L.DENTRY_WORDS + L.D_INODE] !== ino) throw new Error('a name of another inode');
      asNames++;
    }
    if ((mode & L.S_IFMT) !== L.S_IFDIR) continue;
    let sequence = t.inode[at + L.I_SEQUENCE]! + 1;
    let previous = 0;
    for (
      let slot = t.inode[at + L.I_FIRST]!;
      slot !== 0;
      slot = t.dentry[slot * L.DENTRY_WORDS + L.D_NEXT]!
    ) {
      const d = slot * L.DENTRY_WORDS;
      if (t.dentry[d + L.D_PARENT] !== ino) throw new Error('an entry of another directory');
      if (t.dentry[d + L.D_PREVIOUS] !== previous) throw new Error('a broken list');
      if (t.dentry[d + L.D_SEQUENCE]! >= sequence) throw new Error('sequence numbers fall');
      sequence = t.dentry[d + L.D_SEQUENCE]!;
      previous = slot;
      inDirectories++;
    }
  }
  return { inDirectories, asNames };
}

function freeRecords(t: Tables): number {
  let count = 0;
  for (let slot = t.header[L.H_DENTRY_FREE]!; slot !== 0; slot = t.dentry[slot * L.DENTRY_WORDS + L.D_CHAIN]!)
    count++;
  return count;
}

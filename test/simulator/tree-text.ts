/** A tree as text, a line for each name in it: of a store and of the model, to be compared. */

import { type Collection, DirEntry, IndexState, type Namespace } from '../../fuse/namespace/namespace.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../fuse/protocol/abi.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { crc32c } from '../../kernels/codec/crc32c.ts';
import type { TextOf } from './tree.ts';

interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What there is of one name. Contents of objects are not among it. */
export interface Described {
  readonly path: string;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly size: number;
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
  readonly version: number;
  readonly flags: number;
  /** Of a symlink or an inline file. */
  readonly bytes: Uint8Array | undefined;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Text vectors of a regular file. */
  readonly text: Uint8Array | undefined;
}

function sum(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '-' : `${bytes.length}:${crc32c(bytes, 0, bytes.length).toString(16)}`;
}

function time({ seconds, nanoseconds }: Time): string {
  return `${seconds}.${nanoseconds}`;
}

export function lineOf(d: Described): string {
  const xattrs = [...d.xattrs].map(([name, value]) => `${name}=${sum(value)}`).sort();
  const times = [d.atime, d.mtime, d.ctime].map(time);
  return [
    `/${d.path}`,
    `inode ${d.ino}`,
    `mode ${d.mode.toString(8)}`,
    `links ${d.nlink}`,
    `size ${d.size}`,
    `version ${d.version}`,
    `flags ${d.flags}`,
    `bytes ${sum(d.bytes)}`,
    `text ${sum(d.text)}`,
    ...xattrs,
    ...times,
  ].join(' ');
}

export function collectionsLine(
  collections: readonly Pick<Collection, 'id' | 'name' | 'dimension' | 'isDropping'>[],
): string {
  const all = collections.map(
    ({ id, name, dimension, isDropping }) => `${id}:${name}:${dimension}${isDropping ? ':dropping' : ''}`,
  );
  return `collections ${all.sort().join(' ')}`;
}

/** The first line in which two trees differ. */
export function difference(due: string, found: string): string {
  const dueLines = due.split('\n');
  const foundLines = found.split('\n');
  const at = dueLines.findIndex((line, i) => line !== foundLines[i]);
  if (at < 0) return `has a line too much: ${foundLines[dueLines.length]}`;
  return `differs:\n  due   ${dueLines[at]}\n  found ${foundLines[at] ?? 'no such line'}`;
}

const attr = new Attr();
const index = new IndexState();
const buffer = new Uint8Array(8192);
const value = new Uint8Array(8192);

/** The tree of a store, and the inode of each path. */
export function treeOf(
  namespace: Namespace,
  texts: ReadonlyMap<number, TextOf>,
): { readonly text: string; readonly inodes: ReadonlyMap<string, number> } {
  const lines: string[] = [];
  const inodes = new Map<string, number>();
  const walk = (ino: number, path: string): void => {
    const described = describe(namespace, texts, ino, path);
    lines.push(lineOf(described));
    inodes.set(path, ino);
    if ((described.mode & S_IFMT) !== S_IFDIR) return;
    for (const [name, child] of entriesOf(namespace, ino))
      walk(child, path === '' ? name : `${path}/${name}`);
  };
  walk(1, '');
  const { files, freeFiles } = namespace.statfs();
  lines.push(`${files - freeFiles} inodes`, collectionsLine(namespace.collections()));
  return { text: lines.join('\n'), inodes };
}

function describe(
  namespace: Namespace,
  texts: ReadonlyMap<number, TextOf>,
  ino: number,
  path: string,
): Described {
  if (namespace.stat(ino, attr) !== 0 || namespace.indexState(ino, index) !== 0) {
    throw new Error(`${path} names inode ${ino}, which is not there`);
  }
  const type = attr.mode & S_IFMT;
  const length =
    type === S_IFREG
      ? namespace.readInline(ino, 0, buffer.length, buffer, 0)
      : namespace.readlink(ino, buffer, 0);
  const text = texts.get(ino);
  return {
    path,
    ino,
    mode: attr.mode,
    nlink: attr.nlink,
    size: attr.size,
    atime: { seconds: attr.atime, nanoseconds: attr.atimeNs },
    mtime: { seconds: attr.mtime, nanoseconds: attr.mtimeNs },
    ctime: { seconds: attr.ctime, nanoseconds: attr.ctimeNs },
    version: index.version,
    flags: namespace.flags(ino),
    bytes: length < 0 ? undefined : buffer.slice(0, length),
    xattrs: xattrsOf(namespace, ino),
    text: text?.generation === index.generation ? text.bytes : undefined,
  };
}

function xattrsOf(namespace: Namespace, ino: number): Map<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>();
  const length = namespace.listxattr(ino, buffer, 0, buffer.length);
  for (const name of Buffer.from(buffer.slice(0, length)).toString().split('\0').slice(0, -1)) {
    const bytes = Buffer.from(name);
    const got = namespace.getxattr(ino, bytes, 0, bytes.length, value, 0, value.length);
    xattrs.set(name, value.slice(0, got));
  }
  return xattrs;
}

function entriesOf(namespace: Namespace, ino: number): [string, number][] {
  const entries: [string, number][] = [];
  const entry = new DirEntry();
  while (namespace.readdir(ino, entry.cookieLo, entry.cookieHi, entry)) {
    entries.push([Buffer.from(entry.name.subarray(0, entry.nameLength)).toString(), entry.ino]);
  }
  return entries.filter(([name]) => name !== '.' && name !== '..').sort();
}

/** Changes to be made at once, and all that can be seen of what they did. */
import { createHash } from 'node:crypto';
import { type Change, Effects } from '../../fuse/namespace/change-set.ts';
import * as L from '../../fuse/namespace/layout.ts';
import { ROOT } from '../../fuse/namespace/namespace.ts';
import { list } from '../operations/linux-calls.ts';
import { listDirectory } from './compare.ts';
import { bytesOf, type World } from './world.ts';

export const ROOT_USER = { uid: 0, gids: [0] };
export const VECTOR = 'user.vexfs.vector';

export const write = (
  path: string,
  text: string,
  more: Partial<Extract<Change, { kind: 'write' }>> = {},
): Change => ({
  kind: 'write',
  path,
  data: bytesOf(text),
  object: 0,
  mode: 0o644,
  isNew: false,
  ...more,
});
export const attribute = (path: string, name: string, value?: Uint8Array): Change => ({
  kind: 'attribute',
  path,
  name: bytesOf(name),
  value,
});
export const directory = (path: string): Change => ({ kind: 'directory', path, mode: 0o755 });
export const remove = (path: string): Change => ({ kind: 'remove', path });
export const vector = (...elements: number[]): Uint8Array =>
  new Uint8Array(Float32Array.from(elements).buffer);

/** Everything for uid 1000, beside a group that may read. */
export const accessList = (): Uint8Array => list('u::rwx,u:1000:rwx,g::r--,m::rwx,o::---');

export interface Result {
  readonly result: number;
  readonly effects: Effects;
}

export function transact(world: World, changes: readonly Change[], who = ROOT_USER): Result {
  const effects = new Effects();
  return { result: world.namespace.transact(changes, who, () => true, effects), effects };
}

/** The same changes one after the other, up to the first that is refused. */
export function oneByOne(world: World, changes: readonly Change[]): { result: number; refusedAt: number } {
  for (const [i, change] of changes.entries()) {
    const { result } = transact(world, [change]);
    if (result < 0) return { result, refusedAt: i };
  }
  return { result: 0, refusedAt: -1 };
}

/** Everything that can be read of the tree, by path. */
export function treeOf(world: World, ino = ROOT, path = '', out: string[] = []): string[] {
  const { mode, nlink, uid, gid, size } = world.stat(ino);
  const bytes = new Uint8Array(4096);
  const length = world.namespace.listxattr(ino, bytes, 0, bytes.length);
  const names = Buffer.from(bytes.subarray(0, length)).toString().split('\0').slice(0, -1).sort();
  const values = names.map(
    (name) => `${name}=${Buffer.from(world.getxattr(ino, name) as Uint8Array).toString('hex')}`,
  );
  const isFile = (mode & L.S_IFMT) === L.S_IFREG;
  const data = isFile ? Buffer.from(world.read(ino) as Uint8Array).toString('hex') : '';
  out.push([path, ino, mode.toString(8), nlink, uid, gid, size, data, ...values].join(' '));
  if ((mode & L.S_IFMT) !== L.S_IFDIR) return out;
  for (const [name, child] of [...listDirectory(world.namespace, ino)].sort())
    treeOf(world, child, `${path}/${name}`, out);
  return out;
}

/** Inode numbers are given in another order where something was refused. */
export function withoutIno(line: string): string {
  return line.replace(/^(\S*) \d+/, '$1');
}

/** A digest of the tables, but for the notes of where the last transaction began. */
export function imageOf(world: World): string {
  const header = Buffer.from(world.arena.region('namespace').u8);
  header.fill(0, L.H_MUTEX * 4, (L.H_BEGAN_SEQUENCE + 1) * 4);
  const digest = createHash('sha1').update(header);
  for (const name of ['inodes', 'dentries', 'dentry-hash'])
    digest.update(Buffer.from(world.arena.region(name).u8));
  return digest.digest('hex');
}

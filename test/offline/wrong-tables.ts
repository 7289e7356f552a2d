/** Tables that are wrong though their checksums are right: what is changed in them, and what a check says of it. */

import type { PrivateTree } from '../../cli/offline/private-tree.ts';
import * as L from '../../fuse/namespace/layout.ts';
import { LIST } from '../namespace/access-list.ts';
import type { BuiltStore } from './built-store.ts';

const inoOf = (tree: PrivateTree, path: string): number => {
  const ino = tree.namespace.resolve(path);
  if (ino <= 0) throw new Error(`${path} is not there`);
  return ino;
};
const word = (ino: number, index: number): number => ino * L.INODE_WORDS + index;

/** What is wrong, the words of the check, and how a store comes to it. */
export const WRONG_TABLES: readonly [string, RegExp, (tree: PrivateTree, store: BuiltStore) => void][] = [
  [
    'a link count',
    /link count 9, it should be 2/,
    (tree) => {
      tree.tables.inode[word(inoOf(tree, '/one/another name of small.txt'), L.I_NLINK)] = 9;
    },
  ],
  [
    'an entry of an inode that is not there',
    /names inode 1999, which does not exist/,
    (tree) => {
      const slot = tree.tables.inode[word(inoOf(tree, '/one/file-1'), L.I_NAMES)]!;
      tree.tables.dentry[slot * L.DENTRY_WORDS + L.D_INODE] = 1999;
    },
  ],
  [
    'an entry in a directory that is none',
    /lies in inode \d+, which is no directory/,
    (tree) => {
      const slot = tree.tables.inode[word(inoOf(tree, '/one/file-2'), L.I_NAMES)]!;
      tree.tables.dentry[slot * L.DENTRY_WORDS + L.D_PARENT] = inoOf(tree, '/one/file-1');
    },
  ],
  [
    'a directory that is its own ancestor',
    /a directory that the root does not lead to/,
    (tree) => {
      const below = inoOf(tree, '/one/a/a directory with a name that is longer than a record');
      const slot = tree.tables.inode[word(inoOf(tree, '/one/a'), L.I_NAMES)]!;
      tree.tables.dentry[slot * L.DENTRY_WORDS + L.D_PARENT] = below;
    },
  ],
  [
    'two entries of one name',
    /two entries are called "file-1"|cannot be found by its name/,
    (tree) => {
      const { dentry, dentryU8, inode } = tree.tables;
      const slot = inode[word(inoOf(tree, '/one/file-2'), L.I_NAMES)]!;
      const like = inode[word(inoOf(tree, '/one/file-1'), L.I_NAMES)]!;
      dentryU8[slot * L.DENTRY_BYTES + L.D_NAME * 4 + 5] = '1'.charCodeAt(0);
      dentry[slot * L.DENTRY_WORDS + L.D_HASH] = dentry[like * L.DENTRY_WORDS + L.D_HASH]!;
    },
  ],
  [
    'a slash in a name',
    /has no name that a file can have/,
    (tree) => {
      const slot = tree.tables.inode[word(inoOf(tree, '/one/file-4'), L.I_NAMES)]!;
      tree.tables.dentryU8[slot * L.DENTRY_BYTES + L.D_NAME * 4] = '/'.charCodeAt(0);
    },
  ],
  [
    'content in the memory of another file',
    /lies in memory that is something else's too/,
    (tree) => {
      const { inode } = tree.tables;
      inode[word(inoOf(tree, '/one/file-1'), L.I_DATA)] = inode[word(inoOf(tree, '/one/file-2'), L.I_DATA)]!;
    },
  ],
  [
    'content nowhere',
    /its \d+ bytes are nowhere/,
    (tree) => {
      tree.tables.inode[word(inoOf(tree, '/one/file-5'), L.I_DATA)] = 0;
    },
  ],
  [
    'a plain object that is said to be compressed',
    /is not sound: it/,
    (tree) => {
      tree.tables.inode[word(inoOf(tree, '/one/large.bin'), L.I_STORED)] = 5;
    },
  ],
  [
    'compressed content without an object',
    /compressed in an object that it has not/,
    (tree) => {
      tree.tables.inode[word(inoOf(tree, '/one/file-5'), L.I_STORED)] = 5;
    },
  ],
  [
    'a compressed file of another size',
    /bytes compressed, its file has 77/,
    (tree, store) => {
      const ino = store.compressed(1, 'cold', 'some text '.repeat(1000));
      tree.tables.inodeF64[word(ino, L.I_SIZE) / 2] = 77;
    },
  ],
  [
    'an object of two files',
    /its object 1 is that of inode \d+ too/,
    (tree) => {
      const { inode, inodeF64 } = tree.tables;
      const ino = inoOf(tree, '/one/file-7');
      inode[word(ino, L.I_DATA)] = 0;
      inode[word(ino, L.I_OBJECT)] = 1;
      inodeF64[word(ino, L.I_SIZE) / 2] = 10;
    },
  ],
  [
    'a size that is none',
    /-1 is not a file size/,
    (tree) => {
      tree.tables.inodeF64[word(inoOf(tree, '/one/file-8'), L.I_SIZE) / 2] = -1;
    },
  ],
  [
    'a type of no file',
    /is of no type of file/,
    (tree) => {
      tree.tables.inode[word(inoOf(tree, '/one/file-10'), L.I_MODE)] = 0o070644;
    },
  ],
  [
    'a vector of another dimension',
    /has 2 elements, its collection 4/,
    (tree, store) => {
      const other = new Uint8Array(Float32Array.of(1, 2).buffer);
      store.xattr(inoOf(tree, '/one/file-1'), 'user.vexfs.vector.other', other);
      tree.tables.header[(L.COLLECTIONS_AT + L.COLLECTION_BYTES) / 4 + L.C_DIMENSION] = 4;
    },
  ],
  [
    'an access list beside another mode',
    /its mode and its access control list differ/,
    (tree, store) => {
      const ino = inoOf(tree, '/one/file-8');
      store.xattr(ino, 'system.posix_acl_access', LIST);
      tree.tables.inode[word(ino, L.I_MODE)] = 0o100700;
    },
  ],
  [
    'a default list of a file',
    /its access control list is none/,
    (tree, store) => {
      const ino = inoOf(tree, '/one/file-8');
      store.xattr(ino, 'system.posix_acl_defaulx', LIST);
      const block = tree.tables.inode[word(ino, L.I_XATTRS)]! * 64;
      tree.tables.bytes[tree.tables.bytes.indexOf('x'.charCodeAt(0), block + 8 + LIST.length + 15)] =
        't'.charCodeAt(0);
    },
  ],
  [
    'flags that mean nothing',
    /it has flags that mean nothing/,
    (tree) => {
      tree.tables.inode[word(inoOf(tree, '/one/file-8'), L.I_FLAGS)] = 1;
    },
  ],
  [
    'attributes that end in the middle of one',
    /end in the middle of one/,
    (tree) => {
      const block = tree.tables.inode[word(inoOf(tree, '/one/another name of small.txt'), L.I_XATTRS)]!;
      tree.tables.words[block * 16]! -= 8;
    },
  ],
  [
    'a list of entries that is cut',
    /the list of its entries is broken/,
    (tree) => {
      const first = tree.tables.inode[word(inoOf(tree, '/one'), L.I_FIRST)]!;
      tree.tables.dentry[first * L.DENTRY_WORDS + L.D_NEXT] = 0;
    },
  ],
];

/** Makes a {@link Change} in a simulated store as the operations of a fuse actor do. */
import { encodeChunkBatch, type TextChunk } from '../../actors/chunk-batch.ts';
import { AttrChanges, SET_MODE } from '../../fuse/namespace/changes.ts';
import { IndexState } from '../../fuse/namespace/namespace.ts';
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from '../../fuse/protocol/abi.ts';
import { Attr } from '../../fuse/protocol/attr.ts';
import { ENOENT } from '../../runtime/errno.ts';
import { type Change, fill, LISTS } from './operations.ts';
import type { SimulatedStore } from './store.ts';
import { transact } from './transactions.ts';

const TYPES = { file: S_IFREG | 0o644, directory: S_IFDIR | 0o755, fifo: S_IFIFO | 0o644 };
const DIMENSION = 4;

interface Place {
  readonly parent: number;
  readonly name: Uint8Array;
}

/** What the `n`th operation writes at `offset`. */
export function written(n: number, offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => fill(n, offset + i));
}

export function vectorOf(n: number): Uint8Array {
  return new Uint8Array(Float32Array.of(1, n, n / 3, -n).buffer);
}

/** One of the {@link LISTS}, as the kernel writes it. */
export function listOf(number: number): Buffer {
  const numbers = LISTS[number]!;
  const bytes = Buffer.alloc(4 + (numbers.length / 3) * 8);
  bytes.writeUInt32LE(2);
  for (let i = 0; i < numbers.length; i += 3) {
    bytes.writeUInt16LE(numbers[i]!, 4 + (i / 3) * 8);
    bytes.writeUInt16LE(numbers[i + 1]!, 6 + (i / 3) * 8);
    bytes.writeInt32LE(numbers[i + 2]!, 8 + (i / 3) * 8);
  }
  return bytes;
}

/** The text vectors of a file's version: empty when it has no chunks. */
export function textOf(n: number, version: number, chunks: number): Uint8Array {
  if (chunks === 0) return new Uint8Array(0);
  const all = Array.from({ length: chunks }, (_, i): TextChunk => {
    return { byteOffset: i * 10, byteLength: 10, line: i + 1, vector: Float32Array.of(n, i, version, 1) };
  });
  return encodeChunkBatch(version, 0, all, DIMENSION);
}

function placeOf({ tree }: SimulatedStore, path: string): Place {
  const slash = path.lastIndexOf('/');
  return {
    parent: slash < 0 ? 1 : tree.namespace.resolve(path.slice(0, slash)),
    name: Buffer.from(path.slice(slash + 1)),
  };
}

/** ≥ 0 or −errno. The parent of a name exists. */
export function applyChange(store: SimulatedStore, change: Change, n: number): number {
  const { namespace } = store.tree;
  switch (change.op) {
    case 'close':
      return close(store);
    case 'transaction':
      return transact(store, change.parts, n);
    case 'collection':
      return namespace.createCollection(change.name, change.dimension);
    case 'dropCollection':
      return namespace.dropCollection(change.name, change.isGone);
    case 'unnamed':
      return unnamed(store, change.path, change.linkable);
    case 'writeOpen': {
      const bytes = written(n, change.offset, change.length);
      return store.content.write(store.held.at(-1)!, change.offset, bytes, 0, bytes.length, 0);
    }
    case 'linkOpen': {
      const to = placeOf(store, change.to);
      return namespace.link(store.held.at(-1)!, to.parent, to.name, 0, to.name.length);
    }
    default:
      return applyToName(store, change, n);
  }
}

/** As an answer to the kernel, which holds it from then on. */
function unnamed({ tree, held }: SimulatedStore, path: string, linkable: boolean): number {
  const directory = path === '' ? 1 : tree.namespace.resolve(path);
  if (directory < 0) return -ENOENT;
  const ino = tree.namespace.createUnnamed(directory, TYPES.file, 0, 0, 0, linkable);
  if (ino < 0) return ino;
  tree.namespace.addLookup(ino, 1);
  held.push(ino);
  return ino;
}

export type OfName = Exclude<
  Change,
  {
    op: 'close' | 'transaction' | 'collection' | 'dropCollection' | 'unnamed' | 'writeOpen' | 'linkOpen';
  }
>;

function applyToName(store: SimulatedStore, change: OfName, n: number): number {
  const { namespace } = store.tree;
  const { parent, name } = placeOf(store, change.path);
  const end = name.length;
  switch (change.op) {
    case 'create':
      return namespace.create(parent, name, 0, end, TYPES[change.kind], 0, 0, 0);
    case 'symlink': {
      const target = Buffer.from(change.target);
      return namespace.symlink(parent, name, 0, end, target, 0, target.length, 0, 0);
    }
    case 'link': {
      const ino = namespace.resolve(change.path);
      const to = placeOf(store, change.to);
      return ino < 0 ? ino : namespace.link(ino, to.parent, to.name, 0, to.name.length);
    }
    case 'remove':
      return removed(
        store,
        change.directory ? namespace.rmdir(parent, name, 0, end) : namespace.unlink(parent, name, 0, end),
      );
    case 'rename': {
      const to = placeOf(store, change.to);
      return removed(
        store,
        namespace.rename(parent, name, 0, end, to.parent, to.name, 0, to.name.length, change.flags),
      );
    }
    case 'whiteout': {
      const to = placeOf(store, change.to);
      const both = Buffer.concat([name, to.name]);
      return removed(
        store,
        namespace.renameLeavingWhiteout(
          parent,
          both,
          0,
          end,
          to.parent,
          end,
          both.length,
          change.flags,
          0,
          0,
        ),
      );
    }
    default: {
      const ino = namespace.resolve(change.path);
      return ino < 0 ? -ENOENT : applyToInode(store, change, ino, n);
    }
  }
}

/** After a call that may have taken the last name of an inode. */
function removed({ tree, content }: SimulatedStore, result: number): number {
  content.passOnDropped();
  if (result >= 0 && tree.namespace.removedIno !== 0) tree.texts.delete(tree.namespace.removedIno);
  return result;
}

type OfInode = Exclude<OfName, { op: 'create' | 'symlink' | 'link' | 'remove' | 'rename' | 'whiteout' }>;

function applyToInode(store: SimulatedStore, change: OfInode, ino: number, n: number): number {
  const { content } = store;
  const { namespace } = store.tree;
  switch (change.op) {
    case 'write': {
      const bytes = written(n, change.offset, change.length);
      return content.write(ino, change.offset, bytes, 0, bytes.length, 0);
    }
    case 'truncate':
      return content.truncate(ino, change.size, 0);
    case 'allocate':
      return content.allocate(ino, change.end);
    case 'zero':
      return content.zero(ino, change.start, change.end);
    case 'chmod':
      return namespace.setattr(ino, Object.assign(new AttrChanges(), { valid: SET_MODE, mode: change.mode }));
    case 'setxattr': {
      const bytes = written(n, 0, change.length);
      return setxattr(store, ino, change.name, bytes);
    }
    case 'vector':
      return setxattr(store, ino, change.name, vectorOf(n));
    case 'list':
      return setxattr(store, ino, change.name, listOf(change.list));
    case 'flags':
      return namespace.setFlags(ino, change.flags);
    case 'removexattr': {
      const name = Buffer.from(change.name);
      return namespace.removexattr(ino, name, 0, name.length);
    }
    case 'index':
      return index(store, ino, n, change.chunks);
    case 'open':
      namespace.addLookup(ino, 1);
      store.held.push(ino);
      return 0;
  }
}

function setxattr({ tree }: SimulatedStore, ino: number, name: string, value: Uint8Array): number {
  const bytes = Buffer.from(name);
  return tree.namespace.setxattr(ino, bytes, 0, bytes.length, value, 0, value.length, 0);
}

const state = new IndexState();
const attr = new Attr();

/** As the indexer: the journal first, then the shard. Only regular files are indexed. */
function index({ tree }: SimulatedStore, ino: number, n: number, chunks: number): number {
  const { namespace } = tree;
  if (namespace.stat(ino, attr) < 0 || (attr.mode & S_IFMT) !== S_IFREG) return 0;
  if (namespace.indexState(ino, state) < 0) return 0;
  const bytes = textOf(n, state.version, chunks);
  const { generation, version } = state;
  const done = namespace.setIndexed(ino, generation, version, chunks, 1, bytes, 0, bytes.length);
  if (done === 0 && chunks > 0) tree.texts.set(ino, { generation, bytes });
  else if (done === 0) tree.texts.delete(ino);
  return done;
}

function close(store: SimulatedStore): number {
  const ino = store.held.shift();
  if (ino === undefined) return 0;
  store.tree.namespace.forget(ino, 1);
  store.content.passOnDropped();
  return 0;
}

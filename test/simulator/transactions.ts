/** Several changes as one transaction: what a simulated one may consist of, and how the indexer makes it in a store. */
import { Effects, type Change as Part } from '../../fuse/namespace/change-set.ts';
import { EAGAIN } from '../../runtime/errno.ts';
import type { Model } from '../namespace/model.ts';
import { collectionOf } from '../namespace/model-collections.ts';
import type { Node } from '../namespace/model-node.ts';
import { vectorOf, written } from './apply.ts';
import type { PartOfTransaction } from './operations.ts';
import { INLINE_LIMIT, type SimulatedStore } from './store.ts';

/** Of each attribute that is no vector. */
export const ATTRIBUTE_BYTES = 20;
const IMMUTABLE = 0x10;
const APPEND_ONLY = 0x20;
const ROOT_USER = { uid: 0, gids: [0] };
/** Data locks are never held by anybody else here. */
const TRIES = 2;

/** What the `i`th part of operation `n` writes is different from what its other parts write. */
export function partNumber(n: number, i: number): number {
  return n + i * 7;
}

/**
 * Whether all parts can be made, one after the other. Said for what is simulated: root, names that are valid, and parents that were
 * there before (test/namespace/transact.test.ts has the rest).
 */
export function canTransact(model: Model, parts: readonly PartOfTransaction[]): boolean {
  const planned = new Map<string, Planned>();
  return parts.every((part) => {
    const { parent, node } = lookUp(model, part.path, planned);
    if (parent === undefined || !parent.isDirectory) return false;
    const isThere = node !== undefined;
    const result = after(model, part, parent, node);
    if (result === false) return false;
    if (result === undefined || !isThere || result !== node) planned.set(part.path, result);
    return true;
  });
}

/** What there will be of a name: flags of an inode that is there, or of one that is made. Undefined: nothing. */
type Planned = { readonly isDirectory: boolean; readonly kind: string; readonly flags: number } | undefined;

function lookUp(
  model: Model,
  path: string,
  planned: ReadonlyMap<string, Planned>,
): { parent: Planned; node: Planned } {
  const find = (at: string): Planned => {
    if (at === '') return model.root;
    if (planned.has(at)) return planned.get(at);
    let node: Node | undefined = model.root;
    for (const name of at.split('/')) node = node?.entries.get(name);
    return node;
  };
  const slash = path.lastIndexOf('/');
  return { parent: find(slash < 0 ? '' : path.slice(0, slash)), node: find(path) };
}

/** What is there after the part; false = it cannot be made. */
function after(
  model: Model,
  part: PartOfTransaction,
  parent: NonNullable<Planned>,
  node: Planned,
): Planned | false {
  const isFixed = node !== undefined && (node.flags & (IMMUTABLE | APPEND_ONLY)) !== 0;
  const canMake = node === undefined && (parent.flags & IMMUTABLE) === 0;
  switch (part.kind) {
    case 'directory':
      return canMake ? { isDirectory: true, kind: 'directory', flags: 0 } : false;
    case 'write':
      if (node === undefined) return canMake ? { isDirectory: false, kind: 'file', flags: 0 } : false;
      return node.kind === 'file' && !isFixed ? node : false;
    case 'remove':
      if (node === undefined || node.isDirectory || isFixed) return false;
      return (parent.flags & (IMMUTABLE | APPEND_ONLY)) === 0 ? undefined : false;
    default: {
      const collection = part.kind === 'vector' ? collectionOf(part.name) : undefined;
      if (collection !== undefined && model.collections.isDropping(collection)) return false;
      const takesAttributes = node?.isDirectory || node?.kind === 'file';
      return takesAttributes && !isFixed ? node : false;
    }
  }
}

/** 0 or −errno, and then nothing has changed. */
export function transact(store: SimulatedStore, parts: readonly PartOfTransaction[], n: number): number {
  const placed: number[] = [];
  const changes: Part[] = [];
  for (const [i, part] of parts.entries()) {
    const change = partOf(part, partNumber(n, i));
    if (change.kind !== 'write' || change.data.length <= INLINE_LIMIT) {
      changes.push(change);
      continue;
    }
    const object = store.placeObject(change.data);
    if (object < 0) {
      for (const id of placed) store.dropObject(id);
      return object;
    }
    placed.push(object);
    changes.push({ ...change, object });
  }
  const result = make(store, changes);
  if (result < 0) for (const id of placed) store.dropObject(id);
  return result;
}

function make(store: SimulatedStore, changes: readonly Part[]): number {
  const { namespace, texts } = store.tree;
  const effects = new Effects();
  let result = -EAGAIN;
  for (let i = 0; i < TRIES && result === -EAGAIN; i++)
    result = namespace.transact(changes, ROOT_USER, () => true, effects);
  for (const { ino } of effects.removed) texts.delete(ino);
  store.content.passOnDropped();
  return result;
}

function partOf(part: PartOfTransaction, n: number): Part {
  const path = `/${part.path}`;
  switch (part.kind) {
    case 'write': {
      const data = written(n, 0, part.length);
      return { kind: 'write', path, data, object: 0, mode: 0o644, isNew: false };
    }
    case 'vector':
      return { kind: 'attribute', path, name: Buffer.from(part.name), value: vectorOf(n) };
    case 'attribute':
      return { kind: 'attribute', path, name: Buffer.from(part.name), value: written(n, 0, ATTRIBUTE_BYTES) };
    case 'directory':
      return { kind: 'directory', path, mode: 0o755 };
    case 'remove':
      return { kind: 'remove', path };
  }
}

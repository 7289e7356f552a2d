/** What a tree of names should do: a reference model of Maps. Each step returns the errnos that would be right. */
import { EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM } from '../../runtime/errno.ts';

export interface ModelInode {
  readonly type: 'file' | 'directory' | 'symlink';
  readonly entries: Map<string, ModelInode>;
  parent: ModelInode | undefined;
  nlink: number;
}

export type Refusals = readonly number[];
const FINE: Refusals = [];

export class TreeModel {
  readonly root = inode('directory', undefined);

  make(directory: ModelInode, name: string, type: ModelInode['type']): Refusals {
    if (directory.entries.has(name)) return [EEXIST];
    directory.entries.set(name, inode(type, directory));
    if (type === 'directory') directory.nlink++;
    return FINE;
  }

  link(target: ModelInode, directory: ModelInode, name: string): Refusals {
    const refusals: number[] = [];
    if (directory.entries.has(name)) refusals.push(EEXIST);
    if (target.type === 'directory') refusals.push(EPERM);
    if (target.nlink === 0) refusals.push(ENOENT);
    if (refusals.length > 0) return refusals;
    directory.entries.set(name, target);
    target.nlink++;
    return FINE;
  }

  unlink(directory: ModelInode, name: string): Refusals {
    const found = directory.entries.get(name);
    if (found === undefined) return [ENOENT];
    if (found.type === 'directory') return [EISDIR];
    this.#remove(directory, name);
    return FINE;
  }

  rmdir(directory: ModelInode, name: string): Refusals {
    const found = directory.entries.get(name);
    if (found === undefined) return [ENOENT];
    if (found.type !== 'directory') return [ENOTDIR];
    if (found.entries.size > 0) return [ENOTEMPTY];
    this.#remove(directory, name);
    return FINE;
  }

  rename(
    from: ModelInode,
    name: string,
    to: ModelInode,
    newName: string,
    mode: 'replace' | 'noreplace' | 'exchange',
  ): Refusals {
    const source = from.entries.get(name);
    const target = to.entries.get(newName);
    if (source === undefined) return [ENOENT];
    const refusals: number[] = [];
    if (mode === 'exchange' && target === undefined) refusals.push(ENOENT);
    if (mode === 'noreplace' && target !== undefined) refusals.push(EEXIST);
    if (isWithin(to, source)) refusals.push(EINVAL);
    if (mode === 'exchange') {
      if (target !== undefined && isWithin(from, target)) refusals.push(EINVAL);
    } else if (target !== undefined && target !== source) {
      if (source.type === 'directory' && target.type !== 'directory') refusals.push(ENOTDIR);
      if (source.type !== 'directory' && target.type === 'directory') refusals.push(EISDIR);
      if (target.entries.size > 0) refusals.push(ENOTEMPTY);
    }
    if (refusals.length > 0) return refusals;
    if (source === target) return FINE;
    if (mode === 'exchange') {
      this.#put(to, newName, source, from);
      this.#put(from, name, target!, to);
      return FINE;
    }
    if (target !== undefined) this.#remove(to, newName);
    from.entries.delete(name);
    this.#put(to, newName, source, from);
    return FINE;
  }

  #put(directory: ModelInode, name: string, what: ModelInode, from: ModelInode): void {
    directory.entries.set(name, what);
    if (what.type !== 'directory') return;
    what.parent = directory;
    from.nlink--;
    directory.nlink++;
  }

  #remove(directory: ModelInode, name: string): void {
    const found = directory.entries.get(name)!;
    directory.entries.delete(name);
    if (found.type === 'directory') {
      found.nlink = 0;
      directory.nlink--;
    } else {
      found.nlink--;
    }
  }
}

function inode(type: ModelInode['type'], parent: ModelInode | undefined): ModelInode {
  return { type, entries: new Map(), parent, nlink: type === 'directory' ? 2 : 1 };
}

function isWithin(directory: ModelInode, other: ModelInode): boolean {
  for (let at: ModelInode | undefined = directory; at !== undefined; at = at.parent) {
    if (at === other) return true;
  }
  return false;
}

/** What the model says of names before anything changes: 0 or −errno. */
import {
  EEXIST,
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
} from '../../runtime/errno.ts';
import { APPEND_ONLY, IMMUTABLE, type Node } from './model-node.ts';

export function checkName(name: string): number {
  const length = Buffer.byteLength(name);
  if (length === 0) return -ENOENT;
  if (length > 255) return -ENAMETOOLONG;
  return /[/\0]/.test(name) ? -EINVAL : 0;
}

export function checkNew(parent: Node, name: string): number {
  const refusal = checkName(name);
  if (refusal !== 0) return refusal;
  if (!parent.isDirectory) return -ENOTDIR;
  if (name === '.' || name === '..' || parent.entries.has(name)) return -EEXIST;
  if (parent.links === 0) return -ENOENT;
  return (parent.flags & IMMUTABLE) !== 0 ? -EPERM : 0;
}

export function checkDeparture(parent: Node, node: Node): number {
  return ((parent.flags | node.flags) & (IMMUTABLE | APPEND_ONLY)) !== 0 ? -EPERM : 0;
}

export function find(parent: Node, name: string): Node | number {
  const refusal = checkName(name);
  if (refusal !== 0) return refusal;
  if (!parent.isDirectory) return -ENOTDIR;
  if (name === '.' || name === '..') return -EINVAL;
  return parent.entries.get(name) ?? -ENOENT;
}

export function checkRemoval(node: Node, asDirectory: boolean): number {
  if (!node.isDirectory) return asDirectory ? -ENOTDIR : 0;
  if (!asDirectory) return -EISDIR;
  return node.entries.size > 0 ? -ENOTEMPTY : 0;
}

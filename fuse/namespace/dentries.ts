/**
 * Directory entries: the hash table of (directory, name), the record's allocation, and the list of names of an inode.
 * Contract and locking: tables.ts. The functions that change something are called between writeBegin and writeEnd.
 *
 * Invariants
 * 1. A live record is in exactly one hash chain, one directory list (directories.ts) and one inode's list of names.
 * 2. No two live records have the same parent and name; none is named "." or "..".
 * 3. A free record keeps parent, sequence and D_NEXT until it is used again (a directory cursor may stand on it).
 */
import type { SlabHandle } from '../../runtime/memory/slab.ts';
import { TAG_NAME } from '../slab-tags.ts';
import {
  D_CHAIN,
  D_HASH,
  D_INODE,
  D_LINK_NEXT,
  D_LINK_PREVIOUS,
  D_NAME,
  D_NAME_LENGTH,
  D_PARENT,
  DENTRY_WORDS,
  H_DENTRIES_END,
  H_DENTRIES_LIVE,
  H_DENTRY_FREE,
  I_NAMES,
  INODE_WORDS,
  NAME_INLINE,
} from './layout.ts';
import { copyBytes, sameBytes } from './names.ts';
import type { Tables } from './tables.ts';

/** Steps of a walk between two looks whether it is still worth it. */
export const STEPS_PER_LOOK = 64;

/** Where the name of record `slot` starts in {@link nameBytes}, or −1 (a torn read). */
export function nameOffset(t: Tables, slot: number): number {
  const at = slot * DENTRY_WORDS;
  const length = t.dentry[at + D_NAME_LENGTH]!;
  if (length > 255) return -1;
  return length <= NAME_INLINE ? (at + D_NAME) * 4 : t.block(t.dentry[at + D_NAME]!, length);
}

/** The bytes that hold the name of record `slot`. */
export function nameBytes(t: Tables, slot: number): Uint8Array {
  return t.dentry[slot * DENTRY_WORDS + D_NAME_LENGTH]! <= NAME_INLINE ? t.dentryU8 : t.bytes;
}

export function nameLength(t: Tables, slot: number): number {
  return t.dentry[slot * DENTRY_WORDS + D_NAME_LENGTH]!;
}

function hasName(t: Tables, slot: number, u8: Uint8Array, start: number, length: number): boolean {
  const at = slot * DENTRY_WORDS;
  if (t.dentry[at + D_NAME_LENGTH] !== length) return false;
  if (length <= NAME_INLINE) return sameBytes(t.dentryU8, (at + D_NAME) * 4, u8, start, length);
  const block = t.block(t.dentry[at + D_NAME]!, length);
  return block >= 0 && sameBytes(t.bytes, block, u8, start, length);
}

/** The entry's record, 0 = there is none. May be called by readers. */
export function find(
  t: Tables,
  parent: number,
  hash: number,
  u8: Uint8Array,
  start: number,
  end: number,
): number {
  let slot = t.buckets[hash & t.bucketMask]!;
  for (let steps = 1; slot !== 0 && slot < t.dentryCapacity; steps++) {
    const at = slot * DENTRY_WORDS;
    if (
      t.dentryI32[at + D_HASH] === hash &&
      t.dentry[at + D_PARENT] === parent &&
      hasName(t, slot, u8, start, end - start)
    ) {
      return slot;
    }
    if (steps % STEPS_PER_LOOK === 0 && t.torn()) return 0;
    slot = t.dentry[at + D_CHAIN]!;
  }
  return 0;
}

/** The record that {@link take} will hand out, 0 = the table is full. Changes nothing. */
export function peek(t: Tables): number {
  const free = t.header[H_DENTRY_FREE]!;
  if (free !== 0) return free;
  const end = t.header[H_DENTRIES_END]!;
  return end < t.dentryCapacity ? end : 0;
}

/** Takes a record (there must be one) and puts it under (parent, name) into the hash table and the inode's names. */
export function take(
  t: Tables,
  inode: number,
  parent: number,
  hash: number,
  u8: Uint8Array,
  start: number,
  end: number,
  block: SlabHandle,
): number {
  let slot = t.header[H_DENTRY_FREE]!;
  if (slot !== 0) t.header[H_DENTRY_FREE] = t.dentry[slot * DENTRY_WORDS + D_CHAIN]!;
  else slot = t.header[H_DENTRIES_END]!++;
  t.header[H_DENTRIES_LIVE]!++;
  setKey(t, slot, parent, hash, u8, start, end, block);
  addName(t, slot, inode);
  return slot;
}

/** Frees a record that has left its directory list. */
export function give(t: Tables, slot: number): void {
  const at = slot * DENTRY_WORDS;
  dropKey(t, slot);
  removeName(t, slot);
  t.dentry[at + D_CHAIN] = t.header[H_DENTRY_FREE]!;
  t.header[H_DENTRY_FREE] = slot;
  t.header[H_DENTRIES_LIVE]!--;
}

/** The slab block a name needs: 0 when it fits the record; −1 when there is no memory. */
export function allocateName(t: Tables, u8: Uint8Array, start: number, end: number): SlabHandle {
  const length = end - start;
  if (length <= NAME_INLINE) return 0;
  const block = t.allocate(length, TAG_NAME);
  if (block === 0) return -1;
  copyBytes(t.bytes, block * 64, u8, start, length);
  return block;
}

/** Gives a record its directory and name, and enters it into the hash table. */
export function setKey(
  t: Tables,
  slot: number,
  parent: number,
  hash: number,
  u8: Uint8Array,
  start: number,
  end: number,
  block: SlabHandle,
): void {
  const at = slot * DENTRY_WORDS;
  t.dentry[at + D_PARENT] = parent;
  t.dentryI32[at + D_HASH] = hash;
  t.dentry[at + D_NAME_LENGTH] = end - start;
  if (block !== 0) t.dentry[at + D_NAME] = block;
  else copyBytes(t.dentryU8, (at + D_NAME) * 4, u8, start, end - start);
  chain(t, slot, hash);
}

/** Enters a record into its hash chain. */
export function chain(t: Tables, slot: number, hash: number): void {
  const bucket = hash & t.bucketMask;
  t.dentry[slot * DENTRY_WORDS + D_CHAIN] = t.buckets[bucket]!;
  t.buckets[bucket] = slot;
}

/** Takes a record out of the hash table and frees its name. */
export function dropKey(t: Tables, slot: number): void {
  const at = slot * DENTRY_WORDS;
  const after = t.dentry[at + D_CHAIN]!;
  const bucket = t.dentryI32[at + D_HASH]! & t.bucketMask;
  let previous = t.buckets[bucket]!;
  if (previous === slot) {
    t.buckets[bucket] = after;
  } else {
    while (t.dentry[previous * DENTRY_WORDS + D_CHAIN] !== slot) {
      previous = t.dentry[previous * DENTRY_WORDS + D_CHAIN]!;
    }
    t.dentry[previous * DENTRY_WORDS + D_CHAIN] = after;
  }
  if (t.dentry[at + D_NAME_LENGTH]! > NAME_INLINE) t.slab.free(t.dentry[at + D_NAME]!);
}

/** Makes a record name `inode`, as the first of its names. */
export function addName(t: Tables, slot: number, inode: number): void {
  const at = slot * DENTRY_WORDS;
  const head = inode * INODE_WORDS + I_NAMES;
  const first = t.inode[head]!;
  t.dentry[at + D_INODE] = inode;
  t.dentry[at + D_LINK_NEXT] = first;
  t.dentry[at + D_LINK_PREVIOUS] = 0;
  if (first !== 0) t.dentry[first * DENTRY_WORDS + D_LINK_PREVIOUS] = slot;
  t.inode[head] = slot;
}

export function removeName(t: Tables, slot: number): void {
  const at = slot * DENTRY_WORDS;
  const next = t.dentry[at + D_LINK_NEXT]!;
  const previous = t.dentry[at + D_LINK_PREVIOUS]!;
  if (next !== 0) t.dentry[next * DENTRY_WORDS + D_LINK_PREVIOUS] = previous;
  if (previous !== 0) t.dentry[previous * DENTRY_WORDS + D_LINK_NEXT] = next;
  else t.inode[t.dentry[at + D_INODE]! * INODE_WORDS + I_NAMES] = next;
  t.dentry[at + D_INODE] = 0;
}

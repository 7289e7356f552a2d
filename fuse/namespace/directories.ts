/**
 * The entries of a directory as a list, newest first, and positions in it that stay right while entries come and go
 * although nothing is remembered about who reads.
 *
 * Newest first, because a reader then never meets what was created after it started: a program that creates an entry
 * for each one it reads comes to an end (there is no state per open directory that could bound it otherwise).
 *
 * A position is the record and the sequence number of the last entry returned. Entries are sorted by falling sequence
 * number and numbers only grow, so "what follows" is: the record's D_NEXT if the record is still that entry; else the
 * first entry with a smaller number. That one is the very first entry in an `rm -rf`, and otherwise mostly found along
 * the D_NEXT of freed records, which stay as they were until the record is used again.
 */
import { STEPS_PER_LOOK } from './dentries.ts';
import {
  D_INODE,
  D_NEXT,
  D_PARENT,
  D_PREVIOUS,
  D_SEQUENCE,
  DENTRY_WORDS,
  I_FIRST,
  I_MODE,
  I_NAMES,
  I_SEQUENCE,
  INODE_WORDS,
  ROOT,
  S_IFDIR,
  S_IFMT,
  SEQUENCE_MAX,
} from './layout.ts';
import type { Tables } from './tables.ts';

/** Freed records followed before the list is searched from its head. */
const FREED_STEPS = 1024;

export function isDirectory(t: Tables, ino: number): boolean {
  return (t.inode[ino * INODE_WORDS + I_MODE]! & S_IFMT) === S_IFDIR;
}

export function isEmpty(t: Tables, directory: number): boolean {
  return t.inode[directory * INODE_WORDS + I_FIRST] === 0;
}

/** Directory that holds this directory: the root's is the root; 0 = it was removed (or the read is torn). */
export function parentOf(t: Tables, directory: number): number {
  if (directory === ROOT) return ROOT;
  const slot = t.inode[directory * INODE_WORDS + I_NAMES]!;
  if (slot === 0 || slot >= t.dentryCapacity) return 0;
  const parent = t.dentry[slot * DENTRY_WORDS + D_PARENT]!;
  return parent < t.inodeCapacity ? parent : 0;
}

/** Whether `directory` is `other` or lies below it. With the lock held only: the walk up is not bounded. */
export function isWithin(t: Tables, directory: number, other: number): boolean {
  let ino = directory;
  while (ino !== other) {
    if (ino === ROOT || ino === 0) return false;
    ino = parentOf(t, ino);
  }
  return true;
}

/** Adds a record as the newest entry. */
export function insert(t: Tables, directory: number, slot: number): void {
  const at = slot * DENTRY_WORDS;
  const head = directory * INODE_WORDS + I_FIRST;
  if (t.inode[directory * INODE_WORDS + I_SEQUENCE]! >= SEQUENCE_MAX) renumber(t, directory);
  const first = t.inode[head]!;
  t.dentry[at + D_SEQUENCE] = ++t.inode[directory * INODE_WORDS + I_SEQUENCE]!;
  t.dentry[at + D_NEXT] = first;
  t.dentry[at + D_PREVIOUS] = 0;
  if (first !== 0) t.dentry[first * DENTRY_WORDS + D_PREVIOUS] = slot;
  t.inode[head] = slot;
}

export function remove(t: Tables, directory: number, slot: number): void {
  const at = slot * DENTRY_WORDS;
  const next = t.dentry[at + D_NEXT]!;
  const previous = t.dentry[at + D_PREVIOUS]!;
  if (next !== 0) t.dentry[next * DENTRY_WORDS + D_PREVIOUS] = previous;
  if (previous !== 0) t.dentry[previous * DENTRY_WORDS + D_NEXT] = next;
  else t.inode[directory * INODE_WORDS + I_FIRST] = next;
}

/** After 2^31 − 1 creations in one directory: numbers its entries anew. Who reads it then may see entries twice. */
function renumber(t: Tables, directory: number): void {
  let slot = t.inode[directory * INODE_WORDS + I_FIRST]!;
  let count = 0;
  for (let s = slot; s !== 0; s = t.dentry[s * DENTRY_WORDS + D_NEXT]!) count++;
  t.inode[directory * INODE_WORDS + I_SEQUENCE] = count;
  for (; slot !== 0; slot = t.dentry[slot * DENTRY_WORDS + D_NEXT]!) {
    t.dentry[slot * DENTRY_WORDS + D_SEQUENCE] = count--;
  }
}

/** The entry after the one numbered `sequence` in record `slot`; 0 = the end. May be called by readers. */
export function entryAfter(t: Tables, directory: number, slot: number, sequence: number): number {
  const first = t.inode[directory * INODE_WORDS + I_FIRST]!;
  if (first === 0 || first >= t.dentryCapacity) return 0;
  if (t.dentry[first * DENTRY_WORDS + D_SEQUENCE]! < sequence) return first;
  let at = slot * DENTRY_WORDS;
  let number = sequence;
  for (let steps = 0; steps < FREED_STEPS; steps++) {
    if (at === 0 || at >= t.dentry.length || !isEntry(t, at, directory, number)) break;
    if (t.dentry[at + D_INODE] !== 0 && number < sequence) return at / DENTRY_WORDS;
    const next = t.dentry[at + D_NEXT]!;
    if (next === 0 || next >= t.dentryCapacity) return 0;
    at = next * DENTRY_WORDS;
    if (t.dentry[at + D_SEQUENCE]! >= number) break;
    number = t.dentry[at + D_SEQUENCE]!;
  }
  return searchFromHead(t, first, sequence);
}

function isEntry(t: Tables, at: number, directory: number, sequence: number): boolean {
  return t.dentry[at + D_PARENT] === directory && t.dentry[at + D_SEQUENCE] === sequence;
}

function searchFromHead(t: Tables, first: number, sequence: number): number {
  let slot = first;
  for (let steps = 1; slot !== 0 && slot < t.dentryCapacity; steps++) {
    if (t.dentry[slot * DENTRY_WORDS + D_SEQUENCE]! < sequence) return slot;
    if (steps % STEPS_PER_LOOK === 0 && t.torn()) return 0;
    slot = t.dentry[slot * DENTRY_WORDS + D_NEXT]!;
  }
  return 0;
}

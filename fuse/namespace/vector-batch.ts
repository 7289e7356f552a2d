/**
 * Many vectors of one collection at once, each for the file of a name in a directory. Unlike a transaction's changes each
 * stands for itself: one that cannot be set changes nothing and keeps no other from being set.
 */
import { EACCES, ENOENT, EPERM, ESTALE } from '../../runtime/errno.ts';
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import type { Asker } from './change-set.ts';
import { BY_OTHERS, isKeeper } from './collections.ts';
import * as content from './content.ts';
import { createInheriting } from './creation.ts';
import { find } from './dentries.ts';
import { isDirectory } from './directories.ts';
import { APPEND_ONLY, IMMUTABLE, refusal } from './inode-flags.ts';
import * as inodes from './inodes.ts';
import {
  D_INODE,
  DENTRY_WORDS,
  I_GENERATION,
  I_GID,
  I_MODE,
  INODE_WORDS,
  S_IFREG,
  S_ISGID,
} from './layout.ts';
import { hashName } from './names.ts';
import { allows, EXECUTE, WRITE } from './permissions.ts';
import * as records from './records.ts';
import type { Tables } from './tables.ts';

const NOTHING = new Uint8Array(0);

export class VectorBatch {
  /** The extended attribute that holds them. */
  readonly attribute: Uint8Array;
  readonly names: readonly Uint8Array[];
  /** Inode and generation of the directory that each name is in; 0 = there is none, and `results` says why. */
  readonly directories: Uint32Array;
  readonly generations: Uint32Array;
  /** One after the other. */
  readonly values: Uint8Array;
  readonly valueBytes: number;
  /** Permission bits of files that are made for names that are not there; −1 = those get ENOENT. */
  readonly mode: number;
  readonly who: Asker;
  /** 0 or −errno. */
  readonly results: Int32Array;
  /** Of the put under way: its inode, and whether its file was made for it. */
  ino = 0;
  made = false;

  constructor(
    attribute: Uint8Array,
    names: readonly Uint8Array[],
    values: Uint8Array,
    mode: number,
    who: Asker,
  ) {
    this.attribute = attribute;
    this.names = names;
    this.values = values;
    this.valueBytes = names.length === 0 ? 0 : values.length / names.length;
    this.mode = mode;
    this.who = who;
    this.directories = new Uint32Array(names.length);
    this.generations = new Uint32Array(names.length);
    this.results = new Int32Array(names.length);
  }

  get count(): number {
    return this.names.length;
  }

  get recordBytes(): number {
    return recordBytes(records.SETXATTR_BYTES + this.attribute.length + this.valueBytes);
  }

  value(i: number): Uint8Array {
    return this.values.subarray(i * this.valueBytes, (i + 1) * this.valueBytes);
  }
}

/** With the lock held and room in the journal: the collection of the vector that was set, 0 or −errno if none was. */
export function putVector(t: Tables, journal: JournalWriter, batch: VectorBatch, i: number): number {
  batch.made = false;
  if (batch.results[i] !== 0) return 0;
  const result = put(t, journal, batch, i);
  batch.results[i] = Math.min(result, 0);
  return result;
}

function put(t: Tables, journal: JournalWriter, batch: VectorBatch, i: number): number {
  const parent = batch.directories[i]!;
  const name = batch.names[i]!;
  const isThere = inodes.isLive(t, parent) && isDirectory(t, parent);
  if (!isThere || t.inode[parent * INODE_WORDS + I_GENERATION] !== batch.generations[i]) return -ESTALE;
  if (!allows(t, parent, batch.who, EXECUTE)) return -EACCES;
  const slot = find(t, parent, hashName(parent, name, 0, name.length), name, 0, name.length);
  batch.ino = slot === 0 ? 0 : t.dentry[slot * DENTRY_WORDS + D_INODE]!;
  const { attribute, values, valueBytes } = batch;
  const start = i * valueBytes;
  const end = start + valueBytes;
  const flags = isKeeper(batch.who.uid) ? 0 : BY_OTHERS;
  if (slot === 0) {
    // No file is made for a vector that cannot be set.
    const fits = content.collectionOf(t, attribute, 0, attribute.length, values, start, end, flags);
    const made = fits < 0 ? fits : make(t, journal, batch, parent, name);
    if (made < 0) return made;
  } else if (!allows(t, batch.ino, batch.who, WRITE)) return -EACCES;
  const { ino } = batch;
  if (refusal(t, ino, IMMUTABLE | APPEND_ONLY) !== 0) return -EPERM;
  const id = content.setxattr(t, ino, attribute, 0, attribute.length, values, start, end, flags);
  if (id < 0) return id;
  records.encodeSetxattr(journal, t, ino, attribute, 0, attribute.length, values, start, end, 0);
  return id;
}

/** 0 or −errno. */
function make(
  t: Tables,
  journal: JournalWriter,
  batch: VectorBatch,
  parent: number,
  name: Uint8Array,
): number {
  const { mode, who } = batch;
  if (mode < 0) return -ENOENT;
  if (!allows(t, parent, who, WRITE | EXECUTE)) return -EACCES;
  const ino = inodes.peek(t);
  const generation = (t.inode[ino * INODE_WORDS + I_GENERATION]! + 1) >>> 0;
  const at = parent * INODE_WORDS;
  const isInherited = (t.inode[at + I_MODE]! & S_ISGID) !== 0;
  const gid = isInherited ? t.inode[at + I_GID]! : (who.gids[0] ?? 0);
  const bits = S_IFREG | mode;
  const end = name.length;
  const made = createInheriting(
    t,
    parent,
    ino,
    generation,
    bits,
    who.uid,
    gid,
    0,
    name,
    0,
    end,
    NOTHING,
    0,
    0,
  );
  if (made < 0) return made;
  records.encodeCreate(
    journal,
    t,
    parent,
    ino,
    generation,
    bits,
    who.uid,
    gid,
    0,
    name,
    0,
    end,
    NOTHING,
    0,
    0,
  );
  batch.ino = ino;
  batch.made = true;
  return 0;
}

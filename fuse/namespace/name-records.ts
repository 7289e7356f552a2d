/** Records of the log that change names; records.ts has their layout. */
import type { JournalWriter } from '../../runtime/storage/journal-ring.ts';
import { createInheriting } from './creation.ts';
import * as inodes from './inodes.ts';
import { I_GENERATION, I_NLINK, INODE_WORDS } from './layout.ts';
import * as mutations from './mutations.ts';
import { copyBytes } from './names.ts';
import { beginRecord, type Payload } from './payload.ts';
import type { ReplayObserver } from './records.ts';
import type { Tables } from './tables.ts';

export const CREATE = 1;
export const LINK = 2;
export const UNLINK = 3;
export const RENAME = 4;

export const CREATE_BYTES = 48;
export const LINK_BYTES = 24;
export const UNLINK_BYTES = 24;
export const RENAME_BYTES = 32;

const NO_BYTES = new Uint8Array(0);

export function encodeCreate(
  journal: JournalWriter,
  t: Tables,
  parent: number,
  ino: number,
  generation: number,
  mode: number,
  uid: number,
  gid: number,
  rdev: number,
  name: Uint8Array,
  nameStart: number,
  nameEnd: number,
  target: Uint8Array,
  targetStart: number,
  targetEnd: number,
): void {
  const nameLength = nameEnd - nameStart;
  const targetLength = targetEnd - targetStart;
  const at = beginRecord(journal, t, CREATE, CREATE_BYTES + nameLength + targetLength);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = ino;
  journal.u32[w + 5] = generation;
  journal.u32[w + 6] = mode;
  journal.u32[w + 7] = uid;
  journal.u32[w + 8] = gid;
  journal.u32[w + 9] = rdev;
  journal.u32[w + 10] = nameLength;
  journal.u32[w + 11] = targetLength;
  copyBytes(journal.u8, at + CREATE_BYTES, name, nameStart, nameLength);
  copyBytes(journal.u8, at + CREATE_BYTES + nameLength, target, targetStart, targetLength);
}

export function applyCreate(t: Tables, p: Payload, observer: ReplayObserver): number {
  const nameLength = p.word(10);
  const targetLength = p.word(11);
  const name = p.tail(CREATE_BYTES, nameLength + targetLength);
  const target = name + nameLength;
  const ino = p.word(4);
  if (inodes.isLive(t, ino) && t.inode[ino * INODE_WORDS + I_NLINK] === 0) {
    observer.inodeFreed?.(ino, t.inode[ino * INODE_WORDS + I_GENERATION]!);
  }
  return createInheriting(
    t,
    p.word(3),
    ino,
    p.word(5),
    p.word(6),
    p.word(7),
    p.word(8),
    p.word(9),
    p.u8,
    name,
    target,
    targetLength === 0 ? NO_BYTES : p.u8,
    targetLength === 0 ? 0 : target,
    targetLength === 0 ? 0 : target + targetLength,
  );
}

export function encodeLink(
  journal: JournalWriter,
  t: Tables,
  ino: number,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
): void {
  const at = beginRecord(journal, t, LINK, LINK_BYTES + end - start);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = ino;
  journal.u32[w + 5] = end - start;
  copyBytes(journal.u8, at + LINK_BYTES, name, start, end - start);
}

export function applyLink(t: Tables, p: Payload): number {
  const name = p.tail(LINK_BYTES, p.word(5));
  return mutations.link(t, p.word(4), p.word(3), p.u8, name, name + p.word(5));
}

export function encodeUnlink(
  journal: JournalWriter,
  t: Tables,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
  directory: boolean,
): void {
  const at = beginRecord(journal, t, UNLINK, UNLINK_BYTES + end - start);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = directory ? 1 : 0;
  journal.u32[w + 5] = end - start;
  copyBytes(journal.u8, at + UNLINK_BYTES, name, start, end - start);
}

export function applyUnlink(t: Tables, p: Payload): number {
  const name = p.tail(UNLINK_BYTES, p.word(5));
  return mutations.unlink(t, p.word(3), p.u8, name, name + p.word(5), p.word(4) === 1);
}

export function encodeRename(
  journal: JournalWriter,
  t: Tables,
  parent: number,
  name: Uint8Array,
  start: number,
  end: number,
  newParent: number,
  newName: Uint8Array,
  newStart: number,
  newEnd: number,
  flags: number,
): void {
  const nameLength = end - start;
  const newLength = newEnd - newStart;
  const at = beginRecord(journal, t, RENAME, RENAME_BYTES + nameLength + newLength);
  const w = at >> 2;
  journal.u32[w + 3] = parent;
  journal.u32[w + 4] = newParent;
  journal.u32[w + 5] = flags;
  journal.u32[w + 6] = nameLength;
  journal.u32[w + 7] = newLength;
  copyBytes(journal.u8, at + RENAME_BYTES, name, start, nameLength);
  copyBytes(journal.u8, at + RENAME_BYTES + nameLength, newName, newStart, newLength);
}

export function applyRename(t: Tables, p: Payload): number {
  const nameLength = p.word(6);
  const newLength = p.word(7);
  const name = p.tail(RENAME_BYTES, nameLength + newLength);
  const newName = name + nameLength;
  return mutations.rename(
    t,
    p.word(3),
    p.u8,
    name,
    newName,
    p.word(4),
    p.u8,
    newName,
    newName + newLength,
    p.word(5),
  );
}

/**
 * In what form an object has a file's bytes: word I_STORED of the inode. An object has one form for all its life; another
 * form is another object, with the same bytes, and a record says from when on it is the file's. Locking: tables.ts.
 */
import { EINVAL, ESTALE } from '../../runtime/errno.ts';
import { isLive, isRegular, sizeOf } from './inodes.ts';
import {
  H_NEXT_OBJECT,
  I_GENERATION,
  I_OBJECT,
  I_STORED,
  I_SUMS,
  I_VERSION,
  INODE_WORDS,
  isCompressed,
  KEPT_PLAIN,
  PLAIN,
} from './layout.ts';
import { dropSums } from './sums.ts';
import type { Tables } from './tables.ts';

/** Where the bytes of a file are, as of one moment. */
export class Place {
  size = 0;
  /** 0 = they are inline. */
  object = 0;
  stored: number = PLAIN;
  /** Its object has checksums (sums.ts). */
  hasSums = false;
  generation = 0;
  version = 0;

  /** Fills it; false when `ino` is no regular file. May be called by readers. */
  fill(t: Tables, ino: number): boolean {
    if (!isLive(t, ino) || !isRegular(t, ino)) return false;
    const at = ino * INODE_WORDS;
    this.size = sizeOf(t, ino);
    this.object = t.inode[at + I_OBJECT]!;
    this.stored = t.inode[at + I_STORED]!;
    this.hasSums = this.object !== 0 && t.inode[at + I_SUMS] !== 0;
    this.generation = t.inode[at + I_GENERATION]!;
    this.version = t.inode[at + I_VERSION]!;
    return true;
  }
}

/**
 * The bytes of the file are in object `object` from now on, in form `stored`; they are the same, so nothing else of the
 * file changes. An object that it had is dropped. 0 or −errno: ESTALE no such file, EINVAL it has no object, or that one
 * already in a form that cannot change.
 */
export function place(t: Tables, ino: number, object: number, stored: number): number {
  if (!isLive(t, ino) || !isRegular(t, ino)) return -ESTALE;
  const at = ino * INODE_WORDS;
  const old = t.inode[at + I_OBJECT]!;
  if (old === 0 || object === 0) return -EINVAL;
  const isSame = object === old;
  if (isSame && (isCompressed(stored) || isCompressed(t.inode[at + I_STORED]!))) return -EINVAL;

  t.sequence.writeBegin();
  if (!isSame) {
    dropSums(t, ino);
    t.dropped.push(old);
    t.inode[at + I_OBJECT] = object;
    if (object >= t.header[H_NEXT_OBJECT]!) t.header[H_NEXT_OBJECT] = object + 1;
  }
  t.inode[at + I_STORED] = stored;
  t.sequence.writeEnd();
  return 0;
}

/** Between writeBegin and writeEnd: the bytes are others than those that were tried, or summed. */
export function bytesChanged(t: Tables, ino: number): void {
  dropSums(t, ino);
  const at = ino * INODE_WORDS + I_STORED;
  if (t.inode[at] === KEPT_PLAIN) t.inode[at] = PLAIN;
}

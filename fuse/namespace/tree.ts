/**
 * Changes of names and attributes. The contract for all of them is in namespace.ts.
 */
import { NAME_MAX, SYMLINK_MAX } from '../../runtime/config/bounds.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { hasDefaultList } from './access-lists.ts';
import type { AttrChanges } from './changes.ts';
import { createInheriting } from './creation.ts';
import * as inodes from './inodes.ts';
import {
  I_GENERATION,
  I_GID,
  I_LOOKUPS,
  I_NLINK,
  INODE_WORDS,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_ISGID,
} from './layout.ts';
import * as mutations from './mutations.ts';
import { NamespaceReader } from './reader.ts';
import * as records from './records.ts';
import type { Tables } from './tables.ts';
import type { Transaction } from './transaction.ts';

const NOTHING = new Uint8Array(0);

/** Bytes a name can take in a record: a longer one is refused before it gets there. */
export function nameBound(length: number): number {
  return Math.min(length, NAME_MAX);
}

export class NamespaceTree extends NamespaceReader {
  protected readonly transaction: Transaction;
  /** Inode that lost its last name to the last unlink, rmdir or rename that succeeded (0 = none), its generation. */
  removedIno = 0;
  removedGeneration = 0;

  constructor(tables: Tables, transaction: Transaction) {
    super(tables);
    this.transaction = transaction;
  }

  /**
   * A new inode with its first name: a file, directory, FIFO, socket or device by the type in `mode`. The directory's default
   * access control list, or where it has none `umask`, takes bits away. In a set-group-ID directory it gets that
   * directory's group, a directory also the bit. Returns its number.
   */
  create(
    parent: number,
    u8: Uint8Array,
    start: number,
    end: number,
    mode: number,
    uid: number,
    gid: number,
    rdev: number,
    umask = 0,
  ): number {
    return this.#create(parent, u8, start, end, mode, uid, gid, rdev, NOTHING, 0, 0, umask);
  }

  symlink(
    parent: number,
    u8: Uint8Array,
    start: number,
    end: number,
    target: Uint8Array,
    targetStart: number,
    targetEnd: number,
    uid: number,
    gid: number,
  ): number {
    return this.#create(
      parent,
      u8,
      start,
      end,
      S_IFLNK | 0o777,
      uid,
      gid,
      0,
      target,
      targetStart,
      targetEnd,
      0,
    );
  }

  #create(
    parent: number,
    u8: Uint8Array,
    start: number,
    end: number,
    mode: number,
    uid: number,
    gid: number,
    rdev: number,
    target: Uint8Array,
    targetStart: number,
    targetEnd: number,
    umask: number,
  ): number {
    const t = this.tables;
    const refusal = this.transaction.begin(
      recordBytes(
        records.CREATE_BYTES + nameBound(end - start) + Math.min(targetEnd - targetStart, SYMLINK_MAX),
      ),
    );
    if (refusal !== 0) return refusal;
    try {
      const ino = inodes.peek(t);
      const generation = (t.inode[ino * INODE_WORDS + I_GENERATION]! + 1) >>> 0;
      const owner = this.groupFor(parent, gid);
      let bits = this.maskedMode(parent, mode, umask);
      if (this.#givesGroup(parent) && (mode & S_IFMT) === S_IFDIR) bits |= S_ISGID;
      const result = createInheriting(
        t,
        parent,
        ino,
        generation,
        bits,
        uid,
        owner,
        rdev,
        u8,
        start,
        end,
        target,
        targetStart,
        targetEnd,
      );
      if (result < 0) return this.transaction.end(result);
      records.encodeCreate(
        this.transaction.journal,
        t,
        parent,
        ino,
        generation,
        bits,
        uid,
        owner,
        rdev,
        u8,
        start,
        end,
        target,
        targetStart,
        targetEnd,
      );
      this.transaction.commit();
      return this.transaction.end(ino);
    } finally {
      this.transaction.release();
    }
  }

  #givesGroup(parent: number): boolean {
    return inodes.isLive(this.tables, parent) && (inodes.modeOf(this.tables, parent) & S_ISGID) !== 0;
  }

  /** The group of what a process of group `gid` makes in this directory. With the lock held. */
  protected groupFor(parent: number, gid: number): number {
    return this.#givesGroup(parent) ? this.tables.inode[parent * INODE_WORDS + I_GID]! : gid;
  }

  /** The mode that the caller's umask leaves, where no default list takes its place. With the lock held. */
  protected maskedMode(parent: number, mode: number, umask: number): number {
    if (umask === 0 || (inodes.isLive(this.tables, parent) && hasDefaultList(this.tables, parent)))
      return mode;
    return mode & ~(umask & 0o777);
  }

  link(ino: number, parent: number, u8: Uint8Array, start: number, end: number): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(records.LINK_BYTES + nameBound(end - start)));
    if (refusal !== 0) return refusal;
    try {
      const result = mutations.link(t, ino, parent, u8, start, end);
      if (result < 0) return this.transaction.end(result);
      records.encodeLink(this.transaction.journal, t, ino, parent, u8, start, end);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  unlink(parent: number, u8: Uint8Array, start: number, end: number): number {
    return this.#unlink(parent, u8, start, end, false);
  }

  rmdir(parent: number, u8: Uint8Array, start: number, end: number): number {
    return this.#unlink(parent, u8, start, end, true);
  }

  #unlink(parent: number, u8: Uint8Array, start: number, end: number, directory: boolean): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(records.UNLINK_BYTES + nameBound(end - start)), true);
    if (refusal !== 0) return refusal;
    try {
      const ino = mutations.unlink(t, parent, u8, start, end, directory);
      if (ino < 0) return this.transaction.end(ino);
      records.encodeUnlink(this.transaction.journal, t, parent, u8, start, end, directory);
      this.transaction.commit();
      this.lostName(ino);
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** renameat2(2) with RENAME_NOREPLACE or RENAME_EXCHANGE. */
  rename(
    parent: number,
    u8: Uint8Array,
    start: number,
    end: number,
    newParent: number,
    newU8: Uint8Array,
    newStart: number,
    newEnd: number,
    flags: number,
  ): number {
    const t = this.tables;
    const names = nameBound(end - start) + nameBound(newEnd - newStart);
    const refusal = this.transaction.begin(recordBytes(records.RENAME_BYTES + names), true);
    if (refusal !== 0) return refusal;
    try {
      const other = mutations.rename(t, parent, u8, start, end, newParent, newU8, newStart, newEnd, flags);
      if (other < 0) return this.transaction.end(other);
      records.encodeRename(
        this.transaction.journal,
        t,
        parent,
        u8,
        start,
        end,
        newParent,
        newU8,
        newStart,
        newEnd,
        flags,
      );
      this.transaction.commit();
      this.lostName(other);
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** After a name was taken from `ino` (0 = from none): notes whether it was the last, frees the inode if nobody holds it. */
  protected lostName(ino: number): void {
    const t = this.tables;
    const at = ino * INODE_WORDS;
    this.removedIno = 0;
    this.removedGeneration = 0;
    if (ino === 0 || t.inode[at + I_NLINK] !== 0) return;
    this.removedIno = ino;
    this.removedGeneration = t.inode[at + I_GENERATION]!;
    // A read-modify-write on both sides (see forget), so that one of the two sees the other.
    if (Atomics.add(t.inode, at + I_LOOKUPS, 0) === 0) this.free(ino);
  }

  protected free(ino: number): void {
    const t = this.tables;
    t.sequence.writeBegin();
    inodes.give(t, ino);
    t.sequence.writeEnd();
  }

  /** chmod, chown, utimensat in one; ctime is set unless `changes` does. The size is changed by {@link truncate}. */
  setattr(ino: number, changes: AttrChanges): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(records.SETATTR_BYTES), true);
    if (refusal !== 0) return refusal;
    try {
      const result = mutations.setattr(t, ino, changes);
      if (result < 0) return this.transaction.end(result);
      records.encodeSetattr(this.transaction.journal, t, ino, changes);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }
}

/**
 * Changes that Linux has beside POSIX's: files without a name, whiteouts, the flags of chattr(1), access times. The contract
 * for all of them is in namespace.ts.
 */
import { ESTALE } from '../../runtime/errno.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { isAccessTimeDue } from './access-time.ts';
import { AttrChanges, SET_ATIME, SET_CTIME } from './changes.ts';
import { createUnnamed, renameLeavingWhiteout } from './creation.ts';
import { flagsOf, setFlags, USER_FLAGS } from './inode-flags.ts';
import * as inodeRecords from './inode-records.ts';
import * as inodes from './inodes.ts';
import { I_CTIME, I_CTIME_NS, I_GENERATION, INODE_WORDS, S_IFCHR } from './layout.ts';
import * as mutations from './mutations.ts';
import * as records from './records.ts';
import { NamespaceTree, nameBound } from './tree.ts';

const NOTHING = new Uint8Array(0);

export class LinuxChanges extends NamespaceTree {
  readonly #access = new AttrChanges();

  #nextGeneration(ino: number): number {
    return (this.tables.inode[ino * INODE_WORDS + I_GENERATION]! + 1) >>> 0;
  }

  /**
   * O_TMPFILE: a regular file without a name; `umask`, group and access lists as in {@link create}. It lives as long as the
   * kernel holds it, or once it has a name, which only a `linkable` one can get. Returns its number.
   */
  createUnnamed(
    directory: number,
    mode: number,
    uid: number,
    gid: number,
    umask: number,
    linkable: boolean,
  ): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(inodeRecords.UNNAMED_BYTES));
    if (refusal !== 0) return refusal;
    try {
      const ino = inodes.peek(t);
      const generation = this.#nextGeneration(ino);
      const owner = this.groupFor(directory, gid);
      const bits = this.maskedMode(directory, mode, umask);
      const result = createUnnamed(t, directory, ino, generation, bits, uid, owner, linkable);
      if (result < 0) return this.transaction.end(result);
      const { journal } = this.transaction;
      inodeRecords.encodeUnnamed(journal, t, directory, ino, generation, bits, uid, owner, linkable);
      this.transaction.commit();
      return this.transaction.end(ino);
    } finally {
      this.transaction.release();
    }
  }

  /** renameat2(2) with RENAME_WHITEOUT; `how` is 0 or RENAME_NOREPLACE. */
  renameLeavingWhiteout(
    parent: number,
    u8: Uint8Array,
    start: number,
    end: number,
    newParent: number,
    newStart: number,
    newEnd: number,
    how: number,
    uid: number,
    gid: number,
  ): number {
    const t = this.tables;
    const [name, newName] = [nameBound(end - start), nameBound(newEnd - newStart)];
    const refusal = this.transaction.begin(
      recordBytes(records.RENAME_BYTES + name + newName) + recordBytes(records.CREATE_BYTES + name),
      true,
    );
    if (refusal !== 0) return refusal;
    try {
      const ino = inodes.peek(t);
      const generation = this.#nextGeneration(ino);
      const owner = this.groupFor(parent, gid);
      const other = renameLeavingWhiteout(
        t,
        parent,
        u8,
        start,
        end,
        newParent,
        u8,
        newStart,
        newEnd,
        how,
        ino,
        generation,
        uid,
        owner,
      );
      if (other < 0) return this.transaction.end(other);
      const { journal } = this.transaction;
      records.encodeRename(journal, t, parent, u8, start, end, newParent, u8, newStart, newEnd, how);
      if (inodes.isLive(t, ino)) {
        records.encodeCreate(
          journal,
          t,
          parent,
          ino,
          generation,
          S_IFCHR,
          uid,
          owner,
          0,
          u8,
          start,
          end,
          NOTHING,
          0,
          0,
        );
      }
      this.transaction.commit();
      this.lostName(other);
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** The flags of chattr(1) that are set, or −ESTALE. One word: any thread, without a lock. */
  flags(ino: number): number {
    return inodes.isLive(this.tables, ino) ? flagsOf(this.tables, ino) & USER_FLAGS : -ESTALE;
  }

  /** Sets them; EOPNOTSUPP as {@link setFlags} of inode-flags.ts. */
  setFlags(ino: number, flags: number): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(inodeRecords.FLAGS_BYTES), true);
    if (refusal !== 0) return refusal;
    try {
      const result = setFlags(t, ino, flags);
      if (result < 0) return this.transaction.end(result);
      inodeRecords.encodeFlags(this.transaction.journal, t, ino, flags);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /**
   * The inode was read at `now` (ms since the epoch): its access time follows as {@link isAccessTimeDue} says. Never waits
   * for room in the journal, and cannot fail: a time that was not kept is kept with the next read.
   */
  accessed(ino: number, now: number): void {
    const t = this.tables;
    const bytes = recordBytes(records.SETATTR_BYTES);
    if (!inodes.isLive(t, ino) || !isAccessTimeDue(t, ino, Math.floor(now / 1000))) return;
    if (!this.transaction.journal.hasRoom(bytes) || this.transaction.begin(bytes) !== 0) return;
    try {
      if (inodes.isLive(t, ino)) this.#keepAccess(ino);
      this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** The time of the transaction; ctime stays. */
  #keepAccess(ino: number): void {
    const t = this.tables;
    const access = this.#access;
    access.valid = SET_ATIME | SET_CTIME;
    access.atime = t.seconds;
    access.atimeNs = t.nanoseconds;
    access.ctime = t.inodeF64[(ino * INODE_WORDS + I_CTIME) / 2]!;
    access.ctimeNs = t.inode[ino * INODE_WORDS + I_CTIME_NS]!;
    mutations.setattr(t, ino, access);
    records.encodeSetattr(this.transaction.journal, t, ino, access);
    this.transaction.commit();
  }
}

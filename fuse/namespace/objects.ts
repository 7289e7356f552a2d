/** Where files' bytes are, and changes of it. The rules are those of namespace.ts. */
import { ENOSPC, ESTALE } from '../../runtime/errno.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { isLive, isRegular } from './inodes.ts';
import { I_OBJECT, I_SUMS, INODE_WORDS } from './layout.ts';
import { LinuxChanges } from './linux-changes.ts';
import { encodePassed, PASSED_BYTES, passed } from './passed.ts';
import * as records from './records.ts';
import { type Place, place } from './stored.ts';
import { dropSums, encodeSums, SUMS_BYTES, setSums } from './sums.ts';

const NOTHING = new Uint8Array(0);

export class NamespaceObjects extends LinuxChanges {
  /** Where the file's bytes are. 0, or −ESTALE: it is no regular file. */
  locate(ino: number, out: Place): number {
    for (let attempt = 0; ; attempt++) {
      this.tables.beginRead(attempt);
      const isFile = out.fill(this.tables, ino);
      if (this.tables.endRead()) return isFile ? 0 : -ESTALE;
    }
  }

  /**
   * The file's object is changed past us, or was, as `how` says (passed.ts): it has `size` bytes, and was changed last at the time
   * that is given. 0 or −errno.
   */
  passed(ino: number, size: number, seconds: number, nanoseconds: number, how: number): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(PASSED_BYTES), true);
    if (refusal !== 0) return refusal;
    try {
      const result = passed(t, ino, size, seconds, nanoseconds, how);
      if (result < 0) return this.transaction.end(result);
      encodePassed(this.transaction.journal, t, ino, size, seconds, nanoseconds, how);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** Waits until all that was changed so far is durable: 0, or the −errno of a log that has failed, or has no room. */
  waitUntilDurable(): number {
    const { journal } = this.transaction;
    return journal.waitUntilDurable() ? 0 : -(journal.failure || ENOSPC);
  }

  /**
   * The file's bytes, which are in object `from`, are in object `to` as well, in form `stored`: from now on it is that
   * one's, and `from` is dropped. Where they are the same, this only notes the form. 0 or −errno: ESTALE when the file's
   * object is another by now.
   */
  placeObject(ino: number, from: number, to: number, stored: number): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(records.PLACE_BYTES));
    if (refusal !== 0) return refusal;
    try {
      if (t.inode[ino * INODE_WORDS + I_OBJECT] !== from) return this.transaction.end(-ESTALE);
      const result = place(t, ino, to, stored);
      if (result < 0) return this.transaction.end(result);
      records.encodePlace(this.transaction.journal, t, ino, to, stored);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** The file has these checksums from now on (sums.ts): `count` words from u8[start] on. 0 or −errno. */
  setSums(ino: number, object: number, u8: Uint8Array, start: number, count: number): number {
    const t = this.tables;
    const refusal = this.transaction.begin(recordBytes(SUMS_BYTES + count * 4));
    if (refusal !== 0) return refusal;
    try {
      const result = setSums(t, ino, object, u8, start, count);
      if (result < 0) return this.transaction.end(result);
      encodeSums(this.transaction.journal, t, ino, object, u8, start, count);
      this.transaction.commit();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /**
   * Before the bytes of an object with checksums change: they no longer count, durably. The tables lose them after the log has
   * said so, so whoever takes over from a thread that ends in between waits as well. 0 or −errno.
   */
  endSums(ino: number, object: number): number {
    // A file that is cut has none, and cutting frees space.
    const refusal = this.transaction.begin(recordBytes(SUMS_BYTES), true);
    if (refusal !== 0) return refusal;
    try {
      encodeSums(this.transaction.journal, this.tables, ino, object, NOTHING, 0, 0);
      this.transaction.commit();
      this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
    const failed = this.waitUntilDurable();
    if (failed < 0) return failed;
    this.transaction.beginUnlogged();
    try {
      this.tables.sequence.writeBegin();
      dropSums(this.tables, ino);
      this.tables.sequence.writeEnd();
      return this.transaction.end(0);
    } finally {
      this.transaction.release();
    }
  }

  /** Copies `count` checksums of the file from piece `first` on; false when it has none (any more). */
  readSums(ino: number, first: number, count: number, out: Uint32Array): boolean {
    const t = this.tables;
    for (let attempt = 0; ; attempt++) {
      t.beginRead(attempt);
      const at = ino * INODE_WORDS;
      const hasSums = isLive(t, ino) && isRegular(t, ino) && t.inode[at + I_OBJECT] !== 0;
      const block = hasSums ? t.block(t.inode[at + I_SUMS]!, (first + count) * 4) : -1;
      if (block >= 0) for (let i = 0; i < count; i++) out[i] = t.words[(block >> 2) + first + i]!;
      if (t.endRead()) return block >= 0;
    }
  }
}

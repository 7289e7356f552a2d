/** Where files' bytes are, and changes of it. The rules are those of namespace.ts. */
import { ENOSPC, ESTALE } from '../../runtime/errno.ts';
import { recordBytes } from '../../runtime/storage/record-header.ts';
import { I_OBJECT, INODE_WORDS } from './layout.ts';
import { LinuxChanges } from './linux-changes.ts';
import { encodePassed, PASSED_BYTES, passed } from './passed.ts';
import * as records from './records.ts';
import { type Place, place } from './stored.ts';

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
}

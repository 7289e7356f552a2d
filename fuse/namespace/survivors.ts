/**
 * Making the tables anew from a checkpoint and the log while the kernel goes on using them: what no log record says
 * is set aside before and put back after.
 *
 * Roles: one thread (io-0), while no other uses the namespace, the slab, the data locks or the virtual tree: all who do
 * have ended. That thread may end too; whoever comes next begins again with what was set aside.
 *
 *     const survivors = new Survivors(arena);
 *     survivors.setAside();
 *     …read the checkpoint's parts: 'namespace' into survivors.header, the others into their regions…
 *     survivors.putHeader(); const tables = new Tables(…); restored(tables); survivors.keepClosed(tables);
 *     …apply the log's records…
 *     survivors.finish(tables, observer);
 *
 * Words of region 'survivors': 0 VALID (1 = what follows was set aside and not yet put back), 1 inode numbers, 2 dentry
 * slots, 3 next object, 4 the sequence; from SURVIVORS_HEADER_WORDS on, for each inode number its generation and the
 * lookups that the kernel holds of it.
 *
 * Invariants
 * 1. The store of VALID publishes what was set aside, and only then are the tables touched. It is cleared when all of
 *    it has been put back.
 * 2. H_BROKEN is 1 from before setAside() until finish() is done, so that nobody changes the tables in between, and
 *    whoever finds them so knows that they are not whole.
 * 3. An inode that the kernel holds was made by a published record, since no reply is sent before; so the log has it. It
 *    is the one it was if its generation is. Should one be missing all the same, its number is not used again before
 *    the next mount, because the kernel will give back lookups of it.
 * 4. The sequence only grows, so a reader from before sees that it read nothing that counts.
 */
import type { Arena } from '../../runtime/memory/arena.ts';
import { afterRecovery } from './image.ts';
import {
  COLLECTIONS_AT,
  DENTRY_WORDS,
  H_BROKEN,
  H_DENTRIES_END,
  H_INODES_END,
  H_MUTEX,
  H_NEXT_OBJECT,
  H_SEQUENCE,
  I_GENERATION,
  I_LOOKUPS,
  I_NLINK,
  INODE_WORDS,
  SURVIVORS_HEADER_WORDS,
} from './layout.ts';
import type { ReplayObserver } from './records.ts';
import type { Tables } from './tables.ts';

const VALID = 0;
const INODES = 1;
const DENTRIES = 2;
const NEXT_OBJECT = 3;
const SEQUENCE = 4;

/** What finish() found. */
export interface Survived {
  /** Inodes without a name that live on because the kernel holds them. */
  readonly unnamed: number;
  /** Inodes the kernel holds that the log does not know: 0 unless something is very wrong. */
  readonly lost: number;
}

export class Survivors {
  /** Where the checkpoint's part 'namespace' is to be read: in the region itself lie the lock and the sequence. */
  readonly header: Uint8Array;
  readonly #arena: Arena;
  readonly #words: Uint32Array;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#words = arena.region('survivors').u32;
    this.header = new Uint8Array(arena.region('namespace').bytes);
  }

  /** Takes what no log says out of the tables, unless an earlier attempt did, and empties the tables. */
  setAside(): void {
    const header = this.#arena.region('namespace').u32;
    const inode = this.#arena.region('inodes').u32;
    const dentry = this.#arena.region('dentries').u32;
    const words = this.#words;
    Atomics.store(header, H_BROKEN, 1);
    if (words[VALID] === 0) {
      const inodes = Math.min(header[H_INODES_END]!, Math.floor(inode.length / INODE_WORDS));
      words[INODES] = inodes;
      words[DENTRIES] = Math.min(header[H_DENTRIES_END]!, Math.floor(dentry.length / DENTRY_WORDS));
      words[NEXT_OBJECT] = header[H_NEXT_OBJECT]!;
      words[SEQUENCE] = header[H_SEQUENCE]!;
      for (let ino = 1; ino < inodes; ino++) {
        const at = SURVIVORS_HEADER_WORDS + ino * 2;
        words[at] = inode[ino * INODE_WORDS + I_GENERATION]!;
        words[at + 1] = inode[ino * INODE_WORDS + I_LOOKUPS]!;
      }
      Atomics.store(words, VALID, 1);
    }
    inode.fill(0, 0, words[INODES]! * INODE_WORDS);
    dentry.fill(0, 0, words[DENTRIES]! * DENTRY_WORDS);
  }

  /** Puts what was read into {@link header} in its place, apart from the lock and the sequence. */
  putHeader(): void {
    const { u8 } = this.#arena.region('namespace');
    new Uint32Array(this.header.buffer)[H_BROKEN] = 1;
    u8.set(this.header.subarray(0, H_MUTEX * 4));
    u8.set(this.header.subarray(COLLECTIONS_AT), COLLECTIONS_AT);
  }

  /** After `restored`, which makes everything as in a new process: not so here. */
  keepClosed(t: Tables): void {
    t.header[H_BROKEN] = 1;
    t.header[H_SEQUENCE] = ((this.#words[SEQUENCE]! | 1) + 1) >>> 0;
  }

  /** Ends it, as afterRecovery ends a recovery; the inodes that the kernel holds live on. */
  finish(t: Tables, observer: ReplayObserver): Survived {
    const words = this.#words;
    let unnamed = 0;
    let lost = 0;
    t.header[H_NEXT_OBJECT] = Math.max(t.header[H_NEXT_OBJECT]!, words[NEXT_OBJECT]!);
    afterRecovery(t, observer, (ino, generation) => this.#lookups(ino, generation));
    for (let ino = 1; ino < words[INODES]!; ino++) {
      const held = words[SURVIVORS_HEADER_WORDS + ino * 2 + 1]! > 0;
      if (!held) continue;
      if (t.inode[ino * INODE_WORDS + I_LOOKUPS] === 0) lost++;
      else if (t.inode[ino * INODE_WORDS + I_NLINK] === 0) unnamed++;
    }
    t.header[H_BROKEN] = 0;
    Atomics.store(words, VALID, 0);
    return { unnamed, lost };
  }

  /** Lookups the kernel holds of this inode; −1 = it holds some of another one that had this number. */
  #lookups(ino: number, generation: number): number {
    const words = this.#words;
    if (ino >= words[INODES]!) return 0;
    const at = SURVIVORS_HEADER_WORDS + ino * 2;
    const held = words[at + 1]!;
    return held === 0 || words[at] === generation ? held : -1;
  }
}

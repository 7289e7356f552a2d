/** `lost+found`: where a repair puts what has no place in the tree. */
import { EEXIST } from '../../runtime/errno.ts';
import { S_IFDIR, S_IFREG } from '../protocol/abi.ts';
import * as content from './content.ts';
import { find } from './dentries.ts';
import { isDirectory } from './directories.ts';
import {
  D_INODE,
  DENTRY_WORDS,
  H_INODES_END,
  I_FLAGS,
  I_GID,
  I_STORED,
  I_UID,
  INODE_WORDS,
  ROOT,
} from './layout.ts';
import * as mutations from './mutations.ts';
import { hashName } from './names.ts';
import type { Tables } from './tables.ts';

const LOST_FOUND = 'lost+found';
const LOST_FOUND_MODE = S_IFDIR | 0o700;
const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

/** The directory for what has no place, made if there is none. Its inode number. */
export function lostFound(t: Tables): number {
  const name = encoder.encode(LOST_FOUND);
  const slot = find(t, ROOT, hashName(ROOT, name, 0, name.length), name, 0, name.length);
  const known = slot === 0 ? 0 : t.dentry[slot * DENTRY_WORDS + D_INODE]!;
  if (known !== 0 && isDirectory(t, known)) return known;
  // A file may be called so.
  return addTo(
    t,
    ROOT,
    known === 0 ? LOST_FOUND : `${LOST_FOUND}.vexfs`,
    t.header[H_INODES_END]!,
    0,
    LOST_FOUND_MODE,
  );
}

/** A file in lost+found that object `id` holds `size` bytes of, in form `stored` (layout.ts). */
export function addFoundObject(t: Tables, name: string, id: number, size: number, stored: number): void {
  const ino = addTo(t, lostFound(t), name, t.header[H_INODES_END]!, 0, S_IFREG | 0o600);
  const attached = content.attach(t, ino, id, size, 0);
  if (attached < 0) throw new Error(`object ${id} cannot be put into ${LOST_FOUND} (errno ${-attached})`);
  t.inode[ino * INODE_WORDS + I_STORED] = stored;
}

/** Makes an inode under the first of name, name-2, name-3, … that is free. Its number. */
function addTo(
  t: Tables,
  directory: number,
  name: string,
  ino: number,
  generation: number,
  mode: number,
): number {
  const { inode } = t;
  const owner = directory * INODE_WORDS;
  const flags = inode[owner + I_FLAGS]!;
  for (let count = 1; ; count++) {
    const u8 = encoder.encode(count === 1 ? name : `${name}-${count}`);
    // What chattr has closed to users is open to the repair.
    inode[owner + I_FLAGS] = 0;
    const made = mutations.create(
      t,
      directory,
      ino,
      generation,
      mode,
      inode[owner + I_UID]!,
      inode[owner + I_GID]!,
      0,
      u8,
      0,
      u8.length,
      NOTHING,
      0,
      0,
    );
    inode[owner + I_FLAGS] = flags;
    if (made === 0) return ino;
    if (made !== -EEXIST) throw new Error(`${name} cannot be put into ${LOST_FOUND} (errno ${-made})`);
  }
}

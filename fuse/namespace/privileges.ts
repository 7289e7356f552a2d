/** What a write, truncation or chown by another user takes from a file: set-user-ID, set-group-ID, capabilities. */
import { modeOf, withoutPrivileges } from './inodes.ts';
import { I_MODE, INODE_WORDS, S_IFDIR, S_IFMT } from './layout.ts';
import type { Tables } from './tables.ts';
import { cut, freeIfEmpty, XattrCursor } from './xattrs.ts';

const CAPABILITY = new TextEncoder().encode('security.capability');
const cursor = new XattrCursor();

/** Between writeBegin and writeEnd. Directories keep their bits (there set-group-ID means something else). */
export function killPrivileges(t: Tables, ino: number): void {
  const mode = modeOf(t, ino);
  if ((mode & S_IFMT) === S_IFDIR) return;
  t.inode[ino * INODE_WORDS + I_MODE] = withoutPrivileges(mode);
  if (!cursor.find(t, ino, CAPABILITY, 0, CAPABILITY.length)) return;
  cut(t, ino, cursor);
  freeIfEmpty(t, ino);
}

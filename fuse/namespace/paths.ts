/** From inode to path and permissions along it. Single tries of a lock-free read (tables.ts): the caller validates. */
import { listPermits } from './access-lists.ts';
import { nameBytes, nameLength, nameOffset, STEPS_PER_LOOK } from './dentries.ts';
import { isDirectory, parentOf } from './directories.ts';
import { isLive } from './inodes.ts';
import { D_LINK_NEXT, D_PARENT, DENTRY_WORDS, I_NAMES, INODE_WORDS, ROOT, S_IRWXG } from './layout.ts';
import { copyBytes } from './names.ts';
import { shownGid, shownMode, shownUid } from './shown-owner.ts';
import type { Tables } from './tables.ts';

/** Longest path told, bytes: far beyond what the kernel takes in one call. */
const PATH_BYTES = 64 * 1024;
const scratch = new Uint8Array(PATH_BYTES);
const decoder = new TextDecoder();
const SLASH = 0x2f;

/** Absolute path by the inode's first name; undefined = it has none (or is deeper than {@link PATH_BYTES}). */
export function pathOf(t: Tables, ino: number): string | undefined {
  if (ino === ROOT) return '/';
  if (!isLive(t, ino)) return undefined;
  let at = PATH_BYTES;
  for (let child = ino; child !== ROOT; ) {
    const slot = t.inode[child * INODE_WORDS + I_NAMES]!;
    if (slot === 0 || slot >= t.dentryCapacity) return undefined;
    const from = nameOffset(t, slot);
    const length = nameLength(t, slot);
    if (from < 0 || length + 1 > at) return undefined;
    at -= length + 1;
    scratch[at] = SLASH;
    copyBytes(scratch, at + 1, nameBytes(t, slot), from, length);
    child = t.dentry[slot * DENTRY_WORDS + D_PARENT]!;
    if (!isLive(t, child)) return undefined;
  }
  return decoder.decode(scratch.subarray(at));
}

const READ = 4;
const EXECUTE = 1;

/** Whether one of r (4), w (2), x (1) is allowed on the inode. */
export function may(t: Tables, ino: number, uid: number, gids: readonly number[], bit: number): boolean {
  const mode = shownMode(t, ino);
  const owner = shownUid(t, ino);
  const group = shownGid(t, ino);
  if (owner === uid) return ((mode >> 6) & bit) !== 0;
  // As the kernel: where the group bits are empty, so is the mask of a list, or its group's entry.
  if ((mode & S_IRWXG) !== 0) {
    const listed = listPermits(t, ino, owner, group, uid, gids, bit);
    if (listed >= 0) return listed === 1;
  }
  if (gids.includes(group)) return ((mode >> 3) & bit) !== 0;
  return (mode & bit) !== 0;
}

/** Whether a process may look a name up in a directory, as far as that directory alone says. */
export function mayEnter(t: Tables, directory: number, uid: number, gids: readonly number[]): boolean {
  return uid === 0 || may(t, directory, uid, gids, EXECUTE);
}

function mayReach(t: Tables, directory: number, uid: number, gids: readonly number[]): boolean {
  let steps = 1;
  for (let ino = directory; isLive(t, ino) && isDirectory(t, ino); ino = parentOf(t, ino)) {
    if (!may(t, ino, uid, gids, EXECUTE)) return false;
    if (ino === ROOT) return true;
    if (steps++ % STEPS_PER_LOOK === 0 && t.torn()) return false;
  }
  return false;
}

/** Whether a process could open the inode for reading by one of its names: r on it, x on all directories above. */
export function canRead(t: Tables, ino: number, uid: number, gids: readonly number[]): boolean {
  if (!isLive(t, ino)) return false;
  const first = t.inode[ino * INODE_WORDS + I_NAMES]!;
  if (uid === 0) return ino === ROOT || first !== 0;
  if (!may(t, ino, uid, gids, READ)) return false;
  if (ino === ROOT) return may(t, ino, uid, gids, EXECUTE);
  let steps = 1;
  for (
    let slot = first;
    slot !== 0 && slot < t.dentryCapacity;
    slot = t.dentry[slot * DENTRY_WORDS + D_LINK_NEXT]!
  ) {
    const parent = t.dentry[slot * DENTRY_WORDS + D_PARENT]!;
    if (mayReach(t, parent, uid, gids)) return true;
    if (steps++ % STEPS_PER_LOOK === 0 && t.torn()) return false;
  }
  return false;
}

/** What the mode bits of an inode allow, as Linux reads them: the owner's bits, else the group's, else those of others. */
import type { Asker } from './change-set.ts';

export const WRITE = 2;
export const EXECUTE = 1;

/** Whether all of `bits` are allowed; root may read, write and search everything. */
export function allows(mode: number, uid: number, gid: number, who: Asker, bits: number): boolean {
  if (who.uid === 0) return true;
  if (uid === who.uid) return ((mode >> 6) & bits) === bits;
  if (who.gids.includes(gid)) return ((mode >> 3) & bits) === bits;
  return (mode & bits) === bits;
}

/** What an inode allows, as Linux reads it: by its access control list or its mode bits; the owner's, the group's, those of others. */
import type { Asker } from './change-set.ts';
import { may } from './paths.ts';
import type { Tables } from './tables.ts';

export const READ = 4;
export const WRITE = 2;
export const EXECUTE = 1;

/** Whether all of `bits` are allowed; root may read, write and search everything. */
export function allows(t: Tables, ino: number, who: Asker, bits: number): boolean {
  if (who.uid === 0) return true;
  for (const bit of [READ, WRITE, EXECUTE])
    if ((bits & bit) !== 0 && !may(t, ino, who.uid, who.gids, bit)) return false;
  return true;
}

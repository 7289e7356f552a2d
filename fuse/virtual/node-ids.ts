/**
 * FUSE node ids are 64-bit words (hi, lo). hi = 0 is an inode of the real tree; everything else is the virtual tree:
 *
 * | hi           | node                                                                            |
 * | ------------ | ------------------------------------------------------------------------------- |
 * | 1            | node lo of the node table: a text file or a directory of results                 |
 * | 2 + n        | the n-th link in the directory of results that is node lo                         |
 * | QUERY_FILE   | node lo of the node table: a query file (query-files.ts), made by its lookup          |
 * | FIXED        | a directory that is always there: lo is VEXFS, SEARCH, SIMILAR or ACTORS          |
 * | MIRROR       | the directory of `.vexfs/similar` that stands for the real directory lo           |
 * | ACTOR        | the directory of `.vexfs/actors` for the actor with index lo                      |
 *
 * The last three are functions of their id, so nothing is stored or counted for them.
 */
export const REAL = 0;
export const SLOT = 1;
export const FIRST_LINK = 2;
export const QUERY_FILE = 0x7ffe_ffff;
export const FIXED = 0x7fff_0000;
export const MIRROR = 0x7fff_0001;
export const ACTOR = 0x7fff_0002;

export const VEXFS = 1;
export const SEARCH = 2;
export const SIMILAR = 3;
export const ACTORS = 4;

/** The root of the real tree, in which VEXFS is found by name. */
export const ROOT = 1;

/** Whether the node lives in, and holds a lookup on, a slot of the node table. */
export function isSlotted(hi: number): boolean {
  return hi >= SLOT && hi < FIXED;
}

const NAME = Uint8Array.from('.vexfs', (char) => char.charCodeAt(0));

/** Whether [start, end) in the directory `parent` is the virtual tree's own name, which nothing else may take. */
export function isReserved(
  parentLo: number,
  parentHi: number,
  u8: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (parentLo !== ROOT || parentHi !== REAL || end - start !== NAME.length) return false;
  for (let i = 0; i < NAME.length; i++) if (u8[start + i] !== NAME[i]) return false;
  return true;
}

/** Which files a search may show, for filters that let so little through that an index proposes hardly any of it. */
import { DirEntry, type Namespace } from '../../fuse/namespace/namespace.ts';

/** Names looked at below a directory before that is given up as too large to be quick: some milliseconds. */
const WALK_MAX = 20_000;
/** Inodes looked at between two turns of the event loop: a few milliseconds. */
const SLICE = 4096;
const DIRECTORY_BITS = 0o040000;
const TYPE_BITS = 0o170000;

/** The inodes that pass below a directory, ascending; undefined when there is too much below it, or no such directory. */
export function passingBelow(
  namespace: Namespace,
  path: string,
  passes: (ino: number) => boolean,
): Uint32Array | undefined {
  const root = namespace.resolve(path);
  if (root < 0) return undefined;
  const passing = new Set<number>(passes(root) ? [root] : []);
  const directories = [root];
  const entry = new DirEntry();
  let looked = 0;
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    let [lo, hi] = [0, 0];
    while (namespace.readdir(directory, lo, hi, entry)) {
      [lo, hi] = [entry.cookieLo, entry.cookieHi];
      if (isDots(entry)) continue;
      if (++looked > WALK_MAX) return undefined;
      if ((entry.mode & TYPE_BITS) === DIRECTORY_BITS) directories.push(entry.ino);
      else if (passes(entry.ino)) passing.add(entry.ino);
    }
  }
  return Uint32Array.from(passing).sort();
}

function isDots({ name, nameLength }: DirEntry): boolean {
  return name[0] === 0x2e && (nameLength === 1 || (nameLength === 2 && name[1] === 0x2e));
}

/** Of all inodes, ascending. */
export async function passingOfAll(
  namespace: Namespace,
  passes: (ino: number) => boolean,
): Promise<Uint32Array> {
  const passing: number[] = [];
  for (let ino = 1; ino < namespace.inodesEnd; ino++) {
    if (ino % SLICE === 0) await new Promise(setImmediate);
    if (passes(ino)) passing.push(ino);
  }
  return Uint32Array.from(passing);
}
